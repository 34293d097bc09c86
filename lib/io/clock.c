#define _GNU_SOURCE

#include "io/clock.h"

#include <time.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

static uint64_t read_ns(clockid_t id)
{
    struct timespec now;

    if (clock_gettime(id, &now) != 0)
        return 0;
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Whether the counter runs at one rate in every power state, so that a line
 * through two readings converts all those between them. */
static bool counter_is_invariant(void)
{
#if defined(__x86_64__)
    unsigned a, b, c, d;

    /* Leaf 0x80000007, EDX bit 8: invariant TSC. */
    return __get_cpuid(0x80000007, &a, &b, &c, &d) != 0 && (d & (1u << 8)) != 0;
#elif defined(__aarch64__)
    return true; /* the generic timer is, by the architecture */
#else
    return false;
#endif
}

phos_clock phos__clock_resolve(phos_clock asked)
{
    if (asked == PHOS_CLOCK_COUNTER && !counter_is_invariant())
        return PHOS_CLOCK_COARSE;
    return asked;
}

uint64_t phos__clock_stamp_kernel(phos_clock resolved)
{
    return read_ns(resolved == PHOS_CLOCK_EXACT ? CLOCK_MONOTONIC
                                                : CLOCK_MONOTONIC_COARSE) |
           PHOS__TIME_RAW;
}

static uint64_t monotonic_us(void *self)
{
    (void)self;
    return read_ns(CLOCK_MONOTONIC) / 1000;
}

static uint64_t wall_us(void *self)
{
    (void)self;
    return read_ns(CLOCK_REALTIME) / 1000;
}

static uint64_t log_counter(void *self)
{
    (void)self;
    return phos__clock_stamp(PHOS_CLOCK_COUNTER);
}

static uint64_t log_coarse(void *self)
{
    (void)self;
    return phos__clock_stamp(PHOS_CLOCK_COARSE);
}

static uint64_t log_exact(void *self)
{
    (void)self;
    return phos__clock_stamp(PHOS_CLOCK_EXACT);
}

struct phos__clock_port phos__clock_port_real(phos_clock resolved)
{
    struct phos__clock_port port = {
        .self = NULL,
        .monotonic_us = monotonic_us,
        .wall_us = wall_us,
        .log_clock = log_exact,
        .log_clock_per_us = 1000,
    };

    if (resolved == PHOS_CLOCK_COARSE)
        port.log_clock = log_coarse;
    if (resolved == PHOS_CLOCK_COUNTER) {
        port.log_clock = log_counter;
        port.log_clock_per_us = 0; /* the processor does not say */
    }
    return port;
}
