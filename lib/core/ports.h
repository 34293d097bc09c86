/*
 * ports - the tables of functions through which the worker's pipeline reaches
 * the world. io/ fills them with the real one, test/sim/ with a virtual one.
 * The transport is the public one (phos/transport.h); the wake-up is the
 * ring's eventfd.
 */
#ifndef PHOS_CORE_PORTS_H
#define PHOS_CORE_PORTS_H

#include "phos/transport.h"

struct phos__clock_port {
    void *self;
    uint64_t (*monotonic_us)(void *self);
    uint64_t (*wall_us)(void *self);   /* Unix time */
    uint64_t (*log_clock)(void *self); /* what a log call would read now */
    uint64_t log_clock_per_us; /* its ticks in a microsecond; 0: unknown, to be
                                  measured against monotonic_us */
};

struct phos__random_port {
    void *self;
    uint64_t (*next)(void *self);
};

struct phos__ports {
    struct phos__clock_port clock;
    struct phos__random_port random;
    const phos_transport *transport;
};

#endif
