/*
 * dedupe - an exact window over the last ids that the application chose. It
 * holds pending and delivered ids; an id whose event came to another end is
 * taken out, so that it may be logged again.
 *
 * A queue of ids in order of arrival, and a hash set of places in it. Both grow
 * by doubling up to the window; without memory the window stays as it is.
 */
#ifndef PHOS_CORE_DEDUPE_H
#define PHOS_CORE_DEDUPE_H

#include "base/siphash.h"
#include "phos/base.h"

struct phos__dedupe {
    phos_allocator allocator;
    struct phos__siphash_key key; /* hostile ids must not collide */
    uint32_t window;              /* most ids held; 0: none */
    uint32_t capacity;            /* of the queue, a power of two or 0 */
    uint32_t count;               /* places in use, removed ids included */
    uint32_t first;               /* place of the oldest */
    struct phos__dedupe_place {
        uint8_t id[16];
        bool is_live;
    } * places;
    uint32_t *slots; /* 2 * capacity; place + 1, or 0 */
};

void phos__dedupe_init(struct phos__dedupe *dedupe,
                       const phos_allocator *allocator, uint32_t window,
                       uint64_t random);
void phos__dedupe_deinit(struct phos__dedupe *dedupe);
/* true: `id` was not there and is now. The oldest may have made room. */
bool phos__dedupe_add(struct phos__dedupe *dedupe, const uint8_t id[16]);
bool phos__dedupe_has(const struct phos__dedupe *dedupe, const uint8_t id[16]);
void phos__dedupe_remove(struct phos__dedupe *dedupe, const uint8_t id[16]);

#endif
