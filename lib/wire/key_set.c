#include "wire/key_set.h"

#include <assert.h>

#include "base/alloc.h"

void phos__key_set_init(struct phos__key_set *set, struct phos__buffer *buffer,
                        const uint8_t seed[16])
{
    memset(set, 0, sizeof(*set));
    set->buffer = buffer;
    set->start = buffer->bytes;
    memcpy(&set->secret, seed, sizeof(set->secret));
    /* Should the seed be known after all: where the stack lies is not. */
    set->secret.k0 ^= (uint64_t)(uintptr_t)set;
    set->slots = set->first;
    set->slot_count = PHOS__KEY_SET_FIRST;
}

void phos__key_set_deinit(struct phos__key_set *set)
{
    if (set->slots != set->first)
        phos__free(&set->buffer->allocator, set->slots);
}

static struct phos__key_slot *free_slot(struct phos__key_slot *slots,
                                        uint32_t slot_count, uint32_t hash)
{
    uint32_t index = hash & (slot_count - 1);

    while (slots[index].length)
        index = (index + 1) & (slot_count - 1);
    return &slots[index];
}

static bool grow(struct phos__key_set *set)
{
    uint32_t slot_count = set->slot_count * 2;
    struct phos__key_slot *slots =
        phos__alloc_zeroed(&set->buffer->allocator, slot_count, sizeof(*slots));

    if (!slots)
        return false;
    for (uint32_t i = 0; i < set->slot_count; i++)
        if (set->slots[i].length)
            *free_slot(slots, slot_count, set->slots[i].hash) = set->slots[i];
    phos__key_set_deinit(set);
    set->slots = slots;
    set->slot_count = slot_count;
    return true;
}

bool phos__key_set_add(struct phos__key_set *set, size_t offset)
{
    const uint8_t *base = set->buffer->data + set->start;
    const uint8_t *key = set->buffer->data + offset;
    size_t length = set->buffer->bytes - offset;
    uint32_t hash = (uint32_t)phos__siphash64(&set->secret, key, length);
    uint32_t index = hash & (set->slot_count - 1);
    const struct phos__key_slot *slot;

    assert(length > 0);
    for (; set->slots[index].length;
         index = (index + 1) & (set->slot_count - 1)) {
        slot = &set->slots[index];
        if (slot->hash == hash && slot->length == length &&
            memcmp(base + slot->offset, key, length) == 0)
            return false;
    }
    if (set->count >= set->slot_count / 2 && !grow(set)) {
        set->buffer->failed = true;
        return true;
    }
    *free_slot(set->slots, set->slot_count, hash) =
        (struct phos__key_slot){ hash, (uint32_t)(offset - set->start),
                                 (uint32_t)length };
    set->count++;
    return true;
}
