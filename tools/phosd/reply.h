/*
 * reply - what goes back to the client: a status, a JSON body and the few
 * headers that depend on the case.
 */
#ifndef PHOSD_REPLY_H
#define PHOSD_REPLY_H

#include "base/buffer.h"

struct phosd_reply {
    unsigned status;          /* 0: not decided yet */
    struct phos__buffer body; /* JSON if nothing else is said; of malloc */
    const char *content_type; /* a literal; NULL: JSON */
    bool page;                /* for a browser: with the rules of the page */
    const char *allow;        /* of a 405; a literal */
    uint32_t retry_after_s;   /* of a 429 or 503; 0: header left out */
    bool close;               /* the connection cannot be trusted any more */
};

/* A growing buffer on malloc, as the listener hands its memory on. */
void phosd_buffer_init(struct phos__buffer *buffer);

/* {"error":"..."}; replaces whatever the reply was. */
void phosd_reply_error(struct phosd_reply *reply, unsigned status,
                       const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* 503 with Retry-After: trying the same again can help. */
void phosd_reply_busy(struct phosd_reply *reply, const char *text);

#endif
