/*
 * store_writer - the writer's thread: requests in groups, then the text index,
 * then what is to be deleted.
 */
#include "store_internal.h"

#include <stdio.h>
#include <sys/stat.h>

#include "now.h"

/* One transaction takes about this much; what is more waits for the next. */
enum { GROUP_EVENTS_MAX = 4000, GROUP_BYTES_MAX = 16 << 20 };

/* One step of the text index: short, as a request may come meanwhile. */
enum { INDEX_ROWS = 256, INDEX_BYTES = 256 << 10 };

/* Between two looks for what is to be deleted: when the last found no more, and
 * when it did but requests wait. */
enum { RETAIN_IDLE_MS = 1000, RETAIN_BUSY_MS = 50 };

/* Whether the file that we write is still the one of that name: else every
 * acknowledgement would be for a file that nobody will ever open. */
static bool file_in_place(const struct phosd_store *store)
{
    struct stat named, held;

    return stat(store->path, &named) == 0 &&
           fstat(store->lock_fd, &held) == 0 && named.st_ino == held.st_ino &&
           named.st_dev == held.st_dev;
}

static void tell(struct phosd_writer *writer, const char *why)
{
    if (why && !writer->failing)
        fprintf(stderr,
                "phosd: storing failed: %s; answering 503 until it works "
                "again\n",
                why);
    else if (!why && writer->failing)
        fprintf(stderr, "phosd: storing works again\n");
    writer->failing = why != NULL;
}

void phosd_writer_roll_back(struct phosd_writer *writer)
{
    phosd_sums_forget(writer);
    if (!sqlite3_get_autocommit(writer->db))
        sqlite3_exec(writer->db, "ROLLBACK", NULL, NULL, NULL);
}

/* Writes the log back into the file. Readers that always overlap would let it
 * grow for ever, so from a size on they are waited for. */
static void keep_log_short(struct phosd_writer *writer)
{
    if (writer->log_pages < PHOSD_LOG_PAGES)
        return;
    sqlite3_wal_checkpoint_v2(writer->db, NULL,
                              writer->log_pages < PHOSD_LOG_PAGES_MAX
                                  ? SQLITE_CHECKPOINT_PASSIVE
                                  : SQLITE_CHECKPOINT_RESTART,
                              NULL, NULL);
}

int phosd_writer_begin(struct phosd_writer *writer)
{
    return phosd_writer_run(writer, PHOSD_BEGIN);
}

int phosd_writer_commit(struct phosd_writer *writer)
{
    int code = phosd_sums_flush(writer);

    if (!code)
        code = phosd_writer_run(writer, PHOSD_COMMIT);
    if (!code)
        keep_log_short(writer);
    return code;
}

static void commit_group(struct phosd_writer *writer, struct phosd_write *group)
{
    struct phosd_metrics *metrics = writer->store->metrics;
    int64_t last_row = writer->last_row;
    uint64_t began_us = phosd_now_us(), events = 0;
    int code = SQLITE_OK;
    bool in_place = file_in_place(writer->store);

    if (in_place)
        code = phosd_writer_run(writer, PHOSD_BEGIN);
    for (struct phosd_write *write = group; in_place && write && !code;
         write = write->next) {
        code = phosd_write_apply(writer, write);
        events += write->event_count;
    }
    if (in_place && !code)
        code = phosd_sums_flush(writer);
    if (in_place && !code)
        code = phosd_writer_run(writer, PHOSD_COMMIT);
    if (!in_place || code) {
        tell(writer, in_place ? sqlite3_errmsg(writer->db)
                              : "the database file was moved or deleted");
        phosd_writer_roll_back(writer);
        writer->last_row = last_row;
        if (metrics)
            phosd_metrics_commit_failed(metrics);
    } else {
        if (metrics)
            phosd_metrics_committed(metrics, events, phosd_now_us() - began_us);
        tell(writer, NULL);
        writer->index_paused = false;
    }
    while (group) {
        struct phosd_write *next = group->next;

        if (!in_place || code)
            group->result = PHOSD_FAILED;
        group->done(group); /* the write may be gone now */
        group = next;
    }
    if (in_place && !code)
        keep_log_short(writer);
}

static int index_rows(struct phosd_writer *writer, int64_t *ret_indexed_to)
{
    sqlite3_stmt *rows = writer->statements[PHOSD_UNINDEXED];
    sqlite3_stmt *add = writer->statements[PHOSD_ADD_TO_INDEX];
    size_t bytes = 0;
    int count = 0, code = SQLITE_DONE;

    sqlite3_bind_int64(rows, 1, writer->indexed_to);
    sqlite3_bind_int(rows, 2, INDEX_ROWS);
    while (bytes < INDEX_BYTES && (code = sqlite3_step(rows)) == SQLITE_ROW) {
        phos_str input = phosd_column(rows, 1);
        phos_str output = phosd_column(rows, 2);

        *ret_indexed_to = sqlite3_column_int64(rows, 0);
        count++;
        bytes += input.length + output.length;
        sqlite3_bind_int64(add, 1, *ret_indexed_to);
        phosd_bind(add, 2, input);
        phosd_bind(add, 3, output);
        code = phosd_writer_run(writer, PHOSD_ADD_TO_INDEX);
        if (code)
            break;
    }
    sqlite3_reset(rows);
    if (code == SQLITE_DONE && count < INDEX_ROWS)
        *ret_indexed_to = writer->last_row; /* what is missing was deleted */
    return code == SQLITE_DONE || code == SQLITE_ROW ? SQLITE_OK : code;
}

/* One step of the text index; a failure pauses it, as nobody waits for it. */
static void index_some(struct phosd_writer *writer)
{
    int64_t indexed_to = writer->indexed_to;
    int code = phosd_writer_run(writer, PHOSD_BEGIN);

    if (!code)
        code = index_rows(writer, &indexed_to);
    if (!code) {
        sqlite3_bind_int64(writer->statements[PHOSD_SET_INDEXED], 1,
                           indexed_to);
        code = phosd_writer_run(writer, PHOSD_SET_INDEXED);
    }
    if (!code)
        code = phosd_writer_run(writer, PHOSD_COMMIT);
    if (code) {
        phosd_writer_roll_back(writer);
        writer->index_paused = true;
        return;
    }
    writer->indexed_to = indexed_to;
    keep_log_short(writer);
}

/* Takes what waits, up to one transaction's worth. Under the mutex. */
static struct phosd_write *take_group(struct phosd_store *store)
{
    struct phosd_write *group = store->writes, *last = NULL;
    size_t events = 0, bytes = 0;

    for (struct phosd_write *at = group;
         at && (!last || (events + at->event_count <= GROUP_EVENTS_MAX &&
                          bytes + at->bytes <= GROUP_BYTES_MAX));
         at = at->next) {
        store->writes_waiting--;
        events += at->event_count;
        bytes += at->bytes;
        last = at;
    }
    if (last) {
        store->writes = last->next;
        if (!store->writes)
            store->writes_end = &store->writes;
        last->next = NULL;
    }
    return group;
}

/* Under the mutex. Steps follow one another while no write waits, and at a
 * distance while some do, so that a busy collector deletes too. */
static bool retain_is_due(const struct phosd_writer *writer)
{
    const struct phosd_store *store = writer->store;

    if (store->stopping || (store->keep_us == 0 && store->keep_bytes == 0))
        return false;
    if (writer->retain_more && !store->writes)
        return true;
    return phosd_now_ms() - writer->retained_ms >=
           (writer->retain_more ? RETAIN_BUSY_MS : RETAIN_IDLE_MS);
}

static void retain_some(struct phosd_writer *writer)
{
    writer->retain_more = phosd_retain_some(writer);
    writer->retained_ms = phosd_now_ms();
}

/* Under the mutex. */
static void tell_position(const struct phosd_writer *writer)
{
    writer->store->last_row = writer->last_row;
    writer->store->indexed_to = writer->indexed_to;
}

void *phosd_writer_main(void *user_data)
{
    struct phosd_writer *writer = user_data;
    struct phosd_store *store = writer->store;

    pthread_mutex_lock(&store->mutex);
    for (;;) {
        struct phosd_write *group = take_group(store);
        bool behind =
            !writer->index_paused && writer->indexed_to < writer->last_row;
        bool retaining = retain_is_due(writer);

        if (!group && store->stopping)
            break;
        if (!group && !behind && !retaining) {
            pthread_cond_wait(&store->write_wanted, &store->mutex);
            continue;
        }
        pthread_mutex_unlock(&store->mutex);
        if (group)
            commit_group(writer, group);
        else if (behind)
            index_some(writer);
        if (retaining)
            retain_some(writer);
        pthread_mutex_lock(&store->mutex);
        tell_position(writer);
    }
    pthread_mutex_unlock(&store->mutex);
    return NULL;
}
