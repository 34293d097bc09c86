"""phosd --check: says what is wrong, and changes nothing."""

import os
import sqlite3
import subprocess
import tempfile

from rig import HANG_S, KEY, PHOSD, Collector, equal, main, test

GIVEN = {"PHOSPHO_API_KEY": KEY}


def check(*arguments, environment=None):
    clean = {n: v for n, v in os.environ.items() if not n.startswith("PHOS")}
    clean.update(environment or {})
    done = subprocess.run([PHOSD, "--check"] + list(arguments), env=clean,
                          capture_output=True, timeout=HANG_S, text=True)
    return done.returncode, done.stdout, done.stderr


@test
def what_is_sound_is_said_to_be():
    fine = (0, "phosd: nothing is wrong\n", "")
    with tempfile.TemporaryDirectory(prefix="phosd-test-") as folder:
        db = os.path.join(folder, "events.sqlite")
        equal(check("--db", db, environment=GIVEN), fine)
        equal(os.listdir(folder), [], "nothing is made")
        subprocess.run([PHOSD, "keys", "create", "red", "--db", db],
                       check=True, capture_output=True)
        equal(check("--db", db), fine)
        with Collector(db=db):
            equal(check("--db", db), fine, "in use")
        equal(os.listdir(folder), ["events.sqlite"])


@test
def everything_that_is_wrong_is_told_with_exit_2():
    with tempfile.TemporaryDirectory(prefix="phosd-test-") as folder:
        db = os.path.join(folder, "events.sqlite")
        other = os.path.join(folder, "other")
        database = sqlite3.connect(other)
        database.executescript("CREATE TABLE t(x)")
        database.close()
        with open(other, "rb") as file:
            before = file.read()
        rows = [
            (["--db", db], {}, ["no API key"]),
            (["--db", other], GIVEN, ["belongs to another program"]),
            (["--db", folder], GIVEN, ["is a folder"]),
            (["--db", "/nowhere/a", "--access-log", "/nowhere/b",
              "--port-file", "/nowhere/c"], GIVEN,
             ["/nowhere/a: No such", "/nowhere/b: No such",
              "/nowhere/c: No such"]),
            (["--listen", "nonsense"], GIVEN, ["expected HOST:PORT"]),
            (["--body-max", "1"], GIVEN, ["expected a number"]),
        ]
        for arguments, environment, messages in rows:
            status, text, told = check(*arguments, environment=environment)
            equal((status, text), (2, ""), (arguments, told))
            for message in messages:
                assert message in told, (arguments, told)
        equal(os.listdir(folder), ["other"])
        with open(other, "rb") as file:
            equal(file.read() == before, True, "byte for byte")


main()
