/* E1, E2: answers that are streams of events, read by callback and by a loop;
 * slow readers, ends of every kind. */
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

#include "client/process.h"
#include "harness/failing_alloc.h"
#include "harness/fault_server.h"
#include "phos/phos.h"

enum { PATIENT_MS = 20000, MANY = 20000, MANY_BYTES = MANY * 40 };

static const char type[] = "Content-Type: text/event-stream\r\n";

/* ---- the world ---- */

static struct world {
    struct fault_plan plan; /* of every request but the first `failures` */
    uint64_t failures;
    struct fault_server *server;
    struct failing_alloc memory;
    phos_service_options options;
    phos_service *service;
} world;

static void follow_plan(void *user_data, uint64_t number,
                        struct fault_plan *plan)
{
    (void)user_data;
    if (number > world.failures)
        *plan = world.plan;
    else
        plan->status = 503;
}

/* A server that answers with this body as a stream of events. */
static void start_world(const char *body)
{
    const struct fault_options server = { .plan = follow_plan };
    const char *url;

    memset(&world, 0, sizeof(world));
    world.plan.status = 200;
    world.plan.headers = type;
    world.plan.body = body;
    world.plan.store = FAULT_STORE_NEVER;
    world.plan.cut_request_after = world.plan.cut_reply_after = FAULT_NEVER;
    world.server = fault_server_start(&server);
    assert_non_null(world.server);
    url = fault_server_url(world.server);
    failing_alloc_reset(&world.memory, 0, false);
    world.options = phos_service_options_default();
    world.options.base_url = phos_str_make(url, strlen(url));
    world.options.retry.initial_ms = world.options.retry.max_ms = 1;
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

static phos_stream *ask(const phos_stream_options *options)
{
    phos_stream *stream = NULL;

    assert_int_equal(phos_service_stream(world.service, PHOS_STR("POST"),
                                         PHOS_STR("/chat"), PHOS_STR("{}"),
                                         options, &stream),
                     PHOS_OK);
    assert_non_null(stream);
    return stream;
}

static phos_status end_of(phos_stream *stream)
{
    const phos_result *result = NULL;

    assert_int_equal(phos_stream_wait(stream, PATIENT_MS, &result), PHOS_OK);
    assert_int_equal(result->status, result->error.status);
    return result->status;
}

/* The next events as "name:data:id;" each, until the stream ends. */
static const char *read_all(phos_stream *stream)
{
    static char text[4096];
    phos_stream_event event;
    phos_status status;
    size_t at = 0;

    text[0] = '\0';
    while ((status = phos_stream_next(stream, PATIENT_MS, &event)) == PHOS_OK)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%.*s:%.*s:%.*s;",
                               (int)event.name.length, event.name.data,
                               (int)event.data.length, event.data.data,
                               (int)event.id.length, event.id.data);
    assert_int_equal(status, PHOS_ENDED);
    assert_int_equal(phos_stream_next(stream, 0, &event), PHOS_ENDED);
    return text;
}

/* ---- by a loop ---- */

static void a_loop_reads_the_events_and_the_end(void **state)
{
    struct fault_request seen;
    phos_stream *stream;

    (void)state;
    start_world("id: 1\nevent: token\ndata: a\n\ndata: b\ndata: c\n\n");
    world.plan.is_chunked = true;
    open_world();
    stream = ask(NULL);
    assert_string_equal(read_all(stream), "token:a:1;message:b\nc:1;");
    assert_int_equal(end_of(stream), PHOS_OK);
    seen = fault_server_request(world.server, 0);
    assert_string_equal(fault_request_header(&seen, "Accept"),
                        "text/event-stream");
    assert_string_equal(seen.body, "{}");
    phos_stream_free(stream);
    end_world();
}

static void the_last_event_may_lack_its_blank_line(void **state)
{
    phos_stream_options options = phos_stream_options_default();

    (void)state;
    start_world("data: a\n\ndata: b");
    open_world();
    for (int keeps = 0; keeps < 2; keeps++) {
        phos_stream *stream;

        options.keeps_last = keeps;
        options.queue_events = 1; /* it finds the queue full */
        stream = ask(&options);
        assert_string_equal(read_all(stream),
                            keeps ? "message:a:;message:b:;" : "message:a:;");
        assert_int_equal(end_of(stream), PHOS_OK);
        phos_stream_free(stream);
    }
    end_world();
}

static char *many_events(void)
{
    char *body = malloc(MANY_BYTES);
    size_t at = 0;

    assert_non_null(body);
    for (unsigned i = 0; i < MANY; i++)
        at += (size_t)snprintf(body + at, MANY_BYTES - at,
                               "event: token\ndata: %u\n\n", i);
    return body;
}

/* The queue is full most of the time, and memory stays as small as it is. */
static void a_slow_loop_holds_the_service_back_and_misses_nothing(void **state)
{
    phos_stream_options options = phos_stream_options_default();
    char *body = many_events(), want[32];
    phos_stream_event event;
    phos_stream *stream;
    int64_t bytes_max = 0;

    (void)state;
    start_world(body);
    open_world();
    options.queue_events = 3;
    stream = ask(&options);
    for (unsigned i = 0; i < MANY; i++) {
        int64_t bytes = atomic_load(&world.memory.bytes);

        bytes_max = bytes > bytes_max ? bytes : bytes_max;
        assert_int_equal(phos_stream_next(stream, PATIENT_MS, &event), PHOS_OK);
        snprintf(want, sizeof(want), "%u", i);
        assert_int_equal(event.data.length, strlen(want));
        assert_memory_equal(event.data.data, want, event.data.length);
    }
    assert_string_equal(read_all(stream), "");
    assert_int_equal(end_of(stream), PHOS_OK);
    assert_true(bytes_max < 65536);
    phos_stream_free(stream);
    end_world();
    free(body);
}

/* ---- by callback ---- */

static struct {
    atomic_int events, pauses, ends;
    int stop_at, pause_every;
    bool was_paused; /* at this event already */
    phos_status status;
} heard;

static phos_flow hear(const phos_stream_event *event, void *user_data)
{
    char want[32];

    (void)user_data;
    snprintf(want, sizeof(want), "%d", atomic_load(&heard.events));
    if (event->data.length != strlen(want) ||
        memcmp(event->data.data, want, event->data.length) != 0)
        return PHOS_FLOW_STOP; /* the count tells */
    if (heard.pause_every && !heard.was_paused &&
        atomic_load(&heard.events) % heard.pause_every == 0) {
        heard.was_paused = true;
        atomic_fetch_add(&heard.pauses, 1);
        return PHOS_FLOW_PAUSE;
    }
    heard.was_paused = false;
    return atomic_fetch_add(&heard.events, 1) + 1 == heard.stop_at
               ? PHOS_FLOW_STOP
               : PHOS_FLOW_ON;
}

static void hear_end(const phos_result *result, void *user_data)
{
    (void)user_data;
    heard.status = result->status;
    atomic_fetch_add(&heard.ends, 1);
}

static phos_stream_options hearing(void)
{
    phos_stream_options options = phos_stream_options_default();

    memset(&heard, 0, sizeof(heard));
    options.on_event = hear;
    options.on_done = hear_end;
    return options;
}

static void a_callback_hears_each_event_and_then_the_end(void **state)
{
    phos_stream_options options = hearing();
    char *body = many_events();
    phos_stream *stream;

    (void)state;
    start_world(body);
    open_world();
    stream = ask(&options);
    assert_int_equal(end_of(stream), PHOS_OK);
    assert_int_equal(heard.events, MANY);
    assert_int_equal(heard.ends, 1);
    assert_int_equal(phos_stream_next(stream, 0, &(phos_stream_event){ 0 }),
                     PHOS_E_INVALID);
    phos_stream_free(stream);
    end_world();
    free(body);
}

static void a_callback_may_pause_and_gets_the_same_event_again(void **state)
{
    phos_stream_options options = hearing();
    char *body = many_events();
    phos_stream *stream;

    (void)state;
    start_world(body);
    open_world();
    heard.pause_every = 1000;
    stream = ask(&options);
    for (int i = 1; i <= MANY / 1000; i++) {
        counter_await(&heard.pauses, i);
        phos_stream_resume(stream);
    }
    assert_int_equal(end_of(stream), PHOS_OK);
    assert_int_equal(heard.events, MANY);
    assert_int_equal(heard.pauses, MANY / 1000);
    phos_stream_free(stream);
    end_world();
    free(body);
}

/* Also at the event that only the end of the body completes. */
static void a_pause_at_the_last_event_holds_the_end(void **state)
{
    phos_stream_options options = hearing();
    phos_stream *stream;

    (void)state;
    start_world("data: 0");
    open_world();
    heard.pause_every = 1;
    stream = ask(&options);
    counter_await(&heard.pauses, 1);
    assert_int_equal(phos_stream_wait(stream, 1, NULL), PHOS_E_TIMEOUT);
    phos_stream_resume(stream);
    assert_int_equal(end_of(stream), PHOS_OK);
    assert_int_equal(heard.events, 1);
    phos_stream_free(stream);
    end_world();
}

static void a_callback_that_has_enough_ends_the_stream(void **state)
{
    phos_stream_options options = hearing();
    char *body = many_events();
    phos_stream *stream;

    (void)state;
    start_world(body);
    open_world();
    heard.stop_at = 3;
    stream = ask(&options);
    assert_int_equal(end_of(stream), PHOS_OK);
    assert_int_equal(heard.events, 3);
    assert_int_equal(heard.ends, 1);
    phos_stream_free(stream);
    end_world();
    free(body);
}

/* ---- ends ---- */

static void assert_ends(phos_status status, const char *events)
{
    phos_stream_options options = phos_stream_options_default();
    phos_stream *stream;

    open_world();
    options.idle_timeout_ms = 1000;
    options.event_bytes_max = 100;
    stream = ask(&options);
    assert_string_equal(read_all(stream), events);
    assert_int_equal(end_of(stream), status);
    phos_stream_free(stream);
    end_world();
}

static void whatever_ends_a_stream_is_told(void **state)
{
    static char long_event[200] = "data: a\n\ndata: ";

    (void)state;
    start_world("{}");
    world.plan.headers = "Content-Type: application/json\r\n";
    assert_ends(PHOS_E_PROTOCOL, "");

    start_world("{\"detail\":\"no\"}");
    world.plan.status = 404;
    assert_ends(PHOS_E_HTTP, "");

    start_world("data: a\n\ndata: b\n\n");
    world.plan.is_chunked = true;
    world.plan.stall = FAULT_STALL_IN_BODY;
    assert_ends(PHOS_E_TIMEOUT, "message:a:;");

    memset(long_event + 15, 'x', sizeof(long_event) - 16);
    start_world(long_event);
    assert_ends(PHOS_E_TOO_LARGE, "message:a:;");

    /* Only the end of the body tells that this was a line. */
    start_world("data: a\n\ndata: b\ndata: "
                "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    assert_ends(PHOS_E_TOO_LARGE, "message:a:;");

    start_world("");
    assert_ends(PHOS_OK, "");
}

static void a_stream_that_is_cut_is_no_success(void **state)
{
    char *body = many_events();
    phos_stream_options options = hearing();
    phos_stream *stream;

    (void)state;
    start_world(body);
    world.plan.cut_reply_after = MANY_BYTES / 4;
    open_world();
    stream = ask(&options);
    assert_int_equal(end_of(stream), PHOS_E_NETWORK);
    assert_true(heard.events > 0 && heard.events < MANY);
    assert_int_equal(fault_server_requests(world.server), 1);
    phos_stream_free(stream);
    end_world();
    free(body);
}

static void what_has_not_begun_may_be_made_again(void **state)
{
    phos_stream_options options = phos_stream_options_default();
    phos_stream *stream;

    (void)state;
    start_world("data: a\n\n");
    world.failures = 2;
    open_world();
    options.is_safe = true;
    stream = ask(&options);
    assert_string_equal(read_all(stream), "message:a:;");
    assert_int_equal(end_of(stream), PHOS_OK);
    assert_int_equal(fault_server_requests(world.server), 3);
    phos_stream_free(stream);
    end_world();
}

/* A transport whose connections break behind the first event. */
static phos_status break_inside(void *user_data, const phos_request *request,
                                phos_reply_fn *on_reply, void *reply_data)
{
    static const phos_header headers[] = {
        { { "Content-Type", 12 }, { "text/event-stream", 17 } }
    };
    const phos_reply head = { .struct_size = sizeof(head),
                              .http_status = 200,
                              .headers = headers,
                              .header_count = 1 };
    phos_reply reply = { .struct_size = sizeof(reply),
                         .exchange = PHOS_EXCHANGE_BROKEN };

    ++*(int *)user_data;
    reply.error.status = PHOS_E_NETWORK;
    request->on_body(&head, PHOS_STR("data: a\n\ndata: b"), reply_data);
    on_reply(&reply, reply_data);
    return PHOS_OK;
}

static void ignore_request(void *user_data, uint64_t id, void *reply_data)
{
    (void)user_data;
    (void)id;
    (void)reply_data;
}

static void what_has_begun_is_not_made_again_however_it_ends(void **state)
{
    int count = 0;
    const phos_transport transport = { sizeof(transport), &count, break_inside,
                                       ignore_request, ignore_request };
    phos_stream_options options = phos_stream_options_default();
    phos_stream *stream;

    (void)state;
    start_world("");
    world.options.transport = &transport;
    open_world();
    options.is_safe = true;
    stream = ask(&options);
    assert_string_equal(read_all(stream), "message:a:;");
    assert_int_equal(end_of(stream), PHOS_E_NETWORK);
    assert_int_equal(count, 1);
    phos_stream_free(stream);
    end_world();
}

static void a_stream_may_be_cancelled_or_freed_wherever_it_is(void **state)
{
    phos_stream_options options = phos_stream_options_default();
    char *body = many_events();
    phos_stream_event event;

    (void)state;
    start_world(body);
    open_world();
    options.queue_events = 1;
    for (unsigned i = 0; i < 20; i++) {
        phos_stream *stream = ask(&options);

        if (i % 2)
            assert_int_equal(phos_stream_next(stream, PATIENT_MS, &event),
                             PHOS_OK);
        if (i % 4 < 2) {
            phos_stream_cancel(stream);
            assert_int_equal(end_of(stream), PHOS_E_CANCELLED);
        }
        phos_stream_free(stream);
    }
    phos_stream_free(NULL);
    phos_stream_cancel(NULL);
    phos_stream_resume(NULL);
    end_world();
    free(body);
}

static void
freeing_the_service_ends_a_stream_that_waits_for_its_reader(void **state)
{
    char *body = many_events();
    phos_stream_event event;
    phos_stream *stream;
    phos_status status;

    (void)state;
    start_world(body);
    open_world();
    stream = ask(NULL);
    assert_int_equal(phos_stream_next(stream, PATIENT_MS, &event), PHOS_OK);
    phos_service_free(world.service);
    world.service = NULL;
    while ((status = phos_stream_next(stream, PATIENT_MS, &event)) == PHOS_OK)
        ;
    assert_int_equal(status, PHOS_ENDED);
    assert_int_equal(end_of(stream), PHOS_E_CANCELLED);
    phos_stream_free(stream);
    end_world();
    free(body);
}

/* ---- memory ---- */

static phos_status use_a_stream(void)
{
    phos_stream_event event;
    phos_service *service;
    phos_status status = phos_service_open(&world.options, &service);
    phos_stream *stream;

    if (status)
        return status;
    status = phos_service_stream(service, PHOS_STR("GET"), PHOS_STR("/"),
                                 (phos_str){ NULL, 0 }, NULL, &stream);
    if (!status) {
        while (phos_stream_next(stream, PATIENT_MS, &event) == PHOS_OK)
            ;
        status = end_of(stream);
        phos_stream_free(stream);
    }
    phos_service_free(service);
    return status;
}

static void want_of_memory_is_told_and_nothing_leaks(void **state)
{
    uint64_t calls;
    unsigned failed = 0;

    (void)state;
    start_world("id: 1\nevent: e\ndata: a\n\ndata: b");
    assert_int_equal(use_a_stream(), PHOS_OK);
    counter_await_below(&world.memory.blocks, 1);
    calls = atomic_load(&world.memory.calls);
    for (uint64_t i = 0; i < 2 * calls; i++) {
        phos_status status;

        failing_alloc_reset(&world.memory, 1 + i / 2, i % 2);
        status = use_a_stream();
        /* A socket that cannot be watched is a connection that fails. */
        if (status != PHOS_OK && status != PHOS_E_NO_MEMORY &&
            status != PHOS_E_SYSTEM && status != PHOS_E_NETWORK)
            fail_msg("allocation %u: %s", (unsigned)(1 + i / 2),
                     phos_status_name(status));
        failed += status != PHOS_OK;
        counter_await_below(&world.memory.blocks, 1);
    }
    assert_true(failed > calls);
    end_world();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loop_reads_the_events_and_the_end),
        cmocka_unit_test(the_last_event_may_lack_its_blank_line),
        cmocka_unit_test(a_slow_loop_holds_the_service_back_and_misses_nothing),
        cmocka_unit_test(a_callback_hears_each_event_and_then_the_end),
        cmocka_unit_test(a_callback_may_pause_and_gets_the_same_event_again),
        cmocka_unit_test(a_pause_at_the_last_event_holds_the_end),
        cmocka_unit_test(a_callback_that_has_enough_ends_the_stream),
        cmocka_unit_test(whatever_ends_a_stream_is_told),
        cmocka_unit_test(a_stream_that_is_cut_is_no_success),
        cmocka_unit_test(what_has_not_begun_may_be_made_again),
        cmocka_unit_test(what_has_begun_is_not_made_again_however_it_ends),
        cmocka_unit_test(a_stream_may_be_cancelled_or_freed_wherever_it_is),
        cmocka_unit_test(
            freeing_the_service_ends_a_stream_that_waits_for_its_reader),
        cmocka_unit_test(want_of_memory_is_told_and_nothing_leaks),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
