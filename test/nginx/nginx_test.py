"""The nginx module between a client, a chat model and a collector: what nginx
served is what the collector has."""

import http.client
import json
import os
import re
import signal
import socket
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "phosd"))

from model import Model, answer_to, chunks, completion
from proxy import Nginx
from rig import HANG_S, KEY, Collector, equal, main, test

QUESTION = 'How tall is "K2"? \U0001F3D4\u00e9'


def request(text=QUESTION, model="json", **more):
    return {"model": model, "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": text}], **more}


def proxying(model, more=""):
    return "location / { phos on; proxy_pass http://%s; %s }" % (
        model.address, more)


def sending_to(collector, more=""):
    return "phos_endpoint http://127.0.0.1:%d; phos_api_key_file key; %s" % (
        collector.port, more)


def nginx_for(model, collector, location="", http="", **more):
    nginx = Nginx(proxying(model, location), sending_to(collector, http),
                  **more)
    nginx.put("key", KEY + "\n")
    return nginx


def stored(collector):
    """Every event of the collector, oldest first."""
    events = []
    while True:
        page = collector.get("/api/events", limit=100,
                             offset=len(events)).json
        events += page["events"]
        if len(events) >= page["total"]:
            return events[::-1]


def only(collector):
    events = stored(collector)
    equal(len(events), 1, "events")
    return events[0]


def check_latency(metadata):
    latency = metadata.pop("latency_ms")
    assert 0 <= latency < HANG_S * 1000, latency


# ---- what an exchange becomes ----


@test
def a_json_answer_is_put_on_record():
    with Collector() as collector, Model() as model:
        with nginx_for(model, collector) as nginx:
            status, headers, body = nginx.ask(request(user="u-1"))
        equal(status, 200)
        equal(json.loads(body), completion(QUESTION))
        event = only(collector)
    equal((event["input"], event["output"]), (QUESTION, answer_to(QUESTION)))
    metadata = event["metadata"]
    check_latency(metadata)
    equal(metadata, {"model": "served-1", "token_count_input": len(QUESTION),
                     "token_count_output": 7, "user_id": "u-1",
                     "stream": False})


@test
def a_streamed_answer_is_put_on_record():
    with Collector() as collector, Model() as model:
        with nginx_for(model, collector) as nginx:
            status, headers, body = nginx.ask(request(model="stream"))
        equal(status, 200)
        want = [json.dumps(chunk, ensure_ascii=False)
                for chunk in chunks(QUESTION)] + ["[DONE]"]
        equal(body.decode(), "".join("data: %s\n\n" % one for one in want))
        event = only(collector)
    equal((event["input"], event["output"]), (QUESTION, answer_to(QUESTION)))
    metadata = event["metadata"]
    assert metadata.pop("first_text_ms") <= metadata["latency_ms"]
    check_latency(metadata)
    equal(metadata, {"model": "served-1", "token_count_input": len(QUESTION),
                     "token_count_output": 7, "stream": True})


@test
def a_stream_is_not_held_up():
    # The model goes on only when the client has what it sent so far.
    with Collector() as collector, Model() as model:
        with nginx_for(model, collector, "proxy_buffering off;") as nginx:
            connection = nginx.connect()
            connection.request("POST", "/", json.dumps(
                request(model="held-stream")))
            reply = connection.getresponse()
            # A character is an event of two lines; the last one is held back.
            for _ in range(2 * (len(answer_to(QUESTION)) - 1)):
                assert reply.readline() != b""
            model.go_on.set()
            assert reply.read().endswith(b"[DONE]\n\n")
            connection.close()
        equal(only(collector)["output"], answer_to(QUESTION))


@test
def session_user_and_provider_are_what_the_configuration_says():
    with Collector() as collector, Model() as model:
        location = """phos_session_id $http_x_session;
            phos_user_id $http_x_user; phos_provider openai;"""
        with nginx_for(model, collector, location,
                       "phos_project_id p-1;") as nginx:
            nginx.ask(request("one", user="of the body"),
                      headers={"X-Session": "s-1", "X-User": "u-2"})
            nginx.ask(request("two", user="of the body"))
        first, second = sorted(stored(collector),
                               key=lambda event: event["input"])
    equal(first["session_id"], "s-1")
    equal(first["metadata"]["user_id"], "u-2")
    equal(first["metadata"]["provider"], "openai")
    assert not second.get("session_id"), second
    assert "user_id" not in second["metadata"], second


@test
def the_client_can_be_told_the_event_id():
    with Collector() as collector, Model() as model:
        with nginx_for(model, collector,
                       "add_header X-Event $phos_event_id;") as nginx:
            status, headers, body = nginx.ask(request())
        equal(headers["X-Event"], only(collector)["event_id"])


@test
def texts_that_are_not_wanted_stay_away():
    with Collector() as collector, Model() as model:
        server = proxying(model) + """
            location /in { phos on; phos_capture input;
                           proxy_pass http://%(model)s; }
            location /out { phos on; phos_capture output;
                            proxy_pass http://%(model)s; }
            location /none { phos on; phos_capture none;
                             proxy_pass http://%(model)s; }
            location /off { phos off; proxy_pass http://%(model)s; }
            """ % {"model": model.address}
        nginx = Nginx(server, sending_to(collector))
        nginx.put("key", KEY)
        with nginx:
            for path in ["/in", "/out", "/none", "/off"]:
                equal(nginx.ask(request(), path)[0], 200)
            equal(nginx.ask(None, "/v1/models", "GET")[0], 200)
        events = stored(collector)
    equal(sorted((one["input"], one["output"]) for one in events),
          [("", ""), ("", answer_to(QUESTION)), (QUESTION, "")])
    for one in events:
        equal(one["metadata"]["model"], "served-1")
        assert "capture" not in one["metadata"], one


@test
def a_sample_is_taken_by_session():
    with Collector() as collector, Model() as model:
        with nginx_for(model, collector, "phos_session_id $http_x_session;",
                       "phos_sample 50%;") as nginx:
            for number in range(60):
                nginx.ask(request(), headers={"X-Session": str(number % 30)})
        sessions = [event["session_id"] for event in stored(collector)]
    for session in sessions:
        equal(sessions.count(session), 2, session)
    assert 0 < len(sessions) < 60, sessions
    equal(nginx.total("not in the sample"), 60 - len(sessions))


# ---- bodies of all kinds ----


@test
def a_huge_body_passes_and_its_last_message_is_kept():
    picture = "data:image/png;base64," + "QUJD" * 1000000
    body = json.dumps(request([
        {"type": "image_url", "image_url": {"url": picture}},
        {"type": "text", "text": QUESTION}])).encode()
    with Collector() as collector, Model() as model:
        with nginx_for(model, collector) as nginx:
            equal(nginx.ask(body)[0], 200)
        equal(model.bodies == [body], True, "the same bytes")
        equal(only(collector)["input"], QUESTION)


@test
def a_long_text_is_cut_at_a_character():
    text = "\u20ac" * 3000
    with Collector() as collector, Model() as model:
        with nginx_for(model, collector, "phos_max_text_size 4k;") as nginx:
            status, headers, body = nginx.ask(request(text))
        equal(json.loads(body), completion(text))
        event = only(collector)
    equal(event["input"], text[:4096 // 3])
    equal(event["output"], answer_to(text)[:(4096 - 10) // 3 + 10])
    equal(event["metadata"]["capture"], "cut")
    equal(event["metadata"]["token_count_output"], 7)


@test
def the_largest_texts_have_room():
    text = "x" * 1000000
    with Collector() as collector, Model() as model:
        with nginx_for(model, collector, "phos_max_text_size 1m;") as nginx:
            equal(nginx.ask(request(text))[0], 200)
        equal(nginx.total("delivered"), 1)
        equal(nginx.total("rejected"), 0)
        equal(only(collector)["input"] == text, True)


@test
def a_body_that_is_not_buffered_is_read_as_it_passes():
    def pieces():
        body = json.dumps(request()).encode()
        for at in range(0, len(body), 11):
            yield body[at:at + 11]

    with Collector() as collector, Model() as model:
        with nginx_for(model, collector,
                       "proxy_request_buffering off;") as nginx:
            connection = nginx.connect()
            connection.request("POST", "/", pieces(), encode_chunked=True,
                               headers={"Transfer-Encoding": "chunked"})
            equal(connection.getresponse().status, 200)
            connection.close()
        event = only(collector)
    equal((event["input"], event["output"]), (QUESTION, answer_to(QUESTION)))


@test
def an_answer_that_nginx_put_into_a_file_is_read():
    # With sendfile nginx itself would not look at the file.
    location = """sendfile on; proxy_buffers 2 4k; proxy_buffer_size 4k;
        proxy_busy_buffers_size 4k; phos_max_text_size 1m;"""
    text = "x" * 900000
    with Collector() as collector, Model() as model:
        with nginx_for(model, collector, location) as nginx:
            connection = nginx.connect()
            connection.connect()
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                                       4096)
            connection.request("POST", "/", json.dumps(request(text)))
            # Nobody reads until the answer is in the file.
            nginx.wait_for_line("buffered to a temporary file", 2)
            equal(json.loads(connection.getresponse().read()) ==
                  completion(text), True)
            connection.close()
        event = only(collector)
    equal(event["output"] == answer_to(text), True)
    assert "capture" not in event["metadata"], event["metadata"]


@test
def what_is_broken_passes_and_is_marked():
    with Collector() as collector, Model() as model:
        with nginx_for(model, collector) as nginx:
            # Broken behind the answer's text.
            status, headers, body = nginx.ask(request("one", "broken"))
            equal(status, 200)
            assert b'}"usage"' in body, body
            # No JSON at all, on either side.
            equal(nginx.ask(request("two", "text"))[2], b"two")
            equal(nginx.ask(b'{"messages": oops')[0], 200)
            equal(nginx.ask(b"\xff\x00")[0], 200)
        equal(model.bodies[-2:], [b'{"messages": oops', b"\xff\x00"])
        events = stored(collector)
    equal(sorted((event["input"], event["output"],
                  event["metadata"]["capture"]) for event in events),
          [("", answer_to("something broken"), "unreadable request"),
           ("", answer_to("something broken"), "unreadable request"),
           ("one", answer_to("one"), "unreadable"),
           ("two", "", "unreadable")])


@test
def a_compressed_answer_passes_and_is_marked():
    with Collector() as collector, Model() as model:
        with nginx_for(model, collector) as nginx:
            status, headers, body = nginx.ask(request(model="gzip"))
        equal(headers["Content-Encoding"], "gzip")
        equal(body[:2], b"\x1f\x8b")
        event = only(collector)
    equal((event["input"], event["output"]), (QUESTION, ""))
    equal(event["metadata"]["capture"], "encoded")


# ---- what goes wrong ----


@test
def answers_that_are_errors_are_counted_and_not_logged():
    with Collector() as collector, Model() as model:
        nobody = socket.create_server(("127.0.0.1", 0))
        server = proxying(model) + """
            location /nobody { phos on; proxy_pass http://127.0.0.1:%d; }
            """ % nobody.getsockname()[1]
        nobody.close()
        nginx = Nginx(server, sending_to(collector))
        nginx.put("key", KEY)
        with nginx:
            equal(nginx.ask(request(model="error"))[0], 500)
            equal(nginx.ask(request(), "/nobody")[0], 502)
            equal(nginx.ask(request())[0], 200)
        equal(len(stored(collector)), 1)
        equal(nginx.total("skipped"), 2)


@test
def a_fallback_keeps_the_request():
    with Collector() as collector, Model() as model:
        server = proxying(model) + """
            location /first { phos on; phos_session_id $http_x_session;
                error_page 502 = @second; proxy_pass http://unix:/nowhere; }
            location @second { proxy_pass http://%s; }""" % model.address
        nginx = Nginx(server, sending_to(collector))
        nginx.put("key", KEY)
        with nginx:
            equal(nginx.ask(request(), "/first",
                            headers={"X-Session": "s-1"})[0], 200)
        event = only(collector)
    equal((event["input"], event["output"], event["session_id"]),
          (QUESTION, answer_to(QUESTION), "s-1"))


@test
def a_client_that_goes_away_leaves_what_it_got():
    with Collector() as collector, Model() as model:
        with nginx_for(model, collector, "proxy_buffering off;") as nginx:
            connection = nginx.connect()
            connection.request("POST", "/", json.dumps(
                request(model="held-stream")))
            reply = connection.getresponse()
            for _ in range(2 * (len(answer_to(QUESTION)) - 1)):
                assert reply.readline() != b""
            reply.close()
            connection.close()
            # nginx goes on only when the client's end is noticed.
            nginx.wait_for_line("client prematurely closed connection")
        event = only(collector)
    equal(event["output"], answer_to(QUESTION)[:-1])
    equal(event["metadata"]["capture"], "aborted")


@test
def a_model_that_breaks_off_leaves_what_it_sent():
    with Collector() as collector, Model() as model:
        with nginx_for(model, collector) as nginx:
            try:
                nginx.ask(request(model="cut-stream"))
                raise AssertionError("the answer was whole")
            except http.client.IncompleteRead:
                pass
        event = only(collector)
    equal(event["output"], answer_to(QUESTION)[:-1])
    equal(event["metadata"]["capture"], "aborted")


@test
def without_a_collector_requests_are_served():
    with Model() as model:
        with Collector() as collector:
            pass
        collector.port = 1  # nobody listens there
        with nginx_for(model, collector,
                       http="phos_close_timeout 1ms;") as nginx:
            for number in range(50):
                text = "question %d" % number
                status, headers, body = nginx.ask(request(text))
                equal((status, json.loads(body)), (200, completion(text)))
            # Said while it serves, not only at its end.
            nginx.wait_for_line("phos: ")
    equal(nginx.total("accepted"), 50)
    equal(nginx.total("delivered"), 0)
    # What was being sent when the time was up is unknown.
    equal(nginx.total("dropped") + nginx.total("unknown"), 50)
    assert all("[error]" in line for line in nginx.ledgers()
               if not " 0 accepted" in line), nginx.ledgers()


@test
def a_key_that_is_refused_is_told_and_never_shown():
    with Collector() as collector, Model() as model:
        nginx = Nginx(proxying(model), sending_to(
            collector, "phos_close_timeout 1s;"))
        nginx.put("key", "ph_secret_of_ours\n")
        with nginx:
            equal(nginx.ask(request())[0], 200)
            nginx.wait_for_line("401")
        equal(stored(collector), [])
    equal(nginx.found("ph_secret_of_ours"), [])


@test
def an_endpoint_that_cannot_be_stops_no_request():
    with Model() as model:
        nginx = Nginx(proxying(model), """phos_endpoint http://example.com;
            phos_api_key_file key;""")
        nginx.put("key", KEY)
        with nginx:
            equal(nginx.ask(request())[0], 200)
    assert nginx.found("phos: nothing will be logged"), nginx.lines
    equal(nginx.ledgers(), [])


@test
def mistakes_in_the_configuration_are_found_by_nginx_t():
    good = "phos_endpoint http://127.0.0.1:1;"
    for http, want in [
            ("", "phos_endpoint is not set"),
            (good, "there is no key"),
            (good + "phos_api_key_file nowhere;", "cannot open"),
            (good + "phos_api_key_file empty;", "holds no key"),
            (good + "phos_api_key_file key; phos_sample 101%;", "100%"),
            (good + "phos_api_key_file key; phos_sample 0.5;", "percentage"),
            (good + "phos_api_key_file key; phos_max_text_size 2m;", "1m"),
            (good + "phos_api_key_file key;", None)]:
        nginx = Nginx("location / { phos on; }", http)
        nginx.put("key", KEY)
        nginx.put("empty", " \n")
        status, said = nginx.check_configuration()
        nginx.__exit__(None, None, None)
        equal(status, 1 if want else 0, said)
        assert want is None or want in said, said


# ---- what README.md says ----

README = os.path.join(os.path.dirname(__file__), "..", "..", "examples",
                      "nginx", "README.md")


@test
def the_configuration_in_the_readme_works():
    with open(README) as file:
        block = re.search(r"```nginx\n(.*?)```", file.read(), re.S)[1]
    http = re.search(r"http \{\n(.*?)    server \{", block, re.S)[1]
    server = re.search(r"    server \{\n(.*)    \}\n\}\n", block, re.S)[1]
    with Collector() as collector, Model() as model:
        http = http.replace("127.0.0.1:8787", "127.0.0.1:%d" % collector.port)
        http = http.replace("/etc/nginx/phos.key", "key")
        nginx = Nginx(server, http + "upstream model { server %s; }"
                      % model.address)
        nginx.put("key", KEY)
        with nginx:
            equal(nginx.ask(request(), headers={"X-Session-Id": "s-1"})[0],
                  200)
        event = only(collector)
    equal((event["input"], event["session_id"]), (QUESTION, "s-1"))


@test
def the_readme_names_every_directive():
    with open(README) as file:
        told = set(re.findall(r"^\| `(phos\w*)", file.read(), re.M))
    with open(os.path.join(os.path.dirname(README),
                           "ngx_http_phos_module.c")) as file:
        there = set(re.findall(r'ngx_string\("(phos\w*)"\), (?:ANY|NGX_HTTP_M)',
                               file.read()))
    equal(sorted(told), sorted(there))


# ---- a life of processes ----


class Load:
    """Requests from several connections until it is told to stop; what was
    answered counts."""

    def __init__(self, nginx, threads=4):
        self.nginx = nginx
        self.answered = []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(number,))
                        for number in range(threads)]

    def run(self, thread):
        number = 0
        while not self.stopping.is_set():
            text = "%d of %d" % (number, thread)
            kind = "stream" if number % 2 else "json"
            try:
                status, headers, body = self.nginx.ask(request(text, kind))
                assert status == 200, status
            except (OSError, http.client.HTTPException):
                if not self.stopping.is_set():
                    raise
                return
            self.answered.append(text)
            number += 1

    def at_least(self, count):
        """Waits until so many more have been answered."""
        want = len(self.answered) + count
        while len(self.answered) < want:
            if not any(one.is_alive() for one in self.threads):
                raise AssertionError("the load has ended")
            self.stopping.wait(0.01)

    def __enter__(self):
        for one in self.threads:
            one.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for one in self.threads:
            one.join(HANG_S)


def check_all_are_there(collector, load):
    events = stored(collector)
    inputs = [event["input"] for event in events]
    missing = set(load.answered) - set(inputs)
    assert not missing, "answered and not stored: %s\n%s" % (
        missing, "\n".join(load.nginx.lines))
    equal(len(inputs), len(set(inputs)), "each once")
    for event in events:
        if event["input"] in load.answered:
            equal(event["output"], answer_to(event["input"]))
    return events


@test
def a_reload_in_mid_load_loses_nothing():
    with Collector() as collector, Model() as model:
        with nginx_for(model, collector) as nginx:
            with Load(nginx) as load:
                for reload in range(1, 4):
                    load.at_least(20)
                    nginx.send(signal.SIGHUP)
                    nginx.wait_for_line(" exited with code 0", 2 * reload)
                load.at_least(20)
            equal(nginx.stop(), 0)
            served = nginx.served()
        events = check_all_are_there(collector, load)
        equal(len(events), len(load.answered))
        equal(served, {200: len(events)})
        equal(nginx.total("delivered"), len(events))
    equal(len(nginx.ledgers()), 8, "ledgers of two workers, four times")


@test
def a_graceful_quit_waits_for_streams_and_loses_nothing():
    with Collector() as collector, Model() as model:
        with nginx_for(model, collector, "proxy_buffering off;") as nginx:
            connection = nginx.connect()
            connection.request("POST", "/", json.dumps(
                request(model="held-stream")))
            reply = connection.getresponse()
            assert reply.readline() != b""
            with Load(nginx) as load:
                load.at_least(40)
                load.stopping.set()
                nginx.send(signal.SIGQUIT)
                nginx.wait_for_line("gracefully shutting down", 2)
            # The stream goes on under a worker that is about to quit.
            model.go_on.set()
            assert reply.read().endswith(b"[DONE]\n\n")
            connection.close()
            equal(nginx.wait(), 0)
            served = nginx.served()
        events = check_all_are_there(collector, load)
        assert answer_to(QUESTION) in [event["output"] for event in events]
        equal(served, {200: len(events)})
        equal(nginx.total("delivered"), len(events))


@test
def a_fast_stop_accounts_for_all_that_nginx_finished():
    # What it answers after the signal it may leave unfinished, and then its
    # access log does not have it either.
    with Collector() as collector, Model() as model:
        with nginx_for(model, collector) as nginx:
            with Load(nginx) as load:
                load.at_least(40)
                load.stopping.set()
                equal(nginx.stop(signal.SIGTERM), 0)
            served = nginx.served()
        events = stored(collector)
    equal(len(nginx.ledgers()), 2)
    equal({200: nginx.total("accepted")}, served)
    equal(len({event["event_id"] for event in events}), len(events))
    # All of them, unless the collector was slower than the one second that
    # nginx's master leaves; and then the ledger says so.
    given_up = nginx.total("dropped") + nginx.total("unknown")
    equal(nginx.total("delivered") + given_up, served[200])
    if given_up == 0:
        equal(len(events), served[200])


@test
def a_single_process_logs_too():
    with Collector() as collector, Model() as model:
        with nginx_for(model, collector, master=False,
                       environment={"PHOSPHO_API_KEY": KEY}) as nginx:
            for _ in range(3):
                equal(nginx.ask(request())[0], 200)
        equal(len(stored(collector)), 3)
    equal(nginx.total("delivered"), 3)


@test
def the_key_can_come_from_the_environment():
    with Collector() as collector, Model() as model:
        with Nginx(proxying(model), "phos_endpoint http://127.0.0.1:%d;"
                   % collector.port,
                   environment={"PHOSPHO_API_KEY": KEY}) as nginx:
            equal(nginx.ask(request())[0], 200)
        equal(only(collector)["input"], QUESTION)


main()
