/*
 * store_stats - what statistics are made of: events one by one, or sums.
 *
 *     from                                                           to
 *      |- events -|- 5 minutes -|--- hours ---|- 5 minutes -|- events -|
 */
#include "store_internal.h"

/* The edges of what is there, each one look at the index by time. */
static const char edges[] =
    "SELECT (SELECT min(time_us) FROM events WHERE project_id = ?1),"
    "       (SELECT max(time_us) FROM events WHERE project_id = ?1)";

/* The time of the oldest event that is still looked at, when there are more:
 * the index alone answers it. */
static const char cut[] =
    "SELECT time_us FROM events"
    " WHERE project_id = ?1 AND time_us >= ?2 AND time_us < ?3"
    " ORDER BY time_us DESC LIMIT 1 OFFSET ?4";

static const char rows[] =
    "SELECT e.time_us, e.model, e.metadata, f.flag"
    "  FROM events AS e LEFT JOIN feedback AS f ON f.event = e.id"
    " WHERE e.project_id = ?1 AND e.time_us >= ?2 AND e.time_us < ?3"
    " ORDER BY e.time_us DESC LIMIT ?4";

static const char count_rows[] =
    "SELECT count(*) FROM (SELECT 1 FROM events"
    " WHERE project_id = ?1 AND time_us >= ?2 AND time_us < ?3 LIMIT ?4)";

/* Newest first, so that with many models the latest have names. */
static const char sums[] =
    "SELECT slot, model, events, success_count, failure_count,"
    "  token_count_input, token_count_output, cost_cents, latencies FROM sums"
    " WHERE project_id = ?1 AND level = ?5 AND slot >= ?2 AND slot < ?3"
    " ORDER BY slot DESC";

static int prepare(struct phosd_reader *reader, const char *sql,
                   int64_t project_id, sqlite3_stmt **ret_statement)
{
    int code = sqlite3_prepare_v2(reader->db, sql, -1, ret_statement, NULL);

    if (code == SQLITE_OK)
        sqlite3_bind_int64(*ret_statement, 1, project_id);
    return code;
}

static void bind_range(sqlite3_stmt *statement,
                       const struct phosd_stats_range *range, int64_t last)
{
    sqlite3_bind_int64(statement, 2, range->from_us);
    sqlite3_bind_int64(statement, 3, range->to_us);
    sqlite3_bind_int64(statement, 4, last);
}

/* What was asked for, and what there is. */
struct span {
    struct phosd_stats_range range;
    int64_t first_us, end_us; /* of the events there are */
};

static int find_edges(struct phosd_reader *reader, int64_t project_id,
                      const struct phosd_filter *filter, struct span *span)
{
    struct phosd_stats_range *range = &span->range;
    sqlite3_stmt *statement = NULL;
    int code = prepare(reader, edges, project_id, &statement);

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW &&
        sqlite3_column_type(statement, 0) != SQLITE_NULL) {
        range->from_us = sqlite3_column_int64(statement, 0);
        range->to_us = sqlite3_column_int64(statement, 1) + 1;
        span->first_us = range->from_us;
        span->end_us = range->to_us;
    }
    sqlite3_finalize(statement);
    if (filter->has_from)
        range->from_us = filter->from_us;
    if (filter->has_to)
        range->to_us = filter->to_us;
    if (range->to_us < range->from_us)
        range->to_us = range->from_us;
    return code;
}

/* More events than may be looked at: the newest are. */
static int shorten(struct phosd_reader *reader, int64_t project_id,
                   unsigned events_max, struct phosd_stats_range *range)
{
    sqlite3_stmt *statement = NULL;
    int code = prepare(reader, cut, project_id, &statement);

    if (code == SQLITE_OK) {
        bind_range(statement, range, events_max);
        code = sqlite3_step(statement);
    }
    if (code == SQLITE_ROW) {
        range->from_us = sqlite3_column_int64(statement, 0);
        range->complete = false;
    }
    sqlite3_finalize(statement);
    return code;
}

static int each_row(struct phosd_reader *reader, int64_t project_id,
                    unsigned events_max, const struct phosd_stats_range *range,
                    const struct phosd_stats_hearer *hearer)
{
    sqlite3_stmt *statement = NULL;
    struct phosd_stats_row row;
    int code = prepare(reader, rows, project_id, &statement);

    if (code == SQLITE_OK)
        bind_range(statement, range, events_max);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
            row.time_us = sqlite3_column_int64(statement, 0);
            row.model = phosd_column(statement, 1);
            row.metadata = phosd_column(statement, 2);
            row.flag = phosd_column(statement, 3);
            hearer->row(&row, hearer->user_data);
        }
    }
    sqlite3_finalize(statement);
    return code;
}

static void sum_of(sqlite3_stmt *row, int level, struct phosd_stats_sum *sum)
{
    phos_str model = phosd_column(row, 1);

    sum->time_us = sqlite3_column_int64(row, 0) * phosd_sums_width_us[level];
    sum->others = model.length > 0 && model.data[0] == '*';
    sum->model = model.length > 0 && !sum->others
                     ? phos_str_make(model.data + 1, model.length - 1)
                     : phos_str_make(NULL, 0);
    sum->sums.events = (uint64_t)sqlite3_column_int64(row, 2);
    sum->sums.success = (uint64_t)sqlite3_column_int64(row, 3);
    sum->sums.failure = (uint64_t)sqlite3_column_int64(row, 4);
    sum->sums.token_count_input = (uint64_t)sqlite3_column_int64(row, 5);
    sum->sums.token_count_output = (uint64_t)sqlite3_column_int64(row, 6);
    sum->sums.cost_cents = sqlite3_column_double(row, 7);
    sum->latencies = phosd_column_bytes(row, 8);
}

/* The level's stretches from slot to slot. */
static int each_sum(struct phosd_reader *reader, int64_t project_id, int level,
                    int64_t from, int64_t to,
                    const struct phosd_stats_hearer *hearer)
{
    sqlite3_stmt *statement = NULL;
    struct phosd_stats_sum sum;
    int code;

    if (from >= to)
        return SQLITE_DONE;
    code = prepare(reader, sums, project_id, &statement);
    if (code == SQLITE_OK) {
        sqlite3_bind_int64(statement, 2, from);
        sqlite3_bind_int64(statement, 3, to);
        sqlite3_bind_int(statement, 5, level);
    }
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
            sum_of(statement, level, &sum);
            hearer->sum(&sum, hearer->user_data);
        }
    }
    sqlite3_finalize(statement);
    return code;
}

/* The slot that begins at the time or next after it. */
static int64_t slot_after(int64_t time_us, int level)
{
    return phosd_sums_slot(time_us + phosd_sums_width_us[level] - 1, level);
}

/* In short stretches, or where buckets allow it, mostly in long ones. */
static int each_stretch(struct phosd_reader *reader, int64_t project_id,
                        const struct phosd_stats_range *range, int64_t from,
                        int64_t to, const struct phosd_stats_hearer *hearer)
{
    const int64_t ratio = phosd_sums_width_us[1] / phosd_sums_width_us[0];
    int64_t width_us = phosd_stats_width_us(range, range->least_width_us);
    int64_t first = slot_after(from * phosd_sums_width_us[0], 1);
    int64_t last = phosd_sums_slot(to * phosd_sums_width_us[0], 1);
    int code;

    if (width_us < phosd_sums_width_us[1] || first >= last)
        return each_sum(reader, project_id, 0, from, to, hearer);
    code = each_sum(reader, project_id, 0, last * ratio, to, hearer);
    if (code == SQLITE_DONE)
        code = each_sum(reader, project_id, 1, first, last, hearer);
    if (code == SQLITE_DONE)
        code = each_sum(reader, project_id, 0, from, first * ratio, hearer);
    return code;
}

/* What is left of the range before and behind its whole stretches. */
struct ends {
    struct phosd_stats_range before, behind;
    int64_t from, to; /* slots of the shorter stretches */
};

/* Where no events are, a stretch that the range cuts is as good as whole. */
static void find_ends(const struct span *span, struct ends *ends)
{
    const struct phosd_stats_range *range = &span->range;

    ends->from = range->from_us <= span->first_us
                     ? phosd_sums_slot(span->first_us, 0)
                     : slot_after(range->from_us, 0);
    ends->to = range->to_us >= span->end_us ? slot_after(span->end_us, 0)
                                            : phosd_sums_slot(range->to_us, 0);
    ends->before = ends->behind = *range;
    ends->before.to_us = ends->from * phosd_sums_width_us[0];
    ends->behind.from_us = ends->to * phosd_sums_width_us[0];
}

static int count_range(struct phosd_reader *reader, int64_t project_id,
                       const struct phosd_stats_range *range, int64_t most,
                       int64_t *count)
{
    sqlite3_stmt *statement = NULL;
    int code;

    if (range->from_us >= range->to_us)
        return SQLITE_ROW;
    code = prepare(reader, count_rows, project_id, &statement);
    if (code == SQLITE_OK) {
        bind_range(statement, range, most);
        code = sqlite3_step(statement);
    }
    if (code == SQLITE_ROW)
        *count += sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return code;
}

/* SQLITE_DONE: told; SQLITE_ROW: even the ends hold too much. */
static int tell_sums(struct phosd_reader *reader, int64_t project_id,
                     unsigned events_max, struct span *span,
                     const struct phosd_stats_hearer *hearer)
{
    struct ends ends;
    int64_t count = 0;
    int code;

    find_ends(span, &ends);
    if (ends.from >= ends.to)
        return SQLITE_ROW;
    code = count_range(reader, project_id, &ends.before,
                       (int64_t)events_max + 1, &count);
    if (code == SQLITE_ROW)
        code = count_range(reader, project_id, &ends.behind,
                           (int64_t)events_max + 1, &count);
    if (code != SQLITE_ROW || count > events_max)
        return code;
    span->range.least_width_us = phosd_sums_width_us[0];
    hearer->begin(&span->range, hearer->user_data);
    code = each_row(reader, project_id, events_max, &ends.behind, hearer);
    if (code == SQLITE_DONE)
        code = each_stretch(reader, project_id, &span->range, ends.from,
                            ends.to, hearer);
    if (code == SQLITE_DONE)
        code = each_row(reader, project_id, events_max, &ends.before, hearer);
    return code;
}

enum phosd_result phosd_reader_stats(struct phosd_reader *reader,
                                     int64_t project_id,
                                     const struct phosd_filter *filter,
                                     unsigned events_max,
                                     const struct phosd_stats_hearer *hearer)
{
    struct span span = { .range = { .complete = true } };
    struct phosd_stats_range newest;
    int code = find_edges(reader, project_id, filter, &span);

    newest = span.range;
    if (code == SQLITE_ROW)
        code = shorten(reader, project_id, events_max, &newest);
    if (code == SQLITE_ROW) {
        code = tell_sums(reader, project_id, events_max, &span, hearer);
        if (code != SQLITE_ROW)
            return phosd_result_of(code);
        code = SQLITE_DONE;
    }
    if (code == SQLITE_DONE) {
        hearer->begin(&newest, hearer->user_data);
        code = each_row(reader, project_id, events_max, &newest, hearer);
    }
    return phosd_result_of(code);
}
