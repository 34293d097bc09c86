/*
 * phos/service.h - requests to a service's REST API, on the worker that is
 * there already.
 *
 *   open ─► get, post … (any thread) ─► on_done, or wait ─► free the call
 *
 * Functions for single operations build on these; what has no function of its
 * own is reached by its path.
 */
#ifndef PHOS_SERVICE_H
#define PHOS_SERVICE_H

#include "phos/client.h"
#include "phos/transport.h"
#include "phos/worker.h"

#ifdef __cplusplus
extern "C" {
#endif

/** One endpoint: a base URL with its credential. */
typedef struct phos_service phos_service;

/** One request, from the call that asks for it to its result. */
typedef struct phos_call phos_call;

/** How a request proves who it comes from. */
typedef enum phos_auth {
    PHOS_AUTH_NONE = 0,
    PHOS_AUTH_BEARER = 1, /* Authorization: Bearer CREDENTIAL */
    PHOS_AUTH_COOKIE = 2  /* Cookie: COOKIE_NAME=CREDENTIAL */
} phos_auth;

/** Which requests are made again after a failure. */
typedef enum phos_retry_kind {
    PHOS_RETRY_SAFE = 0,   /* those that may be repeated without harm: GET,
                              HEAD, PUT and those marked is_safe; others only if
                              nothing of them was sent */
    PHOS_RETRY_NEVER = 1,  /* none */
    PHOS_RETRY_BACKOFF = 2 /* all, also those that may have been carried out */
} phos_retry_kind;

/**
 * When a request is made again. Made by phos_retry_default(),
 * phos_retry_never() or phos_retry_backoff().
 *
 * SAFE repeats after 408, 429, 500, 502, 503, 504 and connections that fail,
 * waits at random up to initial_ms * exponent^n, at most max_ms, and never less
 * than a Retry-After. BACKOFF repeats after 429, 500, 502, 503, 504, waits
 * initial_ms * exponent^n and up to a second at random, in all at most max_ms,
 * and gives up when elapsed_max_ms have passed at a failure. n counts from 0.
 *
 * Source: the retry configuration of flux0's client, for BACKOFF.
 */
typedef struct phos_retry {
    phos_retry_kind kind;
    uint32_t attempts_max; /* the first one included; 0: no limit */
    uint32_t initial_ms;
    uint32_t max_ms;
    double exponent;         /* >= 1 */
    uint32_t elapsed_max_ms; /* since the first attempt; 0: no limit */
    bool connection_errors;  /* BACKOFF: connections that fail, too */
} phos_retry;

/* What a service does unless told otherwise: SAFE, 4 attempts, 500 ms to 8 s.
 */
static inline phos_retry phos_retry_default(void)
{
    phos_retry retry = { PHOS_RETRY_SAFE, 4, 500, 8000, 2.0, 0, true };

    return retry;
}

/* One attempt. */
static inline phos_retry phos_retry_never(void)
{
    phos_retry retry = { PHOS_RETRY_NEVER, 1, 0, 0, 1.0, 0, false };

    return retry;
}

/* BACKOFF, without connection errors and without a limit of attempts. */
static inline phos_retry phos_retry_backoff(uint32_t initial_ms,
                                            uint32_t max_ms, double exponent,
                                            uint32_t elapsed_max_ms)
{
    phos_retry retry = { PHOS_RETRY_BACKOFF, 0,    initial_ms, max_ms, exponent,
                         elapsed_max_ms,     false };

    return retry;
}

/** Settings of a service. Made by phos_service_options_default(). */
typedef struct phos_service_options {
    size_t struct_size;

    phos_str base_url;    /* absolute http or https URL, any path prefix; a
                             slash at its end is cut; required */
    phos_auth auth;       /* default PHOS_AUTH_NONE */
    phos_str credential;  /* secret; required unless auth is NONE */
    phos_str cookie_name; /* of PHOS_AUTH_COOKIE */
    const phos_header *headers; /* of every request */
    size_t header_count;        /* at most 32 */

    uint32_t connect_timeout_ms; /* default 10,000 */
    uint32_t timeout_ms;         /* of a call with all its attempts and waits;
                                    0: none; default 60,000 */
    uint32_t reply_bytes_max;    /* of a body; a longer one is an error; default
                                    16 MiB */
    uint32_t connections_max;    /* kept open, 1 to 64; default 4 */
    phos_retry retry;            /* default phos_retry_default() */

    phos_str proxy;            /* URL; empty: none, whatever the environment
                                  says to others */
    phos_str ca_file;          /* PEM bundle; empty: the system's */
    phos_str unix_socket_path; /* connect here instead of host and port; an
                                  absolute path */
    phos_str user_agent;       /* default "libphos/<version>" */
    bool allow_plain_http;     /* let a credential travel over http to a host
                                  that is not loopback; default false */

    phos_diagnostic_fn *on_diagnostic; /* what was wrong at open */
    phos_easy_fn *on_easy;             /* adjusts each easy handle */
    void *user_data;                   /* of both */

    phos_worker *worker;             /* NULL: one of its own */
    const phos_transport *transport; /* NULL: libcurl */
    phos_allocator allocator;        /* zeroed: the worker's, else malloc */
} phos_service_options;

/* Each option at its default. */
static inline phos_service_options phos_service_options_default(void)
{
    phos_service_options options;
    const phos_str none = phos_str_make(NULL, 0);

    options.struct_size = sizeof(options);
    options.base_url = none;
    options.auth = PHOS_AUTH_NONE;
    options.credential = none;
    options.cookie_name = none;
    options.headers = NULL;
    options.header_count = 0;
    options.connect_timeout_ms = 10000;
    options.timeout_ms = 60000;
    options.reply_bytes_max = 16777216;
    options.connections_max = 4;
    options.retry = phos_retry_default();
    options.proxy = none;
    options.ca_file = none;
    options.unix_socket_path = none;
    options.user_agent = none;
    options.allow_plain_http = false;
    options.on_diagnostic = NULL;
    options.on_easy = NULL;
    options.user_data = NULL;
    options.worker = NULL;
    options.transport = NULL;
    options.allocator.allocate = NULL;
    options.allocator.reallocate = NULL;
    options.allocator.release = NULL;
    options.allocator.user_data = NULL;
    return options;
}

/** One thing that a service found wrong with a request (422). */
typedef struct phos_problem {
    phos_str location; /* where, such as "body.messages.0.role" */
    phos_str message;
    phos_str type; /* such as "missing"; may be empty */
} phos_problem;

/** How a call ended. All it points to belongs to the call. */
typedef struct phos_result {
    size_t struct_size;
    phos_status status; /* PHOS_OK: 2xx; PHOS_E_HTTP: another HTTP status;
                           PHOS_E_NETWORK, PHOS_E_TIMEOUT, PHOS_E_CANCELLED,
                           PHOS_E_TOO_LARGE (the reply), PHOS_E_PROTOCOL,
                           PHOS_E_CONFIG, PHOS_E_NO_MEMORY */
    phos_error error;   /* the same with words; the service's own among them */
    int http_status;    /* of the last answer; 0: none */
    const phos_header *headers; /* of the last answer */
    size_t header_count;
    phos_str body;   /* of the last answer, as it came */
    phos_str detail; /* what the service says of an error; empty: nothing */
    const phos_problem *problems; /* of a 422 that lists them */
    size_t problem_count;
    uint32_t attempts;
    uint64_t elapsed_ms; /* from the call to its end */
} phos_result;

/**
 * Takes a call's result, exactly once, whatever becomes of call and service.
 *
 * Threads  loop. It may start further calls; it must not wait for any.
 */
typedef void phos_call_fn(const phos_result *result, void *user_data);

/** Settings of one call. Made by phos_call_options_default(). */
typedef struct phos_call_options {
    size_t struct_size;
    uint32_t timeout_ms;     /* 0: the service's */
    const phos_retry *retry; /* NULL: the service's */
    bool is_safe; /* may be repeated though its method does not say so: it
                     carries an id that the application chose */
    const phos_header *headers; /* besides the service's; of the same name: in
                                   its place */
    size_t header_count;        /* at most 32 */
    phos_call_fn *on_done;      /* NULL: wait for it */
    void *user_data;
} phos_call_options;

/* Each option at its default. */
static inline phos_call_options phos_call_options_default(void)
{
    phos_call_options options = {
        sizeof(phos_call_options), 0, NULL, false, NULL, 0, NULL, NULL
    };

    return options;
}

/**
 * Opens a service and starts its worker, or joins options->worker.
 *
 * options      everything is copied
 * ret_service  to be freed with phos_service_free()
 *
 * What was wrong, with the option's name, goes to options->on_diagnostic.
 *
 * Returns  PHOS_OK, PHOS_E_INVALID, PHOS_E_INSECURE, PHOS_E_FORKED (the worker
 *          was opened by the parent), PHOS_E_NO_MEMORY, PHOS_E_SYSTEM
 * Threads  any, not in a signal handler.
 */
PHOS_EXTERN phos_status phos_service_open(const phos_service_options *options,
                                          phos_service **ret_service);

/**
 * Ends every call that is under way with PHOS_E_CANCELLED and frees the
 * service; calls are freed by whoever holds them. No other thread may be inside
 * a call with it. NULL is ignored.
 *
 * Waits no longer than a fifth of a second for the worker; if a callback holds
 * it up, the rest happens when that has ended.
 *
 * Threads  owner; not in a callback of this service, not in a signal handler.
 */
PHOS_EXTERN void phos_service_free(phos_service *service);

/**
 * Replaces the credential, for attempts that begin from now on.
 *
 * Returns  PHOS_OK, PHOS_E_INVALID (empty, bytes that no header may hold, or
 *          auth is NONE), PHOS_E_CLOSED (NULL), PHOS_E_NO_MEMORY, PHOS_E_FORKED
 * Threads  any, not in a signal handler.
 */
PHOS_EXTERN phos_status phos_service_set_credential(phos_service *service,
                                                    phos_str credential);

/**
 * Starts a request. Everything is copied.
 *
 * method    such as PHOS_STR("GET")
 * path      behind the base URL, from its slash on, with its query; escaped as
 *           URLs are
 * body      JSON text; data NULL: none
 * options   NULL: the defaults
 * ret_call  to be freed with phos_call_free(); NULL: nobody waits
 *
 * Redirects by 307 and 308 are followed on the same origin, with method and
 * body, at most 5 times; others are results.
 *
 * Returns  PHOS_OK         its result comes exactly once
 *          PHOS_E_INVALID  method, path or a header breaks its shape
 *          PHOS_E_CLOSED (NULL, or being freed), PHOS_E_NO_MEMORY,
 *          PHOS_E_FORKED
 * Threads  any, not in a signal handler.
 */
PHOS_EXTERN phos_status phos_service_call(phos_service *service,
                                          phos_str method, phos_str path,
                                          phos_str body,
                                          const phos_call_options *options,
                                          phos_call **ret_call);

/**
 * Waits for the result.
 *
 * ret_result  valid until the call is freed; NULL if not wanted
 *
 * Returns  PHOS_OK         it is there; its own status tells how the call ended
 *          PHOS_E_TIMEOUT  timeout_ms passed first; the call goes on
 *          PHOS_E_WOULD_DEADLOCK  on the worker's thread, and it is not there
 *          PHOS_E_INVALID (NULL), PHOS_E_FORKED
 * Threads  any, not in a signal handler.
 */
PHOS_EXTERN phos_status phos_call_wait(phos_call *call, uint32_t timeout_ms,
                                       const phos_result **ret_result);

/**
 * Ends a call early, with PHOS_E_CANCELLED unless its result is there already.
 * The service may have carried it out. NULL is ignored.
 *
 * Threads  any, not in a signal handler.
 */
PHOS_EXTERN void phos_call_cancel(phos_call *call);

/**
 * Gives up the caller's hold. A call that is under way goes on, and its on_done
 * still comes. NULL is ignored.
 *
 * Threads  any, not in a signal handler.
 */
PHOS_EXTERN void phos_call_free(phos_call *call);

/* ---- streams ---- */

/** A request whose answer is a stream of server-sent events. */
typedef struct phos_stream phos_stream;

/** One event of a stream; borrowed. */
typedef struct phos_stream_event {
    phos_str name; /* of its kind; "message" when the stream gives none */
    phos_str data; /* as it came, lines joined by LF */
    phos_str id;   /* the last that the stream gave; empty: none */
} phos_stream_event;

/**
 * Takes an event as it arrives. PHOS_FLOW_PAUSE: this one again, after
 * phos_stream_resume(); until then the service is held back. PHOS_FLOW_STOP:
 * no more; the stream ends with PHOS_OK.
 *
 * Threads  loop.
 */
typedef phos_flow phos_stream_fn(const phos_stream_event *event,
                                 void *user_data);

/** Settings of a stream. Made by phos_stream_options_default(). */
typedef struct phos_stream_options {
    size_t struct_size;
    uint32_t timeout_ms;      /* of the whole stream; 0: none; default 0 */
    uint32_t idle_timeout_ms; /* longest silence, to the next full second; 0:
                                 no limit; default 60,000 */
    const phos_retry *retry;  /* until the answer begins; NULL: the service's */
    bool is_safe;             /* as in phos_call_options */
    const phos_header *headers;
    size_t header_count;      /* at most 31; Accept is the stream's own */
    uint32_t event_bytes_max; /* of one event; a larger one ends the stream;
                                 default 1 MiB */
    uint32_t queue_events;    /* without on_event: so many wait for
                                 phos_stream_next() before the service is held
                                 back, 1 to 65,536; default 64 */
    bool keeps_last;          /* an event that lacks only the blank line behind
                                 it, at the end of the body, is handed on;
                                 default true */
    phos_stream_fn *on_event; /* NULL: phos_stream_next() is used */
    phos_call_fn *on_done;    /* after the last event, exactly once; may be
                                 NULL */
    void *user_data;          /* of both */
} phos_stream_options;

/* Each option at its default. */
static inline phos_stream_options phos_stream_options_default(void)
{
    phos_stream_options options;

    options.struct_size = sizeof(options);
    options.timeout_ms = 0;
    options.idle_timeout_ms = 60000;
    options.retry = NULL;
    options.is_safe = false;
    options.headers = NULL;
    options.header_count = 0;
    options.event_bytes_max = 1048576;
    options.queue_events = 64;
    options.keeps_last = true;
    options.on_event = NULL;
    options.on_done = NULL;
    options.user_data = NULL;
    return options;
}

/**
 * Starts a request whose answer is read as a stream. As phos_service_call();
 * nothing is made again once the answer has begun.
 *
 * ret_stream  to be freed with phos_stream_free(); required
 *
 * The result's status is PHOS_OK when the body ended in order,
 * PHOS_E_PROTOCOL when a 2xx is no event stream, PHOS_E_TOO_LARGE when an event
 * exceeds event_bytes_max; its body is empty but for errors.
 *
 * Returns  PHOS_OK         its result comes exactly once
 *          PHOS_E_INVALID  as phos_service_call(); or an option is out of
 *                          range, or ret_stream is NULL
 *          PHOS_E_UNSUPPORTED  the service's transport has no resume
 *          PHOS_E_CLOSED (NULL, or being freed), PHOS_E_NO_MEMORY,
 *          PHOS_E_FORKED
 * Threads  any, not in a signal handler.
 */
PHOS_EXTERN phos_status phos_service_stream(phos_service *service,
                                            phos_str method, phos_str path,
                                            phos_str body,
                                            const phos_stream_options *options,
                                            phos_stream **ret_stream);

/**
 * Waits for the next event of a stream without on_event.
 *
 * ret_event  valid until the next call with this stream
 *
 * Returns  PHOS_OK
 *          PHOS_ENDED      the stream is over and every event was handed out;
 *                          phos_stream_wait() tells how
 *          PHOS_E_TIMEOUT  timeout_ms passed first
 *          PHOS_E_WOULD_DEADLOCK  on the worker's thread, and there is none
 *          PHOS_E_INVALID (NULL, or a stream with on_event), PHOS_E_FORKED
 * Threads  owner, not in a signal handler.
 */
PHOS_EXTERN phos_status phos_stream_next(phos_stream *stream,
                                         uint32_t timeout_ms,
                                         phos_stream_event *ret_event);

/**
 * Goes on after an on_event that wanted a pause. NULL is ignored.
 *
 * Threads  any, not in a signal handler.
 */
PHOS_EXTERN void phos_stream_resume(phos_stream *stream);

/** As phos_call_wait(). Without on_event, events that nobody takes keep a
 * stream from ending. */
PHOS_EXTERN phos_status phos_stream_wait(phos_stream *stream,
                                         uint32_t timeout_ms,
                                         const phos_result **ret_result);

/**
 * Ends a stream early, with PHOS_E_CANCELLED. NULL is ignored.
 *
 * Threads  any, not in a signal handler.
 */
PHOS_EXTERN void phos_stream_cancel(phos_stream *stream);

/**
 * Cancels the stream if it is under way, and gives up the caller's hold.
 * on_event may still be called until on_done is, which still comes: what
 * user_data points to has to stay until then. NULL is ignored.
 *
 * Threads  any, not in a signal handler.
 */
PHOS_EXTERN void phos_stream_free(phos_stream *stream);

#ifdef __cplusplus
}
#endif

#endif
