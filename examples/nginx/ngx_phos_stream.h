/*
 * ngx_phos_stream - takes a stream of server-sent events apart and feeds the
 * data of each to a chat reader, as one JSON text each.
 *
 *     data: {"choices":[{"delta":{"content":"Hel"}}]}
 *
 *     data: [DONE]
 *
 * Source: HTML, section "Server-sent events", for lines and fields.
 */
#ifndef NGX_PHOS_STREAM_H
#define NGX_PHOS_STREAM_H

#include "ngx_phos_chat.h"

/* Starts zeroed. */
struct ngx_phos_stream {
    uint8_t state;
    uint8_t matched;      /* bytes of the field's name */
    uint8_t done_matched; /* bytes of "[DONE]" */
    bool after_return;    /* the last byte was CR: an LF belongs to it */
    uint64_t broken;      /* events that were no JSON object */
};

void ngx_phos_stream_feed(struct ngx_phos_stream *stream,
                          struct ngx_phos_chat *chat, const char *data,
                          size_t length);

#endif
