#include "client/timebase.h"

#include "base/saturate.h"
#include "wire/record.h"

static void read_clocks(struct phos__timebase *timebase,
                        const struct phos__clock_port *clock)
{
    timebase->ticks = clock->log_clock(clock->self) & ~PHOS__TIME_RAW;
    timebase->monotonic_us = clock->monotonic_us(clock->self);
    timebase->wall_us = clock->wall_us(clock->self);
}

void phos__timebase_start(struct phos__timebase *timebase,
                          const struct phos__clock_port *clock)
{
    read_clocks(timebase, clock);
    timebase->start_ticks = timebase->ticks;
    timebase->start_us = timebase->monotonic_us;
    timebase->us_per_tick =
        clock->log_clock_per_us ? 1.0 / (double)clock->log_clock_per_us : 0.0;
}

void phos__timebase_refresh(struct phos__timebase *timebase,
                            const struct phos__clock_port *clock)
{
    uint64_t ticks, us;

    read_clocks(timebase, clock);
    if (clock->log_clock_per_us)
        return;
    ticks = phos__sub_sat_u64(timebase->ticks, timebase->start_ticks);
    us = phos__sub_sat_u64(timebase->monotonic_us, timebase->start_us);
    if (ticks > 0)
        timebase->us_per_tick = (double)us / (double)ticks;
}

uint64_t phos__timebase_age_us(const struct phos__timebase *timebase,
                               uint64_t reading)
{
    uint64_t ticks =
        phos__sub_sat_u64(timebase->ticks, reading & ~PHOS__TIME_RAW);
    double us = (double)ticks * timebase->us_per_tick;

    /* Records of a process do not become older than the machine. */
    return us < (double)timebase->monotonic_us ? (uint64_t)us
                                               : timebase->monotonic_us;
}
