/*
 * store_retain - deletes the oldest events, those that arrived first, once
 * they are too old or the database holds too much. In small transactions
 * between those of requests; sessions, tags, feedback and the text index
 * follow in the same one.
 */
#include "store_internal.h"

#include "now.h"

/* One step takes some milliseconds, and a request may come meanwhile. */
enum { STEP_ROWS = 64, STEP_BYTES = 128 << 10 };

/*
 * What is deleted stays in the text index beside a mark that says so, until
 * both are merged: at first a deletion makes the file larger. So by size it
 * goes in rounds: as many events as are beyond 90 % of the room, by their mean
 * size, then the index is merged, then the size is looked at again.
 */
enum { ROOM_PERCENT = 90, MERGE_PAGES = 128 };

static const char *const texts[PHOSD_RETAIN_STATEMENTS] = {
    [PHOSD_OLDEST] =
        "SELECT e.id, e.session, e.received_us, e.input, e.output, f.flag,"
        "  CASE WHEN json_valid(e.metadata) THEN"
        "    coalesce(e.metadata ->> 'token_count_input', 0) ELSE 0 END,"
        "  CASE WHEN json_valid(e.metadata) THEN"
        "    coalesce(e.metadata ->> 'token_count_output', 0) ELSE 0 END,"
        "  CASE WHEN json_valid(e.metadata) THEN"
        "    coalesce(e.metadata ->> 'cost_cents', 0.0) ELSE 0.0 END,"
        "  e.project_id, e.time_us, e.model, e.metadata"
        "  FROM events AS e LEFT JOIN feedback AS f ON f.event = e.id"
        "  ORDER BY e.id LIMIT 1",
    [PHOSD_DELETE_TEXT] = "INSERT INTO events_text(events_text, rowid, input,"
                          "  output) VALUES('delete', ?1, ?2, ?3)",
    [PHOSD_DELETE_TAGS] = "DELETE FROM tags WHERE event = ?1",
    [PHOSD_DELETE_FEEDBACK] = "DELETE FROM feedback WHERE event = ?1",
    [PHOSD_DELETE_EVENT] = "DELETE FROM events WHERE id = ?1",
    [PHOSD_SHRINK_SESSION] =
        "UPDATE sessions SET event_count = event_count - 1,"
        "  token_count_input = max(0, token_count_input - ?2),"
        "  token_count_output = max(0, token_count_output - ?3),"
        "  cost_cents = max(0.0, cost_cents - ?4),"
        "  success_count = success_count - ?5,"
        "  failure_count = failure_count - ?6,"
        "  started_us = coalesce((SELECT min(time_us) FROM events"
        "    WHERE session = ?1), started_us),"
        "  ended_us = coalesce((SELECT max(time_us) FROM events"
        "    WHERE session = ?1), ended_us)"
        "  WHERE id = ?1",
    [PHOSD_END_SESSION] = "DELETE FROM sessions WHERE id = ?1"
                          "  AND NOT EXISTS (SELECT 1 FROM events"
                          "    WHERE session = ?1)",
    [PHOSD_MERGE_TEXT] =
        "INSERT INTO events_text(events_text, rank) VALUES('merge', ?1)",
    [PHOSD_PAGES] =
        "SELECT ((SELECT page_count FROM pragma_page_count)"
        "  - (SELECT freelist_count FROM pragma_freelist_count))"
        "  * (SELECT page_size FROM pragma_page_size),"
        "  (SELECT max(id) FROM events) - (SELECT min(id) FROM events) + 1",
};

bool phosd_retain_open(struct phosd_writer *writer)
{
    for (int i = 0; i < PHOSD_RETAIN_STATEMENTS; i++)
        if (sqlite3_prepare_v3(writer->db, texts[i], -1,
                               SQLITE_PREPARE_PERSISTENT, &writer->retain[i],
                               NULL))
            return false;
    return true;
}

void phosd_retain_close(struct phosd_writer *writer)
{
    for (int i = 0; i < PHOSD_RETAIN_STATEMENTS; i++)
        sqlite3_finalize(writer->retain[i]);
}

static int run(struct phosd_writer *writer, enum phosd_retain which)
{
    int code = sqlite3_step(writer->retain[which]);

    sqlite3_reset(writer->retain[which]);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

static int run_on(struct phosd_writer *writer, enum phosd_retain which,
                  int64_t row)
{
    sqlite3_bind_int64(writer->retain[which], 1, row);
    return run(writer, which);
}

/* How many events are to go by size; free pages do not count, as they are
 * used again. */
static uint64_t too_many(struct phosd_writer *writer)
{
    sqlite3_stmt *pages = writer->retain[PHOSD_PAGES];
    double keep = (double)writer->store->keep_bytes;
    double bytes = 0, events = 0;

    if (sqlite3_step(pages) == SQLITE_ROW) {
        bytes = sqlite3_column_double(pages, 0);
        events = sqlite3_column_double(pages, 1);
    }
    sqlite3_reset(pages);
    if (bytes <= keep || events < 1)
        return 0;
    return 1 + (uint64_t)(events * (1 - keep * ROOM_PERCENT / 100 / bytes));
}

struct oldest {
    int64_t row, session, received_us;
    int64_t tokens_input, tokens_output;
    double cost_cents;
    bool success, failure;
    size_t bytes;
};

static int uncount(struct phosd_writer *writer, sqlite3_stmt *found)
{
    const struct phosd_sums_of of = { sqlite3_column_int64(found, 9),
                                      sqlite3_column_int64(found, 10),
                                      phosd_column(found, 11) };
    struct phosd_measure measure;

    phosd_measure(phosd_column(found, 12), phosd_column(found, 5), &measure);
    return phosd_sums_count(writer, &of, &measure, false);
}

/* SQLITE_ROW with the oldest event; its text has left the index then, and its
 * numbers the sums. */
static int take_oldest(struct phosd_writer *writer, int64_t before_us,
                       struct oldest *oldest)
{
    sqlite3_stmt *found = writer->retain[PHOSD_OLDEST];
    sqlite3_stmt *text = writer->retain[PHOSD_DELETE_TEXT];
    int code = sqlite3_step(found);

    if (code != SQLITE_ROW || sqlite3_column_int64(found, 2) >= before_us) {
        sqlite3_reset(found);
        return code == SQLITE_ROW ? SQLITE_DONE : code;
    }
    oldest->row = sqlite3_column_int64(found, 0);
    oldest->session = sqlite3_column_int64(found, 1);
    oldest->success = phosd_flag_is(phosd_column(found, 5), "success");
    oldest->failure = phosd_flag_is(phosd_column(found, 5), "failure");
    oldest->tokens_input = sqlite3_column_int64(found, 6);
    oldest->tokens_output = sqlite3_column_int64(found, 7);
    oldest->cost_cents = sqlite3_column_double(found, 8);
    oldest->bytes =
        phosd_column(found, 3).length + phosd_column(found, 4).length;
    code = uncount(writer, found);
    if (!code && oldest->row <= writer->indexed_to) {
        sqlite3_bind_int64(text, 1, oldest->row);
        phosd_bind(text, 2, phosd_column(found, 3));
        phosd_bind(text, 3, phosd_column(found, 4));
        code = run(writer, PHOSD_DELETE_TEXT);
    }
    sqlite3_reset(found);
    return code ? code : SQLITE_ROW;
}

static int shrink_session(struct phosd_writer *writer,
                          const struct oldest *oldest)
{
    sqlite3_stmt *shrink = writer->retain[PHOSD_SHRINK_SESSION];
    int code;

    if (oldest->session == 0)
        return SQLITE_OK;
    sqlite3_bind_int64(shrink, 2, oldest->tokens_input);
    sqlite3_bind_int64(shrink, 3, oldest->tokens_output);
    sqlite3_bind_double(shrink, 4, oldest->cost_cents);
    sqlite3_bind_int(shrink, 5, oldest->success);
    sqlite3_bind_int(shrink, 6, oldest->failure);
    code = run_on(writer, PHOSD_SHRINK_SESSION, oldest->session);
    return code ? code : run_on(writer, PHOSD_END_SESSION, oldest->session);
}

/* SQLITE_ROW: one was deleted; SQLITE_DONE: none is to go. */
static int delete_oldest(struct phosd_writer *writer, int64_t before_us,
                         size_t *bytes)
{
    struct oldest oldest;
    int code = take_oldest(writer, before_us, &oldest);

    if (code != SQLITE_ROW)
        return code;
    code = run_on(writer, PHOSD_DELETE_TAGS, oldest.row);
    if (!code)
        code = run_on(writer, PHOSD_DELETE_FEEDBACK, oldest.row);
    if (!code)
        code = run_on(writer, PHOSD_DELETE_EVENT, oldest.row);
    if (!code)
        code = shrink_session(writer, &oldest);
    *bytes += oldest.bytes;
    return code ? code : SQLITE_ROW;
}

/* Deletes up to `most` within the transaction; SQLITE_ROW when there may be
 * more. */
static int delete_some(struct phosd_writer *writer, int64_t before_us,
                       uint64_t most, uint64_t *ret_count)
{
    size_t bytes = 0;
    int code = SQLITE_ROW;

    while (code == SQLITE_ROW && *ret_count < most && *ret_count < STEP_ROWS &&
           bytes < STEP_BYTES) {
        code = delete_oldest(writer, before_us, &bytes);
        *ret_count += code == SQLITE_ROW;
    }
    return code;
}

/* The first step of a merge takes all segments in; it has ended when one
 * changes next to nothing. Source: SQLite's FTS5, the merge command. */
static int merge_some(struct phosd_writer *writer)
{
    int64_t before = sqlite3_total_changes64(writer->db);
    int code = run_on(writer, PHOSD_MERGE_TEXT,
                      writer->merging == PHOSD_MERGE_BEGINS ? -MERGE_PAGES
                                                            : MERGE_PAGES);

    if (!code)
        writer->merging = sqlite3_total_changes64(writer->db) - before < 2
                              ? PHOSD_MERGE_NONE
                              : PHOSD_MERGE_GOES_ON;
    return code;
}

/* One step of a round by size; SQLITE_ROW when another is to follow. */
static int step_by_size(struct phosd_writer *writer, uint64_t *ret_count)
{
    int code;

    if (writer->merging) {
        code = merge_some(writer);
        return code ? code : SQLITE_ROW;
    }
    if (writer->surplus == 0)
        writer->surplus = too_many(writer);
    if (writer->surplus == 0)
        return SQLITE_DONE;
    code = delete_some(writer, INT64_MAX, writer->surplus, ret_count);
    writer->surplus = code == SQLITE_ROW ? writer->surplus - *ret_count : 0;
    if (writer->surplus == 0)
        writer->merging = PHOSD_MERGE_BEGINS;
    return code;
}

/* SQLITE_ROW: another step is to follow; SQLITE_DONE: nothing is to go. */
static int step(struct phosd_writer *writer, uint64_t *ret_old,
                uint64_t *ret_surplus)
{
    const struct phosd_store *store = writer->store;
    int code = SQLITE_DONE;

    if (store->keep_us > 0)
        code = delete_some(writer, phosd_wall_us() - (int64_t)store->keep_us,
                           UINT64_MAX, ret_old);
    if (code == SQLITE_DONE && store->keep_bytes > 0)
        code = step_by_size(writer, ret_surplus);
    return code;
}

bool phosd_retain_some(struct phosd_writer *writer)
{
    struct phosd_metrics *metrics = writer->store->metrics;
    uint64_t old = 0, surplus = 0;
    int code = phosd_writer_begin(writer);
    bool more;

    if (!code)
        code = step(writer, &old, &surplus);
    more = code == SQLITE_ROW;
    if (more || code == SQLITE_DONE)
        code = phosd_writer_commit(writer);
    if (code) { /* nobody waits for it: a later turn tries again */
        phosd_writer_roll_back(writer);
        writer->surplus = 0;
        return false;
    }
    if (metrics) {
        phosd_metrics_deleted(metrics, false, old);
        phosd_metrics_deleted(metrics, true, surplus);
    }
    return more;
}
