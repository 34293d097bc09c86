"""The stand-in's flux0 service."""
import json
import pathlib
import re
import urllib.parse

from cases import check, equal, main, test
from rig import received

FRAMES = pathlib.Path(__file__).parent / "frames"
USER = {"type": "message", "source": "user", "content": "hi"}


def call(standin, method, path, body=None, **more):
    return standin.call("flux0", method, "/api" + path, body, **more)


def agent(standin, **fields):
    return call(standin, "POST", "/agents",
                {"name": "n", "type": "t", **fields}).json


def session(standin, **fields):
    return call(standin, "POST", "/sessions",
                {"agent_id": agent(standin)["id"], **fields}).json


def stream_path(made):
    return f"/sessions/{made['id']}/events/stream"


def stream(standin, made, **options):
    standin.next({"stream": options}, service="flux0", path="*/events/stream")
    answer = call(standin, "POST", stream_path(made), USER,
                  headers={"Accept": "text/event-stream"})
    equal((answer.status, answer.headers["Content-Type"]),
          (200, "text/event-stream"))
    return answer.text


def frames(text):
    """[{field: value}] of a well-formed stream; data is JSON."""
    found = []
    for frame in text.split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in frame.splitlines())
        found.append(dict(fields, data=json.loads(fields["data"])))
    return found


def statuses(found):
    return [frame["data"]["data"]["status"] for frame in found
            if "patches" not in frame["data"]]


def text_of(found):
    return "".join(patch["value"] for frame in found
                   for patch in frame["data"].get("patches", [])
                   if patch["path"] == "/-")


def stored(standin, made, query=""):
    return call(standin, "GET",
                f"/sessions/{made['id']}/events{query}").json["data"]


# ---- agents and sessions ----

@test
def agents_are_created_listed_and_retrieved(standin):
    answer = call(standin, "POST", "/agents", {"name": "n", "type": "t"})
    equal((answer.status, sorted(answer.json)),
          (201, ["created_at", "id", "name", "type"]))
    made = answer.json
    check(re.fullmatch(r"[0-9A-Za-z]{10}", made["id"]), made)
    whole = dict(made, description=None)
    equal(call(standin, "GET", "/agents").json, {"data": [whole]})
    equal(call(standin, "GET", f"/agents/{made['id']}").json, whole)
    answer = call(standin, "GET", "/agents/aaaaaaaaaa")
    equal((answer.status, answer.json),
          (404, {"detail": "Agent with ID aaaaaaaaaa not found"}))


@test
def sessions_are_created_listed_and_retrieved(standin):
    made = session(standin, title="t")
    equal((made["user_id"], made["title"], made["consumption_offsets"]),
          ("anonymous", "t", {"client": 0}))
    equal(call(standin, "GET", f"/sessions/{made['id']}").json, made)
    other = session(standin, id="aB3dE5gH7j")
    equal(other["id"], "aB3dE5gH7j")
    listed = call(standin, "GET", "/sessions").json["data"]
    equal([one["id"] for one in listed], [made["id"], "aB3dE5gH7j"])
    equal(listed[1]["title"], None)
    listed = call(standin, "GET", f"/sessions?agent_id={made['agent_id']}")
    equal(len(listed.json["data"]), 1)
    equal(call(standin, "GET", "/sessions/aaaaaaaaaa").status, 404)


@test
def nulls_are_written_or_left_out_everywhere_when_told(standin):
    made = session(standin)
    paths = ("/agents", "/sessions", f"/sessions/{made['id']}")
    for nulls in (True, False):
        standin.settings("flux0", nulls=nulls)
        for path in paths:
            equal("null" in call(standin, "GET", path).text, nulls, path)


@test
def what_breaks_the_shape_is_listed(standin):
    own = agent(standin)["id"]
    for path, body, where in [
            ("/agents", {"name": "n"}, ["body", "type"]),
            ("/agents", {"name": "", "type": "t"}, ["body", "name"]),
            ("/agents", {"name": "n" * 101, "type": "t"}, ["body", "name"]),
            ("/agents", {"name": "n", "type": "t", "kind": 1},
             ["body", "kind"]),
            ("/sessions", {"agent_id": "short"}, ["body", "agent_id"]),
            ("/sessions", {"agent_id": own, "id": "x"}, ["body", "id"]),
            ("/sessions", {"agent_id": own, "title": "t" * 201},
             ["body", "title"]),
            ("/sessions", {"agent_id": own, "mode": "odd"}, ["body", "mode"]),
            ("/agents", b"{", ["body"])]:
        answer = call(standin, "POST", path, body)
        equal(answer.status, 422, body)
        equal([item["loc"] for item in answer.json["detail"]], [where])
    for path in ("/agents/short", "/sessions/short"):
        answer = call(standin, "GET", path)
        equal((answer.status, answer.json["detail"][0]["loc"][0]),
              (422, "path"))


@test
def a_session_needs_an_agent_that_can_run(standin):
    answer = call(standin, "POST", "/sessions", {"agent_id": "aaaaaaaaaa"})
    equal(answer.status, 400)
    standin.settings("flux0", runners=["other"])
    body = {"agent_id": agent(standin)["id"]}
    equal(call(standin, "POST", "/sessions", body).status, 400)


@test
def a_later_server_has_modes_and_minds_a_clash(standin):
    made = session(standin, id="aB3dE5gH7j", mode="record")
    check(made["metadata"]["recording"]["recording_id"], made)
    body = {"agent_id": made["agent_id"], "id": "aB3dE5gH7j"}
    equal(call(standin, "POST", "/sessions", body).status, 409)
    standin.settings("flux0", later=False)
    equal(call(standin, "POST", "/sessions", body).status, 201)
    body["mode"] = "auto"
    equal(call(standin, "POST", "/sessions", body).status, 422)


@test
def the_user_is_the_one_of_the_cookie(standin):
    cookie = {"Cookie": "a=b; flux0_user_sub=u123456789"}
    made = call(standin, "POST", "/sessions",
                {"agent_id": agent(standin)["id"]}, headers=cookie).json
    equal(made["user_id"], "u123456789")
    equal(call(standin, "GET", "/sessions").json["data"], [])
    listed = call(standin, "GET", "/sessions", headers=cookie).json["data"]
    equal(len(listed), 1)


@test
def a_token_is_asked_for_when_told(standin):
    standin.settings("flux0", bearer="jwt")
    for key, status in [(None, 403), ("other", 401), ("jwt", 200)]:
        answer = call(standin, "GET", "/agents", key=key)
        equal(answer.status, status)
        check(status == 200 or "detail" in answer.json, answer)


# ---- streams ----

@test
def a_stream_has_the_frames_of_the_service(standin):
    text = stream(standin, session(standin))
    shape = re.compile(
        r"(event: status\nid: [0-9a-f-]{36}\ndata: .*\n\n"
        r"|event: chunk\ndata: .*\n\n)*")
    check(shape.fullmatch(text) and text.isascii(), text)
    found = frames(text)
    equal([frame["event"] for frame in found],
          ["status", "status", "chunk", "chunk", "chunk"])
    equal(statuses(found), ["processing", "typing"])
    equal(text_of(found), "Hello \u4f60\u597d \U0001f600")
    # Key by key as in the file.
    like = frames((FRAMES / "flux0_text.txt").read_text())
    for got, want in [(found[0], like[0]), (found[2], like[2])]:
        equal((list(got), list(got["data"])), (list(want), list(want["data"])))
    equal(list(found[0]["data"]["data"]), list(like[0]["data"]["data"]))


@test
def the_files_can_be_streamed_as_they_are(standin):
    made = session(standin)
    for path in FRAMES.glob("flux0_*.txt"):
        equal(stream(standin, made, file=path.name), path.read_text())
    equal(stream(standin, made, raw="data: x"), "data: x")


@test
def what_was_streamed_is_stored_under_its_correlation_id(standin):
    made = session(standin)
    found = frames(stream(standin, made, tools=True))
    correlation_id = found[0]["data"]["correlation_id"]
    check(re.fullmatch(r"RID\(\w{10}\)::\w{10}", correlation_id), found[0])
    events = stored(standin, made, "?correlation_id="
                    + urllib.parse.quote(correlation_id, safe=""))
    equal([event["offset"] for event in events], list(range(len(events))))
    equal([event["type"] for event in events],
          ["message", "status", "status", "status", "tool", "message"])
    check(not {event["id"] for event in events}
          & {frame.get("id") for frame in found}, "ids of their own")
    equal(events[0]["data"]["parts"],
          [{"type": "content", "content": "hi"}])
    call_part, text_part = events[-1]["data"]["parts"]
    equal((call_part["tool_name"], call_part["args"], text_part["content"]),
          ("find", {"q": "x"}, text_of(found)))
    result, = events[-2]["data"]["tool_calls"]
    equal(result["result"]["data"], "found")
    equal(standin.control("GET", "state")["runs"][-1]["ended"], "completed")


@test
def stored_events_are_filtered(standin):
    made = session(standin)
    stream(standin, made)
    for query, count in [("?min_offset=1", 3), ("?source=user", 1),
                         ("?types=status", 2), ("?types=message", 2),
                         ("?types=message&types=status", 4),
                         ("?types=message,status", 4), ("?types=tool", 0),
                         ("?correlation_id=other", 0)]:
        equal(len(stored(standin, made, query)), count, query)
    for query in ("?types=odd", "?source=odd", "?min_offset=x"):
        answer = call(standin, "GET", f"/sessions/{made['id']}/events{query}")
        equal((answer.status, answer.json["detail"][0]["loc"][0]),
              (422, "query"), query)


@test
def an_unknown_session_is_a_400_or_a_404(standin):
    path = "/sessions/aaaaaaaaaa/events"
    for status in (400, 404):
        standin.settings("flux0", unknown_session=status)
        for answer in (call(standin, "GET", path),
                       call(standin, "POST", path + "/stream", USER)):
            equal((answer.status, answer.json), (status, {
                "detail": "Session with ID aaaaaaaaaa not found"}))


@test
def a_post_that_is_no_users_message_gets_a_text(standin):
    path = stream_path(session(standin))
    for change in ({"type": "custom"}, {"source": "system"}, {"content": ""},
                   {"content": None}):
        answer = call(standin, "POST", path, USER | change)
        equal(answer.status, 422, change)
        check(isinstance(answer.json["detail"], str), answer)
    answer = call(standin, "POST", path, {"type": "message", "source": "user"})
    check(isinstance(answer.json["detail"], str), answer)
    for change in ({"type": "odd"}, {"kind": "x"}, {"content": 5}):
        answer = call(standin, "POST", path, USER | change)
        equal(answer.status, 422, change)
        check(isinstance(answer.json["detail"], list), answer)


@test
def a_stream_deviates_as_it_is_told(standin):
    made = session(standin)

    def found(**options):
        return frames(stream(standin, made, **options))

    equal(statuses(found(completed=True))[-1], "completed")
    equal(found(close=True)[-1], {"event": "close", "data": {}})
    failed = found(error="broke")
    equal(statuses(failed)[-1], "error")
    equal(failed[-1]["data"]["data"]["data"], {"detail": "broke"})
    equal(statuses(found(error="broke", completed=True))[-2:],
          ["error", "completed"])
    equal(found(empty_id=True)[0]["data"]["id"], "")
    check("timestamp" in found(timestamps=True)[0]["data"], "timestamp")
    old = found(old_names=True)
    check("event" not in old[0] and old[-1]["event"] == "unknown", old)
    equal([frame["event"] for frame in found(odd_frames=True)][1:3],
          ["message", "tool"])
    equal([frame["data"]["seq"] for frame in found(seq="rising")[2:]],
          [0, 1, 2])
    equal([frame["data"]["seq"] for frame in found()[2:]], [0, 0, 0])
    bad = found(bad_patch=True)
    equal(bad[3]["data"]["patches"][0]["path"], "/nowhere/at/all")
    equal(found(reasoning=True)[2]["data"]["metadata"]["kind"], "reasoning")
    equal(stored(standin, made)[-1]["data"]["parts"][0]["type"], "reasoning")
    equal(text_of(found(tokens=3)), "0 1 2 ")
    tool = [patch["path"] for frame in found(tools=True)
            for patch in frame["data"].get("patches", [])]
    equal(tool[:6], ["/tool_calls/0", "/tool_calls/0/tool_name",
                     "/tool_calls/0/args/-", "/tool_calls/0/args/-",
                     "/tool_calls/0/args", "/tool_call_results"])


# ---- runs that are cancelled ----

def begin(standin, made, **options):
    """A stream that says two frames and then nothing; its socket."""
    standin.next({"stream": {"silence": 3, **options}})
    line = standin.open("POST", "/flux0/api" + stream_path(made), USER)
    standin.held(1)
    check(b'"path": "/-"' in received(line, b"}\n\n"), "the first chunk")
    return line


@test
def leaving_cancels_the_run_and_what_was_said_is_kept(standin):
    made = session(standin)
    begin(standin, made).close()
    standin.requests(path="*/stream", ended="gone", at_least=1)
    equal(standin.control("GET", "state")["runs"][-1]["ended"], "cancelled")
    equal(stored(standin, made)[-1]["data"]["parts"],
          [{"type": "content", "content": "Hel"}])


@test
def a_second_post_cancels_the_first_run_which_stays_open(standin):
    made = session(standin)
    line = begin(standin, made)
    check("typing" in stream(standin, made), "the second run")
    standin.release()
    standin.held(1)
    equal(standin.requests(path="*/stream")[0]["ended"], None)
    line.close()
    standin.requests(path="*/stream", ended="gone", at_least=1)
    equal(sorted(run["ended"] for run in
                 standin.control("GET", "state")["runs"]),
          ["cancelled", "completed"])


@test
def the_home_page_is_elsewhere(standin):
    answer = standin.call("flux0", "GET", "/")
    equal((answer.status, answer.headers["Location"]), (307, "/chat"))
    equal(standin.call("flux0", "GET", "/chat").status, 404)
    equal(call(standin, "DELETE", "/agents").status, 405)


main()
