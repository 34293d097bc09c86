#include "sim/lines.h"

#include <string.h>

enum {
    STALL_US = 5000000,
    GAP_US = 10000000,
    REPEAT_US = 60000000,
    GRAIN_US = 2000, /* the pipeline counts in milliseconds */
    LOSS_CAUSES = 10 /* each told at once when it happens first */
};

void lines_begin(struct lines *lines, struct world *world,
                 const struct plan *plan)
{
    memset(lines, 0, sizeof(*lines));
    lines->world = world;
    lines->plan = plan;
    lines->slack_us = GRAIN_US + 2 * plan->worker_late_us;
    for (unsigned i = 0; i < plan->fault_count; i++)
        if (plan->faults[i].kind == FAULT_WORKER_LATE)
            lines->slack_us += plan->faults[i].value;
}

void lines_answered(struct lines *lines, bool is_delivered, bool is_cancelled)
{
    if (is_delivered) {
        lines->has_delivered = true;
        lines->delivered_us = lines->world->now_us;
        lines->is_trying = lines->has_failed = false;
        lines->overdue_ends = 0;
    } else if (!is_cancelled) {
        lines->has_failed = true;
    }
}

/* By when there must be a line that says why nothing arrives; also for one
 * that comes: it must not be late. */
static void check_silence(struct lines *lines)
{
    uint64_t due_us = lines->trying_us + STALL_US;

    if (!lines->is_trying)
        return;
    if (lines->has_told && due_us < lines->told_us + GAP_US)
        due_us = lines->told_us + GAP_US;
    if (lines->is_stalled && due_us < lines->told_us + REPEAT_US)
        due_us = lines->told_us + REPEAT_US;
    if (lines->world->now_us > due_us + lines->slack_us)
        world_fail(
            lines->world, "nothing arrives for %llu ms, and nobody is told",
            (unsigned long long)(lines->world->now_us - lines->trying_us) /
                1000);
}

/* ---- what is told ---- */

static void check_stall(struct lines *lines, phos_diagnostic_code code,
                        bool is_config)
{
    struct world *world = lines->world;
    uint64_t now_us = world->now_us;

    if (lines->has_delivered && !is_config &&
        now_us + GRAIN_US < lines->delivered_us + STALL_US)
        world_fail(world, "told that nothing arrives, while batches do");
    if (lines->has_told && now_us + GRAIN_US < lines->told_us + GAP_US)
        world_fail(world, "told twice in 10 s why nothing arrives");
    if (lines->is_stalled && code == lines->told_code &&
        now_us + GRAIN_US < lines->told_us + REPEAT_US)
        world_fail(world, "told twice in a minute that nothing arrives");
    check_silence(lines);
    lines->has_told = lines->is_stalled = true;
    lines->told_us = now_us;
    lines->told_code = code;
}

void lines_told(struct lines *lines, phos_diagnostic_code code, bool is_config)
{
    struct world *world = lines->world;
    uint64_t since_us = world->now_us - world->start_us;

    world_trace(world, "told: %llu", (uint64_t)code, 0, 0);
    switch (code) {
    case PHOS_DIAGNOSTIC_OPEN:
    case PHOS_DIAGNOSTIC_DISABLED:
    case PHOS_DIAGNOSTIC_CALLBACK:
        world_fail(world, "a strange diagnostic: %d", (int)code);
        break;
    case PHOS_DIAGNOSTIC_DELIVERED:
        if (!lines->is_stalled || !lines->has_delivered ||
            lines->delivered_us < lines->told_us)
            world_fail(world, "told that it works again, for no reason");
        lines->is_stalled = false;
        break;
    case PHOS_DIAGNOSTIC_LOST:
        if (++lines->losses > LOSS_CAUSES + 1 + since_us / GAP_US)
            world_fail(world, "losses are told %u times", lines->losses);
        break;
    case PHOS_DIAGNOSTIC_FEEDBACK:
        if (++lines->feedback > 2 + 2 * (since_us / GAP_US))
            world_fail(world, "feedback is told of %u times", lines->feedback);
        break;
    case PHOS_DIAGNOSTIC_HIGH_WATER:
        if (++lines->marks_told > 1 + since_us / GAP_US)
            world_fail(world, "the high water is told %u times",
                       lines->marks_told);
        break;
    default:
        check_stall(lines, code, is_config);
    }
}

void lines_high_water(struct lines *lines, uint64_t used_bytes,
                      uint64_t ring_bytes)
{
    world_trace(lines->world, "high water: %llu", used_bytes, 0, 0);
    lines->marks_called++;
    if (used_bytes <= ring_bytes / 100 * LINES_HIGH_WATER_PERCENT)
        world_fail(lines->world, "told a high water of %llu",
                   (unsigned long long)used_bytes);
    if (lines->is_high)
        world_fail(lines->world, "told the same high water twice");
    lines->is_high = true;
}

/* ---- a turn ---- */

void lines_turn(struct lines *lines, uint64_t pending, uint32_t in_flight,
                uint64_t used_bytes, bool is_closing)
{
    bool is_trying = pending > 0 && (in_flight > 0 || lines->has_failed);

    if (is_trying && !lines->is_trying)
        lines->trying_us = lines->world->now_us;
    lines->is_trying = pending > 0 && (is_trying || lines->is_trying);
    if (!is_closing)
        check_silence(lines);
    /* An answer that came within this turn may be seen in the next one only. */
    if (lines->is_stalled && lines->has_delivered &&
        lines->delivered_us > lines->told_us && ++lines->overdue_ends > 2)
        world_fail(lines->world, "it works again, and nobody is told");
    if (lines->marks_told > lines->marks_called ||
        (lines->marks_called > 0 && lines->marks_told == 0))
        world_fail(lines->world, "the high water has %u lines and %u calls",
                   lines->marks_told, lines->marks_called);
    if (used_bytes < PLAN_RING_BYTES / 100 * LINES_HIGH_WATER_PERCENT / 2)
        lines->is_high = false;
}
