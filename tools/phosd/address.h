/*
 * address - from "127.0.0.1:8787" to a listening socket.
 */
#ifndef PHOSD_ADDRESS_H
#define PHOSD_ADDRESS_H

#include "phos/base.h"

enum { PHOSD_ADDRESS_BYTES = 80 };

struct phosd_socket {
    int fd; /* listening, not blocking, closed on exec */
    uint16_t port;
    bool loopback;
    char name[PHOSD_ADDRESS_BYTES]; /* host:port as it stands in a URL */
};

/* Whether it can be split into a host and a port; looks nothing up. */
bool phosd_address_is_whole(const char *address);

/* host:port or [v6]:port; port 0 takes any free one. false: *error says why. */
bool phosd_socket_open(const char *address, struct phosd_socket *ret_socket,
                       phos_error *error);

#endif
