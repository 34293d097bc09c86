/*
 * repeat - whether and when a call to a service is made again. Pure: time and
 * randomness arrive as arguments.
 *
 *     attempt 1 fails      attempt 2 fails          attempt 3 fails
 *     |--- 0..initial ---|--- 0..initial * e ---|--- 0..initial * e^2, at most
 *                                                    max ---
 *
 * (phos_retry tells of the other formula.)
 */
#ifndef PHOS_CORE_REPEAT_H
#define PHOS_CORE_REPEAT_H

#include "phos/service.h"

/* How an attempt ended. */
struct phos__repeat_ask {
    uint32_t attempts;   /* made so far; > 0 */
    uint64_t elapsed_ms; /* since the first began */
    phos_exchange exchange;
    int http_status;
    uint64_t retry_after_ms; /* the service's wish; 0: none */
    bool is_safe;            /* may be carried out twice */
    uint64_t random;         /* any 64 bits */
};

/* true: again, after *ret_wait_ms. */
bool phos__repeat_next(const phos_retry *retry,
                       const struct phos__repeat_ask *ask,
                       uint64_t *ret_wait_ms);

#endif
