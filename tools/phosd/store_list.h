/*
 * store_list - what the lists of events and of sessions share.
 *
 * A list is answered in one of several ways: through the index of one of its
 * filters, whose entries stand in the list's order already, or through a set of
 * rows so small that they can be sorted. What is likeliest to look at few rows
 * is found out by counting, up to PHOSD_ROWS_MAX; SQLite's planner, which knows
 * no counts, is told by INDEXED BY. Filters that the way does not take are
 * asked of each row on it.
 *
 * Totals are exact as long as they can be told quickly: from the sums, or by
 * looking at so many rows.
 */
#ifndef PHOSD_STORE_LIST_H
#define PHOSD_STORE_LIST_H

#include "store_read.h"

enum {
    PHOSD_ROWS_MAX = 2000, /* of a set that is sorted */
    PHOSD_PAGE_MAX = 100,  /* rows of one answer */
};

/* Values are bound by fixed numbers, whatever a statement holds of them:
 *
 *  1 project  2 session_id  3 user_id  4 model  5 flag  6 tag  7 from  8 to
 *  9 rows of the text index, as a JSON array   10..25 words
 * 26 limit   27 offset     28 rows to look at
 * 29 the oldest row that is known of  30 the last one in the text index
 * 31 how long a session lasts at most, in us
 */
struct phosd_list {
    struct phosd_reader *reader;
    int64_t project_id;
    struct phosd_filter filter;
    struct phos__buffer sql;

    /* Of a search that the text index helps with. */
    bool indexed;
    bool rows_whole; /* `rows` and what is not indexed yet is all there is */
    struct phos__buffer match; /* what the text index is asked */
    struct phos__buffer rows;  /* 9 */
    int64_t row_count;
    int64_t oldest, indexed_to; /* 29, 30 */

    int64_t longest_us; /* 31 */
};

struct phosd_list_page {
    int64_t ids[PHOSD_PAGE_MAX];
    size_t count;
};

/* SQLITE_OK, with what the text index knows of the words; deinit in any case.
 */
int phosd_list_init(struct phosd_list *list, struct phosd_reader *reader,
                    int64_t project_id, const struct phosd_filter *filter);
void phosd_list_deinit(struct phosd_list *list);

void phosd_say(struct phosd_list *list, const char *piece);
void phosd_say_time(struct phosd_list *list, const char *from, const char *to);
/* Whether the words occur in e.input or e.output. */
void phosd_say_words(struct phosd_list *list);
/* The rows that may hold the words, for IN. */
extern const char phosd_list_rows[];

/* Prepares and binds what ->sql says, and clears it. */
int phosd_list_prepare(struct phosd_list *list, int64_t look,
                       sqlite3_stmt **ret_statement);
/* The first two columns of the first row; 0 where there is none. `second` may
 * be NULL. SQLITE_OK. */
int phosd_list_numbers(struct phosd_list *list, int64_t look,
                       int64_t *ret_first, int64_t *second);
/* The ids of a page, in order; `sql` gives them, or, for a set, all rows, which
 * are counted then. SQLITE_OK. */
int phosd_list_page(struct phosd_list *list, struct phosd_list_page *ret_page);
int phosd_list_set(struct phosd_list *list, struct phosd_list_page *ret_page,
                   struct phosd_total *ret_total);

/* How many rows a look counts: the index alone, rows, texts. */
int64_t phosd_look_max(const struct phosd_list *list, bool asks_rows);

/* What was not counted whole has at least what is shown. */
void phosd_total_at_least(struct phosd_total *total,
                          const struct phosd_filter *filter, size_t shown);

/* How many events are in the filter's time, of its model if it names one, by
 * the sums. *ret_known: they can tell. */
int phosd_list_sum(struct phosd_list *list, struct phosd_total *ret_total,
                   bool *ret_known);
/* Skips whole hours of what the filter's offset skips, of events that nothing
 * but time and model filters. */
int phosd_list_skip(struct phosd_list *list);

#endif
