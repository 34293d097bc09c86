#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "io/entropy.h"

static void every_byte_is_filled_and_two_fillings_differ(void **state)
{
    static uint8_t one[1000], other[1000];
    unsigned zeros = 0;

    (void)state;
    assert_int_equal(phos__entropy_fill(one, sizeof(one)), PHOS_OK);
    assert_int_equal(phos__entropy_fill(other, sizeof(other)), PHOS_OK);
    assert_memory_not_equal(one, other, sizeof(one));
    for (size_t i = 0; i < sizeof(one); i++)
        zeros += one[i] == 0;
    assert_true(zeros < 50); /* some 4 are to be expected */
    assert_int_equal(phos__entropy_fill(NULL, 0), PHOS_OK);
}

/* The first numbers of xoshiro256** from the state 1, 2, 3, 4, as the
 * reference implementation gives them. */
static void the_generator_is_xoshiro256(void **state)
{
    static const uint64_t expected[] = { 11520, 0, 1509978240,
                                         UINT64_C(1215971899390074240) };
    uint64_t numbers[4];
    struct phos__random_port port;

    (void)state;
    assert_int_equal(phos__random_port_seed(numbers, &port), PHOS_OK);
    assert_ptr_equal(port.self, numbers);
    for (uint64_t i = 0; i < 4; i++)
        numbers[i] = i + 1;
    for (size_t i = 0; i < 4; i++)
        assert_true(port.next(port.self) == expected[i]);
}

static void two_generators_go_their_own_ways(void **state)
{
    uint64_t one[4], other[4];
    struct phos__random_port first, second;

    (void)state;
    assert_int_equal(phos__random_port_seed(one, &first), PHOS_OK);
    assert_int_equal(phos__random_port_seed(other, &second), PHOS_OK);
    assert_true(first.next(first.self) != second.next(second.self));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_is_filled_and_two_fillings_differ),
        cmocka_unit_test(the_generator_is_xoshiro256),
        cmocka_unit_test(two_generators_go_their_own_ways),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
