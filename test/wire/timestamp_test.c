#define _DEFAULT_SOURCE /* timegm, to compare with */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "wire/calendar.h"
#include "wire/timestamp.h"

enum { LAST_DAY = 2932896 }; /* 9999-12-31 */

static phos_str view(const char *text)
{
    return phos_str_make(text, strlen(text));
}

static void assert_reads_as(const char *text, int64_t want_us)
{
    int64_t got_us = -1;

    if (!phos__timestamp_read(view(text), &got_us))
        fail_msg("refused: %s", text);
    if (got_us != want_us)
        fail_msg("%s: want %lld, got %lld", text, (long long)want_us,
                 (long long)got_us);
}

static void every_day_agrees_with_the_libc(void **state) /* T1 */
{
    (void)state;
    for (uint32_t day = 0; day <= LAST_DAY; day++) {
        time_t seconds = (time_t)day * PHOS__DAY_SECONDS;
        struct phos__date date = phos__date_from_days(day);
        struct tm tm;

        gmtime_r(&seconds, &tm);
        if (date.year != (unsigned)tm.tm_year + 1900 ||
            date.month != (unsigned)tm.tm_mon + 1 ||
            date.day != (unsigned)tm.tm_mday || !phos__date_is_valid(&date) ||
            phos__date_to_days(&date) != day)
            fail_msg("day %u: %u-%u-%u", day, date.year, date.month, date.day);
    }
}

static void every_text_reads_back_as_the_same_moment(void **state)
{
    /* Steps of some 38 hours that meet every time of day. */
    const int64_t step_us = INT64_C(137438953481);

    (void)state;
    for (int64_t us = 0; us <= PHOS__TIMESTAMP_US_MAX; us += step_us) {
        char text[PHOS__TIMESTAMP_LENGTH], want[64];
        time_t seconds = (time_t)(us / 1000000);
        struct tm tm;
        size_t length;
        int64_t got_us = -1;

        phos__timestamp_write((uint64_t)us, text);
        gmtime_r(&seconds, &tm);
        length = strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(want + length, sizeof(want) - length, ".%06uZ",
                 (unsigned)(us % 1000000));
        assert_memory_equal(text, want, PHOS__TIMESTAMP_LENGTH);
        assert_true(phos__timestamp_read(
            phos_str_make(text, PHOS__TIMESTAMP_LENGTH), &got_us));
        if (got_us != us)
            fail_msg("want %lld, got %lld", (long long)us, (long long)got_us);
    }
}

static void the_ends_of_the_range_are_written_whole(void **state)
{
    static const struct {
        uint64_t time_us;
        const char *text;
    } rows[] = {
        { 0, "1970-01-01T00:00:00.000000Z" },
        { 1, "1970-01-01T00:00:00.000001Z" },
        { UINT64_C(2147483648000000), "2038-01-19T03:14:08.000000Z" },
        { UINT64_C(951782400000000), "2000-02-29T00:00:00.000000Z" },
        { UINT64_C(253402300799999999), "9999-12-31T23:59:59.999999Z" },
        { UINT64_C(253402300800000000), "9999-12-31T23:59:59.999999Z" },
        { UINT64_MAX, "9999-12-31T23:59:59.999999Z" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[PHOS__TIMESTAMP_LENGTH + 1] = { 0 };

        phos__timestamp_write(rows[i].time_us, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void every_form_of_the_profile_is_read(void **state)
{
    const int64_t base = INT64_C(1738315800000000); /* 2025-01-31T09:30:00Z */

    (void)state;
    assert_reads_as("2025-01-31T09:30:00Z", base);
    assert_reads_as("2025-01-31t09:30:00z", base);
    assert_reads_as("2025-01-31 09:30:00Z", base);
    assert_reads_as("2025-01-31T09:30:00", base);
    assert_reads_as("2025-01-31T09:30:00.5", base + 500000);
    assert_reads_as("2025-01-31T09:30:00.5Z", base + 500000);
    assert_reads_as("2025-01-31T09:30:00.123456Z", base + 123456);
    assert_reads_as("2025-01-31T09:30:00.1234569999999999999999Z",
                    base + 123456);
    assert_reads_as("2025-01-31T09:30:00.0000009Z", base);
    assert_reads_as("2025-01-31T10:30:00+01:00", base);
    assert_reads_as("2025-01-31T04:00:00.25-05:30", base + 250000);
    assert_reads_as("2025-01-31T09:30:00-00:00", base);
    assert_reads_as("2025-02-01T09:29:00+23:59", base);
    assert_reads_as("1970-01-01T01:00:00+01:00", 0);
    assert_reads_as("1969-12-31T23:00:00-01:00", 0);
    assert_reads_as("9999-12-31T23:59:59.999999Z", PHOS__TIMESTAMP_US_MAX);
}

static void a_leap_second_becomes_the_last_microsecond_before_it(void **state)
{
    (void)state;
    assert_reads_as("2016-12-31T23:59:60Z", INT64_C(1483228799999999));
    assert_reads_as("2016-12-31T23:59:60.123Z", INT64_C(1483228799999999));
    assert_reads_as("2017-01-01T00:59:60+01:00", INT64_C(1483228799999999));
}

static void broken_texts_are_refused_and_leave_the_result_alone(void **state)
{
    static const char *const rows[] = {
        "",
        "2025",
        "2025-01-31",
        "2025-01-31T09:30",
        "2025-01-31T09:30Z",
        "2025-01-31T09:30:0",
        "20250131T093000Z",
        "2025-1-31T09:30:00Z",
        "2025-01-31X09:30:00Z",
        "2025-01-31  09:30:00Z",
        "2025/01/31T09:30:00Z",
        "2025-01-31T09.30.00Z",
        "2025-00-01T00:00:00Z",
        "2025-13-01T00:00:00Z",
        "2025-01-00T00:00:00Z",
        "2025-01-32T00:00:00Z",
        "2025-04-31T00:00:00Z",
        "2025-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2025-01-31T24:00:00Z",
        "2025-01-31T09:60:00Z",
        "2025-01-31T09:30:61Z",
        "2025-01-31T09:30:00.Z",
        "2025-01-31T09:30:00.",
        "2025-01-31T09:30:00,5Z",
        "2025-01-31T09:30:00.5.5Z",
        "2025-01-31T09:30:00ZZ",
        "2025-01-31T09:30:00Z ",
        " 2025-01-31T09:30:00Z",
        "2025-01-31T09:30:00+0100",
        "2025-01-31T09:30:00+01",
        "2025-01-31T09:30:00+24:00",
        "2025-01-31T09:30:00+01:60",
        "2025-01-31T09:30:00 01:00",
        "2025-01-31T09:30:00CET",
        "-025-01-31T09:30:00Z",
        "+2025-01-31T09:30:00Z",
        "2025-01-31T-9:30:00Z",
        "1969-12-31T23:59:59.999999Z",
        "1970-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "0000-01-01T00:00:00Z",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t got_us = 42;

        if (phos__timestamp_read(view(rows[i]), &got_us))
            fail_msg("accepted: %s", rows[i]);
        assert_int_equal(got_us, 42);
    }
}

static void february_29_exists_in_leap_years_only(void **state)
{
    (void)state;
    for (unsigned year = 1970; year <= 9999; year++) {
        char text[64];
        int64_t got_us;
        bool is_leap = year % 400 == 0 || (year % 4 == 0 && year % 100 != 0);

        snprintf(text, sizeof(text), "%04u-02-29T12:00:00Z", year);
        assert_int_equal(phos__timestamp_read(view(text), &got_us), is_leap);
    }
}

static void
any_single_changed_byte_is_read_within_the_range_or_refused(void **state)
{
    static const char good[] = "2025-01-31T09:30:00.123456+01:00";

    (void)state;
    for (size_t place = 0; place < sizeof(good) - 1; place++) {
        for (unsigned value = 0; value < 256; value++) {
            char text[sizeof(good) - 1];
            int64_t got_us = 42;

            memcpy(text, good, sizeof(text));
            text[place] = (char)value;
            if (phos__timestamp_read(phos_str_make(text, sizeof(text)),
                                     &got_us)) {
                assert_true(value >= ' ' && value <= '~');
                assert_true(got_us >= 0 && got_us <= PHOS__TIMESTAMP_US_MAX);
            } else {
                assert_int_equal(got_us, 42);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_day_agrees_with_the_libc),
        cmocka_unit_test(every_text_reads_back_as_the_same_moment),
        cmocka_unit_test(the_ends_of_the_range_are_written_whole),
        cmocka_unit_test(every_form_of_the_profile_is_read),
        cmocka_unit_test(a_leap_second_becomes_the_last_microsecond_before_it),
        cmocka_unit_test(broken_texts_are_refused_and_leave_the_result_alone),
        cmocka_unit_test(february_29_exists_in_leap_years_only),
        cmocka_unit_test(
            any_single_changed_byte_is_read_within_the_range_or_refused),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
