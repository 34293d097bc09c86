#include "json_world.h"

#include <jansson.h>
#include <math.h>

#define MINIMAL_HEAD "{\"event_id\":\"6f1f2b9e-2f7a-4f0e-9a51-0b7f3f6f5a10\","
#define MINIMAL_TAIL ",\"timestamp\":\"2025-01-31T09:30:00.123456Z\"}"

static void assert_bytes(const struct world *world, const char *want)
{
    assert_false(world->json.failed);
    assert_text(buffer_text(&world->json), phos_str_make(want, strlen(want)));
}

static void assert_json(struct world *world, const phos_event *event,
                        const char *want)
{
    make_record(world, event);
    phos__buffer_clear(&world->json);
    phos__json_event(&world->json, &world->view, id_bytes, LOGGED_US,
                     phos_str_make(NULL, 0));
    assert_bytes(world, want);
}

/* The event's JSON is the minimal one with `metadata` as it is given. */
static void assert_metadata(struct world *world, const phos_event *event,
                            const char *metadata)
{
    char want[4096];

    assert_true(snprintf(want, sizeof(want), "%s%s%s%s", MINIMAL_HEAD,
                         "\"input\":\"i\",\"output\":\"o\"", metadata,
                         MINIMAL_TAIL) < (int)sizeof(want));
    assert_json(world, event, want);
}

static void an_event_with_every_field_has_these_bytes(void **state)
{
    const phos_str tags[] = { PHOS_STR("prod"), PHOS_STR("gr\xc3\xbc\xc3\x9f"),
                              PHOS_STR("") };
    const phos_pair pairs[] = {
        phos_pair_text(PHOS_STR("release"), PHOS_STR("2024.11")),
        phos_pair_integer(PHOS_STR("big"), INT64_MIN),
        phos_pair_number(PHOS_STR("ratio"), 0.1),
        phos_pair_boolean(PHOS_STR("cached"), true),
        phos_pair_boolean(PHOS_STR("retried"), false),
        phos_pair_null(PHOS_STR("parent")),
    };
    phos_event event = minimal();

    event.input = PHOS_STR("How tall\nis \"K2\"?");
    event.output = PHOS_STR("8,611 m \xe2\x9b\xb0");
    event.session_id = PHOS_STR("user-7-9c01d2aa");
    event.project_id = PHOS_STR("p1");
    event.timestamp_us = 0;
    event.model = PHOS_STR("m-1");
    event.provider = PHOS_STR("acme");
    event.latency_ms = 412;
    event.token_count_input = 6;
    event.token_count_output = INT64_MAX;
    event.cost_cents = 0.4;
    event.user_id = PHOS_STR("user-7");
    event.tags = tags;
    event.tag_count = 3;
    event.traceparent =
        PHOS_STR("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    event.pairs = pairs;
    event.pair_count = 6;
    event.metadata_json =
        PHOS_STR(" { \"nested\" : [ 1.0, { \"a b\" : null } ] } ");
    event.cookie = 42;
    assert_json(
        *state, &event,
        "{\"event_id\":\"6f1f2b9e-2f7a-4f0e-9a51-0b7f3f6f5a10\","
        "\"session_id\":\"user-7-9c01d2aa\",\"project_id\":\"p1\","
        "\"input\":\"How tall\\nis \\\"K2\\\"?\","
        "\"output\":\"8,611 m \xe2\x9b\xb0\","
        "\"metadata\":{\"model\":\"m-1\",\"provider\":\"acme\","
        "\"latency_ms\":412,\"token_count_input\":6,"
        "\"token_count_output\":9223372036854775807,\"cost_cents\":0.4,"
        "\"user_id\":\"user-7\",\"tags\":[\"prod\",\"gr\xc3\xbc\xc3\x9f\",\"\"]"
        ",\"traceparent\":"
        "\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\","
        "\"release\":\"2024.11\",\"big\":-9223372036854775808,"
        "\"ratio\":0.1,\"cached\":true,\"retried\":false,\"parent\":null,"
        "\"nested\":[1.0,{\"a b\":null}]},"
        "\"timestamp\":\"1970-01-01T00:00:00.000000Z\"}");
}

static void a_batch_has_these_bytes(void **state)
{
    struct world *world = *state;
    phos_event event = minimal();

    make_record(world, &event);
    phos__batch_begin(&world->json);
    for (uint32_t i = 0; i < 2; i++) {
        phos__batch_next(&world->json, i);
        phos__json_event(&world->json, &world->view, id_bytes, LOGGED_US,
                         phos_str_make(NULL, 0));
    }
    phos__batch_end(&world->json);
    assert_bytes(world, "{\"events\":[" MINIMAL_HEAD
                        "\"input\":\"i\",\"output\":\"o\"" MINIMAL_TAIL
                        "," MINIMAL_HEAD
                        "\"input\":\"i\",\"output\":\"o\"" MINIMAL_TAIL "]}");
}

static void metadata_without_a_member_is_left_out(void **state)
{
    phos_event event = minimal();

    assert_metadata(*state, &event, "");
    event.metadata_json = PHOS_STR("{ }");
    assert_metadata(*state, &event, "");
}

static void a_number_that_is_0_is_sent_as_0(void **state)
{
    phos_event event = minimal();

    event.latency_ms = 0;
    assert_metadata(*state, &event, ",\"metadata\":{\"latency_ms\":0}");
    event = minimal();
    event.token_count_input = 0;
    assert_metadata(*state, &event, ",\"metadata\":{\"token_count_input\":0}");
    event = minimal();
    event.token_count_output = 0;
    assert_metadata(*state, &event, ",\"metadata\":{\"token_count_output\":0}");
    event = minimal();
    event.cost_cents = 0;
    assert_metadata(*state, &event, ",\"metadata\":{\"cost_cents\":0}");
}

static void an_empty_text_is_sent_and_one_left_out_is_not(void **state)
{
    const phos_str empty = PHOS_STR("");
    phos_event event = minimal();

    event.model = empty;
    assert_metadata(*state, &event, ",\"metadata\":{\"model\":\"\"}");
    event = minimal();
    event.provider = empty;
    assert_metadata(*state, &event, ",\"metadata\":{\"provider\":\"\"}");
    event = minimal();
    event.user_id = empty;
    assert_metadata(*state, &event, ",\"metadata\":{\"user_id\":\"\"}");
    event = minimal();
    event.session_id = empty;
    assert_json(*state, &event,
                MINIMAL_HEAD "\"session_id\":\"\",\"input\":\"i\","
                             "\"output\":\"o\"" MINIMAL_TAIL);
    event = minimal();
    event.project_id = empty;
    assert_json(*state, &event,
                MINIMAL_HEAD "\"project_id\":\"\",\"input\":\"i\","
                             "\"output\":\"o\"" MINIMAL_TAIL);
    event = minimal();
    event.input = empty;
    event.output = empty;
    assert_json(*state, &event,
                MINIMAL_HEAD "\"input\":\"\",\"output\":\"\"" MINIMAL_TAIL);
}

static void the_clients_project_is_used_when_the_event_has_none(void **state)
{
    struct world *world = *state;
    phos_event event = minimal();

    make_record(world, &event);
    phos__json_event(&world->json, &world->view, id_bytes, LOGGED_US,
                     PHOS_STR("of the client"));
    assert_bytes(world,
                 MINIMAL_HEAD "\"project_id\":\"of the client\","
                              "\"input\":\"i\",\"output\":\"o\"" MINIMAL_TAIL);
    event.project_id = PHOS_STR("own");
    make_record(world, &event);
    phos__buffer_clear(&world->json);
    phos__json_event(&world->json, &world->view, id_bytes, LOGGED_US,
                     PHOS_STR("of the client"));
    assert_bytes(world,
                 MINIMAL_HEAD "\"project_id\":\"own\","
                              "\"input\":\"i\",\"output\":\"o\"" MINIMAL_TAIL);
}

/* ---- keys given twice ---- */

static void a_typed_field_wins_over_pairs_and_raw_members(void **state)
{
    static const struct {
        const char *name, *want;
    } rows[] = {
        { "model", ",\"metadata\":{\"model\":\"t\"}" },
        { "provider", ",\"metadata\":{\"provider\":\"t\"}" },
        { "latency_ms", ",\"metadata\":{\"latency_ms\":7}" },
        { "token_count_input", ",\"metadata\":{\"token_count_input\":7}" },
        { "token_count_output", ",\"metadata\":{\"token_count_output\":7}" },
        { "cost_cents", ",\"metadata\":{\"cost_cents\":7}" },
        { "user_id", ",\"metadata\":{\"user_id\":\"t\"}" },
        { "tags", ",\"metadata\":{\"tags\":[\"t\"]}" },
    };
    const phos_str tag = PHOS_STR("t");

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        phos_event event = minimal();
        phos_pair pair = phos_pair_text(
            phos_str_make(rows[i].name, strlen(rows[i].name)), PHOS_STR("p"));
        char raw[64], want[80];

        snprintf(raw, sizeof(raw), "{\"\\u%04x%s\":\"r\"}",
                 (unsigned)rows[i].name[0], rows[i].name + 1);
        event.metadata_json = phos_str_make(raw, strlen(raw));
        snprintf(want, sizeof(want), ",\"metadata\":{\"%s\":\"r\"}",
                 rows[i].name);
        assert_metadata(*state, &event, want); /* alone, it is sent */

        event.pairs = &pair;
        event.pair_count = 1;
        snprintf(want, sizeof(want), ",\"metadata\":{\"%s\":\"p\"}",
                 rows[i].name);
        assert_metadata(*state, &event, want);

        event.model = i == 0 ? tag : event.model;
        event.provider = i == 1 ? tag : event.provider;
        event.latency_ms = i == 2 ? 7 : PHOS_UNSET;
        event.token_count_input = i == 3 ? 7 : PHOS_UNSET;
        event.token_count_output = i == 4 ? 7 : PHOS_UNSET;
        event.cost_cents = i == 5 ? 7 : (double)NAN;
        event.user_id = i == 6 ? tag : event.user_id;
        event.tags = &tag;
        event.tag_count = i == 7;
        assert_metadata(*state, &event, rows[i].want);
    }
}

static void the_first_of_equal_keys_is_sent(void **state)
{
    const phos_pair pairs[] = {
        phos_pair_integer(PHOS_STR("a"), 1),
        phos_pair_integer(PHOS_STR("b"), 2),
        phos_pair_integer(PHOS_STR("a"), 3),
        /* Different bytes, but both are sent as U+FFFD. */
        phos_pair_integer(PHOS_STR("\xff"), 4),
        phos_pair_integer(PHOS_STR("\xfe"), 5),
        phos_pair_integer(PHOS_STR("nul\0"), 6),
    };
    phos_event event = minimal();

    event.pairs = pairs;
    event.pair_count = 6;
    event.metadata_json =
        PHOS_STR("{\"\\u0061\":7,\"c\":8,\"\\ud800\":9,\"\\u0063\":10,"
                 "\"nul\\u0000\":11,\"\":12,\"nul\":13,\"\":14}");
    assert_metadata(*state, &event,
                    ",\"metadata\":{\"a\":1,\"b\":2,\"\xef\xbf\xbd\":4,"
                    "\"nul\\u0000\":6,\"c\":8,\"\":12,\"nul\":13}");
}

/* I4: more keys than the set holds inside, each twice. */
static void many_raw_keys_are_each_sent_once(void **state)
{
    enum { KEYS = 2000 };
    struct world *world = *state;
    phos_event event = minimal();
    struct phos__buffer raw;
    json_t *json, *metadata;

    buffer_init_libc(&raw);
    for (int i = 0; i < 2 * KEYS; i++) {
        char member[32];

        snprintf(member, sizeof(member), "%s\"key%d\":%d", i == 0 ? "{" : ",",
                 i % KEYS, i);
        phos__buffer_append(&raw, member, strlen(member));
    }
    phos__buffer_append_str(&raw, PHOS_STR("}"));
    event.metadata_json = buffer_text(&raw);
    make_record(world, &event);
    phos__json_event(&world->json, &world->view, id_bytes, LOGGED_US,
                     phos_str_make(NULL, 0));
    json = json_loadb((const char *)world->json.data, world->json.bytes,
                      JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    metadata = json_object_get(json, "metadata");
    assert_int_equal(json_object_size(metadata), KEYS);
    for (int i = 0; i < KEYS; i++) {
        char key[16];

        snprintf(key, sizeof(key), "key%d", i);
        assert_int_equal(json_integer_value(json_object_get(metadata, key)), i);
    }
    json_decref(json);
    phos__buffer_deinit(&raw);
}

static void metadata_that_is_no_object_after_all_breaks_nothing(void **state)
{
    struct world *world = *state;
    phos_event event = minimal();
    char raw[] = "{\"a\":1,\"k\":[1]}";

    event.metadata_json = phos_str_make(raw, sizeof(raw) - 1);
    make_record(world, &event);
    ((char *)(uintptr_t)world->view.metadata_json.data)[13] = '}';
    phos__json_event(&world->json, &world->view, id_bytes, LOGGED_US,
                     phos_str_make(NULL, 0));
    assert_bytes(world,
                 MINIMAL_HEAD "\"input\":\"i\",\"output\":\"o\"" MINIMAL_TAIL);
}

/* Each allocation fails in turn; nothing is written through NULL, and the
 * failure is known at the end. */
static void without_memory_the_buffer_is_marked_as_failed(void **state)
{
    struct world *world = *state;
    phos_event event = minimal();
    struct phos__buffer raw;
    int allocations = 0;
    bool has_failed = true;

    buffer_init_libc(&raw);
    for (int i = 0; i < 500; i++) {
        char member[32];

        snprintf(member, sizeof(member), "%s\"key%d\":%d", i == 0 ? "{" : ",",
                 i, i);
        phos__buffer_append(&raw, member, strlen(member));
    }
    phos__buffer_append_str(&raw, PHOS_STR("}"));
    event.metadata_json = buffer_text(&raw);
    event.tags = (phos_str[]){ PHOS_STR("t") };
    event.tag_count = 1;
    make_record(world, &event);
    for (; has_failed; allocations++) {
        struct budget budget = { allocations };
        phos_allocator allocator = budget_allocator(&budget);
        struct phos__buffer json;

        phos__buffer_init(&json, &allocator);
        phos__json_event(&json, &world->view, id_bytes, LOGGED_US,
                         phos_str_make(NULL, 0));
        has_failed = json.failed;
        assert_int_equal(has_failed, budget.left < 0);
        phos__buffer_deinit(&json);
    }
    assert_true(allocations > 4);
    phos__buffer_deinit(&raw);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_event_with_every_field_has_these_bytes),
        TEST(a_batch_has_these_bytes),
        TEST(metadata_without_a_member_is_left_out),
        TEST(a_number_that_is_0_is_sent_as_0),
        TEST(an_empty_text_is_sent_and_one_left_out_is_not),
        TEST(the_clients_project_is_used_when_the_event_has_none),
        TEST(a_typed_field_wins_over_pairs_and_raw_members),
        TEST(the_first_of_equal_keys_is_sent),
        TEST(many_raw_keys_are_each_sent_once),
        TEST(metadata_that_is_no_object_after_all_breaks_nothing),
        TEST(without_memory_the_buffer_is_marked_as_failed),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
