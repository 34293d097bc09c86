"""Reading back: sessions and what is counted of them, filters, pages, search,
feedback, and that projects never see each other."""

import sqlite3
import urllib.parse
import uuid

from rig import Collector, equal, event, main, test

MINUTE = 60


def at(seconds):
    """A time stamp so many seconds after a fixed noon."""
    return "2025-01-31T%02d:%02d:%02dZ" % (
        12 + seconds // 3600, seconds // 60 % 60, seconds % 60)


def inputs(reply):
    assert reply.status == 200, reply
    return [e["input"] for e in reply.json["events"]]


@test
def a_session_is_counted_from_its_events():
    counted = {"model": "m", "user_id": "ann", "token_count_input": 6,
               "token_count_output": 50, "cost_cents": 0.25}
    with Collector() as phosd:
        ids = phosd.ingest(
            event("second", session_id="s", timestamp=at(90), metadata=counted),
            event("first", session_id="s", timestamp=at(0)),
            event("third", session_id="s", timestamp=at(90), metadata=counted))
        got = phosd.get("/api/sessions/s").json
        equal([e["input"] for e in got.pop("events")],
              ["first", "second", "third"])
        want = {"session_id": "s", "user_id": "ann", "first_input": "first",
                "grouped_by": "session_id",
                "started_at": "2025-01-31T12:00:00.000000Z",
                "ended_at": "2025-01-31T12:01:30.000000Z",
                "duration_ms": 90000, "event_count": 3,
                "token_count_input": 12, "token_count_output": 100,
                "cost_cents": 0.5, "success_count": 0, "failure_count": 0,
                "success_rate": None}
        equal(got, want)
        for made, flag in zip(ids, ("success", "failure", "success")):
            reply = phosd.ask("POST", "/api/feedback",
                              {"event_id": made, "flag": flag})
            equal((reply.status, reply.json), (201, {"event_id": made}))
        want.update(success_count=2, failure_count=1, success_rate=2 / 3)
        equal(phosd.get("/api/sessions").json, {"sessions": [want],
                                                "total": 1,
                                                "exact": True})
        page = phosd.get("/api/sessions/s", limit=1, offset=1).json
        equal([e["input"] for e in page["events"]], ["second"])


@test
def events_of_a_user_without_a_session_id_part_after_thirty_minutes():
    def user(text, seconds, name="ann"):
        return event(text, timestamp=at(seconds), metadata={"user_id": name})

    with Collector() as phosd:
        phosd.ingest(user("a", 0), user("b", 30 * MINUTE),
                     user("c", 60 * MINUTE + 1), user("d", 10, "bob"),
                     event("alone", timestamp=at(20)),
                     event("named", timestamp=at(20), session_id="s",
                           metadata={"user_id": "ann"}))
        got = phosd.get("/api/sessions").json["sessions"]
        equal([(s["user_id"], s["grouped_by"], s["event_count"]) for s in got],
              [("ann", "user_id", 1), ("ann", "user_id", 2),
               ("ann", "session_id", 1), ("bob", "user_id", 1)])
        late, early = got[0], got[1]
        whole = phosd.get("/api/sessions/" + early["session_id"]).json
        equal([e["input"] for e in whole["events"]], ["a", "b"])
        equal([e["session_id"] for e in whole["events"]], [None, None])
        equal(inputs(phosd.get("/api/events",
                               session_id=late["session_id"])), ["c"])

        # An event between the two joins them to one; feedback comes along.
        [last] = phosd.get("/api/events",
                           session_id=late["session_id"]).json["events"]
        phosd.ask("POST", "/api/feedback",
                  {"event_id": last["event_id"], "flag": "failure"})
        phosd.ingest(user("between", 45 * MINUTE))
        whole = phosd.get("/api/sessions/" + early["session_id"]).json
        equal([e["input"] for e in whole["events"]],
              ["a", "b", "between", "c"])
        equal((whole["event_count"], whole["duration_ms"],
               whole["failure_count"], whole["success_rate"]),
              (4, (60 * MINUTE + 1) * 1000, 1, 0))
        equal(phosd.get("/api/sessions/" + late["session_id"]).status, 404)
        equal(phosd.get("/api/sessions").json["total"], 3)

        # Earlier than all, but within the window: the start moves.
        phosd.ingest(event("before", timestamp="2025-01-31T11:30:00Z",
                           metadata={"user_id": "ann"}))
        whole = phosd.get("/api/sessions/" + early["session_id"]).json
        equal((whole["event_count"], whole["started_at"]),
              (5, "2025-01-31T11:30:00.000000Z"))


@test
def sessions_do_not_depend_on_the_order_in_which_events_arrive():
    times = [0, 29, 58, 120, 149, 300, 331, 360]  # minutes
    orders = [times, times[::-1], times[::2] + times[1::2],
              times[4:] + times[:4], [58, 0, 360, 300, 331, 149, 120, 29]]
    seen = set()
    with Collector() as phosd:
        for number, order in enumerate(orders):
            user = "user %d" % number
            for minute in order:
                phosd.ingest(event(timestamp=at(minute * MINUTE),
                                   metadata={"user_id": user}))
            found = phosd.get("/api/sessions", user_id=user).json["sessions"]
            seen.add(tuple((s["started_at"], s["ended_at"], s["event_count"])
                           for s in found))
    equal(len(seen), 1, seen)
    equal([s[2] for s in seen.pop()], [2, 1, 2, 3])


@test
def a_session_id_may_be_any_text():
    names = ["a/b", "%2F", "ü \U0001F600", "a?b&c=d#e", "' OR 1=1 --", "+", " ",
             "..", "", "x" * 2000, "\t\n"]
    with Collector() as phosd:
        phosd.ingest(*[event(name, session_id=name) for name in names])
        for name in names:
            if name in ("", "\t\n"):  # no path can name these
                continue
            path = "/api/sessions/" + urllib.parse.quote(name, "")
            reply = phosd.ask("GET", path)
            equal((reply.status, reply.json.get("session_id")), (200, name))
            equal(inputs(phosd.get("/api/events", session_id=name)), [name])
        equal(phosd.get("/api/sessions").json["total"], len(names))


@test
def feedback_is_replaced_by_a_second_one_and_shown_with_its_event():
    with Collector() as phosd:
        [made] = phosd.ingest(event(session_id="s"))
        rows = [
            ({"flag": "success"},
             {"flag": "success", "comment": None, "source": "user"}, 1),
            ({"flag": "failure", "comment": "no\n\"", "source": "judge"},
             {"flag": "failure", "comment": "no\n\"", "source": "judge"}, 0),
            ({"flag": "unsure", "comment": None},
             {"flag": "unsure", "comment": None, "source": "user"}, None),
            ({"flag": "success", "extra": 1},
             {"flag": "success", "comment": None, "source": "user"}, 1),
        ]
        for sent, shown, rate in rows:
            reply = phosd.ask("POST", "/api/feedback",
                              dict(sent, event_id=made.upper()))
            equal((reply.status, reply.json), (201, {"event_id": made}))
            equal(phosd.get("/api/events/" + made).json["feedback"], shown)
            equal(phosd.get("/api/sessions/s").json["success_rate"], rate)


@test
def feedback_without_what_it_needs_is_refused():
    unknown = str(uuid.uuid4())
    with Collector() as phosd:
        [made] = phosd.ingest(event())
        rows = [
            ({"event_id": unknown, "flag": "success"}, 404,
             "event_id: unknown event"),
            ({"flag": "success"}, 400, "event_id: required"),
            ({"event_id": made}, 400, "flag: required"),
            ({"event_id": made, "flag": None}, 400, "flag: required"),
            ({"event_id": made, "flag": ""}, 400,
             "flag: expected a text that is not empty"),
            ({"event_id": made, "flag": True}, 400, "flag: expected a string"),
            ({"event_id": "x", "flag": "success"}, 400,
             "event_id: expected a UUID"),
            ({"event_id": made, "flag": "success", "comment": 5}, 400,
             "comment: expected a string"),
            ({"event_id": made, "flag": "success", "source": []}, 400,
             "source: expected a string"),
            ([], 400, "expected an object"),
        ]
        for body, status, message in rows:
            reply = phosd.ask("POST", "/api/feedback", body)
            equal((reply.status, reply.error), (status, message))
        assert "feedback" not in phosd.get("/api/events/" + made).json


def fill(phosd):
    """Ten events, a second apart, that differ in everything."""
    ids = phosd.ingest(*[
        event("e%d" % n, timestamp=at(n), session_id="s%d" % (n % 2),
              metadata={"model": "m%d" % (n % 3), "user_id": "u%d" % (n % 5),
                        "tags": ["all", "t%d" % (n % 4), "all"]})
        for n in range(10)])
    for n in (1, 2, 3):
        phosd.ask("POST", "/api/feedback",
                  {"event_id": ids[n],
                   "flag": "failure" if n == 3 else "success"})


@test
def events_are_filtered_by_each_field_and_by_all_together():
    rows = [
        ({}, range(9, -1, -1)),
        ({"session_id": "s1"}, [9, 7, 5, 3, 1]),
        ({"session_id": "none"}, []),
        ({"user_id": "u2"}, [7, 2]),
        ({"model": "m0"}, [9, 6, 3, 0]),
        ({"tag": "t3"}, [7, 3]),
        ({"tag": "all", "model": "m1"}, [7, 4, 1]),
        ({"flag": "success"}, [2, 1]),
        ({"flag": "failure"}, [3]),
        ({"flag": "success", "model": "m1"}, [1]),
        ({"from_": at(7)}, [9, 8, 7]),
        ({"to": at(2)}, [1, 0]),
        ({"from_": at(2), "to": at(4)}, [3, 2]),
        ({"from_": "2025-01-31T13:00:02+01:00", "to": at(3)}, [2]),
        ({"q": "e4"}, [4]),
        ({"session_id": "s1", "user_id": "u3", "model": "m0", "tag": "t3",
          "flag": "failure", "from_": at(0), "to": at(9), "q": "e3"}, [3]),
        ({"session_id": "s0", "user_id": "u3", "model": "m0"}, []),
        ({"user_id": "' OR 1=1 --"}, []),
        ({"model": "m%"}, []),
    ]
    with Collector() as phosd:
        fill(phosd)
        for parameters, want in rows:
            reply = phosd.get("/api/events", **parameters)
            equal(inputs(reply), ["e%d" % n for n in want], parameters)
            equal(reply.json["total"], len(want), parameters)


@test
def sessions_are_filtered_and_come_newest_first():
    with Collector() as phosd:
        fill(phosd)
        phosd.ingest(event("later", timestamp=at(100), session_id="late",
                           metadata={"user_id": "ann", "model": "m9"}))
        rows = [
            ({}, ["late", "s1", "s0"]),
            ({"user_id": "ann"}, ["late"]),
            ({"model": "m9"}, ["late"]),
            ({"model": "m0"}, ["s1", "s0"]),
            ({"from_": at(50)}, ["late"]),
            ({"to": at(1)}, ["s0"]),
            ({"from_": at(3), "to": at(4)}, ["s1", "s0"]),
            ({"q": "e9"}, ["s1"]),
            ({"q": "later"}, ["late"]),
            ({"q": "later", "model": "m0"}, []),
            ({"limit": 1}, ["late"]),
            ({"limit": 1, "offset": 2}, ["s0"]),
        ]
        for parameters, want in rows:
            reply = phosd.get("/api/sessions", **parameters)
            equal([s["session_id"] for s in reply.json["sessions"]], want,
                  parameters)
            if "limit" not in parameters:
                equal(reply.json["total"], len(want), parameters)


@test
def pages_together_are_the_whole_list():
    with Collector() as phosd:
        for start in range(0, 250, 50):
            phosd.ingest(*[event("n%d" % n, timestamp=at(n // 2))
                           for n in range(start, start + 50)])
        for limit in (1, 7, 100):
            got = []
            for offset in range(0, 250, limit):
                if limit == 1 and offset > 30:
                    break
                reply = phosd.get("/api/events", limit=limit, offset=offset)
                equal(reply.json["total"], 250)
                got += inputs(reply)
            equal(got, ["n%d" % n for n in range(249, 249 - len(got), -1)])
        equal(len(inputs(phosd.get("/api/events"))), 50)
        equal(inputs(phosd.get("/api/events", limit=0)), [])
        equal(inputs(phosd.get("/api/events", offset=250)), [])


@test
def a_query_that_cannot_be_read_is_refused_by_name():
    rows = [
        ("limit=101", "limit: expected a whole number from 0 to 100"),
        ("limit=-1", "limit: expected a whole number from 0 to 100"),
        ("limit=", "limit: expected a whole number from 0 to 100"),
        ("limit=1e1", "limit: expected a whole number from 0 to 100"),
        ("limit=99999999999999999999",
         "limit: expected a whole number from 0 to 100"),
        ("offset=-1", "offset: expected a whole number, 0 or more"),
        ("offset=x", "offset: expected a whole number, 0 or more"),
        ("limit=1&limit=2", "limit: given more than once"),
        ("sesion_id=x", "sesion_id: unknown parameter"),
        ("from=yesterday", "from: expected an ISO 8601 date and time"),
        ("to=2025-13-01T00:00:00Z", "to: expected an ISO 8601 date and time"),
        ("q=", "q: there is nothing to search for"),
        ("q=+%20", "q: there is nothing to search for"),
        ("q=%22%22", "q: there is nothing to search for"),
        ("q=%22open", "q: a quotation mark is never closed"),
        ("q=a%22", "q: a quotation mark is never closed"),
        ("q=" + "+".join("w%d" % n for n in range(17)), "q: too many words"),
        ("q=%00", "the query is not well encoded"),
        ("q=%zz", "the query is not well encoded"),
        ("q=%", "the query is not well encoded"),
        ("q=%4", "the query is not well encoded"),
        ("q=%ff", "the query is not well encoded"),
        ("q=%c0%af", "the query is not well encoded"),
        ("q=%ed%a0%80", "the query is not well encoded"),
        ("%6cimit=5&%6cimit=6", "limit: given more than once"),
        ("=1", ": unknown parameter"),
    ]
    with Collector() as phosd:
        for query, message in rows:
            reply = phosd.ask("GET", "/api/events?" + query)
            equal((reply.status, reply.json),
                  (400, {"error": message}), query)
        for query in ("", "limit=100", "%6cimit=5", "q=%2525",
                      "&&limit=1&"):
            reply = phosd.ask("GET", "/api/events?" + query)
            equal(reply.status, 200, query)
        for path in ("/api/sessions?tag=x", "/api/sessions/s?q=x",
                     "/api/events/%s?limit=1" % uuid.uuid4()):
            reply = phosd.ask("GET", path)
            equal(reply.status, 400, reply)
            assert reply.error.endswith(": unknown parameter"), reply


@test
def search_finds_words_in_input_and_output_in_either_case():
    texts = ["The quick brown fox", "jumps over the LAZY dog", "Größe ÄÖÜ",
             "日本語のテキスト", "смешанный Текст", "100% _under_ \"quoted\"",
             "a", "zzz*zzz AND NOT", "emoji \U0001F600\U0001F680\U0001F4A1 end"]
    rows = [
        ("quick", [0]), ("QUICK", [0]), ("uic", [0]), ("the", [0, 1]),
        ("lazy dog", [1]), ("dog lazy", [1]), ('"lazy dog"', [1]),
        ('"dog lazy"', []), ("quick lazy", []), ("fox out", [0]),
        ("größe", [2]), ("GRÖSSE", []), ("äöü", [2]), ("日本語", [3]),
        ("本語", [3]), ("日", [3]), ("ТЕКСТ", [4]), ("%", [5]), ("0%", [5]),
        ("_", [5]), ("100% under", [5]), ('q "uot"', [5]), ("zzz*", [7]),
        ("zz*zz", [7]), ("AND", [7]), ("NOT", [7]), ("qu", [0, 5]),
        ("\U0001F600", [8]), ("\U0001F600\U0001F680\U0001F4A1", [8]),
        ("out", range(9)), ("nowhere", []), ("(", []), ("input:fox", []),
        ("fox*", []), ("^fox", []), ("NEAR(the fox)", []), ("'", []),
        ("{", []), ("-fox", []), ("quick " * 16, [0]),
    ]

    def search(phosd):
        for query, want in rows:
            reply = phosd.get("/api/events", q=query)
            equal(sorted(inputs(reply)), sorted(texts[n] for n in want), query)
            equal(reply.json["total"], len(want), query)

    with Collector() as phosd:
        phosd.ingest(*[event(text, output="out %d" % n)
                       for n, text in enumerate(texts)])
        search(phosd)  # partly before the index has seen them
        wait_for_index(phosd)
        search(phosd)  # through the index
        phosd.ingest(event("a late fox"))
        equal(phosd.get("/api/events", q="fox").json["total"], 2)


def wait_for_index(phosd):
    db = sqlite3.connect("file:%s?mode=ro" % phosd.db, uri=True, timeout=30)
    while db.execute("SELECT indexed_to < (SELECT max(id) FROM events)"
                     " FROM collector").fetchone()[0]:
        pass
    db.close()


@test
def an_event_that_is_not_there_is_404_and_a_wrong_id_400():
    with Collector() as phosd:
        reply = phosd.get("/api/events/" + str(uuid.uuid4()))
        equal((reply.status, reply.error), (404, "unknown event"))
        for wrong in ("x", "%2e%2e", "6f1f2b9e2f7a4f0e9a510b7f3f6f5a10",
                      str(uuid.uuid4()) + "0"):
            reply = phosd.get("/api/events/" + wrong)
            equal((reply.status, reply.error),
                  (400, "the event's id: expected a UUID"))
        reply = phosd.get("/api/sessions/none")
        equal((reply.status, reply.error), (404, "unknown session"))


@test
def a_page_of_huge_events_ends_early_and_the_next_one_goes_on():
    with Collector() as phosd:
        huge = "x" * (7 << 20)
        for n in range(6):
            phosd.ingest(event(huge, output=str(n), timestamp=at(n)))
        seen, offset = [], 0
        while offset < 6:
            page = phosd.get("/api/events", limit=100, offset=offset).json
            equal(page["total"], 6)
            assert page["events"], offset
            seen += [e["output"] for e in page["events"]]
            offset += len(page["events"])
        equal(seen, ["5", "4", "3", "2", "1", "0"])


@test
def projects_never_see_each_other():
    keys = "# two teams\n\nph_red red team\n  ph_blue\tblue\r\n"
    with Collector(keys=keys) as phosd:
        mine = event("mine", session_id="s", metadata={
            "user_id": "ann", "model": "m", "tags": ["t"]})
        theirs = dict(mine, input="theirs")
        phosd.ingest(mine, key="ph_red")
        equal(phosd.ingest(theirs, key="ph_blue"), [mine["event_id"]])
        path = "/api/events/" + mine["event_id"]
        phosd.ask("POST", "/api/feedback", {"event_id": mine["event_id"],
                                            "flag": "success"}, key="ph_red")
        for key, text in (("ph_red", "mine"), ("ph_blue", "theirs")):
            other = {"mine": "theirs", "theirs": "mine"}[text]
            equal(phosd.get(path, key=key).json["input"], text)
            for parameters in ({}, {"session_id": "s"}, {"user_id": "ann"},
                               {"model": "m"}, {"tag": "t"}, {"q": text},
                               {"q": text[:2]}):
                reply = phosd.get("/api/events", key=key, **parameters)
                equal((inputs(reply), reply.json["total"]), ([text], 1),
                      parameters)
            equal(inputs(phosd.get("/api/events", key=key, q=other)), [])
            session = phosd.get("/api/sessions/s", key=key).json
            equal([e["input"] for e in session["events"]], [text])
            equal(session["event_count"], 1)
            for parameters in ({}, {"user_id": "ann"}, {"q": text},
                               {"model": "m"}):
                equal(phosd.get("/api/sessions", key=key,
                                **parameters).json["total"], 1, parameters)
            equal(phosd.get("/api/sessions", key=key, q=other).json["total"],
                  0)
        equal(inputs(phosd.get("/api/events", key="ph_red", flag="success")),
              ["mine"])
        equal(inputs(phosd.get("/api/events", key="ph_blue", flag="success")),
              [])
        [only] = phosd.ingest(event(), key="ph_red")
        equal(phosd.get("/api/events/" + only, key="ph_blue").status, 404)
        reply = phosd.ask("POST", "/api/feedback",
                          {"event_id": only, "flag": "success"}, key="ph_blue")
        equal(reply.status, 404, reply)


@test
def what_takes_too_long_is_given_up_and_the_next_is_answered():
    with Collector("--read-timeout-ms", "1") as phosd:
        for _ in range(5):
            phosd.ingest(*[event("word " * 4000) for _ in range(100)])
        # Shorter than the index knows: every text is looked at.
        reply = phosd.get("/api/events", q="zz")
        equal((reply.status, reply.error),
              (503, "the search took too long; narrow it by time"))
        assert int(reply.headers["Retry-After"]) > 0, reply.headers
        equal(phosd.get("/healthz").status, 200)
        phosd.stop()
        phosd.options = []
        phosd.start()
        equal(phosd.get("/api/events", q="zz").json["total"], 0)


main()
