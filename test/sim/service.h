/*
 * service - a model of the ingestion service and of the network in front of it:
 * a phos_transport that stores events, and misbehaves as the plan says. What
 * it has stored is counted in the events themselves.
 */
#ifndef TEST_SIM_SERVICE_H
#define TEST_SIM_SERVICE_H

#include "phos/transport.h"
#include "sim/checks.h"

enum { SERVICE_SLOTS = 16 };

/* One request under way. */
struct slot {
    bool is_used;
    uint32_t generation; /* so that a step planned for an earlier one is void */
    const phos_request *request;
    phos_reply_fn *on_reply;
    void *reply_data;
    struct sent sent;
    bool is_cancelled;
    bool commits; /* once it is answered, or cancelled too late */
    struct answer answer;
    bool sends_date; /* Retry-After as a date */
    bool has_results;
    bool has_odd_body;
};

struct service {
    struct world *world;
    const struct plan *plan;
    struct checks *checks;
    struct chance chance;
    phos_transport transport;
    struct slot slots[SERVICE_SLOTS];
    const char *key; /* the only one that is let in */
    double quota_tokens;
    uint64_t quota_at_us;
    bool is_healed;
    /* Told of each answer, but for those given inside submit or cancel. */
    void (*on_answer)(void *self);
    void *self;
    char *body; /* of an answer under construction */
};

void service_begin(struct service *service, struct world *world,
                   const struct plan *plan, struct checks *checks);
void service_deinit(struct service *service);
/* From now on it is ideal, but for bad events. */
void service_heal(struct service *service);

#endif
