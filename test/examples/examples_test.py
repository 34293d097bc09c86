"""Runs the examples as their readers would, and looks at what arrived."""

import argparse
import contextlib
import json
import re
import signal
import subprocess
import sys

from services import collector, stand_in
from tap import (DEADLINE_S, check, check_equal, check_status, environment, run,
                 run_tests)

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-"
                  r"[0-9a-f]{12}")
QUESTION = "Wie hoch ist der \"K2\"? \U0001F3D4"
ANSWER = "8611 Meter.\n\u2028\\o/ \U0001F468\u200D\U0001F469\u200D\U0001F467"
COMPLETION = {
    "model": "gpt-test-0125",
    "choices": [{"message": {"role": "assistant", "content": ANSWER}}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 0},
}


def texts(events):
    return [(event["input"], event["output"]) for event in events]


# Every function below that takes a service runs against each of them.


def minimal_puts_its_event_on_record(programs, service):
    done = run(programs.minimal, env=environment(service))
    check_status(done)
    check_equal(done.stdout, "1 delivered\n")
    (event,) = service.events()
    check_equal(texts([event]), [("How tall is K2?", "8,611 m.")])
    check_equal(event["metadata"], {"model": "m-1", "latency_ms": 412})
    check(UUID.fullmatch(event["event_id"]), event["event_id"])


def minimal_says_which_settings_are_missing(programs):
    url = {"PHOS_ENDPOINT": "http://127.0.0.1:1"}
    for missing, given in [("PHOS_ENDPOINT", {}), ("PHOSPHO_API_KEY", url)]:
        done = run(programs.minimal, env=environment(**given))
        check_status(done, 1)
        check(missing in done.stderr, done.stderr)


def minimal_says_why_nothing_arrives(programs):
    done = run(programs.minimal, env=environment(
        PHOS_ENDPOINT="http://127.0.0.1:1", PHOSPHO_API_KEY="ph_test"))
    check_status(done, 1)
    check("Connection refused" in done.stderr, done.stderr)


def in_cpp(test):
    """The same test of the same program, written in C++."""
    def test_in_cpp(programs, *service):
        test(argparse.Namespace(minimal=programs.minimal_cpp), *service)

    test_in_cpp.__name__ = test.__name__ + "_in_cpp"
    return test_in_cpp


@contextlib.contextmanager
def chat_model(status=200, reply=None):
    with stand_in() as model:
        model.chat_reply = (status, COMPLETION if reply is None else reply)
        yield model


def chat_environment(model, service=None):
    return environment(service, OPENAI_BASE_URL=model.url + "/v1",
                       OPENAI_API_KEY="sk-test", OPENAI_MODEL="gpt-test")


def a_chat_is_answered_measured_and_logged(programs, service):
    with chat_model() as model:
        done = run(programs.chat_with_logging, QUESTION,
                   env=chat_environment(model, service))
        check_equal(model.chats, [("Bearer sk-test", {
            "model": "gpt-test",
            "messages": [{"role": "user", "content": QUESTION}]})])
    check_status(done)
    check_equal(done.stdout, ANSWER + "\n")
    (event,) = service.events()
    check_equal(texts([event]), [(QUESTION, ANSWER)])
    metadata = dict(event["metadata"])
    latency_ms = metadata.pop("latency_ms")
    check(isinstance(latency_ms, int) and 0 <= latency_ms < DEADLINE_S * 1000,
          f"latency {latency_ms}")
    check_equal(metadata, {"model": "gpt-test-0125", "provider": "openai",
                           "token_count_input": 9, "token_count_output": 0})
    check(f"logged as {event['event_id']}" in done.stderr, done.stderr)
    check("1 of 1 events delivered" in done.stderr, done.stderr)


def a_chat_goes_on_without_a_record(programs):
    with chat_model() as model:
        done = run(programs.chat_with_logging, QUESTION,
                   env=chat_environment(model))
    check_status(done)
    check_equal(done.stdout, ANSWER + "\n")
    check("without a record" in done.stderr, done.stderr)


def a_chat_without_token_counts_leaves_them_out(programs):
    reply = {"choices": [{"message": {"content": "ok"}}], "usage": None}
    with chat_model(200, reply) as model:
        done = run(programs.chat_with_logging,
                   env=chat_environment(model, model))
        check_status(done)
        (event,) = model.events()
    check_equal(sorted(event["metadata"]), ["latency_ms", "provider"])


def a_chat_that_fails_is_not_logged(programs):
    for status, reply in [(500, {}), (404, "not here"), (200, ""),
                          (200, "{\"choices\":["), (200, []), (200, {}),
                          (200, {"choices": []}), (200, {"choices": [{}]}),
                          (200, {"choices": [{"message": {"content": None}}]})]:
        with chat_model(status, reply) as model:
            done = run(programs.chat_with_logging, QUESTION,
                       env=chat_environment(model, model))
            check_equal(model.events(), [])
        check_status(done, 1)
        check_equal(done.stdout, "")


def a_session_keeps_its_turns_together(programs, service):
    done = run(programs.multi_turn_session, env=environment(service))
    check_status(done)
    receipts = dict(re.findall(r"^turn (\d): delivered as (\S+)$", done.stdout,
                               re.MULTILINE))
    session = re.search(r"^session (user-42-[0-9a-f]{16}): 4 of 4 turns",
                        done.stdout, re.MULTILINE)
    check(session, done.stdout)
    events = service.events()
    check_equal([event["output"] for event in events],
                ["K2, on the border of China and Pakistan.", "8,611 metres.",
                 "Achille Compagnoni and Lino Lacedelli, in 1954.",
                 "Prego! \u26F0\uFE0F"])
    for turn, event in enumerate(events, start=1):
        metadata = event["metadata"]
        check_equal(event["session_id"], session[1])
        check_equal(event["event_id"], receipts[str(turn)])
        check_equal(metadata["turn"], turn)
        check_equal(metadata["user_id"], "user-42")
        check_equal(metadata["tags"], ["demo", "mountains"])
        check_equal(metadata["release"], "2025.1")
        check_equal(metadata["temperature"], 0.2)
        check(metadata["cached"] is False, metadata)
        cost = (0.001 * metadata["token_count_input"] +
                0.004 * metadata["token_count_output"])
        check(abs(metadata["cost_cents"] - cost) < 1e-9, metadata)


def start_server(programs, service):
    server = subprocess.Popen(
        [programs.shutdown_hooks], env=environment(service), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    check_equal(server.stdout.readline(), "ready\n")
    for word in ["one", "two", "three"]:
        server.stdin.write(word + "\n")
        server.stdin.flush()
        check_equal(server.stdout.readline(), word.upper() + "\n")
    return server


THREE = [("one", "ONE"), ("two", "TWO"), ("three", "THREE")]
REPORT = "3 accepted: 3 delivered, 0 duplicate, 0 refused, 0 dropped, 0 unknown"


def sigterm_loses_nothing(programs, service):
    server = start_server(programs, service)
    server.send_signal(signal.SIGTERM)
    # Standard input stays open: the signal alone must end the loop.
    check_equal(server.wait(DEADLINE_S), 0)
    server.stdin.close()
    with server.stdout, server.stderr:
        errors = server.stderr.read()
    check(REPORT in errors, errors)
    check_equal(texts(service.events()), THREE)


def end_of_file_loses_nothing(programs, service):
    server = start_server(programs, service)
    _, errors = server.communicate("", timeout=DEADLINE_S)
    check_equal(server.returncode, 0)
    check(REPORT in errors, errors)
    check_equal(texts(service.events()), THREE)


def an_exit_from_below_main_loses_nothing(programs, service):
    server = start_server(programs, service)
    output, errors = server.communicate("exit\nnever\n", timeout=DEADLINE_S)
    check_equal(server.returncode, 0)
    check_equal(output, "")
    check("accepted" not in errors, errors)  # main() did not close
    check_equal(texts(service.events()), THREE)


def what_is_on_record_can_be_read_back(programs, service):
    check_status(run(programs.multi_turn_session, env=environment(service)))
    done = run(programs.read_back, env=environment(service))
    check_status(done)
    answers = dict(re.findall(r"^(\w+): (.*)$", done.stdout, re.MULTILINE))
    (event,) = json.loads(answers["events"])["events"]
    check_equal(event["metadata"]["user_id"], "user-42")
    (session,) = json.loads(answers["sessions"])["sessions"]
    check_equal(session["session_id"], event["session_id"])
    check_equal(session["event_count"], 4)


def who_may_not_read_is_told(programs, service):
    done = run(programs.read_back,
               env={**environment(service), "PHOSPHO_API_KEY": "ph_other"})
    check_status(done, 1)
    check_equal(done.stdout, "")
    check("HTTP 401" in done.stderr, done.stderr)


ALONE = [
    minimal_says_which_settings_are_missing,
    minimal_says_why_nothing_arrives,
    a_chat_goes_on_without_a_record,
    a_chat_without_token_counts_leaves_them_out,
    a_chat_that_fails_is_not_logged,
]
WITH_SERVICE = [
    minimal_puts_its_event_on_record,
    a_chat_is_answered_measured_and_logged,
    a_session_keeps_its_turns_together,
    sigterm_loses_nothing,
    end_of_file_loses_nothing,
    an_exit_from_below_main_loses_nothing,
]
WITH_PHOSD = [
    what_is_on_record_can_be_read_back,
    who_may_not_read_is_told,
]


def with_service(test, programs, open_service):
    with open_service() as service:
        test(programs, service)


def plan(programs):
    """Sentence and body of every test."""
    alone, with_services = list(ALONE), list(WITH_SERVICE)
    if programs.minimal_cpp is not None:
        alone.append(in_cpp(minimal_says_which_settings_are_missing))
        with_services.append(in_cpp(minimal_puts_its_event_on_record))
    for test in alone:
        yield test.__name__, lambda test=test: test(programs)
    services = {"the_stand_in": (stand_in, with_services)}
    if programs.phosd is not None:
        services["phosd"] = (lambda: collector(programs.phosd),
                             with_services + WITH_PHOSD)
    for name, (opener, tests) in services.items():
        for test in tests:
            yield (f"{test.__name__}_with_{name}",
                   lambda test=test, opener=opener:
                   with_service(test, programs, opener))


def main():
    parser = argparse.ArgumentParser()
    for name in ["minimal", "chat-with-logging", "multi-turn-session",
                 "read-back", "shutdown-hooks"]:
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--minimal-cpp")
    parser.add_argument("--phosd")
    return run_tests(list(plan(parser.parse_args())))


if __name__ == "__main__":
    sys.exit(main())
