"""flux0_run - what an agent of flux0 says: status frames, chunks that patch a
document, and what of it is stored.

The script's options:

    text         pieces of the answer instead of the standing ones
    tokens       so many pieces: "0 ", "1 ", and so on
    tools        a tool call and its result before the text
    reasoning    the text is reasoning
    seq          "rising": 0, 1, 2; else every chunk has 0
    timestamps   later servers: status frames have one too
    empty_id     the agent gave no ids: `id: ` and "id": ""
    old_names    as early servers: status frames without a name, chunks as
                 "unknown"
    odd_frames   `message` and `tool` payloads under names of their own
    bad_patch    a chunk with a path that leads nowhere, after the first
    error        a status `error` with this text, after the text; the stream
                 goes on
    cancelled    the same with status `cancelled`
    completed    the status that ends a run is sent
    close        an event `close` ends the stream
"""
import json
import time
import uuid

import sse
from httpd import HOLD

TYPES = ["message", "tool", "status", "custom"]
SOURCES = ["user", "ai_agent", "system"]
TOOL = {"tool_call_id": "k1", "tool_name": "find", "args": {"q": "x"}}
FOUND = "found"


class Run:
    def __init__(self, service, call, key, correlation_id):
        self.service, self.call, self.key = service, call, key
        self.options = call.stream
        self.correlation_id = correlation_id
        self.agent = service.agents[service.sessions[key]["agent_id"]]
        self.is_cancelled = False
        self.said = []
        self.seqs = {}
        self.tool_done = False

    def cancel(self):
        """A newer post to the same session: this stream then stays open, and
        nothing comes any more."""
        self.is_cancelled = True

    async def frames(self):
        ended = "cancelled"
        try:
            for frame in self.script():
                if self.is_cancelled:
                    yield HOLD
                    return
                yield frame
            if self.is_cancelled:
                yield HOLD
                return
            ended = "completed"
        finally:
            self.keep()
            self.service.ended.append({"session_id": self.key,
                                       "correlation_id": self.correlation_id,
                                       "ended": ended})

    def keep(self):
        """Stores what was said, as one event of an id of its own."""
        if self.key not in self.service.sessions:
            return
        if self.tool_done:
            self.store("tool", {"type": "tool_call_result", "tool_calls": [
                dict(TOOL, result={"data": FOUND, "metadata": {},
                                   "control": {"mode": "auto"}},
                     error=None)]})
        parts = []
        if self.tool_done:
            parts.append(dict(TOOL, type="tool_call"))
        if self.said:
            kind = "reasoning" if self.options.get("reasoning") else "content"
            parts.append({"type": kind, kind: "".join(self.said)})
        if parts:
            self.store("message", {
                "type": "message", "parts": parts, "tags": None,
                "flagged": None, "participant": {
                    "id": self.agent["id"], "name": self.agent["name"]}})

    def store(self, kind, data):
        self.service.store(self.key, kind, "ai_agent", self.correlation_id,
                           data)

    # ---- what is said ----

    def script(self):
        yield from self.status("processing")
        if self.options.get("odd_frames"):
            yield from self.odd_frames()
        if self.options.get("tools"):
            yield from self.tool()
            yield from self.status("processing")
        yield from self.status("typing")
        yield from self.text()
        for name in ("error", "cancelled"):
            if name in self.options:
                yield from self.status(name, {"detail": self.options[name]})
        if self.options.get("completed"):
            yield from self.status("completed")
        if self.options.get("close"):
            yield [("event", "close"), ("data", "{}")]

    def text(self):
        event_id = str(uuid.uuid4())
        if "tokens" in self.options:
            yield from self.stamped(event_id)
            return
        for at, piece in enumerate(self.options.get(
                "text", ["Hel", "lo ", "\u4f60\u597d \U0001f600"])):
            yield self.chunk(event_id, [patch("/-", piece)])
            self.said.append(piece)  # only what has gone out is kept
            if at == 0 and self.options.get("bad_patch"):
                yield self.chunk(event_id, [
                    {"op": "replace", "path": "/nowhere/at/all", "value": 1}])

    def stamped(self, event_id):
        head, tail = sse.stamps(self.chunk(event_id, [patch("/-", sse.MARK)]),
                                self.options)
        for number in range(self.options["tokens"]):
            yield b"%b%d %b" % (head, number, tail)
            self.said.append(f"{number} ")

    def tool(self):
        event_id = str(uuid.uuid4())
        yield self.chunk(event_id, [patch("/tool_calls/0", {
            "type": "tool_call", "tool_call_id": TOOL["tool_call_id"],
            "tool_name": "", "args": []})])
        yield self.chunk(event_id, [
            {"op": "replace", "path": "/tool_calls/0/tool_name",
             "value": TOOL["tool_name"]}])
        for piece in ['{"q": ', '"x"}']:
            yield self.chunk(event_id, [patch("/tool_calls/0/args/-", piece)])
        yield self.chunk(event_id, [
            {"op": "replace", "path": "/tool_calls/0/args",
             "value": TOOL["args"]}])
        result = dict(TOOL, data={"result": FOUND})
        yield self.chunk(event_id, [patch("/tool_call_results", []),
                                    patch("/tool_call_results/-", result)])
        self.tool_done = True

    def odd_frames(self):
        for kind in ("message", "tool"):
            data = {"type": kind, "content": "odd"}
            yield [("event", kind), ("id", kind), ("data", json.dumps({
                "id": kind, "source": "ai_agent", "type": kind,
                "correlation_id": self.correlation_id, "data": data,
                "metadata": None}))]

    # ---- frames ----

    def status(self, status, data=None):
        key = "" if self.options.get("empty_id") else str(uuid.uuid4())
        payload = self.service.new(
            "status_payload", id=key, correlation_id=self.correlation_id)
        payload["data"] = dict(payload["data"], status=status, data=data or {})
        if self.options.get("timestamps"):
            payload["timestamp"] = time.time()
        name = [] if self.options.get("old_names") else [("event", "status")]
        yield [*name, ("id", key), ("data", json.dumps(payload))]
        if status != "completed":
            self.store("status", payload["data"])

    def chunk(self, event_id, patches):
        seq = self.seqs.get(event_id, 0)
        if self.options.get("seq") == "rising":
            self.seqs[event_id] = seq + 1
        metadata = {"agent_id": self.agent["id"],
                    "agent_name": self.agent["name"]}
        if self.options.get("reasoning"):
            metadata["kind"] = "reasoning"
        payload = self.service.new(
            "chunk_payload", correlation_id=self.correlation_id, seq=seq,
            event_id=event_id, patches=patches, metadata=metadata,
            timestamp=time.time())
        name = "unknown" if self.options.get("old_names") else "chunk"
        return [("event", name), ("data", json.dumps(payload))]


def patch(path, value):
    return {"op": "add", "path": path, "value": value}
