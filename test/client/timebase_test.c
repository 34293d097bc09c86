#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/timebase.h"
#include "wire/record.h"

static uint64_t monotonic_now, wall_now, ticks_now;

static uint64_t monotonic_us(void *self)
{
    (void)self;
    return monotonic_now;
}

static uint64_t wall_us(void *self)
{
    (void)self;
    return wall_now;
}

static uint64_t log_clock(void *self)
{
    (void)self;
    return ticks_now | PHOS__TIME_RAW;
}

static const struct phos__clock_port measured = { NULL, monotonic_us, wall_us,
                                                  log_clock, 0 };
static const struct phos__clock_port known = { NULL, monotonic_us, wall_us,
                                               log_clock, 1000 };

static void an_unknown_rate_is_measured_from_open_on(void **state)
{
    struct phos__timebase timebase;

    (void)state;
    monotonic_now = 5000000;
    ticks_now = 77;
    phos__timebase_start(&timebase, &measured);
    monotonic_now += 1000000;
    ticks_now += UINT64_C(2600000000);
    phos__timebase_refresh(&timebase, &measured);
    assert_in_range(
        phos__timebase_age_us(&timebase, (ticks_now - 2600) | PHOS__TIME_RAW),
        0, 1);
    assert_in_range(
        phos__timebase_age_us(&timebase, (ticks_now - UINT64_C(1300000000)) |
                                             PHOS__TIME_RAW),
        499999, 500001);
}

static void a_reading_of_the_future_has_no_age(void **state)
{
    struct phos__timebase timebase;

    (void)state;
    monotonic_now = 1000;
    ticks_now = 1000000;
    phos__timebase_start(&timebase, &known);
    assert_int_equal(phos__timebase_age_us(&timebase, 9999999 | PHOS__TIME_RAW),
                     0);
    assert_int_equal(phos__timebase_age_us(&timebase, 500000 | PHOS__TIME_RAW),
                     500);
    /* Older than the machine: a garbled reading. */
    ticks_now = UINT64_MAX >> 1;
    phos__timebase_refresh(&timebase, &known);
    assert_int_equal(phos__timebase_age_us(&timebase, PHOS__TIME_RAW), 1000);
}

static void a_step_of_the_wall_clock_ages_nothing(void **state)
{
    struct phos__timebase timebase;

    (void)state;
    monotonic_now = 10000000;
    wall_now = 1000000;
    ticks_now = 0;
    phos__timebase_start(&timebase, &known);
    ticks_now = 2000000;
    monotonic_now += 2000;
    wall_now += UINT64_C(86400000000);
    phos__timebase_refresh(&timebase, &known);
    assert_int_equal(phos__timebase_age_us(&timebase, 1000000 | PHOS__TIME_RAW),
                     1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unknown_rate_is_measured_from_open_on),
        cmocka_unit_test(a_reading_of_the_future_has_no_age),
        cmocka_unit_test(a_step_of_the_wall_clock_ages_nothing),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
