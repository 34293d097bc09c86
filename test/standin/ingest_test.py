"""The stand-in's ingestion service."""
import uuid

from cases import check, equal, main, test

EVENT = {"input": "hi", "output": "hello"}


def whole(**fields):
    return {"event_id": str(uuid.uuid4()), **EVENT, **fields}


def post(standin, path, body, **more):
    return standin.call("ingest", "POST", path, body, **more)


def get(standin, path, **more):
    return standin.call("ingest", "GET", path, **more)


@test
def an_event_comes_back_as_it_was_sent(standin):
    sent = whole(session_id="user-7-9c01d2aa",
                 metadata={"model": "m-1", "cost_cents": 0.4, "own": [1]},
                 timestamp="2025-01-31T09:30:00Z")
    answer = post(standin, "/api/ingest", sent)
    equal((answer.status, answer.json), (201, {"event_id": sent["event_id"]}))
    got = get(standin, f"/api/events/{sent['event_id']}").json
    equal(got, dict(sent, project_id="p1"))


@test
def what_is_left_out_is_made(standin):
    answer = post(standin, "/api/ingest", EVENT)
    made = answer.json["event_id"]
    equal(uuid.UUID(made).version, 4)
    got = get(standin, f"/api/events/{made}").json
    check(got["timestamp"].endswith("Z"), got)
    equal((got["session_id"], got["metadata"]), (None, {}))
    both = post(standin, "/api/ingest", dict(EVENT, session_id=None))
    got = get(standin, f"/api/events/{both.json['event_id']}").json
    equal(got["session_id"], None)


@test
def a_batch_is_answered_in_its_order_and_stored_once(standin):
    events = [whole(input=str(number)) for number in range(100)]
    ids = [event["event_id"] for event in events]
    for _ in range(2):
        answer = post(standin, "/api/ingest/batch", {"events": events})
        equal((answer.status, answer.json),
              (201, {"accepted": 100, "event_ids": ids}))
    page = get(standin, "/api/events?limit=100").json
    equal(page["total"], 100)
    equal([event["event_id"] for event in page["events"]], ids[::-1])
    state = standin.control("GET", "state")["duplicates"]["ingest"]
    equal(state, {event_id: 2 for event_id in ids})


@test
def one_bad_event_spoils_its_batch_and_nothing_is_stored(standin):
    answer = post(standin, "/api/ingest/batch",
                  {"events": [whole(), {"input": "no output"}]})
    equal(answer.status, 400)
    check(answer.json["error"].startswith("events[1]."), answer)
    equal(get(standin, "/api/events").json, {"events": [], "total": 0})


@test
def a_batch_has_1_to_100_events(standin):
    for count, status in [(0, 400), (1, 201), (100, 201), (101, 400)]:
        events = [whole() for _ in range(count)]
        answer = post(standin, "/api/ingest/batch", {"events": events})
        equal(answer.status, status, count)
    for body in ({}, {"events": 1}, []):
        equal(post(standin, "/api/ingest/batch", body).status, 400, body)


@test
def a_malformed_event_is_refused(standin):
    for fields in ({"input": 1}, {"output": None}, {"event_id": "x"},
                   {"event_id": str(uuid.uuid1())}, {"timestamp": "monday"},
                   {"metadata": 1}, {"session_id": 5}):
        answer = post(standin, "/api/ingest", whole(**fields))
        equal(answer.status, 400, fields)
        check(next(iter(fields)) in answer.json["error"], answer)
    equal(post(standin, "/api/ingest", b"{").status, 400)


@test
def only_a_known_key_gets_in(standin):
    for key in (None, "ph_unknown", "org_key"):
        for method, path in [("POST", "/api/ingest"), ("GET", "/api/events")]:
            answer = standin.call("ingest", method, path, EVENT, key=key)
            equal(answer.status, 401, key)
            equal(list(answer.json), ["error"])


@test
def projects_do_not_see_each_other(standin):
    sent = whole(session_id="s")
    post(standin, "/api/ingest", sent)
    for path in (f"/api/events/{sent['event_id']}", "/api/sessions/s"):
        equal(get(standin, path, key="ph_second").status, 404, path)
    equal(get(standin, "/api/events", key="ph_second").json["total"], 0)


@test
def events_are_listed_in_pages_and_by_session(standin):
    for number in range(5):
        post(standin, "/api/ingest",
             whole(input=str(number), session_id=f"s{number % 2}"))
    page = get(standin, "/api/events?limit=2&offset=1").json
    equal(([event["input"] for event in page["events"]], page["total"]),
          (["3", "2"], 5))
    page = get(standin, "/api/events?session_id=s1").json
    equal([event["input"] for event in page["events"]], ["3", "1"])
    equal(get(standin, "/api/events?limit=x").status, 400)


@test
def lists_are_bare_or_wrapped_in_one_of_several_ways(standin):
    post(standin, "/api/ingest", whole(session_id="s"))
    for name in ("events", "sessions"):
        for envelope, want in [("data", ["data", "total"]),
                               (None, [name, "total"])]:
            standin.settings("ingest", envelope=envelope)
            equal(list(get(standin, f"/api/{name}").json), want)
        standin.settings("ingest", envelope="bare")
        equal(len(get(standin, f"/api/{name}").json), 1)
        check(isinstance(get(standin, f"/api/{name}").json, list), name)


@test
def sessions_have_their_events(standin):
    for number in range(3):
        post(standin, "/api/ingest",
             whole(input=str(number), session_id=f"s{number % 2}"))
    equal(get(standin, "/api/sessions").json,
          {"sessions": [{"session_id": "s0", "event_count": 2},
                        {"session_id": "s1", "event_count": 1}], "total": 2})
    session = get(standin, "/api/sessions/s0").json
    equal([event["input"] for event in session["events"]], ["0", "2"])
    equal(get(standin, "/api/sessions/none").status, 404)


@test
def a_users_events_are_one_session_until_30_minutes_pass(standin):
    for minute in (0, 29, 58, 89):
        hour, minute = divmod(minute, 60)
        post(standin, "/api/ingest",
             whole(metadata={"user_id": "u1"},
                   timestamp=f"2025-01-31T{hour:02}:{minute:02}:00Z"))
    equal([session["event_count"] for session in
           get(standin, "/api/sessions").json["sessions"]], [1, 3])


@test
def feedback_is_attached_and_the_last_one_counts(standin):
    sent = whole()
    post(standin, "/api/ingest", sent)
    key = sent["event_id"]
    for flag in ("success", "failure"):
        answer = post(standin, "/api/feedback", {
            "event_id": key, "flag": flag, "comment": "c"})
        equal((answer.status, answer.json), (201, {"event_id": key}))
    equal(get(standin, f"/api/events/{key}").json["feedback"],
          {"event_id": key, "flag": "failure", "comment": "c",
           "source": "user"})
    equal(post(standin, "/api/feedback", {"event_id": key}).status, 400)
    equal(post(standin, "/api/feedback", {
        "event_id": str(uuid.uuid4()), "flag": "success"}).status, 404)


@test
def the_limit_counts_events_and_a_request_passes_whole_or_not(standin):
    standin.settings("ingest", events_left=3)
    three = {"events": [whole() for _ in range(3)]}
    equal(post(standin, "/api/ingest", whole()).status, 201)
    answer = post(standin, "/api/ingest/batch", three)
    equal((answer.status, answer.headers["Retry-After"]), (429, "7"))
    equal(get(standin, "/api/events").json["total"], 1)
    standin.settings("ingest", events_left=3)
    equal(post(standin, "/api/ingest/batch", three).status, 201)


@test
def a_body_that_is_too_large_is_refused(standin):
    standin.settings("ingest", body_bytes_max=200)
    equal(post(standin, "/api/ingest", whole()).status, 201)
    equal(post(standin, "/api/ingest", whole(output="x" * 200)).status, 413)


@test
def what_is_no_route_is_said_so(standin):
    equal(get(standin, "/api/nothing").status, 404)
    answer = get(standin, "/api/ingest")
    equal((answer.status, answer.headers["Allow"]), (405, "POST"))
    equal(list(answer.json), ["error"])


main()
