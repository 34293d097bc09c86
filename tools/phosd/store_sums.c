/*
 * store_sums - sums by stretch of time and model, kept beside the events, so
 * that statistics of millions of events are read from thousands of rows. They
 * change in the transaction that changes their events: what is added up while
 * it runs is written at its end.
 *
 * A stretch is told in rows for PHOSD_SUMS_MODELS models at most; what comes
 * beyond, and names that no answer shows, is in its row OTHERS. A stretch's
 * rows go together, when its last event is deleted, so that a model's events
 * are all in one of them.
 */
#include "store_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats.h"

enum { CHANGES_MAX = 4096 };

static const char *const texts[PHOSD_SUMS_STATEMENTS] = {
    [PHOSD_SUMS_FIND] =
        "SELECT id, events, success_count, failure_count, token_count_input,"
        "  token_count_output, cost_cents, latencies FROM sums"
        "  WHERE project_id = ?1 AND level = ?2 AND slot = ?3 AND model = ?4",
    [PHOSD_SUMS_COUNT] = "SELECT count(*) FROM sums"
                         "  WHERE project_id = ?1 AND level = ?2 AND slot = ?3",
    [PHOSD_SUMS_SET] =
        "INSERT INTO sums(id, project_id, level, slot, model,"
        "  events, success_count, failure_count, token_count_input,"
        "  token_count_output, cost_cents, latencies)"
        "  VALUES(?5, ?1, ?2, ?3, ?4, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
        "  ON CONFLICT(id) DO UPDATE SET events = ?6, success_count = ?7,"
        "  failure_count = ?8, token_count_input = ?9,"
        "  token_count_output = ?10, cost_cents = ?11, latencies = ?12",
    [PHOSD_SUMS_END] =
        "DELETE FROM sums WHERE project_id = ?1 AND level = ?2 AND slot = ?3"
        "  AND NOT EXISTS (SELECT 1 FROM sums WHERE project_id = ?1"
        "    AND level = ?2 AND slot = ?3 AND events > 0)",
};

const int64_t phosd_sums_width_us[PHOSD_SUMS_LEVELS] = { 300000000,
                                                         3600000000 };

bool phosd_sums_open(struct phosd_writer *writer)
{
    for (int i = 0; i < PHOSD_SUMS_STATEMENTS; i++)
        if (sqlite3_prepare_v3(writer->db, texts[i], -1,
                               SQLITE_PREPARE_PERSISTENT, &writer->sums[i],
                               NULL))
            return false;
    writer->pending = calloc(PHOSD_PENDING_MAX, sizeof(*writer->pending));
    return writer->pending != NULL;
}

void phosd_sums_forget(struct phosd_writer *writer)
{
    for (size_t i = 0; i < writer->pending_count; i++)
        free(writer->pending[i].changes);
    if (writer->pending_count > 0)
        memset(writer->pending, 0,
               writer->pending_count * sizeof(*writer->pending));
    writer->pending_count = 0;
}

void phosd_sums_close(struct phosd_writer *writer)
{
    phosd_sums_forget(writer);
    free(writer->pending);
    writer->pending = NULL;
    for (int i = 0; i < PHOSD_SUMS_STATEMENTS; i++) {
        sqlite3_finalize(writer->sums[i]);
        writer->sums[i] = NULL;
    }
}

int64_t phosd_sums_slot(int64_t time_us, int level)
{
    int64_t width = phosd_sums_width_us[level];

    return time_us / width - (time_us % width < 0);
}

/* A model as it stands in the table: "=name", "" for none, "*" for others. */
static void name_model(phos_str model, struct phosd_pending *pending)
{
    if (model.data && model.length > PHOSD_STATS_NAME_MAX) {
        pending->model_bytes = 1;
        pending->model[0] = '*';
    } else if (model.data) {
        pending->model_bytes = model.length + 1;
        pending->model[0] = '=';
        memcpy(pending->model + 1, model.data, model.length);
    }
}

static bool is_same(const struct phosd_pending *a,
                    const struct phosd_pending *b)
{
    return a->slot == b->slot && a->level == b->level &&
           a->project_id == b->project_id && a->model_bytes == b->model_bytes &&
           memcmp(a->model, b->model, a->model_bytes) == 0;
}

/* The place where changes for this stretch and model are added up. */
static int find_pending(struct phosd_writer *writer,
                        const struct phosd_sums_of *of, int level,
                        struct phosd_pending **ret_pending)
{
    struct phosd_pending wanted = { .project_id = of->project_id,
                                    .level = level };
    int code = SQLITE_OK;

    wanted.slot = phosd_sums_slot(of->time_us, level);
    name_model(of->model, &wanted);
    /* The last one is the likeliest to be meant again. */
    for (size_t i = writer->pending_count; i-- > 0;) {
        if (is_same(&writer->pending[i], &wanted)) {
            *ret_pending = &writer->pending[i];
            return SQLITE_OK;
        }
    }
    if (writer->pending_count == PHOSD_PENDING_MAX)
        code = phosd_sums_flush(writer);
    if (code)
        return code;
    *ret_pending = &writer->pending[writer->pending_count++];
    **ret_pending = wanted;
    return SQLITE_OK;
}

static int add_change(struct phosd_pending *pending, int64_t latency_ms,
                      int count)
{
    if (pending->change_count == pending->change_capacity) {
        size_t capacity =
            pending->change_capacity ? 2 * pending->change_capacity : 64;
        struct phosd_bin *moved =
            realloc(pending->changes, capacity * sizeof(*moved));

        if (!moved)
            return SQLITE_NOMEM;
        pending->changes = moved;
        pending->change_capacity = capacity;
    }
    pending->changes[pending->change_count].bin = phosd_bin_of(latency_ms);
    pending->changes[pending->change_count++].count = count;
    return SQLITE_OK;
}

int phosd_sums_count(struct phosd_writer *writer,
                     const struct phosd_sums_of *of,
                     const struct phosd_measure *measure, bool added)
{
    int code = SQLITE_OK;

    for (int level = 0; level < PHOSD_SUMS_LEVELS && !code; level++) {
        struct phosd_pending *pending;

        code = find_pending(writer, of, level, &pending);
        if (code)
            break;
        phosd_sums_add(added ? &pending->more : &pending->less, &measure->sums);
        if (measure->has_latency)
            code = add_change(pending, measure->latency_ms, added ? 1 : -1);
        if (!code && pending->change_count >= CHANGES_MAX)
            code = phosd_sums_flush(writer);
    }
    return code;
}

static void bind_place(sqlite3_stmt *statement,
                       const struct phosd_pending *pending)
{
    sqlite3_bind_int64(statement, 1, pending->project_id);
    sqlite3_bind_int(statement, 2, pending->level);
    sqlite3_bind_int64(statement, 3, pending->slot);
}

/* A statement's last step; what it gave is not needed any more. */
static int done(sqlite3_stmt *statement, int code)
{
    sqlite3_reset(statement);
    return code == SQLITE_DONE || code == SQLITE_ROW ? SQLITE_OK : code;
}

static uint64_t count_at(sqlite3_stmt *row, int column)
{
    return (uint64_t)sqlite3_column_int64(row, column);
}

/* The row as it is kept; a row of 0 when there is none. */
static int find_row(struct phosd_writer *writer,
                    const struct phosd_pending *pending, int64_t *ret_row,
                    struct phosd_sums *ret_sums, struct phos__buffer *latencies)
{
    sqlite3_stmt *find = writer->sums[PHOSD_SUMS_FIND];
    int code;

    *ret_row = 0;
    memset(ret_sums, 0, sizeof(*ret_sums));
    bind_place(find, pending);
    phosd_bind(find, 4, phos_str_make(pending->model, pending->model_bytes));
    code = sqlite3_step(find);
    if (code == SQLITE_ROW) {
        *ret_row = sqlite3_column_int64(find, 0);
        ret_sums->events = count_at(find, 1);
        ret_sums->success = count_at(find, 2);
        ret_sums->failure = count_at(find, 3);
        ret_sums->token_count_input = count_at(find, 4);
        ret_sums->token_count_output = count_at(find, 5);
        ret_sums->cost_cents = sqlite3_column_double(find, 6);
        phos__buffer_append_str(latencies, phosd_column_bytes(find, 7));
    }
    return done(find, code);
}

static uint64_t changed(uint64_t value, uint64_t more, uint64_t less)
{
    uint64_t sum =
        value > INT64_MAX - more || more > INT64_MAX ? INT64_MAX : value + more;

    return sum > less ? sum - less : 0;
}

static double changed_cost(double value, double more, double less)
{
    double sum = value + more - less;

    return isnan(sum) ? INFINITY : sum; /* which a table can hold */
}

static int set_row(struct phosd_writer *writer,
                   const struct phosd_pending *pending, int64_t row,
                   const struct phosd_sums *sums, phos_str latencies)
{
    sqlite3_stmt *set = writer->sums[PHOSD_SUMS_SET];

    bind_place(set, pending);
    phosd_bind(set, 4, phos_str_make(pending->model, pending->model_bytes));
    if (row)
        sqlite3_bind_int64(set, 5, row);
    else
        sqlite3_bind_null(set, 5);
    sqlite3_bind_int64(set, 6, (int64_t)sums->events);
    sqlite3_bind_int64(set, 7, (int64_t)sums->success);
    sqlite3_bind_int64(set, 8, (int64_t)sums->failure);
    sqlite3_bind_int64(set, 9, (int64_t)sums->token_count_input);
    sqlite3_bind_int64(set, 10, (int64_t)sums->token_count_output);
    sqlite3_bind_double(set, 11, sums->cost_cents);
    sqlite3_bind_blob64(set, 12, latencies.length ? latencies.data : "",
                        latencies.length, SQLITE_STATIC);
    return done(set, sqlite3_step(set));
}

static int end_slot(struct phosd_writer *writer,
                    const struct phosd_pending *pending)
{
    sqlite3_stmt *end = writer->sums[PHOSD_SUMS_END];

    bind_place(end, pending);
    return done(end, sqlite3_step(end));
}

static int change_row(struct phosd_writer *writer,
                      const struct phosd_pending *pending, int64_t row,
                      struct phosd_sums *sums, phos_str kept)
{
    const struct phosd_sums *more = &pending->more, *less = &pending->less;
    struct phos__buffer latencies;
    int code;

    sums->events = changed(sums->events, more->events, less->events);
    sums->success = changed(sums->success, more->success, less->success);
    sums->failure = changed(sums->failure, more->failure, less->failure);
    sums->token_count_input =
        changed(sums->token_count_input, more->token_count_input,
                less->token_count_input);
    sums->token_count_output =
        changed(sums->token_count_output, more->token_count_output,
                less->token_count_output);
    sums->cost_cents =
        changed_cost(sums->cost_cents, more->cost_cents, less->cost_cents);
    phosd_buffer_init(&latencies);
    phosd_bins_change(kept, pending->changes, pending->change_count,
                      &latencies);
    code = latencies.failed
               ? SQLITE_NOMEM
               : set_row(writer, pending, row, sums,
                         phos_str_make((const char *)latencies.data,
                                       latencies.bytes));
    if (!code && sums->events == 0)
        code = end_slot(writer, pending);
    phos__buffer_deinit(&latencies);
    return code;
}

/* Whether the stretch has rows enough already. */
static int is_full(struct phosd_writer *writer,
                   const struct phosd_pending *pending, bool *ret_full)
{
    sqlite3_stmt *count = writer->sums[PHOSD_SUMS_COUNT];
    int code;

    bind_place(count, pending);
    code = sqlite3_step(count);
    *ret_full = code == SQLITE_ROW &&
                sqlite3_column_int64(count, 0) >= PHOSD_SUMS_MODELS;
    return done(count, code);
}

static int flush_one(struct phosd_writer *writer, struct phosd_pending *pending)
{
    struct phos__buffer kept;
    struct phosd_sums sums;
    bool full = false;
    int64_t row;
    int code;

    phosd_buffer_init(&kept);
    code = find_row(writer, pending, &row, &sums, &kept);
    if (!code && row == 0)
        code = is_full(writer, pending, &full);
    if (!code && full) {
        pending->model_bytes = 1;
        pending->model[0] = '*';
        code = find_row(writer, pending, &row, &sums, &kept);
    }
    if (!code && kept.failed)
        code = SQLITE_NOMEM;
    if (!code)
        code = change_row(writer, pending, row, &sums,
                          phos_str_make((const char *)kept.data, kept.bytes));
    phos__buffer_deinit(&kept);
    return code;
}

int phosd_sums_flush(struct phosd_writer *writer)
{
    int code = SQLITE_OK;

    for (size_t i = 0; i < writer->pending_count && !code; i++)
        code = flush_one(writer, &writer->pending[i]);
    phosd_sums_forget(writer);
    return code;
}

int phosd_sums_rebuild(struct phosd_writer *writer)
{
    sqlite3_stmt *rows;
    int code = sqlite3_prepare_v2(
        writer->db,
        "SELECT e.project_id, e.time_us, e.model, e.metadata, f.flag"
        "  FROM events AS e LEFT JOIN feedback AS f ON f.event = e.id"
        "  ORDER BY e.id",
        -1, &rows, NULL);

    while (code == SQLITE_OK || code == SQLITE_ROW) {
        struct phosd_sums_of of;
        struct phosd_measure measure;

        code = sqlite3_step(rows);
        if (code != SQLITE_ROW)
            break;
        of.project_id = sqlite3_column_int64(rows, 0);
        of.time_us = sqlite3_column_int64(rows, 1);
        of.model = phosd_column(rows, 2);
        phosd_measure(phosd_column(rows, 3), phosd_column(rows, 4), &measure);
        code = phosd_sums_count(writer, &of, &measure, true);
    }
    sqlite3_finalize(rows);
    return code == SQLITE_DONE ? phosd_sums_flush(writer) : code;
}
