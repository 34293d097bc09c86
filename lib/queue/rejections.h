/*
 * rejections - how many log calls were turned away, by cause. Producers add,
 * anyone reads. Only rejected calls pay for it.
 */
#ifndef PHOS_QUEUE_REJECTIONS_H
#define PHOS_QUEUE_REJECTIONS_H

#include <stdatomic.h>

#include "phos/client.h"

struct phos__rejections {
    _Atomic uint64_t full, invalid, too_large, closed;
};

void phos__rejections_add(struct phos__rejections *rejections,
                          phos_status status);
phos_rejections phos__rejections_get(struct phos__rejections *rejections);

#endif
