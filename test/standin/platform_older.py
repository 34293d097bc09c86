"""platform_older - what the platform service offered to its older clients.

0.2: tests and comparisons beside the routes of today. 0.1: another shape of
everything, without a version in the path. There a reply to a create or an
update has the id under `session_id`, `task_id` or `step_id`, a GET under `id`,
and an update of `data` adds keys instead of replacing all of them.
"""
import copy

from httpd import json_reply
from service import (Refusal, checked, fields_of, hex_id, now_s, route)


def refuse(status, detail):
    raise Refusal(status, {"detail": detail})


class OlderRoutes:
    """Of 0.2; a newer service has them no more."""

    GONE = ("/v2/evals/compare", "/v2/tests", "/v2/tests/{id}",
            "/v2/tests/{id}/create")

    @route("POST", "/v2/evals/compare")
    def compare(self, call):
        body = self.fields(call, "/evals/compare")
        result = ("Same quality" if body["old_output"] == body["new_output"]
                  else "New output is better")
        return json_reply(200, self.new(
            "comparison", id=hex_id(), created_at=now_s(),
            project_id=self.project(call, body["project_id"]),
            instructions=body.get("instructions"),
            context_input=body["context_input"],
            old_output=body["old_output"], new_output=body["new_output"],
            test_id=body.get("test_id"), comparison_result=result))

    def add_test(self, call, project_id):
        test = self.new("test", id=hex_id(), project_id=project_id,
                        created_by=call.caller, created_at=now_s(),
                        last_updated_at=now_s())
        self.tests[test["id"]] = test
        return json_reply(200, test)

    @route("POST", "/v2/tests")
    def create_test(self, call):
        """A `summary` that is sent along is dropped."""
        body = self.fields(call, "/tests")
        return self.add_test(call, self.project(call, body["project_id"]))

    @route("POST", "/v2/tests/{id}/create")
    def create_test_of(self, call):
        return self.add_test(call, self.project(call, call.args["id"]))

    @route("GET", "/v2/tests/{id}")
    def get_test(self, call):
        return json_reply(200, self.own(call, self.tests, call.args["id"],
                                        "Test"))

    @route("POST", "/v2/tests/{id}")
    def update_test(self, call):
        test = self.own(call, self.tests, call.args["id"], "Test")
        body = self.fields(call, "/tests/{id}")
        test["summary"] |= body.get("summary") or {}
        test["last_updated_at"] = now_s()
        if body.get("status") is not None:
            test["status"] = body["status"]
            if body["status"] != "started":
                test["terminated_at"] = now_s()
            if body["status"] == "completed":
                test["summary"]["overall_score"] = 1.0
        return json_reply(200, test)


class Older:
    """The 0.1 generation: sessions, tasks, steps and nothing else."""

    def __init__(self, service):
        self.service = service

    def reset(self):
        self.things = {"session": {}, "task": {}, "step": {}}
        self.messages = {}  # of sessions that /v3 knows

    ROUTES = {
        ("POST", "/sessions/"): "create_session",
        ("POST", "/tasks/"): "create_task",
        ("POST", "/steps/"): "create_step",
        ("GET", "/sessions/{id}/"): "get_session",
        ("GET", "/tasks/{id}/"): "get_task",
        ("GET", "/steps/{id}/"): "get_step",
        ("POST", "/sessions/{id}/update/"): "update_session",
        ("POST", "/tasks/{id}/update/"): "update_task",
        ("POST", "/steps/{id}/update/"): "update_step",
        ("GET", "/projects/{id}/sessions/"): "list_sessions",
        ("GET", "/sessions/{id}/tasks/"): "list_tasks",
        ("GET", "/tasks/{id}/steps/"): "list_steps",
    }

    def find(self, method, path):
        """As Service.find()."""
        parts = path.strip("/").split("/")
        if not path.endswith("/"):
            return []
        template = "/" + parts[0] + "/" + "".join(
            ("{id}/" if at == 1 else part + "/")
            for at, part in enumerate(parts) if at)
        args = {"id": parts[1]} if len(parts) > 1 else {}
        if (method, template) in self.ROUTES:
            verb, noun = self.ROUTES[method, template].split("_")
            act = getattr(self, verb)
            return lambda call: act(call, noun.rstrip("s")), template, args
        return [there for there, path in self.ROUTES if path == template]

    def known(self, kind, key):
        if key not in self.things[kind]:
            refuse(404, f"{kind.capitalize()} {key} not found")
        return self.things[kind][key]

    def create(self, call, kind):
        body = checked(call, fields_of("platform", "POST", f"/{kind}s/"))
        if kind == "session":
            project_id = self.service.project(call, body["project_id"])
        else:
            above = "session" if kind == "task" else "task"
            project_id = self.known(above, body[f"{above}_id"])["project_id"]
        thing = {"id": hex_id(), "created_at": now_s(),
                 "project_id": project_id, "metadata": {}, **body}
        self.things[kind][thing["id"]] = thing
        return json_reply(200, {f"{kind}_id": thing["id"]})

    def get(self, call, kind):
        return json_reply(200, self.known(kind, call.args["id"]))

    def update(self, call, kind):
        thing = self.known(kind, call.args["id"])
        body = checked(call, fields_of("platform", "POST",
                                       f"/{kind}s/{{id}}/update/"))
        for name, value in body.items():
            if isinstance(value, dict):
                thing[name] = dict(thing.get(name) or {}, **value)
            elif value is not None:
                thing[name] = value
        return json_reply(200, {f"{kind}_id": thing["id"]})

    def list(self, call, kind):
        """A listed session has its id under `id`, the others have not."""
        above = {"session": "project", "task": "session", "step": "task"}[kind]
        if above == "project":
            self.service.project(call, call.args["id"])
        else:
            self.known(above, call.args["id"])
        found = []
        for thing in self.things[kind].values():
            if thing[f"{above}_id"] == call.args["id"]:
                shown = copy.deepcopy(thing)
                if kind != "session":
                    shown[f"{kind}_id"] = shown.pop("id")
                found.append(shown)
        return json_reply(200, {f"{kind}s": found})
