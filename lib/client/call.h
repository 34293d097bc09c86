/*
 * call - one request to a service, from asking for it to its result: what was
 * asked, how far it is, and what came back. Which of its attempts follows
 * which is service.c's business.
 */
#ifndef PHOS_CLIENT_CALL_H
#define PHOS_CLIENT_CALL_H

#include <pthread.h>
#include <time.h>

#include "base/buffer.h"
#include "client/credential.h"
#include "core/repeat.h"
#include "wire/problem.h"

enum {
    PHOS__CALL_HEADERS_MAX = 32, /* given by service and by call, each */
    PHOS__CALL_REDIRECTS_MAX = 5
};

/* An answer, copied, so that it outlives the transport's call. */
struct phos__kept_reply {
    phos_exchange exchange;
    int http_status;
    struct phos__buffer text; /* body, names and values */
    phos_header *headers;
    size_t header_count;
    phos_str body;
    bool body_cut;
    phos_error error;
};

/* What takes the body of an answer that is a stream; the worker's thread. */
struct phos__call_taker {
    phos_flow (*take)(struct phos_stream *stream, const phos_reply *head,
                      phos_str piece);
    /* The body has ended in order; false: something is not taken yet. */
    bool (*end)(struct phos_stream *stream);
    void (*destroy)(struct phos_stream *stream);
};

struct phos_call {
    phos_allocator allocator;
    const volatile uint32_t *generation_page;
    uint32_t generation;

    /* any thread, under the lock */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* is_done */
    unsigned holders;       /* the caller, and the service until it is done */
    bool is_done;
    phos_service *service; /* until it is done */

    /* any thread, under the service's lock */
    bool is_cancelled;
    bool is_cancel_told; /* to the transport */
    bool wants_resume;   /* of a stream */
    bool is_held;        /* its body has ended, and is not all taken */
    struct phos_call *previous, *next; /* in one of the service's lists */

    /* what was asked; set before others see the call */
    struct phos__buffer text; /* method, url, body and headers lie in it */
    phos_str method, origin, body;
    phos_str url;
    phos_header *headers; /* the first is the credential's place, if it has one
                           */
    size_t header_count;
    bool has_credential;
    uint32_t timeout_ms, reply_bytes_max;
    phos_retry retry;
    bool is_safe;
    phos_call_fn *on_done;
    void *user_data;
    const struct phos__call_taker *taker; /* NULL: the body is kept */
    struct phos_stream *stream;
    uint32_t idle_timeout_ms;

    /* the worker's */
    uint64_t begun_ms, due_ms;
    uint32_t attempts, redirects;
    struct phos__credential *credential; /* of the last attempt, a copy */
    phos_request request;
    struct phos__buffer moved_url; /* after a redirect */
    struct phos__kept_reply reply; /* of the last attempt */
    bool was_shown;                /* something, to the taker of its stream */
    bool was_stopped;              /* by that */
    phos_error stream_error;       /* what the taker found wrong */
    struct phos__problems problems;
    phos_result result;
};

/* What a service lends to each of its calls. */
struct phos__call_ground {
    phos_allocator allocator;
    const volatile uint32_t *generation_page;
    phos_str base_url, origin; /* the origin begins the base URL */
    const char *auth_header;   /* NULL: none */
    const phos_header *headers;
    size_t header_count;
    uint32_t timeout_ms, reply_bytes_max;
    phos_retry retry;
};

/* Checks and copies what is asked. One holder. Returns PHOS_OK,
 * PHOS_E_INVALID, PHOS_E_NO_MEMORY. */
phos_status phos__call_create(const struct phos__call_ground *ground,
                              phos_str method, phos_str path, phos_str body,
                              const phos_call_options *options,
                              struct phos_call **ret_call);
void phos__call_ref(struct phos_call *call);
void phos__call_unref(struct phos_call *call);

/* Whether it belongs to the parent of a fork. */
bool phos__call_is_foreign(const struct phos_call *call);
/* The time on the clock of `changed`. */
struct timespec phos__call_deadline(uint32_t timeout_ms);

/* ---- call_handle.c, any thread ---- */

/* Under the call's lock: whether waiting here would be for ever. */
bool phos__call_would_deadlock(const phos_call *call);
/* A paused stream goes on. Not under the call's lock. */
void phos__call_resume(phos_call *call);

/* ---- call.c ---- */

/* Whether headers may travel: names and values as HTTP has them. */
bool phos__headers_are_valid(const phos_header *headers, size_t count);

/* ---- the worker's thread ---- */

/* Fills in the request of the next attempt. PHOS_OK, PHOS_E_NO_MEMORY. */
phos_status phos__call_prepare(struct phos_call *call, uint64_t id,
                               uint64_t now_ms,
                               const struct phos__credential *credential);
/* Copies an answer. Any thread. */
void phos__call_keep(struct phos_call *call, const phos_reply *reply);
/* The phos_body_fn of streams; reply_data is the call. */
phos_flow phos__call_take(const phos_reply *head, phos_str piece,
                          void *reply_data);
/* Whether the body of a stream that has ended is taken to its end. */
bool phos__call_is_taken(struct phos_call *call);
/* Keeps an answer that no transport gave. */
void phos__call_keep_failure(struct phos_call *call, phos_exchange exchange,
                             phos_status status, const char *words);
/* A 307 or 308 to the same origin: the next attempt goes there. */
bool phos__call_follow(struct phos_call *call);
/* The kept reply's header of that name; data NULL: it has none. */
phos_str phos__call_reply_header(const struct phos_call *call,
                                 const char *name);
/* Makes the result of the last attempt, tells whoever asked, and lets go. */
void phos__call_finish(struct phos_call *call, uint64_t now_ms);

#endif
