#include "queue/rejections.h"

void phos__rejections_add(struct phos__rejections *rejections,
                          phos_status status)
{
    _Atomic uint64_t *counter = &rejections->invalid;

    if (status == PHOS_E_FULL)
        counter = &rejections->full;
    else if (status == PHOS_E_TOO_LARGE)
        counter = &rejections->too_large;
    else if (status == PHOS_E_CLOSED)
        counter = &rejections->closed;
    /* Relaxed: a count that orders nothing. */
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static uint64_t get(_Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

phos_rejections phos__rejections_get(struct phos__rejections *rejections)
{
    return (phos_rejections){ .full = get(&rejections->full),
                              .invalid = get(&rejections->invalid),
                              .too_large = get(&rejections->too_large),
                              .closed = get(&rejections->closed) };
}
