/*
 * render - from what the store finds to the JSON of a reply.
 */
#ifndef PHOSD_RENDER_H
#define PHOSD_RENDER_H

#include "store.h"

/* The ingestion API's shape, then received_at and, if there is any, feedback.
 */
void phosd_render_event(struct phos__buffer *buffer,
                        const struct phosd_event_found *found);

/* The members of a session object, without the closing brace, so that its
 * events can follow. */
void phosd_render_session(struct phos__buffer *buffer,
                          const struct phosd_session_found *found);

void phosd_render_id(struct phos__buffer *buffer, const uint8_t id[16]);

void phosd_render_literal(struct phos__buffer *buffer, const char *text);
/* The name is a literal with its quotes, comma and colon; the time follows. */
void phosd_render_time(struct phos__buffer *buffer, const char *name,
                       int64_t time_us);

#endif
