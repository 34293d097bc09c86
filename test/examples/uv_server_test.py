"""Runs the server on libuv with many clients, ends it while they ask, and
looks at what is on record."""

import argparse
import asyncio
import contextlib
import json
import re
import signal
import socket
import subprocess
import sys

from services import collector
from tap import DEADLINE_S, check, check_equal, environment, run_tests

CLIENTS = 100


class Server:
    def __init__(self, program, service):
        self.process = subprocess.Popen(
            [program, "0"], env=environment(service), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        line = self.process.stdout.readline()
        self.port = int(re.search(r":(\d+)$", line)[1])

    def end(self):
        """What it said at its end, and its exit status."""
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=DEADLINE_S)
        return errors, self.process.returncode


@contextlib.contextmanager
def served(program, service):
    server = Server(program, service)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.communicate()


def request(text, method="POST", path="/v1/chat/completions", **more):
    body = json.dumps({"messages": [{"role": "user", "content": text}],
                       **more}).encode()
    return raw(body, method, path)


def raw(body, method="POST", path="/v1/chat/completions"):
    return (f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


def read_answer(file):
    """Status and JSON; None at the end of the stream."""
    first = file.readline()
    if not first:
        return None
    length = 0
    while (line := file.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return int(first.split()[1]), json.loads(file.read(length))


def ask(server, *pieces, answers=1):
    with socket.create_connection(("127.0.0.1", server.port),
                                  timeout=DEADLINE_S) as connection:
        for piece in pieces:
            connection.sendall(piece)
        with connection.makefile("rb") as file:
            return [read_answer(file) for _ in range(answers)]


def content(answer):
    return answer[1]["choices"][0]["message"]["content"]


def an_answer_is_given_and_on_record(program, service):
    with served(program, service) as server:
        (answer,) = ask(server, request("How tall is K2?", user="u-1",
                                        metadata={"session_id": "s-1"}))
        check_equal(content(answer), "You said: How tall is K2?")
        check_equal(answer[1]["usage"],
                    {"prompt_tokens": 4, "completion_tokens": 6})
        said, status = server.end()
    check_equal(status, 0, said)
    check("1 answers, 1 accepted: 1 delivered, 0 given up" in said, said)
    (event,) = service.events()
    check_equal((event["input"], event["output"], event["session_id"]),
                ("How tall is K2?", "You said: How tall is K2?", "s-1"))
    metadata = event["metadata"]
    check(metadata.pop("latency_ms") >= 0, event)
    check_equal(metadata, {"model": "echo-1", "user_id": "u-1",
                           "token_count_input": 4, "token_count_output": 6})


def requests_in_one_piece_are_answered_in_turn(program, service):
    with served(program, service) as server:
        texts = [f"question {number}" for number in range(300)]
        answers = ask(server, b"".join(map(request, texts)), answers=300)
        check_equal([content(one) for one in answers],
                    ["You said: " + text for text in texts])
        said, status = server.end()
    check_equal(status, 0, said)
    check_equal(sorted(event["input"] for event in service.events()),
                sorted(texts))


def a_request_in_many_pieces_is_read(program, service):
    whole = request("in pieces")
    with served(program, service) as server:
        (answer,) = ask(server, *(whole[at:at + 1]
                                  for at in range(len(whole))))
        check_equal(content(answer), "You said: in pieces")


def what_cannot_be_answered_is_refused_and_not_logged(program, service):
    with served(program, service) as server:
        for asked, want in [(raw(b"oops"), 400), (raw(b"{}"), 400),
                            (raw(b'{"messages":[{"content":7}]}'), 400),
                            (raw(b"x" * 2000000), 413),
                            (raw(b"{}", path="/elsewhere"), 404),
                            (raw(b"{}", path="/" + "x" * 100), 413),
                            (b"no HTTP at all\r\n\r\n", 400)]:
            (answer,) = ask(server, asked)
            check_equal(answer[0], want, asked[:60])
        said, status = server.end()
    check_equal(status, 0, said)
    check_equal(service.events(), [])


def the_statistics_add_up(program, service):
    with served(program, service) as server:
        ask(server, *map(request, "abc"), answers=3)
        stats = {}
        while stats.get("delivered") != 3:
            ((status, stats),) = ask(server, raw(b"", "GET", "/stats"))
            check_equal(status, 200)
            check(stats["accepted"] ==
                  stats["delivered"] + stats["pending"], stats)
            check_equal(stats["answers"], 3)


async def ask_on(server, number, answered, enough):
    """Asks until the server ends; what has an answer is in `answered`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    turn = 0
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            text = f"turn {turn} of {number}"
            writer.write(request(text))
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(re.search(rb"Content-Length: (\d+)", head)[1])
            answer = json.loads(await reader.readexactly(length))
            check_equal(content((200, answer)), "You said: " + text)
            answered.append(text)
            if len(answered) >= 20 * CLIENTS:
                enough.set()
            turn += 1
    writer.close()


async def load_until_it_ends(server, answered):
    enough = asyncio.Event()
    clients = [asyncio.create_task(ask_on(server, number, answered, enough))
               for number in range(CLIENTS)]
    await asyncio.wait_for(enough.wait(), DEADLINE_S)
    server.process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(asyncio.gather(*clients), DEADLINE_S)


def sigterm_in_mid_load_loses_no_answer(program, service):
    answered = []
    with served(program, service) as server:
        asyncio.run(load_until_it_ends(server, answered))
        _, said = server.process.communicate(timeout=DEADLINE_S)
        check_equal(server.process.returncode, 0, said)
    stored = [event["input"] for event in service.events()]
    check(len(answered) >= 20 * CLIENTS, len(answered))
    check_equal(set(answered) - set(stored), set(), "answered, not on record")
    check_equal(len(stored), len(set(stored)), "each once")
    count = len(stored)
    check(f"{count} answers, {count} accepted: {count} delivered" in said, said)


def without_a_collector_answers_are_given(program, service):
    class Gone:
        url = "http://127.0.0.1:1"
        key = "ph_test"

    with served(program, Gone) as server:
        for number in range(50):
            check_equal(content(ask(server, request(str(number)))[0]),
                        f"You said: {number}")
        said, status = server.end()
    check_equal(status, 1)
    check("50 accepted: 0 delivered, 50 given up" in said, said)


TESTS = [
    an_answer_is_given_and_on_record,
    requests_in_one_piece_are_answered_in_turn,
    a_request_in_many_pieces_is_read,
    what_cannot_be_answered_is_refused_and_not_logged,
    the_statistics_add_up,
    sigterm_in_mid_load_loses_no_answer,
    without_a_collector_answers_are_given,
]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--uv-server", required=True)
    parser.add_argument("--phosd", required=True)
    arguments = parser.parse_args()

    def run(test):
        with collector(arguments.phosd) as service:
            test(arguments.uv_server, service)

    return run_tests([(test.__name__, lambda test=test: run(test))
                      for test in TESTS])


if __name__ == "__main__":
    sys.exit(main())
