#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "progress.h"

static const struct progress half = { .now_ms = 10000,
                                      .accepted = 1000,
                                      .settled = 1000,
                                      .bytes_read = 500000,
                                      .bytes_total = 1000000,
                                      .rate = 100.0,
                                      .state = PHOS_STATE_RUNNING };

static void a_known_total_makes_a_bar(void **state)
{
    char line[PROGRESS_LINE_BYTES];

    (void)state;
    progress_bar(&half, 80, line);
    assert_string_equal(line, "[############............]  50%  1,000 events  "
                              "100/s  500.0 kB  ETA 0:10");
}

static void the_bar_never_reaches_the_last_column(void **state)
{
    (void)state;
    for (size_t columns = 0; columns < 300; columns++) {
        char line[PROGRESS_LINE_BYTES];

        progress_bar(&half, columns, line);
        assert_true(strlen(line) < columns || columns == 0);
    }
}

static void an_unknown_total_makes_a_counter(void **state)
{
    struct progress progress = half;
    char line[PROGRESS_LINE_BYTES];

    (void)state;
    progress.bytes_total = 0;
    progress_bar(&progress, 80, line);
    assert_string_equal(line, "1,000 events  100/s  500.0 kB");
}

static void what_waits_for_its_verdict_is_not_done(void **state)
{
    struct progress progress = half;
    char line[PROGRESS_LINE_BYTES];

    (void)state;
    progress.bytes_read = progress.bytes_total;
    progress.settled = 250;
    progress_plain(&progress, line);
    assert_string_equal(line, "25%, 250 events, 100/s, 1.0 MB, ETA 0:08");
}

static void a_pause_is_told_instead_of_a_guess(void **state)
{
    struct progress progress = half;
    char line[PROGRESS_LINE_BYTES];

    (void)state;
    progress.state = PHOS_STATE_OUTAGE;
    progress_plain(&progress, line);
    assert_non_null(strstr(line, "service away, waiting"));
    progress.state = PHOS_STATE_CONFIG;
    progress_plain(&progress, line);
    assert_non_null(strstr(line, "refused, trying again"));
    progress.state = PHOS_STATE_RUNNING;
    progress.last_http_status = 429;
    progress_plain(&progress, line);
    assert_non_null(strstr(line, "service asks to go slower"));
    progress.last_http_status = 201;
    progress_plain(&progress, line);
    assert_non_null(strstr(line, "ETA "));
}

static void nothing_is_divided_by_zero(void **state)
{
    struct progress progress = { .bytes_total = 100 };
    char line[PROGRESS_LINE_BYTES];

    (void)state;
    progress_plain(&progress, line);
    assert_string_equal(line, "0%, 0 events, 0/s, 0 B");
}

static void the_rate_follows_within_seconds(void **state)
{
    struct progress_meter meter = { 0, 0, 0.0 };
    double rate = progress_rate(&meter, 100, 100);
    uint64_t settled = 100;

    (void)state;
    assert_true(rate > 999.0 && rate < 1001.0);
    assert_true(progress_rate(&meter, 100, 500) == rate); /* no time passed */
    for (uint64_t now = 200; now <= 12000; now += 100) {
        settled += 10;
        rate = progress_rate(&meter, now, settled);
    }
    assert_true(rate > 95.0 && rate < 105.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_known_total_makes_a_bar),
        cmocka_unit_test(the_bar_never_reaches_the_last_column),
        cmocka_unit_test(an_unknown_total_makes_a_counter),
        cmocka_unit_test(what_waits_for_its_verdict_is_not_done),
        cmocka_unit_test(a_pause_is_told_instead_of_a_guess),
        cmocka_unit_test(nothing_is_divided_by_zero),
        cmocka_unit_test(the_rate_follows_within_seconds),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
