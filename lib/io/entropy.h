/*
 * entropy - the kernel's random source.
 */
#ifndef PHOS_IO_ENTROPY_H
#define PHOS_IO_ENTROPY_H

#include "core/ports.h"

/* PHOS_OK or PHOS_E_SYSTEM. */
phos_status phos__entropy_fill(void *to, size_t bytes);

/* A fast generator for jitter, seeded from the kernel; not for secrets.
 * `state` is the caller's and must outlive the port. */
phos_status phos__random_port_seed(uint64_t state[4],
                                   struct phos__random_port *ret_port);

#endif
