/*
 * progress - how far a send has come, as one line. Pure: numbers in, text out.
 */
#ifndef PHOS_TOOL_PROGRESS_H
#define PHOS_TOOL_PROGRESS_H

#include "phos/client.h"

enum { PROGRESS_LINE_BYTES = 256 };

struct progress {
    uint64_t now_ms;      /* since the start */
    uint64_t accepted;    /* events */
    uint64_t settled;     /* of them, those with a verdict */
    uint64_t bytes_read;  /* of input */
    uint64_t bytes_total; /* 0: not known */
    double rate;          /* verdicts per second; see progress_rate() */
    phos_state state;
    int last_http_status; /* 0: none yet */
};

/* What progress_rate() remembers; zeroed at the start. */
struct progress_meter {
    uint64_t last_ms, last_settled;
    double rate;
};

/* Takes a new measurement; smooths over some seconds. */
double progress_rate(struct progress_meter *meter, uint64_t now_ms,
                     uint64_t settled);

/* A bar when the total is known, else a counter, for a terminal of so many
 * columns; ASCII. */
void progress_bar(const struct progress *progress, size_t columns,
                  char line[PROGRESS_LINE_BYTES]);
/* The same for a log file. */
void progress_plain(const struct progress *progress,
                    char line[PROGRESS_LINE_BYTES]);

#endif
