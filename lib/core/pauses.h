/*
 * pauses - the times that do not count as age: delivery was refused by the
 * configuration, and no event can help that. The last sixteen are remembered;
 * one that is forgotten counts as age.
 */
#ifndef PHOS_CORE_PAUSES_H
#define PHOS_CORE_PAUSES_H

#include <stdbool.h>
#include <stdint.h>

enum { PHOS__PAUSES_MAX = 16 };

struct phos__pauses {
    bool is_paused;
    uint64_t since_ms; /* while is_paused */
    uint32_t count;    /* ever; the last PHOS__PAUSES_MAX are kept */
    struct {
        uint64_t begin_ms, end_ms;
    } kept[PHOS__PAUSES_MAX];
};

void phos__pauses_begin(struct phos__pauses *pauses, uint64_t now_ms);
void phos__pauses_end(struct phos__pauses *pauses, uint64_t now_ms);
/* From then to now, pauses left out. */
uint64_t phos__pauses_age_ms(const struct phos__pauses *pauses,
                             uint64_t then_ms, uint64_t now_ms);

#endif
