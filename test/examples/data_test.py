"""Runs the generator of demonstration data and looks at what it writes."""

import argparse
import json
import re
import sys
import unicodedata

from services import collector
from tap import check, check_equal, check_status, environment, run, run_tests

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-"
                  r"[0-9a-f]{12}")


def generate(generator, *arguments):
    done = run(sys.executable, generator, *arguments,
               env=environment())
    check_status(done)
    return done.stdout


def generated_data_is_the_same_for_the_same_seed(generator):
    first = generate(generator, "--events", "500", "--seed", "7")
    check(first == generate(generator, "--events", "500", "--seed", "7"),
          "the second run differs")
    check(first != generate(generator, "--events", "500", "--seed", "8"),
          "another seed makes no difference")
    check(generate(generator, "--events", "600", "--seed", "7")
          .startswith(first), "more events change the first ones")
    check_equal(generate(generator, "--events", "0"), "")


def generated_data_is_as_varied_as_a_real_day(generator):
    lines = generate(generator, "--events", "3000").split("\n")
    check_equal(lines.pop(), "")
    check_equal(len(lines), 3000)
    check(max(len(line.encode()) for line in lines) > 20000, "no long answer")
    events = [json.loads(line) for line in lines]
    check_equal(len({event["event_id"] for event in events}), 3000)

    sessions = {}
    for event in events:
        check(isinstance(event["input"], str), event)
        check(isinstance(event["output"], str), event)
        check(UUID.fullmatch(event["event_id"]), event)
        if event.get("session_id") is not None:
            sessions.setdefault(event["session_id"], []).append(event)
    check(max(len(events) for events in sessions.values()) >= 3,
          "no session of several turns")
    metadata = [event.get("metadata", {}) for event in events]
    for key in ["model", "provider", "latency_ms", "token_count_input",
                "token_count_output", "cost_cents", "user_id", "tags",
                "experiment", "parent"]:
        check(any(key in one for one in metadata), f"never {key}")
        check(any(key not in one for one in metadata), f"always {key}")
    check(any("user_id" in event.get("metadata", {})
              and event.get("session_id") is None for event in events),
          "no user without a session")
    characters = set("".join(event["input"] for event in events))
    scripts = {unicodedata.name(c, "?").split()[0] for c in characters}
    for script in ["LATIN", "GREEK", "CYRILLIC", "HEBREW", "ARABIC",
                   "DEVANAGARI", "THAI", "CJK", "HIRAGANA", "HANGUL"]:
        check(script in scripts, f"no {script}")
    check(any(ord(c) > 0xFFFF for c in characters), "nothing beyond 16 bits")


def a_collector_stores_generated_data_as_it_is(generator, service):
    lines = generate(generator, "--events", "1000").split("\n")[:-1]
    sent = [json.loads(line) for line in lines]
    for at in range(0, len(sent), 100):
        service.request("/api/ingest/batch", {"events": sent[at:at + 100]})
    stored = {event["event_id"]: event for event in service.events()}
    check_equal(len(stored), len(sent))
    for event in sent:
        got = stored[event["event_id"]]
        check_equal((got["input"], got["output"]),
                    (event["input"], event["output"]))
        check_equal(got.get("metadata") or {}, event.get("metadata", {}))


def plan(arguments):
    """Sentence and body of every test."""
    for test in [generated_data_is_the_same_for_the_same_seed,
                 generated_data_is_as_varied_as_a_real_day]:
        yield test.__name__, lambda test=test: test(arguments.generator)
    if arguments.phosd is not None:
        def with_collector():
            with collector(arguments.phosd) as service:
                a_collector_stores_generated_data_as_it_is(
                    arguments.generator, service)
        yield "a_collector_stores_generated_data_as_it_is", with_collector


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--generator", required=True)
    parser.add_argument("--phosd")
    return run_tests(list(plan(parser.parse_args())))


if __name__ == "__main__":
    sys.exit(main())
