/*
 * reading - what the commands that read have in common: one exchange, and its
 * failure told in words.
 */
#ifndef PHOS_TOOL_READING_H
#define PHOS_TOOL_READING_H

#include <jansson.h>

#include "http.h"

struct reading {
    struct connection connection;
    bool as_json; /* as the service sent it; also when not on a terminal ... */
    bool as_text; /* ... unless this is asked for */
    struct http_reply reply;
    json_t *json; /* of the reply */
};

/*
 * Gets it and reads it. Returns EXIT_OK with reading->json set, or says what
 * went wrong and returns an exit code. With JSON asked for, or standard output
 * no terminal, the body is printed already.
 */
int reading_get(struct reading *reading, const char *path, const char *segment,
                const struct http_query *query);
/* The same for an exchange that reading->reply holds: reads it, prints no
 * body. */
int reading_judge(struct reading *reading);
/* Sets as_json where standard output is no terminal, unless as_text is. */
void reading_choose_form(struct reading *reading);
/* The body of a reply with JSON, as the service sent it. */
void reading_print_json(const struct reading *reading);
bool reading_is_done(const struct reading *reading);
void reading_deinit(struct reading *reading);

/* Below a list: "1 to 20 of 153; next: --offset 20". */
void reading_print_place(const struct reading *reading, size_t shown,
                         uint64_t offset);

/* Columns of the terminal on standard output. */
size_t reading_columns(void);

#endif
