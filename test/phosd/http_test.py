"""What comes over the wire besides good requests: each case is bytes on a raw
socket, the status that must come back, and whether the connection must end."""

import json
import os
import re
import socket
import threading
import time
import uuid

from rig import HANG_S, KEY, Collector, equal, event, main, read_replies, test

BODY = b'{"input":"a","output":"b"}'
HOST = b"Host: x\r\n"
AUTH = b"Authorization: Bearer " + KEY.encode() + b"\r\n"
JSON = b"Content-Type: application/json\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)

OPEN, CLOSED = False, True


def post(fields, body=BODY, version=b"HTTP/1.1", host=HOST):
    return (b"POST /api/ingest " + version + b"\r\n" + host + AUTH + JSON +
            fields + b"\r\n" + body)


def get(target, fields=b"", host=HOST):
    return b"GET " + target + b" HTTP/1.1\r\n" + host + fields + b"\r\n"


# What, the bytes, the status (0: no reply at all), whether the end follows.
# A good request must go on working, so good ones stand among them.
CASES = [
    ("good", post(LENGTH), 201, OPEN),
    ("good chunks", post(CHUNKED, CHUNKS), 201, OPEN),
    ("good 1.0", post(LENGTH, version=b"HTTP/1.0", host=b""), 201, CLOSED),
    ("good GET", get(b"/healthz"), 200, OPEN),
    ("empty lines first", b"\r\n\r\n" + get(b"/healthz"), 200, OPEN),
    ("no blank after the colon", get(b"/healthz", b"X:y\r\n"), 200, OPEN),
    ("bytes beyond ASCII in a value", get(b"/healthz", b"X: \xff\r\n"), 200,
     OPEN),
    ("framing words in a cookie", post(
        LENGTH + b"Cookie: Content-Length=4; Transfer-Encoding=chunked\r\n"),
     201, OPEN),
    # Content-Length
    ("two lengths, equal", post(LENGTH + LENGTH), 400, CLOSED),
    ("two lengths", post(LENGTH + b"Content-Length: 5\r\n"), 400, CLOSED),
    ("two lengths, other case", post(LENGTH + b"content-LENGTH: 5\r\n"), 400,
     CLOSED),
    ("length as a list", post(b"Content-Length: 26, 26\r\n"), 400, CLOSED),
    ("length with plus", post(b"Content-Length: +26\r\n"), 400, CLOSED),
    ("length with minus", post(b"Content-Length: -26\r\n"), 400, CLOSED),
    ("length in hex", post(b"Content-Length: 0x1a\r\n"), 400, CLOSED),
    ("length with a blank", post(b"Content-Length: 2 6\r\n"), 400, CLOSED),
    ("length with a point", post(b"Content-Length: 26.0\r\n"), 400, CLOSED),
    ("length with a vertical tab", post(b"Content-Length: 26\x0b\r\n"), 400,
     CLOSED),
    ("empty length", post(b"Content-Length:\r\n"), 400, CLOSED),
    ("length folded", post(b"Content-Length:\r\n 26\r\n"), 400, CLOSED),
    ("blank before the colon of a length", post(b"Content-Length : 26\r\n"),
     400, CLOSED),
    ("length beyond 64 bits", post(b"Content-Length: " + b"9" * 25 + b"\r\n"),
     413, CLOSED),
    ("length of an exabyte", post(b"Content-Length: 1" + b"0" * 18 + b"\r\n"),
     413, CLOSED),
    ("no length", post(b"", b""), 411, CLOSED),
    # Transfer-Encoding
    ("length and chunks", post(LENGTH + CHUNKED, CHUNKS), 400, CLOSED),
    ("chunks and length", post(CHUNKED + LENGTH, CHUNKS), 400, CLOSED),
    ("chunked twice", post(CHUNKED * 2, CHUNKS), 400, CLOSED),
    ("chunked in a list", post(b"Transfer-Encoding: gzip, chunked\r\n",
                               CHUNKS), 400, CLOSED),
    ("identity", post(b"Transfer-Encoding: identity\r\n" + LENGTH), 400,
     CLOSED),
    ("xchunked", post(b"Transfer-Encoding: xchunked\r\n", CHUNKS), 400, CLOSED),
    ("chunked in quotes", post(b"Transfer-Encoding: \"chunked\"\r\n", CHUNKS),
     400, CLOSED),
    ("chunked after a tab", post(b"Transfer-Encoding:\t \tchunked\r\n",
                                 CHUNKS), 400, CLOSED),
    ("chunked and a NUL", post(b"Transfer-Encoding: chunked\0x\r\n", CHUNKS),
     400, CLOSED),
    ("chunked folded", post(b"Transfer-Encoding:\r\n chunked\r\n", CHUNKS), 400,
     CLOSED),
    ("blank before the colon of chunked",
     post(b"Transfer-Encoding : chunked\r\n" + LENGTH), 400, CLOSED),
    ("chunked in 1.0", post(CHUNKED, CHUNKS, version=b"HTTP/1.0"), 400,
     CLOSED),
    ("chunk size beyond 64 bits", post(CHUNKED, b"f" * 17 + b"\r\n" + BODY),
     413, CLOSED),
    ("chunk size with 0x", post(CHUNKED, b"0x1a\r\n" + BODY), 400, CLOSED),
    ("chunk size below 0", post(CHUNKED, b"-1a\r\n" + BODY), 400, CLOSED),
    ("chunk size of letters", post(CHUNKED, b"zz\r\n" + BODY), 400, CLOSED),
    ("empty chunk size", post(CHUNKED, b"\r\n" + BODY), 400, CLOSED),
    ("chunk without its end", post(CHUNKED, b"1a\r\n" + BODY + b"XX0\r\n\r\n"),
     400, CLOSED),
    # Host and the request line
    ("two hosts", post(LENGTH, host=HOST + b"Host: y\r\n"), 400, CLOSED),
    ("two hosts, equal", post(LENGTH, host=HOST * 2), 400, CLOSED),
    ("no host", post(LENGTH, host=b""), 400, CLOSED),
    ("no version", b"GET /healthz\r\n\r\n", 400, CLOSED),
    ("version 1.2", post(LENGTH, version=b"HTTP/1.2"), 400, CLOSED),
    ("version 1.10", post(LENGTH, version=b"HTTP/1.10"), 400, CLOSED),
    ("version 1.1x", post(LENGTH, version=b"HTTP/1.1x"), 400, CLOSED),
    ("version in small letters", post(LENGTH, version=b"http/1.1"), 400,
     CLOSED),
    ("version 2.0", post(LENGTH, version=b"HTTP/2.0"), 505, CLOSED),
    ("an HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, CLOSED),
    ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 0,
     CLOSED),
    ("blank in the target", get(b"/heal thz"), 400, CLOSED),
    ("two blanks before the target", get(b" /healthz"), 400, CLOSED),
    ("tabs in the request line", b"GET\t/healthz\tHTTP/1.1\r\n" + HOST +
     b"\r\n", 0, CLOSED),
    ("NUL in the target", get(b"/healthz\0x"), 400, CLOSED),
    ("byte beyond ASCII in the target", get(b"/healthz\xff"), 400, CLOSED),
    ("absolute target", get(b"http://x/healthz"), 400, OPEN),
    ("authority as target", b"CONNECT x:80 HTTP/1.1\r\n" + HOST + b"\r\n", 400,
     OPEN),
    ("star as target", b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", 400, OPEN),
    ("method in small letters", get(b"/healthz").lower().replace(
        b"http/1.1", b"HTTP/1.1"), 405, OPEN),
    ("method made up", get(b"/healthz").replace(b"GET", b"G(T"), 405, OPEN),
    ("target of 9 kB", get(b"/" + b"a" * 9000), 414, CLOSED),
    ("target of 1 MB", get(b"/" + b"a" * 1000000), 414, CLOSED),
    # Fields
    ("folded field", get(b"/healthz", b"X: y\r\n z\r\n"), 400, CLOSED),
    ("first field folded", get(b"/healthz", host=b" X: y\r\n" + HOST), 400,
     CLOSED),
    ("blank before the colon", get(b"/healthz", b"X : y\r\n"), 400, CLOSED),
    ("no colon", get(b"/healthz", b"Xyz\r\n"), 400, CLOSED),
    ("no name", get(b"/healthz", b": y\r\n"), 400, CLOSED),
    ("bracket in a name", get(b"/healthz", b"X(y): z\r\n"), 400, CLOSED),
    ("NUL in a name", get(b"/healthz", b"X\0Y: z\r\n"), 400, CLOSED),
    ("NUL in a value", get(b"/healthz", b"X: a\0b\r\n"), 400, CLOSED),
    ("control byte in a value", get(b"/healthz", b"X: a\x01b\r\n"), 400,
     CLOSED),
    ("bare CR in a value", get(b"/healthz", b"X: a\rb\r\n"), 400, CLOSED),
    ("two keys", post(AUTH + LENGTH), 400, CLOSED),
    ("two content types", post(JSON + LENGTH), 400, CLOSED),
    ("101 fields", get(b"/healthz", b"X: y\r\n" * 101), 431, CLOSED),
    ("10,000 fields", get(b"/healthz", b"X: y\r\n" * 10000), 431, CLOSED),
    ("field of 20 kB", get(b"/healthz", b"X: " + b"y" * 20000 + b"\r\n"), 431,
     CLOSED),
    ("field of 1 MB", get(b"/healthz", b"X: " + b"y" * 1000000 + b"\r\n"), 431,
     CLOSED),
]


def exchange(port, data):
    """Sends, then asks for nothing more on a connection that stays open by
    one good request; returns the first reply's status and whether the
    connection ended after it."""
    with socket.create_connection(("127.0.0.1", port), HANG_S) as sock:
        try:
            sock.sendall(data)
        except OSError:
            pass  # refused while we were sending: the reply tells
        first = read_replies(sock)
        status = int(first.split(b" ", 2)[1]) if first else 0
        try:
            sock.sendall(get(b"/healthz"))
            second = read_replies(sock)
        except OSError:
            second = b""
        return status, b'{"status":"ok"}' not in second, first


@test
def every_malformed_request_gets_its_status_and_the_connection_its_end():
    wrong = []
    with Collector() as phosd:
        for what, data, status, closed in CASES:
            got = exchange(phosd.port, data)
            if got[:2] != (status, closed):
                wrong.append("%s: want %r, got %r" % (
                    what, (status, closed), got))
        stored = phosd.get("/api/events").json["total"]
    assert not wrong, "\n".join(wrong)
    equal(stored, sum(1 for case in CASES if case[2] == 201))


@test
def no_request_can_hide_behind_a_refused_one():
    hidden = get(b"/api/sessions", AUTH)
    with Collector() as phosd:
        for what, data, status, closed in CASES:
            if not closed or status == 201:
                continue
            with socket.create_connection(("127.0.0.1", phosd.port),
                                          HANG_S) as sock:
                try:
                    sock.sendall(data + hidden)
                except OSError:
                    pass
                got = b""
                while True:
                    try:
                        piece = sock.recv(65536)
                    except ConnectionError:
                        break
                    if not piece:
                        break
                    got += piece
                assert b'"sessions"' not in got, (what, got)


@test
def errors_are_json_with_one_text():
    with Collector() as phosd:
        for method, path, body, status in (
                ("GET", "/nope", None, 404), ("GET", "/api/ingest", None, 405),
                ("POST", "/api/ingest", b"{", 400),
                ("GET", "/api/events/x", None, 400),
                ("GET", "/api/sessions/none", None, 404)):
            reply = phosd.ask(method, path, body)
            equal(reply.status, status)
            equal(reply.headers["Content-Type"], "application/json")
            equal(reply.headers["X-Content-Type-Options"], "nosniff")
            equal(reply.headers["Cache-Control"], "no-store")
            equal(list(reply.json), ["error"])
            assert isinstance(reply.error, str) and reply.error


PATHS = {
    "/api/ingest": "POST", "/api/ingest/batch": "POST",
    "/api/feedback": "POST", "/api/events": "GET, HEAD",
    "/api/events/" + str(uuid.uuid4()): "GET, HEAD",
    "/api/sessions": "GET, HEAD", "/api/sessions/x": "GET, HEAD",
    "/healthz": "GET, HEAD",
}


@test
def a_wrong_method_is_told_the_right_ones():
    with Collector() as phosd:
        for path, allow in PATHS.items():
            for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS",
                           "TRACE", "BREW"):
                if method in allow:
                    continue
                reply = phosd.ask(method, path)
                equal((reply.status, reply.headers["Allow"]), (405, allow),
                      method + " " + path)


@test
def paths_are_taken_letter_by_letter():
    odd = ["//", "/api", "/api/", "/API/events", "/api/events/",
           "/api//events", "//api/events", "/api/./events",
           "/api/x/../events", "/api/events/../events", "/%61pi/events",
           "/api%2Fevents", "/api/events%00", "/api/events.", "/api/events;x",
           "/api/sessions/a/b", "/healthz/", "/api/ingest/", "/api/ingest/x",
           "/api/ingest/batch/", "/api/feedback/x", "/api/events/x/y"]
    with Collector() as phosd:
        for path in odd:
            reply = phosd.ask("GET", path)
            equal((reply.status, reply.error),
                  (404, "there is nothing at this path"), path)
        equal(phosd.ask("GET", "/api/sessions/%2e%2e").status, 404)
        equal(phosd.ask("GET", "/api/sessions/%").status, 400)
        equal(phosd.ask("GET", "/api/sessions/%00").status, 400)
        equal(phosd.ask("GET", "/api/sessions/%ff").status, 400)


@test
def a_head_request_is_answered_like_get_without_the_body():
    with Collector() as phosd:
        connection = phosd.connect()
        for path in ("/healthz", "/api/events", "/nope"):
            full = phosd.ask("GET", path)
            bare = phosd.ask("HEAD", path, connection=connection)
            equal((bare.status, bare.body), (full.status, b""))
            equal(bare.headers["Content-Length"], str(len(full.body)))


@test
def only_json_is_taken():
    with Collector() as phosd:
        for kind, status in (("application/json", 201),
                             ("Application/JSON; charset=utf-8", 201),
                             ("application/json ;x", 201),
                             ("text/plain", 415), ("text/json", 415),
                             ("application/jsonx", 415), ("", 415),
                             ("application/x-www-form-urlencoded", 415),
                             ("multipart/form-data; boundary=x", 415),
                             (None, 415)):
            reply = phosd.ask("POST", "/api/ingest", BODY,
                              {"Content-Type": kind})
            equal(reply.status, status, kind)


@test
def every_path_but_healthz_wants_a_known_key():
    with Collector() as phosd:
        for path, allow in PATHS.items():
            method = allow.split(",")[0]
            body = BODY if method == "POST" else None
            for value in (None, "", KEY, "Bearer", "Bearer ", "Bearer  ",
                          "Basic " + KEY, "Bearer x", "Bearer " + KEY + "x",
                          "Bearer " + KEY[:-1], "Bearer " + KEY + " " + KEY,
                          "Bearer " + KEY.upper(), "Bearer" + KEY):
                reply = phosd.ask(method, path, body,
                                  {"Authorization": value})
                if path == "/healthz":
                    equal((reply.status, reply.json), (200, {"status": "ok"}))
                    continue
                equal(reply.status, 401, (path, value))
                equal(reply.headers["WWW-Authenticate"], "Bearer")
                assert "Bearer <key>" in reply.error, reply
        for value in ("bearer " + KEY, "BEARER   " + KEY):
            equal(phosd.ask("GET", "/api/events", None,
                            {"Authorization": value}).status, 200)


@test
def a_body_over_the_limit_is_413_however_it_comes():
    with Collector("--body-max", "2000") as phosd:
        fits = json.dumps(event("x" * 1800)).encode()
        fits += b" " * (2000 - len(fits))
        connection = phosd.connect()
        for chunked in (False, True):
            for body, status in ((fits, 201), (fits + b" ", 413),
                                 (b"x" * 5000000, 413), (fits, 201)):
                if chunked:
                    pieces = (body[at:at + 700]
                              for at in range(0, len(body), 700))
                    connection.request("POST", "/api/ingest", pieces, {
                        "Authorization": "Bearer " + KEY,
                        "Content-Type": "application/json"},
                        encode_chunked=True)
                else:
                    connection.request("POST", "/api/ingest", body, {
                        "Authorization": "Bearer " + KEY,
                        "Content-Type": "application/json"})
                reply = connection.getresponse()
                text = reply.read()
                # The connection stays of use: the rest was read and dropped.
                equal((reply.status, len(body)), (status, len(body)), text)
        equal(phosd.get("/api/events").json["total"], 1)


@test
def the_default_limit_takes_eight_mebibytes():
    with Collector() as phosd:
        body = json.dumps(event("x" * (8 << 20))).encode()
        equal(phosd.ask("POST", "/api/ingest", body).status, 413)
        cut = len(body) - (8 << 20)
        body = json.dumps(event("x" * ((8 << 20) - cut))).encode()
        equal(len(body), 8 << 20)
        equal(phosd.ask("POST", "/api/ingest", body).status, 201)


@test
def a_client_that_asks_first_is_told_before_it_sends():
    with Collector() as phosd:
        expect = b"Expect: 100-continue\r\n"
        with socket.create_connection(("127.0.0.1", phosd.port),
                                      HANG_S) as sock:
            sock.sendall(post(LENGTH + expect, b""))
            equal(sock.recv(100), b"HTTP/1.1 100 Continue\r\n\r\n")
            sock.sendall(BODY)
            assert read_replies(sock).startswith(b"HTTP/1.1 201 ")
        for fields, status in ((b"Content-Length: 99999999\r\n" + expect, 413),
                               (LENGTH.replace(b"Content-L", b"X: y\r\n"
                                               b"Content-L") + expect, 401)):
            data = post(fields, b"")
            if status == 401:
                data = data.replace(KEY.encode(), b"wrong")
            got = phosd.raw(data)
            assert got.startswith(b"HTTP/1.1 %d " % status), got


@test
def two_hundred_requests_at_once_are_answered_in_order():
    ids = [str(uuid.uuid4()) for _ in range(200)]
    data = b"".join(
        post(b"Content-Length: %d\r\n" % len(body), body) for body in
        (json.dumps(event(event_id=i)).encode() for i in ids))
    with Collector() as phosd:
        with socket.create_connection(("127.0.0.1", phosd.port),
                                      HANG_S) as sock:
            sender = threading.Thread(target=sock.sendall, args=(data,))
            sender.start()
            got = b""
            while got.count(b'"event_id"') < 200:
                piece = sock.recv(65536)
                assert piece, got[-300:]
                got += piece
            sender.join()
        equal(re.findall(rb'"event_id":"([^"]*)"', got),
              [i.encode() for i in ids])


@test
def slow_clients_are_let_go_and_the_others_served():
    """Each kind of slowness: the connection ends by itself although a byte
    comes now and then, and good requests pass meanwhile."""
    with Collector("--head-timeout-ms", "300", "--body-timeout-ms", "300",
                   "--idle-timeout-ms", "300",
                   "--reply-timeout-ms", "300") as phosd:
        started = [b"", b"G", b"GET /healthz HTTP/1.1\r\n",
                   b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: ",
                   post(b"Content-Length: 100000\r\n", b""),
                   post(b"Content-Length: 100000\r\n", b"{"),
                   post(CHUNKED, b"4\r\n{"),
                   get(b"/healthz")]
        socks = []
        for data in started:
            sock = socket.create_connection(("127.0.0.1", phosd.port), HANG_S)
            sock.sendall(data)
            socks.append(sock)
        begin = time.monotonic()
        alive = list(socks)
        while alive:
            equal(phosd.get("/healthz").status, 200)
            for sock in list(alive):
                sock.settimeout(0.02)
                try:
                    if sock.recv(65536) == b"":
                        alive.remove(sock)
                    elif sock is socks[-1]:
                        continue
                    sock.sendall(b" ")  # slow, but not silent
                except socket.timeout:
                    try:
                        if sock is not socks[-1]:
                            sock.sendall(b"x")
                    except OSError:
                        pass
                except OSError:
                    alive.remove(sock)
            assert time.monotonic() - begin < HANG_S, "still there: %r" % [
                started[socks.index(sock)] for sock in alive]
        for sock in socks:
            sock.close()


def wait_until_alone(phosd):
    """Until the listening socket is the only one that phosd holds."""
    folder = "/proc/%d/fd/" % phosd.process.pid
    begin = time.monotonic()
    while True:
        held = []
        for name in os.listdir(folder):
            try:
                held.append(os.readlink(folder + name))
            except FileNotFoundError:
                pass  # closed meanwhile
        if sum(name.startswith("socket:") for name in held) == 1:
            return
        assert time.monotonic() - begin < HANG_S, held


@test
def a_client_that_takes_no_reply_is_let_go():
    with Collector("--reply-timeout-ms", "200") as phosd:
        # More than the kernel keeps for a connection; 7 MiB may take two
        # seconds, and nothing is read meanwhile.
        phosd.ingest(event("x" * (7 << 20)))
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(HANG_S)
        sock.connect(("127.0.0.1", phosd.port))
        sock.sendall(get(b"/api/events", AUTH))
        wait_until_alone(phosd)
        sock.close()
        equal(phosd.get("/healthz").status, 200)


@test
def clients_that_vanish_leave_nothing_behind():
    with Collector("--head-timeout-ms", "500",
                   "--body-timeout-ms", "500") as phosd:
        data = post(LENGTH)
        for n in range(300):
            sock = socket.create_connection(("127.0.0.1", phosd.port), HANG_S)
            sock.sendall(data[:len(data) * (n % 10 + 1) // 10])
            if n % 2:  # a reset instead of an orderly end
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                b"\x01\0\0\0\0\0\0\0")
            sock.close()
        wait_until_alone(phosd)
        equal(phosd.get("/healthz").status, 200)


main()
