#include "sim/plan.h"

#include <stdio.h>
#include <string.h>

#include "queue/ring.h"
#include "wire/record.h"

static const char *const fault_names[FAULT_KIND_COUNT] = {
    [FAULT_STATUS] = "status",
    [FAULT_ANY_STATUS] = "any status",
    [FAULT_EXCHANGE] = "exchange",
    [FAULT_HTML] = "html",
    [FAULT_THROTTLE] = "throttle",
    [FAULT_TOO_LARGE] = "too large",
    [FAULT_QUOTA] = "quota",
    [FAULT_COMMIT_DROP] = "commit, drop",
    [FAULT_COMMIT_ERROR] = "commit, error",
    [FAULT_RESULTS] = "results",
    [FAULT_ODD_BODY] = "odd body",
    [FAULT_STALL] = "stall",
    [FAULT_SLOW] = "slow",
    [FAULT_INSTANT] = "instant",
    [FAULT_OUTAGE] = "outage",
    [FAULT_SUBMIT] = "submit fails",
    [FAULT_MEMORY] = "no memory",
    [FAULT_WORKER_LATE] = "worker late",
};

bool plan_has(const struct plan *plan, enum fault_kind kind)
{
    for (unsigned i = 0; i < plan->fault_count; i++)
        if (plan->faults[i].kind == kind)
            return true;
    return false;
}

/* ---- options ---- */

static void choose_batches(struct phos__delivery_options *options,
                           struct chance *chance)
{
    static const uint32_t events[] = { 1, 2, 3, 5, 10, 20, 50, 100, 100 };
    static const uint32_t bytes[] = { 1024, 2048, 8192, 65536, 1048576 };
    static const uint32_t lingers[] = { 0, 5, 50, 200, 500, 500, 1000 };
    static const uint32_t flights[] = { 1, 2, 3, 4, 4, 8, 16 };
    /* A quarter of the ring, as a client has it; less and more beside it. */
    static const uint64_t parkings[] = { PLAN_RING_BYTES / 4,
                                         PLAN_RING_BYTES / 4, 4096, 1048576 };

    options->batch_events_max = CHANCE_PICK(chance, events);
    options->batch_bytes_max = CHANCE_PICK(chance, bytes);
    options->linger_ms = CHANCE_PICK(chance, lingers);
    options->in_flight_max = CHANCE_PICK(chance, flights);
    options->parking_bytes_max = CHANCE_PICK(chance, parkings);
    options->ring_bytes = PLAN_RING_BYTES;
}

static void choose_retry(struct phos__delivery_options *options,
                         struct chance *chance)
{
    static const uint32_t bases[] = { 1, 20, 100, 250, 250, 1000 };
    static const uint32_t paces[] = { 300, 1000, 10000 };
    static const uint32_t windows[] = { 0, 1, 7, 64, 1024, 1024 };

    options->retry_base_ms = CHANCE_PICK(chance, bases);
    options->retry_cap_ms =
        (uint32_t)chance_between(chance, options->retry_base_ms,
                                 chance_hits(chance, 300) ? 30000 : 3000);
    options->age_max_ms =
        chance_hits(chance, 120) ? chance_between(chance, 500, 60000) : 0;
    options->events_per_minute =
        chance_hits(chance, 80) ? CHANCE_PICK(chance, paces) : 0;
    options->dedupe_window = CHANCE_PICK(chance, windows);
    options->random = chance_next(chance);
}

static void choose_options(struct plan *plan, struct chance *chance)
{
    static const uint32_t sleeps[] = { 0, 50, 300, 2000, 2000 };
    static const uint32_t timeouts[] = { 300, 2000, 30000 };

    choose_batches(&plan->delivery, chance);
    choose_retry(&plan->delivery, chance);
    plan->deep_sleep_after_ms = CHANCE_PICK(chance, sleeps);
    /* A slow tick for ever is worth simulating where it is slow. */
    if (plan->delivery.linger_ms >= 200 && chance_hits(chance, 200))
        plan->deep_sleep_after_ms = PHOS_NEVER_MS;
    plan->request_timeout_ms = CHANCE_PICK(chance, timeouts);
    plan->has_project = chance_hits(chance, 200);
    plan->knows_tick_rate = chance_hits(chance, 700);
    plan->ring_start = chance_hits(chance, 200)
                           ? UINT64_C(0) - 8 * chance_below(chance, 8192)
                           : 8 * chance_below(chance, 1 << 20);
}

/* ---- faults ---- */

static uint64_t fault_value(enum fault_kind kind, struct chance *chance)
{
    static const uint64_t statuses[] = {
        100, 101, 204, 207, 299, 300, 301, 302, 307, 399, 400, 401, 402,
        403, 404, 405, 406, 408, 409, 410, 411, 412, 413, 414, 415, 416,
        418, 422, 425, 426, 428, 429, 431, 451, 499, 500, 501, 502, 503,
        504, 505, 507, 508, 511, 520, 529, 599, 600, 999
    };
    static const uint64_t exchanges[] = {
        PHOS_EXCHANGE_NOT_SENT, PHOS_EXCHANGE_BROKEN, PHOS_EXCHANGE_STALLED,
        PHOS_EXCHANGE_CANCELLED, PHOS_EXCHANGE_REFUSED
    };

    switch (kind) {
    case FAULT_STATUS:
        return CHANCE_PICK(chance, statuses);
    case FAULT_EXCHANGE:
        return CHANCE_PICK(chance, exchanges);
    case FAULT_TOO_LARGE:
        return chance_between(chance, 200, 20000);
    case FAULT_QUOTA:
        return chance_between(chance, 60, 3000);
    case FAULT_STALL:
        return chance_below(chance, 2);
    case FAULT_SLOW:
        return chance_between(chance, 1000, 3000000);
    case FAULT_WORKER_LATE:
        return chance_between(chance, 100,
                              chance_hits(chance, 100) ? 20000000 : 300000);
    default:
        return 0;
    }
}

static void choose_window(struct plan *plan, struct fault *fault,
                          struct chance *chance)
{
    static const unsigned rates[] = { 50, 200, 350, 500, 900, 1000 };

    fault->from_us = chance_below(chance, plan->chaos_us);
    fault->until_us = chance_between(chance, fault->from_us, plan->chaos_us);
    if (chance_hits(chance, 250)) {
        fault->from_us = 0;
        fault->until_us = plan->chaos_us;
    }
    fault->per_mille = CHANCE_PICK(chance, rates);
    if (fault->kind == FAULT_OUTAGE)
        fault->per_mille = 1000;
    if (fault->kind == FAULT_MEMORY)
        fault->per_mille = chance_hits(chance, 200) ? 1000 : 100;
}

/* A random subset, not a bit of everything: some faults hide others. */
static void choose_faults(struct plan *plan, struct chance *chance)
{
    plan->fault_count =
        chance_hits(chance, 60)
            ? 0
            : (unsigned)chance_between(chance, 1, PLAN_FAULTS_MAX);
    for (unsigned i = 0; i < plan->fault_count; i++) {
        struct fault *fault = &plan->faults[i];

        fault->kind = (enum fault_kind)chance_below(chance, FAULT_KIND_COUNT);
        fault->value = fault_value(fault->kind, chance);
        choose_window(plan, fault, chance);
    }
    plan->key_expires_us = chance_hits(chance, 120)
                               ? chance_below(chance, plan->chaos_us)
                               : UINT64_MAX;
    if (chance_hits(chance, 100)) {
        plan->wall_jump_at_us = chance_below(chance, plan->chaos_us);
        plan->wall_jump_us =
            (int64_t)chance_below(chance, UINT64_C(86400000000)) *
            (chance_hits(chance, 500) ? 1 : -1);
    }
    plan->retry_after_ms_max = chance_hits(chance, 150) ? 7200000 : 5000;
    if (plan->deep_sleep_after_ms == PHOS_NEVER_MS)
        plan->retry_after_ms_max = 60000;
}

/* ---- load ---- */

static void choose_sources(struct plan *plan, struct chance *chance)
{
    plan->source_count = (unsigned)chance_between(chance, 1, PLAN_SOURCES_MAX);
    for (unsigned i = 0; i < plan->source_count; i++) {
        struct source *source = &plan->sources[i];

        source->kind = (enum source_kind)chance_below(chance, 3);
        source->from_us = chance_below(chance, plan->chaos_us);
        source->steps = (uint32_t)chance_between(chance, 1, 20);
        source->events = 1;
        if (source->kind == SOURCE_BURSTS)
            source->events = (uint32_t)chance_between(chance, 2, 60);
        source->gap_us = (plan->chaos_us - source->from_us) / source->steps + 1;
        if (chance_hits(chance, 300))
            source->gap_us = chance_between(chance, 1, 2000);
        if (source->kind == SOURCE_FLOOD)
            source->steps = (source->steps + 3) / 4;
    }
}

static void choose_sizes(struct plan *plan, struct chance *chance)
{
    static const uint32_t maxima[] = { 40, 120, 300, 1200, 3000 };

    plan->text_bytes_max = CHANCE_PICK(chance, maxima);
    plan->text_bytes_min = 24;
    if (chance_hits(chance, 300)) /* the same size all over the ring */
        plan->text_bytes_min = plan->text_bytes_max;
    plan->events_max = (uint32_t)chance_between(
        chance, 5, plan->text_bytes_max > 1000 ? 160 : 320);
}

/* All records alike, and a whole number of them in the ring: then the stamps
 * of a lap lie on those of the lap before. */
static void choose_even(struct plan *plan, struct chance *chance)
{
    enum { RECORD_BYTES = 512 };
    struct phos__record_plan record;
    phos_event event = phos_event_default();
    static const char text[RECORD_BYTES];

    plan->is_even = chance_hits(chance, 80);
    if (!plan->is_even)
        return;
    event.output = PHOS_STR("so be it");
    event.input = phos_str_make(text, RECORD_BYTES);
    do {
        event.input.length--;
        phos__record_plan(&event, PLAN_RECORD_BYTES_MAX, &record);
    } while (record.bytes + PHOS__RING_STAMP_BYTES > RECORD_BYTES);
    plan->text_bytes_min = plan->text_bytes_max = (uint32_t)event.input.length;
    plan->events_max = 350;
    plan->ring_start &= ~(uint64_t)(RECORD_BYTES - 1);
}

static void choose_frozen(struct plan *plan, struct chance *chance)
{
    if (!plan->is_even && !chance_hits(chance, 250))
        return;
    plan->frozen_count = (unsigned)chance_between(chance, 1, PLAN_FROZEN_MAX);
    for (unsigned i = 0; i < plan->frozen_count; i++) {
        struct frozen *frozen = &plan->frozen[i];

        frozen->from_us = chance_below(chance, plan->chaos_us);
        frozen->for_us = chance_hits(chance, 500)
                             ? chance_between(chance, 1, 20000)
                             : chance_between(chance, 1, 500000);
        if (chance_hits(chance, 20))
            frozen->for_us = UINT64_MAX;
        frozen->is_unclaimed = chance_hits(chance, 400);
        frozen->is_garbage = chance_hits(chance, 50);
        frozen->bytes = (uint32_t)chance_between(chance, plan->text_bytes_min,
                                                 plan->text_bytes_max);
    }
}

static void choose_load(struct plan *plan, struct chance *chance)
{
    static const int bad_statuses[] = { 400, 422, 422, 402, 409, 418, 499 };

    choose_sources(plan, chance);
    choose_sizes(plan, chance);
    choose_even(plan, chance);
    choose_frozen(plan, chance);
    if (!plan->is_even && chance_hits(chance, 300))
        plan->chosen_per_mille = (unsigned)chance_between(chance, 1, 1000);
    plan->twin_per_mille = (unsigned)chance_between(chance, 0, 500);
    plan->bad_status = CHANCE_PICK(chance, bad_statuses);
    if (chance_hits(chance, 250))
        plan->bad_per_mille = (unsigned)chance_between(chance, 3, 60);
    if (chance_hits(chance, 120))
        plan->poison_count = (unsigned)chance_between(chance, 1, 2);
    if (plan->poison_count > 0) {
        plan->delivery.parking_bytes_max = PLAN_RING_BYTES / 4;
        /* How often it is sent is promised where nothing else fails. */
        if (chance_hits(chance, 300))
            plan->fault_count = 0;
    }
    if (chance_hits(chance, 50))
        plan->log_in_callback_per_mille =
            (unsigned)chance_between(chance, 1, 300);
}

/* ---- commands and the end ---- */

static void choose_commands(struct plan *plan, struct chance *chance)
{
    unsigned count =
        chance_hits(chance, 500) ? (unsigned)chance_between(chance, 1, 4) : 0;

    for (unsigned i = 0; i < count; i++) {
        struct command *command = &plan->commands[plan->command_count++];

        command->kind = chance_hits(chance, 750)   ? COMMAND_FLUSH
                        : chance_hits(chance, 300) ? COMMAND_DRAIN
                                                   : COMMAND_KEY;
        command->at_us = chance_below(chance, plan->chaos_us);
        command->timeout_ms = (uint32_t)chance_below(chance, 20000);
    }
    if (plan->key_expires_us != UINT64_MAX && chance_hits(chance, 700))
        plan->commands[plan->command_count++] = (struct command){
            COMMAND_KEY,
            chance_between(chance, plan->key_expires_us, plan->chaos_us), 0
        };
}

static void choose_ending(struct plan *plan, struct chance *chance)
{
    plan->ending = ENDING_HEALED;
    if (chance_hits(chance, 120))
        plan->ending = ENDING_IN_CHAOS;
    else if (chance_hits(chance, 40))
        plan->ending = ENDING_ABANDONED;
    for (unsigned i = 0; i < plan->frozen_count; i++) {
        struct frozen *frozen = &plan->frozen[i];

        if (plan->ending != ENDING_HEALED || frozen->for_us != UINT64_MAX)
            continue;
        /* Nobody can pass what is reserved and never claimed; and a ring that
         * is full behind a dead thread takes no event that could vouch for the
         * service beside a bad one. */
        frozen->is_unclaimed = false;
        if (plan->bad_per_mille > 0 || plan->poison_count > 0)
            frozen->for_us = 500000;
    }
    plan->close_timeout_ms =
        chance_hits(chance, 200) ? 0 : (uint32_t)chance_below(chance, 10000);
}

void plan_make(struct plan *plan, uint64_t seed)
{
    struct chance chance = chance_of(seed, 2);
    uint64_t chaos_ms;

    memset(plan, 0, sizeof(*plan));
    choose_options(plan, &chance);
    chaos_ms = chance_hits(&chance, 100) ? chance_between(&chance, 1, 120000)
                                         : chance_between(&chance, 1, 15000);
    /* A worker that naps for milliseconds has many turns in a minute. */
    if (plan->delivery.linger_ms < 50 && chaos_ms > 2000)
        chaos_ms = 2000;
    plan->chaos_us = chaos_ms * 1000;
    plan->latency_us = chance_between(&chance, 100, 200000);
    plan->worker_late_us = chance_between(&chance, 1, 2000);
    choose_faults(plan, &chance);
    choose_load(plan, &chance);
    choose_commands(plan, &chance);
    choose_ending(plan, &chance);
    /* The rest in the order of its making, so that what a seed means for
     * events stays as it was. */
    if (chance_hits(&chance, 500)) {
        static const uint32_t maxima[] = { 20, 20, 100, 1000, 3000 };

        plan->feedback_per_mille = (unsigned)chance_between(&chance, 1, 1000);
        plan->comment_bytes_max = CHANCE_PICK(&chance, maxima);
    }
    /* As in a client, a longer text has a place once others have left. */
    plan->edits = chance_hits(&chance, 300) &&
                  plan->delivery.parking_bytes_max >= 2 * PLAN_RECORD_BYTES_MAX;
}

void plan_print(const struct plan *plan)
{
    const struct phos__delivery_options *options = &plan->delivery;

    printf("# batch %u events, %u bytes, linger %u ms, %u in flight, parking "
           "%llu\n",
           options->batch_events_max, options->batch_bytes_max,
           options->linger_ms, options->in_flight_max,
           (unsigned long long)options->parking_bytes_max);
    printf("# retry %u to %u ms, age %llu ms, pace %u, dedupe %u, sleep after "
           "%u ms, time-out %u ms\n",
           options->retry_base_ms, options->retry_cap_ms,
           (unsigned long long)options->age_max_ms, options->events_per_minute,
           options->dedupe_window, plan->deep_sleep_after_ms,
           plan->request_timeout_ms);
    printf("# chaos %llu ms, latency %llu us, at most %u events of %u to %u "
           "bytes, bad %u/1000 (%d), poison %u, frozen %u, ending %d\n",
           (unsigned long long)(plan->chaos_us / 1000),
           (unsigned long long)plan->latency_us, plan->events_max,
           plan->text_bytes_min, plan->text_bytes_max, plan->bad_per_mille,
           plan->bad_status, plan->poison_count, plan->frozen_count,
           (int)plan->ending);
    printf("# feedback %u/1000, comments of up to %u bytes%s\n",
           plan->feedback_per_mille, plan->comment_bytes_max,
           plan->edits ? ", events are edited" : "");
    for (unsigned i = 0; i < plan->fault_count; i++) {
        const struct fault *fault = &plan->faults[i];

        printf("# fault \"%s\" (%llu), %u/1000, from %llu to %llu ms\n",
               fault_names[fault->kind], (unsigned long long)fault->value,
               fault->per_mille, (unsigned long long)(fault->from_us / 1000),
               (unsigned long long)(fault->until_us / 1000));
    }
}
