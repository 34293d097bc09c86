/*
 * flag - a switch that is set from anywhere, signal handlers included, and
 * never cleared.
 */
#ifndef PHOS_QUEUE_FLAG_H
#define PHOS_QUEUE_FLAG_H

#include <stdatomic.h>
#include <stdbool.h>

struct phos__flag {
    atomic_bool set;
};

/* Pairs with the acquire in phos__flag_get(): what came before is seen. */
static inline void phos__flag_set(struct phos__flag *flag)
{
    atomic_store_explicit(&flag->set, true, memory_order_release);
}

static inline bool phos__flag_get(struct phos__flag *flag)
{
    return atomic_load_explicit(&flag->set, memory_order_acquire);
}

#endif
