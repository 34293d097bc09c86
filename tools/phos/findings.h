/*
 * findings - what `phos doctor` found, one line a check, and what to do about
 * it; for people as it comes, or as one JSON object at the end.
 */
#ifndef PHOS_TOOL_FINDINGS_H
#define PHOS_TOOL_FINDINGS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum finding_status {
    FINDING_OK,
    FINDING_SKIP, /* could not be looked at, because of another finding */
    FINDING_WARN, /* works, but may not be what is wanted */
    FINDING_FAIL
};

struct findings {
    FILE *out;
    bool as_json;
    json_t *list;
    size_t warnings, failures;
    bool is_incomplete; /* set by the caller: configuration is missing */
};

void findings_init(struct findings *findings, FILE *out, bool as_json);
void findings_deinit(struct findings *findings);

/* name: of the check, one word. advice: what to do; NULL: nothing. */
void findings_add(struct findings *findings, enum finding_status status,
                  const char *name, const char *advice, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Prints the end; returns the exit code. */
int findings_end(struct findings *findings);

#endif
