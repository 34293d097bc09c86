#include "core/pauses.h"

#include "base/saturate.h"

void phos__pauses_begin(struct phos__pauses *pauses, uint64_t now_ms)
{
    if (pauses->is_paused)
        return;
    pauses->is_paused = true;
    pauses->since_ms = now_ms;
}

void phos__pauses_end(struct phos__pauses *pauses, uint64_t now_ms)
{
    uint32_t place = pauses->count % PHOS__PAUSES_MAX;

    if (!pauses->is_paused)
        return;
    pauses->is_paused = false;
    pauses->kept[place].begin_ms = pauses->since_ms;
    pauses->kept[place].end_ms = now_ms;
    pauses->count++;
}

static uint64_t overlap_ms(uint64_t begin_ms, uint64_t end_ms, uint64_t then_ms)
{
    return phos__sub_sat_u64(end_ms, phos__max_u64(begin_ms, then_ms));
}

uint64_t phos__pauses_age_ms(const struct phos__pauses *pauses,
                             uint64_t then_ms, uint64_t now_ms)
{
    uint64_t paused_ms = 0;
    uint32_t kept =
        pauses->count < PHOS__PAUSES_MAX ? pauses->count : PHOS__PAUSES_MAX;

    for (uint32_t i = 0; i < kept; i++)
        paused_ms += overlap_ms(pauses->kept[i].begin_ms,
                                pauses->kept[i].end_ms, then_ms);
    if (pauses->is_paused)
        paused_ms += overlap_ms(pauses->since_ms, now_ms, then_ms);
    return phos__sub_sat_u64(phos__sub_sat_u64(now_ms, then_ms), paused_ms);
}
