#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "ndjson.h"

/* Keys that the reader told of, each behind a blank. */
struct heard {
    char keys[256];
};

static void hear(const char *key, const char *hint, void *user_data)
{
    struct heard *heard = user_data;

    assert_non_null(hint);
    strcat(strcat(heard->keys, " "), key);
}

static void hear_nothing(const char *key, const char *hint, void *user_data)
{
    (void)key;
    (void)hint;
    (void)user_data;
}

static struct ndjson ndjson;
static struct heard heard;
static char reason[NDJSON_REASON_BYTES];

static int start(void **state)
{
    (void)state;
    ndjson_init(&ndjson);
    memset(&heard, 0, sizeof(heard));
    return 0;
}

static int end(void **state)
{
    (void)state;
    ndjson_deinit(&ndjson);
    return 0;
}

static bool read_line(const char *line, phos_event *event)
{
    return ndjson_read(&ndjson, line, strlen(line), hear, &heard, event,
                       reason);
}

static void assert_text(phos_str text, const char *wanted)
{
    if (wanted == NULL) {
        assert_null(text.data);
        return;
    }
    assert_non_null(text.data);
    assert_int_equal(text.length, strlen(wanted));
    assert_memory_equal(text.data, wanted, text.length);
}

static void assert_broken(const char *line, const char *wanted)
{
    phos_event event;

    assert_false(read_line(line, &event));
    assert_string_equal(reason, wanted);
}

static void every_field_of_the_schema_is_read(void **state)
{
    char id[PHOS_EVENT_ID_TEXT_LENGTH + 1];
    phos_event event;

    (void)state;
    assert_true(read_line(
        "{\"event_id\":\"6F1F2B9E-2f7a-4f0e-9a51-0b7f3f6f5a10\","
        "\"session_id\":\"s\",\"project_id\":\"p\",\"input\":\"i\","
        "\"output\":\"o\",\"timestamp\":\"2025-01-31T09:30:00.25Z\","
        "\"metadata\":{\"model\":\"m\",\"provider\":\"v\",\"user_id\":\"u\","
        "\"latency_ms\":412,\"token_count_input\":6,"
        "\"token_count_output\":9007199254740993,\"cost_cents\":0.4,"
        "\"tags\":[\"a\",\"\"]}}",
        &event));
    phos_event_id_to_text(event.event_id, id);
    assert_string_equal(id, "6f1f2b9e-2f7a-4f0e-9a51-0b7f3f6f5a10");
    assert_text(event.session_id, "s");
    assert_text(event.project_id, "p");
    assert_text(event.input, "i");
    assert_text(event.output, "o");
    assert_int_equal(event.timestamp_us, INT64_C(1738315800250000));
    assert_text(event.model, "m");
    assert_text(event.provider, "v");
    assert_text(event.user_id, "u");
    assert_int_equal(event.latency_ms, 412);
    assert_int_equal(event.token_count_input, 6);
    assert_int_equal(event.token_count_output, INT64_C(9007199254740993));
    assert_true(event.cost_cents == 0.4);
    assert_int_equal(event.tag_count, 2);
    assert_text(event.tags[0], "a");
    assert_text(event.tags[1], "");
    assert_text(event.metadata_json, NULL);
    assert_string_equal(heard.keys, "");
}

static void what_is_left_out_or_null_stays_out(void **state)
{
    static const char *const lines[] = {
        "{\"input\":\"\",\"output\":\"\"}",
        "{\"input\":\"\",\"output\":\"\",\"event_id\":null,"
        "\"session_id\":null,\"project_id\":null,\"timestamp\":null,"
        "\"metadata\":null}",
        "{\"input\":\"\",\"output\":\"\",\"metadata\":{\"model\":null,"
        "\"provider\":null,\"user_id\":null,\"latency_ms\":null,"
        "\"token_count_input\":null,\"token_count_output\":null,"
        "\"cost_cents\":null,\"tags\":null}}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        phos_event event;

        assert_true(read_line(lines[i], &event));
        assert_text(event.input, "");
        assert_text(event.output, "");
        assert_null(event.event_id);
        assert_text(event.session_id, NULL);
        assert_text(event.project_id, NULL);
        assert_true(event.timestamp_us == PHOS_UNSET);
        assert_text(event.model, NULL);
        assert_text(event.provider, NULL);
        assert_text(event.user_id, NULL);
        assert_true(event.latency_ms == PHOS_UNSET);
        assert_true(event.token_count_input == PHOS_UNSET);
        assert_true(event.token_count_output == PHOS_UNSET);
        assert_true(isnan(event.cost_cents));
        assert_int_equal(event.tag_count, 0);
        assert_text(event.metadata_json, NULL);
    }
}

/* One that cannot be joined is no reason to lose the event: it stays a key of
 * the caller's own. */
static void a_trace_is_read_where_it_is_one(void **state)
{
    static const struct {
        const char *value;
        bool is_typed, is_raw;
    } rows[] = {
#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define ZERO "00000000000000000000000000000000"
        { "\"00-" TRACE "-b7ad6b7169203331-01\"", true, false },
        { "\"00-" TRACE "-b7ad6b7169203331-0\"", false, true },
        { "\"01-" TRACE "-b7ad6b7169203331-01\"", false, true },
        { "\"00-" ZERO "-b7ad6b7169203331-01\"", false, true },
        { "\"00-" TRACE "-0000000000000000-01\"", false, true },
        { "\"00-" TRACE "-b7ad6b716920333\\u0000-01\"", false, true },
        { "\"\"", false, true },
        { "17", false, true },
        { "null", false, false },
#undef TRACE
#undef ZERO
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char line[200];
        phos_event event;

        snprintf(line, sizeof(line),
                 "{\"input\":\"\",\"output\":\"\",\"metadata\":{"
                 "\"traceparent\":%s}}",
                 rows[i].value);
        assert_true(read_line(line, &event));
        if ((event.traceparent.data != NULL) != rows[i].is_typed ||
            (event.metadata_json.data != NULL) != rows[i].is_raw)
            fail_msg("traceparent %s is read as something else", rows[i].value);
        if (rows[i].is_typed)
            assert_memory_equal(event.traceparent.data, rows[i].value + 1, 55);
    }
}

static void a_zero_is_a_value(void **state)
{
    phos_event event;

    (void)state;
    assert_true(read_line("{\"input\":\"\",\"output\":\"\",\"metadata\":"
                          "{\"latency_ms\":0,\"token_count_input\":0.0,"
                          "\"token_count_output\":0,\"cost_cents\":0,"
                          "\"model\":\"\"}}",
                          &event));
    assert_int_equal(event.latency_ms, 0);
    assert_int_equal(event.token_count_input, 0);
    assert_int_equal(event.token_count_output, 0);
    assert_true(event.cost_cents == 0.0);
    assert_text(event.model, "");
}

static void custom_metadata_goes_along_digit_by_digit(void **state)
{
    phos_event event;

    (void)state;
    assert_true(read_line("{\"input\":\"\",\"output\":\"\", \"metadata\" : "
                          "{\"model\":\"m\",\"big\":123456789012345678901234,"
                          "\"small\":0.10, \"in\":{\"a\":[1]}} }",
                          &event));
    assert_text(event.model, "m");
    assert_text(event.metadata_json,
                "{\"model\":\"m\",\"big\":123456789012345678901234,"
                "\"small\":0.10, \"in\":{\"a\":[1]}}");
}

static void more_tags_than_an_event_holds_travel_raw(void **state)
{
    char line[1024] =
        "{\"input\":\"\",\"output\":\"\",\"metadata\":{\"tags\":[";
    phos_event event;

    (void)state;
    for (unsigned i = 0; i <= NDJSON_TAGS_MAX; i++)
        sprintf(line + strlen(line), "%s\"%u\"", i > 0 ? "," : "", i);
    strcat(line, "]}}");
    assert_true(read_line(line, &event));
    assert_int_equal(event.tag_count, 0);
    assert_non_null(event.metadata_json.data);
}

static void an_empty_list_of_tags_is_kept(void **state)
{
    phos_event event;

    (void)state;
    assert_true(read_line("{\"input\":\"\",\"output\":\"\",\"metadata\":"
                          "{\"tags\":[]}}",
                          &event));
    assert_text(event.metadata_json, "{\"tags\":[]}");
}

static void text_may_hold_nul_and_repaired_bytes(void **state)
{
    phos_event event;

    (void)state;
    assert_true(read_line("{\"input\":\"a\\u0000b\",\"output\":\"\xff"
                          "\\ud800\",\"metadata\":{\"x\":\"\xff\"}}",
                          &event));
    assert_int_equal(event.input.length, 3);
    assert_memory_equal(event.input.data, "a\0b", 3);
    assert_text(event.output, "\xef\xbf\xbd\xef\xbf\xbd");
    assert_text(event.metadata_json, "{\"x\":\"\xef\xbf\xbd\"}");
}

static void a_wrong_type_breaks_the_line_and_names_the_place(void **state)
{
    (void)state;
    assert_broken("[]", "not an object but an array");
    assert_broken("{}", "input is missing");
    assert_broken("{\"input\":null,\"output\":\"\"}",
                  "input must be a string, not null");
    assert_broken("{\"input\":\"\"}", "output is missing");
    assert_broken("{\"input\":1,\"output\":\"\"}",
                  "input must be a string, not a number");
#define WITH(more) "{\"input\":\"\",\"output\":\"\"," more "}"
#define META(more) WITH("\"metadata\":{" more "}")
    assert_broken(WITH("\"session_id\":[]"),
                  "session_id must be a string, not an array");
    assert_broken(WITH("\"event_id\":\"1\""), "event_id is not a UUID");
    assert_broken(WITH("\"timestamp\":1738315800"),
                  "timestamp must be a string, not a number");
    assert_broken(WITH("\"timestamp\":\"soon\""),
                  "timestamp is not an ISO 8601 date-time of the years 1970 "
                  "to 9999");
    assert_broken(WITH("\"metadata\":\"x\""),
                  "metadata must be an object, not a string");
    assert_broken(META("\"latency_ms\":\"412\""),
                  "metadata.latency_ms must be an integer, not a string");
    assert_broken(META("\"latency_ms\":1.5"),
                  "metadata.latency_ms must be an integer, 0 or more");
    assert_broken(META("\"token_count_input\":-1"),
                  "metadata.token_count_input must be an integer, 0 or more");
    assert_broken(META("\"token_count_output\":99999999999999999999"),
                  "metadata.token_count_output must be an integer, 0 or more");
    assert_broken(META("\"cost_cents\":true"),
                  "metadata.cost_cents must be a number, not a boolean");
    assert_broken(META("\"tags\":\"a\""),
                  "metadata.tags must be an array of strings, not a string");
    assert_broken(META("\"tags\":[\"a\",1]"),
                  "metadata.tags[1] must be a string, not a number");
    assert_broken(META("\"model\":{}"),
                  "metadata.model must be a string, not an object");
}

static void what_is_no_json_says_where(void **state)
{
    static const char *const lines[] = { "{",
                                         "{\"input\":\"\",}",
                                         "nonsense",
                                         "{} {}",
                                         "{\"input\":\"a\tb\",\"output\":\"\"}",
                                         "'a'",
                                         "{\"a\":1e999}" };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        phos_event event;

        assert_false(read_line(lines[i], &event));
        assert_memory_equal(reason, "not JSON: ", 10);
        assert_non_null(strstr(reason, "(column "));
    }
}

static void metadata_may_be_sixty_four_deep(void **state)
{
    char line[512];

    (void)state;
    for (unsigned depth = 64; depth <= 65; depth++) {
        phos_event event;

        strcpy(line, "{\"input\":\"\",\"output\":\"\",\"metadata\":{\"x\":");
        for (unsigned i = 1; i < depth; i++)
            strcat(line, "[");
        for (unsigned i = 1; i < depth; i++)
            strcat(line, "]");
        strcat(line, "}}");
        assert_int_equal(read_line(line, &event), depth == 64);
    }
    assert_string_equal(reason, "metadata is nested deeper than 64 levels");
}

static void unknown_keys_are_told_once(void **state)
{
    static const char line[] =
        "{\"input\":\"\",\"output\":\"\",\"model\":\"m\",\"flag\":1}";
    phos_event event;

    (void)state;
    assert_true(read_line(line, &event));
    assert_true(read_line(line, &event));
    assert_string_equal(heard.keys, " model flag");
}

/* xorshift64: the same damage in each run. */
static uint64_t draw(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void damaged_lines_are_read_whole_or_refused_with_a_reason(void **state)
{
    static const char good[] =
        "{\"event_id\":\"6f1f2b9e-2f7a-4f0e-9a51-0b7f3f6f5a10\",\"input\":"
        "\"\\ud83d\\ude00 \xe6\x97\xa5\",\"output\":\"\",\"timestamp\":"
        "\"2025-01-31T09:30:00Z\",\"metadata\":{\"x\":[1,{\"y\":1.5e3}],"
        "\"latency_ms\":4,\"tags\":[\"a\"],\"cost_cents\":0.5,\"\":\"\\\\\"}}";
    static const char bytes[] = "{}[]\",:\\u0d8e-+. \x80\xff\xed\x00n";
    uint64_t seed = 88172645463325252u;
    unsigned read = 0;

    (void)state;
    for (unsigned round = 0; round < 20000; round++) {
        char line[sizeof(good)];
        size_t length = sizeof(good) - 1;
        phos_event event;

        memcpy(line, good, sizeof(good));
        for (uint64_t hits = draw(&seed) % 3 + 1; hits > 0; hits--)
            line[draw(&seed) % length] = bytes[draw(&seed) % sizeof(bytes)];
        if (draw(&seed) % 8 == 0)
            length = draw(&seed) % length;
        reason[0] = '\0';
        if (!ndjson_read(&ndjson, line, length, hear_nothing, NULL, &event,
                         reason)) {
            assert_int_not_equal(reason[0], '\0');
            continue;
        }
        read++;
        assert_non_null(event.input.data);
        assert_non_null(event.output.data);
        if (event.metadata_json.data != NULL) {
            json_t *metadata =
                json_loadb(event.metadata_json.data, event.metadata_json.length,
                           JSON_ALLOW_NUL, NULL);

            assert_true(json_is_object(metadata));
            json_decref(metadata);
        }
    }
    /* Neither kind is the exception that tests nothing. */
    assert_in_range(read, 1000, 19000);
}

static void a_line_of_white_space_is_blank(void **state)
{
    (void)state;
    assert_true(ndjson_is_blank("", 0));
    assert_true(ndjson_is_blank(" \t", 2));
    assert_false(ndjson_is_blank(" {", 2));
    assert_false(ndjson_is_blank("\0", 1));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
    const struct CMUnitTest tests[] = {
        TEST(every_field_of_the_schema_is_read),
        TEST(what_is_left_out_or_null_stays_out),
        TEST(a_trace_is_read_where_it_is_one),
        TEST(a_zero_is_a_value),
        TEST(custom_metadata_goes_along_digit_by_digit),
        TEST(more_tags_than_an_event_holds_travel_raw),
        TEST(an_empty_list_of_tags_is_kept),
        TEST(text_may_hold_nul_and_repaired_bytes),
        TEST(a_wrong_type_breaks_the_line_and_names_the_place),
        TEST(what_is_no_json_says_where),
        TEST(metadata_may_be_sixty_four_deep),
        TEST(unknown_keys_are_told_once),
        TEST(damaged_lines_are_read_whole_or_refused_with_a_reason),
        TEST(a_line_of_white_space_is_blank),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
