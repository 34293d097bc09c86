/* before_send: what the application takes out of an event, nobody sees. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/memory_transport.h"
#include "client/process.h"
#include "client/witness.h"

enum { EVENTS = 100, SENDS_MAX = 4096, LONG_BYTES = 3000, HANG_MS = 30000 };

/* No request may ever hold it. */
static const char secret[] = "the secret";

struct world {
    struct memory_transport service;
    struct witness witness;
    phos_client *client;
    phos_options options;
    phos_before_send_fn *masks; /* what before_send does */
    atomic_int calls[EVENTS];   /* of the event with that cookie */
    atomic_int call_count;
    char text[LONG_BYTES]; /* a mask; stays as it is */
    phos_status log_status, flush_status;

    int (*answers)(unsigned number, phos_str body);
    bool was_leaked;
    const char *wrong;          /* noted on the worker's thread */
    phos_str bodies[SENDS_MAX]; /* as they were sent; allocated */
    unsigned body_count;

    atomic_int failures_left; /* of allocations, once it is above 0 */
    size_t fails_from;        /* of those only of so many bytes */
    atomic_int failed;
};

static struct world world;

/* ---- the world ---- */

static bool before_send(phos_event *event, void *user_data)
{
    if (event->cookie < EVENTS)
        atomic_fetch_add(&world.calls[event->cookie], 1);
    atomic_fetch_add(&world.call_count, 1);
    return world.masks(event, user_data);
}

static int look_at_request(struct memory_transport *service, unsigned number,
                           const phos_request *request)
{
    phos_str body = request->body;

    (void)service;
    world.was_leaked |=
        memmem(body.data, body.length, secret, sizeof(secret) - 1) != NULL;
    if (world.body_count < SENDS_MAX) {
        char *copy = malloc(body.length);

        memcpy(copy, body.data, body.length);
        world.bodies[world.body_count++] = phos_str_make(copy, body.length);
    }
    return world.answers ? world.answers(number, body) : 201;
}

static bool may_allocate(size_t bytes)
{
    if (atomic_load(&world.failures_left) <= 0 || bytes < world.fails_from)
        return true;
    atomic_fetch_sub(&world.failures_left, 1);
    atomic_fetch_add(&world.failed, 1);
    return false;
}

static void *allocate(void *user_data, size_t bytes)
{
    (void)user_data;
    return may_allocate(bytes) ? malloc(bytes) : NULL;
}

static void *reallocate(void *user_data, void *memory, size_t bytes)
{
    (void)user_data;
    return may_allocate(bytes) ? realloc(memory, bytes) : NULL;
}

static void release(void *user_data, void *memory)
{
    (void)user_data;
    free(memory);
}

static int begin(void **state)
{
    (void)state;
    memset(&world, 0, sizeof(world));
    memset(world.text, '*', sizeof(world.text));
    memory_transport_init(&world.service);
    world.service.script = look_at_request;
    witness_init(&world.witness);
    world.options = witness_options(&world.witness, "http://127.0.0.1:1");
    world.options.transport = &world.service.transport;
    world.options.before_send = before_send;
    world.options.allocator =
        (phos_allocator){ allocate, reallocate, release, NULL };
    return 0;
}

static int end(void **state)
{
    (void)state;
    for (unsigned i = 0; i < world.body_count; i++)
        free((char *)(uintptr_t)world.bodies[i].data);
    memory_transport_deinit(&world.service);
    witness_deinit(&world.witness);
    return 0;
}

static void open_world(phos_before_send_fn *masks)
{
    world.masks = masks;
    assert_int_equal(phos_client_open(&world.options, &world.client), PHOS_OK);
}

static phos_event secret_event(uint64_t cookie)
{
    phos_event event = witness_event(cookie);

    event.input = PHOS_STR("My number is the secret 4711, remember it.");
    return event;
}

static void log_events(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        phos_event event = secret_event(i);

        assert_int_equal(phos_client_log(world.client, &event, NULL), PHOS_OK);
    }
}

static void flush(void)
{
    assert_int_equal(
        phos_client_flush(world.client, PHOS_FLUSH_DELIVERED, HANG_MS),
        PHOS_OK);
}

/* Each of `count` events was shown once and has one receipt; nothing leaked. */
static phos_ledger close_world(unsigned count)
{
    bool accepted[EVENTS] = { false };
    phos_close_report report;

    assert_int_equal(phos_client_close(world.client, HANG_MS, &report),
                     PHOS_OK);
    phos_client_free(world.client);
    assert_adds_up(&report.ledger);
    assert_int_equal(report.ledger.accepted, count);
    for (unsigned i = 0; i < count && i < EVENTS; i++) {
        accepted[i] = true;
        if (world.calls[i] != 1)
            fail_msg("event %u was shown %d times", i, world.calls[i]);
    }
    assert_one_receipt_each(&world.witness, accepted, EVENTS);
    assert_false(world.was_leaked);
    return report.ledger;
}

static void assert_all_delivered_as(unsigned count, const char *input)
{
    assert_int_equal(close_world(count).delivered, count);
    assert_int_equal(json_array_size(world.service.events), count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(
            json_string_value(json_object_get(
                json_array_get(world.service.events, i), "input")),
            input);
}

/* Until at least so many bytes are moved out of the ring. */
static uint64_t await_parked(uint64_t least)
{
    phos_stats stats = { .struct_size = sizeof(stats) };
    uint64_t deadline_ms = now_ms() + HANG_MS;

    do
        assert_int_equal(phos_client_stats(world.client, &stats), PHOS_OK);
    while (stats.parked_bytes < least && now_ms() < deadline_ms);
    assert_true(stats.parked_bytes >= least);
    return stats.parked_bytes;
}

/* ---- masks ---- */

static bool shorten(phos_event *event, void *user_data)
{
    (void)user_data;
    event->input = PHOS_STR("[masked]");
    return true;
}

/* Fifty times as long: the ring has no room for it in its place. */
static bool lengthen(phos_event *event, void *user_data)
{
    (void)user_data;
    event->input = phos_str_make(world.text, LONG_BYTES - 1);
    return true;
}

static const char *long_input(void)
{
    world.text[LONG_BYTES - 1] = '\0';
    return world.text;
}

static bool mask_with_whatever(phos_event *event, void *user_data)
{
    return event->cookie % 2 ? shorten(event, user_data)
                             : lengthen(event, user_data);
}

static bool drop_odd(phos_event *event, void *user_data)
{
    shorten(event, user_data);
    return event->cookie % 2 == 0;
}

/* ---- what it is shown, and what becomes of it ---- */

/* On the worker's thread nothing may be asserted: what is wrong is noted. */
#define WANT(condition)                   \
    do {                                  \
        if (!(condition) && !world.wrong) \
            world.wrong = #condition;     \
    } while (0)

static bool is_text(phos_str text, const char *want)
{
    return text.data && text.length == strlen(want) &&
           memcmp(text.data, want, text.length) == 0;
}

static bool look_at_all(phos_event *event, void *user_data)
{
    char id[PHOS_EVENT_ID_TEXT_LENGTH + 1];

    phos_event_id_to_text(event->event_id, id);
    WANT(user_data == &world.witness);
    WANT(strcmp(id, "6f1f2b9e-2f7a-4f0e-9a51-0b7f3f6f5a10") == 0);
    WANT(is_text(event->input, "the secret"));
    WANT(!event->output_parts && event->output_part_count == 0);
    WANT(is_text(event->output, "joined"));
    WANT(is_text(event->session_id, "s"));
    WANT(!event->project_id.data && !event->provider.data);
    WANT(event->timestamp_us == 1700000000000000);
    WANT(is_text(event->model, "m1"));
    WANT(event->latency_ms == 7 && event->token_count_input == 0);
    WANT(event->token_count_output == PHOS_UNSET);
    WANT(event->cost_cents == 0.5);
    WANT(event->tag_count == 2 && is_text(event->tags[1], "bcd"));
    WANT(event->pair_count == 2 && event->pairs[1].integer == -4);
    WANT(is_text(event->pairs[0].key, "k"));
    WANT(is_text(event->metadata_json, "{\"r\":1}"));
    WANT(event->traceparent.length == 55);
    WANT(event->cookie == 3);
    event->input = PHOS_STR("masked");
    event->pair_count = 1;
    event->user_id = PHOS_STR("nobody");
    event->latency_ms = PHOS_UNSET;
    return true;
}

static void every_field_is_shown_and_may_be_changed(void **state)
{
    const phos_str parts[] = { PHOS_STR("join"), PHOS_STR("ed") };
    const phos_str tags[] = { PHOS_STR("a"), PHOS_STR("bcd") };
    const phos_pair pairs[] = {
        phos_pair_text(PHOS_STR("k"), PHOS_STR("v")),
        phos_pair_integer(PHOS_STR("gone"), -4),
    };
    phos_event event = witness_event(3);
    phos_event_id id;
    const json_t *metadata, *sent;

    (void)state;
    phos_event_id_from_text(PHOS_STR("6f1f2b9e-2f7a-4f0e-9a51-0b7f3f6f5a10"),
                            &id);
    event.event_id = &id;
    event.input = PHOS_STR("the secret");
    event.output = phos_str_make(NULL, 0);
    event.output_parts = parts;
    event.output_part_count = 2;
    event.session_id = PHOS_STR("s");
    event.timestamp_us = 1700000000000000;
    event.model = PHOS_STR("m1");
    event.latency_ms = 7;
    event.token_count_input = 0;
    event.cost_cents = 0.5;
    event.tags = tags;
    event.tag_count = 2;
    event.pairs = pairs;
    event.pair_count = 2;
    event.metadata_json = PHOS_STR("{\"r\":1}");
    event.traceparent =
        PHOS_STR("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    open_world(look_at_all);
    assert_int_equal(phos_client_log(world.client, &event, NULL), PHOS_OK);
    flush();
    sent = json_array_get(world.service.events, 0);
    metadata = json_object_get(sent, "metadata");
    assert_string_equal(json_string_value(json_object_get(sent, "input")),
                        "masked");
    assert_string_equal(json_string_value(json_object_get(sent, "output")),
                        "joined");
    assert_string_equal(json_string_value(json_object_get(sent, "event_id")),
                        "6f1f2b9e-2f7a-4f0e-9a51-0b7f3f6f5a10");
    assert_string_equal(json_string_value(json_object_get(metadata, "user_id")),
                        "nobody");
    assert_null(json_object_get(metadata, "latency_ms"));
    assert_null(json_object_get(metadata, "gone"));
    assert_non_null(json_object_get(metadata, "k"));
    assert_non_null(json_object_get(metadata, "r"));
    assert_int_equal(phos_client_close(world.client, HANG_MS, NULL), PHOS_OK);
    phos_client_free(world.client);
    if (world.wrong)
        fail_msg("%s does not hold", world.wrong);
    assert_int_equal(world.calls[3], 1);
    assert_false(world.was_leaked);
}

static void a_shorter_text_takes_the_place_of_the_first(void **state)
{
    phos_stats stats = { .struct_size = sizeof(stats) };

    (void)state;
    open_world(shorten);
    world.service.holds = true;
    log_events(EVENTS);
    memory_transport_await_requests(&world.service, 1);
    assert_int_equal(phos_client_stats(world.client, &stats), PHOS_OK);
    assert_int_equal(stats.parked_bytes, 0);
    memory_transport_let_go(&world.service, 500);
    assert_all_delivered_as(EVENTS, "[masked]");
}

/* More than the ring holds: what was moved out frees its space. */
static void a_longer_text_is_kept_elsewhere(void **state)
{
    char filler[900];

    (void)state;
    memset(filler, '-', sizeof(filler));
    open_world(lengthen);
    for (unsigned i = 0; i < EVENTS; i++) {
        phos_event event = secret_event(i);

        event.output = phos_str_make(filler, sizeof(filler));
        assert_int_equal(phos_client_log(world.client, &event, NULL), PHOS_OK);
        if (i % 10 == 0)
            flush();
    }
    assert_all_delivered_as(EVENTS, long_input());
}

/* 16 KiB may be parked, so five long texts at most: the others wait in the
 * ring, unseen by the service, until these have their verdict. */
static void where_no_room_is_left_for_longer_texts_events_wait(void **state)
{
    (void)state;
    world.options.linger_ms = 0;
    open_world(lengthen);
    world.service.holds = true;
    log_events(EVENTS);
    memory_transport_await_requests(&world.service, 1);
    counter_await(&world.call_count, 6);
    assert_in_range(await_parked(5 * LONG_BYTES), 5 * LONG_BYTES, 16384);
    assert_int_equal(world.call_count, 6); /* the last one has no place yet */
    memory_transport_let_go(&world.service, 500);
    assert_all_delivered_as(EVENTS, long_input());
}

static void without_memory_an_event_waits_and_never_goes_as_it_was(void **state)
{
    (void)state;
    world.fails_from = LONG_BYTES; /* copies of records, and nothing else yet */
    open_world(lengthen);
    atomic_store(&world.failures_left, 30);
    log_events(1);
    counter_await(&world.failed, 30);
    flush();
    assert_all_delivered_as(1, long_input());
}

static void without_memory_to_send_it_an_event_is_still_shown_once(void **state)
{
    (void)state;
    open_world(mask_with_whatever);
    atomic_store(&world.failures_left, 30);
    log_events(40);
    counter_await(&world.failed, 30);
    flush();
    assert_int_equal(close_world(40).delivered, 40);
}

static void what_waits_at_close_is_dropped_unsent(void **state)
{
    phos_close_report report;

    (void)state;
    open_world(lengthen);
    atomic_store(&world.failures_left, INT32_MAX);
    log_events(5);
    counter_await(&world.failed, 3);
    assert_int_equal(phos_client_close(world.client, 0, &report),
                     PHOS_E_TIMEOUT);
    phos_client_free(world.client);
    assert_adds_up(&report.ledger);
    assert_int_equal(report.ledger.dropped, 5);
    assert_int_equal(report.ledger.by_reason[PHOS_REASON_CLOSED], 5);
    assert_int_equal(world.call_count, 1); /* the others were not read */
    assert_int_equal(world.body_count, 0);
}

/* ---- dropped ---- */

static void what_is_dropped_has_its_receipt_and_is_not_sent(void **state)
{
    phos_ledger ledger;

    (void)state;
    open_world(drop_odd);
    log_events(EVENTS);
    ledger = close_world(EVENTS);
    assert_int_equal(ledger.delivered, EVENTS / 2);
    assert_int_equal(ledger.dropped, EVENTS / 2);
    assert_int_equal(ledger.by_reason[PHOS_REASON_BEFORE_SEND], EVENTS / 2);
    assert_int_equal(json_array_size(world.service.events), EVENTS / 2);
    assert_int_equal(world.witness.last[1].outcome, PHOS_OUTCOME_DROPPED);
    assert_int_equal(world.witness.last[1].reason, PHOS_REASON_BEFORE_SEND);
    assert_int_equal(world.witness.last[1].sends, 0);
    assert_int_equal(world.witness.last[0].outcome, PHOS_OUTCOME_DELIVERED);
    assert_int_equal(world.witness.refused_count, 0);
}

static bool drop_all(phos_event *event, void *user_data)
{
    (void)event;
    (void)user_data;
    return false;
}

static void where_all_is_dropped_there_is_no_request(void **state)
{
    (void)state;
    open_world(drop_all);
    log_events(EVENTS);
    flush();
    assert_int_equal(close_world(EVENTS).dropped, EVENTS);
    assert_int_equal(world.body_count, 0);
}

static bool break_it(phos_event *event, void *user_data)
{
    static char huge[8192];
    static phos_pair pair;

    (void)user_data;
    switch (event->cookie) {
    case 0:
        event->input = phos_str_make(NULL, 0);
        return true;
    case 1:
        event->latency_ms = -1;
        return true;
    case 2:
        memset(huge, 'x', sizeof(huge));
        event->output = phos_str_make(huge, sizeof(huge));
        return true;
    case 3:
        event->metadata_json = PHOS_STR("[]");
        return true;
    case 4:
        event->pairs = &pair;
        event->pair_count = 1;
        return true;
    case 5:
        event->traceparent = PHOS_STR("00-0");
        return true;
    default:
        event->struct_size = 1; /* not the application's business */
        return shorten(event, user_data);
    }
}

static void what_an_edit_breaks_is_dropped_and_told(void **state)
{
    phos_ledger ledger;

    (void)state;
    open_world(break_it);
    log_events(7);
    ledger = close_world(7);
    assert_int_equal(ledger.by_reason[PHOS_REASON_BEFORE_SEND], 6);
    assert_int_equal(ledger.delivered, 1);
    assert_true(witness_heard(&world.witness, "broken edits"));
    assert_false(witness_heard(&world.witness, secret));
}

static bool enlarge(phos_event *event, void *user_data)
{
    static char huge[8192];

    (void)user_data;
    memset(huge, 'x', sizeof(huge));
    event->input = phos_str_make(huge, sizeof(huge));
    return true;
}

static void what_an_edit_makes_too_large_is_cut_if_that_is_wanted(void **state)
{
    const json_t *metadata, *sent;

    (void)state;
    world.options.oversize = PHOS_OVERSIZE_TRUNCATE;
    open_world(enlarge);
    log_events(1);
    flush();
    sent = json_array_get(world.service.events, 0);
    metadata = json_object_get(sent, "metadata");
    assert_true(json_is_true(json_object_get(metadata, "phos_truncated")));
    assert_int_equal(
        json_integer_value(json_object_get(metadata, "phos_input_bytes")),
        8192);
    assert_int_equal(close_world(1).delivered, 1);
}

static void an_edit_keeps_the_marks_of_a_cut(void **state)
{
    static char huge[8192];
    phos_event event = secret_event(0);
    const json_t *metadata, *sent;

    (void)state;
    memset(huge, 'x', sizeof(huge));
    event.output = phos_str_make(huge, sizeof(huge));
    world.options.oversize = PHOS_OVERSIZE_TRUNCATE;
    open_world(shorten);
    assert_int_equal(phos_client_log(world.client, &event, NULL), PHOS_OK);
    flush();
    sent = json_array_get(world.service.events, 0);
    metadata = json_object_get(sent, "metadata");
    assert_string_equal(json_string_value(json_object_get(sent, "input")),
                        "[masked]");
    assert_true(json_is_true(json_object_get(metadata, "phos_truncated")));
    assert_int_equal(
        json_integer_value(json_object_get(metadata, "phos_output_bytes")),
        8192);
    assert_null(json_object_get(metadata, "phos_input_bytes"));
    assert_int_equal(close_world(1).delivered, 1);
}

/* ---- its identity ---- */

static bool change_identity(phos_event *event, void *user_data)
{
    static const phos_event_id other = { { 0xFF } };

    event->event_id = &other;
    event->cookie = 99;
    return shorten(event, user_data);
}

static void neither_id_nor_cookie_can_be_changed(void **state)
{
    phos_event_id ids[2];

    (void)state;
    assert_int_equal(phos_event_id_make(&ids[0]), PHOS_OK);
    open_world(change_identity);
    atomic_store(&world.failures_left, 5); /* so that it is read again */
    for (unsigned i = 0; i < 2; i++) {
        phos_event event = secret_event(i);

        event.event_id = i ? NULL : &ids[0];
        assert_int_equal(phos_client_log(world.client, &event, &ids[i]),
                         PHOS_OK);
    }
    flush();
    for (unsigned i = 0; i < 2; i++) {
        char text[PHOS_EVENT_ID_TEXT_LENGTH + 1];

        phos_event_id_to_text(&ids[i], text);
        assert_string_equal(
            json_string_value(json_object_get(
                json_array_get(world.service.events, i), "event_id")),
            text);
        assert_memory_equal(world.witness.last[i].id.bytes, ids[i].bytes, 16);
    }
    assert_int_equal(world.failed, 5);
    assert_int_equal(close_world(2).delivered, 2);
}

/* A copy is an event of its own, and is shown. One that is dropped leaves its
 * id free, unless that is another event's, which was delivered. */
static void each_copy_of_an_event_is_shown(void **state)
{
    static const struct {
        unsigned id, cookie;
        phos_outcome outcome;
    } rows[] = {
        { 0, 0, PHOS_OUTCOME_DELIVERED }, { 1, 1, PHOS_OUTCOME_DROPPED },
        { 0, 2, PHOS_OUTCOME_DUPLICATE }, { 1, 4, PHOS_OUTCOME_DELIVERED },
        { 0, 3, PHOS_OUTCOME_DROPPED },   { 0, 6, PHOS_OUTCOME_DUPLICATE },
    };
    enum { COUNT = sizeof(rows) / sizeof(rows[0]) };
    phos_event_id ids[2];

    (void)state;
    assert_int_equal(phos_event_id_make(&ids[0]), PHOS_OK);
    assert_int_equal(phos_event_id_make(&ids[1]), PHOS_OK);
    open_world(drop_odd);
    for (unsigned i = 0; i < COUNT; i++) {
        phos_event event = secret_event(rows[i].cookie);

        event.event_id = &ids[rows[i].id];
        assert_int_equal(phos_client_log(world.client, &event, NULL), PHOS_OK);
    }
    assert_int_equal(phos_client_close(world.client, HANG_MS, NULL), PHOS_OK);
    phos_client_free(world.client);
    assert_int_equal(world.call_count, COUNT);
    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(world.witness.last[rows[i].cookie].outcome,
                         rows[i].outcome);
    assert_false(world.was_leaked);
}

/* ---- sent again ---- */

static int fail_three_times(unsigned number, phos_str body)
{
    (void)body;
    return number < 3 ? 500 : 201;
}

static void repeat_equal_bytes(phos_before_send_fn *masks)
{
    world.answers = fail_three_times;
    world.options.batch_events_max = 1;
    open_world(masks);
    log_events(1);
    flush();
    assert_int_equal(world.body_count, 4);
    for (unsigned i = 1; i < world.body_count; i++) {
        assert_int_equal(world.bodies[i].length, world.bodies[0].length);
        assert_memory_equal(world.bodies[i].data, world.bodies[0].data,
                            world.bodies[0].length);
    }
    assert_int_equal(close_world(1).delivered, 1);
}

static void repetitions_have_equal_bytes(void **state)
{
    (void)state;
    repeat_equal_bytes(shorten);
}

static void repetitions_of_longer_texts_have_equal_bytes(void **state)
{
    (void)state;
    repeat_equal_bytes(lengthen);
}

static int refuse_one(unsigned number, phos_str body)
{
    static const char bad[] = "event 42,";

    (void)number;
    return memmem(body.data, body.length, bad, sizeof(bad) - 1) ? 400 : 201;
}

static bool mask_with_number(phos_event *event, void *user_data)
{
    static char text[64];

    (void)user_data;
    event->input = phos_str_make(
        text, (size_t)snprintf(text, sizeof(text), "event %u, masked",
                               (unsigned)event->cookie));
    return true;
}

static void bisected_batches_hold_what_was_masked(void **state)
{
    phos_ledger ledger;

    (void)state;
    world.answers = refuse_one;
    open_world(mask_with_number);
    log_events(EVENTS);
    flush();
    ledger = close_world(EVENTS);
    assert_int_equal(ledger.delivered, EVENTS - 1);
    assert_int_equal(ledger.refused, 1);
    assert_int_equal(world.witness.last[42].outcome, PHOS_OUTCOME_REFUSED);
    assert_true(witness_heard(&world.witness, "event 42, masked"));
    assert_false(witness_heard(&world.witness, secret));
}

static int refuse_large(unsigned number, phos_str body)
{
    (void)number;
    return body.length > 4000 ? 413 : 201;
}

static void halved_batches_hold_what_was_masked(void **state)
{
    (void)state;
    world.answers = refuse_large;
    open_world(shorten);
    log_events(EVENTS);
    flush();
    assert_true(world.body_count > 1);
    assert_all_delivered_as(EVENTS, "[masked]");
}

static int hold_the_first(struct memory_transport *service, unsigned number,
                          const phos_request *request)
{
    service->holds = false; /* from the next one on */
    return look_at_request(service, number, request);
}

/* The first batch is held while others go on, until more than a quarter of the
 * ring lies behind it: what is moved out then is what was masked. */
static void moved_records_hold_what_was_masked(void **state)
{
    char filler[400];

    (void)state;
    memset(filler, '-', sizeof(filler));
    world.options.batch_events_max = 4;
    world.service.holds = true;
    world.service.script = hold_the_first;
    open_world(shorten);
    for (unsigned i = 0; i < EVENTS; i++) {
        phos_event event = secret_event(i);

        event.output = phos_str_make(filler, sizeof(filler));
        assert_int_equal(phos_client_log(world.client, &event, NULL), PHOS_OK);
    }
    await_parked(1);
    memory_transport_let_go(&world.service, 500);
    assert_all_delivered_as(EVENTS, "[masked]");
}

/* ---- what it may do ---- */

static bool log_another(phos_event *event, void *user_data)
{
    shorten(event, user_data);
    if (event->cookie == 0) {
        phos_event other = secret_event(1);

        world.log_status = phos_client_log(world.client, &other, NULL);
        world.flush_status =
            phos_client_flush(world.client, PHOS_FLUSH_DELIVERED, 1000);
    }
    return true;
}

static void it_may_log_and_must_not_wait(void **state)
{
    (void)state;
    open_world(log_another);
    log_events(1);
    memory_transport_await(&world.service, 2);
    assert_int_equal(world.log_status, PHOS_OK);
    assert_int_equal(world.flush_status, PHOS_E_WOULD_DEADLOCK);
    assert_all_delivered_as(2, "[masked]");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_field_is_shown_and_may_be_changed),
        TEST(a_shorter_text_takes_the_place_of_the_first),
        TEST(a_longer_text_is_kept_elsewhere),
        TEST(where_no_room_is_left_for_longer_texts_events_wait),
        TEST(without_memory_an_event_waits_and_never_goes_as_it_was),
        TEST(without_memory_to_send_it_an_event_is_still_shown_once),
        TEST(what_waits_at_close_is_dropped_unsent),
        TEST(what_is_dropped_has_its_receipt_and_is_not_sent),
        TEST(where_all_is_dropped_there_is_no_request),
        TEST(what_an_edit_breaks_is_dropped_and_told),
        TEST(what_an_edit_makes_too_large_is_cut_if_that_is_wanted),
        TEST(an_edit_keeps_the_marks_of_a_cut),
        TEST(neither_id_nor_cookie_can_be_changed),
        TEST(each_copy_of_an_event_is_shown),
        TEST(repetitions_have_equal_bytes),
        TEST(repetitions_of_longer_texts_have_equal_bytes),
        TEST(bisected_batches_hold_what_was_masked),
        TEST(halved_batches_hold_what_was_masked),
        TEST(moved_records_hold_what_was_masked),
        TEST(it_may_log_and_must_not_wait),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
