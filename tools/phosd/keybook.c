#include "keybook.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "now.h"
#include "store_internal.h"

/* A collector under load lets go of the file for moments only. */
enum { BUSY_MS = 10000 };

struct phosd_keybook {
    char *path;
    sqlite3 *db;
    int64_t seen;    /* SQLite's count of others' writes, at the last look */
    int64_t changes; /* what was read then */
};

static bool failed(struct phosd_keybook *book, phos_error *error)
{
    return phosd_database_error(book->db, book->path, error);
}

/* SQLite would make the file readable for others. One that is there is not
 * opened: closing it would drop the locks of this process's connections. */
static bool find_file(const char *path, bool make, phos_error *error)
{
    struct stat found;
    int fd = -1;

    if (stat(path, &found) == 0)
        return true;
    if (make && errno == ENOENT)
        fd = open(path, O_RDWR | O_CLOEXEC | O_CREAT, 0600);
    if (fd >= 0)
        return close(fd) == 0;
    phos__error_set(error, PHOS_E_SYSTEM, PHOS_ORIGIN_SYSTEM, errno, "%s: %s",
                    path, strerror(errno));
    return false;
}

bool phosd_keybook_open(const char *path, bool make,
                        struct phosd_keybook **ret_book, phos_error *error)
{
    struct phosd_keybook *book = calloc(1, sizeof(*book));

    if (!book || !(book->path = phosd_plain_path(path))) {
        free(book);
        phos__error_set(error, PHOS_E_NO_MEMORY, PHOS_ORIGIN_NONE, 0,
                        "out of memory");
        return false;
    }
    book->seen = book->changes = -1;
    if (!find_file(book->path, make, error))
        goto fail;
    if (sqlite3_open_v2(book->path, &book->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) ||
        sqlite3_busy_timeout(book->db, BUSY_MS) ||
        sqlite3_db_config(book->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL) ||
        sqlite3_db_config(book->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL)) {
        failed(book, error);
        goto fail;
    }
    if (!phosd_schema_prepare(book->db, book->path, error))
        goto fail;
    *ret_book = book;
    return true;

fail:
    phosd_keybook_close(book);
    return false;
}

void phosd_keybook_close(struct phosd_keybook *book)
{
    if (!book)
        return;
    sqlite3_close(book->db);
    free(book->path);
    free(book);
}

bool phosd_keybook_salt(struct phosd_keybook *book,
                        uint8_t ret_salt[PHOSD_KEY_SALT_BYTES],
                        phos_error *error)
{
    return phosd_read_salt(book->db, book->path, ret_salt, error);
}

/* One step of a statement on (name, hash, time); its code. */
static int step(struct phosd_keybook *book, const char *sql, const char *name,
                const uint8_t *hash)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(book->db, sql, -1, &statement, NULL);

    if (code == SQLITE_OK) {
        sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
        if (hash)
            sqlite3_bind_blob(statement, 2, hash, PHOSD_KEY_HASH_BYTES,
                              SQLITE_STATIC);
        sqlite3_bind_int64(statement, 3, phosd_wall_us());
        code = sqlite3_step(statement);
    }
    sqlite3_finalize(statement);
    return code;
}

/* Ends the transaction that `code` has come of. */
static bool finish(struct phosd_keybook *book, int code, phos_error *error)
{
    if (code == SQLITE_DONE &&
        sqlite3_exec(book->db,
                     "UPDATE collector SET keys_changes = keys_changes + 1;"
                     "COMMIT",
                     NULL, NULL, NULL) == SQLITE_OK)
        return true;
    failed(book, error);
    sqlite3_exec(book->db, "ROLLBACK", NULL, NULL, NULL);
    return false;
}

static bool refuse_name(struct phosd_keybook *book, const char *name,
                        const char *why, phos_error *error)
{
    sqlite3_exec(book->db, "ROLLBACK", NULL, NULL, NULL);
    phos__error_set(error, PHOS_E_INVALID, PHOS_ORIGIN_PHOS, PHOS_E_INVALID,
                    "%s: %s", name, why);
    return false;
}

bool phosd_keybook_add(struct phosd_keybook *book, const char *name,
                       const uint8_t hash[PHOSD_KEY_HASH_BYTES],
                       phos_error *error)
{
    int code;

    if (sqlite3_exec(book->db, "BEGIN IMMEDIATE", NULL, NULL, NULL))
        return failed(book, error);
    code =
        step(book, "SELECT 1 FROM keys WHERE name = ?1 AND revoked_us IS NULL",
             name, NULL);
    if (code == SQLITE_ROW)
        return refuse_name(book, name,
                           "has a key already; revoke that one first, "
                           "or choose another name",
                           error);
    if (code == SQLITE_DONE)
        code = step(book,
                    "SELECT 1 FROM keys WHERE revoked_us IS NULL"
                    "  LIMIT 1 OFFSET 999",
                    NULL, NULL);
    if (code == SQLITE_ROW)
        return refuse_name(book, name, "there are 1000 keys already", error);
    /* A project of that name, from a key file or a revoked key, goes on. */
    if (code == SQLITE_DONE)
        code = step(book,
                    "INSERT INTO projects(name, key_hash) VALUES(?1, ?2)"
                    "  ON CONFLICT(name) DO NOTHING",
                    name, hash);
    if (code == SQLITE_DONE)
        code = step(book,
                    "INSERT INTO keys(project_id, name, key_hash, created_us)"
                    "  SELECT id, ?1, ?2, ?3 FROM projects WHERE name = ?1",
                    name, hash);
    return finish(book, code, error);
}

bool phosd_keybook_revoke(struct phosd_keybook *book, const char *name,
                          phos_error *error)
{
    int code;

    if (sqlite3_exec(book->db, "BEGIN IMMEDIATE", NULL, NULL, NULL))
        return failed(book, error);
    code = step(book,
                "UPDATE keys SET revoked_us = ?3"
                "  WHERE name = ?1 AND revoked_us IS NULL",
                name, NULL);
    if (code == SQLITE_DONE && sqlite3_changes(book->db) == 0) {
        code = step(book, "SELECT 1 FROM keys WHERE name = ?1", name, NULL);
        if (code == SQLITE_ROW)
            return refuse_name(book, name, "its key is revoked already", error);
        if (code == SQLITE_DONE)
            return refuse_name(book, name,
                               "no key of that name; phosd keys list "
                               "shows those there are",
                               error);
    }
    return finish(book, code, error);
}

bool phosd_keybook_list(struct phosd_keybook *book, phosd_key_fn *each,
                        void *user_data, phos_error *error)
{
    sqlite3_stmt *rows = NULL;
    int code = sqlite3_prepare_v2(
        book->db,
        "SELECT id, project_id, key_hash, name, created_us,"
        "  coalesce(used_us, 0), coalesce(revoked_us, 0)"
        "  FROM keys WHERE length(key_hash) = 32 ORDER BY id",
        -1, &rows, NULL);

    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(rows);
        if (code == SQLITE_ROW) {
            const struct phosd_key_row row = {
                .id = sqlite3_column_int64(rows, 0),
                .project_id = sqlite3_column_int64(rows, 1),
                .hash = sqlite3_column_blob(rows, 2),
                .name = phosd_column(rows, 3),
                .created_us = sqlite3_column_int64(rows, 4),
                .used_us = sqlite3_column_int64(rows, 5),
                .revoked_us = sqlite3_column_int64(rows, 6),
            };

            each(&row, user_data);
        }
    }
    sqlite3_finalize(rows);
    return code == SQLITE_DONE || failed(book, error);
}

int64_t phosd_keybook_changes(struct phosd_keybook *book)
{
    int64_t writes = phosd_number(book->db, "PRAGMA data_version");

    if (writes < 0)
        return -1;
    if (writes != book->seen || book->changes < 0) {
        book->changes =
            phosd_number(book->db, "SELECT keys_changes FROM collector");
        book->seen = writes;
    }
    return book->changes;
}
