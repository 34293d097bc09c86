/*
 * store_write - what a transaction does to events, sessions and feedback.
 */
#include "store_internal.h"

#include <string.h>

#include "wire/uuid.h"

/* Events of one user without session_id, further apart than this, belong to
 * different sessions. Source: ingestion API, grouping of sessions. */
#define INACTIVITY_US (INT64_C(30) * 60 * 1000000)

/* Sums stop at 2^53 - 1, the last number that every JSON reader keeps whole. */
static const char *const texts[PHOSD_STATEMENTS] = {
    [PHOSD_BEGIN] = "BEGIN IMMEDIATE",
    [PHOSD_COMMIT] = "COMMIT",
    [PHOSD_FIND_EVENT] = "SELECT id, session, time_us, model FROM events"
                         "  WHERE project_id = ?1 AND event_id = ?2",
    [PHOSD_ADD_EVENT] =
        "INSERT INTO events(id, project_id, event_id, session, time_us,"
        "  received_us, session_id, user_id, model, input, output, metadata)"
        "  VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    [PHOSD_ADD_TAG] =
        "INSERT OR IGNORE INTO tags(project_id, tag, event) VALUES(?1, ?2, ?3)",
    [PHOSD_ADD_TO_SESSION] =
        "INSERT INTO sessions(project_id, session_id, grouped_user, user_id,"
        "  started_us, ended_us, event_count, token_count_input,"
        "  token_count_output, cost_cents)"
        "  VALUES(?1, ?2, ?3, ?4, ?5, ?5, 1, min(9007199254740991, ?6),"
        "  min(9007199254740991, ?7), ?8)"
        "  ON CONFLICT(project_id, session_id) DO UPDATE SET"
        "  user_id = coalesce(user_id, excluded.user_id),"
        "  started_us = min(started_us, excluded.started_us),"
        "  ended_us = max(ended_us, excluded.ended_us),"
        "  event_count = event_count + 1,"
        "  token_count_input = min(9007199254740991,"
        "    token_count_input + excluded.token_count_input),"
        "  token_count_output = min(9007199254740991,"
        "    token_count_output + excluded.token_count_output),"
        "  cost_cents = cost_cents + excluded.cost_cents"
        "  RETURNING id",
    [PHOSD_NEAR_SESSIONS] =
        "SELECT id, session_id, started_us FROM sessions"
        "  WHERE project_id = ?1 AND grouped_user = ?2 AND ended_us >= ?3"
        "  ORDER BY ended_us LIMIT 2",
    [PHOSD_MERGE_EVENTS] = "UPDATE events SET session = ?1 WHERE session = ?2",
    [PHOSD_MERGE_SESSION] =
        "UPDATE sessions SET"
        "  ended_us = max(sessions.ended_us, gone.ended_us),"
        "  event_count = sessions.event_count + gone.event_count,"
        "  token_count_input = min(9007199254740991,"
        "    sessions.token_count_input + gone.token_count_input),"
        "  token_count_output = min(9007199254740991,"
        "    sessions.token_count_output + gone.token_count_output),"
        "  cost_cents = sessions.cost_cents + gone.cost_cents,"
        "  success_count = sessions.success_count + gone.success_count,"
        "  failure_count = sessions.failure_count + gone.failure_count"
        "  FROM sessions AS gone WHERE sessions.id = ?1 AND gone.id = ?2",
    [PHOSD_DROP_SESSION] = "DELETE FROM sessions WHERE id = ?2",
    [PHOSD_OLD_FEEDBACK] = "SELECT flag FROM feedback WHERE event = ?1",
    [PHOSD_SET_FEEDBACK] =
        "INSERT INTO feedback(event, flag, comment, source, received_us,"
        "  project_id, time_us) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7) ON "
        "CONFLICT(event) DO UPDATE SET"
        "  flag = excluded.flag, comment = excluded.comment,"
        "  source = excluded.source, received_us = excluded.received_us",
    [PHOSD_COUNT_FEEDBACK] =
        "UPDATE sessions SET success_count = success_count + ?2,"
        "  failure_count = failure_count + ?3 WHERE id = ?1",
    [PHOSD_UNINDEXED] = "SELECT id, input, output FROM events WHERE id > ?1"
                        "  ORDER BY id LIMIT ?2",
    [PHOSD_ADD_TO_INDEX] =
        "INSERT INTO events_text(rowid, input, output) VALUES(?1, ?2, ?3)",
    [PHOSD_SET_INDEXED] = "UPDATE collector SET indexed_to = ?1",
    [PHOSD_SET_KEY_USED] = "UPDATE keys SET used_us = ?2 WHERE id = ?1",
};

int phosd_writer_run(struct phosd_writer *writer, enum phosd_statement which)
{
    sqlite3_stmt *statement = writer->statements[which];
    int code = sqlite3_step(statement);

    sqlite3_reset(statement);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

static int on_commit(void *user_data, sqlite3 *db, const char *name, int pages)
{
    struct phosd_writer *writer = user_data;

    (void)db;
    (void)name;
    writer->log_pages = pages;
    return SQLITE_OK;
}

static bool read_position(struct phosd_writer *writer)
{
    sqlite3_stmt *statement;
    bool found = false;

    if (sqlite3_prepare_v2(writer->db,
                           "SELECT indexed_to,"
                           "  (SELECT coalesce(max(id), 0) FROM events)"
                           "  FROM collector",
                           -1, &statement, NULL))
        return false;
    if (sqlite3_step(statement) == SQLITE_ROW) {
        writer->indexed_to = sqlite3_column_int64(statement, 0);
        writer->last_row = sqlite3_column_int64(statement, 1);
        if (writer->last_row < writer->indexed_to)
            writer->last_row = writer->indexed_to; /* the rest is deleted */
        found = true;
    }
    sqlite3_finalize(statement);
    return found;
}

bool phosd_writer_open(struct phosd_writer *writer)
{
    for (int i = 0; i < PHOSD_STATEMENTS; i++)
        if (sqlite3_prepare_v3(writer->db, texts[i], -1,
                               SQLITE_PREPARE_PERSISTENT,
                               &writer->statements[i], NULL))
            return false;
    sqlite3_wal_hook(writer->db, on_commit, writer);
    return phosd_retain_open(writer) && phosd_sums_open(writer) &&
           read_position(writer);
}

void phosd_writer_close(struct phosd_writer *writer)
{
    for (int i = 0; i < PHOSD_STATEMENTS; i++)
        sqlite3_finalize(writer->statements[i]);
    phosd_retain_close(writer);
    phosd_sums_close(writer);
    if (writer->db)
        sqlite3_wal_checkpoint_v2(writer->db, NULL, SQLITE_CHECKPOINT_TRUNCATE,
                                  NULL, NULL);
    sqlite3_close(writer->db);
}

/* An event that is there. */
struct known {
    int64_t row, session; /* a session of 0: none */
    int64_t time_us;
    phos_str model; /* of a longer one only that it is longer */
    char model_text[PHOSD_STATS_NAME_MAX + 1];
};

static void keep_model(phos_str model, struct known *known)
{
    known->model = phos_str_make(NULL, 0);
    if (!model.data)
        return;
    if (model.length > sizeof(known->model_text))
        model.length = sizeof(known->model_text);
    memcpy(known->model_text, model.data, model.length);
    known->model = phos_str_make(known->model_text, model.length);
}

/* SQLITE_ROW: found. */
static int find_event(struct phosd_writer *writer, int64_t project_id,
                      const uint8_t event_id[16], struct known *ret_known)
{
    sqlite3_stmt *find = writer->statements[PHOSD_FIND_EVENT];
    int code;

    sqlite3_bind_int64(find, 1, project_id);
    sqlite3_bind_blob(find, 2, event_id, 16, SQLITE_STATIC);
    code = sqlite3_step(find);
    if (code == SQLITE_ROW) {
        ret_known->row = sqlite3_column_int64(find, 0);
        ret_known->session = sqlite3_column_int64(find, 1);
        ret_known->time_us = sqlite3_column_int64(find, 2);
        keep_model(phosd_column(find, 3), ret_known);
    }
    sqlite3_reset(find);
    return code;
}

static int add_to_session(struct phosd_writer *writer, int64_t project_id,
                          const struct phosd_event *event, phos_str session_id,
                          phos_str grouped_user, int64_t *ret_session)
{
    sqlite3_stmt *add = writer->statements[PHOSD_ADD_TO_SESSION];
    int code;

    sqlite3_bind_int64(add, 1, project_id);
    phosd_bind(add, 2, session_id);
    phosd_bind(add, 3, grouped_user);
    phosd_bind(add, 4, event->user_id);
    sqlite3_bind_int64(add, 5, event->time_us);
    sqlite3_bind_int64(add, 6, event->token_count_input);
    sqlite3_bind_int64(add, 7, event->token_count_output);
    sqlite3_bind_double(add, 8, event->cost_cents);
    code = sqlite3_step(add);
    if (code == SQLITE_ROW) {
        *ret_session = sqlite3_column_int64(add, 0);
        code = sqlite3_step(add);
    }
    sqlite3_reset(add);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

static int merge_sessions(struct phosd_writer *writer, int64_t kept,
                          int64_t gone)
{
    static const enum phosd_statement steps[] = { PHOSD_MERGE_EVENTS,
                                                  PHOSD_MERGE_SESSION,
                                                  PHOSD_DROP_SESSION };

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        sqlite3_stmt *statement = writer->statements[steps[i]];
        int code;

        if (steps[i] != PHOSD_DROP_SESSION)
            sqlite3_bind_int64(statement, 1, kept);
        sqlite3_bind_int64(statement, 2, gone);
        code = phosd_writer_run(writer, steps[i]);
        if (code)
            return code;
    }
    return SQLITE_OK;
}

enum { SESSION_ID_BYTES = sizeof("auto-") - 1 + 36 };

/* The user's sessions that an event at this time touches: none, one, or the
 * two that it joins to one, the earlier first. */
struct near {
    unsigned count;
    int64_t ids[2];
    struct phos__buffer session_id; /* of the first */
};

static int find_near(struct phosd_writer *writer, int64_t project_id,
                     const struct phosd_event *event, struct near *near)
{
    sqlite3_stmt *find = writer->statements[PHOSD_NEAR_SESSIONS];
    int code;

    sqlite3_bind_int64(find, 1, project_id);
    phosd_bind(find, 2, event->user_id);
    sqlite3_bind_int64(find, 3, event->time_us - INACTIVITY_US);
    while ((code = sqlite3_step(find)) == SQLITE_ROW) {
        if (sqlite3_column_int64(find, 2) > event->time_us + INACTIVITY_US)
            continue;
        if (near->count == 0)
            phos__buffer_append_str(&near->session_id, phosd_column(find, 1));
        near->ids[near->count++] = sqlite3_column_int64(find, 0);
    }
    sqlite3_reset(find);
    if (near->session_id.failed)
        return SQLITE_NOMEM;
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

/* The session of an event that names a user alone. A new one is called after
 * its first event. */
static int join_user_session(struct phosd_writer *writer, int64_t project_id,
                             const struct phosd_event *event,
                             int64_t *ret_session)
{
    char text[SESSION_ID_BYTES];
    struct near near = { 0 };
    phos_str session_id = phos_str_make(text, sizeof(text));
    int code;

    phosd_buffer_init(&near.session_id);
    memcpy(text, "auto-", sizeof("auto-") - 1);
    phos__uuid_write(event->id, text + sizeof("auto-") - 1);
    code = find_near(writer, project_id, event, &near);
    if (code == SQLITE_OK && near.count > 0)
        session_id = phos_str_make((const char *)near.session_id.data,
                                   near.session_id.bytes);
    if (code == SQLITE_OK)
        code = add_to_session(writer, project_id, event, session_id,
                              event->user_id, ret_session);
    if (code == SQLITE_OK && near.count == 2)
        code = merge_sessions(writer, near.ids[0], near.ids[1]);
    phos__buffer_deinit(&near.session_id);
    return code;
}

static int add_tags(struct phosd_writer *writer, int64_t project_id,
                    const struct phosd_event *event, int64_t row)
{
    sqlite3_stmt *add = writer->statements[PHOSD_ADD_TAG];

    for (size_t i = 0; i < event->tag_count; i++) {
        int code;

        sqlite3_bind_int64(add, 1, project_id);
        phosd_bind(add, 2, event->tags[i]);
        sqlite3_bind_int64(add, 3, row);
        code = phosd_writer_run(writer, PHOSD_ADD_TAG);
        if (code)
            return code;
    }
    return SQLITE_OK;
}

static int add_row(struct phosd_writer *writer, const struct phosd_write *write,
                   const struct phosd_event *event, int64_t session,
                   int64_t row)
{
    sqlite3_stmt *add = writer->statements[PHOSD_ADD_EVENT];

    sqlite3_bind_int64(add, 1, row);
    sqlite3_bind_int64(add, 2, write->project_id);
    sqlite3_bind_blob(add, 3, event->id, 16, SQLITE_STATIC);
    if (session)
        sqlite3_bind_int64(add, 4, session);
    else
        sqlite3_bind_null(add, 4);
    sqlite3_bind_int64(add, 5, event->time_us);
    sqlite3_bind_int64(add, 6, write->received_us);
    phosd_bind(add, 7, event->session_id);
    phosd_bind(add, 8, event->user_id);
    phosd_bind(add, 9, event->model);
    phosd_bind(add, 10, event->input);
    phosd_bind(add, 11, event->output);
    phosd_bind(add, 12, event->metadata);
    return phosd_writer_run(writer, PHOSD_ADD_EVENT);
}

/* An event that is there already changes nothing: that is what makes sending
 * it again safe. */
static int add_event(struct phosd_writer *writer, struct phosd_write *write,
                     const struct phosd_event *event)
{
    const struct phosd_sums_of of = { write->project_id, event->time_us,
                                      event->model };
    struct phosd_measure measure;
    struct known known;
    int64_t session = 0;
    int code = find_event(writer, write->project_id, event->id, &known);

    if (code == SQLITE_ROW) {
        write->duplicates++;
        return SQLITE_OK;
    }
    if (code != SQLITE_DONE)
        return code;

    code = SQLITE_OK;
    if (event->session_id.data)
        code =
            add_to_session(writer, write->project_id, event, event->session_id,
                           phos_str_make(NULL, 0), &session);
    else if (event->user_id.data)
        code = join_user_session(writer, write->project_id, event, &session);
    if (code == SQLITE_OK)
        code = add_row(writer, write, event, session, writer->last_row + 1);
    if (code == SQLITE_OK)
        code = add_tags(writer, write->project_id, event, ++writer->last_row);
    if (code)
        return code;
    phosd_measure(event->metadata, phos_str_make(NULL, 0), &measure);
    return phosd_sums_count(writer, &of, &measure, true);
}

bool phosd_flag_is(phos_str flag, const char *word)
{
    return flag.length == strlen(word) &&
           memcmp(flag.data, word, flag.length) == 0;
}

/* What feedback counts for; nothing when its flag is missing. */
static struct phosd_measure judgement(phos_str flag)
{
    struct phosd_measure measure = { .has_latency = false };

    measure.sums.success = flag.data && phosd_flag_is(flag, "success");
    measure.sums.failure = flag.data && phosd_flag_is(flag, "failure");
    return measure;
}

/* What the event's former feedback counted for. */
static int old_feedback(struct phosd_writer *writer, int64_t row,
                        struct phosd_measure *ret_old)
{
    sqlite3_stmt *old = writer->statements[PHOSD_OLD_FEEDBACK];
    int code;

    sqlite3_bind_int64(old, 1, row);
    code = sqlite3_step(old);
    *ret_old = judgement(code == SQLITE_ROW ? phosd_column(old, 0)
                                            : phos_str_make(NULL, 0));
    sqlite3_reset(old);
    return code == SQLITE_DONE || code == SQLITE_ROW ? SQLITE_OK : code;
}

static int set_feedback(struct phosd_writer *writer,
                        const struct phosd_write *write,
                        const struct known *known)
{
    const struct phosd_feedback *feedback = write->feedback;
    sqlite3_stmt *set = writer->statements[PHOSD_SET_FEEDBACK];

    sqlite3_bind_int64(set, 1, known->row);
    phosd_bind(set, 2, feedback->flag);
    phosd_bind(set, 3, feedback->comment);
    phosd_bind(set, 4, feedback->source);
    sqlite3_bind_int64(set, 5, write->received_us);
    sqlite3_bind_int64(set, 6, write->project_id);
    sqlite3_bind_int64(set, 7, known->time_us);
    return phosd_writer_run(writer, PHOSD_SET_FEEDBACK);
}

/* The session and the sums follow what has changed. */
static int count_feedback(struct phosd_writer *writer, int64_t project_id,
                          const struct known *known,
                          const struct phosd_measure *old,
                          const struct phosd_measure *now)
{
    const struct phosd_sums_of of = { project_id, known->time_us,
                                      known->model };
    sqlite3_stmt *count = writer->statements[PHOSD_COUNT_FEEDBACK];
    int code;

    sqlite3_bind_int64(count, 1, known->session);
    sqlite3_bind_int(count, 2, (int)now->sums.success - (int)old->sums.success);
    sqlite3_bind_int(count, 3, (int)now->sums.failure - (int)old->sums.failure);
    code = phosd_writer_run(writer, PHOSD_COUNT_FEEDBACK);
    if (!code)
        code = phosd_sums_count(writer, &of, old, false);
    return code ? code : phosd_sums_count(writer, &of, now, true);
}

static int add_feedback(struct phosd_writer *writer, struct phosd_write *write)
{
    const struct phosd_feedback *feedback = write->feedback;
    const struct phosd_measure now = judgement(feedback->flag);
    struct phosd_measure old;
    struct known known;
    int code =
        find_event(writer, write->project_id, feedback->event_id, &known);

    if (code == SQLITE_DONE) {
        write->result = PHOSD_NOT_FOUND;
        return SQLITE_OK;
    }
    if (code != SQLITE_ROW)
        return code;
    code = old_feedback(writer, known.row, &old);
    if (!code)
        code = set_feedback(writer, write, &known);
    return code ? code
                : count_feedback(writer, write->project_id, &known, &old, &now);
}

static int note_key(struct phosd_writer *writer,
                    const struct phosd_write *write)
{
    sqlite3_stmt *set = writer->statements[PHOSD_SET_KEY_USED];

    sqlite3_bind_int64(set, 1, write->key);
    sqlite3_bind_int64(set, 2, write->received_us);
    return phosd_writer_run(writer, PHOSD_SET_KEY_USED);
}

int phosd_write_apply(struct phosd_writer *writer, struct phosd_write *write)
{
    write->result = PHOSD_STORED;
    write->duplicates = 0;
    if (write->feedback)
        return add_feedback(writer, write);
    if (write->key)
        return note_key(writer, write);
    for (size_t i = 0; i < write->event_count; i++) {
        int code = add_event(writer, write, &write->events[i]);

        if (code)
            return code;
    }
    return SQLITE_OK;
}
