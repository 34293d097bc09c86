/*
 * receipts - hears what became of single events, and names their lines.
 * Refused events are told at once; lost ones (dropped, unknown) are gathered
 * and told at the end, as ranges of lines.
 */
#ifndef PHOS_TOOL_RECEIPTS_H
#define PHOS_TOOL_RECEIPTS_H

#include <pthread.h>
#include <stdio.h>

#include "phos/client.h"

/* A cookie holds the place of an event: file above, line below. */
enum { RECEIPTS_LINE_BITS = 44, RECEIPTS_FILES_MAX = 1 << 20 };

struct receipts {
    const char *const *names; /* of the files, by number */
    FILE *refused_file;       /* refused events as NDJSON; NULL: none */
    bool refused_failed;      /* it could not be written */
    uint64_t *lost;           /* cookies */
    size_t lost_count, lost_capacity;
    uint64_t lost_untold; /* beyond what is kept */
    pthread_mutex_t lock; /* the worker writes, the main thread reads */
};

static inline uint64_t receipts_cookie(size_t file, uint64_t line)
{
    return (uint64_t)file << RECEIPTS_LINE_BITS | line;
}

void receipts_init(struct receipts *receipts, const char *const *names);
void receipts_deinit(struct receipts *receipts);

/* For phos_options; user_data: struct receipts *. */
phos_receipts_fn receipts_take;
phos_refused_fn receipts_take_refused;

/* Says which lines were lost. After close. */
void receipts_tell_lost(struct receipts *receipts);

#endif
