/*
 * saturate - arithmetic on times and sizes that stops at the end of its range
 * instead of wrapping.
 */
#ifndef PHOS_BASE_SATURATE_H
#define PHOS_BASE_SATURATE_H

#include <stdint.h>

static inline uint64_t phos__add_sat_u64(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static inline uint64_t phos__sub_sat_u64(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static inline uint64_t phos__mul_sat_u64(uint64_t a, uint64_t b)
{
    return b != 0 && a > UINT64_MAX / b ? UINT64_MAX : a * b;
}

static inline uint64_t phos__min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t phos__max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

#endif
