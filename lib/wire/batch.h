/*
 * batch - the body of POST /api/ingest/batch: {"events":[…]}.
 */
#ifndef PHOS_WIRE_BATCH_H
#define PHOS_WIRE_BATCH_H

#include "base/buffer.h"

/* Bytes of the frame around the events, and between two of them. */
enum { PHOS__BATCH_FRAME_BYTES = 13, PHOS__BATCH_COMMA_BYTES = 1 };

void phos__batch_begin(struct phos__buffer *body);
/* To be called before each event's JSON is appended; `index` counts from 0. */
void phos__batch_next(struct phos__buffer *body, uint32_t index);
void phos__batch_end(struct phos__buffer *body);

#endif
