"""Feedback through the library, into phosd's database."""

import os
import sqlite3
import subprocess

from e2e import KEY, Collector, run, same, true

COUNT = 200


def stored(folder):
    """{event id: (flag, source, comment)}"""
    database = sqlite3.connect(os.path.join(folder, "events.sqlite"))
    try:
        return {bytes(row[0]).hex(): row[1:] for row in database.execute(
            "SELECT e.event_id, f.flag, f.source, f.comment"
            " FROM events AS e JOIN feedback AS f ON f.event = e.id")}
    finally:
        database.close()


def each_event_has_the_last_word_that_was_said_of_it(folder):
    with Collector(folder) as collector:
        done = subprocess.run(
            [os.environ["JUDGE"], collector.url, KEY, str(COUNT)],
            capture_output=True, text=True, timeout=120, check=False)
    same((done.returncode, done.stderr), (0, "267 of 267 delivered\n"),
         "judge")
    wanted = {}
    for line in done.stdout.splitlines():
        event_id, flag, source = line.split()
        wanted[event_id.replace("-", "")] = (flag, source, "caf\u00e9 \"no\"")
    same(len(wanted), COUNT, "events")
    got = stored(folder)
    true(got == wanted, f"{len(got)} rows, e.g. {list(got.items())[:2]}, "
         f"want {list(wanted.items())[:2]}")


run(each_event_has_the_last_word_that_was_said_of_it)
