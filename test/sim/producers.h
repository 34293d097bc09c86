/*
 * producers - the threads that log: bursts, trickles, floods until the ring is
 * full, ids chosen twice, and log calls that are stopped half way and end much
 * later or never.
 */
#ifndef TEST_SIM_PRODUCERS_H
#define TEST_SIM_PRODUCERS_H

#include "client/log.h"
#include "sim/checks.h"

/* A log call that is stopped. */
struct stopped {
    struct event *event; /* NULL: it found no room, or has ended */
    struct phos__ring_taken taken;
    bool is_claimed;
    uint32_t record_bytes;
    uint8_t *record; /* once it is claimed */
};

struct producers {
    struct world *world;
    const struct plan *plan;
    struct checks *checks;
    struct phos__logger *logger;
    struct chance chance;
    uint32_t logged; /* calls that were accepted or stopped */
    unsigned poison_left;
    bool is_over;
    uint64_t expected_full, expected_closed;
    uint64_t expected_full_feedback, expected_closed_feedback;
    struct chance feedback_chance;
    struct stopped stopped[PLAN_FROZEN_MAX];
    /* Told after each call that may have woken the worker. */
    void (*on_logged)(void *self);
    void *self;
};

void producers_begin(struct producers *producers, struct world *world,
                     const struct plan *plan, struct checks *checks,
                     struct phos__logger *logger);
/* One log call, now; false: rejected. */
bool producers_log(struct producers *producers, enum event_nature nature);
/* Feedback on some event, now; false: rejected. */
bool producers_give(struct producers *producers);
/* No more of what the plan wants; stopped calls end whose threads are not
 * dead. */
void producers_stop(struct producers *producers);

#endif
