/*
 * siphash - a keyed pseudo-random function of short input. Hash tables use the
 * 64-bit form, event ids the 128-bit form of a record's position.
 *
 * Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012.
 */
#ifndef PHOS_BASE_SIPHASH_H
#define PHOS_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct phos__siphash_key {
    uint64_t k0, k1;
};

uint64_t phos__siphash64(const struct phos__siphash_key *key, const void *data,
                         size_t bytes);
/* SipHash-2-4-128 of the 8 bytes of `value` in little-endian order. */
void phos__siphash128_u64(const struct phos__siphash_key *key, uint64_t value,
                          uint8_t ret_bytes[16]);

#endif
