/* Each field of an event on its whole way: call, ring, JSON, transport, and
 * there an independent JSON reader. */
#define _GNU_SOURCE

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "client/memory_transport.h"
#include "client/witness.h"
#include "wire/timestamp.h"

struct world {
    struct memory_transport service;
    struct witness witness;
    phos_client *client;
};

static struct world world;

static phos_options world_options(void)
{
    phos_options options;

    memory_transport_init(&world.service);
    witness_init(&world.witness);
    options = witness_options(&world.witness, "http://127.0.0.1:1");
    options.transport = &world.service.transport;
    return options;
}

static void open_world(const phos_options *options)
{
    assert_int_equal(phos_client_open(options, &world.client), PHOS_OK);
}

static void close_world(void)
{
    phos_close_report report;

    assert_int_equal(phos_client_close(world.client, 10000, &report), PHOS_OK);
    assert_adds_up(&report.ledger);
    phos_client_free(world.client);
    memory_transport_deinit(&world.service);
    witness_deinit(&world.witness);
}

/* Logs one event; returns it as the service got it, a new reference. */
static json_t *deliver(const phos_event *event, phos_str project_id)
{
    phos_options options = world_options();
    json_t *sent;

    options.project_id = project_id;
    open_world(&options);
    assert_int_equal(phos_client_log(world.client, event, NULL), PHOS_OK);
    assert_int_equal(
        phos_client_flush(world.client, PHOS_FLUSH_DELIVERED, 10000), PHOS_OK);
    sent = json_incref(json_array_get(world.service.events, 0));
    close_world();
    assert_non_null(sent);
    return sent;
}

/* The value at `key`, or behind "metadata." in there; NULL: left out. */
static const json_t *at(const json_t *event, const char *key)
{
    static const char inside[] = "metadata.";

    if (strncmp(key, inside, sizeof(inside) - 1) != 0)
        return json_object_get(event, key);
    return json_object_get(json_object_get(event, "metadata"),
                           key + sizeof(inside) - 1);
}

/* ---- integers, the cost ---- */

static void check_integer(size_t offset, const char *key)
{
    static const int64_t values[] = { 0, 1, 4711, INT64_MAX };

    for (size_t i = 0; i <= sizeof(values) / sizeof(values[0]); i++) {
        bool is_left_out = i == sizeof(values) / sizeof(values[0]);
        phos_event event = witness_event(1);
        json_t *sent;

        if (!is_left_out)
            memcpy((char *)&event + offset, &values[i], sizeof(values[i]));
        sent = deliver(&event, PHOS_STR(""));
        if (is_left_out) {
            assert_null(at(sent, key));
        } else {
            assert_true(json_is_integer(at(sent, key)));
            assert_int_equal(json_integer_value(at(sent, key)), values[i]);
        }
        json_decref(sent);
    }
}

#define INTEGER(field)                                                  \
    static void field##_of_0_is_sent_and_left_out_is_left_out(void **s) \
    {                                                                   \
        (void)s;                                                        \
        check_integer(offsetof(phos_event, field), "metadata." #field); \
    }

INTEGER(latency_ms)
INTEGER(token_count_input)
INTEGER(token_count_output)

static void cost_cents_of_0_is_sent_and_nan_is_left_out(void **state)
{
    static const double values[] = { 0.0, 0.1, -2.5, 1e300, 5e-324 };
    phos_event event = witness_event(1);
    json_t *sent = deliver(&event, PHOS_STR(""));

    (void)state;
    assert_null(at(sent, "metadata.cost_cents"));
    json_decref(sent);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        const json_t *cost;

        event.cost_cents = values[i];
        sent = deliver(&event, PHOS_STR(""));
        cost = at(sent, "metadata.cost_cents");
        assert_true(json_is_number(cost));
        assert_true(json_number_value(cost) == values[i]);
        json_decref(sent);
    }
}

/* ---- texts ---- */

static void check_text(size_t offset, const char *key, bool is_required)
{
    const phos_str texts[] = {
        PHOS_STR(""),
        PHOS_STR("gpt-4"),
        PHOS_STR("\"\\\n\001 a\0b \xc3\xa9 \xe2\x80\xa8"),
    };
    phos_event event = witness_event(1);
    json_t *sent;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        const json_t *text;

        memcpy((char *)&event + offset, &texts[i], sizeof(texts[i]));
        sent = deliver(&event, PHOS_STR(""));
        text = at(sent, key);
        assert_true(json_is_string(text));
        assert_int_equal(json_string_length(text), texts[i].length);
        assert_memory_equal(json_string_value(text), texts[i].data,
                            texts[i].length);
        json_decref(sent);
    }
    if (is_required)
        return;
    event = witness_event(1);
    sent = deliver(&event, PHOS_STR(""));
    assert_null(at(sent, key));
    json_decref(sent);
}

#define TEXT(field, key)                                               \
    static void empty_##field##_is_sent_and_null_is_left_out(void **s) \
    {                                                                  \
        (void)s;                                                       \
        check_text(offsetof(phos_event, field), key, false);           \
    }

TEXT(session_id, "session_id")
TEXT(project_id, "project_id")
TEXT(model, "metadata.model")
TEXT(provider, "metadata.provider")
TEXT(user_id, "metadata.user_id")

static void empty_input_is_sent(void **state)
{
    (void)state;
    check_text(offsetof(phos_event, input), "input", true);
}

static void empty_output_is_sent(void **state)
{
    (void)state;
    check_text(offsetof(phos_event, output), "output", true);
}

static void the_events_project_wins_over_the_clients(void **state)
{
    phos_event event = witness_event(1);
    json_t *sent = deliver(&event, PHOS_STR("of-client"));

    (void)state;
    assert_string_equal(json_string_value(at(sent, "project_id")), "of-client");
    json_decref(sent);
    event.project_id = PHOS_STR("of-event");
    sent = deliver(&event, PHOS_STR("of-client"));
    assert_string_equal(json_string_value(at(sent, "project_id")), "of-event");
    json_decref(sent);
    event.project_id = PHOS_STR("");
    sent = deliver(&event, PHOS_STR("of-client"));
    assert_string_equal(json_string_value(at(sent, "project_id")), "");
    json_decref(sent);
}

/* ---- tags, pairs, raw metadata ---- */

static void tags_are_sent_in_their_order_and_no_tags_are_left_out(void **state)
{
    const phos_str tags[] = { PHOS_STR("b"), PHOS_STR(""), PHOS_STR("a") };
    phos_event event = witness_event(1);
    json_t *sent = deliver(&event, PHOS_STR(""));
    json_t *want = json_pack("[sss]", "b", "", "a");

    (void)state;
    assert_null(at(sent, "metadata.tags"));
    json_decref(sent);
    event.tags = tags;
    event.tag_count = 3;
    sent = deliver(&event, PHOS_STR(""));
    assert_true(json_equal(at(sent, "metadata.tags"), want));
    json_decref(sent);
    json_decref(want);
}

static void custom_pairs_keep_their_types(void **state)
{
    const phos_pair pairs[] = {
        phos_pair_integer(PHOS_STR("integer"), 0),
        phos_pair_integer(PHOS_STR("least"), INT64_MIN),
        phos_pair_number(PHOS_STR("number"), 0.5),
        phos_pair_text(PHOS_STR("text"), PHOS_STR("")),
        phos_pair_boolean(PHOS_STR("no"), false),
        phos_pair_boolean(PHOS_STR("yes"), true),
        phos_pair_null(PHOS_STR("null")),
        phos_pair_text(PHOS_STR("model"), PHOS_STR("of the pair")),
        phos_pair_text(PHOS_STR("user_id"), PHOS_STR("of the pair")),
    };
    phos_event event = witness_event(1);
    json_t *want, *sent;

    (void)state;
    event.pairs = pairs;
    event.pair_count = sizeof(pairs) / sizeof(pairs[0]);
    event.model = PHOS_STR("of the field");
    sent = deliver(&event, PHOS_STR(""));
    want = json_pack("{s:i, s:I, s:f, s:s, s:b, s:b, s:n, s:s, s:s}", "integer",
                     0, "least", (json_int_t)INT64_MIN, "number", 0.5, "text",
                     "", "no", 0, "yes", 1, "null", "model", "of the field",
                     "user_id", "of the pair");
    assert_true(json_equal(json_object_get(sent, "metadata"), want));
    json_decref(want);
    json_decref(sent);
}

static void raw_metadata_is_merged_and_loses(void **state)
{
    const phos_pair pair = phos_pair_integer(PHOS_STR("b"), 1);
    phos_event event = witness_event(1);
    json_t *want, *sent;

    (void)state;
    event.pairs = &pair;
    event.pair_count = 1;
    event.latency_ms = 0;
    event.metadata_json = PHOS_STR(" { \"a\" : [1, {\"x\":null}], \"b\": 2,"
                                   "\"latency_ms\": 3, \"a\": 4 } ");
    sent = deliver(&event, PHOS_STR(""));
    want = json_pack("{s:[i, {s:n}], s:i, s:i}", "a", 1, "x", "b", 1,
                     "latency_ms", 0);
    assert_true(json_equal(json_object_get(sent, "metadata"), want));
    json_decref(want);
    json_decref(sent);
}

static void an_event_without_metadata_has_none(void **state)
{
    phos_event event = witness_event(1);
    json_t *sent = deliver(&event, PHOS_STR(""));

    (void)state;
    assert_null(json_object_get(sent, "metadata"));
    /* event_id, input, output, timestamp; the cookie is not sent */
    assert_int_equal(json_object_size(sent), 4);
    json_decref(sent);
}

/* ---- time ---- */

static int64_t wall_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t timestamp_of(const json_t *event)
{
    const char *text = json_string_value(at(event, "timestamp"));
    int64_t time_us = -1;

    assert_non_null(text);
    assert_true(
        phos__timestamp_read(phos_str_make(text, strlen(text)), &time_us));
    return time_us;
}

static void a_given_timestamp_is_sent_as_it_is(void **state)
{
    static const int64_t times[] = { 0, 1, 1735689600123456,
                                     PHOS__TIMESTAMP_US_MAX };

    (void)state;
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        phos_event event = witness_event(1);
        json_t *sent;

        event.timestamp_us = times[i];
        sent = deliver(&event, PHOS_STR(""));
        assert_int_equal(timestamp_of(sent), times[i]);
        json_decref(sent);
    }
}

/* The worker is held up inside the service while an event is logged and some
 * time passes: the event's time is that of the call and not of its reading. */

enum { HELD_UP_US = 300000, TOLERANCE_US = 100000 };

static sem_t is_inside, may_go_on;

static int hold_up(struct memory_transport *service, unsigned number,
                   const phos_request *request)
{
    (void)service;
    (void)request;
    if (number == 0) {
        sem_post(&is_inside);
        sem_wait(&may_go_on);
    }
    return 201;
}

static void check_clock(phos_clock clock)
{
    phos_options options = world_options();
    phos_event event = witness_event(1);
    int64_t before_us, after_us, sent_us;

    sem_init(&is_inside, 0, 0);
    sem_init(&may_go_on, 0, 0);
    options.clock = clock;
    world.service.script = hold_up;
    open_world(&options);
    assert_int_equal(phos_client_log(world.client, &event, NULL), PHOS_OK);
    sem_wait(&is_inside);
    before_us = wall_us();
    assert_int_equal(phos_client_log(world.client, &event, NULL), PHOS_OK);
    after_us = wall_us();
    while (wall_us() < after_us + HELD_UP_US)
        ;
    sem_post(&may_go_on);
    memory_transport_await(&world.service, 2);
    sent_us = timestamp_of(json_array_get(world.service.events, 1));
    close_world();
    sem_destroy(&is_inside);
    sem_destroy(&may_go_on);

    assert_true(sent_us >= before_us - TOLERANCE_US);
    assert_true(sent_us <= after_us + TOLERANCE_US);
}

static void the_time_is_that_of_the_call_by_the_counter(void **state)
{
    (void)state;
    check_clock(PHOS_CLOCK_COUNTER);
}

static void the_time_is_that_of_the_call_by_the_coarse_clock(void **state)
{
    (void)state;
    check_clock(PHOS_CLOCK_COARSE);
}

static void the_time_is_that_of_the_call_by_the_exact_clock(void **state)
{
    (void)state;
    check_clock(PHOS_CLOCK_EXACT);
}

/* ---- retries ---- */

enum { FAILURES = 5, TOGETHER = 3, BODIES_MAX = 32 };

static char *bodies[BODIES_MAX]; /* the first ones sent */

static int fail_often(struct memory_transport *service, unsigned number,
                      const phos_request *request)
{
    (void)service;
    if (number < BODIES_MAX) {
        bodies[number] = calloc(1, request->body.length + 1);
        memcpy(bodies[number], request->body.data, request->body.length);
    }
    return number < FAILURES ? 500 : 201;
}

static bool has_arrived(const phos_event_id *id)
{
    char text[PHOS_EVENT_ID_TEXT_LENGTH + 1];
    const json_t *sent;
    size_t i;

    phos_event_id_to_text(id, text);
    json_array_foreach(world.service.events, i,
                       sent) if (strcmp(json_string_value(at(sent, "event_id")),
                                        text) == 0) return true;
    return false;
}

static void assert_same_events(const char *text)
{
    json_t *body = json_loads(text, 0, NULL);
    json_t *first_body = json_loads(bodies[0], 0, NULL);
    json_t *sent, *first;
    size_t i, j;

    json_array_foreach(json_object_get(body, "events"), i, sent)
    {
        bool is_known = false;

        json_array_foreach(json_object_get(first_body, "events"), j, first)
            is_known |= json_equal(sent, first) == 1;
        assert_true(is_known);
    }
    json_decref(body);
    json_decref(first_body);
}

static void every_retry_sends_the_same_bytes_and_ids(void **state)
{
    phos_options options = world_options();
    phos_event_id ids[TOGETHER], chosen;

    (void)state;
    assert_int_equal(phos_event_id_make(&chosen), PHOS_OK);
    world.service.script = fail_often;
    options.linger_ms = 60000;
    options.batch_events_max = TOGETHER;
    options.in_flight_max = 1;
    open_world(&options);
    for (unsigned i = 0; i < TOGETHER; i++) {
        phos_event event = witness_event(i);

        if (i == 1)
            event.event_id = &chosen;
        assert_int_equal(phos_client_log(world.client, &event, &ids[i]),
                         PHOS_OK);
    }
    assert_memory_equal(&ids[1], &chosen, sizeof(chosen));
    memory_transport_await(&world.service, TOGETHER);
    for (unsigned i = 0; i < TOGETHER; i++)
        assert_true(has_arrived(&ids[i]));
    close_world();
    /* An outage is probed with parts of a batch, so an event is looked for
     * among those of the first body. */
    for (unsigned number = 0; number < BODIES_MAX && bodies[number]; number++)
        assert_same_events(bodies[number]);
    assert_non_null(bodies[FAILURES]);
    for (unsigned number = 0; number < BODIES_MAX; number++)
        free(bodies[number]);
}

/* ---- what is refused by the call ---- */

static const phos_str too_many[65] = { { "t", 1 } };
static const phos_str tag_without_data = { NULL, 0 };
static const phos_str broken_view = { NULL, 3 };
static const phos_pair nameless = { { "", 0 },   PHOS_VALUE_NULL,
                                    { NULL, 0 }, 0,
                                    0.0,         false };
static const phos_pair infinite = { { "k", 1 }, PHOS_VALUE_NUMBER, { NULL, 0 },
                                    0,          (double)INFINITY,  false };
static char large[5000];

#define ROW(name, change)               \
    static void name(phos_event *event) \
    {                                   \
        change;                         \
    }
ROW(no_size, event->struct_size = 0)
ROW(no_input, event->input = tag_without_data)
ROW(no_output, event->output = tag_without_data)
ROW(broken_input, event->input = broken_view)
ROW(broken_model, event->model = broken_view)
ROW(time_before_1970, event->timestamp_us = -1)
ROW(time_after_9999, event->timestamp_us = PHOS__TIMESTAMP_US_MAX + 1)
ROW(negative_latency, event->latency_ms = -1)
ROW(negative_tokens_in, event->token_count_input = -1)
ROW(negative_tokens_out, event->token_count_output = -1)
ROW(infinite_cost, event->cost_cents = (double)INFINITY)
ROW(many_tags, event->tags = too_many; event->tag_count = 65)
ROW(null_tags, event->tag_count = 1)
ROW(null_tag, event->tags = &tag_without_data; event->tag_count = 1)
ROW(many_pairs, event->pairs = &nameless; event->pair_count = 65)
ROW(null_pairs, event->pair_count = 1)
ROW(nameless_pair, event->pairs = &nameless; event->pair_count = 1)
ROW(infinite_pair, event->pairs = &infinite; event->pair_count = 1)
ROW(broken_metadata, event->metadata_json = PHOS_STR("{\"a\":}"))
ROW(metadata_no_object, event->metadata_json = PHOS_STR("[1]"))
#undef ROW

static void what_breaks_the_shape_is_rejected_and_counted(void **state)
{
    static void (*const rows[])(phos_event * event) = {
        no_size,
        no_input,
        no_output,
        broken_input,
        broken_model,
        time_before_1970,
        time_after_9999,
        negative_latency,
        infinite_cost,
        negative_tokens_in,
        negative_tokens_out,
        many_tags,
        null_tags,
        null_tag,
        many_pairs,
        null_pairs,
        nameless_pair,
        infinite_pair,
        broken_metadata,
        metadata_no_object,
    };
    const size_t count = sizeof(rows) / sizeof(rows[0]);
    phos_options options = world_options();
    phos_stats stats = { .struct_size = sizeof(stats) };
    phos_event event;
    phos_event_id id, untouched;

    (void)state;
    memset(&id, 0xab, sizeof(id));
    untouched = id;
    open_world(&options);
    for (size_t i = 0; i < count; i++) {
        event = witness_event(1);
        rows[i](&event);
        if (phos_client_log(world.client, &event, &id) != PHOS_E_INVALID)
            fail_msg("row %zu is not rejected", i);
        assert_memory_equal(&id, &untouched, sizeof(id));
    }
    assert_int_equal(phos_client_log(world.client, NULL, NULL), PHOS_E_INVALID);
    event = witness_event(1);
    event.output = phos_str_make(large, sizeof(large));
    assert_int_equal(phos_client_log(world.client, &event, &id),
                     PHOS_E_TOO_LARGE);
    assert_int_equal(phos_client_stats(world.client, &stats), PHOS_OK);
    assert_int_equal(stats.rejected.invalid, count + 1);
    assert_int_equal(stats.rejected.too_large, 1);
    assert_int_equal(stats.rejected.full, 0);
    assert_int_equal(stats.rejected.closed, 0);
    assert_int_equal(stats.ledger.accepted, 0);
    close_world();
}

/* ---- too large ---- */

enum { LIMIT = 4096 };

static phos_client *open_limited(phos_oversize oversize)
{
    phos_options options = world_options();

    options.event_bytes_max = LIMIT;
    options.oversize = oversize;
    open_world(&options);
    return world.client;
}

static uint64_t truncated(void)
{
    phos_stats stats = { .struct_size = sizeof(stats) };

    assert_int_equal(phos_client_stats(world.client, &stats), PHOS_OK);
    return stats.truncated;
}

static void what_is_too_large_is_cut_and_marked(void **state)
{
    static char text[LIMIT];
    phos_pair pairs[] = { phos_pair_boolean(PHOS_STR("phos_truncated"), false),
                          phos_pair_integer(PHOS_STR("phos_output_bytes"), 1) };
    phos_event event = witness_event(1);
    const json_t *sent;

    (void)state;
    memset(text, 'x', sizeof(text));
    event.output = phos_str_make(text, sizeof(text));
    event.pairs = pairs;
    event.pair_count = 2;
    open_limited(PHOS_OVERSIZE_TRUNCATE);
    assert_int_equal(phos_client_log(world.client, &event, NULL), PHOS_OK);
    assert_int_equal(
        phos_client_flush(world.client, PHOS_FLUSH_DELIVERED, 10000), PHOS_OK);
    sent = json_array_get(world.service.events, 0);
    assert_true(json_is_true(at(sent, "metadata.phos_truncated")));
    assert_int_equal(json_integer_value(at(sent, "metadata.phos_output_bytes")),
                     LIMIT);
    assert_null(at(sent, "metadata.phos_input_bytes"));
    assert_in_range(json_string_length(at(sent, "output")), LIMIT - 256,
                    LIMIT - 40);
    assert_int_equal(json_string_length(at(sent, "input")), event.input.length);
    assert_int_equal(truncated(), 1);
    close_world();
}

static void what_fits_is_not_cut(void **state)
{
    phos_event event = witness_event(1);
    const json_t *sent;

    (void)state;
    open_limited(PHOS_OVERSIZE_TRUNCATE);
    assert_int_equal(phos_client_log(world.client, &event, NULL), PHOS_OK);
    assert_int_equal(
        phos_client_flush(world.client, PHOS_FLUSH_DELIVERED, 10000), PHOS_OK);
    sent = json_array_get(world.service.events, 0);
    assert_null(at(sent, "metadata.phos_truncated"));
    assert_int_equal(truncated(), 0);
    close_world();
}

static void what_is_too_large_is_rejected_by_default(void **state)
{
    static char text[LIMIT];
    phos_event event = witness_event(1);

    (void)state;
    memset(text, 'x', sizeof(text));
    event.output = phos_str_make(text, sizeof(text));
    open_limited(phos_options_default().oversize);
    assert_int_equal(phos_client_log(world.client, &event, NULL),
                     PHOS_E_TOO_LARGE);
    assert_int_equal(truncated(), 0);
    close_world();

    event.model = event.output; /* which is never cut */
    open_limited(PHOS_OVERSIZE_TRUNCATE);
    assert_int_equal(phos_client_log(world.client, &event, NULL),
                     PHOS_E_TOO_LARGE);
    assert_int_equal(truncated(), 0);
    close_world();
}

/* U+1F3D4 in four pieces, and a byte that is broken in any case. */
static void a_character_broken_between_pieces_arrives_whole(void **state)
{
    const phos_str parts[] = { PHOS_STR("K2 \xf0"), PHOS_STR("\x9f"),
                               PHOS_STR("\x8f"),    PHOS_STR("\x94 \xff."),
                               PHOS_STR("\xc3"),    PHOS_STR("\xa9") };
    phos_event event = witness_event(1);
    json_t *sent;

    (void)state;
    event.output = phos_str_make(NULL, 0);
    event.output_parts = parts;
    event.output_part_count = 6;
    sent = deliver(&event, PHOS_STR(""));
    assert_string_equal(json_string_value(at(sent, "output")),
                        "K2 \xf0\x9f\x8f\x94 \xef\xbf\xbd.\xc3\xa9");
    json_decref(sent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_too_large_is_cut_and_marked),
        cmocka_unit_test(what_fits_is_not_cut),
        cmocka_unit_test(what_is_too_large_is_rejected_by_default),
        cmocka_unit_test(a_character_broken_between_pieces_arrives_whole),
        cmocka_unit_test(latency_ms_of_0_is_sent_and_left_out_is_left_out),
        cmocka_unit_test(
            token_count_input_of_0_is_sent_and_left_out_is_left_out),
        cmocka_unit_test(
            token_count_output_of_0_is_sent_and_left_out_is_left_out),
        cmocka_unit_test(cost_cents_of_0_is_sent_and_nan_is_left_out),
        cmocka_unit_test(empty_session_id_is_sent_and_null_is_left_out),
        cmocka_unit_test(empty_project_id_is_sent_and_null_is_left_out),
        cmocka_unit_test(empty_model_is_sent_and_null_is_left_out),
        cmocka_unit_test(empty_provider_is_sent_and_null_is_left_out),
        cmocka_unit_test(empty_user_id_is_sent_and_null_is_left_out),
        cmocka_unit_test(empty_input_is_sent),
        cmocka_unit_test(empty_output_is_sent),
        cmocka_unit_test(the_events_project_wins_over_the_clients),
        cmocka_unit_test(tags_are_sent_in_their_order_and_no_tags_are_left_out),
        cmocka_unit_test(custom_pairs_keep_their_types),
        cmocka_unit_test(raw_metadata_is_merged_and_loses),
        cmocka_unit_test(an_event_without_metadata_has_none),
        cmocka_unit_test(a_given_timestamp_is_sent_as_it_is),
        cmocka_unit_test(the_time_is_that_of_the_call_by_the_counter),
        cmocka_unit_test(the_time_is_that_of_the_call_by_the_coarse_clock),
        cmocka_unit_test(the_time_is_that_of_the_call_by_the_exact_clock),
        cmocka_unit_test(every_retry_sends_the_same_bytes_and_ids),
        cmocka_unit_test(what_breaks_the_shape_is_rejected_and_counted),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
