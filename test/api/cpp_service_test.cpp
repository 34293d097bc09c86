/*
 * phos/service.hpp, against the public library alone.
 */
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "cpp_rig.hpp"

/* Last: it makes a macro of `fail`, which streams have as a method. */
extern "C" {
#include <cmocka.h>
}

using std::chrono::seconds;

static_assert(!std::is_copy_constructible<phos::service>::value, "");
static_assert(std::is_nothrow_move_assignable<phos::service>::value, "");
static_assert(!std::is_copy_constructible<phos::call>::value, "");
static_assert(std::is_nothrow_move_assignable<phos::call>::value, "");

namespace
{

phos_service_options options_of(const service &there)
{
    phos_service_options options = phos_service_options_default();

    options.base_url = PHOS_STR("http://127.0.0.1:1");
    options.transport = there.transport();
    return options;
}

void a_call_is_waited_for(void **)
{
    service there;
    phos::service service(options_of(there));
    const phos_result *result = nullptr;
    phos::call call;

    assert_int_equal(service.request("POST", "/x", "{\"a\":1}", call), PHOS_OK);
    phos::call moved(std::move(call));
    assert_false(static_cast<bool>(call));
    assert_int_equal(moved.wait(seconds(30), result), PHOS_OK);
    assert_int_equal(result->status, PHOS_OK);
    assert_int_equal(result->http_status, 201);
    assert_string_equal(phos::text(result->body).to_string().c_str(), "{}");
    assert_string_equal(there.bodies()[0].c_str(), "{\"a\":1}");
}

void a_result_comes_to_a_function(void **)
{
    service there(404);
    phos::service service(options_of(there));
    signal_flag done;
    int http_status = 0;

    assert_int_equal(service.request("GET", "/x", phos::text(),
                                     [&](const phos_result &result) {
                                         http_status = result.http_status;
                                         done.set();
                                     }),
                     PHOS_OK);
    assert_true(done.wait());
    assert_int_equal(http_status, 404);
    assert_int_equal(service.callback_exceptions(), 0);
}

void an_exception_of_a_function_goes_no_further(void **)
{
    service there;
    phos::service service(options_of(there));
    const phos_result *result = nullptr;
    phos::call after;

    assert_int_equal(service.request("GET", "/x", phos::text(),
                                     [](const phos_result &) { throw 1; }),
                     PHOS_OK);
    /* One after the other on one thread. */
    assert_int_equal(service.request("GET", "/y", phos::text(), after),
                     PHOS_OK);
    assert_int_equal(after.wait(seconds(30), result), PHOS_OK);
    assert_int_equal(service.callback_exceptions(), 1);
}

void a_function_that_is_not_called_is_destroyed(void **)
{
    service there;
    phos::service service(options_of(there));
    const std::shared_ptr<int> state = std::make_shared<int>(0);
    const auto takes = [state](const phos_result &) { ++*state; };

    assert_int_equal(state.use_count(), 2);
    assert_int_equal(service.request("GET", "no slash", phos::text(), takes),
                     PHOS_E_INVALID);
    assert_int_equal(state.use_count(), 2);
    assert_int_equal(*state, 0);
    assert_int_equal(
        service.request("GET", "/x", phos::text(),
                        std::function<void(const phos_result &)>()),
        PHOS_E_INVALID);
}

void a_service_that_cannot_open_says_why(void **)
{
    phos_service_options options = phos_service_options_default();
    service there;
    phos::service kept(options_of(there));
    phos_service *const handle = kept.get();

    assert_int_equal(phos::service::open(options, kept), PHOS_E_INVALID);
    assert_ptr_equal(kept.get(), handle);
    try {
        phos::service fails(options);
        fail();
    } catch (const phos::error &error) {
        assert_int_equal(error.status(), PHOS_E_INVALID);
    }
}

void a_service_of_nothing_is_closed(void **)
{
    service there;
    phos::service from(options_of(there)), service(std::move(from));
    const phos_result *result = nullptr;
    phos::call call;

    assert_true(static_cast<bool>(service));
    assert_false(static_cast<bool>(from));
    assert_int_equal(from.request("GET", "/x", phos::text(), call),
                     PHOS_E_CLOSED);
    assert_int_equal(from.set_credential("key"), PHOS_E_CLOSED);
    assert_int_equal(call.wait(seconds(0), result), PHOS_E_INVALID);
    call.cancel();
    assert_int_equal(phos::service::open(options_of(there), from), PHOS_OK);
    assert_int_equal(from.request("GET", "/x", phos::text(), call), PHOS_OK);
    assert_int_equal(call.wait(seconds(30), result), PHOS_OK);
}

} // namespace

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(a_call_is_waited_for),
        cmocka_unit_test(a_result_comes_to_a_function),
        cmocka_unit_test(an_exception_of_a_function_goes_no_further),
        cmocka_unit_test(a_function_that_is_not_called_is_destroyed),
        cmocka_unit_test(a_service_that_cannot_open_says_why),
        cmocka_unit_test(a_service_of_nothing_is_closed),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
