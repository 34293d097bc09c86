/*
 * ingest - from request bodies to rows. Checks everything before anything is
 * stored, and names the place of what is wrong:
 *
 *     events[3].metadata.latency_ms: expected an integer
 *
 * Source: ingestion API, event and feedback payload schemas.
 */
#ifndef PHOSD_INGEST_H
#define PHOSD_INGEST_H

#include <jansson.h>

#include "store.h"

enum { PHOSD_BATCH_EVENTS_MAX = 100, PHOSD_INGEST_ERROR_BYTES = 256 };

struct phosd_batch {
    struct phosd_event *events; /* `count` of them, into what follows */
    size_t count;
    phos_str *tags;
    json_t *root;
    struct phos__buffer metadata;
    char error[PHOSD_INGEST_ERROR_BYTES]; /* when reading returned false */
};

/* One event object, or {"events": [...]}. Events without a time get
 * `received_us`, events without an id a new one. */
bool phosd_batch_read(struct phosd_batch *batch, phos_str body, bool single,
                      int64_t received_us);
void phosd_batch_deinit(struct phosd_batch *batch);

struct phosd_feedback_body {
    struct phosd_feedback feedback; /* into `root` */
    json_t *root;
    char error[PHOSD_INGEST_ERROR_BYTES];
};

bool phosd_feedback_read(struct phosd_feedback_body *body, phos_str text);
void phosd_feedback_deinit(struct phosd_feedback_body *body);

#endif
