/*
 * summary - what became of everything that was read, in words or as JSON.
 * Pure: numbers in, text out.
 */
#ifndef PHOS_TOOL_SUMMARY_H
#define PHOS_TOOL_SUMMARY_H

#include <stdio.h>

#include "phos/client.h"

/* lines = ledger.accepted + broken + rejected; ledger.accepted = delivered +
 * duplicate + refused + dropped + unknown (nothing is pending after close). */
struct summary {
    uint64_t lines;    /* that are not empty */
    uint64_t empty;    /* lines of white space; skipped */
    uint64_t broken;   /* cannot be an event */
    uint64_t rejected; /* the library would not take them */
    phos_ledger ledger;
    uint64_t requests, retries;
    uint64_t bytes_sent, bytes_received;
    uint64_t elapsed_ms;
    int last_http_status;   /* 0: none */
    const char *stopped_by; /* "SIGINT", "configuration" ...; NULL: the end of
                               the input */
    int exit_code;
};

/* Whether every line read was delivered, now or earlier. */
bool summary_is_whole(const struct summary *summary);

void summary_print(FILE *out, const struct summary *summary);
/* One object on one line. */
void summary_print_json(FILE *out, const struct summary *summary);

#endif
