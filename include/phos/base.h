/*
 * phos/base.h - the words every other public header uses: text views, status,
 * errors, the allocator.
 */
#ifndef PHOS_BASE_H
#define PHOS_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Marks what the shared library exports; everything else is hidden. */
#if defined(__GNUC__)
#define PHOS_EXTERN __attribute__((visibility("default")))
#else
#define PHOS_EXTERN
#endif

/* The version of these headers; phos_version() tells the library's. */
#define PHOS_VERSION_MAJOR 0
#define PHOS_VERSION_MINOR 1
#define PHOS_VERSION_PATCH 0
#define PHOS_VERSION_TEXT "0.1.0"

/**
 * A view of UTF-8 text: pointer and length, no terminator, never owned.
 * Empty text is { NULL, 0 } or any pointer with length 0.
 */
typedef struct phos_str {
    const char *data;
    size_t length; /* bytes */
} phos_str;

/* A view of so many bytes at `data`. */
static inline phos_str phos_str_make(const char *data, size_t length)
{
    phos_str text;

    text.data = data;
    text.length = length;
    return text;
}

/* A view of a string literal; anything else does not compile. */
#define PHOS_STR(literal) phos_str_make("" literal, sizeof("" literal) - 1)

/*
 * Every status: name, value, text, whether trying the same again can help.
 * Values are part of the ABI and never change meaning. Below 0 are failures;
 * above 0 a call did as it is configured to, which is not what it was asked.
 */
#define PHOS_STATUS_LIST(X)                                                    \
    X(OK, 0, "success", false)                                                 \
    X(DISCARDED, 1, "not kept, as configured", false)                          \
    X(ENDED, 2, "there is no more", false)                                     \
    X(E_INVALID, -1, "an argument breaks the documented shape", false)         \
    X(E_FULL, -2, "the ring has no room now", true)                            \
    X(E_CLOSED, -3, "the client is closed, or NULL", false)                    \
    X(E_TOO_LARGE, -4, "the event exceeds event_bytes_max", false)             \
    X(E_NO_MEMORY, -5, "out of memory", true)                                  \
    X(E_TIMEOUT, -6, "the deadline passed first", true)                        \
    X(E_CONFIG, -7, "the service refuses this configuration", false)           \
    X(E_WOULD_DEADLOCK, -8, "blocking call on the worker's own thread", false) \
    X(E_FORKED, -9, "the handle belongs to the parent of a fork", false)       \
    X(E_SYSTEM, -10, "an operating system call failed", true)                  \
    X(E_NETWORK, -11, "no connection, or it broke", true)                      \
    X(E_HTTP, -12, "the service answered with an error", true)                 \
    X(E_PROTOCOL, -13, "the answer is not what the protocol says", false)      \
    X(E_CANCELLED, -14, "cancelled before it was answered", false)             \
    X(E_UNSUPPORTED, -15, "this build cannot do that", false)                  \
    X(E_INSECURE, -16, "a key would travel over plain http", false)

/* What a call has to say: PHOS_OK, or why not. */
typedef enum phos_status {
#define PHOS_STATUS_ENTRY(name, value, text, again) PHOS_##name = value,
    PHOS_STATUS_LIST(PHOS_STATUS_ENTRY)
#undef PHOS_STATUS_ENTRY
} phos_status;

/**
 * The text of a status, in English, without a full stop. Never NULL.
 *
 * Threads  any; signal handlers.
 */
PHOS_EXTERN const char *phos_status_text(phos_status status);

/**
 * The status as written in C, such as "PHOS_E_FULL". Never NULL.
 *
 * Threads  any; signal handlers.
 */
PHOS_EXTERN const char *phos_status_name(phos_status status);

/**
 * Whether trying the same again can help.
 *
 * Threads  any; signal handlers.
 */
PHOS_EXTERN bool phos_status_retryable(phos_status status);

/** The version of the library that is linked, such as "0.1.0". */
PHOS_EXTERN const char *phos_version(void);

/* Where a failure was noticed, and so whose number phos_error.code is. */
typedef enum phos_origin {
    PHOS_ORIGIN_NONE = 0,
    PHOS_ORIGIN_PHOS = 1,   /* code: a phos_status */
    PHOS_ORIGIN_SYSTEM = 2, /* code: an errno */
    PHOS_ORIGIN_UV = 3,     /* code: a libuv error */
    PHOS_ORIGIN_CURL = 4,   /* code: a CURLcode */
    PHOS_ORIGIN_HTTP = 5    /* code: an HTTP status */
} phos_origin;

/* Room for the text of an error, its NUL included. */
enum { PHOS_ERROR_TEXT_BYTES = 256 };

/**
 * What went wrong, in one value that can be copied. The text is printable
 * ASCII or UTF-8 without control characters, ends with NUL, and never holds a
 * key or a payload.
 */
typedef struct phos_error {
    phos_status status;
    phos_origin origin;
    int code;
    char text[PHOS_ERROR_TEXT_BYTES];
} phos_error;

/**
 * Where the library's memory comes from. All three functions are given, or
 * none (then malloc, realloc and free). They may be called from any thread
 * that calls the library and, until it has ended, from the worker, but never by
 * phos_client_log(). libuv and libcurl keep allocators of their own.
 */
typedef struct phos_allocator {
    void *(*allocate)(void *user_data, size_t bytes);
    void *(*reallocate)(void *user_data, void *memory, size_t bytes);
    void (*release)(void *user_data, void *memory);
    void *user_data;
} phos_allocator;

#ifdef __cplusplus
}
#endif

#endif
