#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/pace.h"

static struct phos__pace pace;

/* Sends batches of 100 as soon as they may go, for a minute; how many. */
static uint64_t events_in_a_minute(uint64_t from_ms)
{
    uint64_t events = 0;

    for (uint64_t ms = from_ms; ms < from_ms + 60000;) {
        uint64_t wait_ms = phos__pace_wait_ms(&pace, ms, 100);

        if (wait_ms == 0) {
            phos__pace_spend(&pace, ms, 100);
            phos__pace_succeeded(&pace, ms, 100);
            events += 100;
            wait_ms = 1;
        }
        ms += wait_ms;
    }
    return events;
}

static void without_a_limit_nothing_waits(void **state)
{
    (void)state;
    phos__pace_init(&pace, 0, 100, 0);
    assert_int_equal(phos__pace_wait_ms(&pace, 5, 100), 0);
    phos__pace_spend(&pace, 5, 1000000);
    assert_int_equal(phos__pace_wait_ms(&pace, 5, 100), 0);
}

static void the_limit_is_kept_minute_for_minute(void **state)
{
    static const uint64_t limits[] = { 1, 60, 1000, 10000, 600000 };

    (void)state;
    for (int i = 0; i < 5; i++) {
        uint64_t burst = limits[i] / 60 > 100 ? limits[i] / 60 : 100;

        phos__pace_init(&pace, limits[i], 100, 1000);
        assert_in_range(events_in_a_minute(1000), limits[i] - limits[i] % 100,
                        limits[i] + burst);
        assert_true(events_in_a_minute(61000) <= limits[i] + 100);
    }
}

static void a_wait_ends_exactly_when_there_are_tokens(void **state)
{
    uint64_t wait_ms;

    (void)state;
    phos__pace_init(&pace, 1000, 100, 0);
    phos__pace_spend(&pace, 0, 100);
    wait_ms = phos__pace_wait_ms(&pace, 0, 100);
    assert_int_equal(wait_ms, 6000);
    assert_int_equal(phos__pace_wait_ms(&pace, wait_ms - 1, 100), 1);
    assert_int_equal(phos__pace_wait_ms(&pace, wait_ms, 100), 0);
}

static void a_429_teaches_two_thirds_of_what_went_through(void **state)
{
    uint64_t events = 0;

    (void)state;
    phos__pace_init(&pace, 0, 100, 0);
    for (uint64_t ms = 0; ms < 10000; ms += 100) /* 60,000 a minute */
        phos__pace_succeeded(&pace, ms, 100);
    phos__pace_throttled(&pace, 10000);
    phos__pace_throttled(&pace, 10001); /* of the same wave */
    for (uint64_t ms = 10000; ms < 11000;) {
        uint64_t wait_ms = phos__pace_wait_ms(&pace, ms, 100);

        if (wait_ms == 0) {
            phos__pace_spend(&pace, ms, 100);
            events += 100;
            wait_ms = 1;
        }
        ms += wait_ms;
    }
    assert_in_range(events, 500, 1500); /* 667 and a burst */
    /* After a minute without another one the limit is gone. */
    assert_int_equal(phos__pace_wait_ms(&pace, 70000, 100), 0);
    phos__pace_spend(&pace, 70000, 100000);
    assert_int_equal(phos__pace_wait_ms(&pace, 70000, 100), 0);
}

static void a_429_out_of_nothing_teaches_nothing(void **state)
{
    (void)state;
    phos__pace_init(&pace, 0, 100, 0);
    phos__pace_throttled(&pace, 10);
    phos__pace_spend(&pace, 10, 100000);
    assert_int_equal(phos__pace_wait_ms(&pace, 10, 100), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_limit_nothing_waits),
        cmocka_unit_test(the_limit_is_kept_minute_for_minute),
        cmocka_unit_test(a_wait_ends_exactly_when_there_are_tokens),
        cmocka_unit_test(a_429_teaches_two_thirds_of_what_went_through),
        cmocka_unit_test(a_429_out_of_nothing_teaches_nothing),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
