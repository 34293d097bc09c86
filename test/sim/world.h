/*
 * world - the virtual machine of one schedule: a clock in microseconds, what
 * is to happen when, seeded chance, and a trace of what happened.
 *
 * Steps of the same time run in the order in which they were planned, and
 * nothing depends on an address or on the machine's clock, so a seed replays
 * to the last bit; the trace's hash proves it.
 */
#ifndef TEST_SIM_WORLD_H
#define TEST_SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- chance ---- */

struct chance {
    uint64_t state;
};

/* A stream of its own for each use, so that one more draw in the service does
 * not change what the producers do. */
struct chance chance_of(uint64_t seed, uint64_t stream);
uint64_t chance_next(struct chance *chance);
/* 0 .. below - 1; below > 0 */
uint64_t chance_below(struct chance *chance, uint64_t below);
/* from .. to, both included */
uint64_t chance_between(struct chance *chance, uint64_t from, uint64_t to);
/* true so many times in a thousand */
bool chance_hits(struct chance *chance, unsigned per_mille);

#define CHANCE_PICK(chance, list) \
    ((list)[chance_below((chance), sizeof(list) / sizeof((list)[0]))])

/* ---- the world ---- */

typedef void world_step_fn(void *self, uint64_t argument);

struct world_step {
    uint64_t at_us;
    uint64_t sequence;
    world_step_fn *fn;
    void *self;
    uint64_t argument;
};

enum { WORLD_TRACE_LINES = 256 };

/* One line of the trace; `text` is a printf format for a, b and c. */
struct world_line {
    uint64_t at_us;
    const char *text;
    uint64_t a, b, c;
};

struct world {
    uint64_t seed;
    uint64_t now_us;   /* monotonic */
    uint64_t start_us; /* when the schedule began */
    int64_t wall_offset_us;
    uint64_t ticks_per_us; /* of the clock that log calls read */

    struct world_step *steps; /* a heap by (at_us, sequence) */
    size_t step_count, step_room;
    uint64_t next_sequence;

    bool is_verbose;
    uint64_t hash;
    struct world_line trace[WORLD_TRACE_LINES];
    uint64_t trace_count;

    bool has_failed;
    char failure[512];
};

/* Begins a schedule; the memory of earlier ones is used again. */
void world_begin(struct world *world, uint64_t seed);
void world_deinit(struct world *world);

void world_plan(struct world *world, uint64_t at_us, world_step_fn *fn,
                void *self, uint64_t argument);
/* Runs the next step, if there is one before `until_us`. */
bool world_step(struct world *world, uint64_t until_us);
/* Runs steps until then, or until something has failed. */
void world_run_until(struct world *world, uint64_t until_us);

static inline uint64_t world_wall_us(const struct world *world)
{
    return world->now_us + (uint64_t)world->wall_offset_us;
}

/* `text` is a literal with three %llu at most. */
void world_trace(struct world *world, const char *text, uint64_t a, uint64_t b,
                 uint64_t c);
/* Only the first violation of a schedule is kept. */
__attribute__((format(printf, 2, 3))) void world_fail(struct world *world,
                                                      const char *format, ...);
/* Prints the last lines of the trace, as TAP comments. */
void world_print_trace(const struct world *world);

/* What phos__clock_stamp_kernel() reads: the log call has no port for its
 * clock. */
void world_make_current(struct world *world);

#endif
