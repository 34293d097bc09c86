/*
 * lines - judges what the application is told of how things go, by the rules
 * in phos/worker.h and with a memory of its own: no line while batches arrive,
 * one in time when none does, none too often, and one when they arrive again.
 */
#ifndef TEST_SIM_LINES_H
#define TEST_SIM_LINES_H

#include "phos/worker.h"
#include "sim/plan.h"

enum { LINES_HIGH_WATER_PERCENT = 75 };

struct lines {
    struct world *world;
    const struct plan *plan;
    uint64_t slack_us; /* how late the worker may be */

    bool has_delivered;
    uint64_t delivered_us; /* when last */
    bool has_failed;       /* since then */
    bool is_trying;
    uint64_t trying_us; /* since when, as a turn saw it */

    bool has_told;
    uint64_t told_us; /* the last line that says why nothing arrives */
    phos_diagnostic_code told_code;
    bool is_stalled;       /* no line has said since that it works again */
    unsigned overdue_ends; /* turns since it works again */
    unsigned losses;
    unsigned feedback;
    bool is_high; /* told, and the ring has not emptied since */
    unsigned marks_told, marks_called;
};

void lines_begin(struct lines *lines, struct world *world,
                 const struct plan *plan);
/* An exchange has ended. */
void lines_answered(struct lines *lines, bool is_delivered, bool is_cancelled);
/* `is_config`: the machine waits for somebody to act. */
void lines_told(struct lines *lines, phos_diagnostic_code code, bool is_config);
void lines_high_water(struct lines *lines, uint64_t used_bytes,
                      uint64_t ring_bytes);
/* At the end of a turn. */
void lines_turn(struct lines *lines, uint64_t pending, uint32_t in_flight,
                uint64_t used_bytes, bool is_closing);

#endif
