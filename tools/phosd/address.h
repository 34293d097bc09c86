/*
 * address - from "127.0.0.1:8787" to a listening socket.
 */
#ifndef PHOSD_ADDRESS_H
#define PHOSD_ADDRESS_H

#include <sys/types.h>

#include "phos/base.h"

enum { PHOSD_ADDRESS_BYTES = 128 };

struct phosd_socket {
    int fd;         /* listening, not blocking, closed on exec */
    uint16_t port;  /* 0: a Unix socket */
    bool loopback;  /* nothing travels beyond this machine */
    bool inherited; /* from systemd, which goes on listening on it */
    bool is_ours;   /* a Unix socket's file that this process made */
    dev_t device;   /* of that file */
    ino_t inode;
    /* host:port as it stands in a URL, or unix:path */
    char name[PHOSD_ADDRESS_BYTES];
};

/* Whether it can be split into a host and a port; looks nothing up. */
bool phosd_address_is_whole(const char *address);

/* host:port or [v6]:port; port 0 takes any free one. false: *error says why. */
bool phosd_address_open(const char *address, struct phosd_socket *ret_socket,
                        phos_error *error);

/* Sets port, loopback and name from what ->fd is bound to. */
bool phosd_address_describe(struct phosd_socket *socket);

#endif
