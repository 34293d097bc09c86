"""Keys and how they are kept, events per minute, and the command line."""

import os
import re
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time

from rig import (HANG_S, KEY, PHOSD, Collector, Skip, equal, event, main,
                 test)


@test
def a_key_may_send_a_minute_of_events_at_once_and_then_waits():
    with Collector("--events-per-minute", "60") as phosd:
        phosd.ingest(*[event() for _ in range(55)])
        reply = phosd.ask("POST", "/api/ingest/batch",
                          {"events": [event() for _ in range(20)]})
        equal(reply.status, 429, reply)
        wait = int(reply.headers["Retry-After"])
        # 15 are missing, at one a second; a few may have come meanwhile.
        assert 1 <= wait <= 15, wait
        assert "come back in %d s" % wait in reply.error, reply
        # All or nothing: the five that would have fitted are not stored, and
        # still fit.
        equal(phosd.get("/api/events").json["total"], 55)
        phosd.ingest(*[event() for _ in range(5)])


@test
def only_accepted_events_count():
    with Collector("--events-per-minute", "60") as phosd:
        for _ in range(5):
            for body, status in ((b"nope", 400), ({"events": []}, 400),
                                 ({"events": [event(input=5)] * 50}, 400)):
                equal(phosd.ask("POST", "/api/ingest/batch", body).status,
                      status)
            equal(phosd.ask("POST", "/api/ingest/batch",
                            {"events": [event()] * 50}, key="no").status, 401)
            equal(phosd.get("/api/events", limit=0).status, 200)
        phosd.ingest(*[event() for _ in range(60)])
        equal(phosd.ask("POST", "/api/ingest/batch",
                        {"events": [event() for _ in range(30)]}).status, 429)


@test
def a_request_larger_than_a_minute_of_events_is_not_refused_for_ever():
    with Collector("--events-per-minute", "30") as phosd:
        phosd.ingest(*[event() for _ in range(100)])
        reply = phosd.ask("POST", "/api/ingest", event())
        equal(reply.status, 429)
        wait = int(reply.headers["Retry-After"])
        assert 130 <= wait <= 142, wait  # a debt of 70 and one, 2 s each


@test
def tokens_come_back_with_time():
    with Collector("--events-per-minute", "6000") as phosd:
        batch = {"events": [event() for _ in range(100)]}
        for _ in range(60):
            if phosd.ask("POST", "/api/ingest/batch", batch).status == 429:
                break
        connection = phosd.connect()
        refused = 0
        while phosd.ask("POST", "/api/ingest/batch", batch,
                        connection=connection).status == 429:
            refused += 1
            assert refused < 100000


@test
def each_key_has_a_bucket_of_its_own():
    with Collector("--events-per-minute", "60",
                   keys="ph_red\nph_blue\n") as phosd:
        whole = {"events": [event() for _ in range(60)]}
        for key, status in (("ph_red", 201), ("ph_red", 429),
                            ("ph_blue", 201), ("ph_blue", 429)):
            equal(phosd.ask("POST", "/api/ingest/batch", whole,
                            key=key).status, status)


@test
def keys_are_nowhere_in_the_files():
    secret = "ph_7hC0ffeeC0ffeeC0ffee"
    with Collector(key=secret) as phosd:
        phosd.ingest(event())
        for name in os.listdir(phosd.directory):
            with open(os.path.join(phosd.directory, name), "rb") as file:
                assert secret.encode() not in file.read(), name
        phosd.stop()
        phosd.start()
        equal(phosd.get("/api/events").json["total"], 1)
        db = sqlite3.connect(phosd.db)
        [(hashed,)] = db.execute("SELECT key_hash FROM projects").fetchall()
        equal(len(hashed), 32)
        db.close()


@test
def the_same_key_has_another_hash_in_another_database():
    hashes = set()
    for _ in range(2):
        with Collector() as phosd:
            db = sqlite3.connect(phosd.db)
            hashes.add(db.execute("SELECT key_hash FROM projects").fetchone())
            db.close()
    equal(len(hashes), 2)


@test
def a_key_given_on_the_command_line_cannot_be_read_there():
    with Collector("--api-key", "ph_on_the_line", key=None) as phosd:
        equal(phosd.get("/api/events", key="ph_on_the_line").status, 200)
        with open("/proc/%d/cmdline" % phosd.process.pid, "rb") as file:
            line = file.read()
        assert b"--api-key" in line and b"ph_on_the_line" not in line, line


@test
def a_named_project_keeps_its_events_when_its_key_changes():
    with Collector(keys="ph_old team\nph_other\n") as phosd:
        phosd.ingest(event("before"), key="ph_old")
        phosd.stop()
        with open(os.path.join(phosd.directory, "keys"), "w") as file:
            file.write("ph_new team\nph_other\nph_old\n")
        phosd.start()
        for key, total in (("ph_new", 1), ("ph_other", 0), ("ph_old", 0)):
            equal(phosd.get("/api/events", key=key).json["total"], total, key)


@test
def a_key_that_is_no_longer_listed_is_unknown():
    with Collector(keys="ph_a\nph_b\n") as phosd:
        phosd.ingest(event(), key="ph_b")
        phosd.stop()
        with open(os.path.join(phosd.directory, "keys"), "w") as file:
            file.write("ph_a\n")
        phosd.start()
        equal(phosd.get("/api/events", key="ph_b").status, 401)
        equal(phosd.get("/api/events", key="ph_a").json["total"], 0)


def run(*arguments, environment=None, directory=None):
    """phosd that is expected to end by itself."""
    clean = {n: v for n, v in os.environ.items() if not n.startswith("PHOS")}
    clean.update(environment or {})
    with tempfile.TemporaryDirectory(prefix="phosd-test-") as own:
        done = subprocess.run([PHOSD] + list(arguments), env=clean,
                              cwd=directory or own, capture_output=True,
                              timeout=HANG_S, text=True)
    return done.returncode, done.stdout, done.stderr


@test
def help_teaches_by_example_and_names_every_option():
    status, text, errors = run("--help")
    equal((status, errors), (0, ""))
    for word in ("curl http://127.0.0.1:8787/api/ingest", "--listen", "--db",
                 "--api-key-file", "--api-key", "--events-per-minute",
                 "--body-max", "--port-file", "PHOSPHO_API_KEY",
                 "PHOSD_LISTEN", "Next: phos send"):
        assert word in text, word
    assert all(len(line) <= 80 for line in text.splitlines())
    equal(run("-h"), (0, text, ""))
    status, text, errors = run("--version")
    equal((status, errors), (0, ""))
    assert re.fullmatch(r"phosd \d+\.\d+\.\d+\n", text), text


@test
def what_cannot_be_used_is_told_with_exit_2():
    key = {"PHOSPHO_API_KEY": KEY}
    rows = [
        ([], {}, "no API key"),
        ([], {"PHOSPHO_API_KEY": ""}, "no API key"),
        (["--api-key", ""], {}, "must not be empty"),
        (["--api-key-file", "/dev/null"], {}, "holds no key"),
        (["--api-key-file", "/nowhere/keys"], {}, "No such file"),
        (["--nonsense"], key, "nonsense"),
        (["stray"], key, "stray"),
        (["--db"], key, "db"),
        (["--db", ""], key, "must not be empty"),
        (["--body-max", "x"], key, "expected a number from 1024 to 67108864"),
        (["--body-max", "-1"], key, "expected a number"),
        (["--body-max", "1"], key, "expected a number"),
        (["--events-per-minute", "1e3"], key, "expected a number"),
        (["--events-per-minute", "99999999999999999999999"], key,
         "expected a number"),
        ([], dict(key, PHOSD_BODY_MAX="x"), "PHOSD_BODY_MAX"),
        (["--listen", "nonsense"], key, "expected HOST:PORT"),
        (["--listen", ":8787"], key, "expected HOST:PORT"),
        (["--listen", "127.0.0.1:65536"], key, "expected HOST:PORT"),
        (["--listen", "127.0.0.1:http"], key, "expected HOST:PORT"),
        ([], dict(key, PHOSD_LISTEN="8787"), "expected HOST:PORT"),
    ]
    for arguments, environment, message in rows:
        with tempfile.TemporaryDirectory(prefix="phosd-test-") as folder:
            status, text, errors = run(*arguments, environment=environment,
                                       directory=folder)
            left = os.listdir(folder)
        equal((status, text), (2, ""), (arguments, errors))
        equal(left, [], "nothing is made by a wrong call")
        assert message in errors, (arguments, errors)
        assert KEY not in errors


@test
def what_fails_at_the_start_is_told_with_exit_1():
    with Collector() as phosd:
        key = {"PHOSPHO_API_KEY": KEY}
        newer = os.path.join(phosd.directory, "newer")
        db = sqlite3.connect(newer)
        db.execute("CREATE TABLE t(x)")
        db.execute("PRAGMA application_id = 0x70686F73")
        db.execute("PRAGMA user_version = 99")
        db.commit()
        db.close()
        rows = [
            (["--listen", "127.0.0.1:%d" % phosd.port], "in use; stop"),
            (["--db", "/nowhere/events.sqlite"], "No such file"),
            (["--db", phosd.db], "another phosd uses this file"),
            (["--db", newer], "newer phosd"),
            (["--port-file", "/nowhere/port"], "/nowhere/port"),
        ]
        for arguments, message in rows:
            whole = ["--listen", "127.0.0.1:0"] + arguments
            status, text, errors = run(*whole, environment=key)
            equal((status, text), (1, ""), (arguments, errors))
            assert message in errors, (arguments, errors)


@test
def a_database_of_another_program_is_left_as_it_is():
    with Collector() as phosd:
        rows = [("CREATE TABLE t(x)",), ("PRAGMA application_id = 7",),
                ("PRAGMA user_version = 7",),
                ("PRAGMA application_id = -7", "PRAGMA user_version = -1",
                 "CREATE TABLE t(x)")]
        for number, statements in enumerate(rows):
            path = os.path.join(phosd.directory, "foreign%d" % number)
            db = sqlite3.connect(path)
            for statement in statements:
                db.execute(statement)
            db.commit()
            db.close()
            refuses_untouched(path, "belongs to another program")
        garbage = os.path.join(phosd.directory, "garbage")
        with open(garbage, "wb") as file:
            file.write(b"not a database at all, but long enough" * 100)
        refuses_untouched(garbage, "not a database; name a new one with --db")


def refuses_untouched(path, message):
    with open(path, "rb") as file:
        before = file.read()
    status, text, errors = run("--listen", "127.0.0.1:0", "--db", path,
                               environment={"PHOSPHO_API_KEY": KEY})
    equal((status, text), (1, ""), errors)
    assert message in errors, errors
    with open(path, "rb") as file:
        equal(file.read(), before, "the file's bytes")
    assert not os.path.exists(path + "-wal"), "a journal was left"


@test
def it_says_where_it_listens_once_it_does_and_ends_by_any_signal():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        with Collector() as phosd:
            port = os.path.join(phosd.directory, "port")
            phosd.stop(number)
            phosd.options += ["--port-file", port]
            phosd.start()
            with open(port) as file:
                equal(file.read(), "%d\n" % phosd.port)
            phosd.ingest(event())
            equal(phosd.stop(number), 0)
            # Written back and put away: one file, readable by anyone's SQLite.
            equal(sorted(n for n in os.listdir(phosd.directory)
                         if n.startswith("events")), ["events.sqlite"])
            db = sqlite3.connect(phosd.db)
            equal(db.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
            equal(db.execute("SELECT count(*) FROM events").fetchall(), [(1,)])
            db.close()
            equal(os.stat(phosd.db).st_mode & 0o777, 0o600)
            phosd.start()


@test
def signals_that_the_parent_ignores_do_not_end_it():
    def ignore():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with Collector(limits=ignore) as phosd:
        with open("/proc/%d/status" % phosd.process.pid) as file:
            status = file.read()
        ignored, blocked = [
            int(re.search(name + r":\s*(\w+)", status).group(1), 16)
            for name in ("SigIgn", "SigBlk")]
        for number in (signal.SIGINT, signal.SIGHUP):
            # Not blocked: what is sent now is gone at once.
            equal((ignored >> (number - 1) & 1, blocked >> (number - 1) & 1),
                  (1, 0), number)
            phosd.process.send_signal(number)
        phosd.ingest(event())


@test
def a_closed_standard_output_does_not_lead_into_the_database():
    for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        with Collector() as phosd:
            phosd.ingest(event())
            equal(phosd.stop(), 0)
            port = os.path.join(phosd.directory, "port")
            # Announces itself, and warns of its address. A database that is
            # closed in order is one file again.
            process = subprocess.Popen(
                ["sh", "-c", 'exec "$@" ' + closed, "sh", PHOSD, "--listen",
                 "0.0.0.0:0", "--db", phosd.db, "--port-file", port],
                env=phosd.environment, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                wait_for_file(port, process)
            finally:
                process.terminate()
                equal(process.wait(HANG_S), 0, closed)
            phosd.start()
            equal(phosd.get("/api/events").json["total"], 1, closed)


def wait_for_file(path, process):
    deadline = time.monotonic() + HANG_S
    while not (os.path.exists(path) and os.path.getsize(path) > 0):
        assert process.poll() is None, "phosd ended with %r" % process.poll()
        assert time.monotonic() < deadline, "waited in vain for " + path
        os.sched_yield()


@test
def options_come_from_the_environment_and_the_command_line_wins():
    with Collector(environment={"PHOSD_EVENTS_PER_MINUTE": "1"}) as phosd:
        phosd.ingest(event())
        equal(phosd.ask("POST", "/api/ingest", event()).status, 429)
    with Collector("--events-per-minute", "5",
                   environment={"PHOSD_EVENTS_PER_MINUTE": "1"}) as phosd:
        phosd.ingest(event())
        phosd.ingest(event())


@test
def it_listens_on_ipv6_too():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError as reason:
        raise Skip("no IPv6 here: %s" % reason)
    with Collector(listen="[::1]:0") as phosd:
        equal(phosd.host, "::1")
        phosd.ingest(event())
        equal(phosd.get("/api/events").json["total"], 1)


@test
def an_address_that_others_can_reach_is_warned_of():
    with Collector(listen="0.0.0.0:0") as phosd:
        assert "unencrypted" in phosd.stderr(), phosd.stderr()
    with Collector() as phosd:
        equal(phosd.stderr(), "")


main()
