#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "instant.h"

static void date_times_read_as_microseconds_of_utc(void **state)
{
    static const struct {
        const char *text;
        int64_t us;
    } rows[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "1970-01-01", 0 },
        { "2025-01-31T09:30:00Z", INT64_C(1738315800000000) },
        { "2025-01-31 09:30:00", INT64_C(1738315800000000) },
        { "2025-01-31t09:30:00z", INT64_C(1738315800000000) },
        { "2025-01-31T09:30Z", INT64_C(1738315800000000) },
        { "2025-01-31T10:30:00+01:00", INT64_C(1738315800000000) },
        { "2025-01-31T04:00:00-0530", INT64_C(1738315800000000) },
        { "2025-01-31T11:30:00+02", INT64_C(1738315800000000) },
        { "2025-01-31T09:30:00.5Z", INT64_C(1738315800500000) },
        { "2025-01-31T09:30:00,123456789Z", INT64_C(1738315800123456) },
        { "2024-02-29T00:00:00Z", INT64_C(1709164800000000) },
        { "2000-02-29T00:00:00Z", INT64_C(951782400000000) },
        { "2016-12-31T23:59:60Z", INT64_C(1483228799999999) },
        { "9999-12-31T23:59:59.999999Z", INT64_C(253402300799999999) },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t us = -1;

        assert_true(instant_read(rows[i].text, strlen(rows[i].text), &us));
        assert_int_equal(us, rows[i].us);
    }
}

static void anything_else_is_no_date_time(void **state)
{
    static const char *const rows[] = {
        "",
        "2025",
        "2025-01",
        "2025-13-01",
        "2025-02-29",
        "2100-02-29",
        "2025-04-31",
        "2025-01-31T",
        "2025-01-31T24:00:00Z",
        "2025-01-31T09:60:00Z",
        "2025-01-31T09:30:61Z",
        "2025-01-31T09:30:00.Z",
        "2025-01-31T09:30:00Zz",
        "2025-01-31T09:30:00+",
        "2025-01-31T09:30:00+1",
        "2025-01-31T09:30:00+24:00",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:30:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "1738315800",
        " 2025-01-31",
        "yesterday",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t us = 42;

        assert_false(instant_read(rows[i], strlen(rows[i]), &us));
        assert_int_equal(us, 42); /* a failure leaves results alone */
    }
}

static void what_is_written_reads_as_the_same_second(void **state)
{
    (void)state;
    for (int64_t us = 0; us < INT64_C(253402300799999999);
         us += INT64_C(98765432100000)) {
        char text[INSTANT_TEXT_BYTES];
        int64_t read_us;

        instant_write(us, text);
        assert_true(instant_read(text, strlen(text), &read_us));
        assert_int_equal(read_us, us - us % 1000000);
    }
}

static void instants_outside_the_calendar_are_a_dash(void **state)
{
    char text[INSTANT_TEXT_BYTES];

    (void)state;
    instant_write(-1, text);
    assert_string_equal(text, "-");
    instant_write(INT64_MAX, text);
    assert_string_equal(text, "-");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(date_times_read_as_microseconds_of_utc),
        cmocka_unit_test(anything_else_is_no_date_time),
        cmocka_unit_test(what_is_written_reads_as_the_same_second),
        cmocka_unit_test(instants_outside_the_calendar_are_a_dash),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
