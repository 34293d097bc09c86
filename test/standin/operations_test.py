"""operations.json, the table of what the services' clients can ask for, agrees
with the stand-in, with its files and with docs/services.md.

    operations_test.py [--page]     prints the page's tables as they should be
"""
import json
import os
import pathlib
import re
import sys

from cases import check, equal, main, test
from platform_older import Older
from rig import HERE
from service import OBJECTS, OPERATIONS
from service_flux0 import Flux0
from service_ingest import Ingest
from service_phoson import Phoson
from service_platform import Platform

PAGE = os.path.join(HERE, "..", "..", "docs", "services.md")
WORDS = {"stated": "stated", "read": "read from source",
         "inferred": "inferred"}
MARKS = {*WORDS, "framework default"}
TITLES = {("ingest", "current"): "The ingestion service",
          ("platform", "current"): "Today",
          ("platform", "0.2"): "What 0.2 had besides",
          ("platform", "0.1"): "0.1",
          ("phoson", "current"): "The phoson Core service",
          ("flux0", "current"): "The flux0 service"}
UUID = "6f1f2b9e-2f7a-4f0e-9a51-0b7f3f6f5a10"
NO_KEY = {("platform", "/v2/health"), ("platform", "/v2/tasks/{id}/flag"),
          ("platform", "/v2/tasks/{id}/human-eval")}


def named(operation):
    return "{service} {generation} {operation}".format(**operation)


# ---- a valid request for each operation ----

def ingest_world(standin):
    standin.call("ingest", "POST", "/api/ingest", {
        "event_id": UUID, "session_id": "s", "input": "i", "output": "o"})
    return {"events": UUID, "sessions": "s"}


def platform_world(standin):
    def make(path, body):
        return standin.call("platform", "POST", path, body).json["id"]

    session = make("/v2/sessions", {"project_id": "p1"})
    task = make("/v2/tasks", {"project_id": "p1", "input": "i", "output": "o",
                              "session_id": session})
    return {"sessions": session, "tasks": task, "projects": "p1", "log": "p1",
            "otl": "p1"}


def tests_world(standin):
    standin.settings("platform", generation="0.2")
    made = standin.call("platform", "POST", "/v2/tests", {"project_id": "p1"})
    return platform_world(standin) | {"tests": made.json["id"]}


def older_world(standin):
    standin.settings("platform", generation="0.1")
    found = {"projects": "p1"}
    for kind, body in [
            ("session", {"project_id": "p1"}), ("task", {"input": "i"}),
            ("step", {"input": "i", "name": "n", "status": "s",
                      "is_last": True})]:
        body |= {"session_id": found.get("sessions"),
                 "task_id": found.get("tasks")} if kind != "session" else {}
        made = standin.call("platform", "POST", f"/{kind}s/", body).json
        found[kind + "s"] = made[kind + "_id"]
    return found


def phoson_world(standin):
    agent = standin.call("phoson", "POST", "/agents", {}).json["id"]
    standin.call("phoson", "POST", f"/agents/{agent}/mcp/m1")
    made = standin.call("phoson", "POST", "/conversations",
                        {"agent_id": agent}).json
    return {"agents": agent, "conversations": made["id"], "mcp": "m1",
            "mcps": "m1"}


def flux0_world(standin):
    agent = standin.call("flux0", "POST", "/api/agents",
                         {"name": "n", "type": "t"}).json["id"]
    made = standin.call("flux0", "POST", "/api/sessions",
                        {"agent_id": agent}).json
    return {"agents": agent, "sessions": made["id"]}


WORLDS = {("ingest", "current"): ingest_world,
          ("platform", "current"): platform_world,
          ("platform", "0.2"): tests_world, ("platform", "0.1"): older_world,
          ("phoson", "current"): phoson_world,
          ("flux0", "current"): flux0_world}


def world_of(standin, operation):
    """{segment of a path: the id that follows it}"""
    standin.reset()
    return WORLDS[operation["service"], operation["generation"]](standin)


def path_of(operation, world, unknown=None):
    path = operation["path"]
    if path.endswith("/create"):
        world = world | {"tests": "p1"}
    return re.sub(r"/(\w+)/\{\w+\}", lambda found: "/{}/{}".format(
        found[1], unknown or world[found[1]]), path)


def value_of(operation, name, rule, world):
    event = {"input": "i", "output": "o"}
    known = {
        "event_id": UUID, "timestamp": "2025-01-31T09:30:00Z",
        "project_id": "p1", "flag": "success", "human_eval": "success",
        "agent_id": world.get("agents"), "session_id": world.get("sessions"),
        "task_id": world.get("tasks"), "id": "aB3dE5gH7j", "events": [event],
        "flattened_tasks": [{"task_id": world.get("tasks")}],
        "batched_log_events": [dict(event, messages=[])], "filters": {},
    }
    if "enum" in rule:
        return rule["enum"][0]
    if name in known:
        return known[name]
    return {"string": "text", "object": {}, "array": [], "integer": 1,
            "number": 0.5, "boolean": True}[rule["type"]]


def body_of(operation, world):
    return {name: value_of(operation, name, rule, world)
            for name, rule in operation["fields"].items()} or None


def call(standin, operation, path, body, **more):
    return standin.call(operation["service"], operation["method"], path, body,
                        **more)


# ---- the table and the stand-in ----

@test
def each_operation_is_answered_as_the_table_says(standin):
    for operation in OPERATIONS:
        world = world_of(standin, operation)
        answer = call(standin, operation, path_of(operation, world),
                      body_of(operation, world))
        equal(answer.status, operation.get("gone", operation["success"]),
              f"{named(operation)}: {answer!r}")
        if answer.status != 204 and operation["answer"] != "events":
            answered(operation, answer.json)


def answered(operation, value):
    """The object that the table names, or a list under its name."""
    if operation["answer"] is None or value is None:
        return
    want = OBJECTS.get(f"{operation['service']}_{operation['answer']}")
    if want is not None:
        missing = {name for name, otherwise in want.items()
                   if name not in value and otherwise is not None}
        equal(missing, set(), named(operation))
    elif operation["answer"].endswith("s") and isinstance(value, dict):
        check(operation["answer"] in value or "data" in value or
              operation["answer"].startswith("log"), named(operation))


@test
def each_route_stands_in_the_table_and_each_line_has_a_route(standin):
    there = set()
    for service in (Ingest(), Platform(), Phoson(), Flux0()):
        there |= {(service.name, method, template)
                  for method, _, template, _ in service.routes}
    there |= {("platform", *found) for found in Older.ROUTES}
    told = {(one["service"], one["method"], one["path"])
            for one in OPERATIONS if "gone" not in one}
    # A web page, and another way to say PATCH.
    there -= {("flux0", "GET", "/")}
    there = {found for found in there if found[1] != "PUT"}
    equal(sorted(there - told), [])
    equal(sorted(told - there), [])


@test
def no_operation_stands_twice_in_the_table(standin):
    names = [named(operation) for operation in OPERATIONS]
    equal(sorted(names), sorted(set(names)))
    for one in OPERATIONS:
        check(one["certainty"] in WORDS, named(one))
        check(set(one) <= {"service", "generation", "operation", "method",
                           "path", "certainty", "client", "success", "answer",
                           "query", "gone", "sends", "note", "fields"},
              named(one))


@test
def a_required_field_is_required_and_each_has_its_type(standin):
    for operation in OPERATIONS:
        world = world_of(standin, operation)
        path, body = path_of(operation, world), body_of(operation, world)
        for name, rule in operation["fields"].items():
            wrong = "x" if rule["type"] in ("integer", "number",
                                            "boolean") else 5
            tries = [dict(body, **{name: wrong})]
            if rule.get("required"):
                tries.append({key: value for key, value in body.items()
                              if key != name})
            for one in tries:
                answer = call(standin, operation, path, one)
                equal(answer.status, 400 if operation["service"] == "ingest"
                      else 422, f"{named(operation)} {name}: {answer!r}")


@test
def what_is_unknown_is_not_found(standin):
    for operation in OPERATIONS:
        if "{" not in operation["path"] or operation["answer"] == "null" and (
                "export" in operation["path"]):
            continue
        world = world_of(standin, operation)
        answer = call(standin, operation,
                      path_of(operation, world, "aaaaaaaaaa"),
                      body_of(operation, world))
        events = (operation["service"] == "flux0" and
                  "/events" in operation["path"])
        equal(answer.status, 400 if events else 404, named(operation))


@test
def nothing_is_told_without_a_key(standin):
    for operation in OPERATIONS:
        service, path = operation["service"], operation["path"]
        if "gone" in operation or service == "flux0" or (
                service, path) in NO_KEY:
            continue
        world = world_of(standin, operation)
        answer = call(standin, operation, path_of(operation, world),
                      body_of(operation, world), key=None)
        equal(answer.status, 403 if service == "platform" else 401,
              named(operation))


@test
def other_methods_are_not_allowed(standin):
    for operation in OPERATIONS:
        if "gone" in operation:
            continue
        world = world_of(standin, operation)
        answer = standin.call(operation["service"], "OPTIONS",
                              path_of(operation, world))
        equal(answer.status, 405, named(operation))


# ---- files ----

@test
def each_object_and_frame_has_a_mark(standin):
    here = pathlib.Path(HERE)
    marks = json.loads((here / "marks.json").read_text())
    there = [str(path.relative_to(here)) for folder in ("objects", "frames")
             for path in sorted((here / folder).iterdir())]
    equal(sorted(name for name in marks if "/" in name), sorted(there))
    for name, mark in marks.items():
        fields = mark.get("fields", {})
        check({mark["mark"], *fields.values()} <= MARKS, name)
        if name.startswith("objects/"):
            check(set(fields) <= set(OBJECTS[pathlib.Path(name).stem]), name)


def rows(service, generation):
    lines = ["| operation | route | answers | certainty | |",
             "|---|---|---|---|---|"]
    for one in OPERATIONS:
        if (one["service"], one["generation"]) == (service, generation):
            lines.append("| {} | `{} {}` | {} | {} | {} |".format(
                one["operation"], one["method"], one["path"],
                one.get("gone", one["success"]), WORDS[one["certainty"]],
                one.get("note", "")).replace("|  |", "| |"))
    return "\n".join(lines) + "\n"


@test
def the_page_lists_each_operation(standin):
    page = pathlib.Path(PAGE).read_text()
    for key, title in TITLES.items():
        section = re.search(rf"^##+ {re.escape(title)}$.*?(?=^##|\Z)", page,
                            re.M | re.S)
        check(section, f"docs/services.md has no heading {title!r}")
        found = "".join(re.findall(r"^\| .*\n|^\|---.*\n", section[0], re.M))
        check(rows(*key) in found, f"docs/services.md, {title}: want\n"
              f"{rows(*key)}got\n{found}")


if sys.argv[1:] == ["--page"]:
    for key, title in TITLES.items():
        print(f"## {title}\n\n{rows(*key)}")
else:
    main()
