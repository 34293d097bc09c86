/*
 * record_layout - where the parts of a record lie; for the files record*.c
 * only.
 */
#ifndef PHOS_WIRE_RECORD_LAYOUT_H
#define PHOS_WIRE_RECORD_LAYOUT_H

#include <assert.h>
#include <string.h>

#include "wire/record.h"

/*
 * Which optional parts a record has. Parts stand in the order of these bits:
 * the event id (16 bytes), the numbers (8 each), the lengths of the texts
 * (4 each), then the texts themselves, tags and pairs.
 */
enum {
    HAS_EVENT_ID = 1 << 0,

    HAS_TIMESTAMP = 1 << 1,
    HAS_LATENCY_MS = 1 << 2,
    HAS_TOKEN_COUNT_INPUT = 1 << 3,
    HAS_TOKEN_COUNT_OUTPUT = 1 << 4,
    HAS_COST_CENTS = 1 << 5,
    HAS_INPUT_WAS = 1 << 6, /* it was cut: its length before */
    HAS_OUTPUT_WAS = 1 << 7,
    HAS_CUTS = HAS_INPUT_WAS | HAS_OUTPUT_WAS,
    HAS_NUMBERS = HAS_TIMESTAMP | HAS_LATENCY_MS | HAS_TOKEN_COUNT_INPUT |
                  HAS_TOKEN_COUNT_OUTPUT | HAS_COST_CENTS | HAS_CUTS,

    HAS_SESSION_ID = 1 << 8,
    HAS_PROJECT_ID = 1 << 9,
    HAS_MODEL = 1 << 10,
    HAS_PROVIDER = 1 << 11,
    HAS_USER_ID = 1 << 12,
    HAS_METADATA_JSON = 1 << 13,
    HAS_TRACEPARENT = 1 << 14,
    HAS_TEXTS = HAS_SESSION_ID | HAS_PROJECT_ID | HAS_MODEL | HAS_PROVIDER |
                HAS_USER_ID | HAS_METADATA_JSON | HAS_TRACEPARENT,

    HAS_ALL = HAS_EVENT_ID | HAS_NUMBERS | HAS_TEXTS
};

enum { ID_BYTES = 16, NUMBER_BYTES = 8, LENGTH_BYTES = 4 };

/* Beside the type of a boolean pair. */
#define PAIR_TRUE (UINT32_C(1) << 8)

/* What every record begins with. */
struct phos__record_head {
    uint64_t time;
    uint64_t cookie;
    uint32_t fields;
    uint32_t used; /* bytes in front of the padding */
    uint32_t input_bytes, output_bytes;
    uint32_t tag_bytes, pair_bytes;
};

static_assert(sizeof(struct phos__record_head) == 40,
              "a record's head has no padding");
static_assert(sizeof(double) == NUMBER_BYTES, "a double is 8 bytes");

/* Bit patterns instead of isfinite(): no library, no floating-point flag. */
#define DOUBLE_INFINITE UINT64_C(0x7FF0000000000000)

static inline uint64_t phos__magnitude_bits(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits & (UINT64_MAX >> 1);
}

static inline bool phos__is_number(double value)
{
    return phos__magnitude_bits(value) < DOUBLE_INFINITE;
}

#endif
