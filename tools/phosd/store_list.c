#include "store_list.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "text.h"

enum {
    BIND_PROJECT = 1,
    BIND_SESSION,
    BIND_USER,
    BIND_MODEL,
    BIND_FLAG,
    BIND_TAG,
    BIND_FROM,
    BIND_TO,
    BIND_ROWS,
    BIND_WORDS,
    BIND_LIMIT = BIND_WORDS + PHOSD_WORDS_MAX,
    BIND_OFFSET,
    BIND_LOOK,
    BIND_OLDEST,
    BIND_INDEXED,
    BIND_LONGEST,
};

static_assert(BIND_LIMIT == 26 && BIND_LONGEST == 31,
              "the numbers stand in the statements' texts");

/* What takes 20 ms or so on one processor. */
enum { LOOK_INDEX = 100000, LOOK_ROWS = 10000, LOOK_TEXTS = 5000 };

static const char *const word_conditions[PHOSD_WORDS_MAX] = {
#define WORD(number) \
    "(contains(e.input, ?" #number ") OR contains(e.output, ?" #number "))"
    WORD(10), WORD(11), WORD(12), WORD(13), WORD(14), WORD(15),
    WORD(16), WORD(17), WORD(18), WORD(19), WORD(20), WORD(21),
    WORD(22), WORD(23), WORD(24), WORD(25),
#undef WORD
};

const char phosd_list_rows[] =
    "(SELECT value FROM json_each(?9)"
    " UNION ALL SELECT id FROM events WHERE id > ?30)";

void phosd_say(struct phosd_list *list, const char *piece)
{
    phos__buffer_append(&list->sql, piece, strlen(piece));
}

void phosd_say_time(struct phosd_list *list, const char *from, const char *to)
{
    if (list->filter.has_from)
        phosd_say(list, from);
    if (list->filter.has_to)
        phosd_say(list, to);
}

/* What the text index knows already is not read: that is what makes looking
 * through many events for a few bearable. */
void phosd_say_words(struct phosd_list *list)
{
    if (list->indexed)
        phosd_say(list, "CASE WHEN e.id < ?29 OR e.id > ?30 OR e.id IN"
                        " (SELECT value FROM json_each(?9)) THEN ");
    for (size_t i = 0; i < list->filter.word_count; i++) {
        if (i > 0)
            phosd_say(list, " AND ");
        phosd_say(list, word_conditions[i]);
    }
    if (list->indexed)
        phosd_say(list, " ELSE 0 END");
}

static int add_row(struct phosd_list *list, int64_t row)
{
    char text[24];
    int bytes = snprintf(text, sizeof(text), "%s%" PRId64,
                         list->row_count > 0 ? "," : "[", row);

    phos__buffer_append(&list->rows, text, (size_t)bytes);
    list->row_count++;
    return list->rows.failed ? SQLITE_NOMEM : SQLITE_ROW;
}

/* The newest rows that may hold the words. When there are more than may be
 * sorted, rows older than these are not known of. */
static int ask_index(struct phosd_list *list)
{
    sqlite3_stmt *statement;
    int64_t row = 0;
    int code = sqlite3_prepare_v2(
        list->reader->db,
        "SELECT rowid FROM events_text WHERE events_text MATCH ?1"
        "  ORDER BY rowid DESC LIMIT ?2",
        -1, &statement, NULL);

    if (code)
        return code;
    phosd_bind(
        statement, 1,
        phos_str_make((const char *)list->match.data, list->match.bytes));
    sqlite3_bind_int64(statement, 2, PHOSD_ROWS_MAX + 1);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        row = sqlite3_column_int64(statement, 0);
        code = add_row(list, row);
        if (code != SQLITE_ROW)
            break;
    }
    sqlite3_finalize(statement);
    list->rows_whole = list->row_count <= PHOSD_ROWS_MAX;
    list->oldest = list->rows_whole ? 0 : row;
    phos__buffer_append(&list->rows, list->row_count > 0 ? "]" : "[]",
                        list->row_count > 0 ? 1 : 2);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

static int find_rows(struct phosd_list *list)
{
    int64_t last;
    int code;

    phosd_say(list, "SELECT indexed_to, (SELECT max(id) FROM events)"
                    "  FROM collector");
    code = phosd_list_numbers(list, 0, &list->indexed_to, &last);
    if (!code)
        code = ask_index(list);
    if (last - list->indexed_to > PHOSD_ROWS_MAX)
        list->rows_whole = false;
    return code;
}

int phosd_list_init(struct phosd_list *list, struct phosd_reader *reader,
                    int64_t project_id, const struct phosd_filter *filter)
{
    memset(list, 0, sizeof(*list));
    list->reader = reader;
    list->project_id = project_id;
    list->filter = *filter;
    phosd_buffer_init(&list->sql);
    phosd_buffer_init(&list->match);
    phosd_buffer_init(&list->rows);
    for (size_t i = 0; i < filter->word_count; i++)
        if (phosd_text_trigrams(&list->match, filter->words[i]))
            list->indexed = true;
    if (list->match.failed)
        return SQLITE_NOMEM;
    return list->indexed ? find_rows(list) : SQLITE_OK;
}

void phosd_list_deinit(struct phosd_list *list)
{
    phos__buffer_deinit(&list->sql);
    phos__buffer_deinit(&list->match);
    phos__buffer_deinit(&list->rows);
}

static void bind(const struct phosd_list *list, int64_t look,
                 sqlite3_stmt *statement)
{
    const struct phosd_filter *filter = &list->filter;

    /* Numbers that the statement does not hold are refused by SQLite, which
     * is as good as bound. */
    sqlite3_bind_int64(statement, BIND_PROJECT, list->project_id);
    phosd_bind(statement, BIND_SESSION, filter->session_id);
    phosd_bind(statement, BIND_USER, filter->user_id);
    phosd_bind(statement, BIND_MODEL, filter->model);
    phosd_bind(statement, BIND_FLAG, filter->flag);
    phosd_bind(statement, BIND_TAG, filter->tag);
    sqlite3_bind_int64(statement, BIND_FROM, filter->from_us);
    sqlite3_bind_int64(statement, BIND_TO, filter->to_us);
    phosd_bind(statement, BIND_ROWS,
               phos_str_make((const char *)list->rows.data, list->rows.bytes));
    for (size_t i = 0; i < filter->word_count; i++)
        phosd_bind(statement, BIND_WORDS + (int)i, filter->words[i]);
    sqlite3_bind_int64(statement, BIND_LIMIT, filter->limit);
    sqlite3_bind_int64(statement, BIND_OFFSET, filter->offset);
    sqlite3_bind_int64(statement, BIND_LOOK, look);
    sqlite3_bind_int64(statement, BIND_OLDEST, list->oldest);
    sqlite3_bind_int64(statement, BIND_INDEXED, list->indexed_to);
    sqlite3_bind_int64(statement, BIND_LONGEST, list->longest_us);
}

int phosd_list_prepare(struct phosd_list *list, int64_t look,
                       sqlite3_stmt **ret_statement)
{
    sqlite3_stmt *statement = NULL;
    int code;

    if (list->sql.failed || list->rows.failed)
        return SQLITE_NOMEM;
    code = sqlite3_prepare_v2(list->reader->db, (const char *)list->sql.data,
                              (int)list->sql.bytes, &statement, NULL);
    phos__buffer_clear(&list->sql);
    if (code)
        return code;
    bind(list, look, statement);
    *ret_statement = statement;
    return SQLITE_OK;
}

int phosd_list_numbers(struct phosd_list *list, int64_t look,
                       int64_t *ret_first, int64_t *second)
{
    sqlite3_stmt *statement;
    int code = phosd_list_prepare(list, look, &statement);

    *ret_first = 0;
    if (second)
        *second = 0;
    if (code)
        return code;
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        *ret_first = sqlite3_column_int64(statement, 0);
        if (second)
            *second = sqlite3_column_int64(statement, 1);
    }
    sqlite3_finalize(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

int phosd_list_page(struct phosd_list *list, struct phosd_list_page *ret_page)
{
    sqlite3_stmt *statement;
    int code = phosd_list_prepare(list, 0, &statement);

    ret_page->count = 0;
    if (code)
        return code;
    while (ret_page->count < PHOSD_PAGE_MAX &&
           (code = sqlite3_step(statement)) == SQLITE_ROW)
        ret_page->ids[ret_page->count++] = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

int phosd_list_set(struct phosd_list *list, struct phosd_list_page *ret_page,
                   struct phosd_total *ret_total)
{
    const struct phosd_filter *filter = &list->filter;
    struct phosd_total total = { 0, true };
    sqlite3_stmt *statement;
    int code = phosd_list_prepare(list, 0, &statement);

    ret_page->count = 0;
    if (code)
        return code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        if (total.count++ < filter->offset || ret_page->count == filter->limit)
            continue;
        ret_page->ids[ret_page->count++] = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    *ret_total = total;
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

int64_t phosd_look_max(const struct phosd_list *list, bool asks_rows)
{
    if (!asks_rows)
        return LOOK_INDEX;
    return list->filter.word_count > 0 ? LOOK_TEXTS : LOOK_ROWS;
}

void phosd_total_at_least(struct phosd_total *total,
                          const struct phosd_filter *filter, size_t shown)
{
    int64_t least = filter->offset + (int64_t)shown;

    if (shown > 0 && total->count < least)
        total->count = least;
}
