/*
 * routes - what each path means. Knows neither HTTP's letters nor SQL.
 */
#ifndef PHOSD_ROUTES_H
#define PHOSD_ROUTES_H

#include "exchange.h"
#include "store.h"

struct phosd_routes {
    struct phosd_store *store;
    struct phosd_keys *keys;
    struct phosd_metrics *metrics;
    struct phosd_access_log *access_log; /* NULL: none */
    bool metrics_open;                   /* without a key */
    size_t body_bytes_max;
};

/* The handler for the listener; `routes` must outlive it. */
struct phosd_handler phosd_routes_handler(struct phosd_routes *routes);

#endif
