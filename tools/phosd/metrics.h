/*
 * metrics - what the collector counts of itself, for GET /metrics. Numbers and
 * fixed words alone: no key, no payload, nothing that a client has chosen.
 *
 * Any thread adds; who reads sees each number as it was at some moment lately.
 */
#ifndef PHOSD_METRICS_H
#define PHOSD_METRICS_H

#include "exchange.h"

enum {
    PHOSD_METRIC_ROUTES = 24, /* more than there are */
    PHOSD_METRIC_STATUSES = 20,
    PHOSD_METRIC_BUCKETS = 12,
};

struct phosd_histogram {
    _Atomic uint64_t buckets[PHOSD_METRIC_BUCKETS]; /* the last: above all */
    _Atomic uint64_t sum;
};

/* Starts zeroed. */
struct phosd_metrics {
    _Atomic(const char *) routes[PHOSD_METRIC_ROUTES]; /* in order of sight */
    _Atomic uint64_t requests[PHOSD_METRIC_ROUTES + 1][PHOSD_METRIC_STATUSES];
    _Atomic uint64_t unanswered;
    _Atomic uint64_t accepted, duplicates;
    _Atomic uint64_t invalid, limited, unavailable; /* events refused */
    _Atomic uint64_t commits_failed;
    _Atomic uint64_t deleted_age, deleted_size;
    struct phosd_histogram commit_events;
    struct phosd_histogram commit_us;
};

/* What is read at the moment of asking. */
struct phosd_gauges {
    uint64_t writes_waiting, reads_waiting;
    uint64_t database_bytes, log_bytes;
    uint64_t rows;      /* the last row there is */
    uint64_t unindexed; /* of them, not in the text index yet, about */
    const char *sqlite; /* its version */
};

/* An exchange is over; a status of 0: without an answer. */
void phosd_metrics_answered(struct phosd_metrics *metrics,
                            const struct phosd_exchange *exchange);

void phosd_metrics_committed(struct phosd_metrics *metrics, uint64_t events,
                             uint64_t spent_us);
void phosd_metrics_deleted(struct phosd_metrics *metrics, bool by_size,
                           uint64_t events);
void phosd_metrics_commit_failed(struct phosd_metrics *metrics);

/* OpenMetrics text, with its end. */
void phosd_metrics_render(struct phosd_metrics *metrics,
                          const struct phosd_gauges *gauges,
                          struct phos__buffer *buffer);

/* The Content-Type of that text. */
extern const char phosd_metrics_type[];

#endif
