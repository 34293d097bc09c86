#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/pauses.h"

static void paused_time_is_no_age(void **state)
{
    struct phos__pauses pauses = { 0 };

    (void)state;
    assert_int_equal(phos__pauses_age_ms(&pauses, 100, 150), 50);
    phos__pauses_begin(&pauses, 200);
    phos__pauses_begin(&pauses, 250); /* it is paused already */
    assert_int_equal(phos__pauses_age_ms(&pauses, 100, 900), 100);
    phos__pauses_end(&pauses, 1000);
    phos__pauses_end(&pauses, 1100);
    assert_int_equal(phos__pauses_age_ms(&pauses, 100, 1100), 200);
    assert_int_equal(phos__pauses_age_ms(&pauses, 600, 1100), 100);
    assert_int_equal(phos__pauses_age_ms(&pauses, 1050, 1100), 50);
    assert_int_equal(phos__pauses_age_ms(&pauses, 1200, 1100), 0);
}

static void the_last_sixteen_pauses_are_remembered(void **state)
{
    struct phos__pauses pauses = { 0 };

    (void)state;
    for (uint64_t i = 0; i < 20; i++) {
        phos__pauses_begin(&pauses, i * 100);
        phos__pauses_end(&pauses, i * 100 + 50);
    }
    assert_int_equal(phos__pauses_age_ms(&pauses, 400, 2000), 1600 - 16 * 50);
    assert_int_equal(phos__pauses_age_ms(&pauses, 0, 2000), 2000 - 16 * 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paused_time_is_no_age),
        cmocka_unit_test(the_last_sixteen_pauses_are_remembered),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
