/*
 * fault_server - an ingestion service that misbehaves on request. Raw sockets,
 * a thread for each connection, a port of its own choosing on 127.0.0.1 or a
 * Unix socket.
 *
 *   first byte ──► plan(number) ──► read ──► answer(request) ──► store ──►
 * reply what is decided before    what is decided      stalls, cuts, anything
 * is read          by what was read     resets, noise
 *
 * The two functions of the script fill in one struct fault_plan; left as it
 * is, it answers 201. Everything that arrives is kept, so that a test can say
 * what arrived, how often, and what never did.
 */
#ifndef TEST_HARNESS_FAULT_SERVER_H
#define TEST_HARNESS_FAULT_SERVER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fault_server;

/* Where an exchange stands still. */
enum fault_stall {
    FAULT_STALL_NONE,
    FAULT_STALL_BEFORE_READING,
    FAULT_STALL_IN_REQUEST, /* when half of its body has been read */
    FAULT_STALL_BEFORE_STATUS,
    FAULT_STALL_IN_HEAD,
    FAULT_STALL_IN_BODY,
    FAULT_STALL_BEFORE_EXTRA
};

enum fault_store {
    FAULT_STORE_BY_STATUS, /* if the status is 2xx, whatever becomes of the
                              reply on its way */
    FAULT_STORE_ALWAYS,
    FAULT_STORE_NEVER
};

/* No limit, for the two cuts. */
#define FAULT_NEVER SIZE_MAX

/* How one request is treated. Texts are the script's and outlive the server. */
struct fault_plan {
    int status;          /* default 201 */
    const char *headers; /* further lines, each with "\r\n"; NULL: none */
    const char *body;    /* NULL: a small JSON object */
    const char *extra;   /* bytes behind the reply, in one piece with its end
                            but for a stall; NULL: none */
    enum fault_store store;

    enum fault_stall stall;
    uint32_t stall_ms; /* 0: until fault_server_release() or stop */

    /* Closes the connection after so many bytes. Before the reply, the request
     * has been read no further than that. */
    size_t cut_request_after, cut_reply_after;
    bool closes; /* after the reply, without saying so */
    bool resets; /* closes by RST instead of FIN */

    bool is_garbage;       /* bytes that are no HTTP at all */
    bool is_chunked;       /* the body, in two chunks and a trailer */
    bool has_endless_head; /* header lines for ever */
    bool has_endless_body; /* of chunks, for ever */
    bool answers_early;    /* after the head, the body unread; then closes */
    bool sends_page;       /* 200 and a web page instead of what was asked */
    int interim;           /* so many 100 Continue first; -1: for ever */
    uint32_t byte_ms; /* the reply goes out byte by byte, with this pause */
};

struct fault_header {
    char *name, *value;
};

/* A request as it was read. */
struct fault_request {
    uint64_t number;     /* from 1, in the order of their first bytes */
    uint64_t connection; /* from 1 */
    uint64_t at_us;      /* monotonic, of the first byte */
    char *method, *path; /* NULL: was not read that far */
    struct fault_header *headers;
    size_t header_count;
    char *body; /* unpacked; NULL: was not read that far */
    size_t body_bytes;
    size_t body_bytes_packed; /* as it travelled */
    json_t *events;           /* array; NULL: the body holds none */
    json_t *feedback;         /* object; NULL: the body is none */
    int status;               /* of the reply; 0: none, or one that is cut */
};

typedef void fault_plan_fn(void *user_data, uint64_t number,
                           struct fault_plan *plan);
/* Threads: one at a time. */
typedef void fault_answer_fn(void *user_data,
                             const struct fault_request *request,
                             struct fault_plan *plan);

struct fault_options {
    fault_plan_fn *plan;     /* NULL: none */
    fault_answer_fn *answer; /* NULL: none */
    void *user_data;
    const char *unix_path; /* listens here instead of on a port */
    uint16_t port;         /* 0: any */
    bool accepts_nothing;  /* a connection is never established: the queue of
                              the listener is kept full */
    bool is_silent;        /* takes connections and only collects bytes */
};

/* NULL: no socket or thread to be had. */
struct fault_server *fault_server_start(const struct fault_options *options);
/* Closes everything at once, whatever stalls. What was recorded stays. */
void fault_server_stop(struct fault_server *server);
/* Stops, and forgets what was recorded. Takes NULL. */
void fault_server_free(struct fault_server *server);

uint16_t fault_server_port(const struct fault_server *server);
/* "http://127.0.0.1:port" */
const char *fault_server_url(const struct fault_server *server);

/* Ends the stalls of now and later. */
void fault_server_release(struct fault_server *server);
/* Waits until so many requests have begun, been answered; false: 30 s passed.
 */
bool fault_server_wait_begun(struct fault_server *server, uint64_t count);
bool fault_server_wait_answered(struct fault_server *server, uint64_t count);
/* Until so many connections have been closed by the server. */
bool fault_server_wait_closed(struct fault_server *server, uint64_t count);

/* ---- what arrived ---- */

uint64_t fault_server_connections(struct fault_server *server);
uint64_t fault_server_closed(struct fault_server *server); /* of those, by us */
uint64_t fault_server_requests(struct fault_server *server);
/* Request `index`, from 0; what it points to lives as long as the server. */
struct fault_request fault_server_request(struct fault_server *server,
                                          uint64_t index);
/* NULL: has none. Names in any case. */
const char *fault_request_header(const struct fault_request *request,
                                 const char *name);
uint64_t fault_server_by_status(struct fault_server *server, int status);

/* Different events stored; times events were stored, repeats included. */
size_t fault_server_events(struct fault_server *server);
uint64_t fault_server_arrivals(struct fault_server *server);
/* Times the event of this id was stored; was part of any request. */
unsigned fault_server_stored(struct fault_server *server, const char *id);
unsigned fault_server_sent(struct fault_server *server, const char *id);
/* The most that any one event was sent. */
unsigned fault_server_sent_most(struct fault_server *server);
/* The event as stored first, a reference of the caller's; NULL: never. */
json_t *fault_server_event(struct fault_server *server, const char *id);
/* All of them, an object by id, a reference of the caller's. */
json_t *fault_server_all_events(struct fault_server *server);
/* What was stored as feedback, an array in the order of arrival, repeats
 * included; a reference of the caller's. */
json_t *fault_server_feedback(struct fault_server *server);
/* Requests with feedback on an event that was not stored by then. */
uint64_t fault_server_early_feedback(struct fault_server *server);
/* Waits until so much was stored; false: 30 s passed. */
bool fault_server_wait_feedback(struct fault_server *server, uint64_t count);
/* Whether these bytes came in anywhere (of the first 4 MiB). */
bool fault_server_saw(struct fault_server *server, const void *bytes,
                      size_t count);

#endif
