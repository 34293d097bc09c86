"""GET /api/stats: sums and percentiles by time and by model, bounded."""

import datetime
import json
import os
import random
import sqlite3
import tempfile

from rig import Collector, equal, event, main, test


def stats(phosd, **parameters):
    reply = phosd.get("/api/stats", **parameters)
    assert reply.status == 200, reply
    return reply.json


def percentile(values, share):
    """By nearest rank."""
    ordered = sorted(values)
    rank = -(-len(ordered) * share // 100)
    return ordered[rank - 1]


@test
def a_collector_without_events_has_no_buckets():
    with Collector() as phosd:
        got = stats(phosd)
        equal((got["buckets"], got["models"], got["complete"]),
              ([], [], True))
        equal(got["total"],
              {"events": 0, "token_count_input": 0, "token_count_output": 0,
               "cost_cents": 0,
               "latency_ms": {"p50": None, "p95": None, "p99": None},
               "success_count": 0, "failure_count": 0, "success_rate": None})


@test
def totals_buckets_and_models_are_counted_from_the_events():
    draw = random.Random(7)
    made = []
    for number in range(300):
        made.append(event(
            timestamp="2025-01-31T%02d:%02d:00Z" % (10 + number // 60,
                                                    number % 60),
            metadata={"model": draw.choice(["big", "big", "small"]),
                      "latency_ms": draw.randrange(1, 5000),
                      "token_count_input": number, "token_count_output": 2,
                      "cost_cents": 0.5}))
    with Collector() as phosd:
        ids = []
        for at in range(0, 300, 100):
            ids += phosd.ingest(*made[at:at + 100])
        for number in range(0, 40):
            phosd.ask("POST", "/api/feedback",
                      {"event_id": ids[number],
                       "flag": ("failure", "success", "success",
                                "other")[number % 4]})
        got = stats(phosd, from_="2025-01-31T10:00:00Z",
                    to="2025-01-31T15:00:00Z")

        latencies = [e["metadata"]["latency_ms"] for e in made]
        want = {"events": 300, "token_count_input": sum(range(300)),
                "token_count_output": 600, "cost_cents": 150,
                "latency_ms": {"p%d" % share: percentile(latencies, share)
                               for share in (50, 95, 99)},
                "success_count": 20, "failure_count": 10,
                "success_rate": 20 / 30}
        equal(got["total"], want)
        equal((got["from"], got["to"], got["complete"], got["bucket_ms"]),
              ("2025-01-31T10:00:00.000000Z", "2025-01-31T15:00:00.000000Z",
               True, 300000))
        equal(len(got["buckets"]), 60)
        for place, bucket in enumerate(got["buckets"]):
            mine = latencies[place * 5:place * 5 + 5]
            equal((bucket["start"], bucket["events"],
                   bucket["latency_ms"]["p50"], bucket["latency_ms"]["p99"]),
                  ("2025-01-31T%02d:%02d:00.000000Z"
                   % (10 + place // 12, place % 12 * 5), 5,
                   percentile(mine, 50), max(mine)))
        equal([m["model"] for m in got["models"]], ["big", "small"])
        for model in got["models"]:
            mine = [e["metadata"]["latency_ms"] for e in made
                    if e["metadata"]["model"] == model["model"]]
            equal((model["events"], model["latency_ms"]["p95"]),
                  (len(mine), percentile(mine, 95)))
        equal(got["other_models"]["events"], 0)


@test
def the_range_is_what_was_asked_for_or_all_there_is():
    with Collector() as phosd:
        phosd.ingest(event(timestamp="2025-01-31T10:00:00Z"),
                     event(timestamp="2025-01-31T11:00:00Z"),
                     event(timestamp="2025-01-31T12:00:00Z"))
        equal(stats(phosd)["total"]["events"], 3)
        equal(stats(phosd, from_="2025-01-31T11:00:00Z")["total"]["events"], 2)
        equal(stats(phosd, to="2025-01-31T11:00:00Z")["total"]["events"], 1)
        equal(stats(phosd, from_="2025-02-01T00:00:00Z",
                    to="2025-01-01T00:00:00Z")["buckets"], [])
        for from_, to in [("1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
                          ("2025-01-31T09:59:59.999999Z",
                           "2025-01-31T12:00:00.000001Z"),
                          ("2025-01-31T10:00:00Z",
                           "2025-01-31T10:00:00.000001Z")]:
            got = stats(phosd, from_=from_, to=to)
            assert 1 <= len(got["buckets"]) <= 60, got
            equal(sum(b["events"] for b in got["buckets"]),
                  got["total"]["events"])
        for path in ("/api/stats?model=m", "/api/stats?limit=1",
                     "/api/stats?from=now"):
            equal(phosd.ask("GET", path).status, 400, path)


@test
def odd_metadata_is_counted_as_far_as_it_says_something():
    huge = 2 ** 63 - 1
    with Collector() as phosd:
        phosd.ingest(
            event(metadata={"token_count_input": huge, "latency_ms": -5}),
            event(metadata={"token_count_input": huge, "latency_ms": 412.0}),
            event(metadata={"token_count_input": huge, "latency_ms": huge}),
            event(metadata={"token_count_input": -3, "cost_cents": 1e308}),
            event(metadata={"model": "", "cost_cents": 1e308}),
            event(metadata={"model": "m" * 500, "latency_ms": None}),
            event())
        got = stats(phosd)
        equal(got["total"]["events"], 7)
        equal(got["total"]["token_count_input"], 2 ** 63 - 1)
        equal(got["total"]["cost_cents"], None)
        equal(got["total"]["latency_ms"]["p50"], -5)
        equal(sorted((m["model"] is None, m["model"], m["events"])
                     for m in got["models"] if m["model"] is not None),
              [(False, "", 1)])
        equal([m["events"] for m in got["models"] if m["model"] is None], [5])
        equal(got["other_models"]["events"], 1)


@test
def more_models_than_are_named_are_summed_up():
    with Collector() as phosd:
        phosd.ingest(*[event(metadata={"model": "m%d" % (n % 50)})
                       for n in range(100)])
        got = stats(phosd)
        equal(len(got["models"]), 32)
        equal(got["other_models"]["events"], 36)
        equal(sum(m["events"] for m in got["models"]), 64)


@test
def however_many_models_there_are_a_stretch_of_time_has_few_rows():
    with Collector() as phosd:
        for turn in range(3):
            phosd.ingest(*[event(timestamp="2025-01-31T10:00:00Z",
                                 metadata={"model": "m%d" % (turn * 60 + n)})
                           for n in range(100)])
        equal(stats(phosd)["total"]["events"], 300)
        db = sqlite3.connect(phosd.db)
        rows = db.execute("SELECT level, count(*), sum(events) FROM sums"
                          "  GROUP BY level").fetchall()
        [others] = db.execute("SELECT events FROM sums WHERE level = 1"
                              "  AND model = '*'").fetchall()
        db.close()
        equal(rows, [(0, 101, 300), (1, 101, 300)])
        # 100 to 219 have no row; 120 to 159 came twice.
        equal(others, (160,))
        for model, count in (("m7", 1), ("m130", 2), ("m219", 1)):
            got = phosd.get("/api/events", model=model, limit=0).json
            equal((got["total"], got["exact"]), (count, True), model)


@test
def projects_do_not_count_each_others_events():
    with Collector(keys="ph_a one\nph_b two\n") as phosd:
        phosd.ingest(event(), event(), key="ph_a")
        phosd.ingest(event(), key="ph_b")
        equal([stats(phosd, key=key)["total"]["events"]
               for key in ("ph_a", "ph_b")], [2, 1])
        equal(phosd.get("/api/stats", key="ph_c").status, 401)


OLD_SCHEMA = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                          "schema-1.sql")
# The seconds since 1970 of the first of them.
MANY, MANY_FROM = 120000, 1738315800


def many_events():
    """An event a second; the metadata of each tells its number."""
    draw = random.Random(3)
    for number in range(MANY):
        yield (number, draw.choice(("big", "big", "small", None)),
               draw.randrange(0, 1024), draw.randrange(0, 50),
               draw.randrange(0, 64) / 64,
               draw.choice((None, None, "success", "failure", "odd")))


def write_old_file(path):
    """A file of the first schema, as an early phosd left it."""
    with open(OLD_SCHEMA) as file:
        script = file.read()
    db = sqlite3.connect(path)
    db.executescript(script)
    for table in ("events", "sessions", "feedback", "tags"):
        db.execute("DELETE FROM " + table)
    for number, model, latency, tokens, cost, flag in many_events():
        known = {"latency_ms": latency, "token_count_input": tokens,
                 "cost_cents": cost}
        if model:
            known["model"] = model
        db.execute("INSERT INTO events(id, project_id, event_id, time_us,"
                   " received_us, model, input, output, metadata)"
                   " VALUES(?, 1, ?, ?, 0, ?, '', '', ?)",
                   (number + 1, number.to_bytes(16, "big"),
                    (MANY_FROM + number) * 1000000, model,
                    json.dumps(known)))
        if flag:
            db.execute("INSERT INTO feedback VALUES(?, ?, NULL, 'user', 0)",
                       (number + 1, flag))
    db.execute("UPDATE collector SET indexed_to = ?", (MANY,))
    db.commit()
    db.close()


def sums_of(rows):
    success = sum(row[5] == "success" for row in rows)
    failure = sum(row[5] == "failure" for row in rows)
    return {"events": len(rows),
            "token_count_input": sum(row[3] for row in rows),
            "token_count_output": 0,
            "cost_cents": sum(row[4] for row in rows),
            "latency_ms": {"p%d" % share: percentile([r[2] for r in rows],
                                                     share)
                           for share in (50, 95, 99)},
            "success_count": success, "failure_count": failure,
            "success_rate": success / (success + failure)}


def compare(got, rows, begin):
    """Every number of the answer with those of the events themselves."""
    equal(got["complete"], True)
    equal(got["total"], sums_of(rows))
    width = got["bucket_ms"] // 1000
    first = begin // width * width
    for place, bucket in enumerate(got["buckets"]):
        # An event a second, the first of them at `begin`.
        after = max(0, first + place * width - begin)
        mine = rows[after:max(0, first + (place + 1) * width - begin)]
        start = bucket.pop("start")
        equal(bucket, sums_of(mine), start)
    equal(len(got["buckets"]),
          (MANY_FROM + rows[-1][0] - first) // width + 1)
    for model in got["models"]:
        name = model.pop("model")
        equal(model, sums_of([row for row in rows if row[1] == name]), name)
    equal(len(got["models"]), 3)


@test
def more_than_a_hundred_thousand_are_counted_by_sums_of_an_upgraded_file_too():
    rows = list(many_events())
    with tempfile.TemporaryDirectory(prefix="phosd-test-") as folder:
        db = os.path.join(folder, "events.sqlite")
        write_old_file(db)
        with Collector(db=db) as phosd:
            compare(stats(phosd), rows, MANY_FROM)
            # Neither end on a whole stretch.
            for cut, end in ((1234, MANY), (7, 110001), (3601, 115200)):
                got = stats(phosd, from_=instant(cut), to=instant(end))
                compare(got, rows[cut:end], MANY_FROM + cut)
            got = phosd.get("/api/events", limit=1, offset=MANY - 2).json
            equal((got["total"], got["exact"],
                   got["events"][0]["metadata"]["latency_ms"]),
                  (MANY, True, rows[1][2]))
            got = phosd.get("/api/events", limit=1, model="small",
                            from_=instant(5000), offset=20000).json
            small = [row for row in rows[5000:] if row[1] == "small"]
            equal((got["total"], got["exact"],
                   got["events"][0]["metadata"]["latency_ms"]),
                  (len(small), True, small[-20001][2]))
            for flag in ("success", "failure", "odd"):
                got = phosd.get("/api/events", limit=1, flag=flag).json
                equal((got["total"], got["exact"]),
                      (sum(row[5] == flag for row in rows), True), flag)


def instant(number):
    time = datetime.datetime.fromtimestamp(MANY_FROM + number,
                                           datetime.timezone.utc)
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


@test
def of_a_moment_with_too_many_the_newest_are_looked_at():
    with tempfile.TemporaryDirectory(prefix="phosd-test-") as folder:
        db = os.path.join(folder, "events.sqlite")
        write_old_file(db)
        database = sqlite3.connect(db)
        database.execute("UPDATE events SET time_us = ? + id",
                         (MANY_FROM * 1000000,))
        database.commit()
        database.close()
        with Collector(db=db) as phosd:
            got = stats(phosd, from_=instant(0)[:-1] + ".000003Z")
            equal((got["complete"], got["total"]["events"]), (False, 100000))
            got = stats(phosd, to=instant(60))
            equal((got["complete"], got["total"]["events"]), (True, MANY))


@test
def sessions_are_found_by_the_feedback_in_them():
    with Collector() as phosd:
        ids = phosd.ingest(*[event(session_id=name) for name in "abcc"])
        for made, flag in zip(ids, ("success", "failure", "odd", "success")):
            phosd.ask("POST", "/api/feedback",
                      {"event_id": made, "flag": flag})
        for flag, want in (("success", "ac"), ("failure", "b"), ("odd", "c"),
                           ("none", "")):
            got = phosd.get("/api/sessions", flag=flag).json
            equal(("".join(sorted(s["session_id"] for s in got["sessions"])),
                   got["total"]), (want, len(want)), flag)


main()
