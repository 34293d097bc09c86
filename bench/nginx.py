"""What the nginx module does to the latency of requests: the same load on an
nginx without it, with it, and with it while the collector is gone, in turns.

    nginx.py OPEN-LOOP [--rounds N] [--seconds N] [--rate N] [--connections N]
"""

import argparse
import array
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys

TEST = os.path.join(os.path.dirname(__file__), "..", "test")
sys.path[:0] = [os.path.join(TEST, "nginx"), os.path.join(TEST, "phosd")]

from proxy import Nginx
from rig import KEY, Collector

TICKS = os.sysconf("SC_CLK_TCK")
PROCESSORS = os.sysconf("SC_NPROCESSORS_ONLN")
FOREIGN_PERCENT_MAX = 5.0
GOAL_PERCENT = 2.0
PERCENTILES = [50, 99, 99.9]

# As it is set up for load: connections stay open, on both sides.
KEPT = "access_log off; keepalive_requests 1000000000;"
ANSWER_BYTES = 2048
PIECES = 20


# ---- what is asked, and what the model says ----

def completion():
    return json.dumps({"model": "m-1", "choices": [{"index": 0, "message": {
        "role": "assistant", "content": "x" * ANSWER_BYTES}}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 500}})


def stream():
    """The same answer as events; they come in one go, so that the time of
    the exchange is nginx's and not the model's."""
    piece = {"model": "m-1", "choices": [{"index": 0, "delta": {
        "content": "x" * (ANSWER_BYTES // PIECES)}}]}
    return ("data: %s\\n\\n" % json.dumps(piece)) * PIECES + "data: [DONE]\\n\\n"


def request(path):
    body = json.dumps({"model": "m-1", "messages": [
        {"role": "system", "content": "Be brief. " * 20},
        {"role": "user", "content": "How tall is K2? " * 40}]})
    return ("POST %s HTTP/1.1\r\nHost: bench\r\n"
            "Content-Type: application/json\r\nX-Session-Id: s-1\r\n"
            "Content-Length: %d\r\n\r\n%s" % (path, len(body), body))


def model():
    return Nginx("""%s
        location /json { default_type application/json; return 200 '%s'; }
        location /stream { default_type text/event-stream; return 200 "%s"; }
        """ % (KEPT, completion(), stream().replace('"', '\\"')),
        workers=1, module=False)


def proxy(upstream, module, http=""):
    on = "phos on; phos_session_id $http_x_session_id;" if module else ""
    nginx = Nginx(
        "%s location / { %s proxy_pass http://model; }" % (KEPT, on),
        http + " upstream model { server unix:%s/socket; keepalive 256;"
        " keepalive_requests 1000000000; }" % upstream.directory,
        workers=1, module=module)
    nginx.put("key", KEY)
    return nginx


def logging_to(port):
    return ("phos_endpoint http://127.0.0.1:%d; phos_api_key_file key;"
            "phos_close_timeout 20s;" % port)


# ---- who used the processors ----

def process_seconds(pid):
    with open("/proc/%d/stat" % pid) as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def machine_seconds():
    """Of all processors: busy, and stolen by the hypervisor."""
    with open("/proc/stat") as file:
        ticks = [int(word) for word in file.readline().split()[1:9]]
    user, nice, system, idle, iowait, irq, softirq, steal = ticks
    return ((user + nice + system + irq + softirq) / TICKS, steal / TICKS)


def own_seconds(pids):
    own = sum(process_seconds(pid) for pid in pids)
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        own += usage.ru_utime + usage.ru_stime
    return own


# ---- measuring ----

class Contender:
    def __init__(self, name, nginx):
        self.name = name
        self.nginx = nginx
        self.worker = nginx.workers()[0]
        self.rounds = []  # sorted latencies in ns, one list for each round
        self.late = []
        self.cpu_s = 0
        self.requests = 0

    def measure(self, arguments, requests):
        before = process_seconds(self.worker)
        done = subprocess.run(
            [arguments.open_loop, "--rate", str(arguments.rate),
             "--seconds", str(arguments.seconds), "--connections",
             str(arguments.connections),
             os.path.join(self.nginx.directory, "socket"), *requests],
            stdout=subprocess.PIPE, check=True)
        self.cpu_s += process_seconds(self.worker) - before
        self.requests += arguments.rate * arguments.seconds
        numbers = array.array("I", done.stdout)
        self.rounds.append(sorted(numbers[::2]))
        self.late += numbers[1::2]

    def pooled(self):
        return sorted(one for latencies in self.rounds for one in latencies)


def percentile(ordered, percent):
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def microseconds(ns):
    return "%8.0f" % (ns / 1000)


def beside(contender, plain, percent):
    """The difference to the plain nginx in the same round, in percent: median
    of the rounds, and where their middle half lies."""
    differences = [100 * (percentile(own, percent) /
                          percentile(its, percent) - 1)
                   for own, its in zip(contender.rounds, plain.rounds)]
    low, middle, high = statistics.quantiles(differences, n=4,
                                             method="inclusive")
    return middle, low, high


def verdict(contender, plain, again, foreign):
    """Two nginx that are alike differ, too; below that nothing is known."""
    middle, _, _ = beside(contender, plain, 99.9)
    _, _, chance = beside(again, plain, 99.9)
    if foreign > FOREIGN_PERCENT_MAX:
        return "does not count: other load on the machine"
    if middle <= GOAL_PERCENT:
        return "holds"
    if middle <= chance:
        return "%+.1f %%, no more than two plain ones differ" % middle
    return "does not hold: %+.1f %%" % middle


def report(contenders, arguments, foreign, steal):
    print("%d requests/s, open loop on %d connections, half of them streamed;"
          % (arguments.rate, arguments.connections))
    print("%d rounds of %d s each, in turns; us from the time a request was due"
          % (arguments.rounds, arguments.seconds))
    print("%-24s%8s%8s%8s%8s  %s" % ("", "p50", "p99", "p99.9", "max",
                                     "CPU of the worker"))
    for one in contenders:
        pooled = one.pooled()
        print("%-24s%s%s  %5.1f us/request" % (
            one.name, "".join(microseconds(percentile(pooled, percent))
                              for percent in PERCENTILES),
            microseconds(pooled[-1]), one.cpu_s / one.requests * 1e6))
    print("\nbeside plain in the same round, %: median (middle half of rounds)")
    for one in contenders[1:]:
        print("%-24s%s" % (one.name, "  ".join(
            "p%g %+.1f (%+.1f to %+.1f)" % (percent, *beside(
                one, contenders[0], percent)) for percent in PERCENTILES)))
    late = sorted(late for one in contenders for late in one.late)
    print("the generator itself was late by %.0f us at p50, %.0f us at p99.9" %
          (percentile(late, 50) / 1000, percentile(late, 99.9) / 1000))
    plain, again, *measured = contenders
    for one in measured:
        print("%s: p99.9 within %g %%: %s" % (
            one.name, GOAL_PERCENT, verdict(one, plain, again, foreign)))
    print("(foreign load %.1f %%, stolen %.1f %%)" % (foreign, steal))


def check(contenders, collector):
    """What was measured did happen; returns how many requests had no room in
    the ring while the collector was there."""
    there, gone = contenders[2:]
    for one in contenders:
        if one.nginx.stop() != 0:
            sys.exit("%s: nginx failed" % one.name)
    arrived = collector.get("/api/events", limit=1).json["total"]
    full = there.nginx.total("full")
    if (there.nginx.total("delivered") != arrived or
            arrived + full != there.requests):
        sys.exit("%d requests, %d events arrived: %s" % (
            there.requests, arrived, there.nginx.ledgers()))
    if (gone.nginx.total("accepted") + gone.nginx.total("full") !=
            gone.requests or gone.nginx.total("delivered") != 0):
        sys.exit("%d requests: %s" % (gone.requests, gone.nginx.ledgers()))
    return full


def measure(arguments, world):
    collector = world.enter_context(Collector())
    upstream = world.enter_context(model())
    contenders = [
        Contender(name, world.enter_context(proxy(upstream, module, http)))
        for name, module, http in [
            ("plain", False, ""),
            ("plain, a second one", False, ""),
            ("module", True, logging_to(collector.port)),
            ("module, collector gone", True, logging_to(1))]]
    requests = [upstream.put(name, request("/" + name))
                for name in ["json", "stream"]]
    pids = [collector.process.pid, upstream.process.pid, *upstream.workers()]
    for one in contenders:
        pids += [one.nginx.process.pid, one.worker]

    (busy, stolen), own = machine_seconds(), own_seconds(pids)
    for number in range(arguments.rounds):
        for place in range(len(contenders)):
            # Another one begins each round.
            one = contenders[(number + place) % len(contenders)]
            one.measure(arguments, requests)
    machine_s = (arguments.rounds * len(contenders) * arguments.seconds *
                 PROCESSORS)
    now_busy, now_stolen = machine_seconds()
    foreign = max(0, now_busy - busy - (own_seconds(pids) - own))
    full = check(contenders, collector)
    report(contenders, arguments, 100 * foreign / machine_s,
           100 * (now_stolen - stolen) / machine_s)
    if full > 0:
        print("does not count: the collector was too slow for %d events" % full)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("open_loop")
    parser.add_argument("--rounds", type=int, default=10,
                        help="two at least")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--connections", type=int, default=64)
    with contextlib.ExitStack() as world:
        measure(parser.parse_args(), world)


main()
