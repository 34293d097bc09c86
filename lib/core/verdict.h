/*
 * verdict - what an answer means for a batch: one table, total over every way
 * an exchange can end and every status from 100 to 999. docs/delivery.md
 * publishes it, a test pins each line.
 */
#ifndef PHOS_CORE_VERDICT_H
#define PHOS_CORE_VERDICT_H

#include "phos/transport.h"
#include "wire/reply.h"

enum phos__verdict {
    PHOS__VERDICT_DELIVERED, /* the batch arrived */
    PHOS__VERDICT_AGAIN,     /* later: transport error, 408, 425, 5xx … */
    PHOS__VERDICT_THROTTLED, /* later, and slower: 429, 503 */
    PHOS__VERDICT_SMALLER,   /* halve: 413, stalled while sending */
    PHOS__VERDICT_SUSPECT,   /* bisect: 400, 422, other 4xx */
    PHOS__VERDICT_CONFIG     /* keep everything, tell, probe */
};

enum phos__verdict phos__verdict_of(phos_exchange exchange, int http_status,
                                    enum phos__body_kind body);

/* Whether a request that ended so may have been carried out all the same. */
bool phos__may_have_arrived(phos_exchange exchange, int http_status);
/* Whether what was in it can be the reason, and not the network or the
 * service's load. */
bool phos__can_be_poison(phos_exchange exchange, int http_status);

#endif
