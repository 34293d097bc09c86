#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "wire/retry_after.h"

#define NOW INT64_C(784111777) /* Sun, 06 Nov 1994 08:49:37 GMT */
#define HOUR_MS PHOS__RETRY_AFTER_MS_MAX

static phos_str view(const char *text)
{
    return phos_str_make(text, strlen(text));
}

static void assert_waits(const char *value, const char *date, int64_t now_s,
                         uint64_t want_ms)
{
    uint64_t got_ms = 42;

    if (!phos__retry_after_read(view(value), view(date), now_s, &got_ms))
        fail_msg("refused: '%s'", value);
    if (got_ms != want_ms)
        fail_msg("'%s': want %llu ms, got %llu ms", value,
                 (unsigned long long)want_ms, (unsigned long long)got_ms);
}

static void seconds_are_read_and_kept_within_an_hour(void **state) /* H9 */
{
    (void)state;
    assert_waits("0", "", NOW, 0);
    assert_waits("000", "", NOW, 0);
    assert_waits("1", "", NOW, 1000);
    assert_waits("120", "", NOW, 120000);
    assert_waits(" \t120\t ", "", NOW, 120000);
    assert_waits("0000000000000000000000000120", "", NOW, 120000);
    assert_waits("3599", "", NOW, 3599000);
    assert_waits("3600", "", NOW, HOUR_MS);
    assert_waits("3601", "", NOW, HOUR_MS);
    assert_waits("18446744073709551615", "", NOW, HOUR_MS);
    assert_waits("18446744073709551616", "", NOW, HOUR_MS);
    assert_waits("18446744073709551617.5", "", NOW, HOUR_MS);
}

static void a_hundred_thousand_digits_do_not_overflow(void **state)
{
    static char digits[100000];

    (void)state;
    for (char digit = '1'; digit <= '9'; digit++) {
        uint64_t got_ms = 0;

        memset(digits, digit, sizeof(digits));
        assert_true(phos__retry_after_read(
            phos_str_make(digits, sizeof(digits)), view(""), NOW, &got_ms));
        assert_int_equal(got_ms, HOUR_MS);
    }
}

static void a_fraction_is_rounded_up_to_a_millisecond(void **state)
{
    (void)state;
    assert_waits("1.5", "", NOW, 1500);
    assert_waits("0.001", "", NOW, 1);
    assert_waits("0.0001", "", NOW, 1);
    assert_waits("0.000000000000000000000000000001", "", NOW, 1);
    assert_waits("1.0000", "", NOW, 1000);
    assert_waits("2.99901", "", NOW, 3000);
    assert_waits("3599.9999", "", NOW, HOUR_MS);
    assert_waits("3600.1", "", NOW, HOUR_MS);
}

static void all_three_date_forms_are_read(void **state)
{
    static const char *const rows[] = {
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t unix_s = 0;

        assert_true(phos__http_date_read(view(rows[i]), NOW, &unix_s));
        assert_true(unix_s == NOW);
    }
}

static void
dates_are_measured_against_the_answers_own_date(void **state) /* T1 */
{
    static const char later[] = "Sun, 06 Nov 1994 08:51:37 GMT";
    static const char sent[] = "Sun, 06 Nov 1994 08:49:37 GMT";

    (void)state;
    assert_waits(later, "", NOW, 120000);
    assert_waits(later, sent, 0, 120000);
    assert_waits(later, sent, NOW + 86400, 120000);
    assert_waits(later, sent, INT64_MAX, 120000);
    assert_waits(later, sent, INT64_MIN, 120000);
    assert_waits(later, "Sunday, 06-Nov-94 08:50:37 GMT", NOW, 60000);
    assert_waits(later, "Sun Nov  6 08:51:36 1994", NOW, 1000);
    assert_waits(later, "yesterday", NOW, 120000);
    assert_waits(sent, later, NOW, 0);
    assert_waits("Sun, 06 Nov 1994 09:49:38 GMT", sent, NOW, HOUR_MS);
    assert_waits("Fri, 31 Dec 9999 23:59:59 GMT", sent, NOW, HOUR_MS);
    assert_waits("Sat, 01 Jan 0000 00:00:00 GMT", sent, NOW, 0);
    assert_waits(later, "", INT64_MAX, 0);
    assert_waits(later, "", INT64_MIN, HOUR_MS);
}

static void every_month_and_leap_day_agrees_with_the_libc(void **state)
{
    (void)state;
    for (time_t at = 0; at < INT64_C(253402300800); at += 40 * 86400 + 12345) {
        char text[64];
        struct tm tm;
        int64_t unix_s = -1;

        gmtime_r(&at, &tm);
        strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm);
        assert_true(phos__http_date_read(view(text), NOW, &unix_s));
        assert_true(unix_s == at);
        strftime(text, sizeof(text), "%a %b %e %H:%M:%S %Y", &tm);
        assert_true(phos__http_date_read(view(text), NOW, &unix_s));
        assert_true(unix_s == at);
        /* Two digits are enough when the reader lives at that time. */
        strftime(text, sizeof(text), "%A, %d-%b-%y %H:%M:%S GMT", &tm);
        assert_true(phos__http_date_read(view(text), at, &unix_s));
        assert_true(unix_s == at);
    }
}

static void a_two_digit_year_is_at_most_fifty_years_ahead(void **state)
{
    static const struct {
        const char *text;
        int64_t now_s;
        int64_t want_s;
    } rows[] = {
        /* In 2025: 70 is 2070, 99 is 1999, 00 is 2000. */
        { "Wednesday, 01-Jan-70 00:00:00 GMT", 1735689600, 3155760000 },
        { "Friday, 01-Jan-99 00:00:00 GMT", 1735689600, 915148800 },
        { "Saturday, 01-Jan-00 00:00:00 GMT", 1735689600, 946684800 },
        /* On the last day of 1999, 00 is tomorrow. */
        { "Saturday, 01-Jan-00 00:00:00 GMT", 946684799, 946684800 },
        /* February 29 of 1900 and 2100 does not exist; 2000's does. */
        { "Tuesday, 29-Feb-00 00:00:00 GMT", 4102444800, 951782400 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t unix_s = -1;

        assert_true(
            phos__http_date_read(view(rows[i].text), rows[i].now_s, &unix_s));
        if (unix_s != rows[i].want_s)
            fail_msg("%s: want %lld, got %lld", rows[i].text,
                     (long long)rows[i].want_s, (long long)unix_s);
    }
}

static void anything_else_is_refused_and_leaves_the_wait_alone(void **state)
{
    static const char *const rows[] = {
        "",
        " ",
        "-1",
        "+1",
        "-0",
        "1e30",
        "1E3",
        "NaN",
        "inf",
        "0x10",
        "1,5",
        "1.",
        ".5",
        "1.5.5",
        "1.5s",
        "1 2",
        "120, 60",
        "120;",
        "soon",
        "\xE2\x91\xA0",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Nov 1994 08:49:37 GMT+1",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Xxx, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Xxx 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 29 Feb 1995 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun,  6 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sunday, 29-Feb-95 08:49:37 GMT",
        ", 06-Nov-94 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  0 08:49:37 1994",
        "Sun Nov 06 08:49:37 1994 GMT",
        "1994-11-06T08:49:37Z",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t wait_ms = 42;

        if (phos__retry_after_read(view(rows[i]), view(""), NOW, &wait_ms))
            fail_msg("accepted: '%s'", rows[i]);
        assert_int_equal(wait_ms, 42);
    }
}

static void any_changed_byte_gives_at_most_an_hour(void **state)
{
    static const char *const rows[] = {
        "120",
        "1.25",
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t length = strlen(rows[i]);

        for (size_t place = 0; place < length; place++) {
            for (unsigned value = 0; value < 256; value++) {
                char text[64];
                uint64_t wait_ms = 0;

                memcpy(text, rows[i], length);
                text[place] = (char)value;
                phos__retry_after_read(phos_str_make(text, length),
                                       phos_str_make(text, length), NOW,
                                       &wait_ms);
                assert_true(wait_ms <= HOUR_MS);
            }
            /* And cut there. */
            uint64_t wait_ms = 0;
            phos__retry_after_read(phos_str_make(rows[i], place),
                                   phos_str_make(rows[i], place), NOW,
                                   &wait_ms);
            assert_true(wait_ms <= HOUR_MS);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seconds_are_read_and_kept_within_an_hour),
        cmocka_unit_test(a_hundred_thousand_digits_do_not_overflow),
        cmocka_unit_test(a_fraction_is_rounded_up_to_a_millisecond),
        cmocka_unit_test(all_three_date_forms_are_read),
        cmocka_unit_test(dates_are_measured_against_the_answers_own_date),
        cmocka_unit_test(every_month_and_leap_day_agrees_with_the_libc),
        cmocka_unit_test(a_two_digit_year_is_at_most_fifty_years_ahead),
        cmocka_unit_test(anything_else_is_refused_and_leaves_the_wait_alone),
        cmocka_unit_test(any_changed_byte_gives_at_most_an_hour),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
