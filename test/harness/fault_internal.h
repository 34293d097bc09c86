/*
 * fault_internal - what the parts of the fault server share.
 */
#ifndef TEST_HARNESS_FAULT_INTERNAL_H
#define TEST_HARNESS_FAULT_INTERNAL_H

#include <pthread.h>

#include "harness/fault_server.h"

struct fault_connection {
    struct fault_server *server;
    struct fault_connection *next;
    pthread_t thread;
    int fd;
    uint64_t number;
    bool is_over; /* the thread is about to end; guarded by the lock */

    char *in; /* read, not yet used */
    size_t in_bytes, in_capacity;
    size_t request_bytes; /* read of the request at hand */
};

struct fault_server {
    struct fault_options options;
    int listener;
    int stop_fd, release_fd; /* readable: stop; stalls end */
    int fillers[64];         /* connections that keep the queue full */
    size_t filler_count;
    uint16_t port;
    char url[64];
    pthread_t thread;
    bool is_running;

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    struct fault_connection *connections;
    uint64_t connection_count, closed_count;
    struct fault_request **requests;
    uint64_t request_count, answered_count;
    uint64_t by_status[1000];
    json_t *events; /* id: {"stored": n, "sent": n, "event": {…}} */
    size_t event_count;
    uint64_t arrivals;
    json_t *feedback; /* array */
    uint64_t feedback_count, early_feedback;
    char *raw;
    size_t raw_bytes;
};

/* ---- fault_server.c ---- */

/* A request's first byte is there: numbers it. false: no memory. */
bool fault__request_begin(struct fault_connection *connection,
                          struct fault_request *ret_request);
/* Takes over what was read of it, and stores its events if `is_stored`. */
void fault__request_end(struct fault_server *server,
                        const struct fault_request *request, bool is_stored);
void fault__raw(struct fault_server *server, const void *bytes, size_t count);

/* ---- fault_connection.c ---- */

void *fault__serve(void *connection);

/* ---- fault_reply.c ---- */

/* Waits `ms` (0: for ever) or until released; false: the server stops or the
 * peer has gone. */
bool fault__pause(struct fault_connection *connection, uint32_t ms);
/* Sends the reply as planned. Returns whether the connection may go on. */
bool fault__reply(struct fault_connection *connection,
                  const struct fault_plan *plan);

#endif
