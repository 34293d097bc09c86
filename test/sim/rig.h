/*
 * rig - one client under test: the shipped ring, log call, pipeline and
 * machine, with everything around them made of the world. Its worker has a
 * turn when its time has come, when an answer has arrived, or when the ring's
 * eventfd is readable, and never otherwise, so that a lost wake-up shows.
 */
#ifndef TEST_SIM_RIG_H
#define TEST_SIM_RIG_H

#include "sim/producers.h"
#include "sim/service.h"

enum { RIG_FLUSHES_MAX = 8 };

struct rig_flush {
    struct phos__ticket ticket;
    bool is_waited_for;
    uint64_t accepted; /* events, when it was asked for */
    uint32_t given;    /* feedback, likewise */
};

struct rig {
    struct world *world;
    const struct plan *plan;
    struct checks checks;
    struct service service;
    struct producers producers;

    int wake_fd;
    struct phos__rejections rejections, feedback_rejections;
    struct phos__logger logger; /* with the ring */
    struct phos__pipeline *pipeline;
    struct rig_flush flushes[RIG_FLUSHES_MAX];
    unsigned flush_count;

    char edited_text[PLAN_RECORD_BYTES_MAX];
    struct chance chance; /* of the worker and its ports */
    bool is_in_turn, is_stuck;
    bool has_planned_turn;
    uint64_t turn_at_us;
    uint64_t turn_generation;
    uint64_t turns;
    uint64_t busy_turns; /* in a row, without rest and without effect */
    uint64_t busy_trace;

    size_t allocated_bytes; /* now */
    size_t steady_bytes;    /* after open */
    bool is_healed;
};

/* Opens a client; false: no memory or descriptor, the test cannot run. */
bool rig_begin(struct rig *rig, struct world *world, const struct plan *plan,
               unsigned index);
/* Ends what is under way and frees it. */
void rig_end(struct rig *rig);
/* Frees what rigs keep from one schedule to the next. */
void rig_deinit(struct rig *rig);

/* The service is ideal, memory enough, the key right, threads go on. */
void rig_heal(struct rig *rig);
void rig_flush(struct rig *rig);
void rig_close(struct rig *rig, uint32_t timeout_ms);
bool rig_is_closed(struct rig *rig);
/* Everything has its verdict: no flush is waited for any more. */
void rig_check_flushes(struct rig *rig);
/* Every log call that was turned away is counted. */
void rig_check_rejections(struct rig *rig);
/* Gives the worker its turn if the eventfd is readable. */
void rig_poll(struct rig *rig);

#endif
