/*
 * service_state - what a service is made of; for the files service*.c and
 * call_handle.c only.
 */
#ifndef PHOS_CLIENT_SERVICE_STATE_H
#define PHOS_CLIENT_SERVICE_STATE_H

#include "client/call.h"
#include "client/carrier.h"
#include "client/service_options.h"
#include "core/ports.h"

struct phos__call_list {
    struct phos_call *first, *last;
};

struct phos_service {
    const volatile uint32_t *generation_page;
    uint32_t generation;
    phos_allocator allocator;
    struct phos__service_settings settings;
    struct phos__call_ground ground;
    struct phos__member member;
    struct phos__carrier carrier;
    struct phos__clock_port clock;
    struct phos__random_port random; /* the worker's */
    uint64_t random_state[4];
    uint64_t last_id; /* the worker's */
    bool is_hung_up;  /* the worker's */

    /* A call is in one of the lists until it is done. Under the lock, as is
     * is_cancelled of each call: an answer may come on any thread. */
    pthread_mutex_t lock;
    struct phos__call_list incoming, sending, answered, waiting;
    bool is_leaving;
    struct phos__credential *credential; /* NULL: none */
};

static inline bool phos__service_is_foreign(const phos_service *service)
{
    return *service->generation_page != service->generation;
}

static inline uint64_t phos__service_now_ms(const phos_service *service)
{
    return service->clock.monotonic_us(service->clock.self) / 1000;
}

/* Under the lock. */
static inline void phos__call_list_add(struct phos__call_list *list,
                                       struct phos_call *call)
{
    call->next = NULL;
    call->previous = list->last;
    if (list->last)
        list->last->next = call;
    else
        list->first = call;
    list->last = call;
}

/* ---- service.c ---- */

/* Of one that is no member, or no more. */
void phos__service_destroy(phos_service *service);

/* ---- service_act.c ---- */

extern const struct phos__member_calls phos__service_member_calls;

#endif
