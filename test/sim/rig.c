#define _GNU_SOURCE

#include "sim/rig.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sim/edits.h"
#include "wire/record.h"

static const char first_key[] = "first-secret";
static const char second_key[] = "second-secret";

/* ---- memory, counted and sometimes refused ---- */

/* In front of each block, so that what is freed can be counted. */
union block {
    size_t bytes;
    max_align_t alignment;
};

static bool fails_now(struct rig *rig)
{
    uint64_t since_us = rig->world->now_us - rig->world->start_us;

    if (rig->is_healed || rig->steady_bytes == 0)
        return false;
    for (unsigned i = 0; i < rig->plan->fault_count; i++) {
        const struct fault *fault = &rig->plan->faults[i];

        if (fault->kind == FAULT_MEMORY && since_us >= fault->from_us &&
            since_us < fault->until_us &&
            chance_hits(&rig->chance, fault->per_mille))
            return true;
    }
    return false;
}

static void *reallocate(void *user_data, void *memory, size_t bytes)
{
    struct rig *rig = user_data;
    union block *block = memory ? (union block *)memory - 1 : NULL;
    size_t before = block ? block->bytes : 0;

    if (fails_now(rig))
        return NULL;
    block = realloc(block, sizeof(*block) + bytes);
    if (!block)
        abort();
    block->bytes = bytes;
    rig->allocated_bytes += bytes - before;
    return block + 1;
}

static void *allocate(void *user_data, size_t bytes)
{
    return reallocate(user_data, NULL, bytes);
}

static void release(void *user_data, void *memory)
{
    struct rig *rig = user_data;
    union block *block = (union block *)memory - 1;

    rig->allocated_bytes -= block->bytes;
    free(block);
}

enum { FEEDBACK_LOST_BYTES = 32 * 1024 + 24 * 1024 }; /* ids, with a copy */

/* Beside what it has from the start: bodies, one for each request and one
 * under construction, which grow by doubling; what is parked; the dedupe
 * window; keys. */
static void check_memory(struct rig *rig)
{
    const struct phos__delivery_options *options = &rig->plan->delivery;
    size_t body =
        4 * ((size_t)options->batch_bytes_max + 2 * PLAN_RECORD_BYTES_MAX);
    size_t limit = rig->steady_bytes + options->parking_bytes_max +
                   (options->in_flight_max + 2) * body + PLAN_RING_BYTES / 8 +
                   FEEDBACK_LOST_BYTES +
                   96 * (size_t)(options->dedupe_window + 2048) + 4096;

    if (rig->allocated_bytes > limit)
        world_fail(rig->world, "%zu bytes are allocated", rig->allocated_bytes);
}

/* ---- ports ---- */

static uint64_t monotonic_us(void *self)
{
    return ((struct rig *)self)->world->now_us;
}

static uint64_t wall_us(void *self)
{
    return world_wall_us(((struct rig *)self)->world);
}

static uint64_t log_clock(void *self)
{
    const struct world *world = ((struct rig *)self)->world;

    return (world->now_us * world->ticks_per_us) | PHOS__TIME_RAW;
}

static uint64_t next_random(void *self)
{
    return chance_next(&((struct rig *)self)->chance);
}

/* ---- what the application hears ---- */

static void on_receipts(const phos_receipt *receipts, size_t count,
                        void *user_data)
{
    struct rig *rig = user_data;

    checks_receipts(&rig->checks, receipts, count);
    if (chance_hits(&rig->chance, rig->plan->log_in_callback_per_mille) &&
        !rig->is_healed)
        producers_log(&rig->producers, NATURE_GOOD);
}

static bool before_send(phos_event *event, void *user_data)
{
    struct rig *rig = user_data;

    return edits_before_send(&rig->checks, event, rig->edited_text);
}

static void on_refused(const phos_receipt *receipt, phos_str json,
                       void *user_data)
{
    struct rig *rig = user_data;

    checks_refused(&rig->checks, receipt, json);
}

static void on_diagnostic(const phos_diagnostic *diagnostic, void *user_data)
{
    struct rig *rig = user_data;

    if (strstr(diagnostic->error.text, "secret"))
        world_fail(rig->world, "a key is told");
    lines_told(&rig->checks.lines, diagnostic->code,
               rig->checks.state == PHOS_STATE_CONFIG);
}

static void on_high_water(uint64_t used_bytes, uint64_t ring_bytes,
                          void *user_data)
{
    struct rig *rig = user_data;

    lines_high_water(&rig->checks.lines, used_bytes, ring_bytes);
}

static void on_state(phos_state state, void *user_data)
{
    struct rig *rig = user_data;

    checks_state(&rig->checks, state);
}

/* ---- the worker ---- */

enum { BUSY_TURNS_MAX = 100 };

static void turn_step(void *self, uint64_t generation);

static uint64_t lateness_us(struct rig *rig)
{
    uint64_t since_us = rig->world->now_us - rig->world->start_us;
    uint64_t late_us =
        1 + chance_below(&rig->chance, rig->plan->worker_late_us);

    if (rig->is_healed)
        return late_us;
    for (unsigned i = 0; i < rig->plan->fault_count; i++) {
        const struct fault *fault = &rig->plan->faults[i];

        if (fault->kind == FAULT_WORKER_LATE && since_us >= fault->from_us &&
            since_us < fault->until_us &&
            chance_hits(&rig->chance, fault->per_mille / 10 + 1))
            late_us += chance_below(&rig->chance, fault->value);
    }
    return late_us;
}

static void plan_turn(struct rig *rig, uint64_t at_us)
{
    if (rig->is_stuck || (rig->has_planned_turn && rig->turn_at_us <= at_us))
        return;
    rig->has_planned_turn = true;
    rig->turn_at_us = at_us;
    world_plan(rig->world, at_us, turn_step, rig, ++rig->turn_generation);
}

static void wake(struct rig *rig)
{
    plan_turn(rig, rig->world->now_us + lateness_us(rig));
}

void rig_poll(struct rig *rig)
{
    uint64_t count;

    if (read(rig->wake_fd, &count, sizeof(count)) == sizeof(count))
        wake(rig);
}

/* The same for answers, but for those given inside a turn: it sees them. */
static void on_answer(void *self)
{
    struct rig *rig = self;

    if (!rig->is_in_turn)
        wake(rig);
}

static void on_logged(void *self)
{
    struct rig *rig = self;

    if (!rig->is_in_turn)
        rig_poll(rig);
}

static void look_at_flushes(struct rig *rig)
{
    for (unsigned i = 0; i < rig->flush_count; i++) {
        struct rig_flush *flush = &rig->flushes[i];

        if (!flush->is_waited_for || !flush->ticket.is_done)
            continue;
        flush->is_waited_for = false;
        world_trace(rig->world, "flush ends: %llu",
                    (uint64_t) - (int64_t)flush->ticket.status, 0, 0);
        if (flush->ticket.status == PHOS_OK)
            checks_flushed(&rig->checks, flush->accepted);
        if (flush->ticket.status == PHOS_OK)
            feedback_flushed(&rig->checks.feedback, flush->given);
    }
}

/* A worker that has turn after turn without rest, and nothing to show for it,
 * burns a processor. */
static void look_for_spinning(struct rig *rig, uint64_t due_ms)
{
    bool has_rest = due_ms > rig->world->now_us / 1000;

    if (has_rest || rig->world->trace_count != rig->busy_trace)
        rig->busy_turns = 0;
    rig->busy_trace = rig->world->trace_count;
    if (++rig->busy_turns > BUSY_TURNS_MAX)
        world_fail(rig->world, "the worker spins");
}

static void turn_step(void *self, uint64_t generation)
{
    struct rig *rig = self;
    uint64_t due_ms;

    if (generation != rig->turn_generation || rig->is_stuck)
        return;
    rig->has_planned_turn = false;
    rig->turns++;
    rig->is_in_turn = true;
    due_ms = phos__pipeline_turn(rig->pipeline);
    rig->is_in_turn = false;
    if (rig->world->has_failed)
        return;
    checks_turn(&rig->checks);
    look_at_flushes(rig);
    look_for_spinning(rig, due_ms);
    check_memory(rig);
    if (due_ms < UINT64_MAX / 1000) {
        uint64_t due_us = due_ms * 1000;

        if (due_us < rig->world->now_us)
            due_us = rig->world->now_us;
        plan_turn(rig, due_us + lateness_us(rig));
    }
    rig_poll(rig);
}

/* ---- commands ---- */

void rig_flush(struct rig *rig)
{
    struct rig_flush *flush = &rig->flushes[rig->flush_count];

    if (rig->flush_count == RIG_FLUSHES_MAX)
        return;
    rig->flush_count++;
    flush->accepted = rig->checks.accepted;
    flush->given = rig->checks.feedback.count;
    flush->is_waited_for = true;
    world_trace(rig->world, "flush", 0, 0, 0);
    phos__pipeline_flush(rig->pipeline, &flush->ticket);
    look_at_flushes(rig);
    rig_poll(rig);
}

/* The caller of a flush has lost its patience. */
static void flush_timeout_step(void *self, uint64_t number)
{
    struct rig *rig = self;
    struct rig_flush *flush = &rig->flushes[number];

    if (!flush->is_waited_for)
        return;
    flush->is_waited_for = false;
    if (phos__pipeline_wait(rig->pipeline, &flush->ticket, 0))
        world_fail(rig->world, "a flush ended and nobody was told");
}

static void set_key(struct rig *rig)
{
    world_trace(rig->world, "new key", 0, 0, 0);
    checks_new_key(&rig->checks);
    if (phos__pipeline_set_api_key(
            rig->pipeline, phos_str_make(second_key, strlen(second_key))) ==
            PHOS_E_NO_MEMORY &&
        !plan_has(rig->plan, FAULT_MEMORY))
        world_fail(rig->world, "a key is not taken");
    rig_poll(rig);
}

static void command_step(void *self, uint64_t number)
{
    struct rig *rig = self;
    const struct command *command = &rig->plan->commands[number];

    switch (command->kind) {
    case COMMAND_FLUSH:
        world_plan(rig->world,
                   rig->world->now_us + command->timeout_ms * UINT64_C(1000),
                   flush_timeout_step, rig, rig->flush_count);
        rig_flush(rig);
        break;
    case COMMAND_DRAIN:
        world_trace(rig->world, "drain", 0, 0, 0);
        phos__pipeline_drain(rig->pipeline);
        rig_poll(rig);
        break;
    case COMMAND_KEY:
        set_key(rig);
        break;
    }
}

static void wall_step(void *self, uint64_t argument)
{
    struct rig *rig = self;

    (void)argument;
    rig->world->wall_offset_us += rig->plan->wall_jump_us;
    world_trace(rig->world, "the wall clock jumps", 0, 0, 0);
}

void rig_heal(struct rig *rig)
{
    world_trace(rig->world, "heal", 0, 0, 0);
    rig->is_healed = true;
    service_heal(&rig->service);
    producers_stop(&rig->producers);
    if (rig->plan->key_expires_us != UINT64_MAX)
        set_key(rig);
    /* A worker that overslept gets up. */
    if (plan_has(rig->plan, FAULT_WORKER_LATE) && rig->has_planned_turn)
        wake(rig);
}

void rig_close(struct rig *rig, uint32_t timeout_ms)
{
    world_trace(rig->world, "close within %llu ms", timeout_ms, 0, 0);
    rig->checks.is_closing = true;
    phos__pipeline_close(rig->pipeline, timeout_ms);
    rig_poll(rig);
}

bool rig_is_closed(struct rig *rig)
{
    phos_stats stats = { .struct_size = sizeof(stats) };

    phos__pipeline_stats(rig->pipeline, &stats);
    return stats.state == PHOS_STATE_CLOSED;
}

void rig_check_flushes(struct rig *rig)
{
    for (unsigned i = 0; i < rig->flush_count; i++)
        if (rig->flushes[i].is_waited_for)
            world_fail(rig->world, "a flush is waited for, for nothing");
}

void rig_check_rejections(struct rig *rig)
{
    phos_rejections told = phos__rejections_get(&rig->rejections);

    if (told.full != rig->producers.expected_full ||
        told.closed != rig->producers.expected_closed || told.invalid ||
        told.too_large)
        world_fail(rig->world, "rejected calls are not all counted");
    told = phos__rejections_get(&rig->feedback_rejections);
    if (told.full != rig->producers.expected_full_feedback ||
        told.closed != rig->producers.expected_closed_feedback ||
        told.invalid || told.too_large)
        world_fail(rig->world, "rejected feedback is not all counted");
}

/* ---- life ---- */

static void fill_options(struct rig *rig,
                         struct phos__pipeline_options *options)
{
    memset(options, 0, sizeof(*options));
    options->ring = &rig->logger.ring;
    options->ports.clock = (struct phos__clock_port){
        rig, monotonic_us, wall_us, log_clock,
        rig->plan->knows_tick_rate ? rig->world->ticks_per_us : 0
    };
    options->ports.random = (struct phos__random_port){ rig, next_random };
    options->ports.transport = &rig->service.transport;
    options->delivery = rig->plan->delivery;
    options->delivery.random = chance_next(&rig->chance);
    options->deep_sleep_after_ms = rig->plan->deep_sleep_after_ms;
    options->request_timeout_ms = rig->plan->request_timeout_ms;
    options->url = PHOS_STR("http://service.test/api/ingest/batch");
    options->feedback_url = PHOS_STR("http://service.test/api/feedback");
    options->api_key = phos_str_make(first_key, strlen(first_key));
    options->user_agent = PHOS_STR("simulate/1");
    if (rig->plan->has_project)
        options->project_id = PHOS_STR("project \"x\"");
    if (rig->plan->edits)
        options->editor = (struct phos__editor_options){
            .before_send = before_send,
            .user_data = rig,
            .event_bytes_max = PLAN_RECORD_BYTES_MAX,
        };
    options->on_receipts = on_receipts;
    options->on_refused = on_refused;
    options->on_diagnostic = on_diagnostic;
    options->on_high_water = on_high_water;
    options->on_state = on_state;
    options->high_water_percent = LINES_HIGH_WATER_PERCENT;
    options->rejections = &rig->rejections;
    options->user_data = rig;
}

static bool open_ring(struct rig *rig)
{
    const struct phos__siphash_key id_key = { chance_next(&rig->chance),
                                              chance_next(&rig->chance) };
    uint64_t secret = chance_next(&rig->chance);
    uint64_t count;

    if (rig->wake_fd == 0)
        rig->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (rig->wake_fd < 0)
        return false;
    if (read(rig->wake_fd, &count, sizeof(count)) < 0)
        count = 0; /* nothing left from an earlier schedule */
    return phos__ring_open(&rig->logger.ring, PLAN_RING_BYTES, secret, &id_key,
                           rig->wake_fd, rig->plan->ring_start) == PHOS_OK;
}

static void plan_commands(struct rig *rig)
{
    const struct plan *plan = rig->plan;

    for (unsigned i = 0; i < plan->command_count; i++)
        world_plan(rig->world, rig->world->start_us + plan->commands[i].at_us,
                   command_step, rig, i);
    if (plan->wall_jump_us)
        world_plan(rig->world, rig->world->start_us + plan->wall_jump_at_us,
                   wall_step, rig, 0);
}

bool rig_begin(struct rig *rig, struct world *world, const struct plan *plan,
               unsigned index)
{
    const phos_allocator allocator = { allocate, reallocate, release, rig };
    struct phos__pipeline_options options;
    struct checks *checks = &rig->checks;

    rig->world = world;
    rig->plan = plan;
    rig->pipeline = NULL;
    rig->chance = chance_of(world->seed, 16 + index);
    memset(&rig->rejections, 0, sizeof(rig->rejections));
    memset(&rig->feedback_rejections, 0, sizeof(rig->feedback_rejections));
    memset(&rig->logger, 0, sizeof(rig->logger));
    rig->logger.rejections = &rig->rejections;
    rig->logger.feedback_rejections = &rig->feedback_rejections;
    rig->logger.event_bytes_max = PLAN_RECORD_BYTES_MAX;
    rig->logger.clock = PHOS_CLOCK_EXACT; /* not the real counter */
    rig->flush_count = 0;
    rig->is_in_turn = rig->is_stuck = false;
    rig->has_planned_turn = rig->is_healed = false;
    rig->turns = rig->busy_turns = 0;
    rig->allocated_bytes = rig->steady_bytes = 0;
    if (!open_ring(rig))
        return false;

    checks_begin(checks, world, plan, &rig->logger.ring);
    checks->may_forget_ids = plan_has(plan, FAULT_MEMORY);
    service_begin(&rig->service, world, plan, checks);
    rig->service.on_answer = on_answer;
    rig->service.self = rig;
    fill_options(rig, &options);
    if (phos__pipeline_create(&options, &allocator, &rig->pipeline) != PHOS_OK)
        return false;
    checks->pipeline = rig->pipeline;
    rig->steady_bytes = rig->allocated_bytes;
    producers_begin(&rig->producers, world, plan, checks, &rig->logger);
    rig->producers.on_logged = on_logged;
    rig->producers.self = rig;
    plan_commands(rig);
    plan_turn(rig, world->now_us + lateness_us(rig));
    return true;
}

void rig_end(struct rig *rig)
{
    /* After a failure requests may be under way still: their steps are
     * forgotten by the next schedule. */
    phos__pipeline_destroy(rig->pipeline);
    if (rig->allocated_bytes != 0)
        world_fail(rig->world, "%zu bytes are not freed", rig->allocated_bytes);
    phos__ring_deinit(&rig->logger.ring);
}

void rig_deinit(struct rig *rig)
{
    checks_deinit(&rig->checks);
    service_deinit(&rig->service);
    if (rig->wake_fd > 0)
        close(rig->wake_fd);
    rig->wake_fd = 0;
}
