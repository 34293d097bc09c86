#include "store_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "store_internal.h"

enum { BUSY_MS = 10000, APPLICATION_ID = 0x70686F73 };

/* In one go: a copy in pieces would begin anew with every write that comes
 * between, so for ever beside a busy collector. */
static bool copy(sqlite3 *from, sqlite3 *to, const char *path,
                 phos_error *error)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    int code;

    if (!backup)
        return phosd_database_error(to, path, error);
    sqlite3_backup_step(backup, -1);
    code = sqlite3_backup_finish(backup);
    return code == SQLITE_OK || phosd_database_error(to, path, error);
}

static bool is_sound(sqlite3 *db)
{
    sqlite3_stmt *check = NULL;
    bool sound = false;

    if (sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &check, NULL) ==
            SQLITE_OK &&
        sqlite3_step(check) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(check, 0);

        sound = text && strcmp(text, "ok") == 0;
    }
    sqlite3_finalize(check);
    return sound;
}

static bool sync_file(const char *path, phos_error *error)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;

    if (!synced)
        phos__error_set(error, PHOS_E_SYSTEM, PHOS_ORIGIN_SYSTEM, errno,
                        "%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return synced;
}

static bool copy_and_check(sqlite3 *from, sqlite3 *to, const char *path,
                           phos_error *error)
{
    if (!copy(from, to, path, error))
        return false;
    /* One file: without a log beside it. */
    if (sqlite3_exec(to, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL))
        return phosd_database_error(to, path, error);
    return is_sound(to) ||
           phosd_refuse_file(path,
                             "the copy is damaged, so the database is; see "
                             "sqlite3 .recover",
                             error);
}

static bool open_source(const char *path, sqlite3 **ret_db, phos_error *error)
{
    if (access(path, F_OK)) {
        phos__error_set(error, PHOS_E_SYSTEM, PHOS_ORIGIN_SYSTEM, errno,
                        "%s: %s", path, strerror(errno));
        return false;
    }
    if (sqlite3_open_v2(path, ret_db, SQLITE_OPEN_READWRITE, NULL) ||
        sqlite3_busy_timeout(*ret_db, BUSY_MS) ||
        phosd_number(*ret_db, "SELECT count(*) FROM sqlite_schema") < 0)
        return phosd_database_error(*ret_db, path, error);
    return phosd_number(*ret_db, "PRAGMA application_id") == APPLICATION_ID ||
           phosd_refuse_file(path, "the file belongs to another program",
                             error);
}

bool phosd_store_copy(const char *from, const char *to, phos_error *error)
{
    char *from_path = phosd_plain_path(from), *to_path = phosd_plain_path(to);
    sqlite3 *source = NULL, *target = NULL;
    bool copied = false;

    if (!from_path || !to_path)
        phos__error_set(error, PHOS_E_NO_MEMORY, PHOS_ORIGIN_NONE, 0,
                        "out of memory");
    else if (open_source(from_path, &source, error)) {
        copied = sqlite3_open_v2(to_path, &target, SQLITE_OPEN_READWRITE,
                                 NULL) == SQLITE_OK
                     ? copy_and_check(source, target, to_path, error)
                     : phosd_database_error(target, to_path, error);
    }
    sqlite3_close(source);
    sqlite3_close(target);
    copied = copied && sync_file(to_path, error);
    free(from_path);
    free(to_path);
    return copied;
}
