/*
 * exchange - one request and its reply, on its way between the listener, which
 * knows HTTP, and the routes, which know what it means. At any time it belongs
 * to one thread: the listener's, or, while its connection is suspended, the
 * store's.
 */
#ifndef PHOSD_EXCHANGE_H
#define PHOSD_EXCHANGE_H

#include "head.h"
#include "reply.h"

struct phosd_exchange {
    char *target; /* path and query as sent, never decoded */
    const char *method;
    struct phosd_head head;
    struct phos__buffer body;
    struct phosd_reply reply;

    void *work; /* the routes' own; freed by their `forget` */

    /* What is told of it in metrics and in the access log. */
    const char *route;   /* a literal; NULL: none */
    int64_t project_id;  /* 0: none */
    uint32_t events;     /* in the body, as far as it could be read */
    uint32_t duplicates; /* of them, once stored */
    uint64_t began_us;   /* monotonic: the request line was in */
    uint64_t reply_bytes;
};

/* What the listener asks of the one who knows the routes. */
struct phosd_handler {
    /* The head is in. Sets reply.status to refuse; the body is then read, so
     * that the client sees the reply, and thrown away. */
    void (*head)(void *user_data, struct phosd_exchange *exchange);
    /* The body is in. Sets reply.status, or leaves it 0 to go on with
     * `submit`. */
    void (*body)(void *user_data, struct phosd_exchange *exchange);
    /* The connection waits; another thread ends that with
     * phosd_exchange_finish(), perhaps before this returns. */
    void (*submit)(void *user_data, struct phosd_exchange *exchange);
    /* The reply stands and goes out; or, with reply.status 0, the connection
     * ended before. Once. */
    void (*answered)(void *user_data, const struct phosd_exchange *exchange);
    /* The exchange is over, however it ended. */
    void (*forget)(void *user_data, struct phosd_exchange *exchange);
    void *user_data;
};

/* The reply of a submitted exchange stands. Any thread, once. */
void phosd_exchange_finish(struct phosd_exchange *exchange);

#endif
