/*
 * schedule - one life of a client, as its seed plans it: chaos, heal, quiet
 * and close. And the herd: clients that fail together must not come back
 * together.
 */
#ifndef TEST_SIM_SCHEDULE_H
#define TEST_SIM_SCHEDULE_H

#include "sim/rig.h"

enum { SCHEDULE_HERD = 8 };

/* Everything that schedules need, kept from one to the next. */
struct stage_set {
    struct world world;
    struct plan plan;
    struct rig rigs[SCHEDULE_HERD];
};

/* Runs one schedule; set->world tells whether it failed. false: the machine
 * has no memory or descriptor left, nothing was proved. */
bool schedule_run(struct stage_set *set, uint64_t seed, bool is_verbose);
void schedule_deinit(struct stage_set *set);

#endif
