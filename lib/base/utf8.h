/*
 * utf8 - takes UTF-8 apart, character by character, and finds what is broken.
 *
 * Source: The Unicode Standard, tables 3-7 (well-formed sequences) and 3-8
 * (one replacement for each maximal part of a broken sequence).
 */
#ifndef PHOS_BASE_UTF8_H
#define PHOS_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PHOS__UTF8_REPLACEMENT UINT32_C(0xFFFD)

/*
 * The bytes of the sequence that begins at `at` with a byte of 0x80 or more;
 * `left` > 0 bytes may be read. *ret_whole tells a whole character (2 to 4
 * bytes) from a maximal broken part (1 to 3 bytes).
 */
static inline size_t phos__utf8_sequence(const uint8_t *at, size_t left,
                                         bool *ret_whole)
{
    uint8_t lead = at[0];
    uint8_t low = 0x80, high = 0xBF; /* of the second byte */
    size_t length;

    *ret_whole = false;
    if (lead < 0xC2 || lead > 0xF4)
        return 1; /* a continuation, overlong, or past U+10FFFF */
    length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (lead == 0xE0)
        low = 0xA0; /* below: overlong */
    else if (lead == 0xED)
        high = 0x9F; /* above: a surrogate */
    else if (lead == 0xF0)
        low = 0x90; /* below: overlong */
    else if (lead == 0xF4)
        high = 0x8F; /* above: past U+10FFFF */
    if (left < 2 || at[1] < low || at[1] > high)
        return 1;
    for (size_t i = 2; i < length; i++)
        if (left <= i || (at[i] & 0xC0) != 0x80)
            return i;
    *ret_whole = true;
    return length;
}

/* Writes a code point that is no surrogate as 1 to 4 bytes. */
static inline size_t phos__utf8_write(uint32_t code_point, uint8_t *to)
{
    if (code_point < 0x80) {
        to[0] = (uint8_t)code_point;
        return 1;
    }
    if (code_point < 0x800) {
        to[0] = (uint8_t)(0xC0 | code_point >> 6);
        to[1] = (uint8_t)(0x80 | (code_point & 0x3F));
        return 2;
    }
    if (code_point < 0x10000) {
        to[0] = (uint8_t)(0xE0 | code_point >> 12);
        to[1] = (uint8_t)(0x80 | (code_point >> 6 & 0x3F));
        to[2] = (uint8_t)(0x80 | (code_point & 0x3F));
        return 3;
    }
    to[0] = (uint8_t)(0xF0 | code_point >> 18);
    to[1] = (uint8_t)(0x80 | (code_point >> 12 & 0x3F));
    to[2] = (uint8_t)(0x80 | (code_point >> 6 & 0x3F));
    to[3] = (uint8_t)(0x80 | (code_point & 0x3F));
    return 4;
}

#endif
