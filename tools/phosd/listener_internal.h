/*
 * listener_internal - what listener.c and listener_request.c share.
 */
#ifndef PHOSD_LISTENER_INTERNAL_H
#define PHOSD_LISTENER_INTERNAL_H

#include <microhttpd.h>
#include <pthread.h>

#include "config.h"
#include "listener.h"

enum phase {
    PHASE_OPEN,
    PHASE_IDLE,
    PHASE_HEAD,
    PHASE_BODY,
    PHASE_STORE,
    PHASE_REPLY
};

/* One connection, as the sweep sees it. Guarded by the listener's mutex. */
struct line {
    struct line *next, *previous;
    int fd;
    enum phase phase;
    uint64_t since_ms;
    uint64_t bytes; /* body: received since then; reply: to be sent */
};

struct phosd_listener {
    struct phosd_listener_options options;
    /* One for each socket; they share all else. */
    struct MHD_Daemon *daemons[PHOSD_LISTEN_MAX];
    bool inherited[PHOSD_LISTEN_MAX]; /* others listen on the socket too */
    /* The listening sockets, ours to close after drain. */
    MHD_socket quiesced[PHOSD_LISTEN_MAX];
    size_t count;
    pthread_mutex_t mutex;
    struct line lines;     /* ring with this as its anchor */
    pthread_cond_t calmed; /* `active` or `submitted` has become 0 */
    unsigned active;       /* exchanges */
    unsigned submitted;    /* of them, in others' hands */
    size_t bodies_bytes;
    bool draining; /* each reply is its connection's last */
    bool closed;   /* no exchange begins, none is submitted */
};

/* The listener's side of an exchange. */
struct link {
    struct phosd_exchange exchange; /* first: one address serves both */
    struct phosd_listener *listener;
    struct MHD_Connection *connection;
    struct line *line;
    size_t discarded;
    bool head_seen;
    bool asked;
    bool answered;
};

/* The HTTP library's calls; `user_data` is the listener. */
void phosd_listener_connection(void *user_data,
                               struct MHD_Connection *connection,
                               void **line_slot,
                               enum MHD_ConnectionNotificationCode code);
void *phosd_listener_target(void *user_data, const char *target,
                            struct MHD_Connection *connection);
enum MHD_Result phosd_listener_request(void *user_data,
                                       struct MHD_Connection *connection,
                                       const char *url, const char *method,
                                       const char *version, const char *data,
                                       size_t *data_bytes, void **link_slot);
void phosd_listener_completed(void *user_data,
                              struct MHD_Connection *connection,
                              void **link_slot,
                              enum MHD_RequestTerminationCode code);

#endif
