/*
 * ndjson - one line of input, an object in the shape of the ingestion API,
 * becomes one phos_event. Pure: it reads no file and prints nothing.
 *
 *     {"input": …, "output": …, "metadata": {"model": …, "release": "7"}}
 *          │           │                          │           │
 *        input       output                     model    metadata_json
 *
 * Known metadata keys become typed fields. When the object holds anything
 * else, its own text goes along whole, so that numbers of any size arrive
 * digit by digit; the library lets typed fields win.
 */
#ifndef PHOS_TOOL_NDJSON_H
#define PHOS_TOOL_NDJSON_H

#include <jansson.h>

#include "phos/event.h"
#include "repair.h"

enum {
    NDJSON_REASON_BYTES = 256,
    NDJSON_TAGS_MAX = 64,           /* of phos_event */
    NDJSON_METADATA_DEPTH_MAX = 64, /* of phos_event */
    NDJSON_STRANGERS_MAX = 32
};

struct ndjson {
    json_t *root; /* texts of the event last read lie in it */
    struct repair repair;
    phos_str tags[NDJSON_TAGS_MAX];
    phos_event_id id;
    char *strangers[NDJSON_STRANGERS_MAX]; /* unknown keys met so far */
    size_t stranger_count;
};

/* Hears of a top-level key that the schema does not know, once for each. */
typedef void ndjson_stranger_fn(const char *key, const char *hint,
                                void *user_data);

void ndjson_init(struct ndjson *ndjson);
void ndjson_deinit(struct ndjson *ndjson);

/* Whether the line holds nothing but white space. */
bool ndjson_is_blank(const char *line, size_t length);

/*
 * Reads one line. *ret_event borrows from `ndjson` and from `line` until the
 * next call. false: the line is broken and `reason` tells why.
 */
bool ndjson_read(struct ndjson *ndjson, const char *line, size_t length,
                 ndjson_stranger_fn *on_stranger, void *user_data,
                 phos_event *ret_event, char reason[NDJSON_REASON_BYTES]);

#endif
