/*
 * store_sessions - the list of sessions.
 */
#include "store_list.h"

#include <string.h>

enum way { BY_WORDS, BY_FLAG, BY_MODEL, BY_USER, BY_TIME };

enum { WAYS = BY_TIME + 1 };

/* Sets of events, few enough to be sorted, or the indexes of sessions. */
static const char *const sources[WAYS] = {
    [BY_FLAG] = "sessions AS s WHERE +s.project_id = ?1 AND s.id IN"
                " (SELECT e.session FROM feedback AS g"
                "   INDEXED BY feedback_by_flag"
                "  CROSS JOIN events AS e ON e.id = g.event"
                "  WHERE g.project_id = ?1 AND g.flag = ?5)",
    [BY_MODEL] = "sessions AS s WHERE +s.project_id = ?1 AND s.id IN"
                 " (SELECT session FROM events INDEXED BY events_by_model"
                 "  WHERE project_id = ?1 AND model = ?4)",
    [BY_USER] = "sessions AS s INDEXED BY sessions_by_owner"
                " WHERE s.project_id = ?1 AND s.user_id = ?3",
    [BY_TIME] = "sessions AS s INDEXED BY sessions_by_time"
                " WHERE s.project_id = ?1",
};

static const char *const counted[WAYS] = {
    [BY_FLAG] = "feedback WHERE project_id = ?1 AND flag = ?5",
    [BY_MODEL] = "events WHERE project_id = ?1 AND model = ?4",
    [BY_USER] = "sessions WHERE project_id = ?1 AND user_id = ?3",
};

static bool is_asked(const struct phosd_list *list, enum way way)
{
    const struct phosd_filter *filter = &list->filter;

    switch (way) {
    case BY_WORDS:
        return filter->word_count > 0;
    case BY_FLAG:
        return filter->flag.data != NULL;
    case BY_MODEL:
        return filter->model.data != NULL;
    case BY_USER:
        return filter->user_id.data != NULL;
    case BY_TIME:
        break;
    }
    return true;
}

static void say_source(struct phosd_list *list, enum way way)
{
    if (way == BY_WORDS) {
        phosd_say(list, "sessions AS s WHERE +s.project_id = ?1 AND s.id IN"
                        " (SELECT e.session FROM events AS e"
                        "  WHERE +e.project_id = ?1 AND e.id IN ");
        phosd_say(list, phosd_list_rows);
        phosd_say(list, " AND ");
        phosd_say_words(list);
        phosd_say(list, ")");
    } else {
        phosd_say(list, sources[way]);
    }
    phosd_say_time(list, " AND s.ended_us >= ?7",
                   " AND s.started_us < ?8 AND s.ended_us < ?8 + ?31");
}

static int look_along(struct phosd_list *list, enum way way,
                      int64_t *ret_entries)
{
    if (way == BY_WORDS) {
        *ret_entries =
            list->indexed && list->rows_whole ? list->row_count : INT64_MAX;
        return SQLITE_OK;
    }
    phosd_say(list, "SELECT count(*) FROM (SELECT 1 FROM ");
    phosd_say(list, counted[way]);
    phosd_say(list, " LIMIT ?28)");
    return phosd_list_numbers(list, PHOSD_ROWS_MAX + 1, ret_entries, NULL);
}

/* A session with an event of that model, or that feedback, touches the time in
 * which there are such events: a model that was given up long ago is not
 * looked for in all sessions since. */
static int narrow(struct phosd_list *list, enum way way)
{
    struct phosd_filter *filter = &list->filter;
    const char *rest = way == BY_FLAG ? " FROM feedback WHERE project_id = ?1"
                                        "  AND flag = ?5)"
                                      : " FROM events WHERE project_id = ?1"
                                        "  AND model = ?4)";
    int64_t first_us, last_us;
    int code;

    phosd_say(list, "SELECT (SELECT min(time_us)");
    phosd_say(list, rest);
    phosd_say(list, ", (SELECT max(time_us)");
    phosd_say(list, rest);
    code = phosd_list_numbers(list, 0, &first_us, &last_us);
    if (!filter->has_from || filter->from_us < first_us)
        filter->from_us = first_us;
    if (!filter->has_to || filter->to_us > last_us + 1)
        filter->to_us = last_us + 1;
    filter->has_from = filter->has_to = true;
    return code;
}

/* The shortest way; sets that are too large to be sorted are none. */
static int choose(struct phosd_list *list, enum way *ret_way)
{
    int64_t least = INT64_MAX;
    int code = SQLITE_OK;

    *ret_way = BY_TIME;
    for (enum way way = BY_WORDS; way < BY_TIME && !code; way++) {
        int64_t entries;

        if (!is_asked(list, way))
            continue;
        code = look_along(list, way, &entries);
        if (!code && entries > PHOSD_ROWS_MAX &&
            (way == BY_FLAG || way == BY_MODEL))
            code = narrow(list, way);
        if (code || entries >= least ||
            (way != BY_USER && entries > PHOSD_ROWS_MAX))
            continue;
        least = entries;
        *ret_way = way;
    }
    return code;
}

/* The two flags that count are counted in the session already. */
static void say_flag(struct phosd_list *list)
{
    if (phosd_flag_is(list->filter.flag, "success"))
        phosd_say(list, "s.success_count > 0");
    else if (phosd_flag_is(list->filter.flag, "failure"))
        phosd_say(list, "s.failure_count > 0");
    else
        phosd_say(list, "EXISTS (SELECT 1 FROM events AS e"
                        " JOIN feedback AS f ON f.event = e.id"
                        " WHERE e.session = s.id AND f.flag = ?5)");
}

static void say_condition(struct phosd_list *list, enum way way)
{
    switch (way) {
    case BY_WORDS:
        phosd_say(list, "EXISTS (SELECT 1 FROM events AS e"
                        " WHERE e.session = s.id AND ");
        phosd_say_words(list);
        phosd_say(list, ")");
        break;
    case BY_FLAG:
        say_flag(list);
        break;
    case BY_MODEL:
        phosd_say(list, "EXISTS (SELECT 1 FROM events AS e"
                        " WHERE e.session = s.id AND e.model = ?4)");
        break;
    case BY_USER:
        phosd_say(list, "s.user_id = ?3");
        break;
    case BY_TIME:
        break;
    }
}

/* What the way does not take care of; false: there is nothing. */
static bool say_rest(struct phosd_list *list, enum way way)
{
    static const enum way cheapest_first[] = { BY_USER, BY_FLAG, BY_MODEL,
                                               BY_WORDS };
    bool any = false;

    for (size_t i = 0; i < sizeof(cheapest_first) / sizeof(cheapest_first[0]);
         i++) {
        enum way other = cheapest_first[i];

        if (other == way || !is_asked(list, other))
            continue;
        if (any)
            phosd_say(list, " AND ");
        any = true;
        say_condition(list, other);
    }
    return any;
}

static int count_along(struct phosd_list *list, enum way way,
                       struct phosd_total *ret_total)
{
    int64_t looked, look;
    bool asks;
    int code;

    phosd_say(list, "SELECT count(*), coalesce(sum(hit), 0) FROM (SELECT ");
    asks = say_rest(list, way);
    if (!asks)
        phosd_say(list, "1");
    phosd_say(list, " AS hit FROM ");
    say_source(list, way);
    phosd_say(list, " LIMIT ?28)");
    look = phosd_look_max(list, asks);
    code = phosd_list_numbers(list, look, &looked, &ret_total->count);
    ret_total->exact = looked < look;
    return code;
}

static int count(struct phosd_list *list, enum way way,
                 struct phosd_total *ret_total)
{
    const struct phosd_filter *filter = &list->filter;
    bool any = filter->has_from || filter->has_to;

    for (enum way other = BY_WORDS; other < BY_TIME; other++)
        any = any || is_asked(list, other);
    if (any)
        return count_along(list, way, ret_total);
    phosd_say(list, "SELECT sessions FROM session_counts"
                    "  WHERE project_id = ?1");
    ret_total->exact = true;
    return phosd_list_numbers(list, 0, &ret_total->count, NULL);
}

static void say_page(struct phosd_list *list, enum way way)
{
    phosd_say(list, "SELECT s.id FROM ");
    say_source(list, way);
    phosd_say(list, " AND ");
    if (!say_rest(list, way))
        phosd_say(list, "1");
    phosd_say(list, " ORDER BY s.ended_us DESC, s.id DESC");
}

static int find_page(struct phosd_list *list, enum way way,
                     struct phosd_list_page *ret_page)
{
    say_page(list, way);
    phosd_say(list, " LIMIT ?26 OFFSET ?27");
    return phosd_list_page(list, ret_page);
}

/* Sessions that ended long after a time did not begin before it: the index
 * need not be walked there. */
static int find_longest(struct phosd_list *list)
{
    int code;

    phosd_say(list, "SELECT longest_us FROM session_counts"
                    "  WHERE project_id = ?1");
    code = phosd_list_numbers(list, 0, &list->longest_us, NULL);
    list->longest_us++;
    return code;
}

static int tell(struct phosd_list *list, const struct phosd_list_page *page,
                phosd_session_fn *each, void *user_data)
{
    struct phosd_session_found found;
    sqlite3_stmt *statement;
    int code = sqlite3_prepare_v2(list->reader->db,
                                  PHOSD_SESSION_COLUMNS " WHERE s.id = ?1", -1,
                                  &statement, NULL);

    if (code)
        return code;
    code = SQLITE_ROW;
    for (size_t i = 0; i < page->count && code == SQLITE_ROW; i++) {
        sqlite3_bind_int64(statement, 1, page->ids[i]);
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
            phosd_session_of(statement, &found);
            each(&found, user_data);
        }
        sqlite3_reset(statement);
    }
    sqlite3_finalize(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

enum phosd_result phosd_reader_sessions(struct phosd_reader *reader,
                                        int64_t project_id,
                                        const struct phosd_filter *filter,
                                        phosd_session_fn *each, void *user_data,
                                        struct phosd_total *ret_total)
{
    struct phosd_list_page page = { .count = 0 };
    struct phosd_list list;
    enum way way;
    int code = phosd_list_init(&list, reader, project_id, filter);

    if (!code)
        code = find_longest(&list);
    if (!code)
        code = choose(&list, &way);
    if (!code && way < BY_USER) {
        say_page(&list, way);
        code = phosd_list_set(&list, &page, ret_total);
    } else if (!code) {
        code = count(&list, way, ret_total);
        if (!code && filter->limit > 0)
            code = find_page(&list, way, &page);
    }
    if (!code)
        code = tell(&list, &page, each, user_data);
    phosd_list_deinit(&list);
    if (!ret_total->exact)
        phosd_total_at_least(ret_total, filter, page.count);
    return phosd_result_of(code);
}
