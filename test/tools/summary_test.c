#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "summary.h"

static const struct summary all_kinds = {
    .lines = 1015,
    .empty = 3,
    .broken = 4,
    .rejected = 1,
    .ledger = { .accepted = 1010,
                .delivered = 1000,
                .duplicate = 4,
                .refused = 3,
                .dropped = 2,
                .unknown = 1,
                .by_reason = { [PHOS_REASON_INVALID] = 2,
                               [PHOS_REASON_TOO_LARGE] = 1,
                               [PHOS_REASON_CLOSED] = 3 } },
    .requests = 12,
    .retries = 2,
    .bytes_sent = 123456,
    .bytes_received = 789,
    .elapsed_ms = 2000,
    .last_http_status = 201,
    .exit_code = 1
};

static char *print(void (*printer)(FILE *, const struct summary *),
                   const struct summary *summary)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);

    assert_non_null(out);
    printer(out, summary);
    fclose(out);
    return text;
}

static void the_words_add_up(void **state)
{
    char *text = print(summary_print, &all_kinds);

    (void)state;
    assert_string_equal(
        text, "1,015 lines read = 1,010 accepted + 4 broken + 1 rejected\n"
              "1,010 accepted = 1,000 delivered + 4 duplicate + 3 refused + 2 "
              "dropped + 1 unknown\n"
              "  because: 2 not valid to the service, 1 too large for the "
              "service, 3 still open when phos stopped\n"
              "12 requests, 2 of them repeated; 123.5 kB sent in 2.0 s, 500 "
              "events/s\n");
    free(text);
}

static void the_rate_is_of_what_arrived(void **state)
{
    static const struct {
        uint64_t delivered, elapsed_ms;
        const char *end;
    } rows[] = {
        { 0, 2000, "sent in 2.0 s\n" },
        { 1, 0, "sent in 0 ms\n" },
        { 1, 3000, "sent in 3.0 s, less than 1 event/s\n" },
        { 3, 3000, "sent in 3.0 s, 1 event/s\n" },
        { 9, 3000, "sent in 3.0 s, 3 events/s\n" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct summary summary = { .lines = 10,
                                   .ledger = { .accepted = 10,
                                               .delivered = rows[i].delivered },
                                   .elapsed_ms = rows[i].elapsed_ms };
        char *text = print(summary_print, &summary);

        assert_non_null(strstr(text, rows[i].end));
        free(text);
    }
}

static void the_json_is_one_object_with_the_same_numbers(void **state)
{
    static const struct {
        const char *name;
        json_int_t value;
    } rows[] = {
        { "lines", 1015 },        { "empty", 3 },
        { "broken", 4 },          { "rejected", 1 },
        { "accepted", 1010 },     { "delivered", 1000 },
        { "duplicate", 4 },       { "refused", 3 },
        { "dropped", 2 },         { "unknown", 1 },
        { "requests", 12 },       { "retries", 2 },
        { "bytes_sent", 123456 }, { "bytes_received", 789 },
        { "elapsed_ms", 2000 },   { "last_http_status", 201 },
        { "exit_code", 1 },
    };
    struct summary summary = all_kinds;
    char *text = print(summary_print_json, &summary);
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

    (void)state;
    assert_non_null(json);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(
            json_integer_value(json_object_get(json, rows[i].name)),
            rows[i].value);
    assert_int_equal(json_integer_value(json_object_get(
                         json_object_get(json, "reasons"), "closed")),
                     3);
    assert_true(json_is_null(json_object_get(json, "stopped_by")));
    json_decref(json);
    free(text);

    summary.stopped_by = "SIGINT";
    text = print(summary_print_json, &summary);
    assert_non_null(strstr(text, "\"stopped_by\":\"SIGINT\""));
    free(text);
}

static void only_delivered_and_duplicate_are_whole(void **state)
{
    struct summary summary = {
        .lines = 5, .ledger = { .accepted = 5, .delivered = 3, .duplicate = 2 }
    };

    (void)state;
    assert_true(summary_is_whole(&summary));
    summary.broken = 1;
    assert_false(summary_is_whole(&summary));
    summary.broken = 0;
    summary.rejected = 1;
    assert_false(summary_is_whole(&summary));
    summary.rejected = 0;
    summary.ledger.delivered = 2;
    summary.ledger.unknown = 1;
    assert_false(summary_is_whole(&summary));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_words_add_up),
        cmocka_unit_test(the_rate_is_of_what_arrived),
        cmocka_unit_test(the_json_is_one_object_with_the_same_numbers),
        cmocka_unit_test(only_delivered_and_duplicate_are_whole),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
