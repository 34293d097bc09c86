"""The phospho platform service as it is today: /v2, which is /v0 too. The log
routes stand in platform_log.py, the older generations in platform_older.py.

The setting `generation` is "current", "0.2" (besides: tests, comparisons, and
lists that are asked for in the other way) or "0.1" (no version in the path,
each path ends in a slash, ids under keys of their own, and steps).
"""
from httpd import json_reply
from platform_log import LogRoutes
from platform_older import Older, OlderRoutes
from service import (Refusal, Service, bearer, checked, fields_of, hex_id,
                     item, now_s, number_param, route)

FLAGS = ("success", "failure")
VERSIONS = ("/v0", "/v2")
METHODS = ("GET", "POST")
# Lists that older clients ask for with the other method.
OTHER_LISTS = (("GET", "/v2/projects/{id}/sessions"),
               ("GET", "/v2/projects/{id}/tasks"),
               ("GET", "/v2/projects/{id}/tasks/flat"),
               ("POST", "/v2/sessions/{id}/tasks"))


def refuse(status, detail, headers=()):
    raise Refusal(status, {"detail": detail}, headers)


class Platform(LogRoutes, OlderRoutes, Service):
    name = "platform"

    def __init__(self):
        self.older = Older(self)
        super().__init__()

    def reset(self):
        self.sessions = {}
        self.tasks = {}  # in the order in which they came
        self.tests = {}
        self.duplicates = {}
        self.older.reset()

    # ---- what every request meets ----

    def find(self, method, path):
        for version in VERSIONS:
            if path.startswith(version + "/"):
                return super().find(method, "/v2" + path[len(version):])
        return super().find(method, path)

    def is_offered(self, template, method, settings):
        if template in OlderRoutes.GONE:
            return settings["generation"] == "0.2"
        if (method, template) in OTHER_LISTS and settings["strict_methods"]:
            return settings["generation"] == "0.2"
        return True

    def offered_methods(self, path, settings):
        found = [(method, self.find(method, path)) for method in METHODS]
        return [method for method, there in found if isinstance(there, tuple)
                and self.is_offered(there[1], method, settings)]

    def refuse_unparsed(self, call):
        refuse(422, [item(["body"], "JSON decode error", "json_invalid")])

    def refuse_route(self, allowed):
        if allowed:
            refuse(405, "Method Not Allowed", [("Allow", ", ".join(allowed))])
        refuse(404, "Not Found")

    def authenticate(self, call, template):
        """`caller` is the organisation; None on calls that need no key."""
        token = bearer(call.request)
        if template == "/v2/health" or (
                token is None and template in (
                    "/v2/tasks/{id}/human-eval", "/v2/tasks/{id}/flag")):
            return
        if token is None:
            refuse(403, "Not authenticated")
        call.caller = call.settings["keys"].get(token)
        if call.caller is None:
            refuse(401, "Invalid token")

    def project(self, call, project_id):
        owner = call.settings["projects"].get(project_id)
        if owner is None:
            refuse(404, f"Project {project_id} not found")
        if owner != call.caller:
            refuse(403, f"You don't have access to project {project_id}")
        return project_id

    def own(self, call, things, key, what):
        if key not in things:
            refuse(404, f"{what} {key} not found")
        self.project(call, things[key]["project_id"])
        return things[key]

    def session(self, call):
        return self.own(call, self.sessions, call.args["id"], "Session")

    def task(self, call):
        return self.own(call, self.tasks, call.args["id"], "Task")

    def fields(self, call, path):
        return checked(call, fields_of("platform", "POST", "/v2" + path))

    # ---- sessions ----

    def add_session(self, project_id, **values):
        session = self.new("session", project_id=project_id,
                           created_at=now_s(), **values)
        session["id"] = values.get("id") or hex_id()
        self.sessions[session["id"]] = session
        return session

    @route("POST", "/v2/sessions")
    def create_session(self, call):
        body = self.fields(call, "/sessions")
        return json_reply(200, self.add_session(
            self.project(call, body["project_id"]), data=body.get("data")))

    @route("GET", "/v2/sessions/{id}")
    def get_session(self, call):
        return json_reply(200, self.session(call))

    @route("POST", "/v2/sessions/{id}")
    def update_session(self, call):
        body = self.fields(call, "/sessions/{id}")
        return self.replace(self.session(call), body,
                            ("metadata", "data", "preview", "notes"))

    def replace(self, thing, body, names):
        """Null leaves a value, and an object is replaced as a whole."""
        for name in names:
            if body.get(name) is not None:
                thing[name] = body[name]
        return json_reply(200, thing)

    def tasks_of(self, session_id):
        return [task for task in reversed(self.tasks.values())
                if task["session_id"] == session_id]

    @route("GET POST", "/v2/sessions/{id}/tasks")
    def list_session_tasks(self, call):
        limit = number_param(call, "limit", 1000)
        tasks = self.tasks_of(self.session(call)["id"])
        return json_reply(200, {"tasks": tasks[:limit]})

    @route("GET", "/v2/sessions/{id}/transcript")
    def transcript(self, call):
        tasks = reversed(self.tasks_of(self.session(call)["id"]))
        return json_reply(200, {"transcript": "\n".join(
            f"User: {task['input']}\nAssistant: {task['output'] or ''}"
            for task in tasks)})

    # ---- tasks ----

    def add_task(self, task_id, project_id, **values):
        task = self.new("task", project_id=project_id, **values)
        task["id"] = task_id or hex_id()
        task["created_at"] = values.get("created_at") or now_s()
        self.tasks[task["id"]] = task
        session = self.sessions.get(task["session_id"])
        if session:
            session["session_length"] += 1
            session["last_message_ts"] = task["created_at"]
        return task

    @route("POST", "/v2/tasks")
    def create_task(self, call):
        body = self.fields(call, "/tasks")
        project_id = body["project_id"]
        if body.get("session_id") is not None:
            project_id = self.own(call, self.sessions, body["session_id"],
                                  "Session")["project_id"]
        self.project(call, project_id)
        task_id = body.get("task_id")
        if task_id in self.tasks:
            self.duplicates[task_id] = self.duplicates.get(task_id, 1) + 1
            return json_reply(200, self.tasks[task_id])
        # The other fields are taken and then not stored.
        kept = {name: body[name] for name in
                ("input", "output", "session_id", "additional_input", "data")
                if body.get(name) is not None}
        return json_reply(200, self.add_task(task_id, project_id, **kept))

    @route("GET", "/v2/tasks/{id}")
    def get_task(self, call):
        return json_reply(200, self.task(call))

    @route("POST", "/v2/tasks/{id}")
    def update_task(self, call):
        body = self.fields(call, "/tasks/{id}")
        task = self.task(call)
        if body.get("flag") is not None:
            self.judge(task, body["flag"], body.get("flag_source") or "owner",
                       body.get("notes"))
        return self.replace(task, body, ("metadata", "data", "notes"))

    # ---- flags ----

    def judge(self, task, flag, source, notes):
        if flag not in FLAGS:
            refuse(400, f"Flag must be success or failure, not {flag}")
        task["flag"] = flag
        task["human_eval"] = self.new("human_eval", id=hex_id(), flag=flag,
                                      created_at=now_s())
        task["last_eval"] = self.new(
            "eval", id=hex_id(), created_at=now_s(), task_id=task["id"],
            project_id=task["project_id"], session_id=task["session_id"],
            value=flag, source=source, notes=notes)
        if notes is not None:
            task["notes"] = notes
        return task

    async def flagged(self, call, name):
        body = self.fields(call, "/tasks/{id}/" + name)
        project_id = body.get("project_id")
        if call.caller is None and project_id is None:
            refuse(400, "Either a key or a project_id is needed")
        task = self.tasks.get(call.args["id"])
        if task is None:
            if call.settings["holds_unknown_task"]:
                await call.hold()
            refuse(404, f"Task {call.args['id']} not found")
        if project_id is not None and project_id != task["project_id"]:
            refuse(400, f"Task {task['id']} is not of project {project_id}")
        if call.caller is not None:
            self.project(call, task["project_id"])
        flag = body["human_eval" if name == "human-eval" else "flag"]
        return json_reply(200, self.judge(
            task, flag, body.get("source") or "owner", body.get("notes")))

    @route("POST", "/v2/tasks/{id}/human-eval")
    async def human_eval(self, call):
        return await self.flagged(call, "human-eval")

    @route("POST", "/v2/tasks/{id}/flag")
    async def flag(self, call):
        return await self.flagged(call, "flag")

    # ---- projects ----

    @route("GET POST", "/v2/projects/{id}/sessions")
    def list_sessions(self, call):
        limit = number_param(call, "limit", 1000)
        project_id = self.project(call, call.args["id"])
        sessions = [session for session in reversed(self.sessions.values())
                    if session["project_id"] == project_id]
        sessions.sort(key=lambda session: -(session["last_message_ts"] or 0))
        return json_reply(200, {"sessions": sessions[:limit]})

    @route("GET POST", "/v2/projects/{id}/tasks")
    def list_tasks(self, call):
        call.body = call.body if call.body is not None else {}
        body = self.fields(call, "/projects/{id}/tasks")
        project_id = self.project(call, call.args["id"])
        tasks = [task for task in reversed(self.tasks.values())
                 if task["project_id"] == project_id and
                 passes(task, body.get("filters") or {})]
        return json_reply(200, {"tasks": tasks[:self.limit(call, body)]})

    @staticmethod
    def limit(call, body):
        """In the body; of a GET in the query."""
        limit = body.get("limit")
        return number_param(call, "limit", 1000) if limit is None else limit

    @route("GET POST", "/v2/projects/{id}/tasks/flat")
    def flat_tasks(self, call):
        call.body = call.body if call.body is not None else {}
        body = self.fields(call, "/projects/{id}/tasks/flat")
        project_id = self.project(call, call.args["id"])
        rows = [self.flat(task, body.get("with_sessions", True))
                for task in reversed(self.tasks.values())
                if task["project_id"] == project_id]
        return json_reply(200, {
            "flattened_tasks": rows[:self.limit(call, body)]})

    def flat(self, task, with_sessions):
        last = task["last_eval"] or {}
        row = self.new(
            "flattened_task", task_id=task["id"], task_input=task["input"],
            task_output=task["output"], task_metadata=task["metadata"],
            task_eval=last.get("value"), task_eval_source=last.get("source"),
            task_eval_at=last.get("created_at"),
            task_created_at=task["created_at"])
        session = self.sessions.get(task["session_id"])
        if with_sessions and session:
            row |= {"session_id": session["id"],
                    "session_length": session["session_length"]}
        return row

    @route("POST", "/v2/projects/{id}/tasks/flat-update")
    def update_flat_tasks(self, call):
        body = self.fields(call, "/projects/{id}/tasks/flat-update")
        project_id = self.project(call, call.args["id"])
        for row in body["flattened_tasks"]:
            task = self.tasks.get(row.get("task_id"))
            if task is None or task["project_id"] != project_id:
                continue
            if row.get("task_metadata") is not None:
                task["metadata"] = row["task_metadata"]
            if row.get("task_eval") is not None:
                self.judge(task, row["task_eval"],
                           row.get("task_eval_source") or "owner", None)
                task["last_eval"]["created_at"] = (
                    row.get("task_eval_at") or task["last_eval"]["created_at"])
        return json_reply(200, None)

    @route("GET", "/v2/me")
    def me(self, call):
        return json_reply(200, self.new("me", org_id=call.caller))

    @route("GET", "/v2/health")
    def health(self, call):
        return json_reply(200, {"status": "OK"})


# ---- filters ----

def passes(task, filters):
    """All that are given have to hold; what a task here never has - clusters,
    scores, languages - no task passes."""
    return all(value is None or FILTERS.get(name, lambda task, value: False)(
        task, value) for name, value in filters.items())


def seconds(value):
    return value if isinstance(value, (int, float)) else int(value)


FILTERS = {
    "created_at_start": lambda task, at: task["created_at"] >= seconds(at),
    "created_at_end": lambda task, at: task["created_at"] <= seconds(at),
    "flag": lambda task, flag: task["flag"] == flag,
    "metadata": lambda task, wanted: all(
        (task["metadata"] or {}).get(key) == value
        for key, value in wanted.items()),
    "user_id": lambda task, user: (
        task["metadata"] or {}).get("user_id") == user,
    "version_id": lambda task, version: (
        task["metadata"] or {}).get("version_id") == version,
    "last_eval_source": lambda task, source: (
        task["last_eval"] or {}).get("source") == source,
    "sentiment": lambda task, value: task["sentiment"] == value,
    "language": lambda task, value: task["language"] == value,
    "has_notes": lambda task, wanted: bool(task["notes"]) == wanted,
    "tasks_ids": lambda task, ids: task["id"] in ids,
    "sessions_ids": lambda task, ids: task["session_id"] in ids,
    "is_last_task": lambda task, wanted: bool(task["is_last_task"]) == wanted,
    "task_position": lambda task, at: task["task_position"] == at,
    "task_id_search": lambda task, text: text in task["id"],
    "session_id_search": lambda task, text: text in (task["session_id"] or ""),
    "excluded_users": lambda task, users: (
        task["metadata"] or {}).get("user_id") not in users,
}
