"""GET /api/stats: sums and percentiles by time and by model, bounded."""

import random
import sqlite3

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
def projects_do_not_count_each_others_events():
    with Collector(keys="ph_a one\nph_b two\n") as phosd:
        phosd.ingest(event(), event(), key="ph_a")
        phosd.ingest(event(), key="ph_b")
        equal([stats(phosd, key=key)["total"]["events"]
               for key in ("ph_a", "ph_b")], [2, 1])
        equal(phosd.get("/api/stats", key="ph_c").status, 401)


@test
def the_newest_hundred_thousand_are_looked_at_and_the_answer_says_so():
    with Collector() as phosd:
        phosd.ingest(event())
        phosd.stop()
        with sqlite3.connect(phosd.db) as db:
            db.execute("DELETE FROM events")
            db.execute("""
                INSERT INTO events(project_id, event_id, time_us, received_us,
                                   input, output, metadata)
                WITH RECURSIVE n(i) AS (
                    SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100001)
                SELECT 1, randomblob(16), i * 1000000, 0, '', '',
                       '{"latency_ms":' || i || '}' FROM n""")
            db.execute("UPDATE collector SET indexed_to = 100001")
        db.close()
        phosd.start()
        got = stats(phosd)
        equal((got["complete"], got["total"]["events"], got["from"]),
              (False, 100000, "1970-01-01T00:00:01.000000Z"))
        equal(got["total"]["latency_ms"]["p50"], 50001)
        got = stats(phosd, from_="1970-01-01T00:00:02Z")
        equal((got["complete"], got["total"]["events"]), (True, 100000))


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
