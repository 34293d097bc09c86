"""phos send with a key or an endpoint that cannot work: nothing counts as
delivered, the key goes nowhere else, and the message says what to do."""

import os

from e2e import (KEY, FaultServer, Service, event, phos, run, same, true,
                 write_events)


def assert_stopped(result, server, why, advice):
    counts, _ = server.report()
    same(result.code, 3, str(result))
    summary = result.summary()
    same((summary["delivered"], summary["duplicate"]), (0, 0), "delivered")
    same(summary["stopped_by"], "configuration", "stopped_by")
    same(counts["events"], 0, "events stored")
    true(advice in result.err, result.err)
    # Why is told once, by the library.
    lines = [line for line in result.err.splitlines()
             if "nothing is delivered: " + why in line]
    same(len(lines), 1, result.err)
    return summary


def send(folder, server, count=500, *options):
    path = write_events(folder, [event(number) for number in range(count)])
    return phos("send", "--json", "--endpoint", server.url, *options, path)


def a_refused_key_ends_it_with_advice(folder):
    with FaultServer(folder, "--key", "ph_another") as server:
        summary = assert_stopped(send(folder, server), server,
                                 "the key is refused (HTTP 401",
                                 "Check --api-key-file")
    same(summary["last_http_status"], 401, "status")


def one_event_is_enough_to_see_it(folder):
    with FaultServer(folder, "--key", "ph_another") as server:
        result = send(folder, server, 1)
        true(f"{folder}/events.ndjson:1: not delivered" in result.err,
             result.err)
        assert_stopped(result, server, "the key is refused (HTTP 401",
                       "Check --api-key-file")


def a_redirect_is_not_followed(folder):
    with Service() as elsewhere:
        with FaultServer(folder, "--redirect",
                         elsewhere.url + "/api/ingest/batch") as server:
            assert_stopped(send(folder, server), server,
                           "the service redirects elsewhere (HTTP 3",
                           "Give the final address with --endpoint")
        same(elsewhere.requests, [], "requests elsewhere")


def a_web_page_is_no_success(folder):
    with FaultServer(folder, "--page") as server:
        assert_stopped(send(folder, server), server,
                       "something else than the service answers (HTTP 200",
                       "Check --endpoint")


def a_wrong_path_is_told(folder):
    with FaultServer(folder, "--status", "404") as server:
        assert_stopped(send(folder, server), server,
                       "there is no ingestion API at this address (HTTP 404",
                       "Check --endpoint")


def with_wait_it_goes_on_until_the_key_is_good(folder):
    served = []

    def answer(service, *_):
        served.append(1)
        return (401 if len(served) <= 3 else 201), {}, b"{}"

    path = write_events(folder, [event(number) for number in range(50)])
    with Service(answer) as service:
        result = phos("send", "--json", "--wait", "--in-flight", "1",
                      "--endpoint", service.url, path)
    same(result.code, 0, str(result))
    same(result.summary()["delivered"], 50, "delivered")


def the_key_travels_in_its_header_only(folder):
    key_file = os.path.join(folder, "key")
    with open(key_file, "w", encoding="utf-8") as file:
        file.write(KEY + "\n")
    path = write_events(folder, [event(1)])
    with Service() as service:
        result = phos("send", "--endpoint", service.url, "--api-key-file",
                      key_file, path, PHOSPHO_API_KEY="ph_not_this_one")
        method, target, headers, body = service.requests[0]
    same(result.code, 0, str(result))
    same((method, target), ("POST", "/api/ingest/batch"), "request")
    same(headers["Authorization"], "Bearer " + KEY, "header")
    true(KEY.encode() not in body, "the key stands in the body")


def nothing_is_sent_without_what_is_needed(folder):
    path = write_events(folder, [event(1)])
    empty = os.path.join(folder, "empty")
    open(empty, "w", encoding="utf-8").close()
    with Service() as service:
        url = service.url
        rows = [
            (["send", path], {}, "Give --endpoint"),
            (["send", "--endpoint", url, path], {"PHOSPHO_API_KEY": None},
             "give --api-key-file"),
            (["send", "--endpoint", url, "--api-key-file", empty, path], {},
             "is empty"),
            (["send", "--endpoint", url, "--api-key-file",
              os.path.join(folder, "missing"), path], {}, "cannot read"),
            (["send", "--endpoint", "nonsense", path], {}, "cannot start"),
            (["send", "--endpoint", "http://192.0.2.1", path], {},
             "PHOS_ALLOW_PLAIN_HTTP=1"),
            (["send", "--quiet", "--endpoint", "nonsense", path], {},
             "http:// or https://"),
            (["send", "--endpoint", url, path],
             {"PHOS_RETRY_BASE_MS": "soon"}, "PHOS_RETRY_BASE_MS"),
        ]
        for arguments, variables, words in rows:
            result = phos(*arguments, **variables)
            same(result.code, 3, f"{arguments}: {result}")
            true(words in result.err, f"{arguments}: {result}")
            same(result.out, "", "standard output")
        same(service.requests, [], "requests")


def it_sends_where_programs_are_told_not_to_record(folder):
    path = write_events(folder, [event(number) for number in range(3)])
    with Service() as service:
        result = phos("send", "--json", "--endpoint", service.url, path,
                      PHOS_ENABLED="0", PHOS_SAMPLE_RATE="0")
    same(result.code, 0, str(result))
    same(result.summary()["delivered"], 3, "delivered")


run(a_refused_key_ends_it_with_advice,
    one_event_is_enough_to_see_it,
    a_redirect_is_not_followed,
    a_web_page_is_no_success,
    a_wrong_path_is_told,
    with_wait_it_goes_on_until_the_key_is_good,
    the_key_travels_in_its_header_only,
    nothing_is_sent_without_what_is_needed,
    it_sends_where_programs_are_told_not_to_record)
