#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "queue/rejections.h"

static void every_rejection_is_counted_by_its_cause(void **state)
{
    static const phos_status causes[] = { PHOS_E_FULL,   PHOS_E_TOO_LARGE,
                                          PHOS_E_CLOSED, PHOS_E_INVALID,
                                          PHOS_E_FULL,   PHOS_E_FULL };
    struct phos__rejections rejections = { 0 };
    phos_rejections counted;

    (void)state;
    for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++)
        phos__rejections_add(&rejections, causes[i]);
    counted = phos__rejections_get(&rejections);
    assert_int_equal(counted.full, 3);
    assert_int_equal(counted.too_large, 1);
    assert_int_equal(counted.closed, 1);
    assert_int_equal(counted.invalid, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rejection_is_counted_by_its_cause),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
