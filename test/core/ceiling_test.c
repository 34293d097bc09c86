#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/ceiling.h"

static struct phos__ceiling ceiling;

/* Sends bodies at the ceiling to a service with a limit; how many it refused. */
static unsigned refusals(uint32_t service_limit, unsigned requests)
{
    unsigned refused = 0;

    for (unsigned i = 0; i < requests; i++) {
        if (ceiling.bytes > service_limit) {
            refused++;
            phos__ceiling_refused(&ceiling, ceiling.bytes);
        } else {
            phos__ceiling_succeeded(&ceiling, ceiling.bytes);
        }
    }
    return refused;
}

static void it_settles_near_the_services_limit_with_few_refusals(void **state)
{
    (void)state;
    for (uint32_t limit = 2000; limit < 1000000; limit *= 3) {
        phos__ceiling_init(&ceiling, 1048576);
        assert_in_range(refusals(limit, 64), 1, 12);
        assert_in_range(ceiling.bytes, limit / 4, limit);
        assert_in_range(refusals(limit, 6400), 0, 6400 / 32);
    }
}

static void it_grows_back_when_the_limit_is_gone(void **state)
{
    (void)state;
    phos__ceiling_init(&ceiling, 1048576);
    refusals(20000, 64);
    assert_true(ceiling.bytes <= 20000);
    assert_int_equal(refusals(UINT32_MAX, 20000), 0);
    assert_int_equal(ceiling.bytes, 1048576);
}

static void small_bodies_prove_nothing(void **state)
{
    uint32_t bytes;

    (void)state;
    phos__ceiling_init(&ceiling, 1048576);
    phos__ceiling_refused(&ceiling, 40000);
    bytes = ceiling.bytes;
    for (int i = 0; i < 1000; i++)
        phos__ceiling_succeeded(&ceiling, 500);
    assert_int_equal(ceiling.bytes, bytes);
}

static void it_never_falls_below_a_kibibyte(void **state)
{
    (void)state;
    phos__ceiling_init(&ceiling, 1048576);
    for (int i = 0; i < 100; i++)
        phos__ceiling_refused(&ceiling, ceiling.bytes);
    assert_int_equal(ceiling.bytes, 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_settles_near_the_services_limit_with_few_refusals),
        cmocka_unit_test(it_grows_back_when_the_limit_is_gone),
        cmocka_unit_test(small_bodies_prove_nothing),
        cmocka_unit_test(it_never_falls_below_a_kibibyte),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
