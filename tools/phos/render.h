/*
 * render - events and sessions for people to read. What the service sends is
 * text of strangers: everything passes through text.h.
 */
#ifndef PHOS_TOOL_RENDER_H
#define PHOS_TOOL_RENDER_H

#include <jansson.h>
#include <stdio.h>

/* A timeline: for each its ids, a line of each side, and its figures, cut to
 * `columns`. */
void render_events(FILE *out, const json_t *events, size_t columns);
/* A table, one row for each. */
void render_sessions(FILE *out, const json_t *sessions);

/* One event whole. */
void render_event(FILE *out, const json_t *event);

/* A session's figures, then its events as a conversation in order of time. */
void render_session(FILE *out, const json_t *session, const json_t *events);

#endif
