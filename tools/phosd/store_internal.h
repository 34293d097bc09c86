/*
 * store_internal - what the store's files share.
 */
#ifndef PHOSD_STORE_INTERNAL_H
#define PHOSD_STORE_INTERNAL_H

#include <pthread.h>
#include <sqlite3.h>

#include "bins.h"
#include "measure.h"
#include "reply.h"
#include "stats.h"
#include "store.h"

enum {
    PHOSD_READERS = 2,
    PHOSD_BUSY_MS = 2000,        /* wait for another program's lock */
    PHOSD_LOG_PAGES = 8192,      /* 32 MiB: the log is written back */
    PHOSD_LOG_PAGES_MAX = 16384, /* 64 MiB: and readers are waited for */
};

/* The writer's statements; the texts stand in store_write.c. */
enum phosd_statement {
    PHOSD_BEGIN,
    PHOSD_COMMIT,
    PHOSD_FIND_EVENT,
    PHOSD_ADD_EVENT,
    PHOSD_ADD_TAG,
    PHOSD_ADD_TO_SESSION,
    PHOSD_NEAR_SESSIONS,
    PHOSD_MERGE_EVENTS,
    PHOSD_MERGE_SESSION,
    PHOSD_DROP_SESSION,
    PHOSD_OLD_FEEDBACK,
    PHOSD_SET_FEEDBACK,
    PHOSD_COUNT_FEEDBACK,
    PHOSD_UNINDEXED,
    PHOSD_ADD_TO_INDEX,
    PHOSD_SET_INDEXED,
    PHOSD_SET_KEY_USED,
    PHOSD_STATEMENTS
};

/* Those of deleting; the texts stand in store_retain.c. */
enum phosd_retain {
    PHOSD_OLDEST,
    PHOSD_DELETE_TEXT,
    PHOSD_DELETE_TAGS,
    PHOSD_DELETE_FEEDBACK,
    PHOSD_DELETE_EVENT,
    PHOSD_SHRINK_SESSION,
    PHOSD_END_SESSION,
    PHOSD_MERGE_TEXT,
    PHOSD_PAGES,
    PHOSD_RETAIN_STATEMENTS
};

/* Those of the sums; the texts stand in store_sums.c. */
enum phosd_sums_statement {
    PHOSD_SUMS_FIND,
    PHOSD_SUMS_COUNT,
    PHOSD_SUMS_SET,
    PHOSD_SUMS_END,
    PHOSD_SUMS_STATEMENTS
};

enum {
    PHOSD_SUMS_LEVELS = 2,   /* 5 minutes, an hour */
    PHOSD_SUMS_MODELS = 100, /* rows of one stretch, less that of others */
    PHOSD_PENDING_MAX = 512
};

extern const int64_t phosd_sums_width_us[PHOSD_SUMS_LEVELS];

/* Which sums an event counts in. */
struct phosd_sums_of {
    int64_t project_id, time_us;
    phos_str model; /* may be missing */
};

/* What a transaction changes of one row. */
struct phosd_pending {
    int64_t project_id, slot;
    int level;
    char model[PHOSD_STATS_NAME_MAX + 1]; /* as it stands in the table */
    size_t model_bytes;
    struct phosd_sums more, less;
    struct phosd_bin *changes; /* malloc */
    size_t change_count, change_capacity;
};

enum phosd_merge { PHOSD_MERGE_NONE, PHOSD_MERGE_BEGINS, PHOSD_MERGE_GOES_ON };

struct phosd_writer {
    struct phosd_store *store;
    sqlite3 *db;
    sqlite3_stmt *statements[PHOSD_STATEMENTS];
    sqlite3_stmt *retain[PHOSD_RETAIN_STATEMENTS];
    sqlite3_stmt *sums[PHOSD_SUMS_STATEMENTS];
    struct phosd_pending *pending; /* malloc */
    size_t pending_count;
    uint64_t retained_ms; /* when something was last looked for to delete */
    bool retain_more;     /* and there was more */
    uint64_t surplus;     /* events that are to go yet in this round by size */
    enum phosd_merge merging; /* of the text index, at the round's end */
    int64_t indexed_to;       /* the last row in the text index */
    int64_t last_row;         /* the last row there is */
    int log_pages;            /* in the write-ahead log after the last commit */
    bool index_paused;        /* until a commit succeeds */
    bool failing;             /* told so on standard error */
};

struct phosd_reader {
    struct phosd_store *store;
    sqlite3 *db;
    uint64_t due_ms; /* of the read under way */
    pthread_t thread;
};

struct phosd_store {
    char *path;
    int lock_fd; /* held until the process ends: see store.c */
    uint8_t salt[PHOSD_KEY_SALT_BYTES];
    struct phosd_writer writer;
    pthread_t writer_thread;
    struct phosd_reader readers[PHOSD_READERS];
    unsigned reader_count; /* threads that run */
    bool writer_runs;

    pthread_mutex_t mutex;
    pthread_cond_t write_wanted, read_wanted;
    struct phosd_write *writes, **writes_end;
    struct phosd_read *reads, **reads_end;
    uint64_t writes_waiting, reads_waiting;
    int64_t last_row, indexed_to; /* the writer's, as it last told */
    uint64_t keep_us, keep_bytes; /* 0: for ever, however much */
    uint64_t read_ms_max;         /* then a read is given up */
    bool stopping;
    struct phosd_metrics *metrics;
};

/* A view of a column; data is NULL for NULL. Lives until the next step. */
phos_str phosd_column(sqlite3_stmt *statement, int column);
phos_str phosd_column_bytes(sqlite3_stmt *statement, int column);
/* Borrowed until the statement is reset or bound anew. */
int phosd_bind(sqlite3_stmt *statement, int index, phos_str text);

/* What a read's last step means. */
enum phosd_result phosd_result_of(int code);
/* Each sets *error and returns false. */
bool phosd_database_error(sqlite3 *db, const char *path, phos_error *error);
bool phosd_refuse_file(const char *path, const char *why, phos_error *error);

/* Makes the tables in an empty file and upgrades those of an earlier phosd.
 * false: *error says why the file cannot be used. */
bool phosd_schema_prepare(sqlite3 *db, const char *path, phos_error *error);

/* Within a transaction: an event was added, or is deleted; its feedback is part
 * of its measure. */
int phosd_sums_count(struct phosd_writer *writer,
                     const struct phosd_sums_of *of,
                     const struct phosd_measure *measure, bool added);
/* Before the transaction's end. */
int phosd_sums_flush(struct phosd_writer *writer);
/* The transaction is rolled back. */
void phosd_sums_forget(struct phosd_writer *writer);
/* Counts all events there are. */
int phosd_sums_rebuild(struct phosd_writer *writer);
bool phosd_sums_open(struct phosd_writer *writer);
void phosd_sums_close(struct phosd_writer *writer);
/* Which stretch of a level a time is in. */
int64_t phosd_sums_slot(int64_t time_us, int level);

/* The one number a statement without parameters gives; -1 when it fails. */
int64_t phosd_number(sqlite3 *db, const char *sql);

bool phosd_read_salt(sqlite3 *db, const char *path,
                     uint8_t ret_salt[PHOSD_KEY_SALT_BYTES], phos_error *error);

/* The path as SQLite takes for nothing else; memory of malloc. */
char *phosd_plain_path(const char *path);

bool phosd_writer_open(struct phosd_writer *writer);
void phosd_writer_close(struct phosd_writer *writer);
bool phosd_flag_is(phos_str flag, const char *word);
/* Runs a statement that gives no row. */
int phosd_writer_run(struct phosd_writer *writer, enum phosd_statement which);
/* Does one write within a transaction and sets its result. */
int phosd_write_apply(struct phosd_writer *writer, struct phosd_write *write);
int phosd_writer_begin(struct phosd_writer *writer);
/* Then keeps the log short. */
int phosd_writer_commit(struct phosd_writer *writer);
void phosd_writer_roll_back(struct phosd_writer *writer);

/* Deletes some of what is not to be kept; whether there may be more. */
bool phosd_retain_some(struct phosd_writer *writer);
bool phosd_retain_open(struct phosd_writer *writer);
void phosd_retain_close(struct phosd_writer *writer);

void *phosd_writer_main(void *user_data);
void *phosd_reader_main(void *user_data);

#endif
