/*
 * timebase - turns a reading of the log clock into an age, and so into Unix
 * and monotonic time. Both clocks are read at the same moment, once a turn; an
 * unknown tick rate is measured from open to now, an interval never shorter
 * than any event's age, so no calibration delays the start.
 */
#ifndef PHOS_CLIENT_TIMEBASE_H
#define PHOS_CLIENT_TIMEBASE_H

#include "core/ports.h"

struct phos__timebase {
    uint64_t start_ticks, start_us;
    uint64_t ticks;        /* now, of the log clock, flag bit cleared */
    uint64_t monotonic_us; /* now */
    uint64_t wall_us;      /* now, Unix time */
    double us_per_tick;
};

void phos__timebase_start(struct phos__timebase *timebase,
                          const struct phos__clock_port *clock);
void phos__timebase_refresh(struct phos__timebase *timebase,
                            const struct phos__clock_port *clock);
/* Microseconds since a reading of the log clock; 0 for one of the future. */
uint64_t phos__timebase_age_us(const struct phos__timebase *timebase,
                               uint64_t reading);

#endif
