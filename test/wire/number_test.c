#include "support.h"

#include <float.h>
#include <math.h>

#include "wire/number.h"

enum { RANDOM_DOUBLES = 400000, RANDOM_SHORTEST = 60000 };

static double from_bits(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

static uint64_t to_bits(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

/* Returns the text, ended with NUL, in one of a few buffers in turn. */
static const char *written(double value)
{
    static char texts[4][PHOS__NUMBER_TEXT_MAX + 1];
    static unsigned turn;
    char *text = texts[turn++ % 4];
    size_t length = phos__number_write_double(value, text);

    assert_true(length <= PHOS__NUMBER_TEXT_MAX);
    text[length] = '\0';
    return text;
}

/* Digits without point, exponent and the zeros at either end. */
static size_t significant_digits(const char *text)
{
    size_t count = 0, zeros = 0;

    for (; *text && *text != 'e'; text++) {
        if (*text < '0' || *text > '9')
            continue;
        if (*text != '0') {
            count += zeros + 1;
            zeros = 0;
        } else if (count > 0) {
            zeros++;
        }
    }
    return count;
}

static void assert_reads_back(double value)
{
    const char *text = written(value);
    char *end;

    if (to_bits(strtod(text, &end)) != to_bits(value) || *end != '\0')
        fail_msg("%a was written as %s", value, text);
}

/* No decimal with fewer digits reads back, and of those with as many none is
 * nearer; printf() rounds the exact value. */
static void assert_is_shortest(double value)
{
    const char *text = written(value);
    size_t digits = significant_digits(text);
    char other[64];
    double nearer;

    if (digits > 1) {
        snprintf(other, sizeof(other), "%.*e", (int)digits - 2, value);
        if (strtod(other, NULL) == value)
            fail_msg("%a was written as %s, which is longer than %s", value,
                     text, other);
    }
    snprintf(other, sizeof(other), "%.*e", (int)digits - 1, value);
    nearer = strtod(other, NULL);
    if (to_bits(nearer) == to_bits(value) &&
        strtold(other, NULL) != strtold(text, NULL))
        fail_msg("%a was written as %s, but %s is nearer", value, text, other);
}

static void known_numbers_have_their_known_text(void **state)
{
    const struct {
        double value;
        const char *text;
    } rows[] = {
        { 0.0, "0" },
        { -0.0, "-0.0" },
        { 3.0, "3" },
        { -1.0, "-1" },
        { 1e15, "1000000000000000" },
        { 9007199254740991.0, "9007199254740991" },
        { 9007199254740992.0, "9.007199254740992e15" },
        { 9007199254740994.0, "9.007199254740994e15" },
        { 1e16, "1e16" },
        { 1e22, "1e22" },
        { 1e23, "1e23" },
        { 123456789012345680000.0, "1.2345678901234568e20" },
        { 0.1, "0.1" },
        { 0.4, "0.4" },
        { -2.5, "-2.5" },
        { 1.0 / 3.0, "0.3333333333333333" },
        { 2.0 / 3.0, "0.6666666666666666" },
        { 0.1 + 0.2, "0.30000000000000004" },
        { 5e-324, "5e-324" },
        { 1e-323, "1e-323" },
        { 2.2250738585072009e-308, "2.225073858507201e-308" },
        { DBL_MIN, "2.2250738585072014e-308" },
        { DBL_MAX, "1.7976931348623157e308" },
        { 0.000001, "0.000001" },
        { 0.0000012345, "0.0000012345" },
        { 0.00000099, "9.9e-7" },
        { 1e-7, "1e-7" },
        { 2.9802322387695312e-8, "2.9802322387695312e-8" }, /* a tie */
        { 5.684341886080801e-14, "5.684341886080801e-14" },
        { 9.5367431640625e-7, "9.5367431640625e-7" },
        { 4503599627370495.5, "4503599627370495.5" },
        { 2251799813685248.5, "2251799813685248.5" },
        { 0.99999999999999989, "0.9999999999999999" },
        { 1.0000000000000002, "1.0000000000000002" },
        { 299792458.123, "299792458.123" },
        { 1.7800590868057611e-307, "1.7800590868057611e-307" },
        { 2.8480945388892175e-306, "2.8480945388892175e-306" },
        { 2.446494580089078e-296, "2.446494580089078e-296" },
        { 4.8726570057e288, "4.8726570057e288" },
        { 9.0608011534336e15, "9.0608011534336e15" },
        { 4.708356024711512e18, "4.708356024711512e18" },
        { 9.409340012568248e18, "9.409340012568248e18" },
        { 1.9430376160308388e16, "1.9430376160308388e16" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_string_equal(written(rows[i].value), rows[i].text);
        assert_reads_back(rows[i].value);
    }
}

static void
every_power_and_its_neighbours_read_back_and_are_shortest(void **state)
{
    (void)state;
    for (uint64_t exponent = 0; exponent < 2047; exponent++) {
        uint64_t bits = exponent << 52;

        assert_reads_back(from_bits(bits));
        assert_reads_back(from_bits(bits + 1));
        assert_is_shortest(from_bits(bits + 1));
        if (bits) {
            assert_reads_back(from_bits(bits - 1));
            assert_is_shortest(from_bits(bits - 1));
        }
    }
    for (int power = -323; power <= 308; power++) {
        char text[16];
        double value;

        snprintf(text, sizeof(text), "1e%d", power);
        value = strtod(text, NULL);
        assert_reads_back(value);
        assert_int_equal(significant_digits(written(value)), 1);
    }
}

static void random_bit_patterns_read_back(void **state)
{
    uint64_t seed = 1;

    (void)state;
    for (int i = 0; i < RANDOM_DOUBLES; i++) {
        double value = from_bits(next_random(&seed));

        if (isfinite(value))
            assert_reads_back(value);
    }
}

/* Bit patterns are mostly far from 1; what people measure is near it. */
static void random_numbers_of_everyday_size_read_back(void **state)
{
    uint64_t seed = 2;

    (void)state;
    for (int i = 0; i < RANDOM_DOUBLES; i++) {
        uint64_t random = next_random(&seed);
        uint64_t exponent = 1023 - 60 + random % 120;

        assert_reads_back(from_bits((random >> 12) | exponent << 52));
    }
}

static void random_numbers_are_written_in_their_shortest_form(void **state)
{
    uint64_t seed = 3;

    (void)state;
    for (int i = 0; i < RANDOM_SHORTEST; i++) {
        uint64_t random = next_random(&seed);
        uint64_t exponent = i % 2 ? random % 2047 : 1023 - 80 + random % 160;
        uint64_t fraction = random >> 12;

        /* On a power of two the nearest decimal may lie outside the narrow
         * side while a farther one reads back: not a fair comparison. */
        assert_is_shortest(from_bits(fraction | 1 | exponent << 52));
    }
}

static void decimals_with_few_digits_keep_them(void **state)
{
    (void)state;
    for (int scale = 1; scale <= 12; scale++) {
        uint64_t seed = (uint64_t)scale;

        for (int i = 0; i < 5000; i++) {
            char text[40];
            uint64_t digits = next_random(&seed) % 1000000;
            uint64_t one = 1;

            for (int j = 0; j < scale && j < 6; j++)
                one *= 10;
            snprintf(text, sizeof(text), "%llu.%0*llu",
                     (unsigned long long)(digits / one), scale < 6 ? scale : 6,
                     (unsigned long long)(digits % one));
            assert_int_equal(significant_digits(written(strtod(text, NULL))),
                             significant_digits(text));
        }
    }
}

static void integers_are_exact(void **state)
{
    const int64_t edges[] = { 0,
                              1,
                              9,
                              10,
                              99,
                              100,
                              101,
                              999,
                              INT32_MAX,
                              UINT32_MAX,
                              INT64_MAX,
                              INT64_MIN,
                              INT64_MIN + 1,
                              INT64_C(9007199254740993) };
    uint64_t seed = 4;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        uint64_t random = next_random(&seed);
        int64_t value = i < (int)(sizeof(edges) / sizeof(edges[0]))
                            ? edges[i]
                            : (int64_t)random >> (random % 64);
        char got[PHOS__NUMBER_TEXT_MAX + 1], want[32];

        got[phos__number_write_i64(value, got)] = '\0';
        snprintf(want, sizeof(want), "%lld", (long long)value);
        assert_string_equal(got, want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_numbers_have_their_known_text),
        cmocka_unit_test(
            every_power_and_its_neighbours_read_back_and_are_shortest),
        cmocka_unit_test(random_bit_patterns_read_back),
        cmocka_unit_test(random_numbers_of_everyday_size_read_back),
        cmocka_unit_test(random_numbers_are_written_in_their_shortest_form),
        cmocka_unit_test(decimals_with_few_digits_keep_them),
        cmocka_unit_test(integers_are_exact),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
