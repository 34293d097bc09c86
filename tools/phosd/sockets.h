/*
 * sockets - all that one phosd listens on: what systemd handed over, then what
 * the options name.
 */
#ifndef PHOSD_SOCKETS_H
#define PHOSD_SOCKETS_H

#include "config.h"
#include "unix_socket.h"

struct phosd_sockets {
    struct phosd_socket list[PHOSD_LISTEN_MAX];
    size_t count;
};

/* Says on standard error what cannot work; opens nothing. */
bool phosd_sockets_check(const struct phosd_config *config);

/* All or none. false: *error says why. */
bool phosd_sockets_open(const struct phosd_config *config,
                        struct phosd_sockets *ret_sockets, phos_error *error);

/* The TCP port that was taken; 0 without one. */
uint16_t phosd_sockets_port(const struct phosd_sockets *sockets);

/* The files of Unix sockets, before the descriptors are closed. */
void phosd_sockets_remove(const struct phosd_sockets *sockets);

#endif
