/*
 * sender - one run of `phos send`: lines in, events to the client, and an eye
 * on the service and the signals between them.
 *
 *   file ─► lines ─► ndjson ─► phos_client_log ─ ─ ► receipts ─► console
 *     ▲                              │ full: waits
 *     └── sender_look(): signals, progress, refused configuration
 */
#ifndef PHOS_TOOL_SENDER_H
#define PHOS_TOOL_SENDER_H

#include "lines.h"
#include "ndjson.h"
#include "phos/client.h"
#include "progress.h"
#include "summary.h"

/* A line longer than this is no event but a file of another kind. */
enum { SENDER_LINE_BYTES_MAX = 16 * 1024 * 1024 };

#define SENDER_NO_DEADLINE UINT64_MAX

enum sender_stop {
    SENDER_GOES_ON = 0,
    SENDER_SIGNAL, /* a first one: no more input */
    SENDER_STRICT, /* a broken line */
    SENDER_READ,   /* the input cannot be read */
    SENDER_CONFIG  /* the service refuses key or endpoint */
};

struct sender {
    /* settings */
    phos_client *client;
    bool is_strict, is_quiet, does_wait;
    uint64_t close_timeout_ms; /* SENDER_NO_DEADLINE: not given */

    /* input */
    struct ndjson ndjson;
    const char *name; /* of the file being read */
    size_t file;      /* its number */
    uint64_t line;    /* being read */
    uint64_t bytes_read, bytes_total;

    /* counts; see struct summary */
    uint64_t lines, empty, broken, rejected, accepted;

    /* what sender_look() knows */
    enum sender_stop stop;
    uint64_t started_ms, looked_ms, told_ms;
    struct progress_meter meter;
    phos_stats stats;
};

void sender_init(struct sender *sender, phos_client *client);
void sender_deinit(struct sender *sender);

/* Sends what `fd` holds, until its end or until sender->stop says otherwise. */
void sender_read(struct sender *sender, int fd, const char *name, size_t file);

/* Waits for all verdicts as long as it may, then closes the client. */
void sender_finish(struct sender *sender, struct summary *ret_summary);

#endif
