/*
 * store_skip - counts and skips events by the sums of whole hours.
 */
#include "store_list.h"

#include <string.h>

enum { LEVEL = 1, OFFSET_MIN = 1000 };

/* The hours that lie in the filter's time. */
struct hours {
    int64_t from, to;
};

static struct hours hours_of(const struct phosd_filter *filter)
{
    const int64_t width_us = phosd_sums_width_us[LEVEL];
    struct hours hours = { INT64_MIN / width_us, INT64_MAX / width_us };

    if (filter->has_from)
        hours.from = phosd_sums_slot(filter->from_us + width_us - 1, LEVEL);
    if (filter->has_to)
        hours.to = phosd_sums_slot(filter->to_us, LEVEL);
    return hours;
}

static int prepare(struct phosd_list *list, const char *sql,
                   const struct hours *hours, sqlite3_stmt **ret_statement)
{
    phos_str model = list->filter.model;
    struct phos__buffer name;
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(list->reader->db, sql, -1, &statement, NULL);

    if (code)
        return code;
    phosd_buffer_init(&name);
    phos__buffer_append_str(&name, PHOS_STR("="));
    if (model.data)
        phos__buffer_append_str(&name, model);
    sqlite3_bind_int64(statement, 1, list->project_id);
    sqlite3_bind_int64(statement, 2, hours->from);
    sqlite3_bind_int64(statement, 3, hours->to);
    if (model.data) /* else NULL: any */
        sqlite3_bind_text64(statement, 4, (const char *)name.data, name.bytes,
                            SQLITE_TRANSIENT, SQLITE_UTF8);
    if (name.failed)
        code = SQLITE_NOMEM;
    phos__buffer_deinit(&name);
    if (code)
        sqlite3_finalize(statement);
    else
        *ret_statement = statement;
    return code;
}

/* Whether the sums tell of that model apart from all others. */
static int is_told(struct phosd_list *list, const struct hours *hours,
                   bool *ret_told)
{
    sqlite3_stmt *statement;
    int code;

    *ret_told = list->filter.model.length <= PHOSD_STATS_NAME_MAX;
    if (!list->filter.model.data || !*ret_told)
        return SQLITE_OK;
    code = prepare(list,
                   "SELECT 1 FROM sums WHERE project_id = ?1 AND level = 1"
                   "  AND slot >= ?2 AND slot < ?3 AND model = '*' LIMIT 1",
                   hours, &statement);
    if (code)
        return code;
    code = sqlite3_step(statement);
    *ret_told = code == SQLITE_DONE;
    sqlite3_finalize(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

/* Adds the events of a part of the time, through the index. */
static int count_part(struct phosd_list *list, int64_t from_us, int64_t to_us,
                      struct phosd_total *total)
{
    const struct phosd_filter whole = list->filter;
    const int64_t look = phosd_look_max(list, false);
    int64_t count;
    int code;

    if (from_us >= to_us)
        return SQLITE_OK;
    list->filter.from_us = from_us;
    list->filter.to_us = to_us;
    phosd_say(list, "SELECT count(*) FROM (SELECT 1 FROM events AS e ");
    phosd_say(list, whole.model.data ? "INDEXED BY events_by_model"
                                     : "INDEXED BY events_by_time");
    phosd_say(list, " WHERE e.project_id = ?1");
    if (whole.model.data)
        phosd_say(list, " AND e.model = ?4");
    phosd_say(list, " AND e.time_us >= ?7 AND e.time_us < ?8 LIMIT ?28)");
    code = phosd_list_numbers(list, look, &count, NULL);
    list->filter = whole;
    total->count += count;
    if (count == look)
        total->exact = false;
    return code;
}

static int count_hours(struct phosd_list *list, const struct hours *hours,
                       struct phosd_total *total)
{
    sqlite3_stmt *statement;
    int code = prepare(list,
                       "SELECT sum(events) FROM sums WHERE project_id = ?1"
                       "  AND level = 1 AND slot >= ?2 AND slot < ?3"
                       "  AND (?4 IS NULL OR model = ?4)",
                       hours, &statement);

    if (code)
        return code;
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        total->count += sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return code == SQLITE_ROW ? SQLITE_OK : code;
}

int phosd_list_sum(struct phosd_list *list, struct phosd_total *ret_total,
                   bool *ret_known)
{
    const int64_t width_us = phosd_sums_width_us[LEVEL];
    const struct phosd_filter *filter = &list->filter;
    const struct hours hours = hours_of(filter);
    struct phosd_total total = { 0, true };
    int code = SQLITE_OK;

    *ret_known = false;
    if (hours.from >= hours.to)
        return SQLITE_OK;
    code = is_told(list, &hours, ret_known);
    if (code || !*ret_known)
        return code;
    code = count_hours(list, &hours, &total);
    if (!code && filter->has_from)
        code = count_part(list, filter->from_us, hours.from * width_us, &total);
    if (!code && filter->has_to)
        code = count_part(list, hours.to * width_us, filter->to_us, &total);
    *ret_total = total;
    return code;
}

/* From the newest hour back, as long as all of one is skipped. */
static int skip_hours(struct phosd_list *list, const struct hours *hours)
{
    sqlite3_stmt *statement;
    int code = prepare(list,
                       "SELECT slot, sum(events) FROM sums"
                       "  WHERE project_id = ?1 AND level = 1"
                       "  AND slot >= ?2 AND slot < ?3"
                       "  AND (?4 IS NULL OR model = ?4)"
                       "  GROUP BY slot ORDER BY slot DESC",
                       hours, &statement);

    if (code)
        return code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        int64_t events = sqlite3_column_int64(statement, 1);

        if (events > list->filter.offset)
            break;
        list->filter.offset -= events;
        list->filter.has_to = true;
        list->filter.to_us =
            sqlite3_column_int64(statement, 0) * phosd_sums_width_us[LEVEL];
    }
    sqlite3_finalize(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

int phosd_list_skip(struct phosd_list *list)
{
    const int64_t width_us = phosd_sums_width_us[LEVEL];
    struct phosd_filter *filter = &list->filter;
    const struct hours hours = hours_of(filter);
    struct phosd_total part = { 0, true };
    bool told;
    int code;

    if (filter->offset < OFFSET_MIN || hours.from >= hours.to)
        return SQLITE_OK;
    code = is_told(list, &hours, &told);
    if (code || !told)
        return code;
    if (filter->has_to)
        code = count_part(list, hours.to * width_us, filter->to_us, &part);
    if (code || !part.exact || part.count > filter->offset)
        return code;
    filter->offset -= part.count;
    if (filter->has_to)
        filter->to_us = hours.to * width_us;
    return skip_hours(list, &hours);
}
