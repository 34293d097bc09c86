#define _GNU_SOURCE /* flock() */
#include "store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "text.h"

enum { PATH_BYTES = 4096, READ_MS_DEFAULT = 10000 };

phos_str phosd_column(sqlite3_stmt *statement, int column)
{
    const char *data = (const char *)sqlite3_column_text(statement, column);

    return phos_str_make(data, (size_t)sqlite3_column_bytes(statement, column));
}

phos_str phosd_column_bytes(sqlite3_stmt *statement, int column)
{
    const char *data = sqlite3_column_blob(statement, column);

    return phos_str_make(data, (size_t)sqlite3_column_bytes(statement, column));
}

int phosd_bind(sqlite3_stmt *statement, int index, phos_str text)
{
    if (!text.data)
        return sqlite3_bind_null(statement, index);
    return sqlite3_bind_text64(statement, index, text.data, text.length,
                               SQLITE_STATIC, SQLITE_UTF8);
}

static bool system_error(const char *path, phos_error *error)
{
    int code = errno;

    phos__error_set(error, PHOS_E_SYSTEM, PHOS_ORIGIN_SYSTEM, code, "%s: %s",
                    path, strerror(code));
    return false;
}

/*
 * One collector for one file: two would each answer for what the other may
 * undo. flock() and SQLite's own locks do not see each other; but closing any
 * descriptor of the file would drop SQLite's, so this one stays open until
 * both connections are closed.
 */
static bool lock_file(struct phosd_store *store, phos_error *error)
{
    store->lock_fd = open(store->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (store->lock_fd < 0)
        return system_error(store->path, error);
    if (flock(store->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return true;
    if (errno != EWOULDBLOCK)
        return system_error(store->path, error);
    phos__error_set(error, PHOS_E_SYSTEM, PHOS_ORIGIN_SYSTEM, errno,
                    "%s: another phosd uses this file", store->path);
    return false;
}

static void contains(sqlite3_context *context, int count,
                     sqlite3_value **values)
{
    const char *text, *word;

    (void)count;
    text = (const char *)sqlite3_value_text(values[0]);
    word = (const char *)sqlite3_value_text(values[1]);
    sqlite3_result_int(
        context,
        text && word &&
            phosd_text_contains(
                phos_str_make(text, (size_t)sqlite3_value_bytes(values[0])),
                phos_str_make(word, (size_t)sqlite3_value_bytes(values[1]))));
}

static bool connect(struct phosd_store *store, const char *pragmas,
                    sqlite3 **ret_db, phos_error *error)
{
    sqlite3 *db = NULL;

    if (sqlite3_open_v2(store->path, &db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
                            SQLITE_OPEN_NOMUTEX,
                        NULL) ||
        sqlite3_busy_timeout(db, PHOSD_BUSY_MS) ||
        sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL) ||
        sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL) ||
        sqlite3_create_function(db, "contains", 2,
                                SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL,
                                contains, NULL, NULL) ||
        sqlite3_exec(db, pragmas, NULL, NULL, NULL)) {
        phosd_database_error(db, store->path, error);
        sqlite3_close(db);
        return false;
    }
    *ret_db = db;
    return true;
}

/* A path that SQLite takes for nothing else, such as ":memory:". */
char *phosd_plain_path(const char *path)
{
    const char *folder = path[0] == '/' ? "" : "./";
    size_t bytes = strlen(folder) + strlen(path) + 1;
    char *plain = malloc(bytes);

    if (plain)
        snprintf(plain, bytes, "%s%s", folder, path);
    return plain;
}

/* Only for a file that is ours: the journal mode is written into it. */
static bool set_up_writer(struct phosd_store *store, phos_error *error)
{
    return sqlite3_exec(store->writer.db,
                        "PRAGMA journal_mode = WAL;"
                        "PRAGMA synchronous = FULL;"
                        "PRAGMA wal_autocheckpoint = 0;" /* store_write.c */
                        "PRAGMA journal_size_limit = 67108864;"
                        "PRAGMA cache_size = -65536;",
                        NULL, NULL, NULL) == SQLITE_OK ||
           phosd_database_error(store->writer.db, store->path, error);
}

bool phosd_store_open(const char *path, struct phosd_store **ret_store,
                      phos_error *error)
{
    struct phosd_store *store = calloc(1, sizeof(*store));

    if (!store || !(store->path = phosd_plain_path(path))) {
        free(store);
        phos__error_set(error, PHOS_E_NO_MEMORY, PHOS_ORIGIN_NONE, 0,
                        "out of memory");
        return false;
    }
    store->lock_fd = -1;
    store->read_ms_max = READ_MS_DEFAULT;
    store->writes_end = &store->writes;
    store->reads_end = &store->reads;
    store->writer.store = store;
    pthread_mutex_init(&store->mutex, NULL);
    pthread_cond_init(&store->write_wanted, NULL);
    pthread_cond_init(&store->read_wanted, NULL);

    if (!lock_file(store, error) ||
        !connect(store, "", &store->writer.db, error) ||
        !phosd_schema_prepare(store->writer.db, store->path, error) ||
        !set_up_writer(store, error) ||
        !phosd_read_salt(store->writer.db, store->path, store->salt, error))
        goto fail;
    if (!phosd_writer_open(&store->writer)) {
        phosd_database_error(store->writer.db, path, error);
        goto fail;
    }
    store->last_row = store->writer.last_row;
    store->indexed_to = store->writer.indexed_to;
    *ret_store = store;
    return true;

fail:
    phosd_store_close(store);
    return false;
}

void phosd_store_salt(const struct phosd_store *store,
                      uint8_t ret_salt[PHOSD_KEY_SALT_BYTES])
{
    memcpy(ret_salt, store->salt, PHOSD_KEY_SALT_BYTES);
}

/* One step of a statement on (key hash, name); true with a row's first
 * column. */
static bool project_step(struct phosd_store *store, const char *sql,
                         const uint8_t *key_hash, const char *name,
                         int64_t *ret_id, int *ret_code)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(store->writer.db, sql, -1, &statement, NULL);

    if (code == SQLITE_OK) {
        sqlite3_bind_blob(statement, 1, key_hash, PHOSD_KEY_HASH_BYTES,
                          SQLITE_STATIC);
        sqlite3_bind_text(statement, 2, name, -1, SQLITE_STATIC);
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW)
            *ret_id = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    *ret_code = code;
    return code == SQLITE_ROW;
}

bool phosd_store_project(struct phosd_store *store,
                         const uint8_t key_hash[PHOSD_KEY_HASH_BYTES],
                         const char *name, int64_t *ret_id, phos_error *error)
{
    int code;

    /* A key of the database that is given beside it is the same key. */
    if (!name && project_step(store,
                              "SELECT project_id FROM keys"
                              "  WHERE key_hash = ?1",
                              key_hash, name, ret_id, &code))
        return true;
    /* A known name takes the key on; else a known key takes the name on; else
     * both are new. */
    if (name && project_step(store,
                             "UPDATE projects SET key_hash = ?1"
                             "  WHERE name = ?2 RETURNING id",
                             key_hash, name, ret_id, &code))
        return true;
    if (name && code != SQLITE_DONE)
        return code == SQLITE_CONSTRAINT
                   ? phosd_refuse_file(
                         store->path,
                         "a key belongs to another project already", error)
                   : phosd_database_error(store->writer.db, store->path, error);
    if (project_step(store,
                     "INSERT INTO projects(key_hash, name) VALUES(?1, ?2)"
                     "  ON CONFLICT(key_hash) DO UPDATE"
                     "  SET name = coalesce(excluded.name, name) RETURNING id",
                     key_hash, name, ret_id, &code))
        return true;
    return phosd_database_error(store->writer.db, store->path, error);
}

bool phosd_store_start(struct phosd_store *store, phos_error *error)
{
    for (unsigned i = 0; i < PHOSD_READERS; i++) {
        struct phosd_reader *reader = &store->readers[i];

        reader->store = store;
        if (!connect(store,
                     "PRAGMA query_only = 1;"
                     "PRAGMA cache_size = -32768;",
                     &reader->db, error))
            return false;
        if (pthread_create(&reader->thread, NULL, phosd_reader_main, reader))
            return system_error("cannot start a thread", error);
        store->reader_count++;
    }
    if (pthread_create(&store->writer_thread, NULL, phosd_writer_main,
                       &store->writer))
        return system_error("cannot start a thread", error);
    store->writer_runs = true;
    return true;
}

void phosd_store_write(struct phosd_store *store, struct phosd_write *write)
{
    write->next = NULL;
    pthread_mutex_lock(&store->mutex);
    store->writes_waiting++;
    *store->writes_end = write;
    store->writes_end = &write->next;
    pthread_cond_signal(&store->write_wanted);
    pthread_mutex_unlock(&store->mutex);
}

void phosd_store_read(struct phosd_store *store, struct phosd_read *read)
{
    read->next = NULL;
    pthread_mutex_lock(&store->mutex);
    store->reads_waiting++;
    *store->reads_end = read;
    store->reads_end = &read->next;
    pthread_cond_signal(&store->read_wanted);
    pthread_mutex_unlock(&store->mutex);
}

void phosd_store_count(struct phosd_store *store, struct phosd_metrics *metrics)
{
    store->metrics = metrics;
}

void phosd_store_keep(struct phosd_store *store, uint64_t days, uint64_t bytes)
{
    store->keep_us = days * 24 * 3600 * 1000000;
    store->keep_bytes = bytes;
}

void phosd_store_limit_reads(struct phosd_store *store, uint64_t ms_max)
{
    store->read_ms_max = ms_max;
}

void phosd_store_turn(struct phosd_store *store)
{
    if (store->keep_us == 0 && store->keep_bytes == 0)
        return;
    pthread_mutex_lock(&store->mutex);
    pthread_cond_signal(&store->write_wanted);
    pthread_mutex_unlock(&store->mutex);
}

/* Of the file itself or what stands beside it; 0 when it is not there. */
static uint64_t file_bytes(const char *path, const char *suffix)
{
    char name[PATH_BYTES];
    struct stat found;

    if (snprintf(name, sizeof(name), "%s%s", path, suffix) >=
            (int)sizeof(name) ||
        stat(name, &found))
        return 0;
    return (uint64_t)found.st_size;
}

void phosd_store_gauges(struct phosd_store *store,
                        struct phosd_gauges *ret_gauges)
{
    pthread_mutex_lock(&store->mutex);
    ret_gauges->writes_waiting = store->writes_waiting;
    ret_gauges->reads_waiting = store->reads_waiting;
    ret_gauges->rows = (uint64_t)store->last_row;
    ret_gauges->unindexed = (uint64_t)(store->last_row - store->indexed_to);
    pthread_mutex_unlock(&store->mutex);
    ret_gauges->database_bytes = file_bytes(store->path, "");
    ret_gauges->log_bytes = file_bytes(store->path, "-wal");
    ret_gauges->sqlite = sqlite3_libversion();
}

void phosd_store_close(struct phosd_store *store)
{
    if (!store)
        return;
    pthread_mutex_lock(&store->mutex);
    store->stopping = true;
    pthread_cond_broadcast(&store->write_wanted);
    pthread_cond_broadcast(&store->read_wanted);
    pthread_mutex_unlock(&store->mutex);
    if (store->writer_runs)
        pthread_join(store->writer_thread, NULL);
    for (unsigned i = 0; i < store->reader_count; i++)
        pthread_join(store->readers[i].thread, NULL);
    for (unsigned i = 0; i < PHOSD_READERS; i++)
        sqlite3_close(store->readers[i].db);
    phosd_writer_close(&store->writer);
    if (store->lock_fd >= 0)
        close(store->lock_fd);
    pthread_cond_destroy(&store->write_wanted);
    pthread_cond_destroy(&store->read_wanted);
    pthread_mutex_destroy(&store->mutex);
    free(store->path);
    free(store);
}
