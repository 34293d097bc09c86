"""phos send into phosd and back: every field, and a collector that dies."""

import json
import os
import signal
import urllib.request

from e2e import (KEY, Collector, Running, event, phos, run, same, true,
                 wait_until, write_events)

FIELDS = [
    {"event_id": "6f1f2b9e-2f7a-4f0e-9a51-0b7f3f6f5a10",
     "session_id": "user-7-9c01d2aa",
     "input": "How tall is K2?",
     "output": "8,611 m.",
     "metadata": {"model": "m-1", "provider": "acme", "latency_ms": 412,
                  "token_count_input": 6, "token_count_output": 5,
                  "cost_cents": 0.4, "user_id": "user-7",
                  "tags": ["prod", "caf\u00e9", ""], "release": "2024.11",
                  "nested": {"a": [1, None, True, {"b": "\u65e5\u672c"}]},
                  "big": 9223372036854775807,
                  "small": 1e-300, "text": "\"\\\b\f\n\r\t\u2028\u0001"},
     "timestamp": "2025-01-31T09:30:00.123456Z"},
    {"event_id": "00000000-0000-4000-8000-000000000001",
     "session_id": "",
     "input": "",
     "output": "a\u0000b \U0001f3d4\ufe0f \u05d0\u05d1",
     "metadata": {"model": "", "provider": "", "latency_ms": 0,
                  "token_count_input": 0,
                  "token_count_output": 9007199254740993,
                  "cost_cents": 0, "user_id": "", "tags": []},
     "timestamp": "1970-01-01T00:00:00.000000Z"},
    {"event_id": "00000000-0000-4000-8000-000000000002",
     "input": "only what is required",
     "output": "x" * 100000,
     "timestamp": "2024-02-29T23:59:59.999999Z"},
    {"event_id": "00000000-0000-4000-8000-000000000003",
     "input": "more tags than fit into the typed field",
     "output": "",
     "metadata": {"tags": [f"t{number}" for number in range(80)],
                  "cost_cents": 1e-9, "latency_ms": 7},
     "timestamp": "9999-12-31T23:59:59.999999Z"},
]


def every_field_arrives_as_it_was(folder):
    path = write_events(folder, FIELDS)
    with Collector(folder) as collector:
        result = phos("send", "--json", "--endpoint", collector.url, path)
        same(result.code, 0, str(result))
        same(result.summary()["delivered"], len(FIELDS), "delivered")
        for sent in FIELDS:
            got = phos("events", "get", sent["event_id"], "--endpoint",
                       collector.url)
            same(got.code, 0, str(got))
            stored = json.loads(got.out)
            for field in ("event_id", "input", "output", "timestamp"):
                same(stored[field], sent[field], field)
            same(stored["metadata"] or {}, sent.get("metadata", {}),
                 "metadata")
            if "session_id" in sent:
                same(stored["session_id"], sent["session_id"], "session_id")


def what_was_sent_is_listed_by_session(folder):
    path = write_events(folder, [event(number) for number in range(194)])
    with Collector(folder) as collector:
        where = ("--endpoint", collector.url)
        result = phos("send", "--json", *where, path)
        same(result.code, 0, str(result))
        sessions = json.loads(phos("sessions", "list", "--limit", "100",
                                   *where).out)
        same(len(sessions["sessions"]), 97, "sessions")
        one = json.loads(phos("sessions", "get", "session-5", *where).out)
        same([turn["event_id"] for turn in one["events"]],
             [event(5)["event_id"], event(102)["event_id"]], "its events")
        found = json.loads(phos("events", "list", "--session", "session-5",
                                *where).out)
        same(len(found["events"]), 2, "events found")
        again = phos("send", "--json", *where, path)
        same(again.code, 0, str(again))
        everything = json.loads(phos("events", "list", *where).out)
        same(everything["total"], 194, "events after sending twice")


def stored(collector):
    request = urllib.request.Request(
        collector.url + "/api/events?limit=1",
        headers={"Authorization": "Bearer " + KEY})
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)["total"]


def stored_ids(collector):
    ids = []
    while True:
        page = phos("events", "list", "--limit", "100", "--offset",
                    str(len(ids)), "--endpoint", collector.url)
        events = json.loads(page.out)["events"]
        if not events:
            return ids
        ids += [one["event_id"] for one in events]


def a_killed_collector_loses_nothing(folder):
    events = [event(number) for number in range(6000)]
    lines = [json.dumps(one) + "\n" for one in events]
    collector = Collector(folder)
    with Running("send", "--json", "--linger-ms", "1", "--endpoint",
                 collector.url) as running:
        for kill in range(3):
            running.write("".join(lines[kill * 1000:(kill + 1) * 1000]))
            wait_until(lambda: stored(collector) > kill * 1000 + 100,
                       "events in the database")
            acknowledged = stored(collector)
            collector.stop(signal.SIGKILL)
            collector = Collector(folder, collector.port)
            true(stored(collector) >= acknowledged, "stored events are gone")
        running.write("".join(lines[3000:]))
        result = running.end()
        ids = stored_ids(collector)
    collector.stop()
    same(result.code, 0, str(result))
    same(result.summary()["delivered"], 6000, "delivered")
    same(sorted(ids), sorted(one["event_id"] for one in events), "ids stored")


def everything_goes_over_a_unix_socket_too(folder):
    path = write_events(folder, [event(number) for number in range(300)])
    local = os.path.join(folder, "phosd.sock")
    # No port is asked for, as there is none to find; the name is not looked
    # up either.
    there = {"PHOS_UNIX_SOCKET_PATH": local,
             "PHOS_ENDPOINT": "http://localhost:1"}
    with Collector(folder, 0, "--listen", "unix:" + local) as collector:
        result = phos("send", "--json", path, **there)
        same(result.code, 0, str(result))
        same(result.summary()["delivered"], 300, "delivered")
        same(json.loads(phos("events", "list", **there).out)["total"], 300,
             "read over the socket")
        same(stored(collector), 300, "read over TCP")
        found = phos("doctor", "--json", **there)
        same(found.code, 0, str(found))
        checks = {one["name"]: one for one in json.loads(found.out)["checks"]}
        for name in ("connect", "service", "clock", "access"):
            same(checks[name]["status"], "ok", str(checks[name]))
        collector.stop()
    gone = phos("doctor", "--json", **there)
    checks = {one["name"]: one for one in json.loads(gone.out)["checks"]}
    same(checks["connect"]["status"], "fail", str(checks["connect"]))
    true("PHOS_UNIX_SOCKET_PATH" in checks["connect"]["advice"],
         str(checks["connect"]))


run(every_field_arrives_as_it_was,
    everything_goes_over_a_unix_socket_too,
    what_was_sent_is_listed_by_session,
    a_killed_collector_loses_nothing)
