#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "wire/reply.h"

#define ID_A "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
#define ID_B "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"
#define ID_C "cccccccc-cccc-4ccc-8ccc-cccccccccccc"
#define ID_X "dddddddd-dddd-4ddd-8ddd-dddddddddddd"

enum { COUNT = 3 };

static const uint8_t ids[COUNT][16] = {
    { 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0x4a, 0xaa, 0x8a, 0xaa, 0xaa, 0xaa,
      0xaa, 0xaa, 0xaa, 0xaa },
    { 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0x4b, 0xbb, 0x8b, 0xbb, 0xbb, 0xbb,
      0xbb, 0xbb, 0xbb, 0xbb },
    { 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0x4c, 0xcc, 0x8c, 0xcc, 0xcc, 0xcc,
      0xcc, 0xcc, 0xcc, 0xcc },
};

static const char letters[] = "-dURA"; /* by enum phos__event_result */

static phos_str view(const char *text)
{
    return phos_str_make(text, strlen(text));
}

/* One letter per event: '-' none, 'd' delivered, 'U' duplicate, 'R' refused,
 * 'A' again. */
static void assert_results(const char *body, const char *want)
{
    uint8_t results[COUNT] = { 9, 9, 9 };
    char got[COUNT + 1] = { 0 };

    phos__reply_results(view(body), ids, COUNT, results);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_true(results[i] < sizeof(letters) - 1);
        got[i] = letters[results[i]];
    }
    if (strcmp(got, want) != 0)
        fail_msg("%s: want %s, got %s", body, want, got);
}

static void each_status_has_its_meaning(void **state)
{
    static const struct {
        const char *status;
        char want;
    } rows[] = {
        { "200", 'd' },
        { "201", 'd' },
        { "204", 'd' },
        { "299", 'd' },
        { "409", 'U' },
        { "400", 'R' },
        { "401", 'R' },
        { "404", 'R' },
        { "413", 'R' },
        { "422", 'R' },
        { "499", 'R' },
        { "408", 'A' },
        { "425", 'A' },
        { "429", 'A' },
        { "500", 'A' },
        { "503", 'A' },
        { "599", 'A' },
        { "199", '-' },
        { "300", '-' },
        { "399", '-' },
        { "600", '-' },
        { "0", '-' },
        { "-201", '-' },
        { "201.0", 'd' },
        { "1e308", '-' },
        { "99999999999999999999999999", '-' },
        { "\"201\"", 'd' },
        { "\"409\"", 'U' },
        { "\"422\"", 'R' },
        { "\"503\"", 'A' },
        { "\"42\"", '-' },
        { "\"4222\"", '-' },
        { "\"ok\"", 'd' },
        { "\"OK\"", 'd' },
        { "\"accepted\"", 'd' },
        { "\"created\"", 'd' },
        { "\"delivered\"", 'd' },
        { "\"success\"", 'd' },
        { "\"stored\"", 'd' },
        { "\"duplicate\"", 'U' },
        { "\"Already exists\"", 'U' },
        { "\"conflict\"", 'U' },
        { "\"error\"", 'R' },
        { "\"rejected\"", 'R' },
        { "\"invalid\"", 'R' },
        { "\"failed\"", 'R' },
        { "\"refused\"", 'R' },
        { "\"retry\"", 'A' },
        { "\"rate-limited\"", 'A' },
        { "\"unavailable\"", 'A' },
        { "\"\"", '-' },
        { "\"okay?\"", '-' },
        { "\"ok\\u0000\"", '-' },
        { "\"o\\u0000k\"", '-' },
        { "null", '-' },
        { "true", '-' },
        { "{}", '-' },
        { "[201]", '-' },
        { "\"okokokokokokokokokokokokokokokokokokokokokok\"", '-' },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char body[256], want[COUNT + 1] = "---";

        snprintf(body, sizeof(body), "{\"results\":[{},{\"status\":%s},{}]}",
                 rows[i].status);
        want[1] = rows[i].want;
        assert_results(body, want);
    }
}

static void an_error_without_a_status_refuses(void **state)
{
    (void)state;
    assert_results("{\"results\":[{\"error\":\"no\"},{\"error\":{\"code\":1}},"
                   "{\"error\":true}]}",
                   "RRR");
    assert_results("{\"results\":[{\"error\":null},{\"error\":\"\"},"
                   "{\"error\":false}]}",
                   "---");
    assert_results("{\"results\":[{\"error\":{}},{\"error\":[]},"
                   "{\"error\":[1]}]}",
                   "--R");
    assert_results("{\"results\":[{\"status\":\"hm\",\"error\":\"no\"},"
                   "{\"status\":503,\"error\":\"no\"},"
                   "{\"status\":\"ok\",\"error\":null}]}",
                   "RAd");
}

static void entries_are_matched_by_id_in_any_order(void **state) /* H10 */
{
    (void)state;
    assert_results("{\"results\":[{\"event_id\":\"" ID_C "\",\"status\":409},"
                   "{\"event_id\":\"" ID_A "\",\"status\":201},"
                   "{\"event_id\":\"" ID_B "\",\"status\":422}]}",
                   "dRU");
    assert_results("{\"results\":[{\"event_id\":\"" ID_B "\",\"status\":422}]}",
                   "-R-");
    assert_results("{\"events\":[{\"event_id\":"
                   "\"BBBBBBBB-BBBB-4BBB-8BBB-BBBBBBBBBBBB\",\"error\":1,"
                   "\"status\":\"rejected\"}]}",
                   "-R-");
}

static void entries_of_unknown_events_are_left_out(void **state)
{
    (void)state;
    assert_results("{\"results\":[{\"event_id\":\"" ID_X "\",\"status\":422},"
                   "{\"event_id\":\"" ID_X "\",\"status\":422},"
                   "{\"event_id\":\"" ID_X "\",\"status\":422}]}",
                   "---");
    assert_results("{\"results\":[{\"event_id\":7,\"status\":422},"
                   "{\"event_id\":\"evt_1\",\"status\":422},"
                   "{\"event_id\":null,\"status\":422}]}",
                   "--R");
}

static void without_ids_only_a_whole_list_counts_by_place(void **state)
{
    (void)state;
    assert_results("{\"results\":[{\"status\":201},{\"status\":422},"
                   "{\"status\":409}]}",
                   "dRU");
    assert_results("{\"results\":[{\"status\":422}]}", "---");
    assert_results("{\"results\":[{\"status\":422},{\"status\":422},"
                   "{\"status\":422},{\"status\":422}]}",
                   "---");
    assert_results("{\"results\":[1,null,{\"status\":422}]}", "--R");
}

static void entries_that_contradict_each_other_ask_for_another_try(void **state)
{
    (void)state;
    assert_results("{\"results\":[{\"event_id\":\"" ID_A "\",\"status\":201},"
                   "{\"event_id\":\"" ID_A "\",\"status\":422},"
                   "{\"event_id\":\"" ID_B "\",\"status\":201},"
                   "{\"event_id\":\"" ID_B "\",\"status\":409},"
                   "{\"event_id\":\"" ID_C "\",\"status\":422},"
                   "{\"event_id\":\"" ID_C "\",\"status\":400}]}",
                   "AdR");
}

static void an_id_sent_twice_is_answered_twice(void **state)
{
    uint8_t twice[2][16], results[2];

    (void)state;
    memcpy(twice[0], ids[0], 16);
    memcpy(twice[1], ids[0], 16);
    phos__reply_results(
        PHOS_STR("{\"results\":[{\"event_id\":\"" ID_A "\",\"status\":201},"
                 "{\"event_id\":\"" ID_A "\",\"status\":\"duplicate\"}]}"),
        (const uint8_t(*)[16])twice, 2, results);
    assert_int_equal(results[0], PHOS__RESULT_DELIVERED);
    assert_int_equal(results[1], PHOS__RESULT_DUPLICATE);
}

static void bodies_that_speak_of_no_event_say_nothing(void **state) /* H1 */
{
    static const char *const rows[] = {
        "",
        " ",
        "{}",
        "[]",
        "null",
        "201",
        "\"ok\"",
        "ok",
        "<html></html>",
        "{\"results\":null}",
        "{\"results\":{}}",
        "{\"results\":[]}",
        "{\"results\":\"ok\"}",
        "{\"results\":3,\"events\":7}",
        "{\"accepted\":3,\"event_ids\":[\"" ID_A "\",\"" ID_B "\"]}",
        "{\"events\":[\"" ID_A "\",\"" ID_B "\",\"" ID_C "\"]}",
        "{\"events\":[{\"event_id\":\"" ID_A "\"},{},[]]}",
        "[{\"status\":422},{\"status\":422},{\"status\":422}]",
        "{\"results\":[{\"status\":422},{\"status\":422},{\"status\":422}]",
        "{\"results\":[{\"status\":422},{\"status\":422},{\"status\":422}]}}",
        "{\"results\":[{\"status\":422},{\"status\":422},{\"status\":422}],"
        "\"x\":\"\xFF\"}",
        "{\"results\":[{\"status\":422},{\"status\":422},{\"status\":422}],"
        "\"x\":1e999}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_results(rows[i], "---");
}

static void what_nobody_reads_does_not_hide_the_rest(void **state)
{
    static const char list[] =
        "\"results\":[{\"status\":201},{\"status\":422},{\"status\":409}]";
    static const char *const rows[] = {
        "\"x\":123456789012345678901234567890,",
        "\"x\":\"\\u0000\",",
        "\"\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[\",",
        "\"events\":7,",
        "\"results\":[],",
        "\n\t ",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char body[512];

        snprintf(body, sizeof(body), "\xEF\xBB\xBF{%s%s} \r\n", rows[i], list);
        assert_results(body, "dRU");
    }
}

static void nesting_without_end_is_not_followed(void **state)
{
    enum { DEEP = 1000000 };
    char *body = malloc(DEEP + 1);

    (void)state;
    assert_non_null(body);
    memset(body, '[', DEEP);
    body[DEEP] = '\0';
    assert_results(body, "---");
    for (size_t i = 0; i + 5 <= DEEP; i += 5)
        memcpy(body + i, "{\"a\":", 5);
    assert_results(body, "---");
    free(body);
}

static void a_body_cut_or_damaged_anywhere_never_misleads(void **state) /* H1 */
{
    static const char good[] =
        "{\"results\":[{\"event_id\":\"" ID_A "\",\"status\":201},"
        "{\"event_id\":\"" ID_B "\",\"status\":\"rejected\"},"
        "{\"event_id\":\"" ID_C "\",\"error\":{\"message\":\"no\\u00e9\"}}]}";
    uint8_t results[COUNT];
    char text[64];

    (void)state;
    assert_results(good, "dRR");
    for (size_t length = 0; length < sizeof(good) - 1; length++) {
        /* A copy of exact size, so that a sanitizer sees any read past it. */
        char *cut = malloc(length + 1);

        assert_non_null(cut);
        memcpy(cut, good, length);
        phos__reply_results(phos_str_make(cut, length), ids, COUNT, results);
        for (unsigned i = 0; i < COUNT; i++)
            assert_int_equal(results[i], PHOS__RESULT_NONE);
        phos__reply_error_text(phos_str_make(cut, length), text, sizeof(text));
        assert_string_equal(text, "");
        free(cut);
    }
    for (size_t place = 0; place < sizeof(good) - 1; place++) {
        for (unsigned value = 0; value < 256; value++) {
            char damaged[sizeof(good)];
            phos_str body = phos_str_make(damaged, sizeof(good) - 1);

            memcpy(damaged, good, sizeof(good));
            damaged[place] = (char)value;
            phos__reply_results(body, ids, COUNT, results);
            for (unsigned i = 0; i < COUNT; i++)
                assert_true(results[i] <= PHOS__RESULT_AGAIN);
            phos__reply_error_text(body, text, sizeof(text));
            assert_true(strlen(text) < sizeof(text));
        }
    }
}

static void *read_many(void *user_data)
{
    static const char body[] =
        "{\"results\":[{\"event_id\":\"" ID_C "\",\"status\":409},"
        "{\"event_id\":\"" ID_A "\",\"status\":201},"
        "{\"event_id\":\"" ID_B "\",\"status\":422}]}";
    static const uint8_t want[COUNT] = { PHOS__RESULT_DELIVERED,
                                         PHOS__RESULT_REFUSED,
                                         PHOS__RESULT_DUPLICATE };
    unsigned *wrong = user_data;

    for (unsigned round = 0; round < 500; round++) {
        uint8_t results[COUNT];

        phos__reply_results(view(body), ids, COUNT, results);
        if (memcmp(results, want, COUNT) != 0)
            (*wrong)++;
    }
    return NULL;
}

static void several_threads_read_answers_at_once(void **state)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    unsigned wrong[THREADS] = { 0 };

    (void)state;
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, read_many, &wrong[i]), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(wrong[i], 0);
    }
}

static void the_kind_of_a_body_is_told(void **state)
{
    static const struct {
        const char *content_type;
        const char *body;
        enum phos__body_kind want;
    } rows[] = {
        { "", "", PHOS__BODY_EMPTY },
        { "text/html", "", PHOS__BODY_EMPTY },
        { "application/json", " \r\n\t", PHOS__BODY_EMPTY },
        { "", "\xEF\xBB\xBF", PHOS__BODY_EMPTY },
        { "application/json", "{\"a\":1}", PHOS__BODY_JSON },
        { "Application/JSON; charset=utf-8", "null", PHOS__BODY_JSON },
        { "application/json", "{\"resul", PHOS__BODY_JSON },
        { "", " {}", PHOS__BODY_JSON },
        { "", "\xEF\xBB\xBF[1,", PHOS__BODY_JSON },
        { "text/plain", "{}", PHOS__BODY_JSON },
        { "text/html", "{}", PHOS__BODY_HTML },
        { " TEXT/HTML ; charset=utf-8", "hello", PHOS__BODY_HTML },
        { "text/html\t", "hello", PHOS__BODY_HTML },
        { "application/xhtml+xml", "hello", PHOS__BODY_HTML },
        { "application/json", "<!DOCTYPE html>", PHOS__BODY_HTML },
        { "", "\n <html>", PHOS__BODY_HTML },
        { "text/plain", "ok", PHOS__BODY_OTHER },
        { "text/htmlx", "ok", PHOS__BODY_OTHER },
        { "text/htm", "ok", PHOS__BODY_OTHER },
        { "", "ok", PHOS__BODY_OTHER },
        { "", "null", PHOS__BODY_OTHER },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum phos__body_kind got =
            phos__reply_kind(view(rows[i].content_type), view(rows[i].body));

        if (got != rows[i].want)
            fail_msg("'%s', '%s': want %d, got %d", rows[i].content_type,
                     rows[i].body, (int)rows[i].want, (int)got);
    }
    assert_int_equal(
        phos__reply_kind((phos_str){ NULL, 0 }, (phos_str){ NULL, 0 }),
        PHOS__BODY_EMPTY);
}

static void the_services_own_words_are_found(void **state)
{
    static const struct {
        const char *body;
        const char *want;
    } rows[] = {
        { "{\"error\":\"no key\"}", "no key" },
        { "{\"message\":\"no key\"}", "no key" },
        { "{\"detail\":\"no key\"}", "no key" },
        { "{\"error\":{\"code\":4,\"message\":\"no key\"}}", "no key" },
        { "{\"error\":{\"error\":{\"detail\":\"deep\"}}}", "deep" },
        { "{\"detail\":[{\"loc\":[\"body\",3],\"msg\":\"not text\"}]}",
          "not text" },
        { "{\"error\":true,\"message\":\"no key\"}", "no key" },
        { "{\"error\":\"\",\"message\":\"no key\"}", "no key" },
        { "{\"error\":\"a\\u0000b\\nc\\u007fd\"}", "a?b?c?d" },
        { "{\"error\":\"caf\xC3\xA9\"}", "caf\xC3\xA9" },
        { "{\"error\":42}", "" },
        { "{\"detail\":[]}", "" },
        { "{\"error\":{\"error\":{\"error\":{\"error\":{\"error\":\"x\"}}}}}",
          "" },
        { "[\"no\"]", "" },
        { "{\"error\":\"no", "" },
        { "Bad Gateway", "" },
        { "", "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[64];

        memset(text, 'x', sizeof(text));
        phos__reply_error_text(view(rows[i].body), text, sizeof(text));
        assert_string_equal(text, rows[i].want);
    }
}

static void an_error_text_is_cut_between_characters(void **state)
{
    static const char body[] =
        "{\"error\":\"a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80z\"}";
    static const struct {
        size_t bytes;
        const char *want;
    } rows[] = {
        { 1, "" },
        { 2, "a" },
        { 3, "a" },
        { 4, "a\xC3\xA9" },
        { 6, "a\xC3\xA9" },
        { 7, "a\xC3\xA9\xE2\x82\xAC" },
        { 10, "a\xC3\xA9\xE2\x82\xAC" },
        { 11, "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80" },
        { 12, "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80z" },
    };
    char untouched = 'x';

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[16];

        memset(text, 'x', sizeof(text));
        phos__reply_error_text(view(body), text, rows[i].bytes);
        assert_string_equal(text, rows[i].want);
        assert_int_equal(text[rows[i].bytes], 'x');
    }
    phos__reply_error_text(view(body), &untouched, 0);
    assert_int_equal(untouched, 'x');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* First, so that jansson too is used for the first time by all. */
        cmocka_unit_test(several_threads_read_answers_at_once),
        cmocka_unit_test(each_status_has_its_meaning),
        cmocka_unit_test(an_error_without_a_status_refuses),
        cmocka_unit_test(entries_are_matched_by_id_in_any_order),
        cmocka_unit_test(entries_of_unknown_events_are_left_out),
        cmocka_unit_test(without_ids_only_a_whole_list_counts_by_place),
        cmocka_unit_test(
            entries_that_contradict_each_other_ask_for_another_try),
        cmocka_unit_test(an_id_sent_twice_is_answered_twice),
        cmocka_unit_test(bodies_that_speak_of_no_event_say_nothing),
        cmocka_unit_test(what_nobody_reads_does_not_hide_the_rest),
        cmocka_unit_test(nesting_without_end_is_not_followed),
        cmocka_unit_test(a_body_cut_or_damaged_anywhere_never_misleads),
        cmocka_unit_test(the_kind_of_a_body_is_told),
        cmocka_unit_test(the_services_own_words_are_found),
        cmocka_unit_test(an_error_text_is_cut_between_characters),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
