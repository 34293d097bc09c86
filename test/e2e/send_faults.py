"""phos send against a service that fails: nothing is lost, nothing counted
twice, and one bad event costs no good one."""

import json
import os

from e2e import FaultServer, event, phos, run, same, true, write_events


def assert_stored(stored, events):
    same(set(stored), {one["event_id"] for one in events}, "ids stored")
    for one in events:
        got = stored[one["event_id"]]
        same(got["input"], one["input"], "input")
        same(got["metadata"], one["metadata"], "metadata")


def fifty_thousand_events_survive_a_third_of_failures(folder):
    events = [event(number) for number in range(50000)]
    path = write_events(folder, events)
    with FaultServer(folder, "--429", "2", "--500", "9", "--503", "9",
                     "--reset", "5", "--cut", "4",
                     "--commit-drop", "6") as server:
        result = phos("send", "--json", "--endpoint", server.url, path)
        counts, stored = server.report()
    same(result.code, 0, str(result))
    summary = result.summary()
    same(summary["lines"], 50000, "lines")
    same(summary["delivered"], 50000, "delivered")
    true(summary["retries"] > 0, "nothing was repeated")
    assert_stored(stored, events)
    # Each of these requests ended without an answer; those that had been
    # committed before can have been sent again, nothing else.
    true(counts["duplicates"] <= 100 * counts["by_status"].get("none", 0),
         f"twice without a reason: {counts}")


def without_commit_then_drop_none_arrives_twice(folder):
    events = [event(number) for number in range(10000)]
    path = write_events(folder, events)
    with FaultServer(folder, "--429", "2", "--500", "12", "--503", "11",
                     "--reset", "5", "--cut", "5") as server:
        result = phos("send", "--json", "--endpoint", server.url, path)
        counts, stored = server.report()
    same(result.code, 0, str(result))
    same(result.summary()["delivered"], 10000, "delivered")
    assert_stored(stored, events)
    same(counts["duplicates"], 0, "duplicates")


def poisoned(folder):
    events = [event(number) for number in range(1000)]
    events[617]["output"] = "VENOM"
    return events, write_events(folder, events)


def one_poisoned_event_is_refused_and_its_line_named(folder):
    events, path = poisoned(folder)
    refused = os.path.join(folder, "refused.ndjson")
    with FaultServer(folder, "--poison", "VENOM") as server:
        result = phos("send", "--json", "--refused", refused, "--endpoint",
                      server.url, path)
        counts, stored = server.report()
    same(result.code, 1, str(result))
    summary = result.summary()
    same((summary["delivered"], summary["refused"]), (999, 1), "counts")
    same(summary["reasons"]["invalid"], 1, "reason")
    bad = events.pop(617)
    assert_stored(stored, events)
    true(f"{path}:618: refused by the service (HTTP 422" in result.err,
         result.err)
    true(bad["event_id"] in result.err, result.err)
    true(counts["requests"] <= 10 + 16, f"too many requests: {counts}")
    with open(refused, encoding="utf-8") as file:
        kept = [json.loads(line) for line in file]
    same([one["event_id"] for one in kept], [bad["event_id"]], "kept")
    same(kept[0]["output"], "VENOM", "kept output")


def an_event_that_makes_the_service_fail_is_sent_at_most_twenty_times(folder):
    events, path = poisoned(folder)
    with FaultServer(folder, "--poison", "VENOM", "--poison-status",
                     "500") as server:
        result = phos("send", "--json", "--endpoint", server.url, path)
        counts, stored = server.report()
    same(result.code, 1, str(result))
    summary = result.summary()
    same((summary["delivered"], summary["refused"]), (999, 1), "counts")
    same(summary["reasons"]["poison"], 1, "reason")
    events.pop(617)
    assert_stored(stored, events)
    true(counts["poison_sends"] <= 20, f"sent too often: {counts}")


def a_body_limit_is_learned(folder):
    events = [event(number, text="x" * 1000) for number in range(2000)]
    path = write_events(folder, events)
    with FaultServer(folder, "--body-max", "20000") as server:
        result = phos("send", "--json", "--endpoint", server.url, path)
        counts, stored = server.report()
    same(result.code, 0, str(result))
    same(result.summary()["delivered"], 2000, "delivered")
    assert_stored(stored, events)
    # Of some 120 requests that had to be made at least.
    true(counts["by_status"].get("413", 0) <= 20, f"many 413: {counts}")


def an_event_above_the_limit_is_refused_alone(folder):
    events = [event(number) for number in range(100)]
    events[42]["output"] = "x" * 30000
    path = write_events(folder, events)
    with FaultServer(folder, "--body-max", "20000") as server:
        result = phos("send", "--json", "--endpoint", server.url, path)
        _, stored = server.report()
    same(result.code, 1, str(result))
    summary = result.summary()
    same((summary["delivered"], summary["refused"]), (99, 1), "counts")
    same(summary["reasons"]["too_large"], 1, "reason")
    true(f"{path}:43: refused by the service (HTTP 413" in result.err,
         result.err)
    events.pop(42)
    assert_stored(stored, events)


run(fifty_thousand_events_survive_a_third_of_failures,
    without_commit_then_drop_none_arrives_twice,
    one_poisoned_event_is_refused_and_its_line_named,
    an_event_that_makes_the_service_fail_is_sent_at_most_twenty_times,
    a_body_limit_is_learned,
    an_event_above_the_limit_is_refused_alone)
