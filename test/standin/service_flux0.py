"""The flux0 service: agents, sessions and their stored events. flux0_run.py has
the stream."""
import datetime
import secrets
import string

import flux0_run
import sse
from httpd import json_reply
from service import (Refusal, Service, bearer, checked, fields_of, item,
                     mistake, mistakes, number_param, route)

ID_LENGTH = 10
LETTERS = string.ascii_letters + string.digits
LATER_FIELDS = ("mode", "metadata")
STREAM_HEADERS = [("Cache-Control", "no-cache, no-transform"),
                  ("X-Accel-Buffering", "no")]


def refuse(status, detail, headers=()):
    raise Refusal(status, {"detail": detail}, headers)


def new_id():
    return "".join(secrets.choice(LETTERS) for _ in range(ID_LENGTH))


def now():
    return datetime.datetime.now(datetime.UTC).isoformat().replace(
        "+00:00", "Z")


def without_nulls(value):
    return {key: one for key, one in value.items() if one is not None}


class Flux0(Service):
    name = "flux0"

    def reset(self):
        self.agents = {}
        self.sessions = {}
        self.events = {}  # by session
        self.runs = {}  # by session: the run that is under way, or was last
        self.ended = []  # how each run ended, in that order

    def refuse_unparsed(self, call):
        refuse(422, [item(["body"], "JSON decode error", "json_invalid")])

    def refuse_route(self, allowed):
        if allowed:
            refuse(405, "Method Not Allowed", [("Allow", ", ".join(allowed))])
        refuse(404, "Not Found")

    def authenticate(self, call, template):
        wanted = call.settings["bearer"]
        if wanted is not None:
            token = bearer(call.request)
            if token is None:
                refuse(403, "Not authenticated")
            if token != wanted:
                refuse(401, "Could not validate the token")
        call.caller = call.request.cookies.get("flux0_user_sub", "anonymous")

    def shown(self, call, value, nulls):
        """Some replies write nulls and some leave them out; the setting makes
        all of them do the one or the other."""
        if call.settings["nulls"] is not None:
            nulls = call.settings["nulls"]
        return value if nulls else without_nulls(value)

    def id_arg(self, call, name):
        wrong = mistake(["path", name], call.args[name], {
            "type": "string", "length": (ID_LENGTH, ID_LENGTH)})
        if wrong:
            refuse(422, [wrong])
        return call.args[name]

    # ---- agents ----

    @route("GET", "/api/agents")
    def list_agents(self, call):
        return json_reply(200, {"data": [
            self.shown(call, agent, nulls=True)
            for agent in self.agents.values()]})

    @route("POST", "/api/agents")
    def create_agent(self, call):
        body = checked(call, fields_of("flux0", "POST", "/api/agents"), True)
        agent = self.new("agent", **body) | {"id": new_id(),
                                             "created_at": now()}
        self.agents[agent["id"]] = agent
        return json_reply(201, self.shown(call, agent, nulls=False))

    @route("GET", "/api/agents/{agent_id}")
    def retrieve_agent(self, call):
        agent = self.agents.get(self.id_arg(call, "agent_id"))
        if agent is None:
            refuse(404, f"Agent with ID {call.args['agent_id']} not found")
        return json_reply(200, self.shown(call, agent, nulls=True))

    # ---- sessions ----

    def session_fields(self, call):
        fields = fields_of("flux0", "POST", "/api/sessions")
        if call.settings["later"]:
            return fields
        return {name: rule for name, rule in fields.items()
                if name not in LATER_FIELDS}

    @route("POST", "/api/sessions")
    def create_session(self, call):
        body = checked(call, self.session_fields(call), True)
        agent = self.agents.get(body["agent_id"])
        if agent is None:
            refuse(400, f"Agent with ID {body['agent_id']} not found")
        runners = call.settings["runners"]
        if runners is not None and agent["type"] not in runners:
            refuse(400, f"no runner for agents of type {agent['type']}")
        key = body.get("id") or new_id()
        if key in self.sessions and call.settings["later"]:
            refuse(409, f"Session with ID {key} exists")
        session = self.new("session", **body) | {
            "id": key, "user_id": call.caller, "created_at": now()}
        if call.settings["later"]:
            self.record(session)
        self.sessions[key] = session
        self.events[key] = []
        return json_reply(201, self.shown(call, session, nulls=False))

    @staticmethod
    def record(session):
        """What a later server adds."""
        session["mode"] = session.get("mode") or "auto"
        session.setdefault("metadata", None)
        if session["mode"] == "record":
            session["metadata"] = dict(session["metadata"] or {}, recording={
                "recording_id": new_id()})

    @route("GET", "/api/sessions")
    def list_sessions(self, call):
        agent = call.param("agent_id")
        return json_reply(200, {"data": [
            self.shown(call, session, nulls=True)
            for session in self.sessions.values()
            if session["user_id"] == call.caller and
            agent in (None, session["agent_id"])]})

    @route("GET", "/api/sessions/{session_id}")
    def retrieve_session(self, call):
        session = self.sessions.get(self.id_arg(call, "session_id"))
        if session is None:
            refuse(404, f"Session with ID {call.args['session_id']} not found")
        return json_reply(200, self.shown(call, session, nulls=False))

    # ---- events ----

    def session_with_events(self, call):
        """Its id. The service says 400 here, although it declares a 404."""
        key = self.id_arg(call, "session_id")
        if key not in self.sessions:
            refuse(call.settings["unknown_session"],
                   f"Session with ID {key} not found")
        return key

    def store(self, key, kind, source, correlation_id, data, metadata=None):
        event = self.new("event", type=kind, source=source, data=data,
                         metadata=metadata, correlation_id=correlation_id)
        event.update(id=new_id(), offset=len(self.events[key]),
                     created_at=now())
        self.events[key].append(event)
        return event

    @route("POST", "/api/sessions/{session_id}/events/stream")
    def stream(self, call):
        fields = fields_of("flux0", "POST",
                           "/api/sessions/{session_id}/events/stream")
        wrong = [one for one in mistakes(call.body, fields, True)
                 if one["loc"] != ["body", "content"] or one["input"]
                 and one["type"] != "missing"]
        if wrong:
            refuse(422, wrong)
        body = call.body
        if body["type"] != "message":
            refuse(422, "Only events of type message can be posted")
        if body["source"] != "user":
            refuse(422, "Only events of source user can be posted")
        if not body.get("content"):
            refuse(422, "The event has no content")
        key = self.session_with_events(call)
        correlation_id = f"RID({new_id()})::{new_id()}"
        self.store(key, "message", "user", correlation_id, {
            "type": "message", "flagged": False, "tags": [],
            "parts": [{"type": "content", "content": body["content"]}],
            "participant": {"id": call.caller, "name": "Anonymous"}})
        if key in self.runs:
            self.runs[key].cancel()
        self.runs[key] = flux0_run.Run(self, call, key, correlation_id)
        return sse.reply(self.runs[key].frames(), call.stream, STREAM_HEADERS)

    def types_wanted(self, call):
        """Repeated, as the service does it, or with commas, as it says."""
        wanted = [kind for text in call.params.get("types", [])
                  for kind in text.split(",")]
        for kind in wanted:
            self.check_enum(["query", "types"], kind, flux0_run.TYPES)
        return wanted

    @staticmethod
    def check_enum(where, value, values):
        wrong = mistake(where, value, {"type": "string", "enum": values})
        if wrong:
            refuse(422, [wrong])

    @route("GET", "/api/sessions/{session_id}/events")
    def list_events(self, call):
        least = number_param(call, "min_offset", 0)
        types = self.types_wanted(call)
        source = call.param("source")
        self.check_enum(["query", "source"], source, flux0_run.SOURCES)
        key = self.session_with_events(call)
        correlation_id = call.param("correlation_id")
        return json_reply(200, {"data": [
            event for event in self.events[key]
            if event["offset"] >= least and
            (not types or event["type"] in types) and
            source in (None, event["source"]) and
            correlation_id in (None, event["correlation_id"])]})

    @route("GET", "/")
    def home(self, call):
        raise Refusal(307, None, [("Location", "/chat")])
