/*
 * sieve - which events a client keeps. Looked at before anything else in a log
 * call, and by no client that keeps everything.
 */
#ifndef PHOS_CLIENT_SIEVE_H
#define PHOS_CLIENT_SIEVE_H

#include "base/siphash.h"
#include "phos/client.h"
#include "queue/flag.h"
#include "queue/tally.h"

struct phos__sieve {
    bool is_active; /* else it keeps everything, and nothing below counts */
    bool keeps_nothing;
    uint64_t threshold;           /* hashes below it are kept */
    struct phos__siphash_key key; /* of this client, for events without id */
    struct phos__flag *closed;
    struct phos__tally *tally;
};

/*
 * `rate` is 0 to 1; `closed` and `tally` are borrowed for as long as it is
 * used; `key` is random.
 */
void phos__sieve_init(struct phos__sieve *sieve, bool enabled, double rate,
                      const struct phos__siphash_key *key,
                      struct phos__flag *closed, struct phos__tally *tally);

/*
 * Async-signal-safe; allocates nothing.
 *
 * Returns PHOS_OK, PHOS_DISCARDED, which it has counted, or PHOS_E_CLOSED.
 */
phos_status phos__sieve_pass(const struct phos__sieve *sieve,
                             const phos_event *event);

#endif
