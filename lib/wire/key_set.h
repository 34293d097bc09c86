/*
 * key_set - remembers the keys of one JSON object that is being written, so
 * that none is written twice. Keys are named by their place in the buffer.
 *
 * Small sets live inside; larger ones take memory from the buffer's allocator.
 */
#ifndef PHOS_WIRE_KEY_SET_H
#define PHOS_WIRE_KEY_SET_H

#include "base/buffer.h"
#include "base/siphash.h"

enum { PHOS__KEY_SET_FIRST = 64 };

struct phos__key_slot {
    uint32_t hash;
    uint32_t offset; /* from `start` */
    uint32_t length; /* 0: free */
};

struct phos__key_set {
    struct phos__buffer *buffer;
    size_t start; /* where the object begins in the buffer */
    struct phos__siphash_key secret;
    struct phos__key_slot *slots;
    uint32_t slot_count; /* a power of two */
    uint32_t count;
    struct phos__key_slot first[PHOS__KEY_SET_FIRST];
};

/* `seed`: whoever chooses keys should not be able to foresee it, or could make
 * them all fall into one place. */
void phos__key_set_init(struct phos__key_set *set, struct phos__buffer *buffer,
                        const uint8_t seed[16]);
void phos__key_set_deinit(struct phos__key_set *set);

/*
 * Adds the key that the buffer ends with, from `offset` on; false when the set
 * has an equal one. Without memory for a larger set it marks the buffer as
 * failed.
 */
bool phos__key_set_add(struct phos__key_set *set, size_t offset);

#endif
