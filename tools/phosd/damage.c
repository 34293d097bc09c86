#define _GNU_SOURCE /* flock() */
#include "damage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "now.h"
#include "store_internal.h"

enum {
    LOOK_MS_MAX = 10000, /* a start must not take minutes */
    STEPS_BETWEEN_CHECKS = 1000,
    WHY_BYTES = 160,
    TIME_BYTES = 32,
    NAME_BYTES = 4096,
    NAMES_MAX = 1000
};

static int past_its_time(void *user_data)
{
    return phosd_now_ms() > *(const uint64_t *)user_data;
}

/* Whether a code tells of damage; other failures say nothing of the file. */
static bool is_damage(int code)
{
    return (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB;
}

static bool check(sqlite3 *db, char why[WHY_BYTES])
{
    sqlite3_stmt *statement = NULL;
    bool damaged = false;
    int code =
        sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &statement, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);

        damaged = text && strcmp(text, "ok") != 0;
        /* "*** in database main ***" stands in a line of its own before. */
        if (damaged && text[0] == '*' && strchr(text, '\n'))
            text = strchr(text, '\n') + 1;
        if (damaged)
            snprintf(why, WHY_BYTES, "%.*s", (int)strcspn(text, "\n"), text);
    } else if (is_damage(code)) {
        damaged = true;
        snprintf(why, WHY_BYTES, "%s", sqlite3_errmsg(db));
    }
    sqlite3_finalize(statement);
    return damaged;
}

/* The log is evidence, so closing must not write it back. */
static bool is_damaged(const char *path, char why[WHY_BYTES])
{
    uint64_t due_ms = phosd_now_ms() + LOOK_MS_MAX;
    sqlite3 *db = NULL;
    bool damaged = false;

    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                        NULL) == SQLITE_OK &&
        sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL) ==
            SQLITE_OK) {
        sqlite3_progress_handler(db, STEPS_BETWEEN_CHECKS, past_its_time,
                                 &due_ms);
        damaged = check(db, why);
    }
    sqlite3_close(db);
    return damaged;
}

static bool exists(const char *path)
{
    struct stat found;

    return lstat(path, &found) == 0;
}

/* A name that is not taken, in `aside`. */
static bool choose_name(const char *path, char aside[NAME_BYTES])
{
    time_t now = (time_t)(phosd_wall_us() / 1000000);
    char when[TIME_BYTES];
    struct tm parts;

    if (!gmtime_r(&now, &parts) ||
        strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &parts) == 0)
        return false;
    for (int number = 1; number < NAMES_MAX; number++) {
        char more[TIME_BYTES] = "";

        if (number > 1)
            snprintf(more, sizeof(more), "-%d", number);
        /* "-shm" must fit behind it. */
        if (snprintf(aside, NAME_BYTES, "%s.corrupt-%s%s", path, when, more) >=
            NAME_BYTES - 4)
            return false;
        if (!exists(aside))
            return true;
    }
    return false;
}

/* The file goes last: until it does, the next start tries again. */
static bool move(const char *path, char aside[NAME_BYTES])
{
    static const char *const parts[] = { "-wal", "-shm", "" };
    char from[NAME_BYTES], to[NAME_BYTES];

    if (!choose_name(path, aside)) {
        errno = ENAMETOOLONG;
        return false;
    }
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (snprintf(from, sizeof(from), "%s%s", path, parts[i]) >=
                NAME_BYTES ||
            snprintf(to, sizeof(to), "%s%s", aside, parts[i]) >= NAME_BYTES) {
            errno = ENAMETOOLONG;
            return false;
        }
        if (rename(from, to) && (errno != ENOENT || parts[i][0] == '\0'))
            return false;
    }
    return true;
}

static bool look(const char *path, phos_error *error)
{
    char why[WHY_BYTES], aside[NAME_BYTES];

    if (!is_damaged(path, why))
        return true;
    if (!move(path, aside)) {
        phos__error_set(error, PHOS_E_SYSTEM, PHOS_ORIGIN_SYSTEM, errno,
                        "%s is damaged (%s) and cannot be moved aside: %s",
                        path, why, strerror(errno));
        return false;
    }
    fprintf(
        stderr,
        "phosd: %s is damaged: %s\n"
        "phosd: moved to %s; beginning a new one.\n"
        "phosd: to save what can be read: sqlite3 %s .recover > saved.sql\n",
        path, why, aside, aside);
    return true;
}

bool phosd_damage_set_aside(const char *path, phos_error *error)
{
    char *plain = phosd_plain_path(path);
    bool sound = true;
    struct stat found;
    int fd;

    if (!plain) {
        phos__error_set(error, PHOS_E_NO_MEMORY, PHOS_ORIGIN_NONE, 0,
                        "out of memory");
        return false;
    }
    /* Whoever holds the lock, another phosd, is using the file. */
    fd = open(plain, O_RDWR | O_CLOEXEC);
    if (fd >= 0) {
        if (fstat(fd, &found) == 0 && S_ISREG(found.st_mode) &&
            found.st_size > 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
            sound = look(plain, error);
        close(fd);
    }
    free(plain);
    return sound;
}
