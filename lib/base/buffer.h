/*
 * buffer - bytes that grow. A failed growth is remembered, so that a writer
 * checks once, at the end.
 */
#ifndef PHOS_BASE_BUFFER_H
#define PHOS_BASE_BUFFER_H

#include <string.h>

#include "phos/base.h"

struct phos__buffer {
    phos_allocator allocator;
    uint8_t *data;
    size_t bytes;    /* in use */
    size_t capacity; /* allocated */
    bool failed;     /* an append found no memory; bytes are as before it */
};

void phos__buffer_init(struct phos__buffer *buffer,
                       const phos_allocator *allocator);
void phos__buffer_deinit(struct phos__buffer *buffer);
static inline void phos__buffer_clear(struct phos__buffer *buffer)
{
    buffer->bytes = 0;
    buffer->failed = false;
}

/* Makes room for `more` bytes behind those in use; false sets `failed`. */
bool phos__buffer_reserve(struct phos__buffer *buffer, size_t more);
void phos__buffer_append(struct phos__buffer *buffer, const void *data,
                         size_t bytes);
void phos__buffer_append_str(struct phos__buffer *buffer, phos_str text);

#endif
