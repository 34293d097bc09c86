"""What the end-to-end tests share: TAP, the programs under test, a service of
our own that can be told what to answer, and events to send.

Nothing here sleeps: tests wait for something to happen, or for a deadline
that only a failure reaches.
"""

import http.server
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import uuid

PHOS = os.environ["PHOS"]
DEADLINE_S = float(os.environ.get("PHOS_TEST_DEADLINE_S", "180"))
KEY = "ph_e2e_0123456789abcdef"


# ---- TAP ----


def run(*tests):
    """Runs the tests in order; each is named by the sentence it proves."""
    failed = 0
    print(f"1..{len(tests)}", flush=True)
    for number, test in enumerate(tests, 1):
        try:
            with tempfile.TemporaryDirectory(prefix="phos-e2e-") as folder:
                test(folder)
            print(f"ok {number} - {test.__name__}", flush=True)
        except Exception:
            failed += 1
            print(f"not ok {number} - {test.__name__}")
            for line in traceback.format_exc().splitlines():
                print("#", line)
            sys.stdout.flush()
    sys.exit(1 if failed else 0)


def same(got, wanted, what="value"):
    if got != wanted:
        raise AssertionError(f"{what}: got {got!r}, want {wanted!r}")


def true(condition, what):
    if not condition:
        raise AssertionError(what)


def wait_until(condition, what):
    """Asks again and again. Each question costs a system call or a request,
    so this yields to the programs that it waits for."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain for {what}")
        os.sched_yield()


# ---- events ----


def event(number, text="How tall is K2?", **more):
    """One a second, so that the order in a session is theirs and not that of
    the requests."""
    made = {
        "event_id": str(uuid.UUID(int=(4 << 76) | (2 << 62) | number)),
        "session_id": f"session-{number % 97}",
        "input": f"{number}: {text}",
        "output": "8,611 m.",
        "metadata": {"model": "m-1", "latency_ms": number % 1000},
        "timestamp": "2025-01-31T%02d:%02d:%02dZ" % (
            number // 3600 % 24, number // 60 % 60, number % 60),
    }
    made.update(more)
    return made


def write_events(folder, events, name="events.ndjson"):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        for one in events:
            file.write(json.dumps(one) + "\n")
    return path


# ---- programs ----


def environment(**more):
    """Ours without what a developer may have set, and quick retries."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PHOS_", "PHOSPHO_", "PHOSD_"))
    }
    kept.update(PHOSPHO_API_KEY=KEY, PHOS_RETRY_BASE_MS="5",
                PHOS_RETRY_CAP_MS="40")
    kept.update(more)
    return {name: value for name, value in kept.items() if value is not None}


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def summary(self):
        """The summary of --json; its sums are checked each time."""
        summary = json.loads(self.out)
        check_sums(summary)
        same(summary["exit_code"], self.code, "exit code in the summary")
        return summary

    def __str__(self):
        return f"exit {self.code}\n{self.out}\n{self.err}"


def check_sums(summary):
    parts = ("delivered", "duplicate", "refused", "dropped", "unknown")
    same(summary["accepted"], sum(summary[part] for part in parts),
         "accepted as a sum")
    same(summary["lines"],
         summary["accepted"] + summary["broken"] + summary["rejected"],
         "lines as a sum")


def phos(*arguments, stdin=subprocess.DEVNULL, **variables):
    """Runs phos to its end. The key never shows in what it prints."""
    done = subprocess.run(
        [PHOS, *arguments], stdin=stdin, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env=environment(**variables),
        timeout=DEADLINE_S)
    result = Result(done.returncode, done.stdout.decode(),
                    done.stderr.decode())
    true(KEY not in result.out and KEY not in result.err,
         f"the key was printed: {result}")
    return result


def heed_signals():
    """In a child: signals as a terminal leaves them, whatever these tests
    were started by."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Running:
    """phos with a pipe for its input, while it runs."""

    def __init__(self, *arguments, **variables):
        self.process = subprocess.Popen(
            [PHOS, *arguments], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment(**variables), preexec_fn=heed_signals)
        self.err = b""

    def write(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def wait_for_err(self, text):
        """Until standard error holds the text."""
        deadline = time.monotonic() + DEADLINE_S
        while text.encode() not in self.err:
            left = deadline - time.monotonic()
            ready = select.select([self.process.stderr], [], [], max(left, 0))
            data = os.read(self.process.stderr.fileno(), 65536) \
                if ready[0] else b""
            if not data:
                raise AssertionError(f"no {text!r} in {self.err!r}")
            self.err += data

    def signal(self, number):
        self.process.send_signal(number)

    def end(self):
        """Closes the input, if it is open, and waits for the end."""
        out, err = self.process.communicate(timeout=DEADLINE_S)
        return Result(self.process.returncode, out.decode(),
                      (self.err + err).decode())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


class Program:
    """A server under test: started on a free port, stopped at the end."""

    def __init__(self, command, pattern, **variables):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env=environment(**variables))
        line = self.process.stdout.readline().decode()
        found = re.search(pattern, line)
        if found is None:
            self.process.kill()
            raise AssertionError(f"{command[0]} said {line!r}")
        self.port = int(found.group(1))
        self.url = f"http://127.0.0.1:{self.port}"

    def stop(self, number=signal.SIGTERM):
        """Returns the rest of its output."""
        self.process.send_signal(number)
        out, _ = self.process.communicate(timeout=DEADLINE_S)
        return out.decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


class FaultServer(Program):
    def __init__(self, folder, *options):
        self.dump = os.path.join(folder, f"dump-{uuid.uuid4()}.ndjson")
        super().__init__([os.environ["FAULT_SERVER"], "--with-stdin",
                          "--dump", self.dump, *options], r"^(\d+)$")

    def report(self):
        """Stops it; returns its counts and the events it stored, by id."""
        counts = json.loads(self.stop())
        with open(self.dump, encoding="utf-8") as file:
            stored = {one["event_id"]: one for one in map(json.loads, file)}
        same(counts["events"], len(stored), "events in the dump")
        return counts, stored


class Collector(Program):
    """phosd."""

    def __init__(self, folder, port=0, *options):
        super().__init__([os.environ["PHOSD"], "--listen",
                          f"127.0.0.1:{port}", "--db",
                          os.path.join(folder, "events.sqlite"), *options],
                         r"listening on http://127\.0\.0\.1:(\d+)")


# ---- a service of our own ----


class Service:
    """Records what comes and answers as told.

    answer(service, method, path, headers, body) returns (status, headers,
    body). It runs on a thread for each connection and may wait. With `tls`,
    an ssl.SSLContext, it speaks https.
    """

    def __init__(self, answer=None, tls=None):
        self.answer = answer or (lambda *_: (201, {}, b"{}"))
        self.changed = threading.Condition()
        self.requests = []  # (method, path, headers, body)
        self.events = []
        self.released = threading.Event()
        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), self.handler())
        self.server.daemon_threads = True
        scheme = "http"
        if tls is not None:
            self.server.socket = tls.wrap_socket(self.server.socket,
                                                 server_side=True)
            scheme = "https"
        self.url = f"{scheme}://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever,
                                       kwargs={"poll_interval": 0.01})
        self.thread.start()

    def handler(service):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def handle_one(self):
                length = int(self.headers.get("Content-Length", "0"))
                body = self.rfile.read(length)
                service.record(self.command, self.path, self.headers, body)
                status, headers, reply = service.answer(
                    service, self.command, self.path, self.headers, body)
                try:
                    self.send_response_only(status)
                    headers = {"Date": self.date_time_string(), **headers}
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(reply)))
                    self.end_headers()
                    self.wfile.write(reply)
                except OSError:  # the client is gone; some tests want that
                    self.close_connection = True

            do_GET = do_POST = handle_one

        return Handler

    def record(self, method, path, headers, body):
        with self.changed:
            self.requests.append((method, path, headers, body))
            if method == "POST":
                self.events += json.loads(body).get("events", [])
            self.changed.notify_all()

    def wait_for(self, condition, what):
        with self.changed:
            if not self.changed.wait_for(condition, timeout=DEADLINE_S):
                raise AssertionError(f"waited in vain for {what}")

    def wait_for_events(self, count):
        self.wait_for(lambda: len(self.events) >= count, f"{count} events")

    def hold(self, *_):
        """As `answer`: no reply before release()."""
        self.released.wait(DEADLINE_S)
        return 201, {}, b"{}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.released.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
