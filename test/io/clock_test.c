#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/clock.h"

static const phos_clock clocks[] = { PHOS_CLOCK_COUNTER, PHOS_CLOCK_COARSE,
                                     PHOS_CLOCK_EXACT };

static void coarse_and_exact_are_what_was_asked_for(void **state)
{
    (void)state;
    assert_int_equal(phos__clock_resolve(PHOS_CLOCK_COARSE), PHOS_CLOCK_COARSE);
    assert_int_equal(phos__clock_resolve(PHOS_CLOCK_EXACT), PHOS_CLOCK_EXACT);
    assert_true(phos__clock_resolve(PHOS_CLOCK_COUNTER) != PHOS_CLOCK_EXACT);
}

static void stamps_are_raw_and_never_go_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        phos_clock clock = phos__clock_resolve(clocks[i]);
        uint64_t last = 0;

        for (int n = 0; n < 1000; n++) {
            uint64_t stamp = phos__clock_stamp(clock);

            assert_true(stamp & PHOS__TIME_RAW);
            assert_true(stamp >= last);
            last = stamp;
        }
    }
}

static void the_port_reads_the_same_log_clock(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        phos_clock clock = phos__clock_resolve(clocks[i]);
        struct phos__clock_port port = phos__clock_port_real(clock);
        uint64_t before = phos__clock_stamp(clock);
        uint64_t read = port.log_clock(port.self);
        uint64_t after = phos__clock_stamp(clock);

        assert_true(before <= read && read <= after);
        assert_true(port.log_clock_per_us ==
                    (clock == PHOS_CLOCK_COUNTER ? 0 : 1000));
    }
}

/* The kernel's log clocks share their zero with the clock of the worker. */
static void
the_exact_log_clock_lies_between_two_monotonic_readings(void **state)
{
    struct phos__clock_port port = phos__clock_port_real(PHOS_CLOCK_EXACT);
    uint64_t before = port.monotonic_us(port.self);
    uint64_t stamp = phos__clock_stamp(PHOS_CLOCK_EXACT) & ~PHOS__TIME_RAW;
    uint64_t after = port.monotonic_us(port.self);

    (void)state;
    assert_true(before <= stamp / 1000 && stamp / 1000 <= after);
}

static void wall_time_is_of_this_century(void **state)
{
    struct phos__clock_port port = phos__clock_port_real(PHOS_CLOCK_COARSE);

    (void)state;
    assert_true(port.wall_us(port.self) > UINT64_C(1577836800000000));
    assert_true(port.wall_us(port.self) < UINT64_C(4102444800000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coarse_and_exact_are_what_was_asked_for),
        cmocka_unit_test(stamps_are_raw_and_never_go_back),
        cmocka_unit_test(the_port_reads_the_same_log_clock),
        cmocka_unit_test(
            the_exact_log_clock_lies_between_two_monotonic_readings),
        cmocka_unit_test(wall_time_is_of_this_century),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
