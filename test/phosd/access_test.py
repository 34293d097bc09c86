"""The access log: what stands in it, what never does, that it can be rotated,
and that nobody waits for it."""

import json
import os
import re
import signal
import subprocess
import tempfile
import time

from rig import HANG_S, KEY, PHOSD, Collector, equal, event, main, test

FIELDS = ["time", "method", "route", "status", "bytes", "duration_ms",
          "project", "events"]


def lines(path):
    with open(path) as file:
        return [json.loads(line) for line in file]


@test
def each_request_is_a_line_and_tells_nothing_secret():
    secret = "s3cretword"
    with tempfile.TemporaryDirectory(prefix="phosd-test-") as folder:
        log = os.path.join(folder, "access")
        with Collector("--access-log", log) as phosd:
            connection = phosd.connect()

            def ask(*arguments, **options):
                return phosd.ask(*arguments, connection=connection, **options)

            stored = ask("POST", "/api/ingest/batch",
                         {"events": [event(secret, session_id=secret)] * 2})
            read = ask("GET", "/api/sessions/%s?limit=1" % secret)
            ask("GET", "/api/events?q=" + secret, key=secret)
            ask("GET", "/" + secret)
            ask(secret, "/api/events")
            ask("POST", "/api/ingest", b'{"%s"' % secret.encode())
            connection.close()
        found = lines(log)
        for line in found:
            equal(list(line), FIELDS)
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
                                line["time"]), line
            assert 0 <= line["duration_ms"] < HANG_S * 1000, line
        rows = [(line["method"], line["route"], line["status"],
                 line["project"], line["events"]) for line in found]
        equal(rows, [("POST", "/api/ingest/batch", 201, 1, 2),
                     ("GET", "/api/sessions/:id", 200, 1, 0),
                     ("GET", "/api/events", 401, None, 0),
                     ("GET", None, 404, None, 0),
                     ("other", "/api/events", 405, None, 0),
                     ("POST", "/api/ingest", 400, 1, 0)])
        equal([line["bytes"] for line in found[:2]],
              [len(stored.body), len(read.body)])
        with open(log) as file:
            text = file.read()
        assert secret not in text and KEY not in text, text
        equal(os.stat(log).st_mode & 0o777, 0o600)


@test
def the_log_goes_on_in_a_new_file_after_sighup():
    with tempfile.TemporaryDirectory(prefix="phosd-test-") as folder:
        log = os.path.join(folder, "access")
        with Collector(environment={"PHOSD_ACCESS_LOG": log}) as phosd:
            phosd.get("/api/events")
            os.rename(log, log + ".1")
            phosd.process.send_signal(signal.SIGHUP)
            end = time.monotonic() + HANG_S
            while not os.path.exists(log):
                assert time.monotonic() < end, "it was not opened anew"
            phosd.get("/healthz")
        equal([line["route"] for line in lines(log + ".1")], ["/api/events"])
        equal([line["route"] for line in lines(log)], ["/healthz"])


def start_on_stdout(folder):
    environment = dict(os.environ, PHOSPHO_API_KEY=KEY)
    process = subprocess.Popen(
        [PHOSD, "--listen", "127.0.0.1:0", "--access-log", "-", "--db",
         os.path.join(folder, "events.sqlite")], env=environment,
        stdout=subprocess.PIPE, bufsize=0)
    client = Collector(directory=folder)
    client.host = "127.0.0.1"
    client.port = int(process.stdout.readline().rsplit(b":", 1)[1])
    return process, client


@test
def a_dash_is_standard_output():
    with tempfile.TemporaryDirectory(prefix="phosd-test-") as folder:
        process, client = start_on_stdout(folder)
        equal(client.get("/healthz").status, 200)
        process.terminate()
        rest, _ = process.communicate(timeout=HANG_S)
        equal(process.returncode, 0)
        equal([json.loads(line)["route"] for line in rest.splitlines()],
              ["/healthz"])


@test
def nobody_waits_for_a_log_that_nobody_reads():
    with tempfile.TemporaryDirectory(prefix="phosd-test-") as folder:
        process, client = start_on_stdout(folder)
        connection = client.connect()
        # More than the pipe and the bound take: the excess is lost, and told.
        for _ in range(12000):
            connection.request("GET", "/healthz")
            equal(connection.getresponse().read(), b'{"status":"ok"}\n')
        text = b""
        while len(text) < 600000:
            text += os.read(process.stdout.fileno(), 65536)
        equal(client.get("/healthz").status, 200)
        connection.close()
        process.terminate()
        while True:
            piece = os.read(process.stdout.fileno(), 65536)
            if not piece:
                break
            text += piece
        equal(process.wait(HANG_S), 0)
        process.stdout.close()
        found = [json.loads(line) for line in text.splitlines()]
        lost = sum(line.get("lost", 0) for line in found)
        kept = len([line for line in found if "lost" not in line])
        assert lost > 0 and kept > 4000, (lost, kept)
        equal(kept + lost, 12001)


@test
def a_log_that_cannot_be_opened_is_told_before_a_database_is_made():
    with tempfile.TemporaryDirectory(prefix="phosd-test-") as folder:
        db = os.path.join(folder, "events.sqlite")
        done = subprocess.run(
            [PHOSD, "--access-log", "/nowhere/access", "--db", db,
             "--listen", "127.0.0.1:0"], capture_output=True, text=True,
            env=dict(os.environ, PHOSPHO_API_KEY=KEY), timeout=HANG_S)
        equal((done.returncode, done.stdout), (1, ""), done.stderr)
        assert "/nowhere/access: No such file" in done.stderr, done.stderr
        equal(os.listdir(folder), [])


main()
