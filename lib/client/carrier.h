/*
 * carrier - what clients and services stand on: a worker, shared or their own,
 * and a transport on its loop, libcurl's or the application's.
 */
#ifndef PHOS_CLIENT_CARRIER_H
#define PHOS_CLIENT_CARRIER_H

#include "client/worker.h"
#include "io/http.h"

struct phos__carrier {
    phos_worker *worker;
    const phos_transport *transport;
    struct phos__http *http; /* NULL: the application's transport */
};

/*
 * worker     NULL: one of its own, with this allocator
 * transport  NULL: libcurl, as `http` says
 *
 * Returns PHOS_OK, PHOS_E_FORKED, PHOS_E_NO_MEMORY, PHOS_E_SYSTEM. On failure
 * there may be half of it, for phos__carrier_close().
 */
phos_status phos__carrier_open(struct phos__carrier *carrier,
                               phos_worker *worker,
                               const phos_transport *transport,
                               const struct phos__http_options *http,
                               const phos_allocator *allocator);
/* Of one whose member never joined. Takes half-built and zeroed ones. */
void phos__carrier_close(struct phos__carrier *carrier);
/* On the worker's thread, of a member that is leaving: requests under way on
 * libcurl are answered. */
void phos__carrier_hang_up(struct phos__carrier *carrier);

#endif
