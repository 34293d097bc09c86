/*
 * memory_transport - a service inside the test: a transport that answers from
 * a script and keeps what was delivered. It answers inside submit, unless it
 * is told to hold its answers back.
 */
#ifndef TEST_CLIENT_MEMORY_TRANSPORT_H
#define TEST_CLIENT_MEMORY_TRANSPORT_H

#include <jansson.h>
#include <pthread.h>

#include "phos/transport.h"

enum { MEMORY_HELD_MAX = 32 };

struct memory_transport {
    phos_transport transport;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* The answer to request `number` (from 0): an HTTP status, or a negative
     * phos_exchange. NULL: 201. */
    int (*script)(struct memory_transport *service, unsigned number,
                  const phos_request *request);
    const char *content_type, *reply_body;
    phos_obstacle obstacle;  /* told with a negative answer */
    const char *retry_after; /* sent with every answer that is not 2xx */
    bool holds;              /* answers wait for memory_transport_let_go() */

    unsigned request_count;
    unsigned event_count; /* in requests that were answered 2xx */
    json_t *events;       /* of those, in order of arrival */
    bool keeps_events;    /* false: only counted */
    char last_authorization[256];
    struct {
        uint64_t id;
        phos_reply_fn *on_reply;
        void *reply_data;
    } held[MEMORY_HELD_MAX];
    unsigned held_count;
};

void memory_transport_init(struct memory_transport *service);
void memory_transport_deinit(struct memory_transport *service);
/* Waits until n events were answered 2xx; fails the test after 10 s. */
void memory_transport_await(struct memory_transport *service, unsigned n);
/* Waits until n requests have come; fails the test after 10 s. */
void memory_transport_await_requests(struct memory_transport *service,
                                     unsigned n);
/* Answers what is held with `status`, and holds nothing back any more. */
void memory_transport_let_go(struct memory_transport *service, int status);

#endif
