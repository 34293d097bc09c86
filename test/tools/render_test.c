#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "render.h"

static char *text;
static size_t length;

static FILE *begin(void)
{
    FILE *out = open_memstream(&text, &length);

    assert_non_null(out);
    return out;
}

static void assert_rendered(FILE *out, const char *wanted)
{
    fclose(out);
    assert_string_equal(text, wanted);
    free(text);
}

static json_t *parse(const char *json)
{
    json_t *value = json_loads(json, 0, NULL);

    assert_non_null(value);
    return value;
}

static void events_stand_in_a_timeline(void **state)
{
    json_t *events = parse(
        "[{\"event_id\":\"e1\",\"session_id\":\"user-7-9c01d2aa\","
        "\"input\":\"How tall\\nis \\u001b[31mK2?\",\"output\":\"8,611 m.\","
        "\"timestamp\":\"2025-01-31T09:30:00.5Z\","
        "\"metadata\":{\"model\":\"m-1\",\"latency_ms\":412}},{}]");
    FILE *out = begin();

    (void)state;
    render_events(out, events, 20);
    assert_rendered(out, "2025-01-31 09:30:00  e1  user-7-9c01d2aa\n"
                         "    > How tall is \xe2\x80\xa6\n"
                         "    < 8,611 m.\n"
                         "    m-1 \xc2\xb7 412 ms\n"
                         "-                    -\n"
                         "    > -\n"
                         "    < -\n");
    json_decref(events);
}

static void an_event_is_shown_whole(void **state)
{
    json_t *event =
        parse("{\"event_id\":\"e1\",\"input\":\"one\\ntwo\",\"output\":\"x\","
              "\"timestamp\":\"2025-01-31T09:30:00Z\",\"flag\":\"success\","
              "\"metadata\":{\"model\":\"m-1\",\"provider\":\"acme\","
              "\"latency_ms\":412,\"token_count_input\":6,\"cost_cents\":0.4,"
              "\"user_id\":\"u\",\"tags\":[\"a\"],\"rel\\u001b\":7}}");
    FILE *out = begin();

    (void)state;
    render_event(out, event);
    assert_rendered(out,
                    "event     e1\n"
                    "time      2025-01-31 09:30:00\n"
                    "user      u\n"
                    "facts     m-1 \xc2\xb7 acme \xc2\xb7 412 ms \xc2\xb7 6 + "
                    "- tokens \xc2\xb7 0.4 cents \xc2\xb7 success\n"
                    "metadata\n"
                    "          tags = [\"a\"]\n"
                    "          rel\\x1b = 7\n"
                    "\n"
                    "> one\n"
                    "  two\n"
                    "< x\n");
    json_decref(event);
}

static void sessions_stand_in_a_table(void **state)
{
    json_t *sessions = parse(
        "[{\"session_id\":\"s1\",\"started_at\":\"2025-01-31T09:30:00Z\","
        "\"duration_ms\":65000,\"event_count\":3,\"token_count_input\":1000,"
        "\"token_count_output\":234,\"cost_cents\":1.25,"
        "\"success_rate\":0.5},{\"id\":\"s2\",\"duration_seconds\":2}]");
    FILE *out = begin();

    (void)state;
    render_sessions(out, sessions);
    assert_rendered(
        out,
        "STARTED (UTC)        LASTED      EVENTS  TOKENS   CENTS     SUCCESS  "
        "SESSION\n"
        "2025-01-31 09:30:00  1 min 05 s  3       1,234    1.25      50 %     "
        "s1\n"
        "-                    2.0 s       -       -        -         -        "
        "s2\n");
    json_decref(sessions);
}

static void large_costs_are_whole_numbers(void **state)
{
    static const struct {
        const char *cents;
        const char *session;
        const char *event;
    } rows[] = {
        { "0.0131", "0.0131", "0.0131" },
        { "12.345", "12.3", "12.345" },
        { "999.4", "999", "999.4" },
        { "1000", "1,000", "1,000" },
        { "1234567.5", "1,234,568", "1,234,568" },
        { "1e300", "1e+300", "1e+300" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char json[64], want[128];
        json_t *event;
        FILE *out = begin();

        snprintf(json, sizeof(json), "{\"cost_cents\":%s}", rows[i].cents);
        event = parse(json);
        render_session(out, event, NULL);
        render_event(out, event);
        snprintf(want, sizeof(want),
                 "session -\n- events, from -, lasted -, - tokens, %s cents, "
                 "success -\n\ntime      -\nfacts     %s cents\n\n> -\n< -\n",
                 rows[i].session, rows[i].event);
        assert_rendered(out, want);
        json_decref(event);
    }
}

static void a_session_reads_as_a_conversation(void **state)
{
    json_t *session = parse("{\"session_id\":\"s1\",\"event_count\":1,"
                            "\"started_at\":\"2025-01-31T09:30:00Z\"}");
    json_t *events = parse("[{\"input\":\"hi\",\"output\":\"a\\nb\","
                           "\"timestamp\":\"2025-01-31T09:30:00Z\","
                           "\"metadata\":{\"model\":\"m\"}}]");
    FILE *out = begin();

    (void)state;
    render_session(out, session, events);
    assert_rendered(out, "session s1\n"
                         "1 event, from 2025-01-31 09:30:00, lasted -, - "
                         "tokens, - cents, success -\n\n"
                         "09:30:00  > hi\n"
                         "          < a\n"
                         "            b\n"
                         "            m\n");
    json_decref(session);
    json_decref(events);
}

/* Every value of a wrong type; nothing may crash or come through raw. */
static void replies_of_any_shape_are_shown_safely(void **state)
{
    static const char *const rows[] = {
        "[1,null,\"\\u001b]0;x\",[],{\"input\":1,\"output\":{},"
        "\"timestamp\":[],\"session_id\":2,\"metadata\":\"x\"}]",
        "[{\"timestamp\":1e300,\"metadata\":{\"latency_ms\":-1e300}}]",
        "[{\"timestamp\":\"\\u001b[2J\",\"session_id\":\"\\u009b2J\","
        "\"event_count\":1e300,\"success_rate\":7,\"cost_cents\":-1e300,"
        "\"duration_ms\":1e300,\"flag\":\"\\u001b\"}]",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *list = parse(rows[i]);
        FILE *out = begin();
        json_t *item;
        size_t at;

        render_events(out, list, 80);
        render_sessions(out, list);
        json_array_foreach(list, at, item)
        {
            render_event(out, item);
            render_session(out, item, list);
        }
        fclose(out);
        assert_null(strchr(text, '\x1b'));
        assert_null(strstr(text, "\xc2\x9b"));
        free(text);
        json_decref(list);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_stand_in_a_timeline),
        cmocka_unit_test(an_event_is_shown_whole),
        cmocka_unit_test(sessions_stand_in_a_table),
        cmocka_unit_test(large_costs_are_whole_numbers),
        cmocka_unit_test(a_session_reads_as_a_conversation),
        cmocka_unit_test(replies_of_any_shape_are_shown_safely),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
