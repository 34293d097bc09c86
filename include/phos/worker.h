/*
 * phos/worker.h - the one background thread, which several clients can share.
 */
#ifndef PHOS_WORKER_H
#define PHOS_WORKER_H

#include "phos/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** One thread with one event loop. */
typedef struct phos_worker phos_worker;

/* How bad it is. */
typedef enum phos_severity {
    PHOS_SEVERITY_INFO = 0,
    PHOS_SEVERITY_WARNING = 1,
    PHOS_SEVERITY_ERROR = 2
} phos_severity;

/**
 * What a diagnostic is about. docs/troubleshooting.md says of each what it
 * means and what to do. More may come.
 */
typedef enum phos_diagnostic_code {
    PHOS_DIAGNOSTIC_OPEN = 1, /* a client or service cannot be opened */

    /* nothing is delivered, because */
    PHOS_DIAGNOSTIC_WAITING = 2,     /* the answer is not there yet */
    PHOS_DIAGNOSTIC_NAME = 3,        /* a host's name is not resolved */
    PHOS_DIAGNOSTIC_CONNECT = 4,     /* refused, unreachable, or silence */
    PHOS_DIAGNOSTIC_PROXY = 5,       /* it does not let requests through */
    PHOS_DIAGNOSTIC_TLS = 6,         /* the handshake fails */
    PHOS_DIAGNOSTIC_NO_TLS = 7,      /* on that port nobody speaks it */
    PHOS_DIAGNOSTIC_UNTRUSTED = 8,   /* the certificate: unknown signer */
    PHOS_DIAGNOSTIC_EXPIRED = 9,     /* it is over, or not valid yet */
    PHOS_DIAGNOSTIC_OTHER_HOST = 10, /* it belongs to another host */
    PHOS_DIAGNOSTIC_NOT_SENT = 11,   /* no request leaves, whyever */
    PHOS_DIAGNOSTIC_BROKEN = 12,     /* connections break before the answer */
    PHOS_DIAGNOSTIC_NO_ANSWER = 13,  /* none in time */
    PHOS_DIAGNOSTIC_KEY = 14,        /* 401, 403: the key is refused */
    PHOS_DIAGNOSTIC_PATH = 15,       /* 404, 405, 410, 501: a wrong address */
    PHOS_DIAGNOSTIC_REDIRECT = 16,   /* 3xx: never followed */
    PHOS_DIAGNOSTIC_WEB_PAGE = 17,   /* 2xx, but from something else */
    PHOS_DIAGNOSTIC_REFUSED = 18,    /* another no to every request */
    PHOS_DIAGNOSTIC_LIMITED = 19,    /* 429 */
    PHOS_DIAGNOSTIC_SERVICE = 20,    /* 5xx and the like */

    PHOS_DIAGNOSTIC_DELIVERED = 21,  /* it works again */
    PHOS_DIAGNOSTIC_LOST = 22,       /* events dropped, refused or rejected */
    PHOS_DIAGNOSTIC_HIGH_WATER = 23, /* the ring fills */
    PHOS_DIAGNOSTIC_DISABLED = 24, /* a client was opened that keeps nothing */
    PHOS_DIAGNOSTIC_CALLBACK = 25, /* phos.hpp: a callback has thrown */
    PHOS_DIAGNOSTIC_FEEDBACK = 26  /* feedback alone is not delivered, or is
                                      again */
} phos_diagnostic_code;

/**
 * The library's own messages: one line, no newline, never a key or a payload.
 *
 * While requests are made and nothing is delivered for 5 s there is one that
 * says why, at once where somebody has to act (a refused key); again when the
 * reason changes, no sooner than 10 s later, and else once a minute; and one
 * when it works again. Losses are told when one of their kind happens first,
 * afterwards at most every 10 s with the totals.
 */
typedef struct phos_diagnostic {
    size_t struct_size;
    phos_severity severity;
    phos_error error; /* error.text is the line */
    phos_diagnostic_code code;
} phos_diagnostic;

/* Threads  loop, or inside the call that opens a client. */
typedef void phos_diagnostic_fn(const phos_diagnostic *diagnostic,
                                void *user_data);

/* Settings of a worker. Made by phos_worker_options_default(). */
typedef struct phos_worker_options {
    size_t struct_size;
    phos_allocator allocator; /* zeroed: malloc, realloc, free */
    char thread_name[16];     /* default "phos" */
} phos_worker_options;

/* Each option at its default. */
static inline phos_worker_options phos_worker_options_default(void)
{
    phos_worker_options options = { sizeof(phos_worker_options),
                                    { NULL, NULL, NULL, NULL },
                                    "phos" };

    return options;
}

/**
 * Starts a worker for clients to share. A client opened without one starts
 * and ends its own.
 *
 * options     NULL: the defaults
 * ret_worker  to be freed with phos_worker_free()
 *
 * Returns  PHOS_OK, PHOS_E_INVALID, PHOS_E_NO_MEMORY, PHOS_E_SYSTEM (no thread
 *          or descriptor to be had)
 * Threads  any, not in a signal handler.
 */
PHOS_EXTERN phos_status phos_worker_open(const phos_worker_options *options,
                                         phos_worker **ret_worker);

/**
 * Gives up the caller's hold. The thread ends when the last client that uses
 * it is freed; this call waits for it only when there is none left. NULL is
 * ignored.
 *
 * Threads  any, not in a signal handler.
 */
PHOS_EXTERN void phos_worker_free(phos_worker *worker);

#ifdef __cplusplus
}
#endif

#endif
