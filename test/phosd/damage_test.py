"""Databases that cannot be used: damaged ones, and those of others."""

import glob
import os
import sqlite3
import subprocess
import tempfile

from rig import HANG_S, KEY, PHOSD, Collector, equal, event, main, test


class World:
    """A directory with a database of one event, or what `data` says."""

    def __init__(self, data=None):
        self.directory = tempfile.mkdtemp(prefix="phosd-test-")
        self.db = os.path.join(self.directory, "events.sqlite")
        if data is not None:
            with open(self.db, "wb") as file:
                file.write(data)
            return
        with Collector(db=self.db) as phosd:
            phosd.ingest(*[event("x" * 500) for _ in range(100)])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for path in glob.glob(os.path.join(self.directory, "*")):
            os.remove(path)
        os.rmdir(self.directory)

    def overwrite(self, offset, data):
        with open(self.db, "r+b") as file:
            file.seek(offset)
            file.write(data)

    def read(self):
        with open(self.db, "rb") as file:
            return file.read()

    def aside(self):
        return sorted(os.path.basename(path) for path in
                      glob.glob(self.db + ".corrupt-*")
                      if not path.endswith("-shm"))

    def refused(self, *options):
        """Starts a phosd that must not; returns what it says."""
        done = subprocess.run(
            [PHOSD, "--listen", "127.0.0.1:0", "--db", self.db]
            + list(options), env=dict(os.environ, PHOSPHO_API_KEY=KEY),
            capture_output=True, timeout=HANG_S, text=True)
        equal((done.returncode, done.stdout), (1, ""), done.stderr)
        return done.stderr


def replaced(world, message):
    before = world.read()
    with Collector("--replace-corrupt", db=world.db) as phosd:
        told = phosd.stderr()
        assert "is damaged: " in told and message in told, told
        name = world.aside()[0]
        assert "moved to %s.corrupt-" % world.db in told, told
        with open(os.path.join(world.directory, name), "rb") as file:
            equal(file.read() == before, True, "moved as it was")
        equal(phosd.get("/api/events").json["total"], 0)
        phosd.ingest(event())
    with Collector("--replace-corrupt", db=world.db) as phosd:
        equal(phosd.get("/api/events").json["total"], 1, "a sound one stays")
        equal(phosd.stderr(), "")
    equal([n for n in world.aside() if not n.endswith("-wal")], [name])


@test
def what_is_no_database_is_refused_or_moved_aside():
    with World(b"not a database at all, but long enough" * 100) as world:
        before = world.read()
        told = world.refused()
        assert "not a database; " in told and "--replace-corrupt" in told, told
        equal(world.read() == before, True, "byte for byte")
        equal(world.aside(), [])
        replaced(world, "not a database")


@test
def a_damaged_table_is_found_and_the_file_moved_aside():
    with World() as world:
        size = len(world.read())
        # The last pages hold events; each begins with its type and cells.
        world.overwrite(size - size % 4096 - 3 * 4096, b"\xff" * 8192)
        replaced(world, "Page")


@test
def a_lost_header_is_found_and_its_log_moved_too():
    with World() as world:
        world.overwrite(0, b"\0" * 512)
        with open(world.db + "-wal", "wb") as file:
            file.write(b"a log")
        with Collector("--replace-corrupt", db=world.db) as phosd:
            assert "is damaged" in phosd.stderr(), phosd.stderr()
            names = world.aside()
            equal([name[len(names[0]):] for name in names], ["", "-wal"])
            with open(os.path.join(world.directory, names[1]), "rb") as file:
                equal(file.read(), b"a log")


@test
def two_in_one_second_get_two_names():
    with World(b"garbage" * 1000) as world:
        for _ in range(3):
            with Collector(db=world.db,
                           environment={"PHOSD_REPLACE_CORRUPT": "1"}):
                pass
            world.overwrite(0, b"garbage" * 1000)
        equal(len(world.aside()), 3)


@test
def a_foreign_or_newer_database_stays_byte_for_byte():
    for marks in ("", "PRAGMA application_id = 0x70686F73;"
                      "PRAGMA user_version = 99;"):
        with World(b"") as world:
            db = sqlite3.connect(world.db)
            db.executescript("CREATE TABLE t(x); INSERT INTO t VALUES(1);"
                             + marks)
            db.close()
            before = world.read()
            for options in ([], ["--replace-corrupt"]):
                told = world.refused(*options)
                assert ("newer phosd (schema 99, this one knows" if marks
                        else "belongs to another program") in told, told
                assert "name a" in told, told
                equal(world.read() == before, True, "byte for byte")
            equal(os.listdir(world.directory), ["events.sqlite"])


@test
def a_database_in_use_is_never_moved():
    with World() as world:
        with Collector(db=world.db):
            told = world.refused("--replace-corrupt")
            assert "another phosd uses this file" in told, told
        equal(world.aside(), [])


main()
