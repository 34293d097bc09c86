"""phos feedback: into phosd and back, and against a service that says no."""

import json
import os

from e2e import KEY, Collector, Service, event, phos, run, same, true, \
    write_events

ID = "6f1f2b9e-2f7a-4f0e-9a51-0b7f3f6f5a10"


def answers(status, body=b"{}"):
    return lambda *_: (status, {}, body)


def what_is_said_stands_beside_the_event(folder):
    one = event(1)
    path = write_events(folder, [one])
    with Collector(folder) as collector:
        where = ("--endpoint", collector.url)
        same(phos("send", *where, path).code, 0, "send")
        result = phos("feedback", one["event_id"].upper(), "failure",
                      "--comment", "caf\u00e9 \"no\"\n", "--source", "check",
                      *where)
        same((result.code, result.out, result.err),
             (0, one["event_id"] + ": failure\n", ""), "first")
        got = json.loads(phos("events", "get", one["event_id"], *where).out)
        same(got["feedback"], {"flag": "failure", "source": "check",
                               "comment": "caf\u00e9 \"no\"\n"}, "feedback")

        result = phos("feedback", "--json", one["event_id"], "success",
                      *where)
        same((result.code, json.loads(result.out)),
             (0, {"event_id": one["event_id"]}), "again")
        got = json.loads(phos("events", "get", one["event_id"], *where).out)
        same((got["feedback"]["flag"], got["feedback"]["source"]),
             ("success", "user"), "feedback, replaced")


def an_event_that_is_not_there_is_told(folder):
    with Collector(folder) as collector:
        result = phos("feedback", ID, "success", "--endpoint", collector.url)
    same((result.code, result.out), (1, ""), str(result))
    true("HTTP 404: event_id: unknown event" in result.err, result.err)
    true("nothing was recorded: check EVENT_ID" in result.err, result.err)


def one_request_says_it_all(folder):
    with Service(answers(201)) as service:
        result = phos("feedback", ID, "success", "--comment", b"\xff",
                      "--endpoint", service.url + "/prefix/")
        same(result.code, 0, str(result))
        (method, path, headers, body), = service.requests
    same((method, path), ("POST", "/prefix/api/feedback"), "request")
    same(json.loads(body), {"event_id": ID, "flag": "success",
                            "comment": "\ufffd", "source": "user"}, "body")
    same((headers["Authorization"], headers["Content-Type"]),
         ("Bearer " + KEY, "application/json"), "headers")


def answers_become_exit_codes(folder):
    rows = [
        (201, b"", 0, ""),
        (204, b"", 0, ""),
        (400, b'{"error":"flag: no"}', 1, "HTTP 400: flag: no"),
        (500, b"", 1, "HTTP 500"),
        (401, b'{"error":"unknown key"}', 3, "check --api-key-file"),
        (302, b"", 3, "redirects elsewhere"),
        (200, b"<html>Welcome</html>", 3, "not with JSON"),
    ]
    for status, body, code, words in rows:
        with Service(answers(status, body)) as service:
            result = phos("feedback", ID, "success", "--json", "--endpoint",
                          service.url)
        same((result.code, result.out), (code, "{}\n" if code == 0 else ""),
             f"{status}: {result}")
        true(words in result.err, f"{status}: {result}")
    gone = phos("feedback", ID, "success", "--endpoint", service.url)
    same(gone.code, 1, str(gone))
    true("no answer: " in gone.err, gone.err)
    unset = phos("feedback", ID, "success", PHOSPHO_API_KEY=None,
                 PHOS_ENDPOINT=service.url)
    same(unset.code, 3, str(unset))


def a_wrong_command_line_asks_nobody(folder):
    rows = [
        ([], "what? An EVENT_ID"),
        ([ID], "what? An EVENT_ID"),
        ([ID, "success", "failure"], "what? An EVENT_ID"),
        (["4711", "success"], "EVENT_ID is a UUID"),
        ([ID, "Success"], "say 'success' or 'failure'"),
        ([ID, "success", "--commnet", "x"], "did you mean --comment?"),
    ]
    with Service() as service:
        for arguments, words in rows:
            result = phos("feedback", *arguments, PHOS_ENDPOINT=service.url)
            same((result.code, result.out), (2, ""), f"{arguments}: {result}")
            true(words in result.err and "phos feedback --help" in result.err,
                 f"{arguments}: {result}")
        same(service.requests, [], "requests")


with_collector = [what_is_said_stands_beside_the_event,
                  an_event_that_is_not_there_is_told]
run(*(with_collector if "PHOSD" in os.environ else []),
    one_request_says_it_all,
    answers_become_exit_codes,
    a_wrong_command_line_asks_nobody)
