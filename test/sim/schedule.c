#include "sim/schedule.h"

#include <string.h>

#include "base/saturate.h"

enum {
    HERD_PER_MILLE = 10,
    TRICKLE_US = 300000, /* of good events beside the last bad ones */
    LOSSES_US = 10000000,
    IDLE_US = 100000000
};

/* ---- how long healing may take ---- */

/* The number of events that the service says no to, or fails on. */
static uint64_t bad_events(const struct rig *rig)
{
    uint64_t count = 0;

    for (uint32_t i = rig->checks.first_open; i < rig->checks.event_count; i++)
        count += rig->checks.events[i].nature != NATURE_GOOD &&
                 rig->checks.events[i].receipts == 0;
    return count;
}

/*
 * The longest that delivery may take from now on, in milliseconds: every wait
 * that may have begun runs to its end, and then everything goes through, one
 * batch after the other.
 */
static uint64_t heal_bound_ms(const struct rig *rig)
{
    const struct plan *plan = rig->plan;
    const struct phos__delivery_options *options = &plan->delivery;
    uint64_t trip_ms = (plan->latency_us + 2 * plan->worker_late_us) / 1000 + 2;
    uint64_t pending = checks_pending(&rig->checks) + 1;
    uint64_t given = feedback_pending(&rig->checks.feedback);
    uint64_t bad = bad_events(rig);
    /* a request that is never answered, and a Retry-After */
    uint64_t bound_ms = 2 * (uint64_t)plan->request_timeout_ms +
                        phos__min_u64(plan->retry_after_ms_max, 3600000);

    bound_ms += 60000 + 2 * (uint64_t)options->retry_cap_ms;
    bound_ms += 2 * (uint64_t)options->linger_ms + 2000;
    bound_ms += 2 * pending * trip_ms;
    /* bisecting, and poison, which is sent again and again */
    bound_ms += bad * 20 * (trip_ms + options->retry_cap_ms);
    /* Feedback, one request each, eight where the event is unknown, and with
     * waits of a minute and more in between; one after the other where several
     * are on one event. */
    if (given > 0)
        bound_ms += given * (8 * 2 * trip_ms + 16 * 2000) +
                    phos__min_u64(given, 64) *
                        (60000 + 2 * (uint64_t)options->retry_cap_ms);
    pending += 8 * given;
    if (options->events_per_minute)
        bound_ms += (pending + 2 * options->batch_events_max + 20 * bad) *
                    120000 / options->events_per_minute;
    /* what was learned from 429 is at least an event a second */
    bound_ms += (pending + 2 * options->batch_events_max + 20 * bad) * 2000;
    return bound_ms;
}

static bool is_pending(const struct rig *rig)
{
    return checks_pending(&rig->checks) > 0 ||
           feedback_pending(&rig->checks.feedback) > 0;
}

static void run_until_settled(struct rig *rig, uint64_t limit_us)
{
    struct world *world = rig->world;
    bool needs_company = bad_events(rig) > 0;
    uint64_t next_us = world->now_us + TRICKLE_US;

    while (!world->has_failed && is_pending(rig) && world->now_us < limit_us) {
        if (needs_company && world->now_us >= next_us) {
            /* While nothing good is sent, nobody can tell a bad event from a
             * service that says no to everything. */
            if (bad_events(rig) > 0)
                producers_log(&rig->producers, NATURE_GOOD);
            next_us += TRICKLE_US;
        }
        if (!world_step(world, needs_company ? phos__min_u64(next_us, limit_us)
                                             : limit_us))
            world->now_us =
                needs_company ? phos__min_u64(next_us, limit_us) : limit_us;
    }
}

static void heal(struct rig *rig)
{
    struct world *world = rig->world;
    uint64_t bound_ms, pending;

    rig_heal(rig);
    rig_flush(rig);
    bound_ms = heal_bound_ms(rig);
    run_until_settled(rig, world->now_us + bound_ms * 1000);
    pending =
        checks_pending(&rig->checks) + feedback_pending(&rig->checks.feedback);
    if (pending > 0)
        world_fail(world, "%llu events are pending %llu ms after the heal",
                   (unsigned long long)pending, (unsigned long long)bound_ms);
    /* A turn for the worker to tell of it. */
    world_run_until(world, world->now_us + 2 * rig->plan->worker_late_us + 1);
    if (!world->has_failed) {
        rig_check_flushes(rig);
        checks_healed(&rig->checks);
    }
}

/* ---- quiet ---- */

static bool has_dead_threads(const struct rig *rig)
{
    for (uint32_t i = 0; i < rig->checks.event_count; i++)
        if (rig->checks.events[i].is_unfinished)
            return true;
    return false;
}

/* An event that nothing is in the way of: the linger and one round trip, with
 * a worker that is late for each of its turns. */
static uint64_t fresh_bound_us(const struct rig *rig)
{
    const struct plan *plan = rig->plan;

    /* What was given its verdict may have left a Retry-After behind. */
    if (rig->checks.retry_after_us > rig->world->now_us)
        return heal_bound_ms(rig) * 1000;
    return plan->delivery.linger_ms * UINT64_C(1000) + plan->latency_us +
           4 * plan->worker_late_us + 5000;
}

/* An idle process sleeps, and the next log call wakes it. */
static void rest(struct rig *rig)
{
    struct world *world = rig->world;
    uint64_t sleep_ms = rig->plan->deep_sleep_after_ms, turns;
    bool has_logged;

    if (has_dead_threads(rig) || sleep_ms == PHOS_NEVER_MS)
        return;
    /* By then what was lost has been told, too. */
    world_run_until(world,
                    world->now_us + (sleep_ms + 2500) * 1000 + LOSSES_US);
    turns = rig->turns;
    world_run_until(world, world->now_us + IDLE_US);
    if (rig->turns != turns)
        world_fail(world, "%llu turns while idle",
                   (unsigned long long)(rig->turns - turns));
    if (world->has_failed)
        return;
    world_trace(world, "after a rest", 0, 0, 0);
    has_logged = producers_log(&rig->producers, NATURE_GOOD);
    if (!has_logged && rig->checks.event_count < CHECKS_EVENTS_MAX)
        world_fail(world, "no room in an empty ring");
    run_until_settled(rig, world->now_us + fresh_bound_us(rig));
    if (checks_pending(&rig->checks) > 0)
        world_fail(world, "an event logged after a rest is pending");
}

/* ---- close ---- */

/* Answers that are under way come; what was given up may arrive by then. */
static void drain_answers(struct rig *rig)
{
    struct world *world = rig->world;

    rig->checks.must_be_silent = true;
    world_run_until(world, world->now_us +
                               rig->plan->request_timeout_ms * UINT64_C(1000) +
                               10000000);
    /* As a worker does whose client leaves. */
    if (!world->has_failed)
        phos__pipeline_turn(rig->pipeline);
    if (!world->has_failed && phos__pipeline_is_busy(rig->pipeline))
        world_fail(world, "the transport owes nothing, and is waited for");
    if (!world->has_failed) {
        rig_check_rejections(rig);
        checks_end(&rig->checks);
    }
}

static uint64_t oversleeping_us(const struct plan *plan)
{
    uint64_t late_us = plan->worker_late_us;

    for (unsigned i = 0; i < plan->fault_count; i++)
        if (plan->faults[i].kind == FAULT_WORKER_LATE)
            late_us += plan->faults[i].value;
    return late_us;
}

static void close_in_time(struct rig *rig)
{
    struct world *world = rig->world;
    uint32_t timeout_ms = rig->plan->close_timeout_ms;
    phos_close_report report = { 0 };
    phos_status status;

    rig_close(rig, timeout_ms);
    if (producers_log(&rig->producers, NATURE_GOOD))
        world_fail(world, "an event is accepted after the close");
    world_run_until(world, world->now_us + timeout_ms * UINT64_C(1000) +
                               oversleeping_us(rig->plan) + 5000);
    if (world->has_failed)
        return;
    if (!rig_is_closed(rig)) {
        world_fail(world, "the close goes past its deadline");
        return;
    }
    if (!phos__pipeline_wait_closed(rig->pipeline, 0))
        world_fail(world, "closed, and nobody was told");
    status = phos__pipeline_close_report(rig->pipeline, &report);
    checks_close_report(&rig->checks, status, &report, true);
    drain_answers(rig);
}

/* The worker hangs in a callback or a resolver, and the application goes on
 * without it. */
static void abandon(struct rig *rig)
{
    struct world *world = rig->world;
    phos_close_report report = { 0 }, again = { 0 };
    phos_status status;

    rig->is_stuck = true;
    rig->has_planned_turn = false;
    rig_close(rig, 1000);
    world_run_until(world, world->now_us + 1100000);
    if (phos__pipeline_wait_closed(rig->pipeline, 0))
        world_fail(world, "closed by a worker that is stuck");
    status = phos__pipeline_close_report(rig->pipeline, &report);
    if (status != PHOS_E_TIMEOUT)
        world_fail(world, "the close report says %s", phos_status_name(status));
    checks_close_report(&rig->checks, status, &report, false);
    rig->is_stuck = false;
    phos__ring_wake(&rig->logger.ring);
    rig_poll(rig);
    drain_answers(rig);
    /* Whatever the worker found to do since. */
    phos__pipeline_close_report(rig->pipeline, &again);
    if (memcmp(&again, &report, sizeof(again)) != 0)
        world_fail(world, "a second close reports something else");
}

/* ---- the whole ---- */

static void live(struct rig *rig)
{
    struct world *world = rig->world;
    const struct plan *plan = rig->plan;
    uint64_t chaos_us = plan->chaos_us;

    if (plan->ending != ENDING_HEALED)
        chaos_us = chaos_us * (plan->close_timeout_ms % 8 + 1) / 8;
    world_run_until(world, world->start_us + chaos_us);
    if (world->has_failed)
        return;
    if (plan->ending == ENDING_ABANDONED) {
        abandon(rig);
        return;
    }
    if (plan->ending == ENDING_HEALED) {
        heal(rig);
        if (!world->has_failed)
            rest(rig);
    }
    if (!world->has_failed)
        close_in_time(rig);
}

/* ---- the herd ---- */

/* One request of each client fails at the same moment; when do they return? */
static void plan_herd(struct plan *plan, struct chance *chance)
{
    static const uint64_t ends[] = { PHOS_EXCHANGE_BROKEN,
                                     PHOS_EXCHANGE_NOT_SENT };
    static const uint64_t statuses[] = { 500, 503, 429, 408 };
    bool is_answered = chance_hits(chance, 500);

    plan->delivery.linger_ms = 0;
    plan->delivery.retry_base_ms = 2000;
    plan->delivery.retry_cap_ms = 30000;
    plan->delivery.age_max_ms = 0;
    plan->delivery.events_per_minute = 0;
    plan->latency_us = 1;
    plan->worker_late_us = 1;
    plan->chaos_us = 20000000;
    plan->key_expires_us = UINT64_MAX;
    plan->retry_after_ms_max = 1;
    plan->bad_per_mille = plan->poison_count = plan->frozen_count = 0;
    plan->command_count = plan->source_count = 0;
    plan->fault_count = 1;
    plan->faults[0] = (struct fault){
        .kind = is_answered ? FAULT_STATUS : FAULT_EXCHANGE,
        .until_us = 1000000,
        .per_mille = 1000,
        .value = is_answered ? CHANCE_PICK(chance, statuses)
                             : CHANCE_PICK(chance, ends),
    };
}

static void look_at_herd(struct stage_set *set)
{
    unsigned moments = 0;

    for (unsigned i = 0; i < SCHEDULE_HERD; i++) {
        const struct checks *checks = &set->rigs[i].checks;
        uint64_t ms = checks->second_request_us / 1000;
        bool is_new = true;

        if (checks->second_request_us == 0)
            world_fail(&set->world, "a client of the herd never returns");
        for (unsigned k = 0; k < i; k++)
            is_new &= set->rigs[k].checks.second_request_us / 1000 != ms;
        moments += is_new;
    }
    /* Of 8 in a second at least: less than 4 moments is no chance. */
    if (moments < 4)
        world_fail(&set->world,
                   "a herd of %d failed together and comes back "
                   "at %u moments",
                   (int)SCHEDULE_HERD, moments);
}

static bool run_herd(struct stage_set *set, struct chance *chance)
{
    unsigned begun = 0;

    plan_herd(&set->plan, chance);
    while (begun < SCHEDULE_HERD &&
           rig_begin(&set->rigs[begun], &set->world, &set->plan, begun))
        begun++;
    for (unsigned i = 0; i < begun; i++)
        producers_log(&set->rigs[i].producers, NATURE_GOOD);
    world_run_until(&set->world, set->world.start_us + set->plan.chaos_us);
    if (begun == SCHEDULE_HERD && !set->world.has_failed)
        look_at_herd(set);
    for (unsigned i = 0; i < begun; i++)
        rig_end(&set->rigs[i]);
    return begun == SCHEDULE_HERD;
}

bool schedule_run(struct stage_set *set, uint64_t seed, bool is_verbose)
{
    struct chance chance = chance_of(seed, 5);

    world_begin(&set->world, seed);
    set->world.is_verbose = is_verbose;
    plan_make(&set->plan, seed);
    if (chance_hits(&chance, HERD_PER_MILLE))
        return run_herd(set, &chance);
    if (is_verbose)
        plan_print(&set->plan);
    if (!rig_begin(&set->rigs[0], &set->world, &set->plan, 0))
        return false;
    live(&set->rigs[0]);
    rig_end(&set->rigs[0]);
    return true;
}

void schedule_deinit(struct stage_set *set)
{
    for (unsigned i = 0; i < SCHEDULE_HERD; i++)
        rig_deinit(&set->rigs[i]);
    world_deinit(&set->world);
}
