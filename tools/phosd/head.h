/*
 * head - what the header fields of a request say, and whether they may be
 * believed. The HTTP library's parser takes the first of two Content-Lengths,
 * a length beside chunking and two Hosts in silence; a proxy in front may take
 * the other one, and then both see different requests. So every field passes
 * through here and doubtful ones end the connection.
 *
 * Source: RFC 9112, sections 3.2, 5 and 6.
 */
#ifndef PHOSD_HEAD_H
#define PHOSD_HEAD_H

#include "phos/base.h"

enum {
    PHOSD_HEAD_BYTES_MAX = 16384,
    PHOSD_HEAD_FIELDS_MAX = 100,
    PHOSD_TARGET_BYTES_MAX = 8192
};

/* Starts zeroed. The texts are borrowed from whoever adds the fields. */
struct phosd_head {
    phos_str authorization;
    phos_str content_type;
    phos_str content_encoding;
    uint64_t content_length; /* meaningful with has_length */
    bool has_length;
    bool chunked;
    bool expects;       /* Expect: the body is held back until we answer */
    const char *broken; /* why the request is refused; NULL: it is sound */
    unsigned broken_status;

    size_t bytes; /* of the fields, each written as "Name:value" */
    unsigned fields;
    unsigned hosts, lengths, encodings, authorizations, types, codings;
};

void phosd_head_add(struct phosd_head *head, phos_str name, phos_str value);

/* The request line and how many bytes the parser took for the whole head. */
struct phosd_head_line {
    const char *method, *target, *version;
    size_t head_bytes;
};

/* After the last field. */
void phosd_head_finish(struct phosd_head *head,
                       const struct phosd_head_line *line);

/* The token behind "Bearer "; false when there is none. */
bool phosd_head_bearer(const struct phosd_head *head, phos_str *ret_key);

/* Whether the body says it is JSON; parameters (charset) do not matter. */
bool phosd_head_is_json(const struct phosd_head *head);

/* ASCII letters alike in both cases. */
bool phosd_text_equals(phos_str text, const char *word);

#endif
