/*
 * store_read - the readers' threads, and single events and sessions.
 */
#include "store_read.h"

#include <string.h>

#include "now.h"

/* SQLite asks whether to go on after so many of its steps; one of them may
 * look through megabytes of text. */
enum { STEPS_BETWEEN_CHECKS = 200 };

enum phosd_result phosd_result_of(int code)
{
    switch (code) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW:
        return PHOSD_STORED;
    case SQLITE_INTERRUPT:
        return PHOSD_TOO_SLOW;
    default:
        return PHOSD_FAILED;
    }
}

static void event_of(sqlite3_stmt *row, struct phosd_event_found *found)
{
    const void *id = sqlite3_column_blob(row, 0);

    memset(found, 0, sizeof(*found));
    if (id && sqlite3_column_bytes(row, 0) == 16)
        memcpy(found->event.id, id, 16);
    found->event.time_us = sqlite3_column_int64(row, 1);
    found->received_us = sqlite3_column_int64(row, 2);
    found->event.session_id = phosd_column(row, 3);
    found->event.user_id = phosd_column(row, 4);
    found->event.model = phosd_column(row, 5);
    found->event.input = phosd_column(row, 6);
    found->event.output = phosd_column(row, 7);
    found->event.metadata = phosd_column(row, 8);
    found->flag = phosd_column(row, 9);
    found->comment = phosd_column(row, 10);
    found->source = phosd_column(row, 11);
}

void phosd_session_of(sqlite3_stmt *row, struct phosd_session_found *found)
{
    found->session_id = phosd_column(row, 1);
    found->user_id = phosd_column(row, 2);
    found->by_user = sqlite3_column_int(row, 3) != 0;
    found->started_us = sqlite3_column_int64(row, 4);
    found->ended_us = sqlite3_column_int64(row, 5);
    found->event_count = sqlite3_column_int64(row, 6);
    found->token_count_input = sqlite3_column_int64(row, 7);
    found->token_count_output = sqlite3_column_int64(row, 8);
    found->cost_cents = sqlite3_column_double(row, 9);
    found->success_count = sqlite3_column_int64(row, 10);
    found->failure_count = sqlite3_column_int64(row, 11);
    found->first_input = phosd_column(row, 12);
}

int phosd_step_event(sqlite3_stmt *statement, phosd_event_fn *each,
                     void *user_data, bool *ret_more)
{
    struct phosd_event_found found;
    int code = sqlite3_step(statement);

    *ret_more = false;
    if (code == SQLITE_ROW) {
        event_of(statement, &found);
        *ret_more = each(&found, user_data);
    }
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

enum phosd_result phosd_reader_event(struct phosd_reader *reader,
                                     int64_t project_id,
                                     const uint8_t event_id[16],
                                     phosd_event_fn *each, void *user_data)
{
    sqlite3_stmt *statement = NULL;
    struct phosd_event_found found;
    int code = sqlite3_prepare_v2(
        reader->db,
        PHOSD_EVENT_COLUMNS " WHERE e.project_id = ?1 AND e.event_id = ?2", -1,
        &statement, NULL);

    if (code == SQLITE_OK) {
        sqlite3_bind_int64(statement, 1, project_id);
        sqlite3_bind_blob(statement, 2, event_id, 16, SQLITE_STATIC);
        code = sqlite3_step(statement);
    }
    if (code == SQLITE_ROW) {
        event_of(statement, &found);
        each(&found, user_data);
    }
    sqlite3_finalize(statement);
    return code == SQLITE_DONE ? PHOSD_NOT_FOUND : phosd_result_of(code);
}

static int session_events(struct phosd_reader *reader, int64_t session,
                          const struct phosd_filter *filter,
                          phosd_event_fn *each, void *user_data)
{
    sqlite3_stmt *statement = NULL;
    bool more = true;
    int code = sqlite3_prepare_v2(
        reader->db,
        PHOSD_EVENT_COLUMNS " WHERE e.session = ?1"
                            " ORDER BY e.time_us, e.id LIMIT ?2 OFFSET ?3",
        -1, &statement, NULL);

    if (code == SQLITE_OK) {
        sqlite3_bind_int64(statement, 1, session);
        sqlite3_bind_int64(statement, 2, filter->limit);
        sqlite3_bind_int64(statement, 3, filter->offset);
    }
    while (code == SQLITE_OK && more)
        code = phosd_step_event(statement, each, user_data, &more);
    sqlite3_finalize(statement);
    return code;
}

enum phosd_result phosd_reader_session(struct phosd_reader *reader,
                                       int64_t project_id, phos_str session_id,
                                       const struct phosd_filter *filter,
                                       phosd_session_fn *session,
                                       phosd_event_fn *each, void *user_data)
{
    struct phosd_session_found found;
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(
        reader->db,
        PHOSD_SESSION_COLUMNS " WHERE s.project_id = ?1 AND s.session_id = ?2",
        -1, &statement, NULL);

    if (code == SQLITE_OK) {
        sqlite3_bind_int64(statement, 1, project_id);
        phosd_bind(statement, 2, session_id);
        code = sqlite3_step(statement);
    }
    if (code == SQLITE_DONE) {
        sqlite3_finalize(statement);
        return PHOSD_NOT_FOUND;
    }
    if (code == SQLITE_ROW) {
        phosd_session_of(statement, &found);
        session(&found, user_data);
        code = session_events(reader, sqlite3_column_int64(statement, 0),
                              filter, each, user_data);
    }
    sqlite3_finalize(statement);
    return phosd_result_of(code);
}

static int past_its_time(void *user_data)
{
    const struct phosd_reader *reader = user_data;

    return phosd_now_ms() > reader->due_ms;
}

static struct phosd_read *take_read(struct phosd_store *store)
{
    struct phosd_read *read = store->reads;

    if (read) {
        store->reads_waiting--;
        store->reads = read->next;
        if (!store->reads)
            store->reads_end = &store->reads;
    }
    return read;
}

/* One transaction for each read: count and rows tell of the same moment. */
static void serve(struct phosd_reader *reader, struct phosd_read *read)
{
    reader->due_ms = phosd_now_ms() + reader->store->read_ms_max;
    if (sqlite3_exec(reader->db, "BEGIN", NULL, NULL, NULL))
        read->result = PHOSD_FAILED;
    else
        read->run(reader, read);
    if (!sqlite3_get_autocommit(reader->db))
        sqlite3_exec(reader->db, "COMMIT", NULL, NULL, NULL);
    if (!sqlite3_get_autocommit(reader->db))
        sqlite3_exec(reader->db, "ROLLBACK", NULL, NULL, NULL);
    read->done(read);
}

void *phosd_reader_main(void *user_data)
{
    struct phosd_reader *reader = user_data;
    struct phosd_store *store = reader->store;

    sqlite3_progress_handler(reader->db, STEPS_BETWEEN_CHECKS, past_its_time,
                             reader);
    pthread_mutex_lock(&store->mutex);
    for (;;) {
        struct phosd_read *read = take_read(store);

        if (!read && store->stopping)
            break;
        if (!read) {
            pthread_cond_wait(&store->read_wanted, &store->mutex);
            continue;
        }
        pthread_mutex_unlock(&store->mutex);
        serve(reader, read);
        pthread_mutex_lock(&store->mutex);
    }
    pthread_mutex_unlock(&store->mutex);
    return NULL;
}
