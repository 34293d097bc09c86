/*
 * store_read - what store_read.c and the lists share: the columns of events and
 * sessions, and what is made of them.
 */
#ifndef PHOSD_STORE_READ_H
#define PHOSD_STORE_READ_H

#include "store_internal.h"

#define PHOSD_EVENT_COLUMNS                                                 \
    "SELECT e.event_id, e.time_us, e.received_us, e.session_id, e.user_id," \
    "  e.model, e.input, e.output, e.metadata, f.flag, f.comment, f.source" \
    "  FROM events AS e LEFT JOIN feedback AS f ON f.event = e.id"

#define PHOSD_SESSION_COLUMNS                                                 \
    "SELECT s.id, s.session_id, s.user_id, s.grouped_user IS NOT NULL,"       \
    "  s.started_us, s.ended_us, s.event_count, s.token_count_input,"         \
    "  s.token_count_output, s.cost_cents, s.success_count, s.failure_count," \
    "  (SELECT substr(e.input, 1, 200) FROM events AS e"                      \
    "    WHERE e.session = s.id ORDER BY e.time_us, e.id LIMIT 1)"            \
    "  FROM sessions AS s"

/* Gives the next row to `each`. *ret_more: there was one, and more is wanted.
 * SQLITE_OK. */
int phosd_step_event(sqlite3_stmt *statement, phosd_event_fn *each,
                     void *user_data, bool *ret_more);
void phosd_session_of(sqlite3_stmt *row, struct phosd_session_found *found);

#endif
