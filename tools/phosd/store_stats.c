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

static int find_edges(struct phosd_reader *reader, int64_t project_id,
                      const struct phosd_filter *filter,
                      struct phosd_stats_range *range)
{
    sqlite3_stmt *statement = NULL;
    int code = prepare(reader, edges, project_id, &statement);

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW &&
        sqlite3_column_type(statement, 0) != SQLITE_NULL) {
        range->from_us = sqlite3_column_int64(statement, 0);
        range->to_us = sqlite3_column_int64(statement, 1) + 1;
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
                    phosd_stats_row_fn *each, void *user_data)
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
            each(&row, user_data);
        }
    }
    sqlite3_finalize(statement);
    return code;
}

enum phosd_result phosd_reader_stats(struct phosd_reader *reader,
                                     int64_t project_id,
                                     const struct phosd_filter *filter,
                                     unsigned events_max,
                                     phosd_stats_range_fn *begin,
                                     phosd_stats_row_fn *each, void *user_data)
{
    struct phosd_stats_range range = { 0, 0, true };
    int code = find_edges(reader, project_id, filter, &range);

    if (code == SQLITE_ROW || code == SQLITE_DONE)
        code = shorten(reader, project_id, events_max, &range);
    if (code == SQLITE_ROW || code == SQLITE_DONE) {
        begin(&range, user_data);
        code =
            each_row(reader, project_id, events_max, &range, each, user_data);
    }
    return phosd_result_of(code);
}
