"""The phoson Core service: agents, conversations, messages and their stream.

No path of it is documented: the routes are the plain reading of its operations,
and other readings are answered too.
"""
import json

import sse
from httpd import Reply, json_reply
from service import (Refusal, Service, bearer, checked, fields_of, item, route,
                     uuid4)


def refuse(status, detail, headers=()):
    raise Refusal(status, {"detail": detail}, headers)


class Phoson(Service):
    name = "phoson"

    def reset(self):
        self.agents = {}
        self.conversations = {}
        self.messages = {}  # by conversation

    def refuse_unparsed(self, call):
        refuse(422, [item(["body"], "JSON decode error", "json_invalid")])

    def refuse_route(self, allowed):
        if allowed:
            refuse(405, "Method Not Allowed", [("Allow", ", ".join(allowed))])
        refuse(404, "Not Found")

    def authenticate(self, call, template):
        call.caller = bearer(call.request)
        if call.caller not in call.settings["keys"]:
            refuse(401, "Invalid API key")

    def fields(self, call, method, path):
        return checked(call, fields_of("phoson", method, path))

    def answer(self, call, status, value):
        return json_reply(status, value, ascii_only=call.settings["ascii"])

    def listed(self, call, name, values):
        """Bare, or as the setting says: under `data`, `items` or its name."""
        envelope = call.settings["envelope"]
        if envelope == "named":
            envelope = name
        return self.answer(call, 200,
                           {envelope: values} if envelope else values)

    def known(self, things, key, what):
        if key not in things:
            refuse(404, f"{what} not found")
        return things[key]

    def update(self, call, thing, fields):
        if call.request.method not in call.settings["update_methods"]:
            self.refuse_route(["GET", "DELETE",
                               *call.settings["update_methods"]])
        thing.update({name: value for name, value in fields.items()
                      if value is not None})
        return self.answer(call, 200, thing)

    # ---- agents ----

    def agent(self, call):
        return self.known(self.agents, call.args["id"], "Agent")

    @route("POST", "/agents")
    def create_agent(self, call):
        body = self.fields(call, "POST", "/agents")
        agent = self.new("agent", **body) | {"id": uuid4()}
        self.agents[agent["id"]] = agent
        return self.answer(call, 200, agent)

    @route("GET", "/agents")
    def list_agents(self, call):
        return self.listed(call, "agents", list(self.agents.values()))

    @route("GET", "/agents/{id}")
    def get_agent(self, call):
        return self.answer(call, 200, self.agent(call))

    @route("PATCH PUT", "/agents/{id}")
    def update_agent(self, call):
        fields = self.fields(call, "PATCH", "/agents/{id}")
        return self.update(call, self.agent(call), fields)

    @route("DELETE", "/agents/{id}")
    def delete_agent(self, call):
        del self.agents[self.agent(call)["id"]]
        return Reply(204)

    @route("POST", "/agents/{id}/mcp/{mcp_id}")
    @route("POST", "/agents/{id}/mcps/{mcp_id}")
    @route("POST", "/agents/{id}/mcp")
    @route("POST", "/agents/{id}/mcps")
    def attach_mcp(self, call):
        mcps = self.mcps(call)
        mcp = call.args.get("mcp_id") or self.fields(
            call, "POST", "/agents/{id}/mcp")["mcp_id"]
        if mcp not in mcps:
            mcps.append(mcp)
        return Reply(204)

    @route("DELETE", "/agents/{id}/mcp/{mcp_id}")
    @route("DELETE", "/agents/{id}/mcps/{mcp_id}")
    def detach_mcp(self, call):
        mcps = self.mcps(call)
        if call.args["mcp_id"] not in mcps:
            refuse(404, "MCP not found")
        mcps.remove(call.args["mcp_id"])
        return Reply(204)

    def mcps(self, call):
        return self.agent(call).setdefault("mcp_ids", [])

    # ---- conversations ----

    def conversation(self, call):
        return self.known(self.conversations, call.args["id"], "Conversation")

    @route("POST", "/conversations")
    def create_conversation(self, call):
        body = self.fields(call, "POST", "/conversations")
        self.known(self.agents, body["agent_id"], "Agent")
        conversation = self.new("conversation", **body) | {"id": uuid4()}
        self.conversations[conversation["id"]] = conversation
        self.messages[conversation["id"]] = []
        return self.answer(call, 200, conversation)

    @route("GET", "/conversations")
    def list_conversations(self, call):
        agent = call.param("agent_id")
        return self.listed(call, "conversations", [
            one for one in self.conversations.values()
            if agent is None or one["agent_id"] == agent])

    @route("GET", "/conversations/{id}")
    def get_conversation(self, call):
        return self.answer(call, 200, self.conversation(call))

    @route("PATCH PUT", "/conversations/{id}")
    def update_conversation(self, call):
        fields = self.fields(call, "PATCH", "/conversations/{id}")
        return self.update(call, self.conversation(call), fields)

    @route("DELETE", "/conversations/{id}")
    def delete_conversation(self, call):
        key = self.conversation(call)["id"]
        del self.conversations[key], self.messages[key]
        return Reply(204)

    # ---- messages ----

    def post(self, conversation, role, content):
        message = self.new("message", id=uuid4(), role=role, content=content,
                           conversation_id=conversation["id"])
        # The conversation may have been deleted while a run went on.
        self.messages.get(conversation["id"], []).append(message)
        return message

    def asked(self, call):
        """The text, under either of the names that it may have."""
        if isinstance(call.body, dict) and "message" in call.body:
            call.body.setdefault("content", call.body["message"])
        return self.fields(call, "POST",
                           "/conversations/{id}/messages")["content"]

    @route("POST", "/conversations/{id}/messages")
    def send(self, call):
        text = self.asked(call)
        conversation = self.conversation(call)
        if call.body.get("stream") is True:
            return self.stream(call)
        self.post(conversation, "user", text)
        return self.answer(call, 200, self.post(
            conversation, "assistant", "".join(pieces_of(text, call.stream))))

    @route("GET", "/conversations/{id}/messages")
    def list_messages(self, call):
        return self.listed(call, "messages",
                           self.messages[self.conversation(call)["id"]])

    @route("POST", "/conversations/{id}/messages/stream")
    def stream(self, call):
        text = self.asked(call)
        conversation = self.conversation(call)
        self.post(conversation, "user", text)
        return sse.reply(self.run(call, conversation, text), call.stream)

    async def run(self, call, conversation, text):
        """The frames of one run; what was said is kept when it is whole."""
        pieces = pieces_of(text, call.stream)
        for event in events_of(pieces, call.stream):
            if isinstance(event, str):
                for frame in stamped(event, call):
                    yield frame
            else:
                yield framed(event, call)
        if "error" not in call.stream:
            self.post(conversation, "assistant", "".join(pieces))


# ---- what a run says ----

def pieces_of(text, stream):
    if "tokens" in stream:
        return [f"{number} " for number in range(stream["tokens"])]
    if "pieces" in stream:
        return stream["pieces"]
    return ["You", " said: ", text]


def events_of(pieces, stream):
    """Events in their order; the text "tokens" where so many are that they are
    stamped. The script's options:

    events      these and nothing else
    tokens      so many of them: "0 ", "1 ", and so on
    pieces      these tokens
    reasoning   some of it first
    tools       a tool's start and end, between two tokens
    unknown     an event of a kind that nobody knows, after the first token
    error       this message as an error event after the tokens, and nothing
                more
    whole       false: run_done brings an empty text
    more        events that follow run_done
    """
    if "events" in stream:
        yield from stream["events"]
        return
    if stream.get("reasoning"):
        yield {"type": "reasoning", "content": "Let me think."}
    if "tokens" in stream:
        yield "tokens"
    else:
        for at, piece in enumerate(pieces):
            yield {"type": "token", "content": piece}
            if at == 0 and stream.get("unknown"):
                yield {"type": "weather", "sky": "clear"}
            if at == 0 and stream.get("tools"):
                yield {"type": "tool_start", "tool": "find",
                       "input": {"q": "x"}, "tool_call_id": "k1"}
                yield {"type": "tool_end", "tool": "find", "result": "found",
                       "tool_call_id": "k1"}
    if "error" in stream:
        yield {"type": "error", "message": stream["error"]}
        return
    yield {"type": "run_done", "run_id": uuid4(),
           "content": "".join(pieces) if stream.get("whole", True) else ""}
    yield from stream.get("more", [])


def framed(event, call):
    """By the setting: the kind in the data, in the event's name, or in both."""
    framing = call.stream.get("framing", call.settings["framing"])
    data = dict(event)
    if framing == "event":
        data.pop("type", None)
    name = [("event", event["type"])] if framing != "type" else []
    shape = {"indent": 1} if call.stream.get("split_data") else {
        "separators": (",", ":")}
    return name + [("data", json.dumps(
        data, ensure_ascii=call.settings["ascii"], **shape))]


def stamped(kind, call):
    head, tail = sse.stamps(
        framed({"type": "token", "content": sse.MARK}, call), call.stream)
    for number in range(call.stream[kind]):
        yield b"%b%d %b" % (head, number, tail)
