#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/saturate.h"

static const uint64_t edges[] = { 0,
                                  1,
                                  2,
                                  3,
                                  UINT32_MAX - UINT64_C(1),
                                  UINT32_MAX,
                                  UINT32_MAX + UINT64_C(1),
                                  UINT64_MAX / 3,
                                  UINT64_MAX / 2,
                                  UINT64_MAX / 2 + 1,
                                  UINT64_MAX - 1,
                                  UINT64_MAX };

enum { EDGES = sizeof(edges) / sizeof(edges[0]) };

/* The compiler's overflow checks are the second opinion. */
static void results_stop_at_the_end_of_the_range(void **state)
{
    (void)state;
    for (int i = 0; i < EDGES; i++)
        for (int j = 0; j < EDGES; j++) {
            uint64_t a = edges[i], b = edges[j], want;

            if (__builtin_add_overflow(a, b, &want))
                want = UINT64_MAX;
            assert_true(phos__add_sat_u64(a, b) == want);
            if (__builtin_sub_overflow(a, b, &want))
                want = 0;
            assert_true(phos__sub_sat_u64(a, b) == want);
            if (__builtin_mul_overflow(a, b, &want))
                want = UINT64_MAX;
            assert_true(phos__mul_sat_u64(a, b) == want);
        }
}

static void the_smaller_and_the_larger_are_found(void **state)
{
    (void)state;
    for (int i = 0; i < EDGES; i++)
        for (int j = i; j < EDGES; j++) {
            assert_true(phos__min_u64(edges[i], edges[j]) == edges[i]);
            assert_true(phos__min_u64(edges[j], edges[i]) == edges[i]);
            assert_true(phos__max_u64(edges[i], edges[j]) == edges[j]);
            assert_true(phos__max_u64(edges[j], edges[i]) == edges[j]);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_stop_at_the_end_of_the_range),
        cmocka_unit_test(the_smaller_and_the_larger_are_found),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
