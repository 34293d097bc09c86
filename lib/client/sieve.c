#include "client/sieve.h"

phos_status phos__sieve_pass(const struct phos__sieve *sieve,
                             const phos_event *event)
{
    if (!event)
        return PHOS_E_INVALID;
    if (phos__flag_get(sieve->closed))
        return PHOS_E_CLOSED;
    phos__tally_add(&sieve->tally->disabled);
    return PHOS_DISCARDED;
}
