/*
 * schema - what the tables look like, and how a file of an earlier phosd
 * becomes one of this. A new file takes the same steps from the first one on,
 * so that both end up alike.
 */
#include "store_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* "phos" in ASCII: tells our files from other programs'. */
enum { APPLICATION_ID = 0x70686F73, TEXT_BYTES = 160 };

/*
 * One file for all projects; each row that a client can reach carries its
 * project. Times are Unix microseconds. docs/collector.md shows it to readers.
 */
static const char first[] =
    "CREATE TABLE collector("
    "  id INTEGER PRIMARY KEY CHECK(id = 1),"
    "  salt BLOB NOT NULL,"
    "  indexed_to INTEGER NOT NULL);"
    "INSERT INTO collector VALUES(1, randomblob(16), 0);"

    "CREATE TABLE projects("
    "  id INTEGER PRIMARY KEY,"
    "  name TEXT UNIQUE,"
    "  key_hash BLOB NOT NULL UNIQUE);"

    "CREATE TABLE sessions("
    "  id INTEGER PRIMARY KEY,"
    "  project_id INTEGER NOT NULL,"
    "  session_id TEXT NOT NULL,"
    "  grouped_user TEXT,"
    "  user_id TEXT,"
    "  started_us INTEGER NOT NULL,"
    "  ended_us INTEGER NOT NULL,"
    "  event_count INTEGER NOT NULL,"
    "  token_count_input INTEGER NOT NULL,"
    "  token_count_output INTEGER NOT NULL,"
    "  cost_cents REAL NOT NULL,"
    "  success_count INTEGER NOT NULL DEFAULT 0,"
    "  failure_count INTEGER NOT NULL DEFAULT 0,"
    "  UNIQUE(project_id, session_id));"
    "CREATE INDEX sessions_by_time ON sessions(project_id, ended_us, id);"
    "CREATE INDEX sessions_by_user"
    "  ON sessions(project_id, grouped_user, ended_us)"
    "  WHERE grouped_user IS NOT NULL;"

    "CREATE TABLE events("
    "  id INTEGER PRIMARY KEY,"
    "  project_id INTEGER NOT NULL,"
    "  event_id BLOB NOT NULL,"
    "  session INTEGER,"
    "  time_us INTEGER NOT NULL,"
    "  received_us INTEGER NOT NULL,"
    "  session_id TEXT,"
    "  user_id TEXT,"
    "  model TEXT,"
    "  input TEXT NOT NULL,"
    "  output TEXT NOT NULL,"
    "  metadata TEXT NOT NULL);"
    "CREATE UNIQUE INDEX events_by_id ON events(project_id, event_id);"
    "CREATE INDEX events_by_time ON events(project_id, time_us);"
    "CREATE INDEX events_by_session ON events(session, time_us)"
    "  WHERE session IS NOT NULL;"
    "CREATE INDEX events_by_user ON events(project_id, user_id, time_us)"
    "  WHERE user_id IS NOT NULL;"

    "CREATE TABLE tags("
    "  project_id INTEGER NOT NULL,"
    "  tag TEXT NOT NULL,"
    "  event INTEGER NOT NULL,"
    "  PRIMARY KEY(project_id, tag, event)) WITHOUT ROWID;"

    "CREATE TABLE feedback("
    "  event INTEGER PRIMARY KEY,"
    "  flag TEXT NOT NULL,"
    "  comment TEXT,"
    "  source TEXT NOT NULL,"
    "  received_us INTEGER NOT NULL);"

    "CREATE VIRTUAL TABLE events_text USING fts5("
    "  input, output, content='', columnsize=0, detail=none,"
    "  tokenize='trigram');";

/* A name may have had several keys, of which one at most is not revoked. */
static const char keys[] =
    "CREATE TABLE keys("
    "  id INTEGER PRIMARY KEY,"
    "  project_id INTEGER NOT NULL,"
    "  name TEXT NOT NULL,"
    "  key_hash BLOB NOT NULL UNIQUE,"
    "  created_us INTEGER NOT NULL,"
    "  used_us INTEGER,"
    "  revoked_us INTEGER);"
    "CREATE UNIQUE INDEX keys_by_name ON keys(name)"
    "  WHERE revoked_us IS NULL;"
    "ALTER TABLE collector ADD COLUMN keys_changes INTEGER NOT NULL DEFAULT 0;";

/* For deleting an event, whose tags are not known then. */
static const char tags_by_event[] =
    "CREATE INDEX tags_by_event ON tags(event);";

/*
 * For millions of events: an index for each way in which lists are narrowed,
 * sums for statistics and counts, how many sessions a project has, and how long
 * one lasts at most. Feedback takes over its event's project and time, so that
 * it can be listed by them.
 */
static const char many[] =
    "CREATE INDEX events_by_model ON events(project_id, model, time_us)"
    "  WHERE model IS NOT NULL;"
    "DROP INDEX events_by_session;"
    "CREATE INDEX events_by_session ON events(session, time_us, model)"
    "  WHERE session IS NOT NULL;"
    "DROP INDEX sessions_by_time;"
    "CREATE INDEX sessions_by_time"
    "  ON sessions(project_id, ended_us, id, started_us);"
    "CREATE INDEX sessions_by_owner"
    "  ON sessions(project_id, user_id, ended_us, id, started_us)"
    "  WHERE user_id IS NOT NULL;"

    "ALTER TABLE feedback ADD COLUMN project_id INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE feedback ADD COLUMN time_us INTEGER NOT NULL DEFAULT 0;"
    "UPDATE feedback SET project_id = e.project_id, time_us = e.time_us"
    "  FROM events AS e WHERE e.id = feedback.event;"
    "CREATE INDEX feedback_by_flag ON feedback(project_id, flag, time_us);"

    "CREATE TABLE sums("
    "  id INTEGER PRIMARY KEY,"
    "  project_id INTEGER NOT NULL,"
    "  level INTEGER NOT NULL,"
    "  slot INTEGER NOT NULL,"
    "  model TEXT NOT NULL,"
    "  events INTEGER NOT NULL,"
    "  success_count INTEGER NOT NULL,"
    "  failure_count INTEGER NOT NULL,"
    "  token_count_input INTEGER NOT NULL,"
    "  token_count_output INTEGER NOT NULL,"
    "  cost_cents REAL NOT NULL,"
    "  latencies BLOB NOT NULL);"
    "CREATE INDEX sums_by_slot"
    "  ON sums(project_id, level, slot, model, events);"

    "CREATE TABLE session_counts("
    "  project_id INTEGER PRIMARY KEY,"
    "  sessions INTEGER NOT NULL,"
    "  longest_us INTEGER NOT NULL);"
    "INSERT INTO session_counts"
    "  SELECT project_id, count(*), max(ended_us - started_us)"
    "  FROM sessions GROUP BY project_id;"
    "CREATE TRIGGER session_begins AFTER INSERT ON sessions BEGIN"
    "  INSERT INTO session_counts VALUES(new.project_id, 1, 0)"
    "    ON CONFLICT(project_id) DO UPDATE SET sessions = sessions + 1;"
    "END;"
    "CREATE TRIGGER session_grows AFTER UPDATE OF started_us, ended_us"
    "  ON sessions WHEN new.ended_us - new.started_us >"
    "    (SELECT longest_us FROM session_counts"
    "      WHERE project_id = new.project_id) BEGIN"
    "  UPDATE session_counts SET longest_us = new.ended_us - new.started_us"
    "    WHERE project_id = new.project_id;"
    "END;"
    "CREATE TRIGGER session_ends AFTER DELETE ON sessions BEGIN"
    "  UPDATE session_counts SET sessions = sessions - 1"
    "    WHERE project_id = old.project_id;"
    "END;";

/* steps[n] leads from version n to n + 1; what it counts beside is done once,
 * after the last. */
static const char *const steps[] = { first, keys, tags_by_event, many };

enum { SUMS_VERSION = 4 }; /* the one with which the sums came */

enum { SCHEMA_VERSION = sizeof(steps) / sizeof(steps[0]) };

/* What to do about it; SQLite's own words say what it is. */
static const char *advice(int code)
{
    switch (code & 0xff) {
    case SQLITE_BUSY:
        return "; another program holds it, try again";
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        return "; name a new one with --db, or --replace-corrupt moves it "
               "aside and begins anew";
    default:
        return "";
    }
}

bool phosd_database_error(sqlite3 *db, const char *path, phos_error *error)
{
    phos__error_set(error, PHOS_E_SYSTEM, PHOS_ORIGIN_SYSTEM,
                    sqlite3_extended_errcode(db), "%s: %s%s", path,
                    sqlite3_errmsg(db), advice(sqlite3_errcode(db)));
    return false;
}

int64_t phosd_number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement;
    int64_t value = -1;

    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL))
        return -1;
    if (sqlite3_step(statement) == SQLITE_ROW)
        value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return value;
}

bool phosd_refuse_file(const char *path, const char *why, phos_error *error)
{
    phos__error_set(error, PHOS_E_INVALID, PHOS_ORIGIN_PHOS, PHOS_E_INVALID,
                    "%s: %s", path, why);
    return false;
}

bool phosd_read_salt(sqlite3 *db, const char *path,
                     uint8_t ret_salt[PHOSD_KEY_SALT_BYTES], phos_error *error)
{
    sqlite3_stmt *statement;
    bool found = false;

    if (sqlite3_prepare_v2(db, "SELECT salt FROM collector", -1, &statement,
                           NULL))
        return phosd_database_error(db, path, error);
    if (sqlite3_step(statement) == SQLITE_ROW &&
        sqlite3_column_bytes(statement, 0) == PHOSD_KEY_SALT_BYTES) {
        memcpy(ret_salt, sqlite3_column_blob(statement, 0),
               PHOSD_KEY_SALT_BYTES);
        found = true;
    }
    sqlite3_finalize(statement);
    return found || phosd_refuse_file(path, "the file is damaged", error);
}

/* Whose tables they are, and whether they are known. */
static bool check_marks(sqlite3 *db, const char *path, phos_error *error)
{
    int64_t tables = phosd_number(db, "SELECT count(*) FROM sqlite_schema");
    int64_t version = phosd_number(db, "PRAGMA user_version");
    int64_t application = phosd_number(db, "PRAGMA application_id");
    bool is_new = tables == 0 && application == 0 && version == 0;
    char why[TEXT_BYTES];

    if (tables < 0)
        return phosd_database_error(db, path, error);
    if (!is_new && (application != APPLICATION_ID || version < 1))
        return phosd_refuse_file(path,
                                 "the file belongs to another program; "
                                 "name a new one with --db",
                                 error);
    if (version > SCHEMA_VERSION) {
        snprintf(why, sizeof(why),
                 "written by a newer phosd (schema %lld, this one knows %d); "
                 "use that one, or name a new file with --db",
                 (long long)version, (int)SCHEMA_VERSION);
        return phosd_refuse_file(path, why, error);
    }
    return true;
}

static bool upgrade(sqlite3 *db, int64_t version)
{
    char marks[TEXT_BYTES];

    struct phosd_writer counter = { .db = db };
    int64_t from = version;
    bool counted;

    for (; version < SCHEMA_VERSION; version++)
        if (sqlite3_exec(db, steps[version], NULL, NULL, NULL))
            return false;
    if (from > 0 && from < SUMS_VERSION) {
        counted = phosd_sums_open(&counter) &&
                  phosd_sums_rebuild(&counter) == SQLITE_OK;
        phosd_sums_close(&counter);
        if (!counted)
            return false;
    }
    snprintf(marks, sizeof(marks),
             "PRAGMA application_id = %d; PRAGMA user_version = %d;",
             APPLICATION_ID, SCHEMA_VERSION);
    return sqlite3_exec(db, marks, NULL, NULL, NULL) == SQLITE_OK;
}

/* In a transaction: another process may be about to do the same. */
static bool prepare(sqlite3 *db, const char *path, phos_error *error)
{
    int64_t version = phosd_number(db, "PRAGMA user_version");

    if (!check_marks(db, path, error))
        return false;
    if (version < SCHEMA_VERSION && !upgrade(db, version))
        return phosd_database_error(db, path, error);
    return true;
}

bool phosd_schema_prepare(sqlite3 *db, const char *path, phos_error *error)
{
    if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL))
        return phosd_database_error(db, path, error);
    if (!prepare(db, path, error)) {
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
        return false;
    }
    return sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK ||
           phosd_database_error(db, path, error);
}

bool phosd_store_look(const char *path, int64_t *ret_keys, phos_error *error)
{
    char *plain = phosd_plain_path(path);
    sqlite3 *db = NULL;
    bool sound = false;

    if (!plain)
        phos__error_set(error, PHOS_E_NO_MEMORY, PHOS_ORIGIN_NONE, 0,
                        "out of memory");
    else if (sqlite3_open_v2(plain, &db, SQLITE_OPEN_READWRITE, NULL) ||
             sqlite3_busy_timeout(db, PHOSD_BUSY_MS))
        phosd_database_error(db, plain, error);
    else
        sound = check_marks(db, plain, error);
    if (sound) /* -1 when the table is not there yet */
        *ret_keys = phosd_number(
            db, "SELECT count(*) FROM keys WHERE revoked_us IS NULL");
    sqlite3_close(db);
    free(plain);
    return sound;
}
