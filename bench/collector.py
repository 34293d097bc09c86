#!/usr/bin/env python3
"""Measures a collector on a database of many events: how fast events are
stored in it and in an empty one, and how long each question of the page takes.

scripts/bench-collector makes the database and calls this."""

import argparse
import http.client
import json
import math
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import urllib.parse

KEY = "ph_bench"
HOUR_S = 3600
DAY_S = 24 * HOUR_S


class Collector:
    def __init__(self, program, db):
        env = {name: value for name, value in os.environ.items()
               if not name.startswith("PHOS")}
        env["PHOSPHO_API_KEY"] = KEY
        self.process = subprocess.Popen(
            [program, "--listen", "127.0.0.1:0", "--db", db],
            stdout=subprocess.PIPE, env=env)
        line = self.process.stdout.readline().decode()
        found = re.search(r"http://(\S+)\n", line)
        if not found:
            sys.exit("bench-collector: phosd did not start")
        self.address = found.group(1)
        self.connection = http.client.HTTPConnection(self.address, timeout=60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()
        self.process.terminate()
        self.process.wait()

    def ask(self, path, **parameters):
        """The answer and how many ms it took."""
        query = urllib.parse.urlencode(
            {name.rstrip("_"): value for name, value in parameters.items()})
        begun = time.perf_counter()
        self.connection.request("GET", path + ("?" + query if query else ""),
                                headers={"Authorization": "Bearer " + KEY})
        reply = self.connection.getresponse()
        body = reply.read()
        spent = (time.perf_counter() - begun) * 1000
        if reply.status != 200:
            return {"status": reply.status}, spent
        return json.loads(body), spent


def instant(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def questions(collector, draw):
    """What the page asks, by name: a function that makes one question, each
    time another one."""
    everything, _ = collector.ask("/api/stats")
    end = time.mktime(time.strptime(everything["to"][:19],
                                    "%Y-%m-%dT%H:%M:%S")) - time.timezone
    sessions, _ = collector.ask("/api/sessions", limit=100)
    ids = [one["session_id"] for one in sessions["sessions"]]
    events, _ = collector.ask("/api/events", limit=100,
                              offset=everything["total"]["events"] // 2)
    words = [word for one in events["events"]
             for word in one["output"].split() if len(word) > 3]
    total = everything["total"]["events"]

    def since(days):
        return instant(end - days * DAY_S)

    def user():
        return "user-%d" % int(50000 ** draw.random())

    def listed(path):
        page = {"limit": 25}
        yield "first page", lambda: (path, page)
        yield "user", lambda: (path, {**page, "user_id": user()})
        yield "model, common", lambda: (path, {**page, "model":
                                               "gpt-4o-mini"})
        yield "model, given up", lambda: (path, {**page, "model": "gpt-4"})
        yield "model, rare", lambda: (path, {**page, "model": "experiment-7"})
        yield "success", lambda: (path, {**page, "flag": "success"})
        yield "failure", lambda: (path, {**page, "flag": "failure"})
        yield "last hour", lambda: (path, {**page, "from_": since(1 / 24)})
        yield "last 7 days", lambda: (path, {**page, "from_": since(7)})
        yield "a week, long ago", lambda: (path, {
            **page, "from_": since(35), "to": since(28)})
        yield "text, a word", lambda: (path, {**page,
                                              "q": draw.choice(words)})
        yield "text, two words", lambda: (path, {
            **page, "q": " ".join(draw.sample(words, 2))})
        yield "text and model", lambda: (path, {
            **page, "q": draw.choice(words), "model": "mistral-small"})
        yield "user, model, week", lambda: (path, {
            **page, "user_id": user(), "model": "gpt-4o-mini",
            "from_": since(7)})
        yield "failure, model, week", lambda: (path, {
            **page, "flag": "failure", "model": "gpt-4o-mini",
            "from_": since(7)})
        yield "page 1000", lambda: (path, {**page, "offset": 25000})

    for path in ("/api/sessions", "/api/events"):
        for name, make in listed(path):
            yield path, name, make
    yield "/api/sessions", "page at the middle", lambda: (
        "/api/sessions", {"limit": 25, "offset": sessions["total"] // 2})
    yield "/api/events", "page at the middle", lambda: (
        "/api/events", {"limit": 25, "offset": draw.randrange(total)})
    yield "/api/events", "model, deep", lambda: (
        "/api/events", {"limit": 25, "model": "gpt-4o-mini",
                        "offset": draw.randrange(total // 4)})
    yield "/api/sessions/:id", "opened", lambda: (
        "/api/sessions/" + draw.choice(ids), {})
    yield "/api/stats", "all", lambda: ("/api/stats", {})
    yield "/api/stats", "30 days", lambda: ("/api/stats",
                                            {"from_": since(30)})
    yield "/api/stats", "7 days", lambda: ("/api/stats", {"from_": since(7)})
    yield "/api/stats", "1 day", lambda: ("/api/stats", {"from_": since(1)})
    yield "/api/stats", "1 hour", lambda: ("/api/stats",
                                           {"from_": since(1 / 24)})


def percentile(values, share):
    """By nearest rank."""
    return sorted(values)[math.ceil(len(values) * share / 100) - 1]


def measure_questions(collector, rounds):
    draw = random.Random(1)
    print("%-18s %-22s %8s %8s %8s  ms, %d times each"
          % ("route", "question", "p50", "p99", "max", rounds))
    for path, name, make in questions(collector, draw):
        spent, refused, inexact = [], 0, 0
        for _ in range(rounds):
            where, parameters = make()
            answer, ms = collector.ask(where, **parameters)
            spent.append(ms)
            refused += "status" in answer
            inexact += answer.get("exact") is False
        notes = [words % times for words, times in
                 (("%d refused", refused), ("%d totals not exact", inexact))
                 if times > 0]
        print("%-18s %-22s %8.1f %8.1f %8.1f  %s" % (
            path, name, percentile(spent, 50), percentile(spent, 99),
            max(spent), ", ".join(notes)))
        sys.stdout.flush()


def send(phos, generator, collector, events, seed, folder):
    """Events a second over HTTP, as `phos send` tells it."""
    path = os.path.join(folder, "events.ndjson")
    made = subprocess.run([sys.executable, generator, "--events", str(events),
                           "--seed", str(seed)], stdout=subprocess.PIPE,
                          check=True).stdout
    with open(path, "w") as file:
        for line in made.splitlines():
            one = json.loads(line)
            one.pop("timestamp", None)  # they happen now, as they do in life
            file.write(json.dumps(one) + "\n")
    done = subprocess.run(
        [phos, "send", "--in-flight", "8", "--json", "--quiet", "--endpoint",
         "http://" + collector.address, path], stdout=subprocess.PIPE,
        env={**os.environ, "PHOSPHO_API_KEY": KEY}, check=True)
    summary = json.loads(done.stdout)
    return summary["delivered"] / summary["elapsed_ms"] * 1000


def processor_us(process):
    """What it has used, in it and for it; Linux."""
    with open("/proc/%d/stat" % process.pid) as file:
        fields = file.read().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK") * 1e6


def measure_ingest(options):
    """By turns, another one first each time, so that both see the same
    machine."""
    kinds = ["empty", "full"]
    rates = {kind: [] for kind in kinds}
    with tempfile.TemporaryDirectory(dir=os.path.dirname(
            os.path.abspath(options.db))) as folder:
        for turn in range(options.turns):
            for kind in kinds if turn % 2 == 0 else reversed(kinds):
                db = options.db if kind == "full" else os.path.join(
                    folder, "empty-%d.sqlite" % turn)
                with Collector(options.phosd, db) as collector:
                    rates[kind].append(send(
                        options.phos, options.generator, collector,
                        options.events, draw_seed(kind, turn), folder))
                    used = processor_us(collector.process)
                print("stored %-6s %8.0f events/s, %5.0f us of phosd's "
                      "processor time each"
                      % (kind, rates[kind][-1], used / options.events))
                sys.stdout.flush()
    ratios = [empty / full for empty, full in zip(*rates.values())]
    print("empty to full: %.2f, the median of %s"
          % (percentile(ratios, 50),
             ", ".join("%.2f" % ratio for ratio in ratios)))


def draw_seed(kind, turn):
    """Another one each time: events that are there already cost less."""
    return int(time.time()) * 10 + turn * 2 + (kind == "full")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("db", "phosd", "phos", "generator"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--events", type=int, default=100000)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--only", choices=("questions", "ingest"))
    options = parser.parse_args()
    if options.only != "ingest":
        with Collector(options.phosd, options.db) as collector:
            measure_questions(collector, options.rounds)
    if options.only != "questions":
        measure_ingest(options)


main()
