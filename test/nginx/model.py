"""A chat model for the tests: answers by what the request's `model` says, and
keeps what it was asked."""

import gzip
import http.server
import json
import threading

HANG_S = 30


def last_user_text(messages):
    """As the module should find it."""
    for message in reversed(messages):
        if message["role"] == "user":
            content = message["content"]
            if isinstance(content, str):
                return content
            return "\n".join(part["text"] for part in content
                             if part["type"] == "text")
    return ""


def answer_to(text):
    return "You said: " + text


def completion(text):
    return {"id": "chatcmpl-1", "object": "chat.completion",
            "model": "served-1",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {
                "role": "assistant", "content": answer_to(text)}}],
            "usage": {"prompt_tokens": len(text), "completion_tokens": 7,
                      "total_tokens": len(text) + 7}}


def chunks(text):
    """The events of a streamed answer, one character each."""
    for piece in answer_to(text):
        yield {"object": "chat.completion.chunk", "model": "served-1",
               "choices": [{"index": 0, "delta": {"content": piece}}]}
    yield {"object": "chat.completion.chunk", "model": "served-1",
           "choices": [], "usage": {"prompt_tokens": len(text),
                                    "completion_tokens": 7}}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = HANG_S

    def do_POST(self):
        body = self.read_body()
        self.server.model.bodies.append(body)
        try:
            request = json.loads(body)
        except ValueError:
            self.reply(200, completion("something broken"))
            return
        text = last_user_text(request["messages"])
        kind = request.get("model", "json").replace("-", "_")
        getattr(self, "answer_" + kind)(text)

    do_GET = do_POST

    def read_body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def reply(self, status, body, kind="application/json", **headers):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def begin_stream(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def send_piece(self, piece):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.flush()

    def send_events(self, events):
        for event in events:
            # Without ASCII: characters of several bytes, cut anywhere.
            line = json.dumps(event, ensure_ascii=False).encode()
            self.send_piece(b"data: " + line + b"\n\n")

    def end_stream(self):
        self.send_piece(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    # ---- one for each `model` ----

    def answer_json(self, text):
        self.reply(200, completion(text))

    def answer_stream(self, text):
        self.begin_stream()
        self.send_events(chunks(text))
        self.end_stream()

    def answer_held_stream(self, text):
        """All but the last character and the usage, then the rest when the
        test says so."""
        self.begin_stream()
        events = list(chunks(text))
        self.send_events(events[:-2])
        if not self.server.model.go_on.wait(HANG_S):
            raise AssertionError("nobody said to go on")
        self.send_events(events[-2:])
        self.end_stream()

    def answer_cut_stream(self, text):
        self.begin_stream()
        self.send_events(list(chunks(text))[:-2])
        self.close_connection = True

    def answer_error(self, text):
        self.reply(500, {"error": {"message": "no " + text}})

    def answer_broken(self, text):
        whole = json.dumps(completion(text)).encode()
        at = whole.index(b'"usage"')
        self.reply(200, whole[:at] + b"}" + whole[at:])

    def answer_text(self, text):
        self.reply(200, text.encode(), "text/plain")

    def answer_gzip(self, text):
        self.reply(200, gzip.compress(json.dumps(completion(text)).encode()),
                   Content_Encoding="gzip")

    def log_message(self, *_):
        pass

    def handle(self):
        try:
            super().handle()
        except ConnectionError:
            pass  # the client of the proxy went away


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512


class Model:
    def __init__(self):
        self.bodies = []
        self.go_on = threading.Event()
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.model = self
        self.address = "127.0.0.1:%d" % self.server.server_port

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.01,),
                         daemon=True).start()
        return self

    def __exit__(self, *_):
        self.go_on.set()
        self.server.shutdown()
        self.server.server_close()
