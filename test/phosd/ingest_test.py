"""What is taken in, what is refused with which words, and what comes back."""

import gzip
import json
import re
import uuid

from rig import Collector, equal, event, main, test

UUID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


@test
def an_event_comes_back_as_it_was_sent():
    sent = {
        "event_id": "6f1f2b9e-2f7a-4f0e-9a51-0b7f3f6f5a10",
        "session_id": "user-7-9c01d2aa",
        "input": "How tall is K2?\n\"\\\u0001\u0000 \U0001F3D4 \u2028",
        "output": "8,611 m.",
        "metadata": {"model": "m-1", "provider": "acme", "latency_ms": 412,
                     "token_count_input": 6, "token_count_output": 5,
                     "cost_cents": 0.4, "user_id": "user-7",
                     "tags": ["prod", "größe"], "release": "2024.11",
                     "own": {"a": [1, -2.5, True, False, None, {}, []],
                             "big": 9007199254740993}},
        "timestamp": "2025-01-31T09:30:00Z",
    }
    with Collector() as phosd:
        reply = phosd.ask("POST", "/api/ingest", sent)
        equal((reply.status, reply.json),
              (201, {"event_id": sent["event_id"]}))
        equal(reply.headers["Content-Type"], "application/json")
        got = phosd.get("/api/events/" + sent["event_id"]).json
        assert got.pop("received_at").endswith("Z")
        equal(got.pop("timestamp"), "2025-01-31T09:30:00.000000Z")
        del sent["timestamp"]
        equal(got, sent)
        equal(list(got["metadata"]), list(sent["metadata"]), "order of keys")


@test
def what_is_left_out_is_filled_in_and_null_is_the_same_as_left_out():
    with Collector() as phosd:
        for extra in ({}, {"event_id": None, "session_id": None,
                           "project_id": None, "metadata": None,
                           "timestamp": None},
                      {"metadata": {"model": None, "tags": None,
                                    "latency_ms": None, "cost_cents": None}}):
            whole = dict({"input": "", "output": ""}, **extra)
            reply = phosd.ask("POST", "/api/ingest", whole)
            equal(reply.status, 201, reply)
            made = reply.json["event_id"]
            assert UUID.match(made), made
            equal(uuid.UUID(made).version, 4)
            got = phosd.get("/api/events/" + made).json
            equal(got["session_id"], None)
            equal(got["metadata"], extra.get("metadata") or {})
            equal(got["timestamp"], got["received_at"])
            assert "feedback" not in got


@test
def a_batch_is_answered_in_its_order():
    with Collector() as phosd:
        events = [event("number %d" % n) for n in range(100)]
        del events[50]["event_id"]
        ids = phosd.ingest(*events)
        del events[50]
        del ids[50]
        equal(ids, [e["event_id"] for e in events])
        equal(phosd.get("/api/events").json["total"], 100)


@test
def an_event_sent_again_is_stored_once():
    first = event("first", metadata={"token_count_input": 5}, session_id="s")
    again = dict(first, input="changed")
    with Collector() as phosd:
        phosd.ingest(first, first, event("other"))
        reply = phosd.ask("POST", "/api/ingest", again)
        equal((reply.status, reply.json["event_id"]),
              (201, first["event_id"]))
        upper = dict(first, event_id=first["event_id"].upper())
        equal(phosd.ingest(upper), [first["event_id"]])
        equal(phosd.get("/api/events").json["total"], 2)
        equal(phosd.get("/api/events/" + first["event_id"]).json["input"],
              "first")
        session = phosd.get("/api/sessions/s").json
        equal((session["event_count"], session["token_count_input"]), (1, 5))


# The field, a value it must not have, and what the reply says of it.
REFUSED = [
    ("input", 1, "input: expected a string"),
    ("input", None, "input: required"),
    ("output", [], "output: expected a string"),
    ("output", None, "output: required"),
    ("event_id", 7, "event_id: expected a string"),
    ("event_id", "", "event_id: expected a UUID"),
    ("event_id", "6f1f2b9e2f7a4f0e9a510b7f3f6f5a10", "event_id: expected a UUID"),
    ("event_id", "6f1f2b9e-2f7a-4f0e-9a51-0b7f3f6f5a1g",
     "event_id: expected a UUID"),
    ("session_id", 5, "session_id: expected a string"),
    ("timestamp", 5, "timestamp: expected a string"),
    ("timestamp", "yesterday", "timestamp: expected an ISO 8601 date and time"),
    ("timestamp", "2025-02-30T00:00:00Z",
     "timestamp: expected an ISO 8601 date and time"),
    ("metadata", [], "metadata: expected an object"),
    ("metadata", "x", "metadata: expected an object"),
    ("metadata", {"model": 1}, "metadata.model: expected a string"),
    ("metadata", {"provider": {}}, "metadata.provider: expected a string"),
    ("metadata", {"user_id": 42}, "metadata.user_id: expected a string"),
    ("metadata", {"latency_ms": "1"}, "metadata.latency_ms: expected an integer"),
    ("metadata", {"latency_ms": 1.5}, "metadata.latency_ms: expected an integer"),
    ("metadata", {"token_count_input": True},
     "metadata.token_count_input: expected an integer"),
    ("metadata", {"token_count_output": 1e300},
     "metadata.token_count_output: expected an integer"),
    ("metadata", {"cost_cents": "0.4"}, "metadata.cost_cents: expected a number"),
    ("metadata", {"tags": "prod"},
     "metadata.tags: expected an array of strings"),
    ("metadata", {"tags": ["a", 5]}, "metadata.tags[1]: expected a string"),
]


@test
def a_broken_event_is_refused_with_the_place_and_nothing_is_stored():
    with Collector() as phosd:
        for field, value, message in REFUSED:
            broken = event("broken", **{field: value})
            reply = phosd.ask("POST", "/api/ingest", broken)
            equal((reply.status, reply.error), (400, message))
            reply = phosd.ask("POST", "/api/ingest/batch",
                              {"events": [event(), event(), broken, event()]})
            equal((reply.status, reply.error), (400, "events[2]." + message))
        equal(phosd.get("/api/events").json, {"events": [], "total": 0,
                                               "exact": True})
        equal(phosd.get("/api/sessions").json, {"sessions": [], "total": 0,
                                                 "exact": True})


@test
def a_batch_holds_one_to_a_hundred_events():
    rows = [
        ({"events": []}, "events: expected 1 to 100 events, got none"),
        ({"events": [event()] * 101},
         "events: expected 1 to 100 events, got 101"),
        ({}, "events: expected an array of 1 to 100 events"),
        ({"events": {}}, "events: expected an array of 1 to 100 events"),
        ([event()], "expected an object with events"),
        ({"events": [[]]}, "events[0]: expected an object"),
        ({"events": [event(), 5]}, "events[1]: expected an object"),
    ]
    with Collector() as phosd:
        for body, message in rows:
            reply = phosd.ask("POST", "/api/ingest/batch", body)
            equal((reply.status, reply.error), (400, message))
        reply = phosd.ask("POST", "/api/ingest", b"[]")
        equal((reply.status, reply.error), (400, "expected an object"))
        equal(phosd.get("/api/events").json["total"], 0)


@test
def what_is_not_json_is_refused_with_its_line():
    bodies = [b"", b" ", b"{", b"nope", b"{}{}", b"{'a':1}", b'{"a":1,}',
              b'{"input":"\xff","output":""}', b'{"input":"\n","output":""}',
              b'{"input":"\\ud800","output":""}', b"[" * 100000,
              b'\xef\xbb\xbf{"input":"","output":""}', b'{"a":NaN}', b"\0"]
    with Collector() as phosd:
        for body in bodies:
            for path in ("/api/ingest", "/api/ingest/batch", "/api/feedback"):
                reply = phosd.ask("POST", path, body)
                equal(reply.status, 400, "%r %r" % (body[:40], reply))
                assert reply.error.startswith("not JSON: line "), reply


@test
def unknown_members_beside_the_known_ones_are_ignored():
    with Collector() as phosd:
        [made] = phosd.ingest(event(color="red", project_id="any"))
        got = phosd.get("/api/events/" + made).json
        assert "color" not in got and "project_id" not in got, got


@test
def metadata_keeps_how_its_numbers_were_written():
    raw = (b'{"big":123456789012345678901234567890,"one":1.0,"e":1E+2,'
           b'"deep":' + b'[' * 500 + b']' * 500 + b',"t":"\\u0041\\/"}')
    body = (b'{ "events" : [ { "input":"]}", "metadata": {"old":1}, '
            b'"output":"\\"{", "met\\u0061data" : ' +
            raw.replace(b":", b" : ", 2) + b' } , {"input":"","output":""} ] }')
    with Collector() as phosd:
        reply = phosd.ask("POST", "/api/ingest/batch", body)
        equal(reply.status, 201, reply)
        reply = phosd.get("/api/events/" + reply.json["event_ids"][0])
        kept = raw.replace(b'"\\u0041\\/"', b'"A/"')
        assert b'"metadata":' + kept + b"," in reply.body, reply
        counted = event(metadata={"latency_ms": 412.0,
                                  "token_count_input": 2 ** 53},
                        session_id="s")
        phosd.ingest(counted)
        equal(phosd.get("/api/sessions/s").json["token_count_input"],
              2 ** 53 - 1)


@test
def a_compressed_body_is_taken_and_a_bomb_is_not():
    with Collector("--body-max", "100000") as phosd:
        packed = gzip.compress(json.dumps({"events": [event()] * 3}).encode())
        gzipped = {"Content-Encoding": "gzip"}
        reply = phosd.ask("POST", "/api/ingest/batch", packed, gzipped)
        if reply.status == 415:
            equal(reply.error, "Content-Encoding: expected none")
            return  # built without zlib
        equal((reply.status, reply.json["accepted"]), (201, 3))
        bomb = gzip.compress(b" " * 100001)
        reply = phosd.ask("POST", "/api/ingest/batch", bomb, gzipped)
        equal(reply.status, 413, reply)
        for broken in (b"", b"plain", packed[:-1], packed + b"x",
                       packed[:30] + b"\0" + packed[31:]):
            reply = phosd.ask("POST", "/api/ingest/batch", broken, gzipped)
            equal((reply.status, reply.error),
                  (400, "the body is not what gzip makes"))
        reply = phosd.ask("POST", "/api/ingest/batch", packed,
                          {"Content-Encoding": "br"})
        equal(reply.status, 415, reply)


@test
def times_are_kept_to_the_microsecond_in_utc():
    rows = [
        ("2025-01-31T09:30:00.123456Z", "2025-01-31T09:30:00.123456Z"),
        ("2025-01-31T09:30:00+02:00", "2025-01-31T07:30:00.000000Z"),
        ("2025-01-31 09:30:00.5Z", "2025-01-31T09:30:00.500000Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z"),
    ]
    with Collector() as phosd:
        for sent, stored in rows:
            [made] = phosd.ingest(event(timestamp=sent))
            equal(phosd.get("/api/events/" + made).json["timestamp"], stored)


main()
