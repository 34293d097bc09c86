/*
 * phos/phos.hpp, against the public library alone. Built for several versions
 * of C++.
 */
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <sys/wait.h>
#include <unistd.h>
#include <unordered_set>

#include "cpp_rig.hpp"

/* Last: it makes a macro of `fail`, which streams have as a method. */
extern "C" {
#include <cmocka.h>
}

using std::chrono::milliseconds;
using std::chrono::seconds;

/* Text that would be gone when it is read is refused by the compiler ... */
static_assert(!std::is_constructible<phos::borrowed_text, std::string>::value,
              "");
static_assert(
    !std::is_constructible<phos::borrowed_text, const std::string>::value, "");
static_assert(std::is_constructible<phos::borrowed_text, std::string &>::value,
              "");
/* ... but not where it is used up within the call. */
static_assert(std::is_constructible<phos::text, std::string>::value, "");

static_assert(!std::is_copy_constructible<phos::client>::value, "");
static_assert(std::is_nothrow_move_constructible<phos::client>::value, "");
static_assert(std::is_nothrow_move_assignable<phos::client>::value, "");
static_assert(!std::is_copy_constructible<phos::worker>::value, "");
static_assert(std::is_nothrow_move_assignable<phos::worker>::value, "");

namespace
{

const char id_text[] = "0191d6a8-7a4e-7cc3-98c4-dc0c0c07398f";

/* ---- what travels ---- */

void an_event_arrives_with_all_that_was_set(void **)
{
    service there;
    phos::client client(there.options());
    const std::string input = "in", tag = "t";
    phos::event event(input, "out");

    event.id(phos::event_id::parse(id_text))
        .timestamp(std::chrono::system_clock::time_point(seconds(1)))
        .session_id("s")
        .project_id("p")
        .user_id("u")
        .model("m")
        .provider("v")
        .latency(seconds(2))
        .tokens(3, 4)
        .cost_cents(0.5)
        .metadata_json("{\"raw\":1}")
        .tag(tag)
        .tag("")
        .pair("text", "x")
        .pair("yes", true)
        .pair("int", -7)
        .pair("size", std::size_t(7))
        .pair("most", std::uint64_t(1) << 63)
        .pair("half", 0.5f)
        .pair("null", nullptr);
    assert_int_equal(client.log(event), PHOS_OK);
    assert_int_equal(client.flush(seconds(30)), PHOS_OK);
    assert_int_equal(there.bodies().size(), 1);
    assert_string_equal(
        there.bodies()[0].c_str(),
        "{\"events\":[{\"event_id\":\"0191d6a8-7a4e-7cc3-98c4-dc0c0c07398f\","
        "\"session_id\":\"s\",\"project_id\":\"p\",\"input\":\"in\","
        "\"output\":\"out\",\"metadata\":{\"model\":\"m\",\"provider\":\"v\","
        "\"latency_ms\":2000,\"token_count_input\":3,\"token_count_output\":4,"
        "\"cost_cents\":0.5,\"user_id\":\"u\",\"tags\":[\"t\",\"\"],"
        "\"text\":\"x\",\"yes\":true,\"int\":-7,\"size\":7,"
        "\"most\":9.223372036854776e18,\"half\":0.5,\"null\":null,\"raw\":1},"
        "\"timestamp\":\"1970-01-01T00:00:01.000000Z\"}]}");
}

void an_output_arrives_in_one_piece(void **)
{
    service there;
    phos::client client(there.options());
    phos::event event;

    event.input("in").output_part("o").output_part("").output_part("ut");
    assert_int_equal(client.log(event), PHOS_OK);
    assert_int_equal(client.flush(seconds(30)), PHOS_OK);
    assert_int_equal(there.bodies().size(), 1);
    assert_non_null(strstr(there.bodies()[0].c_str(), "\"output\":\"out\""));
}

void a_cleared_event_starts_anew(void **)
{
    phos::event event;

    event.input("a").output_part("b").id(phos::event_id::make()).cookie(7);
    event.tag("t").pair("k", 1).clear();
    assert_null(event->input.data);
    assert_int_equal(event->cookie, 0);
    assert_int_equal(event->latency_ms, PHOS_UNSET);
    assert_null(event.get().event_id);
    assert_int_equal(event.get().tag_count, 0);
    assert_int_equal(event.get().pair_count, 0);
    assert_int_equal(event.get().output_part_count, 0);
}

void a_copied_event_stands_alone(void **)
{
    phos::event_id id;
    phos::event copy;

    {
        phos::event event("a", "b");

        event.id(phos::event_id::parse(id_text)).tag("t").pair("k", 1);
        copy = event;
    }
    const phos_event whole = copy.get();
    assert_memory_equal(whole.event_id->bytes,
                        phos::event_id::parse(id_text).get()->bytes, 16);
    assert_int_equal(whole.tag_count, 1);
    assert_int_equal(whole.tags[0].length, 1);
    assert_int_equal(whole.pairs[0].integer, 1);
}

#if __cplusplus >= 201703L
void a_string_view_is_a_text(void **)
{
    const std::string_view view = "in and out";
    const phos::event event(view.substr(0, 2), view.substr(7));

    assert_int_equal(event->input.length, 2);
    assert_memory_equal(event->output.data, "out", 3);
    assert_true(std::string_view(phos::text(view)) == view);
    assert_null(phos::text(std::string_view()).data());
}
#endif

void no_text_is_left_out_and_empty_text_is_not(void **)
{
    const phos::event event(std::string("").c_str(), nullptr);

    assert_non_null(event->input.data);
    assert_int_equal(event->input.length, 0);
    assert_null(event->output.data);
}

/* ---- ids ---- */

void ids_are_values(void **)
{
    const phos::event_id id = phos::event_id::parse(id_text);
    const phos::event_id other = phos::event_id::make();
    const std::unordered_set<phos::event_id> set = { id, other, id };
    phos::event_id parsed = id;

    assert_string_equal(id.to_string().c_str(), id_text);
    assert_true(id != other);
    assert_true(id == phos::event_id(*id.get()));
    assert_true((id < other) != (other < id));
    assert_int_equal(set.size(), 2);
    assert_int_equal(phos::event_id::parse("no", parsed), PHOS_E_INVALID);
    assert_true(parsed == id);
    try {
        phos::event_id::parse("no");
        fail();
    } catch (const phos::error &error) {
        assert_int_equal(error.status(), PHOS_E_INVALID);
    }
}

void session_ids_are_strings(void **)
{
    std::string id = "kept";

    assert_int_equal(phos::make_session_id().size(), 16);
    assert_int_equal(phos::make_session_id("user").size(), 21);
    assert_int_equal(phos::make_session_id(std::string(201, 'x'), id),
                     PHOS_E_INVALID);
    assert_string_equal(id.c_str(), "kept");
    try {
        phos::make_session_id(std::string(201, 'x'));
        fail();
    } catch (const phos::error &error) {
        assert_int_equal(error.status(), PHOS_E_INVALID);
    }
}

/* ---- opening and owning ---- */

void a_client_that_cannot_open_says_why(void **)
{
    service there;
    phos::options options = there.options();
    phos::client client(options);
    std::string heard;

    options->in_flight_max = 99;
    options.on_diagnostic([&](const phos_diagnostic &diagnostic) {
        heard = diagnostic.error.text;
    });
    try {
        phos::client fails(options);
        fail();
    } catch (const phos::error &error) {
        assert_int_equal(error.status(), PHOS_E_INVALID);
        assert_non_null(strstr(error.what(), "phos_client_open"));
    }
    assert_non_null(strstr(heard.c_str(), "in_flight_max"));
    /* What was open stays open. */
    assert_int_equal(phos::client::open(options, client), PHOS_E_INVALID);
    assert_int_equal(client.log(phos::event("a", "b")), PHOS_OK);
    assert_int_equal(client.flush(seconds(30)), PHOS_OK);
}

void c_callbacks_and_functions_do_not_mix(void **)
{
    service there;
    phos::options options = there.options();
    phos::client client;

    options->user_data = &there;
    assert_int_equal(phos::client::open(options, client), PHOS_OK);
    options.on_receipts([](const phos::receipts &) {});
    assert_int_equal(phos::client::open(options, client), PHOS_E_INVALID);
}

void feedback_is_given_in_one_call(void **)
{
    service there;
    phos::options options = there.options();
    phos::client client;
    phos::event_id id;

    assert_int_equal(phos::client::open(options, client), PHOS_OK);
    assert_int_equal(client.log(phos::event("a", "b"), &id), PHOS_OK);
    assert_int_equal(client.feedback(id, PHOS_FLAG_FAILURE, "too short"),
                     PHOS_OK);
    assert_int_equal(client.flush(seconds(30)), PHOS_OK);
    assert_int_equal(there.bodies().size(), 2);
    assert_non_null(strstr(there.bodies()[1].c_str(),
                           "\"flag\":\"failure\",\"comment\":\"too short\","
                           "\"source\":\"user\"}"));
}

void a_client_of_nothing_is_closed(void **)
{
    phos::client client;
    phos_stats stats;

    client.begin_shutdown();
    assert_false(static_cast<bool>(client));
    assert_int_equal(client.log(phos::event("a", "b")), PHOS_E_CLOSED);
    assert_int_equal(client.feedback(phos::event_id(), PHOS_FLAG_SUCCESS),
                     PHOS_E_CLOSED);
    assert_int_equal(client.flush(seconds(1)), PHOS_E_CLOSED);
    assert_int_equal(client.close(seconds(1)), PHOS_E_CLOSED);
    assert_int_equal(client.set_api_key("ph_new"), PHOS_E_CLOSED);
    assert_int_equal(client.stats(stats), PHOS_E_CLOSED);
    try {
        client.stats();
        fail();
    } catch (const phos::error &error) {
        assert_int_equal(error.status(), PHOS_E_CLOSED);
    }
}

void a_moved_client_goes_on_elsewhere(void **)
{
    service first, second;
    phos::client from(first.options()), to(second.options());
    phos_client *const handle = from.get();

    assert_int_equal(to.log(phos::event("to", "")), PHOS_OK);
    to = std::move(from);
    assert_ptr_equal(to.get(), handle);
    assert_int_equal(second.bodies().size(), 1); /* closed in order */
    assert_int_equal(from.log(phos::event("x", "")), PHOS_E_CLOSED);

    phos::client again(std::move(to));
    assert_int_equal(again.log(phos::event("again", "")), PHOS_OK);
    assert_int_equal(again.flush(seconds(30)), PHOS_OK);
    assert_int_equal(first.bodies().size(), 1);
}

void the_destructor_closes_in_order(void **)
{
    service there;
    phos::options options = there.options();

    options->linger_ms = 60000;
    {
        phos::client client(options);

        assert_int_equal(client.log(phos::event("a", "b")), PHOS_OK);
    }
    assert_int_equal(there.bodies().size(), 1);
}

void clients_share_a_worker(void **)
{
    service there;
    phos::options options = there.options();
    phos::worker worker{ phos_worker_options_default() }, none;
    phos_worker_options broken = phos_worker_options_default();

    broken.struct_size = 1;
    assert_false(static_cast<bool>(none));
    assert_int_equal(phos::worker::open(broken, none), PHOS_E_INVALID);
    try {
        phos::worker fails(broken);
        fail();
    } catch (const phos::error &error) {
        assert_int_equal(error.status(), PHOS_E_INVALID);
    }
    options.worker(worker);
    assert_ptr_equal(options->worker, worker.get());

    phos::client one(options), two(options);
    none = std::move(worker);
    none = phos::worker(); /* the clients hold the thread */
    assert_int_equal(one.log(phos::event("1", "")), PHOS_OK);
    assert_int_equal(two.log(phos::event("2", "")), PHOS_OK);
    assert_int_equal(one.flush(seconds(30)), PHOS_OK);
    assert_int_equal(two.flush(seconds(30)), PHOS_OK);
    assert_int_equal(there.bodies().size(), 2);
}

/* ---- the account ---- */

void statistics_and_report_add_up(void **)
{
    service there;
    phos::client client(there.options());
    phos_close_report report;
    phos_stats stats;
    phos::event_id id;

    assert_int_equal(client.log(phos::event("a", "b"), &id), PHOS_OK);
    assert_true(id != phos::event_id());
    assert_int_equal(client.flush(seconds(30)), PHOS_OK);
    assert_int_equal(client.stats(stats), PHOS_OK);
    assert_int_equal(stats.ledger.delivered, 1);
    assert_int_equal(client.stats().ledger.delivered, 1);
    assert_int_equal(client.close(seconds(30), &report), PHOS_OK);
    assert_int_equal(report.ledger.delivered, 1);
    assert_int_equal(client.log(phos::event("a", "b")), PHOS_E_CLOSED);
}

void times_are_kept_within_what_c_can_say(void **)
{
    assert_int_equal(phos::detail::to_ms(milliseconds(-1)), 0);
    assert_int_equal(phos::detail::to_ms(seconds(2)), 2000);
    assert_int_equal(phos::detail::to_ms(milliseconds(UINT32_MAX)), UINT32_MAX);
    assert_int_equal(phos::detail::to_ms(std::chrono::hours(24 * 365)),
                     UINT32_MAX);
}

/* ---- callbacks ---- */

void functions_hear_receipts_and_refusals(void **)
{
    service there(422);
    phos::options options = there.options();
    std::vector<std::uint64_t> cookies;
    std::string refused;

    options.on_receipts([&](const phos::receipts &receipts) {
        for (const phos_receipt &receipt : receipts)
            if (receipt.outcome == PHOS_OUTCOME_REFUSED)
                cookies.push_back(receipt.cookie);
    });
    options.on_refused([&](const phos_receipt &receipt, phos::text json) {
        refused = std::to_string(receipt.cookie) + json.to_string();
    });
    phos::client client(options);
    assert_int_equal(client.log(phos::event("a", "b").cookie(42)), PHOS_OK);
    assert_int_equal(client.close(seconds(30)), PHOS_OK);
    assert_int_equal(cookies.size(), 1);
    assert_int_equal(cookies[0], 42);
    assert_int_equal(refused.compare(0, 3, "42{"), 0);
}

void what_a_function_does_not_let_through_is_not_sent(void **)
{
    service there;
    phos::options options = there.options();
    const std::string masked = "***";
    phos_close_report report;

    options.before_send([&](phos_event &event) {
        if (event.cookie == 2)
            return false;
        if (event.cookie == 3)
            throw std::runtime_error("no pattern");
        event.input = phos::text(masked);
        return true;
    });
    phos::client client(options);
    for (std::uint64_t cookie = 1; cookie <= 3; cookie++)
        assert_int_equal(client.log(phos::event("in", "").cookie(cookie)),
                         PHOS_OK);
    assert_int_equal(client.close(seconds(30), &report), PHOS_OK);
    assert_int_equal(report.ledger.delivered, 1);
    assert_int_equal(report.ledger.by_reason[PHOS_REASON_BEFORE_SEND], 2);
    assert_int_equal(client.callback_exceptions(), 1);
    assert_non_null(strstr(there.bodies()[0].c_str(), "\"input\":\"***\""));
}

void a_function_hears_that_the_ring_fills(void **)
{
    service there(503);
    phos::options options = there.options();
    const std::string output(1000, 'x');
    std::uint64_t used = 0, all = 0;
    signal_flag heard;

    options.on_high_water([&](std::uint64_t now, std::uint64_t of) {
        used = now;
        all = of;
        heard.set();
    });
    phos::client client(options);
    while (client.log(phos::event("a", output)) == PHOS_OK)
        ;
    assert_true(heard.wait());
    assert_int_equal(client.close(seconds(0)), PHOS_E_TIMEOUT);
    assert_true(used > all / 100 * 75);
    assert_int_equal(all, 65536);
}

void an_exception_of_a_callback_is_told_and_goes_no_further(void **)
{
    service there;
    phos::options options = there.options();
    std::vector<std::string> heard;

    options.on_receipts([](const phos::receipts &receipts) {
        if (receipts[0].cookie == 1)
            throw std::runtime_error("no\nroom");
        throw 2;
    });
    options.on_diagnostic([&](const phos_diagnostic &diagnostic) {
        heard.push_back(std::to_string(diagnostic.severity) + " " +
                        diagnostic.error.text);
    });
    phos::client client(options);
    for (std::uint64_t cookie = 1; cookie <= 2; cookie++) {
        assert_int_equal(client.log(phos::event("a", "").cookie(cookie)),
                         PHOS_OK);
        assert_int_equal(client.flush(seconds(30)), PHOS_OK);
    }
    assert_int_equal(client.close(seconds(30)), PHOS_OK);
    assert_int_equal(client.callback_exceptions(), 2);
    assert_int_equal(heard.size(), 2);
    assert_string_equal(heard[0].c_str(), "2 on_receipts threw: no?room");
    assert_string_equal(
        heard[1].c_str(),
        "2 on_receipts threw: something that is no std::exception");
}

void an_exception_with_nobody_to_tell_is_counted(void **)
{
    service there;
    phos::options options = there.options();
    std::size_t length = 0;

    options.on_receipts([](const phos::receipts &) {
        throw std::runtime_error(std::string(1000, 'x'));
    });
    options.on_diagnostic([&](const phos_diagnostic &diagnostic) {
        length = strlen(diagnostic.error.text);
        throw 1;
    });
    phos::client client(options);
    assert_int_equal(client.log(phos::event("a", "b")), PHOS_OK);
    assert_int_equal(client.close(seconds(30)), PHOS_OK);
    assert_int_equal(client.callback_exceptions(), 2);
    assert_int_equal(length, PHOS_ERROR_TEXT_BYTES - 1);
}

void a_callback_outlives_its_client(void **)
{
    service there;
    phos::options options = there.options();
    signal_flag entered, may_leave, destroyed;
    int left = 0;

    options.close_timeout(milliseconds(0));
    {
        /* Counts the function's own state, not the service's. */
        const std::shared_ptr<int> state(new int(7), [&](int *number) {
            delete number;
            destroyed.set();
        });

        options.on_receipts([&, state](const phos::receipts &) {
            entered.set();
            left = may_leave.wait() ? *state : 0;
        });
    }
    {
        phos::client client(options);

        options.on_receipts(nullptr);
        assert_int_equal(client.log(phos::event("a", "b")), PHOS_OK);
        assert_true(entered.wait());
    }
    may_leave.set();
    assert_true(destroyed.wait());
    assert_int_equal(left, 7);
}

/* No thread but this one is there, so that the child may allocate. */
void the_child_of_a_fork_has_listeners_of_its_own(void **)
{
    using phos::detail::registry;
    const std::shared_ptr<phos::detail::listener> listener =
        std::make_shared<phos::detail::listener>(phos::detail::functions());
    void *const parents = registry::instance().add(listener);
    const pid_t child = fork();
    int status = -1;

    assert_true(child >= 0);
    if (child == 0) {
        void *const own = registry::instance().add(listener);
        const bool holds = own != parents &&
                           !registry::instance().find(parents) &&
                           registry::instance().find(own) == listener;

        _exit(holds ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(registry::instance().find(parents) == listener);
    registry::instance().remove(parents);
    assert_null(registry::instance().find(parents).get());
}

} // namespace

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(the_child_of_a_fork_has_listeners_of_its_own),
        cmocka_unit_test(an_event_arrives_with_all_that_was_set),
        cmocka_unit_test(an_output_arrives_in_one_piece),
        cmocka_unit_test(a_cleared_event_starts_anew),
        cmocka_unit_test(a_copied_event_stands_alone),
#if __cplusplus >= 201703L
        cmocka_unit_test(a_string_view_is_a_text),
#endif
        cmocka_unit_test(no_text_is_left_out_and_empty_text_is_not),
        cmocka_unit_test(ids_are_values),
        cmocka_unit_test(session_ids_are_strings),
        cmocka_unit_test(a_client_that_cannot_open_says_why),
        cmocka_unit_test(c_callbacks_and_functions_do_not_mix),
        cmocka_unit_test(feedback_is_given_in_one_call),
        cmocka_unit_test(a_client_of_nothing_is_closed),
        cmocka_unit_test(a_moved_client_goes_on_elsewhere),
        cmocka_unit_test(the_destructor_closes_in_order),
        cmocka_unit_test(clients_share_a_worker),
        cmocka_unit_test(statistics_and_report_add_up),
        cmocka_unit_test(times_are_kept_within_what_c_can_say),
        cmocka_unit_test(functions_hear_receipts_and_refusals),
        cmocka_unit_test(what_a_function_does_not_let_through_is_not_sent),
        cmocka_unit_test(a_function_hears_that_the_ring_fills),
        cmocka_unit_test(
            an_exception_of_a_callback_is_told_and_goes_no_further),
        cmocka_unit_test(an_exception_with_nobody_to_tell_is_counted),
        cmocka_unit_test(a_callback_outlives_its_client),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
