/*
 * log - the calls that cost about as much as copying the bytes: check, size,
 * reserve, claim, copy, publish.
 */
#ifndef PHOS_CLIENT_LOG_H
#define PHOS_CLIENT_LOG_H

#include "client/sieve.h"
#include "phos/worker.h"
#include "queue/rejections.h"
#include "queue/ring.h"

/* What a log call needs, on lines that nobody writes. */
struct phos__logger {
    struct phos__ring ring;
    struct phos__sieve sieve;
    struct phos__rejections *rejections;          /* of events */
    struct phos__rejections *feedback_rejections; /* of feedback */
    phos_worker *worker; /* makes the room that others wait for */
    phos_clock clock;    /* resolved */
    uint32_t event_bytes_max;
    uint32_t full_wait_ms;
    phos_oversize oversize;
    struct phos__tally *tally;
};

/* As phos_client_log(). */
phos_status phos__log(struct phos__logger *logger, const phos_event *event,
                      phos_event_id *ret_id);
/* As phos_client_feedback(); never waits for room. */
phos_status phos__log_feedback(struct phos__logger *logger,
                               const phos_event_id *id, phos_flag flag,
                               phos_str comment, phos_str source);

#endif
