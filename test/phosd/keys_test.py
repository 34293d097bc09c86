"""Keys that phosd makes itself, and databases of an earlier phosd."""

import os
import re
import sqlite3
import subprocess
import tempfile
import time

from rig import HANG_S, KEY, PHOSD, Collector, equal, event, main, test

SCHEMA_1 = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                        "schema-1.sql")


def keys(*arguments, db=None, environment=None):
    """phosd keys ...: status, standard output, standard error."""
    clean = {n: v for n, v in os.environ.items() if not n.startswith("PHOS")}
    clean.update(environment or {})
    done = subprocess.run(
        [PHOSD, "keys"] + list(arguments) + (["--db", db] if db else []),
        env=clean, capture_output=True, timeout=HANG_S, text=True)
    return done.returncode, done.stdout, done.stderr


def create(name, db):
    status, key, told = keys("create", name, db=db)
    equal(status, 0, told)
    assert re.fullmatch(r"ph_[0-9a-f]{64}\n", key), key
    assert "not shown again" in told, told
    return key.strip()


def becomes(phosd, key, status):
    """Asks until the key is answered so: the collector follows by itself."""
    end = time.monotonic() + HANG_S
    while phosd.get("/api/events", key=key).status != status:
        assert time.monotonic() < end, "the collector did not follow"


class Directory(tempfile.TemporaryDirectory):
    def __enter__(self):
        return os.path.join(super().__enter__(), "events.sqlite")


@test
def a_collector_starts_with_the_keys_of_its_database_alone():
    with Directory() as db:
        red, blue = create("red team", db), create("blue", db)
        assert red != blue
        equal(os.stat(db).st_mode & 0o777, 0o600)
        with Collector(key=None, db=db) as phosd:
            phosd.ingest(event(), event(), key=red)
            phosd.ingest(event(), key=blue)
            for key, total in ((red, 2), (blue, 1)):
                equal(phosd.get("/api/events", key=key).json["total"], total)
            equal(phosd.get("/api/events", key="ph_" + 64 * "0").status, 401)


@test
def a_running_collector_takes_new_keys_and_lets_revoked_ones_go():
    with Collector() as phosd:
        key = create("red", phosd.db)
        becomes(phosd, key, 200)
        phosd.ingest(event(), key=key)
        equal(phosd.get("/api/events").json["total"], 0, "the given key's own")
        equal(keys("revoke", "red", db=phosd.db), (0, "", ""))
        becomes(phosd, key, 401)
        equal(phosd.get("/api/events").status, 200)
        # Another key for the same name: the project goes on.
        again = create("red", phosd.db)
        assert again != key
        becomes(phosd, again, 200)
        equal(phosd.get("/api/events", key=again).json["total"], 1)
        equal(phosd.get("/api/events", key=key).status, 401)
        phosd.stop()
        phosd.start()
        equal(phosd.get("/api/events", key=again).json["total"], 1)
        equal(phosd.get("/api/events", key=key).status, 401)


@test
def a_made_key_joins_the_project_of_that_name_in_a_key_file():
    with Collector(keys="ph_red red\nph_blue blue\n") as phosd:
        phosd.ingest(event(), key="ph_red")
        key = create("red", phosd.db)
        becomes(phosd, key, 200)
        equal(phosd.get("/api/events", key=key).json["total"], 1)
        keys("revoke", "red", db=phosd.db)
        becomes(phosd, key, 401)
        equal(phosd.get("/api/events", key="ph_red").json["total"], 1)


@test
def a_made_key_that_is_given_as_well_speaks_for_the_same_project():
    with Directory() as db:
        key = create("red", db)
        with Collector(key=None, db=db) as phosd:
            phosd.ingest(event(), key=key)
        with Collector(key=key, db=db) as phosd:
            equal(phosd.get("/api/events").json["total"], 1)


@test
def the_list_tells_names_and_times_and_no_keys():
    with Directory() as db:
        red, blue = create("red team", db), create("blue", db)
        keys("revoke", "blue", db=db)
        with Collector(key=None, db=db) as phosd:
            equal(phosd.get("/api/events", key=red).status, 200)
        status, text, told = keys("list", db=db)
        equal((status, told), (0, ""))
        when = r"\d{4}-\d\d-\d\dT\d\d:\d\dZ"
        head, first, second = text.splitlines()
        equal(head.split(), ["CREATED", "LAST", "USED", "REVOKED", "NAME"])
        assert re.fullmatch(when + " +" + when + r" +- +red team", first), text
        assert re.fullmatch(when + " +never +" + when + " +blue", second), text
        with open(db, "rb") as file:
            data = file.read()
        for key in (red, blue):
            assert key not in text and key[3:] not in text
            assert key.encode() not in data
            assert bytes.fromhex(key[3:]) not in data


@test
def only_revoked_keys_are_no_keys():
    with Directory() as db:
        create("red", db)
        keys("revoke", "red", db=db)
        clean = {n: v for n, v in os.environ.items()
                 if not n.startswith("PHOS")}
        done = subprocess.run([PHOSD, "--listen", "127.0.0.1:0", "--db", db],
                              env=clean, capture_output=True, timeout=HANG_S,
                              text=True)
        equal((done.returncode, done.stdout), (2, ""), done.stderr)
        assert "no API key" in done.stderr, done.stderr
        assert "phosd keys create NAME --db " + db in done.stderr, done.stderr


@test
def what_keys_cannot_do_is_told():
    with Directory() as db:
        folder = os.path.dirname(db)
        create("red", db)
        create("gone", db)
        keys("revoke", "gone", db=db)
        foreign = os.path.join(folder, "foreign")
        newer = os.path.join(folder, "newer")
        for path, marks in ((foreign, ""), (
                newer, "PRAGMA application_id = 0x70686F73;"
                       "PRAGMA user_version = 99;")):
            other = sqlite3.connect(path)
            other.executescript("CREATE TABLE t(x);" + marks)
            other.close()
        missing = os.path.join(folder, "missing")
        rows = [
            (["create", "red"], db, 1, "red: has a key already"),
            (["revoke", "blue"], db, 1, "blue: no key of that name"),
            (["revoke", "gone"], db, 1, "revoked already"),
            (["list"], missing, 1, "No such file"),
            (["revoke", "red"], missing, 1, "No such file"),
            (["create", "x"], "/nowhere/events.sqlite", 1, "No such file"),
            (["create", "x"], foreign, 1, "belongs to another program"),
            (["list"], newer, 1, "newer phosd"),
            ([], db, 2, "expected create NAME"),
            (["make", "x"], db, 2, "expected create NAME"),
            (["create"], db, 2, "expected a name"),
            (["create", "two", "words"], db, 2, "not expected"),
            (["list", "red"], db, 2, "not expected"),
            (["create", ""], db, 2, "must not be empty"),
            (["create", " x"], db, 2, "blank"),
            (["create", "a\nb"], db, 2, "control characters"),
            (["create", "x" * 201], db, 2, "200 bytes"),
            (["list", "--nonsense"], db, 2, "nonsense"),
        ]
        for arguments, path, status, message in rows:
            got, text, told = keys(*arguments, db=path)
            equal((got, text), (status, ""), (arguments, told))
            assert message in told, (arguments, told)
        assert not os.path.exists(missing)
        equal(keys("list", environment={"PHOSD_DB": missing})[0], 1)
        status, text, told = keys("--help")
        equal(keys("-h"), (status, text, told))
        equal((status, told), (0, ""))
        assert "phosd keys create NAME" in text and "PHOSD_DB" in text


@test
def a_database_of_the_first_phosd_is_upgraded_and_keeps_everything():
    with Directory() as db:
        with open(SCHEMA_1) as file:
            old = sqlite3.connect(db)
            old.executescript(file.read())
            old.close()
        with Collector(key=KEY, db=db) as phosd:
            equal(phosd.get("/api/events").json["total"], 2)
            for words, total in (("K2", 1), ("Makalu", 1), ("8,", 2)):
                equal(phosd.get("/api/events", q=words).json["total"], total)
            session = phosd.get("/api/sessions/s-1").json
            equal((session["event_count"], session["success_count"]), (2, 1))
            phosd.ingest(event(session_id="s-1"))
            equal(phosd.get("/api/sessions/s-1").json["event_count"], 3)
            key = create("red", db)
            becomes(phosd, key, 200)
        fresh = os.path.join(os.path.dirname(db), "fresh")
        create("red", fresh)

        def shape(path):
            database = sqlite3.connect(path)
            rows = database.execute(
                "SELECT type, name FROM sqlite_schema ORDER BY 1, 2")
            columns = database.execute(
                "SELECT m.name, c.name, c.type FROM sqlite_schema AS m,"
                " pragma_table_info(m.name) AS c WHERE m.type = 'table'"
                " ORDER BY 1, c.cid")
            version = database.execute("PRAGMA user_version")
            found = (rows.fetchall(), columns.fetchall(), version.fetchall())
            database.close()
            return found

        equal(shape(db), shape(fresh))


main()
