"""The ingestion service: events, batches of them, feedback, sessions.

What the service does not document - replies to batches and feedback, the lists,
the bodies of errors - is this stand-in's own choice; marks.json says which.
"""
import datetime
import uuid

from httpd import json_reply
from service import (Refusal, Service, bearer, fields_of, mistakes, route,
                     uuid4)

BATCH_EVENTS_MAX = 100
SESSION_GAP = datetime.timedelta(minutes=30)
PAGE_MAX = 100


def refuse(status, text, headers=()):
    raise Refusal(status, {"error": text}, headers)


def instant(text):
    """An ISO 8601 time, or None."""
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)


def is_uuid4(text):
    try:
        found = uuid.UUID(text)
    except ValueError:
        return False
    return found.version == 4 and str(found) == text.lower()


def complaint(event):
    """None, or why this is no event."""
    wrong = mistakes(event, fields_of("ingest", "POST", "/api/ingest"))
    if wrong:
        return f"{'.'.join(map(str, wrong[0]['loc'][1:]))}: {wrong[0]['msg']}"
    if event.get("event_id") is not None and not is_uuid4(event["event_id"]):
        return "event_id: not a UUID of version 4"
    if event.get("timestamp") is not None and not instant(event["timestamp"]):
        return "timestamp: not a time of ISO 8601"
    return None


class Ingest(Service):
    name = "ingest"

    def reset(self):
        self.events = {}  # by id, in the order in which they came
        self.feedback = {}
        self.users = {}  # (project, user): (session, time of the last event)
        self.duplicates = {}

    def refuse_unparsed(self, call):
        refuse(400, "the body is not JSON")

    def refuse_route(self, allowed):
        if allowed:
            refuse(405, "method not allowed", [("Allow", ", ".join(allowed))])
        refuse(404, "no such path")

    def authenticate(self, call, template):
        call.caller = call.settings["keys"].get(bearer(call.request))
        if call.caller is None:
            refuse(401, "the API key is missing or not known")
        if len(call.request.body) > call.settings["body_bytes_max"]:
            refuse(413, "the body is too large")

    def spend(self, call, count):
        """The limit is one of events; a request passes whole or not at all."""
        left = call.settings["events_left"]
        if left is None:
            return
        if count > left:
            refuse(429, "too many events",
                   [("Retry-After", str(call.settings["retry_after"]))])
        call.settings["events_left"] = left - count

    # ---- events ----

    def session_of(self, project, event):
        user = (event.get("metadata") or {}).get("user_id")
        if event.get("session_id") is not None or not user:
            return event.get("session_id")
        at = instant(event["timestamp"])
        session, last = self.users.get((project, user), (None, at))
        if session is None or at - last > SESSION_GAP:
            session = f"{user}-{uuid4()[:8]}"
        self.users[project, user] = session, at
        return session

    def store(self, project, event):
        event_id = event.get("event_id") or uuid4()
        if event_id in self.events:
            self.duplicates[event_id] = self.duplicates.get(event_id, 1) + 1
            return event_id
        stored = self.new("event", **event)
        stored["event_id"] = event_id
        stored["project_id"] = project
        stored["metadata"] = event.get("metadata") or {}
        if stored["timestamp"] is None:
            stored["timestamp"] = datetime.datetime.now(
                datetime.UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
        stored["session_id"] = self.session_of(project, stored)
        self.events[event_id] = stored
        return event_id

    def body_of(self, call):
        if not isinstance(call.body, dict):
            refuse(400, "the body is not an object")
        return call.body

    @route("POST", "/api/ingest")
    def ingest(self, call):
        event = self.body_of(call)
        if complaint(event):
            refuse(400, complaint(event))
        self.spend(call, 1)
        return json_reply(201, self.new("ingest_reply",
                                        event_id=self.store(call.caller,
                                                            event)))

    @route("POST", "/api/ingest/batch")
    def ingest_batch(self, call):
        events = self.body_of(call).get("events")
        if not isinstance(events, list):
            refuse(400, "events: missing, or no array")
        if not 1 <= len(events) <= BATCH_EVENTS_MAX:
            refuse(400, f"a batch has 1 to {BATCH_EVENTS_MAX} events")
        for at, event in enumerate(events):
            if complaint(event):
                refuse(400, f"events[{at}].{complaint(event)}")
        self.spend(call, len(events))
        ids = [self.store(call.caller, event) for event in events]
        return json_reply(201, self.new("batch_reply", accepted=len(ids),
                                        event_ids=ids))

    @route("POST", "/api/feedback")
    def attach_feedback(self, call):
        body = self.body_of(call)
        wrong = mistakes(body, fields_of("ingest", "POST", "/api/feedback"))
        if wrong:
            refuse(400, f"{wrong[0]['loc'][-1]}: {wrong[0]['msg']}")
        self.own(call, body["event_id"])
        self.feedback[body["event_id"]] = self.new("feedback", **body)
        return json_reply(201, self.new("ingest_reply",
                                        event_id=body["event_id"]))

    def own(self, call, event_id):
        event = self.events.get(event_id)
        if event is None or event["project_id"] != call.caller:
            refuse(404, "no such event")
        return event

    # ---- reading ----

    def shown(self, event):
        feedback = self.feedback.get(event["event_id"])
        return dict(event, feedback=feedback) if feedback else event

    def page(self, call, name, found):
        numbers = []
        for parameter, otherwise in [("limit", 50), ("offset", 0)]:
            text = call.param(parameter, str(otherwise))
            if not text.isdecimal():
                refuse(400, f"{parameter}: not a count")
            numbers.append(int(text))
        limit, offset = min(numbers[0], PAGE_MAX), numbers[1]
        page = found[offset:offset + limit]
        envelope = call.settings["envelope"]
        if envelope == "bare":
            return json_reply(200, page)
        return json_reply(200, {envelope or name: page, "total": len(found)})

    def newest_first(self, call):
        return [self.shown(event) for event in
                reversed(self.events.values())
                if event["project_id"] == call.caller]

    @route("GET", "/api/events")
    def list_events(self, call):
        session = call.param("session_id")
        return self.page(call, "events", [
            event for event in self.newest_first(call)
            if session is None or event["session_id"] == session])

    @route("GET", "/api/events/{id}")
    def get_event(self, call):
        return json_reply(200, self.shown(self.own(call, call.args["id"])))

    def sessions(self, call):
        """{id: events, newest first}, the latest session first."""
        sessions = {}
        for event in self.newest_first(call):
            if event["session_id"] is not None:
                sessions.setdefault(event["session_id"], []).append(event)
        return sessions

    def session(self, session_id, events):
        return self.new("session", session_id=session_id,
                        event_count=len(events))

    @route("GET", "/api/sessions")
    def list_sessions(self, call):
        return self.page(call, "sessions",
                         [self.session(*found)
                          for found in self.sessions(call).items()])

    @route("GET", "/api/sessions/{id}")
    def get_session(self, call):
        events = self.sessions(call).get(call.args["id"])
        if events is None:
            refuse(404, "no such session")
        return json_reply(200, dict(self.session(call.args["id"], events),
                                    events=events[::-1]))
