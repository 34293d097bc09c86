#include "wire/number.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

enum {
    FRACTION_BITS = 52,
    EXPONENT_BIAS =
        1075, /* of value = fraction * 2^exponent, 53-bit fraction */
    DIGITS_MAX = 17,
    POINT_MIN = -5 /* 0.000001 is the least number without exponent */
};

#define HIDDEN_BIT (UINT64_C(1) << FRACTION_BITS)

/* A positive double, taken apart: fraction * 2^exponent. */
struct parts {
    uint64_t fraction;
    int exponent;
    bool is_step; /* the next double below is only half as far as that above */
};

/* 0.d1 d2 ... dn * 10^point, d1 not 0. */
struct decimal {
    char digits[DIGITS_MAX + 1];
    int count;
    int point;
};

/* ---- integers ---- */

static const char two_digits[] = "00010203040506070809101112131415161718192021"
                                 "22232425262728293031323334353637383940414243"
                                 "44454647484950515253545556575859606162636465"
                                 "66676869707172737475767778798081828384858687"
                                 "888990919293949596979899";

static size_t write_u64(uint64_t value, char *text)
{
    char digits[20];
    size_t at = sizeof(digits);

    while (value >= 100) {
        at -= 2;
        memcpy(digits + at, two_digits + 2 * (value % 100), 2);
        value /= 100;
    }
    if (value >= 10) {
        at -= 2;
        memcpy(digits + at, two_digits + 2 * value, 2);
    } else {
        digits[--at] = (char)('0' + value);
    }
    memcpy(text, digits + at, sizeof(digits) - at);
    return sizeof(digits) - at;
}

size_t phos__number_write_i64(int64_t value, char *text)
{
    if (value >= 0)
        return write_u64((uint64_t)value, text);
    text[0] = '-';
    return 1 + write_u64(UINT64_C(0) - (uint64_t)value, text + 1);
}

/* ---- digits of a double ---- */

/*
 * Both ways below generate digits of the exact value, one at a time, until
 * what is left is within half the distance to a neighbouring double: any
 * decimal in between reads back as this double. On the border itself a reader
 * rounds to the even fraction.
 *
 * Source: Steele and White, "How to print floating-point numbers accurately",
 * 1990.
 */

/* The last digit: what is left is near enough to it, to the next, or to both;
 * then the nearer one, and the even one when they are equally near. */
static char last_digit(unsigned digit, bool is_near, bool next_is_near,
                       int half)
{
    bool up =
        next_is_near && (!is_near || half > 0 || (half == 0 && digit % 2 == 1));

    return (char)('0' + digit + up);
}

#ifdef __SIZEOF_INT128__
__extension__ typedef unsigned __int128 u128;

/* Fixed point with 128 bits serves numbers that are no integers and not tiny,
 * which is nearly all that occur. */
static bool fits_u128(const struct parts *parts)
{
    return parts->exponent < 0 && parts->exponent >= -122;
}

static void digits_by_u128(const struct parts *parts, struct decimal *decimal)
{
    /* The unit is a quarter of the fraction's last place. Ten times less than
     * `one` still fits, for its exponent is at most 124. */
    unsigned shift = (unsigned)(2 - parts->exponent);
    u128 one = (u128)1 << shift;
    u128 rest = (u128)parts->fraction << 2;
    u128 above = 2, below = parts->is_step ? 1 : 2;
    bool even = parts->fraction % 2 == 0;
    uint64_t whole = (uint64_t)(rest >> shift);

    /* Neighbours are at most half apart, so every digit in front of the point
     * is needed. */
    rest &= one - 1;
    decimal->count = whole ? (int)write_u64(whole, decimal->digits) : 0;
    decimal->point = decimal->count;
    for (;;) {
        unsigned digit;
        bool is_near, next_is_near;

        rest *= 10;
        above *= 10;
        below *= 10;
        digit = (unsigned)(rest >> shift);
        rest &= one - 1;
        is_near = even ? rest <= below : rest < below;
        next_is_near = even ? one - rest <= above : one - rest < above;
        if (is_near || next_is_near) {
            int half = rest * 2 > one ? 1 : rest * 2 == one ? 0 : -1;

            decimal->digits[decimal->count++] =
                last_digit(digit, is_near, next_is_near, half);
            return;
        }
        if (decimal->count == 0 && digit == 0)
            decimal->point--;
        else
            decimal->digits[decimal->count++] = (char)('0' + digit);
    }
}
#endif

/* Integers for the rest: 2^1024 and 10^324 and a few bits more. */
enum { BIG_WORDS = 36 };

struct big {
    uint32_t words[BIG_WORDS]; /* least first */
    int count;                 /* in use; the last one is not 0 */
};

static void big_multiply(struct big *big, uint32_t factor)
{
    uint64_t carry = 0;

    for (int i = 0; i < big->count; i++) {
        carry += (uint64_t)big->words[i] * factor;
        big->words[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry) {
        assert(big->count < BIG_WORDS);
        big->words[big->count++] = (uint32_t)carry;
    }
}

static struct big big_make(uint64_t value, int power_of_two, int power_of_ten)
{
    struct big big = { { 0 }, 0 };

    for (; value; value >>= 32)
        big.words[big.count++] = (uint32_t)value;
    for (; power_of_ten >= 9; power_of_ten -= 9)
        big_multiply(&big, 1000000000);
    for (; power_of_ten > 0; power_of_ten--)
        big_multiply(&big, 10);
    for (; power_of_two >= 31; power_of_two -= 31)
        big_multiply(&big, UINT32_C(1) << 31);
    if (power_of_two > 0)
        big_multiply(&big, UINT32_C(1) << power_of_two);
    return big;
}

static int big_compare(const struct big *a, const struct big *b)
{
    if (a->count != b->count)
        return a->count < b->count ? -1 : 1;
    for (int i = a->count - 1; i >= 0; i--)
        if (a->words[i] != b->words[i])
            return a->words[i] < b->words[i] ? -1 : 1;
    return 0;
}

/* Compares a + b with c. */
static int big_compare_sum(const struct big *a, const struct big *b,
                           const struct big *c)
{
    struct big sum = *a;
    uint64_t carry = 0;
    int count = a->count > b->count ? a->count : b->count;

    for (int i = 0; i < count; i++) {
        carry += (uint64_t)a->words[i] + b->words[i];
        sum.words[i] = (uint32_t)carry;
        carry >>= 32;
    }
    sum.count = count;
    if (carry) {
        assert(count < BIG_WORDS);
        sum.words[sum.count++] = (uint32_t)carry;
    }
    return big_compare(&sum, c);
}

static void big_subtract(struct big *a, const struct big *b)
{
    int64_t carry = 0;

    for (int i = 0; i < a->count; i++) {
        carry += (int64_t)a->words[i] - b->words[i];
        a->words[i] = (uint32_t)carry;
        carry >>= 32; /* -1 or 0 */
    }
    while (a->count > 0 && a->words[a->count - 1] == 0)
        a->count--;
}

/* The power of ten just above the value, or a little less. */
static int estimate_point(const struct parts *parts)
{
    int power_of_two = parts->exponent + 63 - __builtin_clzll(parts->fraction);

    /* log10(2) is between 78913 and 78914 by 2^18; the shift rounds down. */
    return (power_of_two * (power_of_two < 0 ? 78914 : 78913) >> 18) + 1;
}

static void digits_by_big(const struct parts *parts, struct decimal *decimal)
{
    int up = parts->exponent > 0 ? parts->exponent : 0;
    int down = parts->exponent < 0 ? -parts->exponent : 0;
    int point = estimate_point(parts);
    int ten_up = point < 0 ? -point : 0;
    bool even = parts->fraction % 2 == 0;
    /* value = rest / one * 10^point, all four in the same unit */
    struct big rest = big_make(parts->fraction * 4, up, ten_up);
    struct big above = big_make(2, up, ten_up);
    struct big below = big_make(parts->is_step ? 1 : 2, up, ten_up);
    struct big one = big_make(4, down, point > 0 ? point : 0);

    while (big_compare_sum(&rest, &above, &one) >= (even ? 0 : 1)) {
        big_multiply(&one, 10);
        point++;
    }
    decimal->count = 0;
    decimal->point = point;
    for (;;) {
        unsigned digit = 0;
        bool is_near, next_is_near;

        big_multiply(&rest, 10);
        big_multiply(&above, 10);
        big_multiply(&below, 10);
        for (; big_compare(&rest, &one) >= 0; digit++)
            big_subtract(&rest, &one);
        is_near = big_compare(&rest, &below) < (even ? 1 : 0);
        next_is_near = big_compare_sum(&rest, &above, &one) >= (even ? 0 : 1);
        if (is_near || next_is_near) {
            decimal->digits[decimal->count++] =
                last_digit(digit, is_near, next_is_near,
                           big_compare_sum(&rest, &rest, &one));
            return;
        }
        decimal->digits[decimal->count++] = (char)('0' + digit);
    }
}

/* ---- text of a double ---- */

static size_t write_exponent_form(const struct decimal *decimal, char *text)
{
    char *at = text;

    *at++ = decimal->digits[0];
    if (decimal->count > 1) {
        *at++ = '.';
        memcpy(at, decimal->digits + 1, (size_t)decimal->count - 1);
        at += decimal->count - 1;
    }
    *at++ = 'e';
    at += phos__number_write_i64(decimal->point - 1, at);
    return (size_t)(at - text);
}

/* Only numbers with digits behind the point come here. */
static size_t write_point_form(const struct decimal *decimal, char *text)
{
    char *at = text;
    int whole = decimal->point > 0 ? decimal->point : 0;

    assert(decimal->count > whole);
    memcpy(at, decimal->digits, (size_t)whole);
    at += whole;
    if (whole == 0)
        *at++ = '0';
    *at++ = '.';
    for (int zeros = decimal->point; zeros < 0; zeros++)
        *at++ = '0';
    memcpy(at, decimal->digits + whole, (size_t)(decimal->count - whole));
    at += decimal->count - whole;
    return (size_t)(at - text);
}

size_t phos__number_write_double(double value, char *text)
{
    struct decimal decimal;
    struct parts parts;
    uint64_t bits, fraction;
    int biased;
    char *at = text;

    memcpy(&bits, &value, sizeof(bits));
    fraction = bits & (HIDDEN_BIT - 1);
    biased = (int)(bits >> FRACTION_BITS & 0x7FF);
    assert(biased != 0x7FF);

    if (bits >> 63)
        *at++ = '-';
    if (biased == 0 && fraction == 0) {
        memcpy(at, "0.0", 3);
        return at == text ? 1 : 4;
    }
    parts.fraction = biased ? fraction | HIDDEN_BIT : fraction;
    parts.exponent = (biased ? biased : 1) - EXPONENT_BIAS;
    parts.is_step = fraction == 0 && biased > 1;

    if (parts.exponent <= 0 && parts.exponent >= -FRACTION_BITS &&
        (parts.fraction & ((UINT64_C(1) << -parts.exponent) - 1)) == 0) {
        at += write_u64(parts.fraction >> -parts.exponent, at);
        return (size_t)(at - text);
    }
#ifdef __SIZEOF_INT128__
    if (fits_u128(&parts))
        digits_by_u128(&parts, &decimal);
    else
#endif
        digits_by_big(&parts, &decimal);
    at += parts.exponent >= 0 || decimal.point < POINT_MIN
              ? write_exponent_form(&decimal, at)
              : write_point_form(&decimal, at);
    return (size_t)(at - text);
}
