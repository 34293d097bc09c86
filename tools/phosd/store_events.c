/*
 * store_events - the list of events.
 */
#include "store_list.h"

enum way { BY_ROWS, BY_TAG, BY_SESSION, BY_USER, BY_FLAG, BY_MODEL, BY_TIME };

enum { WAYS = BY_TIME + 1 };

/* Where a way's entries stand; those of feedback tell of events. */
static const char *const sources[WAYS] = {
    [BY_ROWS] = "events AS e WHERE +e.project_id = ?1 AND e.id IN ",
    [BY_TAG] = "events AS e WHERE +e.project_id = ?1 AND e.id IN"
               " (SELECT event FROM tags WHERE project_id = ?1 AND tag = ?6)",
    [BY_SESSION] = "events AS e INDEXED BY events_by_session"
                   " WHERE e.session = (SELECT id FROM sessions"
                   "  WHERE project_id = ?1 AND session_id = ?2)",
    [BY_USER] = "events AS e INDEXED BY events_by_user"
                " WHERE e.project_id = ?1 AND e.user_id = ?3",
    [BY_FLAG] = "feedback AS g INDEXED BY feedback_by_flag"
                " WHERE g.project_id = ?1 AND g.flag = ?5",
    [BY_MODEL] = "events AS e INDEXED BY events_by_model"
                 " WHERE e.project_id = ?1 AND e.model = ?4",
    [BY_TIME] = "events AS e INDEXED BY events_by_time"
                " WHERE e.project_id = ?1",
};

static bool is_open(const struct phosd_list *list, enum way way)
{
    const struct phosd_filter *filter = &list->filter;

    switch (way) {
    case BY_ROWS:
        return list->indexed && list->rows_whole;
    case BY_TAG:
        return filter->tag.data != NULL;
    case BY_SESSION:
        return filter->session_id.data != NULL;
    case BY_USER:
        return filter->user_id.data != NULL;
    case BY_FLAG:
        return filter->flag.data != NULL;
    case BY_MODEL:
        return filter->model.data != NULL;
    case BY_TIME:
        break;
    }
    return true;
}

/* An event is looked up only for what is asked of it. */
static void say_source(struct phosd_list *list, enum way way, bool asks)
{
    if (way == BY_FLAG && asks)
        phosd_say(list, "feedback AS g INDEXED BY feedback_by_flag"
                        " CROSS JOIN events AS e ON e.id = g.event"
                        " WHERE g.project_id = ?1 AND g.flag = ?5");
    else
        phosd_say(list, sources[way]);
    if (way == BY_ROWS)
        phosd_say(list, phosd_list_rows);
    if (way == BY_FLAG)
        phosd_say_time(list, " AND g.time_us >= ?7", " AND g.time_us < ?8");
    else if (way != BY_ROWS && way != BY_TAG)
        phosd_say_time(list, " AND e.time_us >= ?7", " AND e.time_us < ?8");
}

/* How many entries are on the way, up to one more than may be sorted. */
static int look_along(struct phosd_list *list, enum way way,
                      int64_t *ret_entries)
{
    if (way == BY_ROWS) {
        *ret_entries = list->row_count;
        return SQLITE_OK;
    }
    phosd_say(list, "SELECT count(*) FROM (SELECT 1 FROM ");
    if (way == BY_TAG)
        phosd_say(list, "tags WHERE project_id = ?1 AND tag = ?6");
    else
        say_source(list, way, false);
    phosd_say(list, " LIMIT ?28)");
    return phosd_list_numbers(list, PHOSD_ROWS_MAX + 1, ret_entries, NULL);
}

/* The shortest way; among long ones the first. What a tag marks is in no order
 * of time, so it is a way only where it can be sorted. */
static int choose(struct phosd_list *list, enum way *ret_way)
{
    int64_t least = INT64_MAX;

    *ret_way = BY_TIME;
    for (enum way way = BY_ROWS; way < BY_TIME; way++) {
        int64_t entries;
        int code;

        if (!is_open(list, way))
            continue;
        code = look_along(list, way, &entries);
        if (code)
            return code;
        if (entries >= least || (way == BY_TAG && entries > PHOSD_ROWS_MAX))
            continue;
        least = entries;
        *ret_way = way;
    }
    return SQLITE_OK;
}

static void say_and(struct phosd_list *list, bool *any)
{
    if (*any)
        phosd_say(list, " AND ");
    *any = true;
}

/* What the way does not take care of; false: there is nothing. */
static bool say_rest(struct phosd_list *list, enum way way)
{
    static const char *const conditions[WAYS] = {
        [BY_TAG] = "EXISTS (SELECT 1 FROM tags WHERE project_id = ?1"
                   " AND tag = ?6 AND event = e.id)",
        [BY_SESSION] = "e.session = (SELECT id FROM sessions"
                       " WHERE project_id = ?1 AND session_id = ?2)",
        [BY_USER] = "e.user_id = ?3",
        [BY_FLAG] = "EXISTS (SELECT 1 FROM feedback AS f WHERE f.event = e.id"
                    " AND f.flag = ?5)",
        [BY_MODEL] = "e.model = ?4",
    };
    const struct phosd_filter *filter = &list->filter;
    bool any = false;

    if ((way == BY_ROWS || way == BY_TAG) && filter->has_from) {
        say_and(list, &any);
        phosd_say(list, "e.time_us >= ?7");
    }
    if ((way == BY_ROWS || way == BY_TAG) && filter->has_to) {
        say_and(list, &any);
        phosd_say(list, "e.time_us < ?8");
    }
    for (enum way other = BY_TAG; other < BY_TIME; other++) {
        if (other == way || !is_open(list, other))
            continue;
        say_and(list, &any);
        phosd_say(list, conditions[other]);
    }
    if (filter->word_count > 0) {
        say_and(list, &any);
        phosd_say_words(list);
    }
    return any;
}

/* Looks at so many entries of the way: when there are no more, the total is
 * exact. */
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
    say_source(list, way, asks);
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
    bool plain = (way == BY_TIME || way == BY_MODEL) &&
                 !filter->session_id.data && !filter->user_id.data &&
                 !filter->flag.data && !filter->tag.data &&
                 filter->word_count == 0;
    bool known = false;
    int code = SQLITE_OK;

    if (plain)
        code = phosd_list_sum(list, ret_total, &known);
    if (!code && !known)
        code = count_along(list, way, ret_total);
    if (!code && plain)
        code = phosd_list_skip(list);
    return code;
}

static const char *order_of(enum way way)
{
    return way == BY_FLAG ? " ORDER BY g.time_us DESC, g.event DESC"
                          : " ORDER BY e.time_us DESC, e.id DESC";
}

/* All that is on a way that has to be sorted. */
static int find_set(struct phosd_list *list, enum way way,
                    struct phosd_list_page *ret_page,
                    struct phosd_total *ret_total)
{
    phosd_say(list, "SELECT e.id FROM ");
    say_source(list, way, true);
    phosd_say(list, " AND ");
    if (!say_rest(list, way))
        phosd_say(list, "1");
    phosd_say(list, order_of(way));
    return phosd_list_set(list, ret_page, ret_total);
}

static int find_page(struct phosd_list *list, enum way way,
                     struct phosd_list_page *ret_page)
{
    bool asks = say_rest(list, way);

    /* What is asked decides where it is looked for, which stands first. */
    phos__buffer_clear(&list->sql);
    phosd_say(list,
              way == BY_FLAG ? "SELECT g.event FROM " : "SELECT e.id FROM ");
    say_source(list, way, asks);
    phosd_say(list, " AND ");
    if (!say_rest(list, way))
        phosd_say(list, "1");
    phosd_say(list, order_of(way));
    phosd_say(list, " LIMIT ?26 OFFSET ?27");
    return phosd_list_page(list, ret_page);
}

/* One by one, as they may be large: what is read so is in the answer at once.
 */
static int tell(struct phosd_list *list, const struct phosd_list_page *page,
                phosd_event_fn *each, void *user_data)
{
    sqlite3_stmt *statement;
    bool more = true;
    int code = sqlite3_prepare_v2(list->reader->db,
                                  PHOSD_EVENT_COLUMNS " WHERE e.id = ?1", -1,
                                  &statement, NULL);

    if (code)
        return code;
    for (size_t i = 0; i < page->count && more && !code; i++) {
        sqlite3_bind_int64(statement, 1, page->ids[i]);
        code = phosd_step_event(statement, each, user_data, &more);
        sqlite3_reset(statement);
    }
    sqlite3_finalize(statement);
    return code;
}

enum phosd_result phosd_reader_events(struct phosd_reader *reader,
                                      int64_t project_id,
                                      const struct phosd_filter *filter,
                                      phosd_event_fn *each, void *user_data,
                                      struct phosd_total *ret_total)
{
    struct phosd_list_page page = { .count = 0 };
    struct phosd_list list;
    enum way way;
    int code = phosd_list_init(&list, reader, project_id, filter);

    if (!code)
        code = choose(&list, &way);
    if (!code && (way == BY_ROWS || way == BY_TAG)) {
        code = find_set(&list, way, &page, ret_total);
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
