#include "core/pace.h"

#include <string.h>

#include "base/saturate.h"

/* One event is this many tokens: at r events per minute, r tokens come each
 * millisecond, and no rounding is needed. */
#define EVENT_TOKENS UINT64_C(60000)

enum {
    SECONDS_IN_MINUTE = 60,
    LEARNED_MIN = 1000, /* the service's lowest documented limit */
    LEARNED_AGAIN_MS = 5000,
    LEARNED_GROWTH_MS = 16000, /* by as much again as it began with */
    LEARNED_TIMES = 4,         /* then it is no limit any more */
    COUNT_MS = 1000            /* how long the recent rate is counted over */
};

static uint64_t rate(const struct phos__pace *pace)
{
    if (!pace->learned)
        return pace->limit;
    return pace->limit ? phos__min_u64(pace->limit, pace->learned)
                       : pace->learned;
}

/* A second's worth, but never less than a full batch. */
static uint64_t burst_tokens(const struct phos__pace *pace)
{
    return EVENT_TOKENS * phos__max_u64(rate(pace) / SECONDS_IN_MINUTE,
                                        pace->batch_events_max);
}

static void grow(struct phos__pace *pace, uint64_t now_ms)
{
    uint64_t elapsed_ms = phos__sub_sat_u64(now_ms, pace->learned_at_ms);

    if (!pace->learned)
        return;
    pace->learned = phos__add_sat_u64(
        pace->learned_first,
        phos__mul_sat_u64(pace->learned_first, elapsed_ms) / LEARNED_GROWTH_MS);
    if (pace->learned >= LEARNED_TIMES * pace->learned_first)
        pace->learned = 0;
}

static void refill(struct phos__pace *pace, uint64_t now_ms)
{
    uint64_t elapsed_ms = phos__sub_sat_u64(now_ms, pace->at_ms);
    uint64_t more = phos__mul_sat_u64(elapsed_ms, rate(pace));

    pace->tokens = phos__min_u64(phos__add_sat_u64(pace->tokens, more),
                                 burst_tokens(pace));
    pace->at_ms = phos__max_u64(now_ms, pace->at_ms);
    grow(pace, now_ms);
}

void phos__pace_init(struct phos__pace *pace, uint64_t events_per_minute,
                     uint32_t batch_events_max, uint64_t now_ms)
{
    memset(pace, 0, sizeof(*pace));
    pace->limit = events_per_minute;
    pace->batch_events_max = batch_events_max;
    pace->tokens = burst_tokens(pace);
    pace->at_ms = now_ms;
    pace->counted_since_ms = now_ms;
}

uint64_t phos__pace_wait_ms(struct phos__pace *pace, uint64_t now_ms,
                            uint32_t events)
{
    uint64_t need = EVENT_TOKENS * events;
    uint64_t per_ms = rate(pace);

    if (per_ms == 0)
        return 0;
    refill(pace, now_ms);
    if (pace->tokens >= need)
        return 0;
    return (need - pace->tokens + per_ms - 1) / per_ms;
}

void phos__pace_spend(struct phos__pace *pace, uint64_t now_ms, uint32_t events)
{
    if (rate(pace) == 0)
        return;
    refill(pace, now_ms);
    pace->tokens = phos__sub_sat_u64(pace->tokens, EVENT_TOKENS * events);
}

void phos__pace_succeeded(struct phos__pace *pace, uint64_t now_ms,
                          uint32_t events)
{
    uint64_t elapsed_ms = phos__sub_sat_u64(now_ms, pace->counted_since_ms);

    pace->counted += events;
    if (elapsed_ms >= COUNT_MS) {
        pace->recent = pace->counted * 60000 / elapsed_ms;
        pace->counted = 0;
        pace->counted_since_ms = now_ms;
    }
}

void phos__pace_throttled(struct phos__pace *pace, uint64_t now_ms)
{
    uint64_t elapsed_ms = phos__sub_sat_u64(now_ms, pace->counted_since_ms);
    uint64_t from;

    refill(pace, now_ms);
    if (pace->learned && now_ms - pace->learned_at_ms < LEARNED_AGAIN_MS)
        return;
    from = rate(pace);
    if (!pace->learned) {
        /* What went through of late; the running count when that is more. */
        uint64_t counted =
            pace->counted * 60000 / phos__max_u64(elapsed_ms, COUNT_MS);
        uint64_t recent = phos__max_u64(pace->recent, counted);

        /* Nothing went through: there is no rate to learn from. */
        if (recent == 0)
            return;
        from = from ? phos__min_u64(from, recent) : recent;
    }
    pace->learned = phos__max_u64(from - from / 3, LEARNED_MIN);
    pace->learned_first = pace->learned;
    pace->learned_at_ms = now_ms;
    pace->tokens = phos__min_u64(pace->tokens, burst_tokens(pace));
}
