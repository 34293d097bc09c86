/*
 * target - a client that is open towards the sink, and the check at the end
 * that all that was logged has arrived there.
 */
#ifndef BENCH_TARGET_H
#define BENCH_TARGET_H

#include <phos/phos.h>

#include "sink.h"

/* Defaults, but for what `adjust` changes; NULL: nothing. Fails loudly. */
phos_client *target_open(const struct sink *sink,
                         void (*adjust)(phos_options *options, void *user_data),
                         void *user_data);

/*
 * Closes and frees. Fails unless every one of `logged` events was delivered,
 * the client and the sink agree on that, and no request was refused or sent
 * again.
 */
void target_close(phos_client *client, const struct sink *sink,
                  uint64_t events_before, uint64_t logged);

#endif
