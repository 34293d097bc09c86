#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/siphash.h"

/* The key 00 01 02 ... 0f of the published vectors. */
static const struct phos__siphash_key key = { UINT64_C(0x0706050403020100),
                                              UINT64_C(0x0f0e0d0c0b0a0908) };

/* Of the input 00 01 02 ..., `bytes` long; from the authors' reference
 * implementation. 15 bytes is the example of the paper's appendix. */
static const struct {
    size_t bytes;
    uint64_t hash;
} vectors[] = {
    { 0, UINT64_C(0x726fdb47dd0e0e31) },  { 1, UINT64_C(0x74f839c593dc67fd) },
    { 2, UINT64_C(0x0d6c8009d9a94f5a) },  { 3, UINT64_C(0x85676696d7fb7e2d) },
    { 4, UINT64_C(0xcf2794e0277187b7) },  { 5, UINT64_C(0x18765564cd99a68d) },
    { 6, UINT64_C(0xcbc9466e58fee3ce) },  { 7, UINT64_C(0xab0200f58b01d137) },
    { 8, UINT64_C(0x93f5f5799a932462) },  { 9, UINT64_C(0x9e0082df0ba9e4b0) },
    { 10, UINT64_C(0x7a5dbbc594ddb9f3) }, { 11, UINT64_C(0xf4b32f46226bada7) },
    { 12, UINT64_C(0x751e8fbc860ee5fb) }, { 13, UINT64_C(0x14ea5627c0843d90) },
    { 14, UINT64_C(0xf723ca908e7af2ee) }, { 15, UINT64_C(0xa129ca6149be45e5) },
    { 16, UINT64_C(0x3f2acc7f57c29bdb) }, { 17, UINT64_C(0x699ae9f52cbe4794) },
    { 31, UINT64_C(0x32d892fad841c342) }, { 32, UINT64_C(0x7127512f72f27cce) },
    { 62, UINT64_C(0xe51b38608ef25f57) }, { 63, UINT64_C(0x958a324ceb064572) },
};

static void the_published_vectors_come_out(void **state)
{
    uint8_t input[64];

    (void)state;
    for (size_t i = 0; i < sizeof(input); i++)
        input[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
        assert_true(phos__siphash64(&key, input, vectors[i].bytes) ==
                    vectors[i].hash);
}

static void where_the_input_lies_changes_nothing(void **state)
{
    uint8_t input[64 + 8];

    (void)state;
    for (size_t shift = 0; shift < 8; shift++) {
        for (size_t i = 0; i < 64; i++)
            input[shift + i] = (uint8_t)i;
        assert_true(phos__siphash64(&key, input + shift, 63) ==
                    UINT64_C(0x958a324ceb064572));
    }
}

/* The published vector of the 8 bytes 00 to 07. */
static void the_published_128_bit_vector_comes_out(void **state)
{
    static const uint8_t want[16] = { 0x3b, 0x62, 0xa9, 0xba, 0x62, 0x58,
                                      0xf5, 0x61, 0x0f, 0x83, 0xe2, 0x64,
                                      0xf3, 0x14, 0x97, 0xb4 };
    uint8_t got[16];

    (void)state;
    phos__siphash128_u64(&key, UINT64_C(0x0706050403020100), got);
    assert_memory_equal(got, want, sizeof(want));
}

static void key_and_input_both_matter_in_each_bit(void **state)
{
    const uint64_t plain = phos__siphash64(&key, "abcdefgh", 8);

    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        struct phos__siphash_key other = key;
        uint64_t input;

        other.k0 ^= UINT64_C(1) << bit;
        assert_true(phos__siphash64(&other, "abcdefgh", 8) != plain);
        other = key;
        other.k1 ^= UINT64_C(1) << bit;
        assert_true(phos__siphash64(&other, "abcdefgh", 8) != plain);
        memcpy(&input, "abcdefgh", 8);
        input ^= UINT64_C(1) << bit;
        assert_true(phos__siphash64(&key, &input, 8) != plain);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_vectors_come_out),
        cmocka_unit_test(where_the_input_lies_changes_nothing),
        cmocka_unit_test(the_published_128_bit_vector_comes_out),
        cmocka_unit_test(key_and_input_both_matter_in_each_bit),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
