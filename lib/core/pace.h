/*
 * pace - events per minute, as the service counts them. A token bucket; the
 * configured limit, and beside it one that is learned from 429: two thirds of
 * what went through of late, at most once in five seconds, growing by a
 * sixteenth each second, and gone when it has grown to four times its start.
 */
#ifndef PHOS_CORE_PACE_H
#define PHOS_CORE_PACE_H

#include <stdint.h>

struct phos__pace {
    uint64_t limit;   /* events per minute; 0: none */
    uint64_t learned; /* events per minute; 0: none */
    uint64_t learned_first, learned_at_ms;
    uint32_t batch_events_max;
    uint64_t tokens; /* 60,000 an event */
    uint64_t at_ms;  /* when tokens was right */
    /* how fast events went through of late */
    uint64_t counted, counted_since_ms, recent; /* recent: per minute */
};

void phos__pace_init(struct phos__pace *pace, uint64_t events_per_minute,
                     uint32_t batch_events_max, uint64_t now_ms);
/* Milliseconds until `events` may be sent; 0: now. */
uint64_t phos__pace_wait_ms(struct phos__pace *pace, uint64_t now_ms,
                            uint32_t events);
void phos__pace_spend(struct phos__pace *pace, uint64_t now_ms,
                      uint32_t events);
void phos__pace_succeeded(struct phos__pace *pace, uint64_t now_ms,
                          uint32_t events);
void phos__pace_throttled(struct phos__pace *pace, uint64_t now_ms);

#endif
