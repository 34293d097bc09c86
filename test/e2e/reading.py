"""phos events and phos sessions against a service that answers in many
ways, and on a terminal."""

import json
import os
import pty
import subprocess
import urllib.parse

from e2e import DEADLINE_S, KEY, PHOS, Service, environment, phos, run, same, \
    true

EVENT = {
    "event_id": "6f1f2b9e-2f7a-4f0e-9a51-0b7f3f6f5a10",
    "session_id": "user-7-9c01d2aa",
    "input": "How tall is K2?\nIn metres.",
    "output": "8,611 m. \U0001f3d4",
    "metadata": {"model": "m-1", "latency_ms": 412, "release": "7"},
    "timestamp": "2025-01-31T09:30:00Z",
}


def answers(reply, status=200, headers=None):
    body = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
    return lambda *_: (status, headers or {}, body)


def on_a_terminal(*arguments, **variables):
    """Runs phos with a terminal of 80 columns for its standard output."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([PHOS, *arguments], stdin=subprocess.DEVNULL,
                               stdout=theirs, stderr=subprocess.PIPE,
                               env=environment(**variables))
    os.close(theirs)
    shown = b""
    try:
        while True:
            data = os.read(ours, 65536)
            if not data:
                break
            shown += data
    except OSError:  # how Linux ends a terminal
        pass
    os.close(ours)
    _, err = process.communicate(timeout=DEADLINE_S)
    same(process.returncode, 0, err.decode())
    return shown.replace(b"\r\n", b"\n")


def a_list_is_a_timeline_on_a_terminal(folder):
    for reply in ([EVENT], {"events": [EVENT], "total": 1},
                  {"data": [EVENT]}, {"items": [EVENT]}):
        with Service(answers(reply)) as service:
            shown = on_a_terminal("events", "list", "--endpoint", service.url)
        true(shown.decode().startswith(
            "2025-01-31 09:30:00  6f1f2b9e-2f7a-4f0e-9a51-0b7f3f6f5a10  "
            "user-7-9c01d2aa\n"
            "    > How tall is K2? In metres.\n"
            "    < 8,611 m. \U0001f3d4\n"
            "    m-1 \u00b7 412 ms\n"), shown)


def elsewhere_a_list_is_what_the_service_sent(folder):
    body = b'{"events": [ {"n": 123456789012345678901234, "x": 1.10} ]}'
    with Service(answers(body)) as service:
        result = phos("events", "list", "--endpoint", service.url)
        text = phos("events", "list", "--text", "--endpoint", service.url)
    same((result.code, result.out, result.err),
         (0, body.decode() + "\n", ""), "output")
    same((text.code, text.out[:29]), (0, "-                    -\n    > "),
         "text")


def a_total_that_is_not_exact_is_told_as_such(folder):
    for more, words in (({"total": 1, "exact": True}, "1 to 1 of 1\n"),
                        ({"total": 7}, "1 to 1 of 7; next: --offset 1\n"),
                        ({"total": 1, "exact": False},
                         "1 to 1 of at least 1; next: --offset 1\n")):
        with Service(answers({"events": [EVENT], **more})) as service:
            text = phos("events", "list", "--text", "--endpoint", service.url)
        true(text.out.endswith("\n" + words), text.out)


def filters_become_parameters(folder):
    with Service(answers({"events": []})) as service:
        result = phos("events", "list", "--session", "a&b=c", "--user", "u",
                      "--model", "m", "--flag", "success", "--tag", "t",
                      "--from", "2025-01-01", "--to", "2025-02-01", "--q",
                      "caf\u00e9 +", "--limit", "7", "--offset", "14",
                      "--endpoint", service.url + "/prefix/")
        same(result.code, 0, str(result))
        result = phos("sessions", "list", "--endpoint", service.url)
        same(result.code, 0, str(result))
        result = phos("sessions", "get", "a/b c?", "--endpoint", service.url)
        same(result.code, 0, str(result))
        targets = [request[1] for request in service.requests]
        keys = {request[2]["Authorization"] for request in service.requests}
    path, _, query = targets[0].partition("?")
    same(path, "/prefix/api/events", "path")
    same(dict(urllib.parse.parse_qsl(query)),
         {"session_id": "a&b=c", "user_id": "u", "model": "m",
          "flag": "success", "tag": "t", "from": "2025-01-01",
          "to": "2025-02-01", "q": "caf\u00e9 +", "limit": "7",
          "offset": "14"}, "parameters")
    same(targets[1:], ["/api/sessions?limit=20", "/api/sessions/a%2Fb%20c%3F"],
         "targets")
    same(keys, {"Bearer " + KEY}, "keys")


def nothing_of_the_service_reaches_the_terminal_raw(folder):
    nasty = "\x1b]0;title\x07\x1b[2J\x9b31m\u202egnp.exe\x7f"
    wild = dict(EVENT, event_id=nasty, session_id=nasty, input=nasty,
                output=nasty, flag=nasty, timestamp=nasty,
                metadata={"model": nasty, "provider": nasty, "user_id": nasty,
                          nasty: nasty})
    reply = {"events": [wild], "sessions": [wild], "total": 9, **wild}
    bodies = [json.dumps(reply).encode(),
              json.dumps(reply, ensure_ascii=False).encode()]
    for body in bodies:
        with Service(answers(body)) as service:
            for arguments in (["events", "list"], ["events", "get", "1"],
                              ["sessions", "list"], ["sessions", "get", "1"],
                              ["events", "list", "--json"]):
                shown = on_a_terminal(*arguments, "--endpoint", service.url)
                text = shown.decode()
                for bad in "\x1b\x07\x9b\u202e\x7f":
                    true(bad not in text, f"{arguments}: {shown!r}")


def a_refusal_is_told_in_the_words_of_the_service(folder):
    rows = [
        (404, {"error": "unknown event"}, 1, "HTTP 404: unknown event"),
        (400, {"detail": [{"msg": "bad limit"}]}, 1, "HTTP 400: bad limit"),
        (500, b"Oops \x1b[31m", 1, "HTTP 500: Oops \\x1b[31m"),
        (503, b"", 1, "HTTP 503: (nothing more)"),
        (401, {"error": "unknown key"}, 3, "check --api-key-file"),
        (200, b"<html>Welcome</html>", 3, "not with JSON"),
    ]
    for status, body, code, words in rows:
        with Service(answers(body, status)) as service:
            result = phos("events", "get", "1", "--endpoint", service.url)
        same((result.code, result.out), (code, ""), f"{status}: {result}")
        true(words in result.err, f"{status}: {result}")


def a_redirect_takes_no_key_along(folder):
    with Service() as elsewhere:
        with Service(answers(b"", 302, {"Location": elsewhere.url})) as service:
            result = phos("sessions", "list", "--endpoint", service.url)
        same(elsewhere.requests, [], "requests elsewhere")
    same(result.code, 3, str(result))
    true("redirects elsewhere" in result.err, result.err)


def no_service_is_told(folder):
    with Service() as service:
        url = service.url
    result = phos("events", "list", "--endpoint", url)
    same(result.code, 1, str(result))
    true("no answer: " in result.err, result.err)
    for endpoint, words in (("ftp://127.0.0.1", "http or https"),
                            ("http://192.0.2.1", "plain http"),
                            ("http://localhost.example", "plain http"),
                            ("http://u:p@127.0.0.1", "no user"),
                            ("http://127.0.0.1?a=b", "no user, query")):
        result = phos("events", "list", "--endpoint", endpoint)
        same(result.code, 3, str(result))
        true(words in result.err, str(result))


def a_key_makes_no_header_of_its_own(folder):
    with Service() as service:
        for command in (["events", "list"], ["send", os.devnull]):
            result = phos(*command, "--endpoint", service.url,
                          PHOSPHO_API_KEY="ph_a\r\nX-Other: b")
            same(result.code, 3, str(result))
            true("control byte" in result.err, str(result))
        same(service.requests, [], "requests")


def a_session_is_a_conversation_on_a_terminal(folder):
    session = {"session_id": "user-7-9c01d2aa", "event_count": 1,
               "started_at": "2025-01-31T09:30:00Z", "duration_ms": 65000,
               "events": [EVENT]}
    with Service(answers(session)) as service:
        shown = on_a_terminal("sessions", "get", "user-7-9c01d2aa",
                              "--endpoint", service.url)
    same(shown.decode(),
         "session user-7-9c01d2aa\n"
         "1 event, from 2025-01-31 09:30:00, lasted 1 min 05 s, - tokens, "
         "- cents, success -\n\n"
         "09:30:00  > How tall is K2?\n"
         "            In metres.\n"
         "          < 8,611 m. \U0001f3d4\n"
         "            m-1 \u00b7 412 ms\n", "conversation")


run(a_list_is_a_timeline_on_a_terminal,
    elsewhere_a_list_is_what_the_service_sent,
    a_total_that_is_not_exact_is_told_as_such,
    filters_become_parameters,
    nothing_of_the_service_reaches_the_terminal_raw,
    a_refusal_is_told_in_the_words_of_the_service,
    a_redirect_takes_no_key_along,
    no_service_is_told,
    a_key_makes_no_header_of_its_own,
    a_session_is_a_conversation_on_a_terminal)
