"""GET /metrics: that it is OpenMetrics, that it counts what happened, and that
it tells nothing that a client has chosen."""

import re
import time

from rig import HANG_S, KEY, Collector, equal, event, main, test

SAMPLE = re.compile(r'([a-z_]+)(?:\{([^}]*)\})? (\d+(?:\.\d+)?)$')
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "info": ("_info",),
            "histogram": ("_bucket", "_count", "_sum")}


def parse(text):
    """Checks the form and returns {name{labels}: value} and the types."""
    lines = text.split("\n")
    equal(lines[-2:], ["# EOF", ""])
    values, types, family = {}, {}, None
    for line in lines[:-2]:
        mark = re.match(r"# (TYPE|HELP|UNIT) (\w+) (.+)$", line)
        if mark and mark.group(1) == "TYPE":
            family = mark.group(2)
            assert family not in types, line
            types[family] = mark.group(3)
        elif mark:
            equal(mark.group(2), family, line)
            if mark.group(1) == "UNIT":
                assert family.endswith("_" + mark.group(3)), line
        else:
            found = SAMPLE.match(line)
            assert found, line
            name, labels, value = found.groups()
            assert name.startswith(family), line
            assert name[len(family):] in SUFFIXES[types[family]], line
            key = name + ("{%s}" % labels if labels else "")
            assert key not in values, line
            values[key] = float(value)
    for family, kind in types.items():
        if kind == "histogram":
            check_histogram(family, values)
    return values, types


def check_histogram(family, values):
    buckets = [(float(re.search('le="(.+)"', name).group(1)), value)
               for name, value in values.items()
               if name.startswith(family + "_bucket")]
    assert len(buckets) > 2 and buckets[-1][0] == float("inf"), buckets
    equal(buckets, sorted(buckets), family)
    equal(buckets[-1][1], values[family + "_count"], family)


def metrics(phosd):
    reply = phosd.get("/metrics")
    equal(reply.status, 200, reply)
    equal(reply.headers["Content-Type"],
          "application/openmetrics-text; version=1.0.0; charset=utf-8")
    return parse(reply.body.decode())[0]


@test
def what_happened_is_counted():
    with Collector("--events-per-minute", "10") as phosd:
        before = metrics(phosd)
        equal(before["phosd_events_accepted_total"], 0)
        events = [event() for _ in range(4)]
        phosd.ingest(*events)
        phosd.ingest(*events[:2], event())
        for body, status in (({"events": [event()] * 20}, 429),
                             ({"events": [event(input=1)] * 3}, 400),
                             (b"no JSON", 400)):
            equal(phosd.ask("POST", "/api/ingest/batch", body).status, status)
        equal(phosd.get("/api/events").status, 200)
        equal(phosd.get("/api/events/" + events[0]["event_id"]).status, 200)
        equal(phosd.get("/api/events", key="wrong").status, 401)
        equal(phosd.get("/nowhere").status, 404)
        equal(phosd.raw(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
              .split()[1], b"400")
        now = metrics(phosd)
        rows = {
            "phosd_events_accepted_total": 5,
            "phosd_events_duplicate_total": 2,
            'phosd_events_refused_total{reason="limit"}': 20,
            'phosd_events_refused_total{reason="invalid"}': 3,
            'phosd_events_refused_total{reason="unavailable"}': 0,
            'phosd_requests_total{route="/api/ingest/batch",status="201"}': 2,
            'phosd_requests_total{route="/api/ingest/batch",status="400"}': 2,
            'phosd_requests_total{route="/api/ingest/batch",status="429"}': 1,
            'phosd_requests_total{route="/api/events",status="200"}': 1,
            'phosd_requests_total{route="/api/events",status="401"}': 1,
            'phosd_requests_total{route="/api/events/:id",status="200"}': 1,
            'phosd_requests_total{route="none",status="404"}': 1,
            'phosd_requests_total{route="none",status="400"}': 1,
            'phosd_requests_total{route="/metrics",status="200"}': 1,
            "phosd_commit_events_count": 2,
            "phosd_commit_events_sum": 7,
            'phosd_commit_events_bucket{le="2.0"}': 0,
            'phosd_commit_events_bucket{le="5.0"}': 2,
            "phosd_commit_duration_seconds_count": 2,
            "phosd_commits_failed_total": 0,
            "phosd_writes_waiting": 0,
            "phosd_reads_waiting": 0,
        }
        for name, value in rows.items():
            equal(now.get(name), value, name)
        assert now["phosd_commit_duration_seconds_sum"] > 0
        assert now["phosd_database_bytes"] >= 4096
        assert now["phosd_log_bytes"] > 0
        assert any(re.fullmatch(r'phosd_build_info\{version="\d+\.\d+\.\d+",'
                                r'sqlite="3\.[\d.]+"\}', name)
                   for name in now), now


@test
def a_request_that_goes_away_is_counted_as_unanswered():
    with Collector("--body-timeout-ms", "300") as phosd:
        end = time.monotonic() + HANG_S
        connection = phosd.connect()
        connection.putrequest("POST", "/api/ingest")
        connection.putheader("Authorization", "Bearer " + KEY)
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", "10")
        connection.endheaders()
        connection.close()
        while metrics(phosd)["phosd_requests_unanswered_total"] < 1:
            assert time.monotonic() < end, "it was never counted"


@test
def metrics_need_a_key_unless_they_are_opened():
    with Collector() as phosd:
        equal(phosd.ask("GET", "/metrics", headers={"Authorization": None})
              .status, 401)
        equal(phosd.get("/metrics", key="wrong").status, 401)
        equal(phosd.ask("POST", "/metrics", {}).status, 405)
    for options, environment in ((["--metrics-open"], {}),
                                 ([], {"PHOSD_METRICS_OPEN": "1"})):
        with Collector(*options, environment=environment) as phosd:
            equal(phosd.ask("GET", "/metrics", headers={"Authorization": None})
                  .status, 200)
            equal(phosd.ask("GET", "/api/events",
                            headers={"Authorization": None}).status, 401)


@test
def nothing_that_a_client_chose_is_told():
    with Collector() as phosd:
        secret = "s3cretword"
        phosd.ingest(event(secret, session_id=secret,
                           metadata={"user_id": secret, "model": secret,
                                     "tags": [secret]}))
        phosd.get("/api/sessions/" + secret)
        phosd.get("/" + secret, q=secret)
        phosd.ask("PUT" + secret, "/api/events")
        body = phosd.get("/metrics").body.decode()
        assert secret not in body and KEY not in body, body


main()
