"""The stand-in's phoson service."""
import json
import pathlib

from cases import check, equal, main, test
from rig import received, unchunked

FRAMES = pathlib.Path(__file__).parent / "frames"


def call(standin, method, path, body=None, **more):
    return standin.call("phoson", method, path, body, **more)


def agent(standin, **fields):
    return call(standin, "POST", "/agents", {"name": "n", **fields}).json


def conversation(standin, **fields):
    return call(standin, "POST", "/conversations",
                {"agent_id": agent(standin)["id"], **fields}).json


def messages_of(made):
    return f"/conversations/{made['id']}/messages"


def events(text):
    """What the frames of a well-formed stream say: [(event name, data)]."""
    found = []
    for frame in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in frame.splitlines())
        if fields:
            found.append((fields.get("event"), json.loads(fields["data"])))
    return found


def stream(standin, made, body=None, **options):
    standin.next({"stream": options}, service="phoson",
                 path="*/messages/stream")
    answer = call(standin, "POST", messages_of(made) + "/stream",
                  body or {"content": "hi"},
                  headers={"Accept": "text/event-stream"})
    equal((answer.status, answer.headers["Content-Type"]),
          (200, "text/event-stream"))
    return answer.text


@test
def agents_are_created_listed_updated_and_deleted(standin):
    made = agent(standin, description="d", memory_type="semantic")
    equal(dict(made, id=""), {"id": "", "name": "n", "description": "d",
                              "memory_type": "semantic"})
    equal(agent(standin)["memory_type"], "persistent")
    path = f"/agents/{made['id']}"
    equal(call(standin, "GET", path).json, made)
    equal(len(call(standin, "GET", "/agents").json), 2)
    for method in ("PATCH", "PUT"):
        answer = call(standin, method, path, {"name": method})
        equal((answer.status, answer.json), (200, dict(made, name=method)))
    answer = call(standin, "DELETE", path)
    equal((answer.status, answer.body), (204, b""))
    for method in ("GET", "DELETE"):
        answer = call(standin, method, path)
        equal((answer.status, answer.json),
              (404, {"detail": "Agent not found"}))
    equal(call(standin, "PATCH", path, {"name": 1}).status, 422)


@test
def one_method_of_the_two_can_be_switched_off(standin):
    path = f"/agents/{agent(standin)['id']}"
    standin.settings("phoson", update_methods=["PUT"])
    equal(call(standin, "PATCH", path, {}).status, 405)
    equal(call(standin, "PUT", path, {}).status, 200)


@test
def mcps_are_attached_and_detached_in_every_reading(standin):
    path = f"/agents/{agent(standin)['id']}"
    for name in ("mcp", "mcps"):
        equal(call(standin, "POST", f"{path}/{name}/m1").status, 204)
        equal(call(standin, "POST", f"{path}/{name}",
                   {"mcp_id": "m2"}).status, 204)
        equal(call(standin, "GET", path).json["mcp_ids"], ["m1", "m2"])
        for mcp in ("m1", "m2"):
            equal(call(standin, "DELETE", f"{path}/{name}/{mcp}").status, 204)
        equal(call(standin, "DELETE", f"{path}/{name}/m1").status, 404)
    equal(call(standin, "POST", f"{path}/mcp", {}).status, 422)
    equal(call(standin, "POST", "/agents/none/mcp/m1").status, 404)


@test
def conversations_are_created_listed_updated_and_deleted(standin):
    made = conversation(standin)
    equal((made["title"], made["thread_id"]), ("New Conversation", None))
    other = conversation(standin, title="t", thread_id="x")
    equal((other["title"], other["thread_id"]), ("t", "x"))
    path = f"/conversations/{made['id']}"
    equal(call(standin, "GET", path).json, made)
    equal(call(standin, "GET", "/conversations").json, [made, other])
    answer = call(standin, "GET",
                  f"/conversations?agent_id={other['agent_id']}")
    equal(answer.json, [other])
    for method in ("PATCH", "PUT"):
        equal(call(standin, method, path, {"title": method}).json["title"],
              method)
    equal(call(standin, "DELETE", path).status, 204)
    for tail in ("", "/messages"):
        answer = call(standin, "GET", path + tail)
        equal((answer.status, answer.json),
              (404, {"detail": "Conversation not found"}))
    equal(call(standin, "POST", "/conversations",
               {"agent_id": "none"}).status, 404)
    equal(call(standin, "POST", "/conversations", {}).status, 422)


@test
def lists_are_bare_or_wrapped(standin):
    made = conversation(standin)
    paths = {"agents": "/agents", "conversations": "/conversations",
             "messages": messages_of(made)}
    for envelope in ("data", "items", "named"):
        standin.settings("phoson", envelope=envelope)
        for name, path in paths.items():
            got = call(standin, "GET", path).json
            equal(list(got), [name if envelope == "named" else envelope])
    standin.settings("phoson", envelope=None)
    for path in paths.values():
        check(isinstance(call(standin, "GET", path).json, list), path)


@test
def a_message_is_answered_and_both_are_kept(standin):
    made = conversation(standin)
    path = messages_of(made)
    for name in ("content", "message"):
        answer = call(standin, "POST", path, {
            name: "hi", "model": "m", "provider": "nobody's",
            "temperature": 0.2, "max_tokens": 256,
            "reasoning_effort": "xhigh"})
        equal(answer.status, 200)
        equal((answer.json["role"], answer.json["content"],
               answer.json["conversation_id"]),
              ("assistant", "You said: hi", made["id"]))
    kept = call(standin, "GET", path).json
    equal([one["role"] for one in kept], ["user", "assistant"] * 2)
    equal(call(standin, "POST", path, {"model": "m"}).status, 422)
    equal(call(standin, "POST", path, {"content": "hi",
                                       "temperature": "hot"}).status, 422)


@test
def a_stream_has_tokens_and_ends_with_the_whole(standin):
    made = conversation(standin)
    found = [data for _, data in events(stream(standin, made))]
    equal(found[:-1], [{"type": "token", "content": text}
                       for text in ("You", " said: ", "hi")])
    last = found[-1]
    equal((last["type"], last["content"]), ("run_done", "You said: hi"))
    check(last["run_id"], last)
    kept = call(standin, "GET", messages_of(made)).json
    equal([one["content"] for one in kept], ["hi", "You said: hi"])
    # The other reading: the route of send.
    answer = call(standin, "POST", messages_of(made),
                  {"content": "hi", "stream": True})
    equal([data["type"] for _, data in events(answer.text)],
          ["token"] * 3 + ["run_done"])


@test
def the_kind_of_an_event_travels_in_three_ways(standin):
    made = conversation(standin)
    run = [{"type": "token", "content": "Hel"},
           {"type": "token", "content": "lo"},
           {"type": "run_done", "content": "Hello", "run_id": "r1"}]
    for framing in ("type", "event", "both"):
        want = (FRAMES / f"phoson_{framing}.txt").read_text()
        equal(stream(standin, made, framing=framing, events=run), want)
        equal(stream(standin, made, file=f"phoson_{framing}.txt"), want)


@test
def tools_reasoning_and_unknown_kinds_can_come(standin):
    made = conversation(standin)
    kinds = [data["type"] for _, data in events(stream(
        standin, made, reasoning=True, tools=True, unknown=True))]
    equal(kinds, ["reasoning", "token", "weather", "tool_start", "tool_end",
                  "token", "token", "run_done"])
    for name in ("phoson_tools.txt", "phoson_error.txt"):
        equal(stream(standin, made, file=name), (FRAMES / name).read_text())


@test
def an_error_ends_the_run_and_nothing_is_kept(standin):
    made = conversation(standin)
    found = [data for _, data in events(stream(standin, made, error="gone"))]
    equal(found[-1], {"type": "error", "message": "gone"})
    equal([data["type"] for data in found[:-1]], ["token"] * 3)
    equal(len(call(standin, "GET", messages_of(made)).json), 1)


@test
def more_can_follow_the_end_and_the_whole_can_be_missing(standin):
    made = conversation(standin)
    found = [data for _, data in events(stream(
        standin, made, whole=False, pieces=["a", "b"],
        more=[{"type": "token", "content": "late"}]))]
    equal([(data["type"], data["content"]) for data in found],
          [("token", "a"), ("token", "b"), ("run_done", ""),
           ("token", "late")])


@test
def one_event_can_stand_on_several_data_lines(standin):
    text = stream(standin, conversation(standin), pieces=["a"],
                  split_data=True)
    first = text.split("\n\n")[0].splitlines()
    check(len(first) > 2, first)
    equal(json.loads("\n".join(line.removeprefix("data: ")
                               for line in first)),
          {"type": "token", "content": "a"})


@test
def text_is_raw_or_escaped(standin):
    made = conversation(standin)
    smile = "\U0001f600"
    check(smile in stream(standin, made, pieces=[smile]), "raw")
    standin.settings("phoson", ascii=True)
    text = stream(standin, made, pieces=[smile])
    check("\\ud83d\\ude00" in text, text)
    equal(events(text)[0][1]["content"], smile)


@test
def only_a_known_key_gets_in(standin):
    for key in (None, "ph_standin"):
        answer = call(standin, "GET", "/agents", key=key)
        equal((answer.status, list(answer.json)), (401, ["detail"]))


@test
def what_is_no_route_is_said_so(standin):
    equal(call(standin, "GET", "/nothing").json, {"detail": "Not Found"})
    answer = call(standin, "DELETE", "/agents")
    equal((answer.status, sorted(answer.headers["Allow"].split(", "))),
          (405, ["GET", "POST"]))
    answer = call(standin, "POST", "/agents", b"{")
    equal(answer.json["detail"][0]["loc"], ["body"])


@test
def an_answer_of_a_million_tokens_is_made_on_the_way(standin):
    path = messages_of(conversation(standin))
    standin.next({"stream": {"tokens": 1000000, "whole": False}})
    line = standin.open("POST", "/phoson" + path + "/stream",
                        {"content": "hi"}, "pk_standin",
                        ["Connection: close"])
    head, _, body = received(line).partition(b"\r\n\r\n")
    line.close()
    frames = body.split(b"\n\n")
    equal(len(frames), 1000002)  # the tokens, the end, and what follows it
    for number in (0, 1, 999999):
        equal(json.loads(frames[number].removeprefix(b"data: ")),
              {"type": "token", "content": f"{number} "})
    check(b"run_done" in frames[-2], frames[-2])


@test
def a_stream_is_chunked_frame_by_frame(standin):
    path = messages_of(conversation(standin))
    line = standin.open("POST", "/phoson" + path + "/stream",
                        {"content": "hi"}, "pk_standin")
    head, body, pieces = unchunked(received(line, b"\r\n0\r\n\r\n"))
    line.close()
    check(b"Transfer-Encoding: chunked" in head, head)
    equal([piece.endswith(b"\n\n") for piece in pieces], [True] * 4)


main()
