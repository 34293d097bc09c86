"""How the stand-in's event streams can be written, and what can happen to them.
The options are the same for each service that streams."""
import json

from cases import check, equal, main, test
from rig import received, unchunked

EVENTS = [{"type": "token", "content": text} for text in ("a", "b", "c")]
FRAMES = ['data: {"type":"token","content":"%s"}' % text for text in "abc"]


def body(standin, options, **behaviour):
    """All that the stream says."""
    line = begin(standin, options, **behaviour)
    data = received(line)
    line.close()
    return data.partition(b"\r\n\r\n")[2].decode()


def begin(standin, options, *headers, **behaviour):
    agent = standin.call("phoson", "POST", "/agents", {}).json["id"]
    made = standin.call("phoson", "POST", "/conversations",
                        {"agent_id": agent}).json["id"]
    said = {} if "tokens" in options else {"events": EVENTS}
    standin.next(dict(behaviour, stream=said | options))
    return standin.open(
        "POST", f"/phoson/conversations/{made}/messages/stream",
        {"content": "hi"}, "pk_standin", headers or ["Connection: close"])


def check_ended(standin, ended, count):
    found = standin.requests(path="*/stream", ended=ended, at_least=count)
    equal(len(found), count)


def whole(end="\n"):
    return "".join(frame + end * 2 for frame in FRAMES)


@test
def lines_end_in_each_of_the_three_ways(standin):
    for name, end in [("lf", "\n"), ("cr", "\r"), ("crlf", "\r\n")]:
        equal(body(standin, {"line_end": name}), whole(end), name)
    equal(body(standin, {"line_end": "mixed"}), "".join(
        frame + end * 2 for frame, end in zip(FRAMES, ["\n", "\r\n", "\r"])))


@test
def the_last_empty_line_can_be_missing(standin):
    equal(body(standin, {"last_blank": False}), whole()[:-1])
    equal(body(standin, {"last_blank": False, "line_end": "crlf"}),
          whole("\r\n")[:-2])


@test
def a_sentinel_can_end_it(standin):
    equal(body(standin, {"done": True}), whole() + "data: [DONE]\n\n")


@test
def comments_a_retry_and_a_mark_can_stand_between(standin):
    equal(body(standin, {"comments": True, "retry": 3000, "bom": True}),
          "\ufeffretry: 3000\n\n" + "".join(
              f": ping\n\n{frame}\n\n" for frame in FRAMES))


@test
def frames_can_be_put_in_anywhere(standin):
    text = body(standin, {"insert": [
        {"at": 0, "lines": [["event", "weather"], ["data", "sunny"],
                            ["id", "7"]]},
        {"at": 2, "raw": "data\n:\nnothing: known\n\n"},
        {"at": 3, "raw": "data: not json\n\n"}]})
    equal(text, "event: weather\ndata: sunny\nid: 7\n\n"
          + "\n\n".join(FRAMES[:2]) + "\n\ndata\n:\nnothing: known\n\n"
          + FRAMES[2] + "\n\ndata: not json\n\n")


@test
def any_text_can_be_a_stream(standin):
    equal(body(standin, {"raw": "data: x\n"}), "data: x\n")


@test
def a_stream_can_end_early_as_if_all_were_said(standin):
    for frames in (0, 1, 3):
        line = begin(standin, {"truncate": frames}, "X: y")
        head, text, pieces = unchunked(received(line, b"0\r\n\r\n"))
        line.close()
        equal(text.decode(), "".join(frame + "\n\n"
                                     for frame in FRAMES[:frames]))
    check_ended(standin, "whole", 3)


@test
def a_stream_can_be_cut_in_the_middle_of_a_frame(standin):
    equal(body(standin, {}, cut=10), whole()[:10])
    line = begin(standin, {}, "X: y", cut=50)
    data = received(line)
    line.close()
    check(not data.endswith(b"0\r\n\r\n"), data)
    equal(unchunked(data)[1].decode(), whole()[:50])
    check_ended(standin, "cut", 2)


@test
def a_stream_can_have_no_other_end_than_that_of_its_line(standin):
    line = begin(standin, {}, "X: y", close=True)
    head, _, text = received(line).partition(b"\r\n\r\n")
    line.close()
    check(b"Transfer-Encoding" not in head, head)
    equal(text.decode(), whole())


@test
def a_stream_can_stall_in_the_middle_of_a_frame(standin):
    line = begin(standin, {}, stall=10)
    equal(standin.held(), 1)
    begun = received(line, whole()[:10].encode())
    equal(begun.partition(b"\r\n\r\n")[2].decode(), whole()[:10])
    standin.release()
    equal(received(line).decode(), whole()[10:])
    line.close()


@test
def a_stream_can_fall_silent_between_frames(standin):
    for frames in (0, 2, 3):
        line = begin(standin, {"silence": frames})
        equal(standin.held(), 1)
        want = "".join(frame + "\n\n" for frame in FRAMES[:frames])
        begun = received(line, b"\r\n\r\n" + want.encode())
        equal(begun.partition(b"\r\n\r\n")[2].decode(), want)
        standin.release()
        equal(want + received(line).decode(), whole())
        line.close()


@test
def a_silent_stream_ends_when_its_client_leaves(standin):
    line = begin(standin, {"silence": 1})
    standin.held()
    line.close()
    equal(standin.requests(path="*/stream", ended="gone", at_least=1)[0][
        "status"], 200)
    equal(standin.held(0), 0)


@test
def a_stream_comes_in_pieces_of_any_size(standin):
    for sizes in ([1], [2, 7], [1000]):
        line = begin(standin, {}, "X: y", pieces=sizes)
        _, text, pieces = unchunked(received(line, b"\r\n0\r\n\r\n"))
        line.close()
        equal(text.decode(), whole())
        if sizes == [1000]:
            sizes = [len(whole())]
        equal([len(piece) for piece in pieces[:-1]],
              [sizes[at % len(sizes)] for at in range(len(pieces) - 1)])


@test
def tokens_are_made_on_the_way_under_every_option(standin):
    standin.settings("phoson", framing="both")
    text = body(standin, {"tokens": 3, "whole": False, "line_end": "crlf",
                 "comments": True, "done": True})
    frames = text.split("\r\n\r\n")
    equal(frames[:6:2] + frames[8:], [": ping"] * 3 + ["data: [DONE]", ""])
    for number, frame in enumerate(frames[1:6:2]):
        name, data = frame.split("\r\n")
        equal((name, json.loads(data.removeprefix("data: "))),
              ("event: token", {"type": "token", "content": f"{number} "}))


main()
