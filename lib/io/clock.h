/*
 * clock - the machine's clocks: the port that the worker reads once a turn,
 * and the time stamp of the log call.
 */
#ifndef PHOS_IO_CLOCK_H
#define PHOS_IO_CLOCK_H

#include "core/ports.h"
#include "phos/client.h"
#include "wire/record.h"

#if defined(__x86_64__) || defined(__aarch64__)
#define PHOS__CLOCK_HAS_COUNTER 1
#else
#define PHOS__CLOCK_HAS_COUNTER 0
#endif

/* COUNTER where the processor has an invariant counter and it was asked for,
 * else COARSE or EXACT as asked. */
phos_clock phos__clock_resolve(phos_clock asked);

/* Nanoseconds of CLOCK_MONOTONIC_COARSE or CLOCK_MONOTONIC, PHOS__TIME_RAW
 * set. */
uint64_t phos__clock_stamp_kernel(phos_clock resolved);

#if PHOS__CLOCK_HAS_COUNTER
/* Not serialising: a reading may move by some nanoseconds against the code
 * around it, which a time stamp in microseconds cannot show. */
static inline uint64_t phos__clock_counter(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    uint64_t ticks;

    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#endif
}
#endif

/*
 * A reading of the log clock, PHOS__TIME_RAW set (see wire/record.h): ticks of
 * the processor's counter, or nanoseconds of CLOCK_MONOTONIC_COARSE or
 * CLOCK_MONOTONIC. Never of the wall clock, whose jumps would age events.
 * `resolved` comes from phos__clock_resolve(). Async-signal-safe. Inline,
 * because a call would cost the log call about as much as the reading.
 */
static inline uint64_t phos__clock_stamp(phos_clock resolved)
{
#if PHOS__CLOCK_HAS_COUNTER
    if (__builtin_expect(resolved == PHOS_CLOCK_COUNTER, 1))
        return phos__clock_counter() | PHOS__TIME_RAW;
#endif
    return phos__clock_stamp_kernel(resolved);
}

/* The real clocks; its log clock is phos__clock_stamp(resolved). */
struct phos__clock_port phos__clock_port_real(phos_clock resolved);

#endif
