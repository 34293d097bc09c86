#include "sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/worker.h"
#include "io/clock.h"
#include "wire/record.h"

/* ---- chance ---- */

/* SplitMix64: every seed is as good as any other. */
uint64_t chance_next(struct chance *chance)
{
    uint64_t z = chance->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

struct chance chance_of(uint64_t seed, uint64_t stream)
{
    struct chance chance = { seed };

    chance.state = chance_next(&chance) + stream;
    chance.state = chance_next(&chance);
    return chance;
}

uint64_t chance_below(struct chance *chance, uint64_t below)
{
    return chance_next(chance) % below;
}

uint64_t chance_between(struct chance *chance, uint64_t from, uint64_t to)
{
    return from + chance_below(chance, to - from + 1);
}

bool chance_hits(struct chance *chance, unsigned per_mille)
{
    return chance_below(chance, 1000) < per_mille;
}

/* ---- the log call's clock ---- */

static struct world *current;

void world_make_current(struct world *world)
{
    current = world;
}

/* These two stand in for io/clock.c and client/worker.c, the only things that
 * the log call knows of the machine. */
uint64_t phos__clock_stamp_kernel(phos_clock resolved)
{
    (void)resolved;
    return (current->now_us * current->ticks_per_us) | PHOS__TIME_RAW;
}

bool phos__worker_is_here(const phos_worker *worker)
{
    (void)worker;
    return false;
}

/* ---- steps ---- */

void world_begin(struct world *world, uint64_t seed)
{
    struct chance chance = chance_of(seed, 1);

    world->seed = seed;
    world->start_us = chance_between(&chance, 1000000, 1000000000000);
    world->now_us = world->start_us;
    /* 2023, give or take the machine's time since it was started */
    world->wall_offset_us = INT64_C(1700000000000000);
    world->ticks_per_us = chance_between(&chance, 1, 4) * 1000;
    world->step_count = 0;
    world->next_sequence = 0;
    world->hash = seed;
    world->trace_count = 0;
    world->has_failed = false;
    world->failure[0] = '\0';
    current = world;
}

void world_deinit(struct world *world)
{
    free(world->steps);
    world->steps = NULL;
    world->step_room = 0;
}

static bool is_before(const struct world_step *a, const struct world_step *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us
                                : a->sequence < b->sequence;
}

static void swap(struct world_step *a, struct world_step *b)
{
    struct world_step c = *a;

    *a = *b;
    *b = c;
}

void world_plan(struct world *world, uint64_t at_us, world_step_fn *fn,
                void *self, uint64_t argument)
{
    size_t i = world->step_count;

    if (i == world->step_room) {
        world->step_room = world->step_room ? 2 * world->step_room : 1024;
        world->steps =
            realloc(world->steps, world->step_room * sizeof(*world->steps));
        if (!world->steps)
            abort();
    }
    world->steps[i] =
        (struct world_step){ at_us < world->now_us ? world->now_us : at_us,
                             world->next_sequence++, fn, self, argument };
    world->step_count++;
    while (i > 0 && is_before(&world->steps[i], &world->steps[(i - 1) / 2])) {
        swap(&world->steps[i], &world->steps[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
}

static struct world_step take_first(struct world *world)
{
    struct world_step first = world->steps[0];
    size_t i = 0;

    world->steps[0] = world->steps[--world->step_count];
    for (;;) {
        size_t least = i;

        for (size_t child = 2 * i + 1; child <= 2 * i + 2; child++)
            if (child < world->step_count &&
                is_before(&world->steps[child], &world->steps[least]))
                least = child;
        if (least == i)
            return first;
        swap(&world->steps[i], &world->steps[least]);
        i = least;
    }
}

bool world_step(struct world *world, uint64_t until_us)
{
    struct world_step step;

    if (world->step_count == 0 || world->steps[0].at_us > until_us)
        return false;
    step = take_first(world);
    world->now_us = step.at_us;
    step.fn(step.self, step.argument);
    return true;
}

void world_run_until(struct world *world, uint64_t until_us)
{
    while (!world->has_failed && world_step(world, until_us))
        ;
    if (!world->has_failed && world->now_us < until_us)
        world->now_us = until_us;
}

/* ---- what is told ---- */

static void print_line(const struct world *world, const struct world_line *line)
{
    uint64_t us = line->at_us - world->start_us;

    printf("# %8llu.%06llu ", (unsigned long long)(us / 1000000),
           (unsigned long long)(us % 1000000));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    printf(line->text, (unsigned long long)line->a, (unsigned long long)line->b,
           (unsigned long long)line->c);
#pragma GCC diagnostic pop
    putchar('\n');
}

static void mix(struct world *world, uint64_t value)
{
    world->hash = (world->hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    world->hash ^= world->hash >> 29;
}

void world_trace(struct world *world, const char *text, uint64_t a, uint64_t b,
                 uint64_t c)
{
    struct world_line *line =
        &world->trace[world->trace_count++ % WORLD_TRACE_LINES];

    *line = (struct world_line){ world->now_us, text, a, b, c };
    mix(world, world->now_us);
    for (const char *at = text; *at; at++)
        mix(world, (unsigned char)*at);
    mix(world, a);
    mix(world, b);
    mix(world, c);
    if (world->is_verbose)
        print_line(world, line);
}

void world_fail(struct world *world, const char *format, ...)
{
    va_list arguments;

    if (world->has_failed)
        return;
    world->has_failed = true;
    va_start(arguments, format);
    vsnprintf(world->failure, sizeof(world->failure), format, arguments);
    va_end(arguments);
}

void world_print_trace(const struct world *world)
{
    uint64_t first = world->trace_count > WORLD_TRACE_LINES
                         ? world->trace_count - WORLD_TRACE_LINES
                         : 0;

    for (uint64_t i = first; i < world->trace_count; i++)
        print_line(world, &world->trace[i % WORLD_TRACE_LINES]);
}
