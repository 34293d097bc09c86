#include "client/sieve.h"

#include <assert.h>

/*
 * "libphos sampling" as the bytes of a key. Published, and never to change:
 * processes of any version and on any machine keep the same sessions.
 */
static const struct phos__siphash_key shared_key = {
    UINT64_C(0x20736f687062696c), UINT64_C(0x676e696c706d6173)
};

void phos__sieve_init(struct phos__sieve *sieve, bool enabled, double rate,
                      const struct phos__siphash_key *key,
                      struct phos__flag *closed, struct phos__tally *tally)
{
    assert(rate >= 0 && rate <= 1);
    sieve->is_active = !enabled || rate < 1;
    sieve->keeps_nothing = !enabled;
    /* 2^64 times the rate: exact, and below 2^64 where it is used. */
    sieve->threshold = rate < 1 ? (uint64_t)(rate * 18446744073709551616.0) : 0;
    sieve->key = *key;
    sieve->closed = closed;
    sieve->tally = tally;
}

static uint64_t hash_of(const struct phos__sieve *sieve,
                        const phos_event *event)
{
    uint64_t number;

    if (event->session_id.data && event->session_id.length)
        return phos__siphash64(&shared_key, event->session_id.data,
                               event->session_id.length);
    if (event->event_id)
        return phos__siphash64(&shared_key, event->event_id->bytes,
                               sizeof(event->event_id->bytes));
    /* A key of this client's own, or else every short program would make the
     * same choice for its first event. */
    number = phos__tally_add(&sieve->tally->nameless);
    return phos__siphash64(&sieve->key, &number, sizeof(number));
}

phos_status phos__sieve_pass(const struct phos__sieve *sieve,
                             const phos_event *event)
{
    if (!event)
        return PHOS_E_INVALID;
    if (phos__flag_get(sieve->closed))
        return PHOS_E_CLOSED;
    if (sieve->keeps_nothing) {
        phos__tally_add(&sieve->tally->disabled);
        return PHOS_DISCARDED;
    }
    if (event->struct_size < sizeof(*event))
        return PHOS_E_INVALID;
    if (hash_of(sieve, event) < sieve->threshold)
        return PHOS_OK;
    phos__tally_add(&sieve->tally->sampled);
    return PHOS_DISCARDED;
}
