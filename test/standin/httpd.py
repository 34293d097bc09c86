"""httpd - HTTP/1.1 as far as a stand-in for services needs it: keep-alive,
bodies of either kind, chunked and streamed replies, and replies that stop in
the middle because a script says so. It knows nothing of services or scripts.
"""
import asyncio
import email.utils
import gzip
import http
import itertools
import json
import socket
import struct
import urllib.parse

HEAD_BYTES_MAX = 1 << 16
BODY_BYTES_MAX = 1 << 26
HOLD = object()  # in a reply's frames: stop here until released


class Gone(Exception):
    """The client has left before the reply was whole."""


class Cut(Exception):
    """The reply ends here because the script says so."""


class Malformed(Exception):
    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


class Request:
    def __init__(self, line, method, target, version, headers, body):
        self.line = line
        self.method = method
        self.target = target
        self.path, _, self.query = target.partition("?")
        self.keeps_alive = version == "HTTP/1.1"
        self.headers = headers  # pairs, as they came
        self.body = body  # inflated
        if self.header("connection").lower() == "close":
            self.keeps_alive = False

    def header(self, name):
        """Its first value; empty where there is none."""
        return next((value for key, value in self.headers
                     if key.lower() == name), "")

    @property
    def params(self):
        return urllib.parse.parse_qs(self.query, keep_blank_values=True)

    @property
    def cookies(self):
        pairs = (pair.strip().partition("=")
                 for pair in self.header("cookie").split(";"))
        return {name: value for name, _, value in pairs if name}


class Reply:
    """A status with a body, or with frames that are made while they are sent:
    an asynchronous iterator of bytes and HOLD."""

    def __init__(self, status, body=b"", headers=(), frames=None):
        self.status = status
        self.body = body
        self.headers = list(headers)
        self.frames = frames

    def with_headers(self, headers):
        """These in place of those of the same name."""
        names = {name.lower() for name, _ in headers}
        self.headers = [pair for pair in self.headers
                        if pair[0].lower() not in names] + list(headers)
        return self


def json_reply(status, value, headers=(), ascii_only=False):
    text = json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":"))
    return Reply(status, text.encode(),
                 [("Content-Type", "application/json"), *headers])


def text_reply(status, text, headers=()):
    return Reply(status, text.encode(),
                 [("Content-Type", "text/plain; charset=utf-8"), *headers])


class Line(asyncio.StreamReaderProtocol):
    """One connection. Knows that the client has left while nothing is read."""

    numbers = itertools.count(1)

    def __init__(self, serve):
        self.number = next(self.numbers)
        self.gone = asyncio.Event()
        self.reader = asyncio.StreamReader(limit=HEAD_BYTES_MAX)
        super().__init__(self.reader, lambda _, writer: serve(self, writer))

    def eof_received(self):
        self.gone.set()
        return super().eof_received()

    def connection_lost(self, error):
        self.gone.set()
        super().connection_lost(error)


# ---- requests ----

async def read_chunked(reader):
    body = b""
    while True:
        size = int((await reader.readline()).split(b";")[0], 16)
        if len(body) + size > BODY_BYTES_MAX:
            raise Malformed(413, "the body is too large")
        if size == 0:
            while (await reader.readline()).strip():
                pass
            return body
        body += await reader.readexactly(size)
        await reader.readexactly(2)


async def read_body(reader, writer, headers):
    lower = {name.lower(): value for name, value in headers}
    if lower.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if "chunked" in lower.get("transfer-encoding", "").lower():
        body = await read_chunked(reader)
    else:
        length = int(lower.get("content-length", 0))
        if length > BODY_BYTES_MAX:
            raise Malformed(413, "the body is too large")
        body = await reader.readexactly(length)
    if lower.get("content-encoding", "").lower() == "gzip":
        body = gzip.decompress(body)
    return body


async def read_request(line, writer):
    """None when the client has closed its line between two requests."""
    try:
        head = await line.reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError:
        raise Malformed(431, "the head is too large") from None
    try:
        first, *rest = head.decode("latin-1").split("\r\n")[:-2]
        method, target, version = first.split(" ")
        headers = [(name, value.strip()) for name, value in
                   (header.split(":", 1) for header in rest)]
        body = await read_body(line.reader, writer, headers)
    except (ValueError, OSError) as error:
        raise Malformed(400, f"not HTTP: {error}") from None
    return Request(line, method, target, version, headers, body)


# ---- replies ----

class Body:
    """Puts a body on the line, and stops where `fault` says:

    stall   bytes of the body after which it waits for a release
    cut     bytes of the body after which the connection ends
    reset   it ends with a reset instead of a close
    pieces  sizes in which the body is written, over and over
    """

    def __init__(self, line, writer, fault, chunked, holds):
        self.line, self.writer, self.holds = line, writer, holds
        self.chunked = chunked
        self.reset = fault.get("reset", False)
        self.sizes = itertools.cycle(fault.get("pieces") or [0])
        self.size = next(self.sizes)
        self.kept = bytearray()
        self.sent = 0
        self.stops = sorted((fault[name], name) for name in ("stall", "cut")
                            if isinstance(fault.get(name), int))

    async def put(self, data):
        if not self.size:
            return await self._put(data)
        self.kept += data
        while len(self.kept) >= self.size:
            piece, self.kept = self.kept[:self.size], self.kept[self.size:]
            await self._put(bytes(piece))
            self.size = next(self.sizes)

    async def flush(self):
        kept, self.kept = bytes(self.kept), bytearray()
        await self._put(kept)

    async def hold(self):
        await self.flush()
        await self.holds.wait(self.line.gone)

    async def end(self):
        await self.flush()
        if self.chunked:
            self.writer.write(b"0\r\n\r\n")
            await self.writer.drain()

    async def cut(self):
        await cut(self.writer, self.reset)

    async def _put(self, data):
        while self.stops and self.sent + len(data) >= self.stops[0][0]:
            at, name = self.stops.pop(0)
            rest = at - self.sent
            await self._write(data[:rest])
            data = data[rest:]
            if name == "cut":
                await self.cut()
            await self.holds.wait(self.line.gone)
        await self._write(data)

    async def _write(self, data):
        if not data:
            return
        if self.chunked:
            self.writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        else:
            self.writer.write(data)
        self.sent += len(data)
        await self.writer.drain()
        if self.line.gone.is_set():
            raise Gone


async def cut(writer, reset):
    await writer.drain()
    if reset:
        writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    raise Cut


def head_of(reply, keeps_alive, chunked):
    try:
        phrase = http.HTTPStatus(reply.status).phrase
    except ValueError:
        phrase = "Unknown"
    headers = list(reply.headers)
    if all(name.lower() != "date" for name, _ in headers):
        headers.append(("Date", email.utils.formatdate(usegmt=True)))
    if chunked:
        headers.append(("Transfer-Encoding", "chunked"))
    elif reply.frames is None and reply.status != 204:
        headers.append(("Content-Length", str(len(reply.body))))
    if not keeps_alive:
        headers.append(("Connection", "close"))
    lines = [f"HTTP/1.1 {reply.status} {phrase}",
             *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


async def send(request, writer, reply, fault, holds):
    """Puts the reply on the line. Raises Gone or Cut when it is not whole."""
    line = request.line
    if fault.get("stall") == "head":
        await holds.wait(line.gone)
    if fault.get("cut") == "head":
        await cut(writer, fault.get("reset", False))
    chunked = request.keeps_alive and reply.status != 204 and (
        reply.frames is not None or bool(fault.get("pieces")))
    writer.write(head_of(reply, request.keeps_alive, chunked))
    body = Body(line, writer, fault, chunked, holds)
    if request.method == "HEAD":
        return
    if reply.frames is None:
        await body.put(reply.body)
    else:
        await writer.drain()
        async for part in reply.frames:
            if part is HOLD:
                await body.hold()
            else:
                await body.put(part)
    await body.end()


# ---- addresses ----

def url_of(listener):
    return "http://{}:{}".format(*listener.getsockname()[:2])


def closed(host):
    """A socket whose address refuses connections for as long as it is kept."""
    kept = socket.socket()
    kept.bind((host, 0))
    return kept


def deaf(host):
    """Sockets; the first one's address leaves connections without an answer:
    its queue is full, and nobody takes anything out of it."""
    listener = closed(host)
    listener.listen(0)
    kept = [listener]
    for _ in range(2):
        kept.append(socket.socket())
        kept[-1].setblocking(False)
        kept[-1].connect_ex(listener.getsockname())
    return kept


class Server:
    """Listens, and asks `answer(request)` for (reply, fault, done); `done` is
    told how it ended: whole, cut or gone."""

    def __init__(self, answer, holds):
        self.answer = answer
        self.holds = holds
        self.listeners = []

    async def listen(self, host, port):
        listener = await asyncio.get_running_loop().create_server(
            lambda: Line(self.serve), host, port)
        self.listeners.append(listener)
        return url_of(listener.sockets[0])

    def close(self):
        for listener in self.listeners:
            listener.close()

    async def serve(self, line, writer):
        # So that drain() means: the system has it.
        writer.transport.set_write_buffer_limits(high=0)
        try:
            while await self.exchange(line, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, Gone, Cut,
                asyncio.CancelledError):  # the last one when all ends
            pass  # a line that ends takes nothing else with it
        finally:
            writer.close()

    async def exchange(self, line, writer):
        """One request and its reply; whether the line stays open."""
        try:
            request = await read_request(line, writer)
        except Malformed as error:
            reply = text_reply(error.status, str(error))
            writer.write(head_of(reply, False, False) + reply.body)
            return False
        if request is None:
            return False
        reply, fault, done = await self.answer(request)
        ended = "gone"
        try:
            await send(request, writer, reply, fault, self.holds)
            ended = "whole"
        except Cut:
            ended = "cut"
            raise
        finally:
            if reply.frames is not None:
                await reply.frames.aclose()
            done(ended)
        return request.keeps_alive
