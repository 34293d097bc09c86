#!/usr/bin/env python3
"""docs/collector-openapi.yaml says what phosd does: its routes are those of the
code, and answers of a running phosd are as its schemas say. The same for the
metrics in docs/collector.md and docs/operations.md.

    openapi_test.py DOCS-FOLDER ROUTES (the environment: PHOSD)

Answers need python3-yaml and python3-jsonschema.
"""
import json
import os
import re
import sys
import urllib.parse

from checklist import Checklist
from rig import Collector, event

try:
    import jsonschema
    import yaml
except ImportError:
    jsonschema = yaml = None

CODE_ROUTE = r'\{ ("[^"]+"|\w+_path), "([A-Z]+)", (?:true|false),'
ID = "6f1f2b9e-2f7a-4f0e-9a51-0b7f3f6f5a10"
NOWHERE = "00000000-0000-4000-8000-000000000000"
FULL = event("How tall is K2?", event_id=ID, session_id="a/b c",
             timestamp="2025-01-31T09:30:00Z",
             metadata={"model": "m-1", "user_id": "u", "latency_ms": 412,
                       "cost_cents": 0.4, "token_count_input": 6,
                       "tags": ["prod"], "own": {"x": [1]}})
PLAIN = event("Hello", metadata={"user_id": "somebody"})


def read(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as file:
        return file.read()


def code_routes(text):
    """{(path, method)} as the document writes them"""
    named = dict(re.findall(r'\b(\w+_path)\[\] = "([^"]+)"', text))
    found = set()
    for path, method in re.findall(CODE_ROUTE, text):
        path = named.get(path, path.strip('"'))
        if path.endswith("/") and path != "/":
            path += "{id}"
        found.add((path, method.lower()))
    return found


def told_routes(text):
    """The same, without a reader of YAML."""
    text = text.split("\npaths:\n")[1].split("\ncomponents:\n")[0]
    found, path = set(), None
    for line in text.splitlines():
        if re.match(r"  /", line):
            path = line.strip().rstrip(":")
        elif re.match(r"    (get|post|put|delete):$", line):
            found.add((path, line.strip().rstrip(":")))
    return found


# ---- metrics ----

def check_metrics(checks, folder):
    with Collector() as phosd:
        families = dict(re.findall(r"^# TYPE (\w+) (\w+)$",
                                   phosd.get("/metrics").body.decode(),
                                   flags=re.M))
    checks.check(len(families) > 10, "the metrics are found", families)
    suffix = {"counter": "_total", "info": "_info"}
    known = {name + suffix.get(kind, "") for name, kind in families.items()}
    for page in ["collector.md", "operations.md"]:
        told = set(re.findall(r"\b(phosd_[a-z_]+[a-z])\b(?!\.)",
                              read(folder, page)))
        if page == "collector.md":
            checks.equal(sorted(told & known), sorted(known),
                         "collector.md tells of each metric")
        checks.check(told and told <= known,
                     f"{page} tells of metrics that there are",
                     *sorted(told - known))


# ---- real answers ----

class Answers:
    """Asks phosd, and holds each answer against what the document says."""

    def __init__(self, checks, document, phosd):
        self.checks = checks
        self.document = document
        self.phosd = phosd
        self.seen = set()

    def schema(self, part):
        return {"$schema": "https://json-schema.org/draft/2020-12/schema",
                "components": self.document["components"], **part}

    def problem(self, part, value):
        validator = jsonschema.Draft202012Validator(self.schema(part))
        wrong = [f"{list(one.path)}: {one.message}"
                 for one in validator.iter_errors(value)]
        return "\n".join(wrong)

    def resolve(self, part):
        while "$ref" in part:
            place = self.document
            for name in part["$ref"].split("/")[1:]:
                place = place[name]
            part = place
        return part

    def ask(self, method, path, status, query="", body=None, **values):
        """One request and its answer, of which `status` is expected."""
        operation = self.document["paths"][path][method]
        self.seen.add((path, method))
        what = f"{method} {path} {query} {status}"
        real = path.format(**{name: urllib.parse.quote(value, safe="")
                              for name, value in values.items()})
        reply = self.phosd.ask(method.upper(), real + query, body,
                               key=values.get("key"))
        if not self.checks.check(reply.status == status, f"{what}: status",
                                 repr(reply)):
            return reply
        if body is not None and status < 300:
            content = operation["requestBody"]["content"]["application/json"]
            problem = self.problem(content["schema"], body)
            self.checks.check(not problem, f"{what}: the request", problem)
        self.check_answer(operation, what, reply)
        return reply

    def check_answer(self, operation, what, reply):
        told = self.resolve(operation["responses"].get(str(reply.status), {}))
        (kind, content), *_ = told.get("content", {"none": {}}).items()
        got = reply.headers["Content-Type"].split(";")[0]
        self.checks.check(kind == got, f"{what}: type",
                          f"document {kind}, answer {got}")
        for name in told.get("headers", {}):
            self.checks.check(name in reply.headers, f"{what}: {name}")
        if kind == "application/json":
            problem = self.problem(content["schema"], reply.json)
            self.checks.check(not problem, f"{what}: the answer", problem,
                              json.dumps(reply.json)[:1000])


def ask_all(answers):
    ask = answers.ask
    ask("get", "/", 200)
    ask("get", "/healthz", 200)
    ask("get", "/api/stats", 200)
    ask("post", "/api/ingest", 201, body=FULL)
    ask("post", "/api/ingest", 400, body={"input": 1})
    ask("post", "/api/ingest/batch", 201, body={"events": [PLAIN]})
    ask("post", "/api/ingest/batch", 400, body={"events": []})
    ask("post", "/api/ingest/batch", 401, body={"events": [PLAIN]}, key="no")
    ask("post", "/api/feedback", 201,
        body={"event_id": ID, "flag": "success", "comment": "right"})
    ask("post", "/api/feedback", 404,
        body={"event_id": NOWHERE, "flag": "success"})
    for query, status in [("", 200), ("?q=K2&model=m-1&tag=prod", 200),
                          ("?session_id=a/b%20c&flag=success", 200),
                          ("?from=2025-01-31T00:00:00Z&to="
                           "2025-02-01T00:00:00Z&limit=1&offset=0", 200),
                          ("?limit=101", 400), ("?nonsense=1", 400)]:
        ask("get", "/api/events", status, query)
    ask("get", "/api/events/{id}", 200, id=ID)
    ask("get", "/api/events/{id}", 404, id=NOWHERE)
    ask("get", "/api/events/{id}", 400, id="x")
    ask("get", "/api/sessions", 200)
    ask("get", "/api/sessions", 200, "?user_id=u&q=K2")
    ask("get", "/api/sessions", 400, "?tag=prod")
    ask("get", "/api/sessions/{id}", 200, "?limit=1000", id="a/b c")
    ask("get", "/api/sessions/{id}", 404, id="nobody")
    ask("get", "/api/stats", 200)
    ask("get", "/api/stats", 400, "?q=K2")
    ask("get", "/metrics", 200)
    ask("get", "/metrics", 401, key="no")


def references(part):
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        part = list(part.values())
    for one in part if isinstance(part, list) else []:
        yield from references(one)


def check_references(checks, document):
    """Each leads to a component, and each component is led to."""
    there = {f"#/components/{kind}/{name}"
             for kind in ["parameters", "responses", "schemas"]
             for name in document["components"][kind]}
    checks.equal(sorted(set(references(document))), sorted(there),
                 "references and components are the same")
    ids = [operation["operationId"] for path in document["paths"].values()
           for operation in path.values()]
    checks.check(len(ids) == len(set(ids)), "each operation has its own name")


def check_parameters(checks, document, phosd):
    """Each parameter that the document names is taken, each other refused."""
    names = {"session_id", "user_id", "model", "flag", "tag", "from", "to",
             "q", "limit", "offset"}
    values = {"from": "2025-01-31T00:00:00Z", "to": "2025-02-01T00:00:00Z",
              "limit": "1", "offset": "0", "q": "word"}
    for path, operations in document["paths"].items():
        if not path.startswith("/api/") or "get" not in operations:
            continue
        told = {one["$ref"].split("/")[-1].removesuffix("1000")
                for one in operations["get"].get("parameters", [])} & names
        real = path.replace("{id}", ID if "events" in path else "a%2Fb%20c")
        taken = {name for name in names if phosd.ask(
            "GET", f"{real}?{name}={values.get(name, 'x')}").status == 200}
        checks.equal(sorted(told), sorted(taken), f"{path}: its parameters")


def main(folder, code):
    checks = Checklist()
    text = read(folder, "collector-openapi.yaml")
    routes = code_routes(read(code))
    checks.equal(sorted(told_routes(text)), sorted(routes),
                 "the document has each route of the code, and no other")
    checks.check(len(routes) >= 11, "the code's routes are found")
    check_metrics(checks, folder)
    if not yaml:
        checks.check(True, "real answers # SKIP there is no python3-yaml or "
                     "python3-jsonschema")
        return checks.end()

    document = yaml.safe_load(text)
    check_references(checks, document)
    for name, schema in document["components"]["schemas"].items():
        try:
            jsonschema.Draft202012Validator.check_schema(schema)
        except jsonschema.SchemaError as error:
            checks.check(False, f"{name} is a schema", error)
    with Collector() as phosd:
        answers = Answers(checks, document, phosd)
        ask_all(answers)
        checks.equal(sorted(answers.seen), sorted(told_routes(text)),
                     "each route was asked")
        check_parameters(checks, document, phosd)
    with Collector("--events-per-minute", "1") as phosd:
        answers = Answers(checks, document, phosd)
        answers.ask("post", "/api/ingest", 201, body=event())
        answers.ask("post", "/api/ingest", 429, body=event())
    return checks.end()


sys.exit(main(*sys.argv[1:]))
