/*
 * activation - listening sockets that systemd opened and hands over.
 *
 * Source: sd_listen_fds(3).
 */
#ifndef PHOSD_ACTIVATION_H
#define PHOSD_ACTIVATION_H

#include "address.h"

/* Whether the environment says that there are any for this process. */
bool phosd_activation_is_there(void);

/*
 * Takes them, `count_max` at most, and clears the environment, so that no
 * child takes them too. false: *error says which one cannot be used.
 */
bool phosd_activation_take(struct phosd_socket *sockets, size_t count_max,
                           size_t *ret_count, phos_error *error);

#endif
