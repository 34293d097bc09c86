"""Many at once, the end by signal and by kill -9, a full disk, and a database
file that goes away: what was answered with 2xx is there, once."""

import http.client
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time

from rig import HANG_S, KEY, Collector, Skip, equal, event, main, test

FIELDS = {"Authorization": "Bearer " + KEY, "Content-Type": "application/json"}


class Sender(threading.Thread):
    """Sends batches until told to stop or until the other side is gone; notes
    which were answered with 201."""

    def __init__(self, phosd, batch=20, text="x" * 200):
        super().__init__(daemon=True)
        self.phosd = phosd
        self.port = phosd.port
        self.batch = batch
        self.text = text
        self.stored, self.refused, self.unknown = [], [], []
        self.statuses = set()
        self.halt = False
        self.error = None

    def run(self):
        try:
            while not self.halt and self.step():
                pass
        except Exception as why:  # told by the test
            self.error = why

    def step(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port,
                                                timeout=HANG_S)
        try:
            while not self.halt:
                events = [event(self.text) for _ in range(self.batch)]
                ids = [e["event_id"] for e in events]
                sent = False
                try:
                    connection.request(
                        "POST", "/api/ingest/batch",
                        json.dumps({"events": events}), FIELDS)
                    sent = True
                    reply = connection.getresponse()
                    body = reply.read()
                except (OSError, http.client.HTTPException):
                    if sent:
                        self.unknown.append(ids)
                    return False
                self.statuses.add(reply.status)
                if reply.status == 201:
                    equal(json.loads(body)["event_ids"], ids)
                    self.stored.append(ids)
                else:
                    self.refused.append(ids)
                    if reply.status == 503:
                        assert int(reply.headers["Retry-After"]) >= 1
                if reply.headers["Connection"] == "close":
                    return False
            return False
        finally:
            connection.close()


def start_senders(phosd, count=8, **options):
    senders = [Sender(phosd, **options) for _ in range(count)]
    for sender in senders:
        sender.start()
    return senders


def join(senders):
    for sender in senders:
        sender.join(HANG_S)
        assert not sender.is_alive()
        if sender.error:
            raise sender.error


def wait_for(condition):
    end = time.monotonic() + HANG_S
    while not condition():
        assert time.monotonic() < end, "nothing happened"


def enough(senders, batches):
    return lambda: sum(len(s.stored) for s in senders) >= batches


def check(db_path, senders):
    """All that was answered with 201 is there, nothing refused is, batches
    are whole or absent, and no event stands there twice."""
    db = sqlite3.connect(db_path)
    equal(db.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
    rows = [bytes(row[0]).hex() for row in
            db.execute("SELECT event_id FROM events")]
    db.close()
    there = set(rows)
    equal(len(rows), len(there), "no event twice")

    def count(ids):
        return sum(i.replace("-", "") in there for i in ids)

    known = 0
    for sender in senders:
        for ids in sender.stored:
            equal(count(ids), len(ids), "answered 201, so stored")
        for ids in sender.refused:
            equal(count(ids), 0, "refused, so not stored")
        for ids in sender.unknown:
            assert count(ids) in (0, len(ids)), "half a batch"
        known += sum(count(ids) for ids in
                     sender.stored + sender.unknown)
    equal(len(there), known)
    return len(there)


@test
def eight_clients_write_while_others_read():
    with Collector() as phosd:
        senders = start_senders(phosd)
        readers, faults = [], []
        done = threading.Event()

        def read():
            connection = phosd.connect()
            last = 0
            try:
                while not done.is_set():
                    for path in ("/api/events?limit=5", "/api/sessions",
                                 "/api/events?q=xxxx&limit=1"):
                        reply = phosd.ask("GET", path, connection=connection)
                        equal(reply.status, 200, reply)
                    total = phosd.ask("GET", "/api/events?limit=0",
                                      connection=connection).json["total"]
                    # Batches become visible whole, and nothing disappears.
                    equal(total % 20, 0)
                    assert total >= last, (total, last)
                    last = total
            except Exception as why:
                faults.append(why)

        for _ in range(3):
            readers.append(threading.Thread(target=read, daemon=True))
            readers[-1].start()
        wait_for(enough(senders, 300))
        for sender in senders:
            sender.halt = True
        join(senders)
        done.set()
        for reader in readers:
            reader.join(HANG_S)
        assert not faults, faults
        equal({status for s in senders for status in s.statuses}, {201})
        stored = sum(len(ids) for s in senders for ids in s.stored)
        equal(phosd.get("/api/events", limit=0).json["total"], stored)
        # What was stored is there for a reader at once.
        [made] = phosd.ingest(event())
        equal(phosd.get("/api/events/" + made).status, 200)
        phosd.stop()
        equal(check_total(phosd.db), stored + 1)
        phosd.start()


def check_total(path):
    db = sqlite3.connect(path)
    [(total,)] = db.execute("SELECT count(*) FROM events").fetchall()
    db.close()
    return total


@test
def a_signal_under_load_finishes_what_is_under_way():
    for number in (signal.SIGTERM, signal.SIGINT):
        with Collector() as phosd:
            senders = start_senders(phosd)
            wait_for(enough(senders, 50))
            equal(phosd.stop(number), 0)
            join(senders)
            # No request that was being served went unanswered with its events
            # stored: the few unknown ones reached a closed door.
            equal({s for sender in senders for s in sender.statuses}, {201})
            check(phosd.db, senders)
            assert not os.path.exists(phosd.db + "-wal")
            phosd.start()
            equal(phosd.get("/api/events", limit=0).json["total"],
                  check_total(phosd.db))


@test
def a_request_under_way_at_a_signal_is_answered():
    with Collector() as phosd:
        body = json.dumps(event("late")).encode()
        connection = phosd.connect()
        connection.putrequest("POST", "/api/ingest")
        for name, value in FIELDS.items():
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:10])
        idle = phosd.connect()
        equal(phosd.ask("GET", "/healthz", connection=idle).status, 200)
        phosd.process.send_signal(signal.SIGTERM)
        wait_for(lambda: refused(phosd.port))
        connection.send(body[10:])
        reply = connection.getresponse()
        equal((reply.status, reply.headers["Connection"]), (201, "close"))
        equal(phosd.process.wait(HANG_S), 0)
        phosd.process.stdout.close()
        equal(check_total(phosd.db), 1)
        phosd.start()


def refused(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HANG_S)
    try:
        connection.connect()
        return False
    except ConnectionResetError:
        return False  # met the socket's last moment: the next one tells
    except ConnectionRefusedError:
        return True
    finally:
        connection.close()


@test
def nothing_that_was_answered_is_missing_after_kill_9():
    """Killed in mid-load again and again, on one database."""
    with Collector() as phosd:
        everything = []
        for round in range(6):
            senders = start_senders(phosd)
            wait_for(enough(senders, 20 + 15 * round))
            phosd.stop(signal.SIGKILL)
            join(senders)
            everything += senders
            phosd.start()
            total = check(phosd.db, everything)
            equal(phosd.get("/api/events", limit=0).json["total"], total)
        assert any(s.unknown for s in everything), "killed when nothing ran"
        # Sending all of the unknown again stores each once.
        for sender in everything:
            for ids in sender.unknown:
                phosd.ingest(*[event("x" * 200, event_id=i) for i in ids])
            sender.stored += sender.unknown
            sender.unknown = []
        check(phosd.db, everything)


class SmallDisk:
    """A file system of one mebibyte or two, where root may mount one."""

    def __init__(self, size):
        self.path = tempfile.mkdtemp(prefix="phosd-test-")
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=" + size,
                               "phosd-test", self.path], capture_output=True)
        if done.returncode:
            os.rmdir(self.path)
            raise Skip("no tmpfs can be mounted: %s"
                       % done.stderr.decode().strip())

    def __enter__(self):
        return self.path

    def __exit__(self, *_):
        subprocess.run(["umount", self.path], check=True)
        os.rmdir(self.path)


@test
def a_full_disk_is_503_and_passes_when_there_is_room():
    with SmallDisk("4m") as disk:
        with Collector(db=os.path.join(disk, "events.sqlite")) as phosd:
            senders = start_senders(phosd, count=4)
            wait_for(lambda: all(503 in s.statuses for s in senders))
            # Full: reading goes on, and what is refused is not there.
            equal(phosd.get("/healthz").status, 200)
            total = phosd.get("/api/events", limit=0)
            equal(total.status, 200, total)
            for sender in senders:
                sender.halt = True
            join(senders)
            equal({s for sender in senders for s in sender.statuses},
                  {201, 503})
            stored = sum(len(ids) for s in senders for ids in s.stored)
            equal(phosd.get("/api/events", limit=0).json["total"], stored)
            subprocess.run(["mount", "-o", "remount,size=64m", disk],
                           check=True)
            phosd.ingest(event("room again"))
            equal(phosd.get("/api/events", limit=0).json["total"], stored + 1)
            assert phosd.stderr().count("storing failed") >= 1
            assert "storing works again" in phosd.stderr()
            equal(phosd.stop(), 0)
            equal(check_total(phosd.db), stored + 1)
            phosd.start()


@test
def a_disk_that_is_full_for_the_process_alone_is_503_too():
    """The same through a limit on file size, where nothing can be mounted."""
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, hard))

    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Collector(limits=limit) as phosd:
        stored = 0
        while True:
            reply = phosd.ask("POST", "/api/ingest/batch", {
                "events": [event("y" * 500) for _ in range(100)]})
            if reply.status != 201:
                break
            stored += 100
            assert stored < 10000, "never full"
        equal(reply.status, 503, reply)
        equal(reply.headers["Retry-After"], "1")
        equal(phosd.get("/api/events", limit=0).json["total"], stored)
        resource.prlimit(phosd.process.pid, resource.RLIMIT_FSIZE,
                         (hard, hard))
        phosd.ingest(event())
        equal(phosd.get("/api/events", limit=0).json["total"], stored + 1)


@test
def a_database_that_is_moved_away_is_503_until_it_is_back():
    with Collector() as phosd:
        phosd.ingest(event("before"))
        away = phosd.db + ".away"
        os.rename(phosd.db, away)
        for _ in range(2):
            reply = phosd.ask("POST", "/api/ingest", event())
            equal(reply.status, 503, reply)
        shutil.copy(away, phosd.db)  # the name alone does not make the file
        equal(phosd.ask("POST", "/api/ingest", event()).status, 503)
        os.rename(away, phosd.db)
        phosd.ingest(event("after"))
        equal(phosd.get("/api/events").json["total"], 2)
        assert "moved or deleted" in phosd.stderr()


@test
def another_program_that_locks_the_database_makes_writers_wait_or_503():
    with Collector() as phosd:
        phosd.ingest(event())
        db = sqlite3.connect(phosd.db, isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
        reply = phosd.ask("POST", "/api/ingest", event())
        equal((reply.status, reply.headers["Retry-After"]), (503, "1"))
        equal(phosd.get("/api/events").json["total"], 1)
        db.execute("ROLLBACK")
        db.close()
        phosd.ingest(event())
        equal(phosd.get("/api/events").json["total"], 2)


@test
def tokens_of_what_could_not_be_stored_are_given_back():
    with Collector("--events-per-minute", "10") as phosd:
        away = phosd.db + ".away"
        os.rename(phosd.db, away)
        for _ in range(5):
            reply = phosd.ask("POST", "/api/ingest/batch",
                              {"events": [event() for _ in range(10)]})
            equal(reply.status, 503, reply)
        os.rename(away, phosd.db)
        phosd.ingest(*[event() for _ in range(10)])


main()
