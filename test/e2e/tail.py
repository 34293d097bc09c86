"""phos tail: events as they arrive, each once, from phosd and from a service
that answers in many ways."""

import datetime
import json
import os
import pty
import select
import signal
import subprocess
import urllib.parse

from e2e import DEADLINE_S, PHOS, Collector, Running, Service, environment, \
    event, phos, run, same, true, write_events

QUICK = ("--interval-ms", "10")


class Tail(Running):
    """phos tail --json while it runs, with its lines."""

    def __init__(self, *arguments, **variables):
        super().__init__("tail", "--json", *QUICK, *arguments, **variables)
        self.out = b""

    def wait_for_lines(self, count):
        while self.out.count(b"\n") < count:
            ready = select.select([self.process.stdout], [], [], DEADLINE_S)
            data = os.read(self.process.stdout.fileno(), 65536) \
                if ready[0] else b""
            if not data:
                raise AssertionError(f"{count} lines: {self.out!r}")
            self.out += data

    def end(self):
        result = super().end()
        result.out = self.out.decode() + result.out
        return result


def inputs(result):
    return [json.loads(line)["input"] for line in result.out.splitlines()]


class Store:
    """Answers like a service: newest first, by window, in pages."""

    def __init__(self, events=(), with_total=True):
        self.events = list(events)
        self.with_total = with_total

    def __call__(self, service, method, path, headers, body):
        query = dict(urllib.parse.parse_qsl(path.partition("?")[2]))
        start = query.get("from", "")
        # Time stamps of one form: text compares as time does.
        found = sorted((one for one in self.events
                        if one["timestamp"][:19] >= start[:19]),
                       key=lambda one: one["timestamp"], reverse=True)
        offset, limit = int(query.get("offset", 0)), int(query["limit"])
        reply = {"events": found[offset:offset + limit]}
        if self.with_total:
            reply["total"] = len(found)
        return 200, {}, json.dumps(reply).encode()


def rounds(service, count):
    """Waits until so many more requests have come."""
    wanted = len(service.requests) + count
    service.wait_for(lambda: len(service.requests) >= wanted,
                     f"{wanted} requests")


def what_arrives_is_shown_once_and_in_order(folder):
    before = write_events(folder, [event(n) for n in range(5)], "before")
    after = write_events(folder, [event(n) for n in range(5, 205)], "after")
    with Collector(folder) as collector:
        where = ("--endpoint", collector.url)
        same(phos("send", *where, before).code, 0, "send")
        with Tail("--last", "3", "--count", "203", *where) as tail:
            tail.wait_for_lines(3)
            same(phos("send", *where, after).code, 0, "send")
            result = tail.end()
    same((result.code, result.err), (0, ""), str(result))
    shown = inputs(result)
    same(shown[:3], [event(n)["input"] for n in (2, 3, 4)], "the last three")
    same(sorted(shown[3:]), sorted(event(n)["input"] for n in range(5, 205)),
         "the new ones")


def filters_are_asked_for_with_each_question(folder):
    with Service(Store([event(1)])) as service:
        with Tail("--session", "a&b", "--user", "u", "--model", "m",
                  "--flag", "failure", "--tag", "t", "--q", "caf\u00e9",
                  "--from", "2025-01-01", "--endpoint", service.url) as tail:
            rounds(service, 3)
            tail.signal(signal.SIGINT)
            same(tail.end().code, 130, "Ctrl-C")
        asked = [dict(urllib.parse.parse_qsl(request[1].partition("?")[2]))
                 for request in service.requests[:2]]
    same(asked[0], {"session_id": "a&b", "user_id": "u", "model": "m",
                    "flag": "failure", "tag": "t", "q": "caf\u00e9",
                    "from": "2025-01-01", "limit": "100"}, "first")
    same(asked[1], dict(asked[0], **{"from": "2025-01-30T23:55:01.000000Z"}),
         "second")


def late_ones_and_more_than_a_page_are_found(folder):
    for with_total in (True, False):
        store = Store([event(n) for n in range(1000, 1250)], with_total)
        with Service(store) as service:
            with Tail("--last", "2", "--count", "153", "--endpoint",
                      service.url) as tail:
                tail.wait_for_lines(2)
                store.events += [event(n) for n in range(1250, 1400)] + \
                    [event(1, timestamp="2025-01-31T00:20:20.5Z")]
                result = tail.end()
        same(result.code, 0, str(result))
        same(inputs(result)[:2], [event(n)["input"] for n in (1248, 1249)],
             "the last two")
        same(inputs(result)[2:],
             [event(1)["input"]] +
             [event(n)["input"] for n in range(1250, 1400)], "new ones")


def from_shows_all_since_then(folder):
    store = Store([event(n) for n in range(300)])
    with Service(store) as service:
        result = phos("tail", "--json", *QUICK, "--count", "240", "--from",
                      "2025-01-31T00:01:00Z", "--endpoint", service.url)
    same(result.code, 0, str(result))
    same(inputs(result), [event(n)["input"] for n in range(60, 300)], "shown")


def nothing_before_from_is_shown_later(folder):
    store = Store([event(100)])
    with Service(store) as service:
        with Tail("--count", "2", "--from", "2025-01-31T00:01:00Z",
                  "--endpoint", service.url) as tail:
            tail.wait_for_lines(1)
            store.events += [event(50), event(70)]
            result = tail.end()
    same(inputs(result), [event(n)["input"] for n in (100, 70)], "shown")


def an_event_of_the_future_hides_nobody(folder):
    now = datetime.datetime.now(datetime.timezone.utc)
    store = Store([event(1, timestamp="2099-01-01T00:00:00Z")])
    with Service(store) as service:
        with Tail("--count", "2", "--endpoint", service.url) as tail:
            tail.wait_for_lines(1)
            store.events.append(
                event(2, timestamp=now.strftime("%Y-%m-%dT%H:%M:%SZ")))
            result = tail.end()
    same((result.code, inputs(result)),
         (0, [event(1)["input"], event(2)["input"]]), "shown")


def each_event_is_one_line_digit_by_digit(folder):
    body = b'''{ "events": [
      { "event_id": "b", "n":
        123456789012345678901234, "x": [1.10, {"a": "]\\n"}] },
      {"event_id": "a", "text": "\xff\x7f"}
    ] }'''
    with Service(lambda *_: (200, {}, body)) as service:
        result = phos("tail", *QUICK, "--count", "2", "--endpoint",
                      service.url)
    same(result.code, 0, str(result))
    first, second = result.out.splitlines()
    same(first, '{"event_id": "a", "text": "\ufffd\\u007f"}', "first")
    same(second.replace(" ", ""),
         '{"event_id":"b","n":123456789012345678901234,'
         '"x":[1.10,{"a":"]\\n"}]}', "second")


def trouble_that_may_pass_is_said_once_and_waited_out(folder):
    answers = [(503, {}, b""), (429, {"Retry-After": "0"}, b""),
               (500, {}, b"<html>"),
               (200, {}, json.dumps([event(1)]).encode())]
    with Service(lambda service, *_:
                 answers[min(len(service.requests), len(answers)) - 1]
                 ) as service:
        result = phos("tail", "--json", *QUICK, "--count", "1", "--endpoint",
                      service.url)
    same((result.code, inputs(result)), (0, [event(1)["input"]]), str(result))
    same(result.err, "phos: the service answers HTTP 503; trying again\n"
                     "phos: the service answers again\n", "said")
    with Tail("--endpoint", service.url) as tail:
        tail.wait_for_err("no answer: ")
        tail.signal(signal.SIGTERM)
        result = tail.end()
    same((result.code, result.out), (143, ""), str(result))


def trouble_that_stays_ends_it(folder):
    rows = [
        (400, b'{"error":"flag: no"}', 1, "HTTP 400: flag: no"),
        (401, b'{"error":"unknown key"}', 3, "check --api-key-file"),
        (302, b"", 3, "redirects elsewhere"),
        (200, b"<html>", 3, "not with JSON"),
        (200, b"{}", 1, "no list"),
    ]
    for status, body, code, words in rows:
        with Service(lambda *_: (status, {}, body)) as service:
            result = phos("tail", *QUICK, "--endpoint", service.url)
        same((result.code, result.out), (code, ""), f"{status}: {result}")
        true(words in result.err, f"{status}: {result}")
    same(phos("tail", "--endpoint", "ftp://127.0.0.1").code, 3, "endpoint")


def ctrl_c_ends_it_while_a_reply_is_awaited(folder):
    with Service(Service.hold) as service:
        with Tail("--endpoint", service.url) as tail:
            service.wait_for(lambda: service.requests, "a request")
            tail.signal(signal.SIGINT)
            result = tail.end()
    same((result.code, result.out, result.err), (130, "", ""), str(result))


def it_ends_when_nobody_reads_on(folder):
    with Service(Store([event(1), event(2)])) as service:
        with Tail("--endpoint", service.url) as tail:
            tail.wait_for_lines(2)
            tail.process.stdout.close()
            same(tail.process.wait(DEADLINE_S), 0, "exit code")
            same(tail.process.stderr.read(), b"", "standard error")
            tail.process.stdout = None


def a_terminal_gets_a_timeline(folder):
    ours, theirs = pty.openpty()
    with Service(Store([event(1), event(2)])) as service:
        process = subprocess.Popen(
            [PHOS, "tail", *QUICK, "--endpoint", service.url],
            stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.PIPE,
            env=environment())
        os.close(theirs)
        shown = b""
        while shown.count(b"m-1") < 2:
            shown += os.read(ours, 4096)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=DEADLINE_S)
    os.close(ours)
    same((process.returncode, err), (143, b""), "end")
    true(shown.startswith(
        b"2025-01-31 00:00:01  " + event(1)["event_id"].encode()),
        repr(shown))


def a_wrong_command_line_asks_nobody(folder):
    with Service() as service:
        for arguments, words in ((["now"], "takes options only"),
                                 (["--last", "101"], "from 0 to 100"),
                                 (["--form", "2025"], "did you mean --from?")):
            result = phos("tail", *arguments, PHOS_ENDPOINT=service.url)
            same((result.code, result.out), (2, ""), f"{result}")
            true(words in result.err and "phos tail --help" in result.err,
                 f"{result}")
        same(service.requests, [], "requests")


run(*([what_arrives_is_shown_once_and_in_order]
      if "PHOSD" in os.environ else []),
    filters_are_asked_for_with_each_question,
    late_ones_and_more_than_a_page_are_found,
    from_shows_all_since_then,
    nothing_before_from_is_shown_later,
    an_event_of_the_future_hides_nobody,
    each_event_is_one_line_digit_by_digit,
    trouble_that_may_pass_is_said_once_and_waited_out,
    trouble_that_stays_ends_it,
    ctrl_c_ends_it_while_a_reply_is_awaited,
    it_ends_when_nobody_reads_on,
    a_terminal_gets_a_timeline,
    a_wrong_command_line_asks_nobody)
