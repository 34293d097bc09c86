#include "core/dedupe.h"

#include <string.h>

#include "base/alloc.h"

enum { FIRST_CAPACITY = 1024 };

void phos__dedupe_init(struct phos__dedupe *dedupe,
                       const phos_allocator *allocator, uint32_t window,
                       uint64_t random)
{
    memset(dedupe, 0, sizeof(*dedupe));
    dedupe->allocator = *allocator;
    dedupe->window = window;
    dedupe->key.k0 = random;
    dedupe->key.k1 = random * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

void phos__dedupe_deinit(struct phos__dedupe *dedupe)
{
    if (dedupe->places)
        phos__free(&dedupe->allocator, dedupe->places);
    if (dedupe->slots)
        phos__free(&dedupe->allocator, dedupe->slots);
    dedupe->places = NULL;
    dedupe->slots = NULL;
}

static uint32_t slot_mask(const struct phos__dedupe *dedupe)
{
    return 2 * dedupe->capacity - 1;
}

static uint32_t home_of(const struct phos__dedupe *dedupe, const uint8_t id[16])
{
    return (uint32_t)phos__siphash64(&dedupe->key, id, 16) & slot_mask(dedupe);
}

/* The slot that holds `id`, or the empty one where it would go. */
static uint32_t find(const struct phos__dedupe *dedupe, const uint8_t id[16])
{
    uint32_t slot = home_of(dedupe, id);

    while (dedupe->slots[slot] &&
           memcmp(dedupe->places[dedupe->slots[slot] - 1].id, id, 16) != 0)
        slot = (slot + 1) & slot_mask(dedupe);
    return slot;
}

/* Empties a slot and closes the gap, so that no tombstones pile up. */
static void empty(struct phos__dedupe *dedupe, uint32_t gap)
{
    uint32_t mask = slot_mask(dedupe);
    uint32_t slot = gap;

    for (;;) {
        uint32_t home;

        slot = (slot + 1) & mask;
        if (!dedupe->slots[slot])
            break;
        home = home_of(dedupe, dedupe->places[dedupe->slots[slot] - 1].id);
        if (((slot - home) & mask) >= ((slot - gap) & mask)) {
            dedupe->slots[gap] = dedupe->slots[slot];
            gap = slot;
        }
    }
    dedupe->slots[gap] = 0;
}

static void forget_oldest(struct phos__dedupe *dedupe)
{
    struct phos__dedupe_place *oldest = &dedupe->places[dedupe->first];

    if (oldest->is_live)
        empty(dedupe, find(dedupe, oldest->id));
    oldest->is_live = false;
    dedupe->first = (dedupe->first + 1) & (dedupe->capacity - 1);
    dedupe->count--;
}

static void put(struct phos__dedupe *dedupe, const uint8_t id[16])
{
    uint32_t place = (dedupe->first + dedupe->count) & (dedupe->capacity - 1);

    memcpy(dedupe->places[place].id, id, 16);
    dedupe->places[place].is_live = true;
    dedupe->slots[find(dedupe, id)] = place + 1;
    dedupe->count++;
}

static void grow(struct phos__dedupe *dedupe)
{
    struct phos__dedupe larger = *dedupe;

    larger.capacity = dedupe->capacity ? 2 * dedupe->capacity : FIRST_CAPACITY;
    larger.count = 0;
    larger.first = 0;
    larger.places = phos__alloc_zeroed(&dedupe->allocator, larger.capacity,
                                       sizeof(*larger.places));
    larger.slots = phos__alloc_zeroed(&dedupe->allocator, larger.capacity,
                                      2 * sizeof(*larger.slots));
    if (!larger.places || !larger.slots) {
        phos__dedupe_deinit(&larger);
        return;
    }
    for (uint32_t i = 0; i < dedupe->count; i++) {
        const struct phos__dedupe_place *place =
            &dedupe->places[(dedupe->first + i) & (dedupe->capacity - 1)];

        if (place->is_live)
            put(&larger, place->id);
    }
    phos__dedupe_deinit(dedupe);
    *dedupe = larger;
}

bool phos__dedupe_add(struct phos__dedupe *dedupe, const uint8_t id[16])
{
    if (dedupe->window == 0)
        return true;
    if (dedupe->capacity && dedupe->slots[find(dedupe, id)])
        return false;
    if (dedupe->count == dedupe->capacity && dedupe->count < dedupe->window)
        grow(dedupe);
    if (dedupe->capacity == 0)
        return true;
    while (dedupe->count >= dedupe->window || dedupe->count == dedupe->capacity)
        forget_oldest(dedupe);
    put(dedupe, id);
    return true;
}

bool phos__dedupe_has(const struct phos__dedupe *dedupe, const uint8_t id[16])
{
    return dedupe->capacity > 0 && dedupe->slots[find(dedupe, id)] != 0;
}

void phos__dedupe_remove(struct phos__dedupe *dedupe, const uint8_t id[16])
{
    uint32_t slot;

    if (dedupe->capacity == 0)
        return;
    slot = find(dedupe, id);
    if (!dedupe->slots[slot])
        return;
    dedupe->places[dedupe->slots[slot] - 1].is_live = false;
    empty(dedupe, slot);
}
