"""What the collector's tests share: a phosd of their own on a free port, a
client, and TAP. Standard library alone."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.parse
import uuid

PHOSD = os.environ["PHOSD"]
KEY = "ph_test"
HANG_S = 30  # nothing takes that long; a guard against hanging for ever


class Skip(Exception):
    """Raised by a test whose world cannot be built here."""


class Reply:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json["error"]

    def __repr__(self):
        return "%d %r" % (self.status, self.body[:300])


class Collector:
    """One phosd in a directory of its own; ends with the `with` block."""

    def __init__(self, *options, key=KEY, keys=None, directory=None,
                 environment=None, limits=None, listen="127.0.0.1:0", db=None):
        self.own_directory = directory is None
        self.directory = directory or tempfile.mkdtemp(prefix="phosd-test-")
        self.db = db or os.path.join(self.directory, "events.sqlite")
        self.key = key
        self.options = list(options)
        self.limits = limits
        self.listen = listen
        self.environment = {name: value for name, value in os.environ.items()
                            if not name.startswith("PHOS")}
        if keys is not None:
            path = os.path.join(self.directory, "keys")
            with open(path, "w") as file:
                file.write(keys)
            self.options += ["--api-key-file", path]
        elif key is not None:
            self.environment["PHOSPHO_API_KEY"] = key
        self.environment.update(environment or {})
        self.process = None

    def start(self):
        self.log = open(os.path.join(self.directory, "stderr"), "ab")
        self.process = subprocess.Popen(
            [PHOSD, "--listen", self.listen, "--db", self.db] + self.options,
            stdout=subprocess.PIPE, stderr=self.log, env=self.environment,
            preexec_fn=self.before)
        line = self.process.stdout.readline().decode()
        ready = re.fullmatch(r"phosd: listening on http://(\S+):(\d+)\n", line)
        if not ready:
            self.process.wait(HANG_S)
            raise AssertionError("phosd did not start: %r %s"
                                 % (line, self.stderr()))
        self.host = ready.group(1).strip("[]")
        self.port = int(ready.group(2))
        return self

    def before(self):
        """In the child: signals as a terminal leaves them, whatever these
        tests were started by."""
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        if self.limits:
            self.limits()

    def stderr(self):
        with open(os.path.join(self.directory, "stderr")) as file:
            return file.read()

    def stop(self, number=signal.SIGTERM):
        """Returns the exit status; what is left on stdout is checked to be
        nothing."""
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=HANG_S)
        assert rest == b"", rest
        self.log.close()
        status = self.process.returncode
        self.process = None
        return status

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        status = 0
        try:
            if self.process:
                status = self.stop()
        finally:
            if self.process:
                self.process.kill()
                self.process.communicate()
            if kind is not None:
                print("# phosd said: %s" % self.stderr().replace("\n", "\n# "))
            if self.own_directory:
                shutil.rmtree(self.directory, ignore_errors=True)
        if kind is None:
            assert status == 0, "phosd ended with %r" % status

    def connect(self):
        return http.client.HTTPConnection(self.host, self.port,
                                          timeout=HANG_S)

    def ask(self, method, path, body=None, headers=None, key=None,
            connection=None):
        """One request; a body that is not bytes is sent as JSON. `headers`
        replaces and, with None as value, removes."""
        fields = {"Authorization": "Bearer " + (key or self.key or "none")}
        if body is not None:
            fields["Content-Type"] = "application/json"
            if not isinstance(body, bytes):
                body = json.dumps(body).encode()
        fields.update(headers or {})
        fields = {n: v for n, v in fields.items() if v is not None}
        own = connection is None
        connection = connection or self.connect()
        try:
            connection.request(method, path, body=body, headers=fields)
            reply = connection.getresponse()
            return Reply(reply.status, reply.headers, reply.read())
        finally:
            if own:
                connection.close()

    def get(self, path, key=None, **parameters):
        # `from` is a word of Python, so it is written from_.
        query = urllib.parse.urlencode(
            {name.rstrip("_"): value for name, value in parameters.items()},
            quote_via=urllib.parse.quote)
        return self.ask("GET", path + ("?" + query if query else ""), key=key)

    def ingest(self, *events, key=None):
        """Sends a batch and expects it to be stored; returns the ids."""
        reply = self.ask("POST", "/api/ingest/batch",
                         {"events": list(events)}, key=key)
        assert reply.status == 201, reply
        assert reply.json["accepted"] == len(events), reply
        return reply.json["event_ids"]

    def raw(self, *pieces):
        """Sends bytes as they are and returns all that comes back until the
        other side closes or the reply is whole."""
        with socket.create_connection(("127.0.0.1", self.port),
                                      timeout=HANG_S) as sock:
            try:
                for piece in pieces:
                    sock.sendall(piece)
            except OSError:
                pass
            return read_replies(sock)


def read_replies(sock):
    """Everything until the end of the stream, or until a reply with
    Content-Length is complete and nothing more follows."""
    data = b""
    while True:
        try:
            piece = sock.recv(65536)
        except ConnectionError:
            return data
        if not piece:
            return data
        data += piece
        if complete(data):
            return data


def complete(data):
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator:
        return False
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"connection" and value.strip() == b"close":
            return False
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return len(body) >= int(value)
    return False


def event(text="hello", **fields):
    """An event with an id of its own."""
    whole = {"event_id": str(uuid.uuid4()), "input": text, "output": "ok"}
    whole.update(fields)
    return whole


tests = []


def test(function):
    tests.append(function)
    return function


def equal(got, want, what=""):
    assert got == want, "%s\n got: %r\nwant: %r" % (what, got, want)


def main():
    """Runs the tests of the calling program, named by their functions."""
    wanted = sys.argv[1:]
    chosen = [t for t in tests if not wanted or t.__name__ in wanted]
    failed = 0
    print("1..%d" % len(chosen))
    for number, function in enumerate(chosen, 1):
        name = function.__name__.replace("_", " ")
        begin = time.monotonic()
        try:
            function()
            print("ok %d - %s" % (number, name))
        except Skip as reason:
            print("ok %d - %s # SKIP %s" % (number, name, reason))
        except Exception:  # a failure is told, and the others still run
            failed += 1
            print("# " + traceback.format_exc().replace("\n", "\n# "))
            print("not ok %d - %s" % (number, name))
        print("# %.1f s" % (time.monotonic() - begin))
        sys.stdout.flush()
    sys.exit(1 if failed else 0)
