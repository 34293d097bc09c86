"""What is deleted by age and by size, and that everything follows: sessions,
tags, feedback, the search."""

import os
import sqlite3
import tempfile
import time

from rig import HANG_S, Collector, equal, event, main, test

DAY_US = 24 * 3600 * 1000000


def until(condition):
    end = time.monotonic() + HANG_S
    while not condition():
        assert time.monotonic() < end, "nothing was deleted"


def age(db_path, rows, days):
    """Makes the first rows look as if they had arrived so long ago."""
    db = sqlite3.connect(db_path)
    with db:
        db.execute("UPDATE events SET received_us = received_us - ?"
                   " WHERE id <= ?", (days * DAY_US, rows))
    db.close()


def total(phosd, path="/api/events", **parameters):
    return phosd.get(path, **parameters).json["total"]


def deleted(phosd, reason):
    name = 'phosd_events_deleted_total{reason="%s"} ' % reason
    [line] = [line for line in phosd.get("/metrics").body.decode().split("\n")
              if line.startswith(name)]
    return int(line[len(name):])


def stretches(db_path):
    """Level and events of each row of the sums."""
    db = sqlite3.connect(db_path)
    rows = db.execute("SELECT level, events FROM sums ORDER BY level, slot")
    found = rows.fetchall()
    db.close()
    return found


def sound(db_path):
    db = sqlite3.connect(db_path)
    equal(db.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
    db.execute("INSERT INTO events_text(events_text) VALUES('integrity-check')")
    db.close()


@test
def what_is_too_old_goes_and_everything_follows():
    with Collector() as phosd:
        def one(text, session, **metadata):
            return event(text, session_id=session, metadata=metadata,
                         timestamp="2025-01-0%dT00:00:00Z" % (
                             1 + len(made)))

        made = []
        for text, session, metadata in (
                ("oldest words", "gone", {"tags": ["red"]}),
                ("older words", "part", {"token_count_input": 5,
                                         "token_count_output": 7,
                                         "cost_cents": 0.5, "tags": ["red"]}),
                ("newer words", "part", {"token_count_input": 2,
                                         "cost_cents": 0.25}),
                ("newest words", "stay", {"tags": ["red"]})):
            made.append(one(text, session, **metadata))
        ids = phosd.ingest(*made)
        for number, flag in ((0, "success"), (1, "failure"), (2, "success")):
            phosd.ask("POST", "/api/feedback",
                      {"event_id": ids[number], "flag": flag})
        phosd.stop()
        age(phosd.db, 2, 3)
        age(phosd.db, 3, 1)  # the first two are four days old now
        phosd.options += ["--keep-days", "2"]
        phosd.start()
        until(lambda: total(phosd) == 2)
        equal(total(phosd, "/api/sessions"), 2)
        equal(stretches(phosd.db), [(0, 1), (0, 1), (1, 1), (1, 1)])
        for session, status in (("gone", 404), ("part", 200), ("stay", 200)):
            equal(phosd.get("/api/sessions/" + session).status, status)
        part = phosd.get("/api/sessions/part").json
        equal([part[name] for name in (
            "event_count", "token_count_input", "token_count_output",
            "cost_cents", "success_count", "failure_count", "started_at")],
            [1, 2, 0, 0.25, 1, 0, "2025-01-03T00:00:00.000000Z"])
        for words, count in (("words", 2), ("old", 0), ("newest", 1)):
            equal(total(phosd, q=words), count, words)
        equal(total(phosd, tag="red"), 1)
        equal(total(phosd, flag="success"), 1)
        equal(total(phosd, flag="failure"), 0)
        equal(deleted(phosd, "age"), 2)
        equal(deleted(phosd, "size"), 0)
        # A deleted event is a new one when it comes again.
        phosd.ingest(made[0])
        equal(total(phosd), 3)
        equal(total(phosd, q="oldest"), 1)
        phosd.stop()
        sound(phosd.db)
        db = sqlite3.connect(phosd.db)
        equal(db.execute("SELECT count(*) FROM feedback").fetchall(), [(1,)])
        equal(db.execute("SELECT count(*) FROM tags").fetchall(), [(2,)])
        db.close()
        phosd.start()


@test
def an_empty_database_takes_and_finds_new_events():
    with Collector() as phosd:
        phosd.ingest(*[event("former %d" % i) for i in range(30)])
        phosd.stop()
        age(phosd.db, 30, 3)
        phosd.options += ["--keep-days", "2"]
        phosd.start()
        until(lambda: total(phosd) == 0)
        phosd.stop()
        phosd.start()
        phosd.ingest(*[event("later %d" % i) for i in range(3)])
        equal(total(phosd, q="later"), 3)
        equal(total(phosd, q="former"), 0)
        phosd.stop()
        sound(phosd.db)
        phosd.start()
        equal(total(phosd, q="later"), 3)


@test
def the_oldest_go_while_the_database_holds_too_much():
    limit = 4 << 20
    with Collector("--keep-bytes", str(limit)) as phosd:
        sent = 0

        def used():
            db = sqlite3.connect(phosd.db)
            [(bytes_,)] = db.execute(
                "SELECT (page_count - freelist_count) * page_size FROM"
                " pragma_page_count, pragma_freelist_count, pragma_page_size")
            db.close()
            return bytes_

        for batch in range(60):
            words = " ".join("%x" % (batch * 7919 + i * 104729)
                             for i in range(300))
            phosd.ingest(*[event(words, metadata={"tags": ["n%d" % batch]})
                           for _ in range(50)])
            sent += 50
        until(lambda: used() <= limit)
        left = total(phosd)
        # Not everything at once: what is left fills most of the room.
        assert 0 < left < sent, left
        assert used() > limit // 2, used()
        equal(deleted(phosd, "size"), sent - left)
        equal(total(phosd, tag="n59"), 50, "the newest are there")
        equal(total(phosd, tag="n0"), 0, "the oldest are not")
        phosd.stop()
        sound(phosd.db)
        phosd.start()


@test
def nothing_is_deleted_unasked():
    with Collector() as phosd:
        phosd.ingest(*[event() for _ in range(10)])
        phosd.stop()
        age(phosd.db, 10, 36500)
        phosd.start()
        phosd.ingest(event())
        equal(total(phosd), 11)
        equal(deleted(phosd, "age") + deleted(phosd, "size"), 0)


main()
