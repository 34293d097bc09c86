#include "store_internal.h"

#include <string.h>

#include "now.h"
#include "text.h"

/* SQLite asks whether to go on after so many of its steps; one of them may
 * look through megabytes of text. */
enum { STEPS_BETWEEN_CHECKS = 200 };

/*
 * A list's statement is put together from the constant pieces below, chosen by
 * which filters are set; every value is bound, by fixed numbers:
 *
 *      1 project   2 session_id   3 user_id   4 model   5 flag   6 tag
 *      7 from      8 to           9 index query          10.. words
 */
enum {
    BIND_PROJECT = 1,
    BIND_SESSION,
    BIND_USER,
    BIND_MODEL,
    BIND_FLAG,
    BIND_TAG,
    BIND_FROM,
    BIND_TO,
    BIND_INDEX,
    BIND_WORDS,
    BIND_LIMIT = BIND_WORDS + PHOSD_WORDS_MAX,
    BIND_OFFSET
};

#define EVENT_COLUMNS                                                       \
    "SELECT e.event_id, e.time_us, e.received_us, e.session_id, e.user_id," \
    "  e.model, e.input, e.output, e.metadata, f.flag, f.comment, f.source" \
    "  FROM events AS e LEFT JOIN feedback AS f ON f.event = e.id"

#define SESSION_COLUMNS                                                       \
    "SELECT s.id, s.session_id, s.user_id, s.grouped_user IS NOT NULL,"       \
    "  s.started_us, s.ended_us, s.event_count, s.token_count_input,"         \
    "  s.token_count_output, s.cost_cents, s.success_count, s.failure_count," \
    "  (SELECT substr(e.input, 1, 200) FROM events AS e"                      \
    "    WHERE e.session = s.id ORDER BY e.time_us, e.id LIMIT 1)"            \
    "  FROM sessions AS s"

static const char *const word_conditions[PHOSD_WORDS_MAX] = {
#define WORD(number) \
    " AND (contains(e.input, ?" #number ") OR contains(e.output, ?" #number "))"
    WORD(10), WORD(11), WORD(12), WORD(13), WORD(14), WORD(15),
    WORD(16), WORD(17), WORD(18), WORD(19), WORD(20), WORD(21),
    WORD(22), WORD(23), WORD(24), WORD(25),
#undef WORD
};

static void say(struct phos__buffer *sql, const char *piece)
{
    phos__buffer_append(sql, piece, strlen(piece));
}

static void say_words(struct phos__buffer *sql,
                      const struct phosd_filter *filter, bool indexed)
{
    if (filter->word_count > 0 && indexed)
        say(sql, " AND e.id IN (SELECT rowid FROM events_text"
                 "   WHERE events_text MATCH ?9"
                 "  UNION ALL SELECT id FROM events WHERE id >"
                 "   (SELECT indexed_to FROM collector))");
    for (size_t i = 0; i < filter->word_count; i++)
        say(sql, word_conditions[i]);
}

/* `indexed`: the text index narrows the rows first. The unary plus keeps
 * SQLite from walking through the whole project then. */
static void say_event_conditions(struct phos__buffer *sql,
                                 const struct phosd_filter *filter,
                                 bool indexed)
{
    say(sql,
        indexed ? " WHERE +e.project_id = ?1" : " WHERE e.project_id = ?1");
    if (filter->session_id.data)
        say(sql, " AND e.session = (SELECT id FROM sessions"
                 "  WHERE project_id = ?1 AND session_id = ?2)");
    if (filter->user_id.data)
        say(sql, " AND e.user_id = ?3");
    if (filter->model.data)
        say(sql, " AND e.model = ?4");
    if (filter->flag.data)
        say(sql, " AND f.flag = ?5");
    if (filter->tag.data)
        say(sql, " AND e.id IN (SELECT event FROM tags"
                 "  WHERE project_id = ?1 AND tag = ?6)");
    if (filter->has_from)
        say(sql, " AND e.time_us >= ?7");
    if (filter->has_to)
        say(sql, " AND e.time_us < ?8");
    say_words(sql, filter, indexed);
}

/* The two flags that count are counted in the session already. */
static void say_session_flag(struct phos__buffer *sql, phos_str flag)
{
    if (flag.length == 7 && memcmp(flag.data, "success", 7) == 0)
        say(sql, " AND s.success_count > 0");
    else if (flag.length == 7 && memcmp(flag.data, "failure", 7) == 0)
        say(sql, " AND s.failure_count > 0");
    else
        say(sql, " AND EXISTS (SELECT 1 FROM events AS e"
                 "  JOIN feedback AS f ON f.event = e.id"
                 "  WHERE e.session = s.id AND f.flag = ?5)");
}

static void say_session_conditions(struct phos__buffer *sql,
                                   const struct phosd_filter *filter,
                                   bool indexed)
{
    say(sql, " WHERE s.project_id = ?1");
    if (filter->user_id.data)
        say(sql, " AND s.user_id = ?3");
    if (filter->has_from)
        say(sql, " AND s.ended_us >= ?7");
    if (filter->has_to)
        say(sql, " AND s.started_us < ?8");
    if (filter->model.data)
        say(sql, " AND EXISTS (SELECT 1 FROM events AS e"
                 "  WHERE e.session = s.id AND e.model = ?4)");
    if (filter->flag.data)
        say_session_flag(sql, filter->flag);
    if (filter->word_count > 0) {
        say(sql, " AND s.id IN (SELECT e.session FROM events AS e"
                 "  WHERE e.session IS NOT NULL");
        say(sql,
            indexed ? " AND +e.project_id = ?1" : " AND e.project_id = ?1");
        say_words(sql, filter, indexed);
        say(sql, ")");
    }
}

static void bind_filter(sqlite3_stmt *statement, int64_t project_id,
                        const struct phosd_filter *filter, phos_str index)
{
    /* Numbers that the statement does not hold are refused by SQLite, which
     * is as good as bound. */
    sqlite3_bind_int64(statement, BIND_PROJECT, project_id);
    phosd_bind(statement, BIND_SESSION, filter->session_id);
    phosd_bind(statement, BIND_USER, filter->user_id);
    phosd_bind(statement, BIND_MODEL, filter->model);
    phosd_bind(statement, BIND_FLAG, filter->flag);
    phosd_bind(statement, BIND_TAG, filter->tag);
    sqlite3_bind_int64(statement, BIND_FROM, filter->from_us);
    sqlite3_bind_int64(statement, BIND_TO, filter->to_us);
    phosd_bind(statement, BIND_INDEX, index);
    for (size_t i = 0; i < filter->word_count; i++)
        phosd_bind(statement, BIND_WORDS + (int)i, filter->words[i]);
    sqlite3_bind_int64(statement, BIND_LIMIT, filter->limit);
    sqlite3_bind_int64(statement, BIND_OFFSET, filter->offset);
}

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

static void session_of(sqlite3_stmt *row, struct phosd_session_found *found)
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

static int step_events(sqlite3_stmt *statement, phosd_event_fn *each,
                       void *user_data)
{
    struct phosd_event_found found;
    int code;

    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        event_of(statement, &found);
        if (!each(&found, user_data))
            return SQLITE_DONE;
    }
    return code;
}

/* Everything about one list that is the same for events and sessions. */
struct list {
    struct phosd_reader *reader;
    int64_t project_id;
    const struct phosd_filter *filter;
    struct phos__buffer sql;
    struct phos__buffer index; /* what the text index is asked */
};

static bool list_init(struct list *list, struct phosd_reader *reader,
                      int64_t project_id, const struct phosd_filter *filter)
{
    bool indexed = false;

    list->reader = reader;
    list->project_id = project_id;
    list->filter = filter;
    phosd_buffer_init(&list->sql);
    phosd_buffer_init(&list->index);
    for (size_t i = 0; i < filter->word_count; i++)
        if (phosd_text_trigrams(&list->index, filter->words[i]))
            indexed = true;
    return indexed;
}

static void list_deinit(struct list *list)
{
    phos__buffer_deinit(&list->sql);
    phos__buffer_deinit(&list->index);
}

/* Prepares and binds what list->sql says. */
static int list_prepare(struct list *list, sqlite3_stmt **ret_statement)
{
    int code;

    if (list->sql.failed || list->index.failed)
        return SQLITE_NOMEM;
    code = sqlite3_prepare_v2(list->reader->db, (const char *)list->sql.data,
                              (int)list->sql.bytes, ret_statement, NULL);
    if (code == SQLITE_OK)
        bind_filter(
            *ret_statement, list->project_id, list->filter,
            phos_str_make((const char *)list->index.data, list->index.bytes));
    return code;
}

static int list_count(struct list *list, int64_t *ret_total)
{
    sqlite3_stmt *statement = NULL;
    int code = list_prepare(list, &statement);

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *ret_total = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    phos__buffer_clear(&list->sql);
    return code;
}

enum phosd_result phosd_reader_events(struct phosd_reader *reader,
                                      int64_t project_id,
                                      const struct phosd_filter *filter,
                                      phosd_event_fn *each, void *user_data,
                                      int64_t *ret_total)
{
    sqlite3_stmt *statement = NULL;
    struct list list;
    bool indexed = list_init(&list, reader, project_id, filter);
    int code;

    say(&list.sql, "SELECT count(*) FROM events AS e");
    if (filter->flag.data)
        say(&list.sql, " JOIN feedback AS f ON f.event = e.id");
    say_event_conditions(&list.sql, filter, indexed);
    code = list_count(&list, ret_total);
    if (code == SQLITE_ROW && filter->limit > 0) {
        say(&list.sql, EVENT_COLUMNS);
        say_event_conditions(&list.sql, filter, indexed);
        say(&list.sql, " ORDER BY e.time_us DESC, e.id DESC"
                       " LIMIT ?26 OFFSET ?27");
        code = list_prepare(&list, &statement);
        if (code == SQLITE_OK)
            code = step_events(statement, each, user_data);
        sqlite3_finalize(statement);
    }
    list_deinit(&list);
    return phosd_result_of(code);
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
        EVENT_COLUMNS " WHERE e.project_id = ?1 AND e.event_id = ?2", -1,
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

enum phosd_result phosd_reader_sessions(struct phosd_reader *reader,
                                        int64_t project_id,
                                        const struct phosd_filter *filter,
                                        phosd_session_fn *each, void *user_data,
                                        int64_t *ret_total)
{
    struct phosd_session_found found;
    sqlite3_stmt *statement = NULL;
    struct list list;
    bool indexed = list_init(&list, reader, project_id, filter);
    int code;

    say(&list.sql, "SELECT count(*) FROM sessions AS s");
    say_session_conditions(&list.sql, filter, indexed);
    code = list_count(&list, ret_total);
    if (code == SQLITE_ROW && filter->limit > 0) {
        say(&list.sql, SESSION_COLUMNS);
        say_session_conditions(&list.sql, filter, indexed);
        say(&list.sql, " ORDER BY s.ended_us DESC, s.id DESC"
                       " LIMIT ?26 OFFSET ?27");
        code = list_prepare(&list, &statement);
        while (code == SQLITE_OK || code == SQLITE_ROW) {
            code = sqlite3_step(statement);
            if (code == SQLITE_ROW) {
                session_of(statement, &found);
                each(&found, user_data);
            }
        }
        sqlite3_finalize(statement);
    }
    list_deinit(&list);
    return phosd_result_of(code);
}

static int session_events(struct phosd_reader *reader, int64_t session,
                          const struct phosd_filter *filter,
                          phosd_event_fn *each, void *user_data)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(
        reader->db,
        EVENT_COLUMNS " WHERE e.session = ?1"
                      " ORDER BY e.time_us, e.id LIMIT ?2 OFFSET ?3",
        -1, &statement, NULL);

    if (code == SQLITE_OK) {
        sqlite3_bind_int64(statement, 1, session);
        sqlite3_bind_int64(statement, 2, filter->limit);
        sqlite3_bind_int64(statement, 3, filter->offset);
        code = step_events(statement, each, user_data);
    }
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
        SESSION_COLUMNS " WHERE s.project_id = ?1 AND s.session_id = ?2", -1,
        &statement, NULL);

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
        session_of(statement, &found);
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
    reader->due_ms = phosd_now_ms() + PHOSD_READ_MS_MAX;
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
