/*
 * tally - how many log calls did something else than keep or reject their
 * event, by cause. Producers add, anyone reads. Only those calls pay for it.
 */
#ifndef PHOS_QUEUE_TALLY_H
#define PHOS_QUEUE_TALLY_H

#include <stdatomic.h>

#include "phos/client.h"

struct phos__tally {
    _Atomic uint64_t disabled, sampled, truncated;
    _Atomic uint64_t feedback; /* calls with a client that is disabled */
    _Atomic uint64_t nameless; /* sampled or not, that had no id to go by */
};

/* Returns the count before. */
static inline uint64_t phos__tally_add(_Atomic uint64_t *counter)
{
    /* Relaxed: a count that orders nothing. */
    return atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static inline uint64_t phos__tally_get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static inline phos_discards
phos__tally_discards(const struct phos__tally *tally)
{
    return (phos_discards){ .disabled = phos__tally_get(&tally->disabled),
                            .sampled = phos__tally_get(&tally->sampled),
                            .feedback = phos__tally_get(&tally->feedback) };
}

#endif
