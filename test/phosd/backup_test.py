"""phosd backup: whole copies, also of a database in use, and nothing else
left behind."""

import os
import sqlite3
import subprocess
import tempfile
import threading

from rig import HANG_S, PHOSD, Collector, equal, event, main, test


def backup(*arguments, db=None, environment=None):
    clean = {n: v for n, v in os.environ.items() if not n.startswith("PHOS")}
    clean.update(environment or {})
    done = subprocess.run(
        [PHOSD, "backup"] + (["--db", db] if db else []) + list(arguments),
        env=clean, capture_output=True, timeout=HANG_S, text=True)
    return done.returncode, done.stdout, done.stderr


@test
def a_copy_in_mid_load_holds_all_that_was_answered_and_batches_are_whole():
    with Collector() as phosd:
        copy = os.path.join(phosd.directory, "copy.sqlite")
        first = phosd.ingest(*[event("first") for _ in range(100)])
        halt = threading.Event()

        def send():
            while not halt.is_set():
                phosd.ingest(*[event("later") for _ in range(10)])

        sender = threading.Thread(target=send)
        sender.start()
        try:
            equal(backup(copy, db=phosd.db), (0, "", ""))
        finally:
            halt.set()
            sender.join(HANG_S)
        equal(os.stat(copy).st_mode & 0o777, 0o600)
        equal([n for n in os.listdir(phosd.directory) if "copy" in n],
              ["copy.sqlite"])
        db = sqlite3.connect(copy)
        equal(db.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        there = {bytes(row[0]).hex() for row in
                 db.execute("SELECT event_id FROM events")}
        db.close()
        assert {i.replace("-", "") for i in first} <= there
        equal((len(there) - 100) % 10, 0)
        # It is a database to go on with: same key, same project, same search.
        with Collector(db=copy) as other:
            equal(other.get("/api/events").json["total"], len(there))
            equal(other.get("/api/events", q="first").json["total"], 100)
            other.ingest(event("more"))


@test
def what_it_cannot_do_is_told_and_leaves_nothing():
    with Collector() as phosd, tempfile.TemporaryDirectory() as folder:
        there = os.path.join(folder, "there")
        with open(there, "w") as file:
            file.write("mine")
        foreign = os.path.join(folder, "foreign")
        db = sqlite3.connect(foreign)
        db.executescript("CREATE TABLE t(x)")
        db.close()
        new = os.path.join(folder, "new")
        rows = [
            ([there], phosd.db, 1, "is there already"),
            ([new], os.path.join(folder, "missing"), 1, "No such file"),
            ([new], foreign, 1, "belongs to another program"),
            ([new], there, 1, "not a database"),
            (["/nowhere/copy"], phosd.db, 1, "No such file"),
            ([], phosd.db, 2, "expected the name of a new file"),
            ([new, "more"], phosd.db, 2, "not expected"),
            (["--nonsense", new], phosd.db, 2, "nonsense"),
        ]
        for arguments, path, status, message in rows:
            got, text, told = backup(*arguments, db=path)
            equal((got, text), (status, ""), (arguments, told))
            assert message in told, (arguments, told)
        equal(sorted(os.listdir(folder)), ["foreign", "there"])
        with open(there) as file:
            equal(file.read(), "mine")
        equal(backup(new, environment={"PHOSD_DB": phosd.db}), (0, "", ""))
        status, text, told = backup("--help")
        equal((status, told), (0, ""))
        assert "PHOSD_DB" in text


main()
