#include "base/siphash.h"

struct state {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

static inline void sip_round(struct state *s)
{
    s->v0 += s->v1;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v2 = rotate(s->v2, 32);
}

static inline struct state start(const struct phos__siphash_key *key)
{
    return (struct state){ key->k0 ^ UINT64_C(0x736f6d6570736575),
                           key->k1 ^ UINT64_C(0x646f72616e646f6d),
                           key->k0 ^ UINT64_C(0x6c7967656e657261),
                           key->k1 ^ UINT64_C(0x7465646279746573) };
}

static inline void absorb(struct state *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    sip_round(s);
    s->v0 ^= word;
}

static inline uint64_t squeeze(struct state *s)
{
    for (int i = 0; i < 4; i++)
        sip_round(s);
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

static inline uint64_t little_endian(const uint8_t *bytes, size_t count)
{
    uint64_t word = 0;

    for (size_t i = 0; i < count; i++)
        word |= (uint64_t)bytes[i] << (8 * i);
    return word;
}

uint64_t phos__siphash64(const struct phos__siphash_key *key, const void *data,
                         size_t bytes)
{
    const uint8_t *at = data;
    struct state s = start(key);
    size_t whole = bytes / 8;

    for (size_t i = 0; i < whole; i++)
        absorb(&s, little_endian(at + 8 * i, 8));
    absorb(&s, little_endian(at + 8 * whole, bytes % 8) |
                   (uint64_t)(bytes & 0xFF) << 56);
    s.v2 ^= 0xFF;
    return squeeze(&s);
}

void phos__siphash128_u64(const struct phos__siphash_key *key, uint64_t value,
                          uint8_t ret_bytes[16])
{
    struct state s = start(key);
    uint64_t word;

    s.v1 ^= 0xEE;
    absorb(&s, value);
    absorb(&s, UINT64_C(8) << 56);
    s.v2 ^= 0xEE;
    word = squeeze(&s);
    for (int i = 0; i < 8; i++)
        ret_bytes[i] = (uint8_t)(word >> (8 * i));
    s.v1 ^= 0xDD;
    word = squeeze(&s);
    for (int i = 0; i < 8; i++)
        ret_bytes[8 + i] = (uint8_t)(word >> (8 * i));
}
