/*
 * measure - what every benchmark needs: a timer fine enough for one call,
 * statistics that survive outliers, and an eye on who else used the machine.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#if defined(__x86_64__)
#include <x86intrin.h>

/* Nothing before it is still under way, nothing after it has begun. */
static inline uint64_t ticks_begin(void)
{
    _mm_lfence();
    return __rdtsc();
}

static inline uint64_t ticks_end(void)
{
    unsigned processor;
    uint64_t ticks = __rdtscp(&processor);

    _mm_lfence();
    return ticks;
}

static inline void spin_hint(void)
{
    _mm_pause();
}
#else
#include <time.h>

static inline uint64_t ticks_begin(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_RAW, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t ticks_end(void)
{
    return ticks_begin();
}

static inline void spin_hint(void)
{
}
#endif

/* Ticks of the timer in a nanosecond; measured once, takes some 50 ms. */
double ticks_per_ns(void);

uint64_t monotonic_ns(void);

enum figure {
    TRIMMED_MEAN, /* of the 5th to the 95th percentile */
    P50,
    P90,
    P99,
    P99_9,
    P99_99,
    MAXIMUM,
    FIGURE_COUNT
};

/* Of one contender in one round; nanoseconds, the timer included. */
struct summary {
    double figure[FIGURE_COUNT];
};

/* Sorts the samples, which are in ticks. */
struct summary summarize(uint32_t *samples, size_t count);

/* The middle one, or the mean of the two in the middle; sorts. */
double median(double *values, size_t count);

/* ---- who used the processors ---- */

struct cpu_mark {
    uint64_t busy_ticks;   /* all processes, all processors */
    uint64_t steal_ticks;  /* taken by the hypervisor */
    uint64_t own_us;       /* this process */
    uint64_t helper_ticks; /* a process of ours beside it */
    uint64_t at_ns;
};

/* `helper`: a process whose time counts as ours (the sink); 0: none. */
void cpu_mark_take(struct cpu_mark *mark, pid_t helper);

struct cpu_share {
    double foreign_percent; /* of the machine, by processes not ours */
    double steal_percent;
    double wall_s;
    double own_cpu_s; /* this process alone */
};

struct cpu_share cpu_share_since(const struct cpu_mark *before, pid_t helper);

/* Above it other load decides about the figures, and no verdict counts. */
#define FOREIGN_PERCENT_MAX 5.0

/* "does not count: ..." or an empty text. */
const char *load_remark(const struct cpu_share *share);

/* Processor, system, compiler: one line each, for the record. */
void print_machine(bool json);

/* This process's private dirty memory; 0 when the kernel does not tell. */
uint64_t private_dirty_bytes(void);

/* Prints why and ends the program: a benchmark that measured something else
 * than it says is worse than none. */
_Noreturn void bench_fail(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* The value of "--name N" among the arguments, else `otherwise`. Every name
 * that is asked for is remembered, for options_end(). */
uint64_t option_number(int argc, char **argv, const char *name,
                       uint64_t otherwise);
bool option_flag(int argc, char **argv, const char *name);
/* Fails on an argument that nothing asked for. */
void options_end(int argc, char **argv, const char *usage);

#endif
