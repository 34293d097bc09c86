/*
 * ceiling - how large a body may be: the configured limit, lowered by 413 and
 * by uploads that stall, growing back slowly.
 *
 * It creeps towards what was last refused without reaching it; after many
 * successes up there, what was refused is forgotten bit by bit, because a proxy
 * that was in the way may be gone.
 */
#ifndef PHOS_CORE_CEILING_H
#define PHOS_CORE_CEILING_H

#include <stdint.h>

struct phos__ceiling {
    uint32_t limit;     /* configured */
    uint32_t bytes;     /* now; <= limit */
    uint32_t refused;   /* least size known to be too large; > bytes */
    uint32_t successes; /* near the ceiling, since it was last tested */
};

void phos__ceiling_init(struct phos__ceiling *ceiling, uint32_t limit);
void phos__ceiling_refused(struct phos__ceiling *ceiling, uint32_t body_bytes);
void phos__ceiling_succeeded(struct phos__ceiling *ceiling,
                             uint32_t body_bytes);

#endif
