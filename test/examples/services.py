"""The services that the examples talk to: one that is made of a few lines of
Python and keeps what it was sent, and the real collector."""

import contextlib
import http.server
import json
import pathlib
import re
import subprocess
import tempfile
import threading
import urllib.request

from tap import DEADLINE_S

KEY = "ph_test_0123456789"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        body = json.loads(self.rfile.read(length))
        authorization = self.headers.get("Authorization")
        status, reply = self.server.stand_in.answer(
            self.path, authorization, body)
        content = (reply if isinstance(reply, str)
                   else json.dumps(reply)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


class StandIn:
    """An ingestion API and a chat model on one ephemeral port."""

    key = KEY

    def __init__(self):
        self.batches = []
        self.chats = []  # what the model was asked
        self.chat_reply = (500, {})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.stand_in = self
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,),
                         daemon=True).start()

    def answer(self, path, authorization, body):
        if path == "/v1/chat/completions":
            self.chats.append((authorization, body))
            return self.chat_reply
        if path != "/api/ingest/batch":
            return 404, {"error": "no such path"}
        if authorization != f"Bearer {KEY}":
            return 401, {"error": "unknown key"}
        self.batches.append(body["events"])
        return 201, {"accepted": len(body["events"]),
                     "event_ids": [e["event_id"] for e in body["events"]]}

    def events(self):
        """Everything taken, oldest first: batches may overtake each other."""
        events = [event for batch in self.batches for event in batch]
        return sorted(events, key=lambda event: event["timestamp"])

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Collector:
    """phosd on an ephemeral port with a database of its own."""

    def __init__(self, program, directory, key, listen):
        self.key = key
        directory = pathlib.Path(directory)
        key_file = directory / "key"
        key_file.touch(mode=0o600)
        key_file.write_text(key + "\n")
        self.process = subprocess.Popen(
            [program, "--listen", listen,
             "--db", str(directory / "events.sqlite"),
             "--api-key-file", str(key_file)],
            stdout=subprocess.PIPE, text=True)
        self.url = None
        for line in self.process.stdout:
            address = re.search(r"listening on (http://\S+)", line)
            if address:
                self.url = address[1]
                break
        if self.url is None:
            raise AssertionError("phosd ended without an address")

    def request(self, path, body=None):
        request = urllib.request.Request(
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.key}",
                     "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as reply:
            return json.load(reply)

    def events(self):
        """Everything stored, oldest first."""
        events = []
        while True:
            page = self.request(f"/api/events?limit=100&offset={len(events)}")
            events += page["events"]
            if len(events) >= page["total"]:
                return events[::-1]

    def stop(self):
        self.process.terminate()
        status = self.process.wait(DEADLINE_S)
        self.process.stdout.close()
        if status != 0:
            raise AssertionError(f"phosd ended with {status}")


@contextlib.contextmanager
def stand_in():
    service = StandIn()
    try:
        yield service
    finally:
        service.stop()


@contextlib.contextmanager
def collector(program, key=KEY, listen="127.0.0.1:0"):
    with tempfile.TemporaryDirectory() as directory:
        service = Collector(program, directory, key, listen)
        try:
            yield service
        finally:
            service.stop()
