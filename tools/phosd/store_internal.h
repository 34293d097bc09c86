/*
 * store_internal - what store.c, store_write.c and store_read.c share.
 */
#ifndef PHOSD_STORE_INTERNAL_H
#define PHOSD_STORE_INTERNAL_H

#include <pthread.h>
#include <sqlite3.h>

#include "reply.h"
#include "store.h"

enum {
    PHOSD_READERS = 2,
    PHOSD_READ_MS_MAX = 10000,   /* then a read is given up with 503 */
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

enum phosd_merge { PHOSD_MERGE_NONE, PHOSD_MERGE_BEGINS, PHOSD_MERGE_GOES_ON };

struct phosd_writer {
    struct phosd_store *store;
    sqlite3 *db;
    sqlite3_stmt *statements[PHOSD_STATEMENTS];
    sqlite3_stmt *retain[PHOSD_RETAIN_STATEMENTS];
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
    bool stopping;
    struct phosd_metrics *metrics;
};

/* A view of a column; data is NULL for NULL. Lives until the next step. */
phos_str phosd_column(sqlite3_stmt *statement, int column);
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

/* The one number a statement without parameters gives; -1 when it fails. */
int64_t phosd_number(sqlite3 *db, const char *sql);

bool phosd_read_salt(sqlite3 *db, const char *path,
                     uint8_t ret_salt[PHOSD_KEY_SALT_BYTES], phos_error *error);

/* The path as SQLite takes for nothing else; memory of malloc. */
char *phosd_plain_path(const char *path);

bool phosd_writer_open(struct phosd_writer *writer);
void phosd_writer_close(struct phosd_writer *writer);
bool phosd_flag_is(phos_str flag, const char *word);
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
