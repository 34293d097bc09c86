"""What phos send reads and how it ends: broken lines, pipes, signals, and the
words it prints."""

import fcntl
import json
import os
import pty
import resource
import signal
import struct
import subprocess
import termios

from e2e import (DEADLINE_S, PHOS, Running, Service, environment, event, phos,
                 run, same, true, wait_until, write_events)


def line(number, **more):
    return json.dumps(event(number, **more)) + "\n"


def broken_lines_are_named_and_the_rest_goes_on(folder):
    path = os.path.join(folder, "mixed.ndjson")
    with open(path, "wb") as file:
        file.write(b"\xef\xbb\xbf" + line(1).encode())     # 1: a mark first
        file.write(b"{\"input\": \n")                      # 2
        file.write(b"\n  \r\n")                            # 3, 4: empty
        file.write(line(5).replace("\n", "\r\n").encode())
        file.write(b"{\"input\": \"a\\u0000b\", \"output\": \"\xff\"}\n")
        file.write(b"[1, 2]\n")                            # 7
        file.write(json.dumps(event(
            8, metadata={"latency_ms": "412"})).encode() + b"\n")
        file.write(b"a\0b\n")                              # 9
        file.write(b"\"" + b"x" * (16 << 20) + b"\"\n")    # 10: too long
        file.write(b"{\"input\": \"" + b"x" * 300000 + b"\", \"output\": "
                   b"\"\"}\n")                             # 11: too large
        file.write(line(12, model="m").rstrip().encode())  # 12: no newline
    with Service() as service:
        result = phos("send", "--json", "--endpoint", service.url, path)
        inputs = [one["input"] for one in service.events]
        outputs = [one["output"] for one in service.events]
    same(result.code, 1, str(result))
    summary = result.summary()
    same((summary["lines"], summary["empty"], summary["broken"],
          summary["rejected"], summary["delivered"]), (10, 2, 5, 1, 4),
         "counts")
    same(inputs[2], "a\0b", "input with a NUL")
    same(outputs[2], "\ufffd", "a broken byte")
    for words in (":2: not JSON", ":7: not an object but an array",
                  ":8: metadata.latency_ms must be an integer, not a string",
                  ":9: not JSON", ":10: longer than 16 MiB",
                  ":11: not taken: the event exceeds event_bytes_max",
                  "the key \"model\" is not part of an event"):
        true(words in result.err, f"no {words!r} in {result.err}")


def strict_stops_at_the_first_broken_line(folder):
    path = os.path.join(folder, "events.ndjson")
    with open(path, "w", encoding="utf-8") as file:
        file.write(line(1) + "nonsense\n" + line(3))
    with Service() as service:
        result = phos("send", "--json", "--strict", "--endpoint",
                      service.url, path)
        same(len(service.events), 1, "events sent")
    same(result.code, 1, str(result))
    summary = result.summary()
    same((summary["lines"], summary["broken"], summary["delivered"]),
         (2, 1, 1), "counts")
    same(summary["stopped_by"], "broken line", "stopped_by")


def an_event_on_a_slow_pipe_does_not_wait_for_the_next(folder):
    with Service() as service, \
            Running("send", "--json", "--linger-ms", "1", "--endpoint",
                    service.url) as running:
        running.write(line(1))
        service.wait_for_events(1)
        running.write(line(2)[:50])  # half a line is no line
        running.write(line(2)[50:])
        service.wait_for_events(2)
        running.write(line(3).rstrip())
        result = running.end()
        same(len(service.events), 3, "events sent")
    same(result.code, 0, str(result))
    same(result.summary()["delivered"], 3, "delivered")


def reading_never_outruns_the_service(folder):
    events = [event(number) for number in range(5000)]
    path = write_events(folder, events)
    with Service() as service:
        result = phos("send", "--json", "--endpoint", service.url, path,
                      PHOS_RING_BYTES="65536", PHOS_EVENT_BYTES_MAX="4096")
    same(result.code, 0, str(result))
    summary = result.summary()
    same((summary["rejected"], summary["delivered"]), (0, 5000), "counts")


def several_files_and_standard_input_are_read_in_order(folder):
    first = write_events(folder, [event(1)], "first")
    last = write_events(folder, [event(3)], "last")
    middle = write_events(folder, [event(2)], "middle")
    with Service() as service, open(middle, "rb") as stdin:
        result = phos("send", "--json", "--endpoint", service.url, first, "-",
                      last, stdin=stdin)
        same([one["event_id"] for one in service.events],
             [event(number)["event_id"] for number in (1, 2, 3)], "order")
    same(result.code, 0, str(result))


def an_id_met_twice_is_a_duplicate(folder):
    path = write_events(folder, [event(1), event(2), event(1)])
    with Service() as service:
        result = phos("send", "--json", "--endpoint", service.url, path)
    same(result.code, 0, str(result))
    summary = result.summary()
    same((summary["delivered"], summary["duplicate"]), (2, 1), "counts")


def custom_numbers_travel_digit_by_digit(folder):
    path = os.path.join(folder, "events.ndjson")
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"input": "a", "output": "b", "metadata": {"model": "m", '
                   '"big": 123456789012345678901234567890, "exact": 1.10, '
                   '"latency_ms": 7}}\n')
    with Service() as service:
        result = phos("send", "--endpoint", service.url, path)
        body = service.requests[0][3].decode()
    same(result.code, 0, str(result))
    for words in ('"big":123456789012345678901234567890', '"exact":1.10',
                  '"model":"m"', '"latency_ms":7'):
        same(body.count(words), 1, f"{words} in {body}")


# ---- signals ----


def unread_bytes(pipe):
    data = fcntl.ioctl(pipe.fileno(), termios.FIONREAD, b"\0" * 4)
    return struct.unpack("i", data)[0]


def a_signal_sends_what_was_read(folder):
    for number in (signal.SIGINT, signal.SIGTERM):
        with Service() as service, \
                Running("send", "--json", "--linger-ms", "3600000",
                        "--endpoint", service.url) as running:
            running.write(line(1))
            wait_until(lambda: unread_bytes(running.process.stdin) == 0,
                       "phos to read its input")
            running.signal(number)
            running.process.wait(DEADLINE_S)
            result = running.end()
            same(len(service.events), 1, "events sent")
        same(result.code, 128 + number, str(result))
        summary = result.summary()
        same(summary["delivered"], 1, "delivered")
        same(summary["stopped_by"], number.name, "stopped_by")


def after_a_signal_the_deadline_holds(folder):
    with Service(Service.hold) as service, \
            Running("send", "--json", "--linger-ms", "1",
                    "--close-timeout-ms", "50", "--endpoint",
                    service.url) as running:
        running.write(line(1))
        service.wait_for_events(1)
        running.signal(signal.SIGINT)
        running.process.wait(DEADLINE_S)
        result = running.end()
    same(result.code, 130, str(result))
    same(result.summary()["unknown"], 1, "unknown")
    true("stdin:1: not delivered" in result.err, result.err)


def a_second_signal_stops_at_once(folder):
    with Service(Service.hold) as service, \
            Running("send", "--json", "--linger-ms", "1",
                    "--close-timeout-ms", "86400000", "--endpoint",
                    service.url) as running:
        running.write(line(1))
        service.wait_for_events(1)
        running.signal(signal.SIGINT)
        running.wait_for_err("once more stops at once")
        running.signal(signal.SIGINT)
        running.process.wait(DEADLINE_S)
        result = running.end()
    same(result.code, 130, str(result))
    same(result.summary()["unknown"], 1, "unknown")


def a_deadline_at_the_end_of_input_holds_too(folder):
    path = write_events(folder, [event(1)])
    with Service(Service.hold) as service:
        result = phos("send", "--json", "--close-timeout-ms", "50",
                      "--endpoint", service.url, path)
    same(result.code, 1, str(result))
    same(result.summary()["unknown"], 1, "unknown")


def what_was_given_up_is_told_with_the_last_problem(folder):
    path = write_events(folder, [event(1)])
    with Service(lambda *_: (429, {}, b'{"error": "a minute is full"}')) \
            as service:
        with Running("send", "--json", "--linger-ms", "0", "--endpoint",
                     service.url, path) as running:
            service.wait_for_events(3)  # the first answers have been seen
            running.signal(signal.SIGINT)
            running.wait_for_err("once more stops at once")
            running.signal(signal.SIGINT)
            result = running.end()
    same(result.code, 130, str(result))
    same(result.summary()["dropped"] + result.summary()["unknown"], 1, "lost")
    true(":1: not delivered\nphos: the last problem with the service was: "
         "HTTP 429: a minute is full\n" in result.err, result.err)


def what_the_machine_lacks_is_no_wrong_configuration(folder):
    def few_descriptors():
        resource.setrlimit(resource.RLIMIT_NOFILE, (6, 6))

    path = write_events(folder, [event(1)])
    with Service() as service:
        done = subprocess.run(
            [PHOS, "send", "--endpoint", service.url, path],
            stdin=subprocess.DEVNULL, capture_output=True, env=environment(),
            preexec_fn=few_descriptors, timeout=DEADLINE_S)
        same(service.events, [], "events")
    same((done.returncode, done.stdout), (1, b""), repr(done.stderr))
    true(b"nothing was sent" in done.stderr, repr(done.stderr))


# ---- words ----


def the_summary_is_words_without_json(folder):
    path = write_events(folder, [event(1), event(2)])
    with Service() as service:
        result = phos("send", "--endpoint", service.url, path)
    same(result.code, 0, str(result))
    same(result.err, "", "standard error")
    true(result.out.startswith(
        "2 lines read = 2 accepted + 0 broken + 0 rejected\n"
        "2 accepted = 2 delivered + 0 duplicate + 0 refused + 0 dropped + 0 "
        "unknown\n1 request, 0 of them repeated"), result.out)


def quiet_prints_problems_only(folder):
    path = write_events(folder, [event(1)])
    with Service() as service:
        result = phos("send", "--quiet", "--endpoint", service.url, path)
        same((result.code, result.out, result.err), (0, "", ""), "quiet")
        with open(path, "a", encoding="utf-8") as file:
            file.write("nonsense\n")
        result = phos("send", "--quiet", "--endpoint", service.url, path)
        same((result.code, result.out), (1, ""), "quiet")
        true(":2: not JSON" in result.err, result.err)


def a_terminal_gets_a_bar_that_goes_away(folder):
    path = write_events(folder, [event(number) for number in range(500)])
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    shown = b""
    with Service(Service.hold) as service:
        process = subprocess.Popen(
            [PHOS, "send", "--endpoint", service.url, path],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs,
            env=environment())
        os.close(theirs)
        while b"%  " not in shown:
            shown += os.read(ours, 4096)
        service.released.set()
        out, _ = process.communicate(timeout=DEADLINE_S)
    try:
        while True:
            data = os.read(ours, 4096)
            if not data:
                break
            shown += data
    except OSError:  # how Linux ends a terminal
        pass
    os.close(ours)
    same(process.returncode, 0, repr(shown))
    true(b"[........................]   0%  0 events" in shown, repr(shown))
    true(shown.endswith(b"\r\x1b[K"), repr(shown))
    true(out.startswith(b"500 lines read"), repr(out))


def closed_standard_descriptors_harm_nothing(folder):
    path = write_events(folder, [event(1)])
    with open(path, "a", encoding="utf-8") as file:
        file.write("nonsense\n")  # something to say on standard error
    rows = [("<&- >&- 2>&-", path, 1), ("2>&-", path, 1), (">&-", path, 1),
            ("<&-", "-", 2)]
    with Service() as service:
        for closed, name, code in rows:
            done = subprocess.run(
                ["sh", "-c", 'exec "$@" ' + closed, "sh", PHOS, "send",
                 "--endpoint", service.url, name], stdin=subprocess.DEVNULL,
                capture_output=True, env=environment(), timeout=DEADLINE_S)
            same(done.returncode, code, closed)
        true(b"standard input: Bad file" in done.stderr, repr(done.stderr))
        same([one["input"][:2] for one in service.events], ["1:"] * 3,
             "events that arrived whole")


def settings_come_from_the_environment_and_options_win(folder):
    path = write_events(folder, [event(number) for number in range(10)])
    with Service() as service:
        result = phos("send", "--json", path, PHOS_ENDPOINT=service.url,
                      PHOS_BATCH_EVENTS_MAX="5", PHOSPHO_PROJECT_ID="p-1")
        same(len(service.requests), 2, "requests of 5")
        same({one["project_id"] for one in service.events}, {"p-1"},
             "project")
        result = phos("send", "--json", "--batch", "100", "--project-id",
                      "p-2", "--endpoint", service.url, path,
                      PHOS_ENDPOINT="http://127.0.0.1:1",
                      PHOS_BATCH_EVENTS_MAX="5", PHOSPHO_PROJECT_ID="p-1")
        same(len(service.requests), 3, "requests in all")
        same(service.events[-1]["project_id"], "p-2", "project")
    same(result.code, 0, str(result))


def a_wrong_command_line_is_usage(folder):
    path = write_events(folder, [event(1)])
    with Service() as service:
        rows = [
            (["send", "--liger-ms", "1"], "did you mean --linger-ms?"),
            (["send", "--batch", "101", path], "from 1 to 100"),
            (["send", "--batch"], "needs a value"),
            (["send", os.path.join(folder, "missing")], "nothing was sent"),
            (["send", path, folder], "is a directory; nothing was sent"),
            (["send", "--spool", folder, path], "unknown option --spool"),
            (["sned"], "did you mean send?"),
            (["events"], "phos events --help"),
            (["events", "frob"], "phos events --help"),
            (["sessions", "get"], "phos sessions --help"),
            ([], "Usage: phos"),
        ]
        for arguments, words in rows:
            result = phos(*arguments, PHOS_ENDPOINT=service.url)
            same(result.code, 2, f"{arguments}: {result}")
            true(words in result.err, f"{arguments}: {result}")
        same(service.requests, [], "requests")
    secret = phos("--api-kye=" + "ph_secret", "send")
    true("ph_secret" not in secret.err, secret.err)


def help_teaches_and_names_the_next_command(folder):
    for arguments in (["--help"], ["send", "--help"], ["events", "--help"],
                      ["sessions", "--help"], ["feedback", "--help"],
                      ["doctor", "--help"], ["tail", "--help"],
                      ["help", "send"]):
        result = phos(*arguments)
        same((result.code, result.err), (0, ""), f"{arguments}")
        true("Examples:\n  " in result.out, result.out)
        true(result.out.splitlines()[-1].startswith("Next: phos "),
             result.out)
        true(max(map(len, result.out.splitlines())) <= 100, result.out)
    version = phos("--version")
    true(version.out.startswith("phos 0.") and "libcurl/" in version.out,
         version.out)


run(broken_lines_are_named_and_the_rest_goes_on,
    strict_stops_at_the_first_broken_line,
    an_event_on_a_slow_pipe_does_not_wait_for_the_next,
    reading_never_outruns_the_service,
    several_files_and_standard_input_are_read_in_order,
    an_id_met_twice_is_a_duplicate,
    custom_numbers_travel_digit_by_digit,
    a_signal_sends_what_was_read,
    after_a_signal_the_deadline_holds,
    a_second_signal_stops_at_once,
    a_deadline_at_the_end_of_input_holds_too,
    what_was_given_up_is_told_with_the_last_problem,
    what_the_machine_lacks_is_no_wrong_configuration,
    the_summary_is_words_without_json,
    quiet_prints_problems_only,
    a_terminal_gets_a_bar_that_goes_away,
    closed_standard_descriptors_harm_nothing,
    settings_come_from_the_environment_and_options_win,
    a_wrong_command_line_is_usage,
    help_teaches_and_names_the_next_command)
