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
 * The library's own messages: one line, no newline, never a key or a payload.
 * At most a few per state change.
 */
typedef struct phos_diagnostic {
    size_t struct_size;
    phos_severity severity;
    phos_error error; /* error.text is the line */
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
