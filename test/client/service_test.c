/* Calls to a service: what travels, what comes back, what is made again, and
 * that each call ends exactly once. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/child.h"
#include "client/process.h"
#include "harness/failing_alloc.h"
#include "harness/fault_server.h"
#include "phos/phos.h"

enum { PATIENT_MS = 20000, STEPS_MAX = 64 };

static const char secret[] = "a_secret_that_nobody_may_see";

/* ---- the world ---- */

struct world {
    struct fault_plan steps[STEPS_MAX]; /* of requests 1, 2, …; the last one
                                           stands for all after it */
    unsigned step_count;
    struct fault_server *server;
    struct failing_alloc memory;
    phos_service_options options;
    phos_service *service;
    char url[256];
    char location[512];
};

static struct world world;

static void follow_steps(void *user_data, uint64_t number,
                         struct fault_plan *plan)
{
    uint64_t last = world.step_count - 1;

    (void)user_data;
    *plan = world.steps[number - 1 < last ? number - 1 : last];
}

static struct fault_plan *add_step(int status)
{
    struct fault_plan *step = &world.steps[world.step_count++];

    assert_true(world.step_count <= STEPS_MAX);
    step->status = status;
    step->cut_request_after = step->cut_reply_after = FAULT_NEVER;
    step->store = FAULT_STORE_NEVER;
    return step;
}

/* A server that will follow the steps added, and options for it. */
static void start_world(void)
{
    const struct fault_options server = { .plan = follow_steps };

    memset(&world, 0, sizeof(world));
    world.server = fault_server_start(&server);
    assert_non_null(world.server);
    snprintf(world.url, sizeof(world.url), "%s/base/",
             fault_server_url(world.server));
    failing_alloc_reset(&world.memory, 0, false);
    world.options = phos_service_options_default();
    world.options.base_url = phos_str_make(world.url, strlen(world.url));
    world.options.auth = PHOS_AUTH_BEARER;
    world.options.credential = phos_str_make(secret, strlen(secret));
    world.options.retry.initial_ms = 1;
    world.options.retry.max_ms = 2;
    world.options.allocator = failing_alloc_make(&world.memory);
}

static void open_world(void)
{
    assert_int_equal(phos_service_open(&world.options, &world.service),
                     PHOS_OK);
}

static void end_world(void)
{
    phos_service_free(world.service);
    counter_await_below(&world.memory.blocks, 1);
    fault_server_free(world.server);
}

/* A witness for on_done. */
struct ending {
    atomic_int count;
    phos_status status;
    int http_status;
};

static void note_end(const phos_result *result, void *user_data)
{
    struct ending *ending = user_data;

    ending->status = result->status;
    ending->http_status = result->http_status;
    atomic_fetch_add(&ending->count, 1);
}

static phos_call *ask(phos_str method, phos_str path, phos_str body,
                      const phos_call_options *options)
{
    phos_call *call = NULL;

    assert_int_equal(
        phos_service_call(world.service, method, path, body, options, &call),
        PHOS_OK);
    assert_non_null(call);
    return call;
}

static const phos_str no_body = { NULL, 0 };

static phos_call *get(const phos_call_options *options)
{
    return ask(PHOS_STR("GET"), PHOS_STR("/things"), no_body, options);
}

static phos_call *post(const phos_call_options *options)
{
    return ask(PHOS_STR("POST"), PHOS_STR("/things"), PHOS_STR("{\"a\":1}"),
               options);
}

static const phos_result *await_end(phos_call *call)
{
    const phos_result *result = NULL;

    assert_int_equal(phos_call_wait(call, PATIENT_MS, &result), PHOS_OK);
    assert_non_null(result);
    assert_int_equal(result->status, result->error.status);
    assert_null(strstr(result->error.text, secret));
    return result;
}

static void assert_text(phos_str got, const char *want)
{
    assert_int_equal(got.length, strlen(want));
    assert_memory_equal(got.data, want, got.length);
}

/* ---- there and back ---- */

static void a_request_travels_as_asked_and_its_answer_comes_back(void **state)
{
    struct ending ending = { .count = 0 };
    phos_call_options options = phos_call_options_default();
    struct fault_request seen;
    const phos_result *result;
    struct fault_plan *step;
    phos_call *call;

    (void)state;
    start_world();
    step = add_step(200);
    step->headers = "X-Page: 7\r\n";
    step->body = "{\"id\":\"t1\"}";
    open_world();
    options.on_done = note_end;
    options.user_data = &ending;
    call = ask(PHOS_STR("POST"), PHOS_STR("/things?limit=1"),
               PHOS_STR("{\"a\":1}"), &options);
    result = await_end(call);
    seen = fault_server_request(world.server, 0);

    assert_string_equal(seen.method, "POST");
    assert_string_equal(seen.path, "/base/things?limit=1");
    assert_string_equal(seen.body, "{\"a\":1}");
    assert_string_equal(fault_request_header(&seen, "Authorization"),
                        "Bearer a_secret_that_nobody_may_see");
    assert_string_equal(fault_request_header(&seen, "Content-Type"),
                        "application/json");
    assert_string_equal(fault_request_header(&seen, "Accept"),
                        "application/json");
    assert_string_equal(fault_request_header(&seen, "User-Agent"),
                        "libphos/" PHOS_VERSION_TEXT);

    assert_int_equal(result->status, PHOS_OK);
    assert_int_equal(result->http_status, 200);
    assert_int_equal(result->attempts, 1);
    assert_text(result->body, "{\"id\":\"t1\"}");
    assert_int_equal(result->detail.length, 0);
    for (size_t i = 0; i < result->header_count; i++)
        if (result->headers[i].name.length == 6)
            assert_text(result->headers[i].value, "7");
    assert_int_equal(ending.count, 1);
    assert_int_equal(ending.http_status, 200);
    phos_call_free(call);
    end_world();
}

static void a_calls_headers_stand_in_the_place_of_the_services(void **state)
{
    static const phos_header of_service[] = {
        { { "X-A", 3 }, { "service", 7 } }, { { "X-B", 3 }, { "service", 7 } }
    };
    static const phos_header of_call[] = {
        { { "x-b", 3 }, { "call", 4 } }, { { "Accept", 6 }, { "text/x", 6 } }
    };
    phos_call_options options = phos_call_options_default();
    struct fault_request seen;
    phos_call *call;

    (void)state;
    start_world();
    add_step(204)->body = "";
    world.options.headers = of_service;
    world.options.header_count = 2;
    world.options.auth = PHOS_AUTH_COOKIE;
    world.options.cookie_name = PHOS_STR("user_sub");
    open_world();
    options.headers = of_call;
    options.header_count = 2;
    call = get(&options);
    assert_int_equal(await_end(call)->status, PHOS_OK);
    seen = fault_server_request(world.server, 0);
    assert_string_equal(fault_request_header(&seen, "X-A"), "service");
    assert_string_equal(fault_request_header(&seen, "X-B"), "call");
    assert_string_equal(fault_request_header(&seen, "Accept"), "text/x");
    assert_string_equal(fault_request_header(&seen, "Cookie"),
                        "user_sub=a_secret_that_nobody_may_see");
    assert_null(fault_request_header(&seen, "Authorization"));
    assert_null(fault_request_header(&seen, "Content-Type"));
    phos_call_free(call);
    end_world();
}

static void a_credential_may_be_replaced(void **state)
{
    struct fault_request seen;

    (void)state;
    start_world();
    add_step(200);
    open_world();
    for (uint64_t i = 0; i < 2; i++) {
        phos_call *call = get(NULL);

        await_end(call);
        phos_call_free(call);
        seen = fault_server_request(world.server, i);
        assert_string_equal(fault_request_header(&seen, "Authorization"),
                            i ? "Bearer fresh"
                              : "Bearer a_secret_that_nobody_may_see");
        assert_int_equal(
            phos_service_set_credential(world.service, PHOS_STR("fresh")),
            PHOS_OK);
    }
    assert_int_equal(
        phos_service_set_credential(world.service, PHOS_STR("a\r\nb")),
        PHOS_E_INVALID);
    assert_int_equal(phos_service_set_credential(NULL, PHOS_STR("a")),
                     PHOS_E_CLOSED);
    end_world();
}

/* ---- failures ---- */

static void an_error_says_what_the_service_says(void **state)
{
    static const struct {
        int status;
        const char *body, *text, *detail;
        size_t problems;
    } rows[] = {
        { 404, "{\"detail\":\"Agent not found\"}", "HTTP 404: Agent not found",
          "Agent not found", 0 },
        { 422,
          "{\"detail\":[{\"loc\":[\"body\",0],\"msg\":\"no\",\"type\":\"t\"}]}",
          "HTTP 422: no", "no", 1 },
        { 401, "{\"error\":\"who is a_secret_that_nobody_may_see?\"}",
          "HTTP 401: who is ****************************?",
          "who is a_secret_that_nobody_may_see?", 0 },
        { 500, "Internal Server Error", "HTTP 500: Internal Server Error",
          "Internal Server Error", 0 },
        { 302, "", "HTTP 302", "", 0 },
    };

    (void)state;
    start_world();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        add_step(rows[i].status)->body = rows[i].body;
    open_world();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        phos_call *call = post(NULL);
        const phos_result *result = await_end(call);

        assert_int_equal(result->status, PHOS_E_HTTP);
        assert_int_equal(result->http_status, rows[i].status);
        assert_int_equal(result->error.code, rows[i].status);
        assert_string_equal(result->error.text, rows[i].text);
        assert_text(result->detail, rows[i].detail);
        assert_text(result->body, rows[i].body);
        assert_int_equal(result->problem_count, rows[i].problems);
        assert_int_equal(result->attempts, 1);
        phos_call_free(call);
    }
    end_world();
}

static void a_reply_that_is_cut_or_too_large_is_no_success(void **state)
{
    static char body[5001];
    phos_call *call;

    (void)state;
    start_world();
    memset(body, 'x', sizeof(body) - 1);
    add_step(200)->body = body;
    add_step(200)->body = body;
    world.steps[1].cut_reply_after = 2000;
    world.options.reply_bytes_max = sizeof(body) - 2;
    open_world();
    call = post(NULL);
    assert_int_equal(await_end(call)->status, PHOS_E_TOO_LARGE);
    phos_call_free(call);
    call = post(NULL);
    assert_int_equal(await_end(call)->status, PHOS_E_NETWORK);
    phos_call_free(call);
    end_world();
}

static void silence_ends_in_time(void **state)
{
    phos_call_options options = phos_call_options_default();
    phos_call *call;

    (void)state;
    start_world();
    add_step(200)->stall = FAULT_STALL_BEFORE_STATUS;
    open_world();
    options.timeout_ms = 50;
    call = get(&options);
    assert_int_equal(await_end(call)->status, PHOS_E_TIMEOUT);
    phos_call_free(call);
    end_world();
}

/* ---- again ---- */

/* Fails `failures` times with that status, then succeeds; returns the attempts
 * that the call took. */
static uint32_t attempts_of(bool is_post, const phos_call_options *options,
                            int status, unsigned failures, bool *ret_succeeds)
{
    const phos_result *result;
    uint32_t attempts;
    phos_call *call;

    start_world();
    for (unsigned i = 0; i < failures; i++)
        add_step(status);
    add_step(200);
    open_world();
    call = is_post ? post(options) : get(options);
    result = await_end(call);
    attempts = result->attempts;
    *ret_succeeds = result->status == PHOS_OK;
    assert_int_equal(fault_server_requests(world.server), attempts);
    phos_call_free(call);
    end_world();
    return attempts;
}

static void what_may_be_repeated_is(void **state)
{
    phos_retry backoff = phos_retry_backoff(1, 2, 1.1, PATIENT_MS);
    phos_retry never = phos_retry_never();
    phos_call_options safe = phos_call_options_default();
    phos_call_options all = phos_call_options_default();
    phos_call_options none = phos_call_options_default();
    bool succeeds;

    (void)state;
    safe.is_safe = true;
    all.retry = &backoff;
    none.retry = &never;
    assert_int_equal(attempts_of(false, NULL, 503, 2, &succeeds), 3);
    assert_true(succeeds);
    assert_int_equal(attempts_of(false, NULL, 503, 9, &succeeds), 4);
    assert_false(succeeds);
    assert_int_equal(attempts_of(false, NULL, 404, 1, &succeeds), 1);
    assert_int_equal(attempts_of(false, &none, 503, 1, &succeeds), 1);
    assert_int_equal(attempts_of(true, NULL, 503, 1, &succeeds), 1);
    assert_int_equal(attempts_of(true, &safe, 503, 1, &succeeds), 2);
    assert_true(succeeds);
    assert_int_equal(attempts_of(true, &all, 503, 7, &succeeds), 8);
    assert_true(succeeds);
}

static void what_was_not_sent_is_sent_again(void **state)
{
    phos_call *call;

    (void)state;
    start_world();
    add_step(200);
    open_world();
    fault_server_stop(world.server); /* its port is nobody's now */
    call = post(NULL);
    assert_int_equal(await_end(call)->status, PHOS_E_NETWORK);
    assert_int_equal(await_end(call)->attempts, 4);
    phos_call_free(call);
    end_world();
}

/* What would begin after its end is not begun. */
static void a_wait_does_not_outlast_the_call(void **state)
{
    phos_call_options options = phos_call_options_default();
    phos_call *call;

    (void)state;
    start_world();
    add_step(503)->headers = "Retry-After: 3600\r\n";
    open_world();
    options.timeout_ms = PATIENT_MS;
    call = get(&options);
    assert_int_equal(await_end(call)->http_status, 503);
    assert_int_equal(await_end(call)->attempts, 1);
    phos_call_free(call);
    end_world();
}

/* ---- redirects ---- */

static const char *location(const char *origin, const char *path)
{
    snprintf(world.location, sizeof(world.location), "Location: %s%s\r\n",
             origin, path);
    return world.location;
}

static void a_redirect_on_the_same_origin_is_followed(void **state)
{
    struct fault_request seen;
    phos_call *call;

    (void)state;
    start_world();
    add_step(307)->headers = "Location: /elsewhere?x=1\r\n";
    add_step(308)->headers =
        location(fault_server_url(world.server), "/at/last");
    add_step(200);
    open_world();
    call = post(NULL);
    assert_int_equal(await_end(call)->status, PHOS_OK);
    assert_int_equal(fault_server_requests(world.server), 3);
    seen = fault_server_request(world.server, 1);
    assert_string_equal(seen.path, "/elsewhere?x=1");
    seen = fault_server_request(world.server, 2);
    assert_string_equal(seen.path, "/at/last");
    assert_string_equal(seen.method, "POST");
    assert_string_equal(seen.body, "{\"a\":1}");
    assert_non_null(fault_request_header(&seen, "Authorization"));
    phos_call_free(call);
    end_world();
}

/* The credential is for one origin. */
static void any_other_redirect_is_a_result(void **state)
{
    static const struct {
        int status;
        const char *headers;
    } rows[] = {
        { 307, "Location: http://127.0.0.1:1/x\r\n" },
        { 307, "Location: //127.0.0.1:1/x\r\n" },
        { 307, "Location: relative\r\n" },
        { 307, "Location: /a b\r\n" },
        { 308, "" },
        { 301, "Location: /x\r\n" },
        { 302, "Location: /x\r\n" },
        { 303, "Location: /x\r\n" },
    };

    (void)state;
    start_world();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        add_step(rows[i].status)->headers = rows[i].headers;
    open_world();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        phos_call *call = post(NULL);

        assert_int_equal(await_end(call)->http_status, rows[i].status);
        phos_call_free(call);
    }
    assert_int_equal(fault_server_requests(world.server),
                     sizeof(rows) / sizeof(rows[0]));
    end_world();
}

/* An origin that only begins like ours is another. */
static void a_longer_port_is_another_origin(void **state)
{
    phos_call *call;

    (void)state;
    start_world();
    add_step(307)->headers = location(fault_server_url(world.server), "1/x");
    open_world();
    call = post(NULL);
    assert_int_equal(await_end(call)->http_status, 307);
    phos_call_free(call);
    end_world();
}

static void redirects_have_an_end(void **state)
{
    phos_call *call;

    (void)state;
    start_world();
    add_step(307)->headers = "Location: /round\r\n";
    open_world();
    call = post(NULL);
    assert_int_equal(await_end(call)->http_status, 307);
    assert_int_equal(fault_server_requests(world.server), 6);
    phos_call_free(call);
    end_world();
}

/* ---- ends ---- */

static void a_cancel_ends_a_call_wherever_it_is(void **state)
{
    phos_retry slow = phos_retry_default();
    phos_call_options options = phos_call_options_default();
    struct ending ending = { .count = 0 };
    phos_call *stalled, *waiting;

    (void)state;
    start_world();
    add_step(503);
    add_step(200)->stall = FAULT_STALL_BEFORE_STATUS;
    open_world();
    slow.initial_ms = slow.max_ms = 3600000;
    options.timeout_ms = UINT32_MAX;
    options.retry = &slow;
    options.on_done = note_end;
    options.user_data = &ending;
    waiting = get(&options);
    assert_true(fault_server_wait_answered(world.server, 1));
    stalled = get(&options);
    assert_true(fault_server_wait_begun(world.server, 2));
    assert_int_equal(phos_call_wait(stalled, 1, NULL), PHOS_E_TIMEOUT);
    phos_call_cancel(stalled);
    phos_call_cancel(waiting);
    assert_int_equal(await_end(stalled)->status, PHOS_E_CANCELLED);
    assert_int_equal(await_end(waiting)->status, PHOS_E_CANCELLED);
    phos_call_cancel(waiting); /* too late to matter */
    assert_int_equal(ending.count, 2);
    phos_call_free(stalled);
    phos_call_free(waiting);
    phos_call_cancel(NULL);
    phos_call_free(NULL);
    end_world();
}

static void freeing_a_service_ends_each_call_once(void **state)
{
    enum { CALLS = 20 };
    phos_call_options options = phos_call_options_default();
    struct ending endings[CALLS] = { 0 };
    phos_call *calls[CALLS];

    (void)state;
    start_world();
    add_step(200)->stall = FAULT_STALL_BEFORE_STATUS;
    open_world();
    options.on_done = note_end;
    for (unsigned i = 0; i < CALLS; i++) {
        options.user_data = &endings[i];
        calls[i] = get(&options);
    }
    assert_true(fault_server_wait_begun(world.server, 1));
    phos_service_free(world.service);
    world.service = NULL;
    for (unsigned i = 0; i < CALLS; i++) {
        assert_int_equal(await_end(calls[i])->status, PHOS_E_CANCELLED);
        assert_int_equal(endings[i].count, 1);
        phos_call_free(calls[i]);
    }
    end_world();
}

static void a_call_that_nobody_holds_goes_on(void **state)
{
    phos_call_options options = phos_call_options_default();
    struct ending ending = { .count = 0 };

    (void)state;
    start_world();
    add_step(200);
    open_world();
    options.on_done = note_end;
    options.user_data = &ending;
    phos_call_free(get(&options));
    assert_int_equal(phos_service_call(world.service, PHOS_STR("GET"),
                                       PHOS_STR("/"), no_body, &options, NULL),
                     PHOS_OK);
    counter_await(&ending.count, 2);
    assert_int_equal(ending.status, PHOS_OK);
    end_world();
}

/* ---- callbacks ---- */

static struct {
    phos_call *inner;
    phos_status of_wait;
    struct ending ending;
} chain;

static void start_another(const phos_result *result, void *user_data)
{
    (void)user_data;
    assert_int_equal(result->status, PHOS_OK);
    chain.inner = get(NULL);
    chain.of_wait = phos_call_wait(chain.inner, PATIENT_MS, NULL);
    atomic_fetch_add(&chain.ending.count, 1);
}

static void a_callback_may_start_a_call_and_not_wait_for_it(void **state)
{
    phos_call_options options = phos_call_options_default();

    (void)state;
    memset(&chain, 0, sizeof(chain));
    start_world();
    add_step(200);
    open_world();
    options.on_done = start_another;
    phos_call_free(get(&options));
    counter_await(&chain.ending.count, 1);
    assert_int_equal(chain.of_wait, PHOS_E_WOULD_DEADLOCK);
    assert_int_equal(await_end(chain.inner)->status, PHOS_OK);
    phos_call_free(chain.inner);
    end_world();
}

/* ---- another transport ---- */

static phos_status answer_at_once(void *user_data, const phos_request *request,
                                  phos_reply_fn *on_reply, void *reply_data)
{
    const phos_reply reply = { .struct_size = sizeof(reply),
                               .exchange = PHOS_EXCHANGE_ANSWERED,
                               .http_status = 200,
                               .body = request->body };
    atomic_int *count = user_data;

    if (atomic_fetch_add(count, 1) % 2 == 1)
        return PHOS_E_NO_MEMORY;
    on_reply(&reply, reply_data);
    return PHOS_OK;
}

static void ignore_cancel(void *user_data, uint64_t id, void *reply_data)
{
    (void)user_data;
    (void)id;
    (void)reply_data;
}

static void a_transport_may_answer_or_fail_inside_of_submit(void **state)
{
    atomic_int count = 0;
    const phos_transport transport = { sizeof(transport), &count,
                                       answer_at_once, ignore_cancel, NULL };

    (void)state;
    start_world();
    add_step(200);
    world.options.transport = &transport;
    open_world();
    for (uint32_t i = 0; i < 20; i++) {
        phos_call *call = post(NULL);

        assert_int_equal(await_end(call)->status, PHOS_OK);
        assert_int_equal(await_end(call)->attempts, i == 0 ? 1 : 2);
        assert_text(await_end(call)->body, "{\"a\":1}");
        phos_call_free(call);
    }
    end_world();
}

static phos_status never_send(void *user_data, const phos_request *request,
                              phos_reply_fn *on_reply, void *reply_data)
{
    (void)user_data;
    (void)request;
    (void)on_reply;
    (void)reply_data;
    return PHOS_E_NO_MEMORY;
}

static void
who_tries_again_without_a_pause_leaves_others_their_turn(void **state)
{
    const phos_transport transport = { sizeof(transport), NULL, never_send,
                                       ignore_cancel, NULL };
    phos_call_options options = phos_call_options_default();
    phos_retry at_once = phos_retry_default();
    phos_service *restless;
    phos_call *call, *other;

    (void)state;
    start_world();
    add_step(200);
    assert_int_equal(phos_worker_open(NULL, &world.options.worker), PHOS_OK);
    open_world();
    world.options.transport = &transport;
    world.options.timeout_ms = 0;
    assert_int_equal(phos_service_open(&world.options, &restless), PHOS_OK);
    at_once.attempts_max = at_once.initial_ms = at_once.max_ms = 0;
    options.retry = &at_once;
    assert_int_equal(phos_service_call(restless, PHOS_STR("GET"), PHOS_STR("/"),
                                       no_body, &options, &call),
                     PHOS_OK);
    assert_int_equal(phos_call_wait(call, 20, NULL), PHOS_E_TIMEOUT);
    other = post(NULL);
    assert_int_equal(await_end(other)->status, PHOS_OK);
    phos_call_free(other);
    phos_call_cancel(call);
    assert_int_equal(await_end(call)->status, PHOS_E_CANCELLED);
    phos_call_free(call);
    phos_service_free(restless);
    phos_worker_free(world.options.worker);
    end_world();
}

/* ---- mistakes ---- */

static void what_cannot_be_asked_is_refused(void **state)
{
    static const phos_header bad[] = { { { "A B", 3 }, { "x", 1 } } };
    phos_call_options options = phos_call_options_default();
    phos_call *call = NULL;

    (void)state;
    start_world();
    add_step(200);
    open_world();
#define REFUSED(method, path, options)                                   \
    assert_int_equal(phos_service_call(world.service, PHOS_STR(method),  \
                                       PHOS_STR(path), no_body, options, \
                                       &call),                           \
                     PHOS_E_INVALID)
    REFUSED("", "/", NULL);
    REFUSED("GE T", "/", NULL);
    REFUSED("GET", "", NULL);
    REFUSED("GET", "things", NULL);
    REFUSED("GET", "/a b", NULL);
    REFUSED("GET", "/a#b", NULL);
    REFUSED("GET", "/\xC3\xA9", NULL);
    REFUSED("GET", "/a\r\nX: y", NULL);
    options.headers = bad;
    options.header_count = 1;
    REFUSED("GET", "/", &options);
#undef REFUSED
    assert_null(call);
    assert_int_equal(phos_service_call(NULL, PHOS_STR("GET"), PHOS_STR("/"),
                                       no_body, NULL, NULL),
                     PHOS_E_CLOSED);
    assert_int_equal(phos_call_wait(NULL, 0, NULL), PHOS_E_INVALID);
    assert_int_equal(fault_server_requests(world.server), 0);
    end_world();
}

static char heard[PHOS_ERROR_TEXT_BYTES];

static void hear(const phos_diagnostic *diagnostic, void *user_data)
{
    (void)user_data;
    assert_int_equal(diagnostic->code, PHOS_DIAGNOSTIC_OPEN);
    snprintf(heard, sizeof(heard), "%s", diagnostic->error.text);
}

static void assert_not_opened(const phos_service_options *options,
                              phos_status status, const char *words)
{
    phos_service *service = NULL;

    heard[0] = '\0';
    assert_int_equal(phos_service_open(options, &service), status);
    assert_null(service);
    if (!strstr(heard, words))
        fail_msg("'%s' is not in '%s'", words, heard);
}

static void an_option_that_cannot_be_is_named(void **state)
{
    phos_service_options good = phos_service_options_default();
    phos_service_options options;

    (void)state;
    good.base_url = PHOS_STR("http://127.0.0.1:1");
    good.auth = PHOS_AUTH_BEARER;
    good.credential = PHOS_STR("x");
    good.on_diagnostic = hear;
#define WITH(change, status, words)                 \
    do {                                            \
        options = good;                             \
        options.change;                             \
        assert_not_opened(&options, status, words); \
    } while (0)
    WITH(base_url = PHOS_STR(""), PHOS_E_INVALID, "base_url");
    WITH(base_url = PHOS_STR("ftp://a"), PHOS_E_INVALID, "base_url");
    WITH(base_url = PHOS_STR("http://example.com"), PHOS_E_INSECURE,
         "base_url");
    WITH(credential = PHOS_STR(""), PHOS_E_INVALID, "credential");
    WITH(auth = PHOS_AUTH_COOKIE, PHOS_E_INVALID, "cookie_name");
    WITH(header_count = 33, PHOS_E_INVALID, "headers");
    WITH(connections_max = 0, PHOS_E_INVALID, "connections_max");
    WITH(retry.exponent = 0.5, PHOS_E_INVALID, "retry");
    WITH(reply_bytes_max = 0, PHOS_E_INVALID, "reply_bytes_max");
    WITH(unix_socket_path = PHOS_STR("a.sock"), PHOS_E_INVALID,
         "unix_socket_path");
    WITH(connect_timeout_ms = 0, PHOS_E_INVALID, "connect_timeout_ms");
#undef WITH
    assert_int_equal(phos_service_open(NULL, &world.service), PHOS_E_INVALID);
    assert_int_equal(phos_service_open(&good, NULL), PHOS_E_INVALID);
}

static void a_child_has_no_use_for_what_it_inherits(void **state)
{
    phos_call *call;
    pid_t child;

    (void)state;
    start_world();
    add_step(200);
    open_world();
    call = get(NULL);
    await_end(call);
    child = child_fork();
    if (child == 0) {
        CHILD_CHECK(phos_call_wait(call, 1, NULL) == PHOS_E_FORKED);
        CHILD_CHECK(phos_service_call(world.service, PHOS_STR("GET"),
                                      PHOS_STR("/"), no_body, NULL,
                                      NULL) == PHOS_E_FORKED);
        CHILD_CHECK(phos_service_set_credential(world.service, PHOS_STR("x")) ==
                    PHOS_E_FORKED);
        phos_call_cancel(call);
        phos_call_free(call);
        phos_service_free(world.service);
        _exit(0);
    }
    assert_int_equal(child_wait(child), 0);
    phos_call_free(call);
    end_world();
}

/* ---- memory and threads ---- */

/* A service of its own, a call, its end. */
static phos_status use_a_service(void)
{
    phos_call_options options = phos_call_options_default();
    const phos_result *result;
    phos_service *service;
    phos_status status = phos_service_open(&world.options, &service);
    phos_call *call;

    if (status)
        return status;
    options.is_safe = true;
    status = phos_service_call(service, PHOS_STR("POST"), PHOS_STR("/"),
                               PHOS_STR("{}"), &options, &call);
    if (!status) {
        assert_int_equal(phos_call_wait(call, PATIENT_MS, &result), PHOS_OK);
        status = result->status;
        phos_call_free(call);
    }
    phos_service_free(service);
    return status;
}

static void want_of_memory_is_told_and_nothing_leaks(void **state)
{
    uint64_t calls;
    unsigned failed = 0;

    (void)state;
    start_world();
    add_step(200);
    assert_int_equal(use_a_service(), PHOS_OK);
    counter_await_below(&world.memory.blocks, 1);
    calls = atomic_load(&world.memory.calls);
    for (uint64_t i = 0; i < 2 * calls; i++) {
        phos_status status;

        failing_alloc_reset(&world.memory, 1 + i / 2, i % 2);
        status = use_a_service();
        if (status != PHOS_OK && status != PHOS_E_NO_MEMORY &&
            status != PHOS_E_SYSTEM)
            fail_msg("allocation %u: %s", (unsigned)(1 + i / 2),
                     phos_status_name(status));
        failed += status != PHOS_OK;
        counter_await_below(&world.memory.blocks, 1);
    }
    assert_true(failed > calls);
    world.service = NULL;
    end_world();
}

enum { ASKERS = 4, CALLS_EACH = 50 };

static void *ask_often(void *argument)
{
    atomic_int *delivered = argument;

    for (unsigned i = 0; i < CALLS_EACH; i++) {
        const phos_result *result;
        phos_call *call = NULL;

        if (phos_service_call(world.service, PHOS_STR("GET"), PHOS_STR("/"),
                              no_body, NULL, &call))
            continue;
        if (i % 5 == 0)
            phos_call_cancel(call);
        if (phos_call_wait(call, PATIENT_MS, &result) == PHOS_OK &&
            (result->status == PHOS_OK || result->status == PHOS_E_CANCELLED))
            atomic_fetch_add(delivered, 1);
        phos_call_free(call);
    }
    return NULL;
}

static void many_threads_may_ask_at_once(void **state)
{
    pthread_t threads[ASKERS];
    atomic_int delivered = 0;

    (void)state;
    start_world();
    add_step(200);
    open_world();
    for (unsigned i = 0; i < ASKERS; i++)
        pthread_create(&threads[i], NULL, ask_often, &delivered);
    for (unsigned i = 0; i < ASKERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(delivered, ASKERS * CALLS_EACH);
    end_world();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_travels_as_asked_and_its_answer_comes_back),
        cmocka_unit_test(a_calls_headers_stand_in_the_place_of_the_services),
        cmocka_unit_test(a_credential_may_be_replaced),
        cmocka_unit_test(an_error_says_what_the_service_says),
        cmocka_unit_test(a_reply_that_is_cut_or_too_large_is_no_success),
        cmocka_unit_test(silence_ends_in_time),
        cmocka_unit_test(what_may_be_repeated_is),
        cmocka_unit_test(what_was_not_sent_is_sent_again),
        cmocka_unit_test(a_wait_does_not_outlast_the_call),
        cmocka_unit_test(a_redirect_on_the_same_origin_is_followed),
        cmocka_unit_test(any_other_redirect_is_a_result),
        cmocka_unit_test(a_longer_port_is_another_origin),
        cmocka_unit_test(redirects_have_an_end),
        cmocka_unit_test(a_cancel_ends_a_call_wherever_it_is),
        cmocka_unit_test(freeing_a_service_ends_each_call_once),
        cmocka_unit_test(a_call_that_nobody_holds_goes_on),
        cmocka_unit_test(a_callback_may_start_a_call_and_not_wait_for_it),
        cmocka_unit_test(a_transport_may_answer_or_fail_inside_of_submit),
        cmocka_unit_test(
            who_tries_again_without_a_pause_leaves_others_their_turn),
        cmocka_unit_test(what_cannot_be_asked_is_refused),
        cmocka_unit_test(an_option_that_cannot_be_is_named),
        cmocka_unit_test(a_child_has_no_use_for_what_it_inherits),
        cmocka_unit_test(want_of_memory_is_told_and_nothing_leaks),
        cmocka_unit_test(many_threads_may_ask_at_once),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
