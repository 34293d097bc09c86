"""The stand-in itself: how it speaks HTTP, starts and ends, what script and log
can do. Streams have sse_test.py, each service has a test of its own."""
import errno
import gzip
import json
import os
import select
import signal
import socket
import subprocess
import sys

from cases import check, equal, main, test
from rig import HANG_S, HERE, StandIn, received, unchunked

PATH = "/phoson/agents"
KEY = "pk_standin"


def agents(standin, **more):
    return standin.call("phoson", "GET", "/agents", **more)


def raw(standin, data, until=None):
    """What comes back for these bytes; all of it unless told until when."""
    with socket.create_connection(standin.address, HANG_S) as line:
        line.sendall(data)
        return received(line, until)


# ---- HTTP ----

@test
def a_line_is_kept_for_the_next_request(standin):
    for _ in range(3):
        equal(agents(standin).status, 200)
    equal(len({entry["connection"] for entry in standin.requests()}), 1)
    two = raw(standin, 2 * (b"GET /phoson/agents HTTP/1.1\r\nHost: h\r\n"
                            b"Authorization: Bearer pk_standin\r\n\r\n"),
              b"[]HTTP/1.1 200 OK")
    check(two.count(b"200 OK") == 2, two)


@test
def a_line_ends_when_the_client_says_so(standin):
    for head in (b"GET /phoson/x HTTP/1.0\r\n\r\n",
                 b"GET /phoson/x HTTP/1.1\r\nConnection: close\r\n\r\n"):
        answer = raw(standin, head)
        check(b"Connection: close\r\n" in answer, answer)


@test
def bodies_come_whole_chunked_or_compressed(standin):
    content = json.dumps({"name": "n"}).encode()
    line = standin.connect()
    line.request("POST", PATH, iter([content[:3], content[3:]]),
                 {"Authorization": "Bearer pk_standin"}, encode_chunked=True)
    equal(line.getresponse().status, 200)
    line.close()
    answer = standin.request("POST", PATH, gzip.compress(content), KEY,
                             {"Content-Encoding": "gzip"})
    equal(answer.json["name"], "n")
    equal([entry["body"] for entry in standin.requests()], [{"name": "n"}] * 2)


@test
def a_client_that_waits_for_100_gets_it(standin):
    with socket.create_connection(standin.address, HANG_S) as line:
        line.sendall(b"POST /phoson/agents HTTP/1.1\r\nContent-Length: 2\r\n"
                     b"Authorization: Bearer pk_standin\r\n"
                     b"Expect: 100-continue\r\n\r\n")
        check(received(line, b"\r\n\r\n").startswith(b"HTTP/1.1 100 "), "100")
        line.sendall(b"{}")
        check(received(line, b"}").startswith(b"HTTP/1.1 200 "), "200")


@test
def what_is_no_http_is_a_400_and_hurts_nobody(standin):
    for data in (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
                 b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
                 b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                 b"zz\r\n"):
        check(raw(standin, data).startswith(b"HTTP/1.1 400 "), data)
    head = b"GET / HTTP/1.1\r\nX: " + b"x" * 70000
    check(raw(standin, head).startswith(b"HTTP/1.1 431 "), "431")
    equal(agents(standin).status, 200)


# ---- scripts ----

@test
def an_answer_can_be_replaced(standin):
    standin.next({"status": 503, "json": {"detail": "busy"},
                  "retry_after": 120, "headers": {"X-Own": "1"}})
    answer = agents(standin)
    equal((answer.status, answer.json, answer.headers["Retry-After"],
           answer.headers["X-Own"]), (503, {"detail": "busy"}, "120", "1"))
    standin.next({"status": 500, "text": "Internal Server Error",
                  "retry_after": "Fri, 31 Jan 2025 09:30:00 GMT"})
    answer = agents(standin)
    equal((answer.status, answer.text, answer.headers["Content-Type"]),
          (500, "Internal Server Error", "text/plain; charset=utf-8"))
    equal(answer.headers["Retry-After"], "Fri, 31 Jan 2025 09:30:00 GMT")
    standin.next({"status": 503})
    equal(agents(standin).body, b"")
    equal(agents(standin).status, 200)


@test
def headers_alone_change_the_services_own_answer(standin):
    standin.next({"headers": {"content-type": "text/html"}})
    answer = agents(standin)
    equal((answer.status, answer.json, answer.headers.get_all("Content-Type")),
          (200, [], ["text/html"]))


@test
def an_answer_tells_the_time_or_the_one_that_it_is_told(standin):
    check(agents(standin).headers["Date"].endswith(" GMT"), "its own")
    told = "Fri, 31 Jan 2025 09:30:00 GMT"
    standin.next({"headers": {"Date": told}})
    equal(agents(standin).headers.get_all("Date"), [told])


@test
def steps_are_taken_in_order_by_method_path_and_times(standin):
    standin.next({"status": 504}, path="*/agents/*", method="GET")
    standin.next({"status": 500}, times=2, path="*/agents", method="GET")
    standin.next({"status": 501}, times=0, service="flux0")
    standin.next({"status": 502}, method="POST")
    equal([agents(standin).status for _ in range(3)], [500, 500, 200])
    equal([standin.call("flux0", "GET", "/api/agents").status
           for _ in range(3)], [501] * 3)
    equal([step["match"] for step in standin.control("GET", "next")],
          [{"path": "*/agents/*", "method": "GET"}, {"service": "flux0"},
           {"method": "POST"}])
    equal(standin.call("phoson", "POST", "/agents", {}).status, 502)
    standin.reset()
    equal(standin.control("GET", "next"), [])


@test
def a_misspelt_script_or_setting_is_refused(standin):
    for name, body in [
            ("next", {}), ("next", [1]), ("next", [{"behavior": {}}]),
            ("next", [{"behaviour": {"statsu": 500}}]),
            ("next", [{"match": {"url": "*"}}]),
            ("settings", {"phosun": {}}), ("settings", {"phoson": {"key": 1}}),
            ("settings", [])]:
        answer = standin.request("POST", f"/standin/{name}", body)
        equal((answer.status, list(answer.json)), (400, ["error"]), body)
    equal(standin.request("GET", "/standin/nothing").status, 404)


@test
def the_service_can_have_taken_what_is_answered_with_an_error(standin):
    standin.next({"status": 502, "served": True})
    equal(standin.call("phoson", "POST", "/agents", {}).status, 502)
    equal(len(agents(standin).json), 1)
    standin.next({"status": 502})
    equal(standin.call("phoson", "POST", "/agents", {}).status, 502)
    equal(len(agents(standin).json), 1)


@test
def the_services_json_can_be_given_another_form(standin):
    made = standin.call("phoson", "POST", "/agents", {"name": "\u00e4"}).json
    path = f"/phoson/agents/{made['id']}"
    standin.next({"extra": {"new": {"a": None}}, "escaped": True})
    answer = standin.request("GET", path, key=KEY)
    equal(answer.json, dict(made, new={"a": None}))
    check(b"\\u00e4" in answer.body, answer)
    standin.next({"without_nulls": True})
    answer = standin.request("GET", path, key=KEY)
    equal(answer.json, {name: value for name, value in made.items()
                        if value is not None})
    check("\u00e4".encode() in answer.body and len(answer.json) < len(made),
          answer)
    standin.next({"extra": {"new": 1}})
    equal(agents(standin).json, [made])


@test
def a_setting_can_hold_for_one_request(standin):
    standin.next({"settings": {"envelope": "data"}})
    equal(agents(standin).json, {"data": []})
    equal(agents(standin).json, [])
    equal(standin.control("GET", "settings")["phoson"]["envelope"], None)


@test
def a_redirect_leads_to_the_same_origin_or_another(standin):
    home = standin.control("GET", "")
    equal(home["services"]["phoson"], standin.url + "/phoson")
    check(home["other"] != standin.url, home)
    for code in (301, 302, 303, 307, 308):
        for to, want in [("same", PATH + "?a=b"),
                         ("other", home["other"] + PATH + "?a=b"),
                         ("/elsewhere", "/elsewhere")]:
            standin.next({"redirect": code, "to": to})
            answer = standin.request("GET", PATH + "?a=b", key=KEY)
            equal((answer.status, answer.headers["Location"]), (code, want))
    host, port = home["other"].removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), HANG_S) as line:
        line.sendall(b"GET /phoson/agents HTTP/1.0\r\nHost: %b:%b\r\n\r\n"
                     % (host.encode(), port.encode()))
        check(received(line).startswith(b"HTTP/1.1 401 "), "the other origin")
    equal(dict(standin.requests()[-1]["headers"])["Host"], f"{host}:{port}")


@test
def two_addresses_lead_nowhere(standin):
    home = standin.control("GET", "")
    host, port = home["closed"].removeprefix("http://").split(":")
    with socket.socket() as line:
        equal(line.connect_ex((host, int(port))), errno.ECONNREFUSED)
    host, port = home["deaf"].removeprefix("http://").split(":")
    with socket.socket() as line:
        line.setblocking(False)
        equal(line.connect_ex((host, int(port))), errno.EINPROGRESS)
        # It never is connected, so how long this looks can only hide a fault.
        equal(select.select([], [line], [], 0.1)[1], [])


# ---- what happens on the line ----

@test
def an_answer_waits_before_its_head_until_released(standin):
    standin.next({"stall": "head"})
    with standin.open("GET", PATH, key=KEY) as line:
        equal(standin.held(), 1)
        line.setblocking(False)
        try:
            check(not line.recv(1), "something came")
        except BlockingIOError:
            pass
        line.settimeout(HANG_S)
        equal(standin.release(), 1)
        check(received(line, b"[]").startswith(b"HTTP/1.1 200 "), "the rest")
    standin.requests(ended="whole", at_least=1)
    equal(standin.held(0), 0)


@test
def an_answer_waits_in_the_middle_of_its_body(standin):
    standin.next({"status": 200, "text": "0123456789", "stall": 4})
    with standin.open("GET", PATH, key=KEY) as line:
        head = received(line, b"0123")
        check(head.endswith(b"\r\n\r\n0123"), head)
        equal(standin.held(), 1)
        standin.release()
        equal(received(line, b"9"), b"456789")


@test
def an_answer_ends_in_the_middle(standin):
    standin.next({"status": 200, "text": "0123456789", "cut": 4})
    with standin.open("GET", PATH, key=KEY) as line:
        answer = received(line)
    check(b"Content-Length: 10\r\n" in answer and answer.endswith(b"\r\n0123"),
          answer)
    standin.next({"status": 200, "text": "0123456789", "cut": 4, "pieces": [3]})
    with standin.open("GET", PATH, key=KEY) as line:
        answer = received(line)
    check(answer.endswith(b"3\r\n012\r\n1\r\n3\r\n"), answer)
    standin.next({"cut": "head"})
    with standin.open("GET", PATH, key=KEY) as line:
        equal(received(line), b"")
    equal(len(standin.requests(ended="cut", at_least=3)), 3)


@test
def a_line_can_end_with_a_reset(standin):
    for cut in (4, "head"):
        standin.next({"status": 200, "text": "0123456789", "cut": cut,
                      "reset": True})
        with standin.open("GET", PATH, key=KEY) as line:
            try:
                received(line)
            except ConnectionResetError:
                continue
        check(False, f"no reset at {cut}")


@test
def a_body_comes_in_pieces_of_given_sizes(standin):
    standin.next({"status": 200, "text": "0123456789", "pieces": [1, 3]})
    with standin.open("GET", PATH, key=KEY) as line:
        _, body, pieces = unchunked(received(line, b"\r\n0\r\n\r\n"))
    equal(pieces, [b"0", b"123", b"4", b"567", b"8", b"9"])


@test
def a_body_can_end_with_its_line(standin):
    standin.next({"close": True})
    with standin.open("GET", PATH, key=KEY) as line:
        answer = received(line)
    check(b"Connection: close\r\n" in answer and answer.endswith(b"[]"), answer)


@test
def a_client_that_leaves_is_noticed_while_it_is_held(standin):
    standin.next({"stall": "head"})
    standin.open("GET", PATH, key=KEY).close()
    standin.requests(ended="gone", at_least=1)
    equal(standin.held(0), 0)


@test
def many_can_be_held_at_once_and_the_rest_goes_on(standin):
    standin.next({"stall": "head"}, times=20)
    lines = [standin.open("GET", PATH, key=KEY) for _ in range(20)]
    equal(standin.held(20), 20)
    equal(agents(standin).status, 200)
    equal(standin.release(), 20)
    for line in lines:
        check(received(line, b"[]").startswith(b"HTTP/1.1 200 "), "released")
        line.close()


# ---- the log ----

@test
def the_log_has_what_was_on_the_wire(standin):
    standin.request("POST", PATH + "?a=1&a=2&b=", {"name": "\u00e4"}, KEY,
                    {"X-Own": "value"})
    entry, = standin.requests()
    equal({name: entry[name] for name in
           ("number", "service", "method", "path", "query", "params", "body",
            "status", "ended")},
          {"number": 1, "service": "phoson", "method": "POST", "path": PATH,
           "query": "a=1&a=2&b=", "params": {"a": ["1", "2"], "b": [""]},
           "body": {"name": "\u00e4"}, "status": 200, "ended": "whole"})
    headers = dict(entry["headers"])
    equal((headers["Authorization"], headers["X-Own"]),
          ("Bearer " + KEY, "value"))
    standin.request("POST", PATH, b"{no json", KEY)
    entry = standin.requests(status=422)[0]
    equal((entry["body"], entry["text"]), (None, "{no json"))
    standin.request("GET", "/nowhere")
    equal([(entry["service"], entry["status"]) for entry in
           standin.requests(path="/nowhere")], [(None, 404)])


@test
def the_log_can_be_asked_for_some_and_forgets_when_reset(standin):
    agents(standin)
    standin.call("flux0", "GET", "/api/agents")
    equal(len(standin.requests(service="flux0", method="GET")), 1)
    equal(len(standin.requests(path="*/agents")), 2)
    equal(len(standin.requests(path="/flux0/*", status=200)), 1)
    standin.call("phoson", "POST", "/agents", {})
    standin.reset()
    equal(standin.requests(), [])
    equal(agents(standin).json, [])


# ---- the program ----

def program(*arguments, **more):
    return subprocess.run([sys.executable, os.path.join(HERE, "standin.py"),
                           *arguments], capture_output=True, text=True,
                          timeout=HANG_S, **more)


@test
def it_ends_with_its_input_or_a_signal(standin):
    with StandIn() as other:
        pass
    equal(other.status, 0)
    with StandIn() as other:
        other.next({"stall": "head"})
        line = other.open("GET", PATH)  # held ones do not hold it up
        other.held()
        other.process.send_signal(signal.SIGTERM)
        equal(other.process.wait(HANG_S), 0)
        line.close()


@test
def a_service_can_be_anywhere(standin):
    with StandIn("--mount", "flux0=/", "--mount", "phoson=/a/v1/") as other:
        equal(other.request("GET", "/api/agents").json, {"data": []})
        equal(other.request("GET", "/a/v1/agents", key=KEY).json, [])
        equal(other.request("GET", "/platform/v2/health").status, 200)


@test
def its_options_are_explained_and_checked(standin):
    done = program("--help")
    check(done.returncode == 0 and "--listen" in done.stdout, done)
    for arguments in (["--listen", "nowhere"], ["--mount", "nobody=/x"]):
        equal(program(*arguments).returncode, 2, arguments)
    taken = "{}:{}".format(*standin.address)
    done = program("--listen", taken)
    equal((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)


main()
