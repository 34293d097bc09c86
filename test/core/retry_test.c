#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/retry.h"

static const struct phos__retry policy = { .base_ms = 100, .cap_ms = 1000 };

static uint64_t wait(uint32_t failures, bool is_throttled, uint64_t wish_ms,
                     uint64_t random)
{
    const struct phos__retry_ask ask = { failures, is_throttled, wish_ms,
                                         random };

    return phos__retry_wait_ms(&policy, &ask);
}

static void waits_double_up_to_the_cap(void **state)
{
    static const uint64_t longest[] = { 100, 200, 400, 800, 1000, 1000 };

    (void)state;
    for (uint32_t failures = 1; failures <= 6; failures++) {
        uint64_t least = UINT64_MAX, most = 0;

        for (uint64_t random = 0; random < 3000; random++) {
            uint64_t ms = wait(failures, false, 0, random);

            least = ms < least ? ms : least;
            most = ms > most ? ms : most;
        }
        assert_int_equal(least, 0);
        assert_int_equal(most, longest[failures - 1]);
    }
    assert_in_range(wait(UINT32_MAX, false, 0, UINT64_MAX), 0, 1000);
}

static void half_of_a_throttled_wait_is_fixed(void **state)
{
    (void)state;
    for (uint64_t random = 0; random < 3000; random++)
        assert_in_range(wait(3, true, 0, random), 200, 400);
}

static void the_servers_wish_is_a_floor_above_our_own_cap(void **state)
{
    (void)state;
    for (uint64_t random = 0; random < 100; random++) {
        assert_int_equal(wait(9, false, 120000, random), 120000);
        assert_true(wait(1, false, 50, random) >= 50);
    }
}

static void an_empty_budget_slows_and_never_stops(void **state)
{
    struct phos__retry_budget budget;
    uint32_t spent = 0;

    (void)state;
    phos__retry_budget_init(&budget);
    while (phos__retry_budget_spend(&budget) == 0)
        spent++;
    assert_int_equal(spent, 50);
    assert_int_equal(phos__retry_budget_spend(&budget), 2);
    phos__retry_budget_pay_back(&budget);
    assert_int_equal(phos__retry_budget_spend(&budget), 2);
    phos__retry_budget_pay_back(&budget);
    assert_int_equal(phos__retry_budget_spend(&budget), 0);
    for (int i = 0; i < 1000; i++)
        phos__retry_budget_pay_back(&budget);
    for (spent = 0; phos__retry_budget_spend(&budget) == 0; spent++)
        continue;
    assert_int_equal(spent, 50); /* it does not pile up */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_double_up_to_the_cap),
        cmocka_unit_test(half_of_a_throttled_wait_is_fixed),
        cmocka_unit_test(the_servers_wish_is_a_floor_above_our_own_cap),
        cmocka_unit_test(an_empty_budget_slows_and_never_stops),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
