"""platform_log - the platform service's routes that take batches of logs.

Two checks, as the service has them: the body as a whole, leniently, where one
bad event spoils the batch; then each event by itself, strictly, where a bad one
becomes an entry of the reply.
"""
import time

from httpd import json_reply
from service import (Refusal, checked, fields_of, hex_id, is_type, item, now_s,
                     route)

DAY_S = 86400
QUOTA = "Max usage quota reached for project"
EVENT_RULES = {
    "input": ("string",), "output": ("string", None),
    "project_id": ("string", None), "client_created_at": ("integer",),
    "created_at": ("integer", None), "last_update": ("integer", None),
    "session_id": ("string", None), "task_id": ("string",),
    "step_id": ("string", None), "version_id": ("string", None),
    "user_id": ("string", None), "test_id": ("string", None),
    "flag": ("string", None), "metadata": ("object", None),
    "raw_input": ("object", "string", "array", None),
    "raw_output": ("object", "string", "array", None),
    "raw_input_type_name": ("string", None),
    "raw_output_type_name": ("string", None), "environment": ("string",),
}
MODES = ("resolve", "append", "replace")


def spoilt(at, event):
    """What is wrong enough with one event to refuse all of them."""
    where = ["body", "batched_log_events", at]
    if not isinstance(event, dict):
        return [item(where, "Input should be a valid dictionary",
                     "model_attributes_type", event)]
    found = []
    if "input" not in event:
        found.append(item([*where, "input"], "Field required", "missing",
                          event))
    for name in ("input", "output"):
        value = event.get(name, "")
        if not isinstance(value, str) and (value, name) != (None, "output"):
            found.append(item([*where, name], "Input should be a valid string",
                              "string_type", value))
    return found


def strictly(event):
    """None, or what a check without any leniency finds."""
    for name, kinds in EVENT_RULES.items():
        if name not in event:
            continue
        value = event[name]
        if value is None and None in kinds:
            continue
        if not any(is_type(value, kind) for kind in kinds if kind):
            return f"{name}: Input should be a valid {kinds[0]}"
    if event.get("flag") not in (None, "success", "failure"):
        return "flag: Input should be 'success' or 'failure'"
    return None


def created_at(event):
    if event.get("created_at") is not None:
        return event["created_at"]
    at = event["client_created_at"]
    return now_s() if at < 0 or at > time.time() + DAY_S else at


class LogRoutes:
    def refuse_maintenance(self, call):
        if call.settings["maintenance"]:
            raise Refusal(503, {"detail": "Logging is down for maintenance"})

    def whole(self, event, project_id):
        """With the defaults, and what is not known among the metadata."""
        known = {name: value for name, value in event.items()
                 if name in EVENT_RULES}
        more = {name: value for name, value in event.items()
                if name not in EVENT_RULES}
        full = self.new("log_event", **known)
        full["project_id"] = event.get("project_id") or project_id
        full["task_id"] = event.get("task_id") or f"task_{hex_id()}"
        full["session_id"] = (event.get("session_id") or
                              f"session_{hex_id()}")
        if full["client_created_at"] is None:
            full["client_created_at"] = now_s()
        if more:
            full["metadata"] = dict(full["metadata"] or {}, **more)
        return full

    def keep_log(self, call, event):
        session = self.sessions.get(event["session_id"])
        if session is None:
            session = self.add_session(event["project_id"],
                                       id=event["session_id"])
        if event["task_id"] in self.tasks:
            # The counters go up before the service looks for the id.
            session["session_length"] += 1
            self.duplicates[event["task_id"]] = self.duplicates.get(
                event["task_id"], 1) + 1
            return
        metadata = dict(event["metadata"] or {})
        metadata |= {name: event[name] for name in ("user_id", "version_id")
                     if event[name] is not None}
        task = self.add_task(
            event["task_id"], event["project_id"], input=event["input"],
            output=event["output"], session_id=event["session_id"],
            created_at=created_at(event), metadata=metadata,
            environment=event["environment"], test_id=event["test_id"])
        if event["flag"] is not None:
            self.judge(task, event["flag"], "user", None)

    def logged(self, call, project_id, event):
        """What the reply says of one event."""
        wrong = strictly(event)
        if wrong:
            return {"error_in_log": wrong}
        full = self.whole(event, project_id)
        owner = call.settings["projects"].get(full["project_id"])
        if owner != call.caller:
            return {"error_in_log": "No access to project "
                    + full["project_id"]}
        self.keep_log(call, full)
        left = call.settings["events_left"]
        if left is not None:
            if left == 0:
                return {"error_in_log": f"{QUOTA} {full['project_id']}"}
            call.settings["events_left"] = left - 1
        return full

    @route("POST", "/v2/log/{project_id}")
    def log(self, call):
        self.refuse_maintenance(call)
        body = checked(call, fields_of("platform", "POST",
                                       "/v2/log/{project_id}"))
        found = [wrong for at, event in enumerate(body["batched_log_events"])
                 for wrong in spoilt(at, event)]
        if found:
            raise Refusal(422, {"detail": found})
        project_id = self.project(call, call.args["project_id"])
        return json_reply(200, {"logged_events": [
            self.logged(call, project_id, event)
            for event in body["batched_log_events"]]})

    # ---- /v3 ----

    def merged(self, session_id, mode, messages):
        """The session's messages with these; returns all of them."""
        kept = self.older.messages.setdefault(session_id, [])
        if mode == "replace":
            kept[:] = messages
        elif mode == "append":
            kept += messages
        else:
            kept += [message for message in messages if message not in kept]
        return kept

    def logged_messages(self, call, project_id, event):
        """None, or what the reply says of a refused one."""
        if event.get("merge_mode", "replace") not in MODES:
            return {"error_in_log": "merge_mode: not one of "
                    + ", ".join(MODES)}
        messages = event.get("messages")
        if not isinstance(messages, list) or not all(
                isinstance(message, dict) and
                isinstance(message.get("role"), str) and
                isinstance(message.get("content"), str)
                for message in messages):
            return {"error_in_log": "messages: Input should be a valid list"}
        session_id = event.get("session_id") or f"session_{hex_id()}"
        if session_id not in self.sessions:
            self.add_session(project_id, id=session_id)
        messages = self.merged(session_id, event.get("merge_mode", "replace"),
                               messages)
        for task in self.tasks_of(session_id):
            del self.tasks[task["id"]]
        self.sessions[session_id]["session_length"] = 0
        turns = zip(messages[::2], [*messages[1::2], None])
        for asked, answered in turns:
            self.add_task(None, project_id, input=asked["content"],
                          output=answered and answered["content"],
                          session_id=session_id,
                          created_at=event.get("created_at"),
                          metadata=event.get("metadata") or {})
        return None

    @route("POST", "/v3/log")
    def log_messages(self, call):
        self.refuse_maintenance(call)
        body = checked(call, fields_of("platform", "POST", "/v3/log"))
        project_id = self.project(call, body["project_id"])
        found = [self.logged_messages(call, project_id, event)
                 for event in body["batched_log_events"]]
        refused = [one for one in found if one]
        return json_reply(200, {"logged_events": refused} if refused else None)

    @route("POST", "/v3/otl/{project_id}")
    def traces(self, call):
        self.project(call, call.args["project_id"])
        return json_reply(200, {"status": "ok"})

    @route("POST", "/v3/run/main/messages")
    @route("POST", "/v3/run/backtest")
    @route("POST", "/v3/export/analytics")
    @route("POST", "/v3/export/projects/{id}/users")
    def undocumented(self, call):
        """Only that there are such routes is known."""
        return json_reply(200, None)
