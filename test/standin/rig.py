"""What tests of and with the stand-in share: one of it on a free port, its
control routes, and requests as the services' clients would send them."""
import http.client
import json
import os
import socket
import subprocess
import sys
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
HANG_S = 30  # nothing takes that long; a guard against hanging for ever
KEYS = {"ingest": "ph_standin", "platform": "org_key", "phoson": "pk_standin",
        "flux0": None}


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:500]!r}"


class StandIn:
    """Ends with the `with` block."""

    def __init__(self, *options):
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "standin.py"), "--listen",
             "127.0.0.1:0", *options], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            raise AssertionError("the stand-in did not start")
        where = urllib.parse.urlsplit(self.url)
        self.address = where.hostname, where.port
        self.line = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.line:
            self.line.close()
        self.process.stdin.close()
        self.status = self.process.wait(HANG_S)
        self.process.stdout.close()

    # ---- requests ----

    def connect(self):
        return http.client.HTTPConnection(*self.address, timeout=HANG_S)

    def request(self, method, path, body=None, key=None, headers=(),
                line=None):
        """One request; `body` is JSON, or bytes as they are."""
        if self.line is None:
            self.line = self.connect()
        line = line or self.line
        headers = dict(headers)
        if key:
            headers["Authorization"] = f"Bearer {key}"
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        line.request(method, path, body, headers)
        reply = line.getresponse()
        return Answer(reply.status, reply.headers, reply.read())

    def call(self, service, method, path, body=None, **more):
        """With that service's prefix and key."""
        more.setdefault("key", KEYS[service])
        return self.request(method, f"/{service}{path}", body, **more)

    def open(self, method, path, body=None, key=None, headers=()):
        """A request on a socket of its own, of which nothing is read yet."""
        content = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", "Host: standin",
                 f"Content-Length: {len(content)}", *headers]
        if key:
            lines.append(f"Authorization: Bearer {key}")
        line = socket.create_connection(self.address, HANG_S)
        line.sendall("\r\n".join([*lines, "", ""]).encode() + content)
        return line

    # ---- control ----

    def control(self, method, name, body=None):
        answer = self.request(method, f"/standin/{name}", body)
        if answer.status != 200:
            raise AssertionError(f"{method} {name}: {answer!r}")
        return answer.json

    def next(self, behaviour, times=1, **match):
        self.control("POST", "next", [{"match": match, "times": times,
                                       "behaviour": behaviour}])

    def settings(self, service, **settings):
        self.control("POST", "settings", {service: settings})

    def held(self, at_least=1):
        return self.control("GET", f"held?at_least={at_least}")["held"]

    def release(self):
        return self.control("POST", "release")["released"]

    def requests(self, **wanted):
        return self.control("GET", "requests?" + urllib.parse.urlencode(wanted))

    def reset(self):
        self.control("POST", "reset")


def received(line, until=None):
    """All until the other side closes, or until these bytes have come."""
    data = bytearray()
    while until is None or until not in data:
        part = line.recv(1 << 18)
        if not part:
            break
        data += part
    return bytes(data)


def unchunked(data):
    """(head, body, pieces) of a chunked reply that came whole."""
    head, _, rest = data.partition(b"\r\n\r\n")
    pieces = []
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        pieces.append(rest[:int(size, 16)])
        rest = rest[int(size, 16) + 2:]
        if not pieces[-1]:
            return head, b"".join(pieces), pieces[:-1]
    return head, b"".join(pieces), pieces
