"""script - what tests tell the stand-in to do with the requests to come, and
what it tells them of those that came.

A step of a script is {"match": {"method", "path", "service"}, "behaviour":
{...}, "times": 1}. `path` is a pattern with `*` and is held against the path
without the query; what is left out of `match` matches everything. The first
step that matches and has not been used up is taken; `times` 0 is never used
up. README.md lists the behaviours.
"""
import asyncio
import fnmatch
import json

from httpd import Gone, Reply, json_reply, text_reply

WAIT_S = 20  # a test that asks for what does not come; none comes near it

BEHAVIOURS = {"status", "json", "text", "headers", "retry_after", "redirect",
              "to", "stall", "cut", "reset", "pieces", "close", "served",
              "settings", "stream", "extra", "without_nulls", "escaped"}


class Change:
    """Lets others wait until something is so, without asking all the time."""

    def __init__(self):
        self.event = asyncio.Event()

    def happened(self):
        self.event.set()
        self.event = asyncio.Event()

    async def until(self, is_so):
        """False when it did not become so."""
        try:
            async with asyncio.timeout(WAIT_S):
                while not is_so():
                    await self.event.wait()
        except TimeoutError:
            return False
        return True


class Holds:
    """Replies that wait for a control call, and for nothing else."""

    def __init__(self, change):
        self.change = change
        self.held = []

    async def wait(self, gone):
        released = asyncio.Event()
        self.held.append(released)
        self.change.happened()
        waits = [asyncio.ensure_future(event.wait())
                 for event in (released, gone)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            if released in self.held:
                self.held.remove(released)
                self.change.happened()
        if not released.is_set():
            raise Gone

    def release(self):
        count = len(self.held)
        for released in self.held:
            released.set()
        self.held = []
        return count


class BadScript(Exception):
    pass


class Script:
    def __init__(self):
        self.steps = []

    def add(self, steps):
        if not isinstance(steps, list):
            raise BadScript("a script is a list of steps")
        for step in steps:
            self.check(step)
        self.steps += [dict(step, left=step.get("times", 1)) for step in steps]

    @staticmethod
    def check(step):
        if not isinstance(step, dict):
            raise BadScript("a step is an object")
        unknown = set(step) - {"match", "behaviour", "times"}
        unknown |= set(step.get("match", {})) - {"method", "path", "service"}
        unknown |= set(step.get("behaviour", {})) - BEHAVIOURS
        if unknown:
            raise BadScript(f"unknown: {', '.join(sorted(unknown))}")

    def take(self, request, service):
        """The behaviour for this request; empty: nothing special."""
        for step in self.steps:
            if not self.matches(step.get("match", {}), request, service):
                continue
            if step.get("times", 1) == 0:
                return step.get("behaviour", {})
            step["left"] -= 1
            if step["left"] == 0:
                self.steps.remove(step)
            return step.get("behaviour", {})
        return {}

    @staticmethod
    def matches(match, request, service):
        return (match.get("method", request.method) == request.method and
                match.get("service", service) == service and
                fnmatch.fnmatchcase(request.path, match.get("path", "*")))


def replaced(behaviour, request, other):
    """The reply that stands in for the service's own, or None."""
    if "redirect" in behaviour:
        to = behaviour.get("to", "same")
        if to == "same":
            to = request.target
        elif to == "other":
            to = other + request.target
        return Reply(behaviour["redirect"], headers=[("Location", to)])
    if "status" not in behaviour:
        return None
    if "json" in behaviour:
        return json_reply(behaviour["status"], behaviour["json"])
    return text_reply(behaviour["status"], behaviour.get("text", ""))


def without_nulls(value):
    if isinstance(value, list):
        return [without_nulls(one) for one in value]
    if isinstance(value, dict):
        return {name: without_nulls(one) for name, one in value.items()
                if one is not None}
    return value


def reshape(reply, behaviour):
    """Says the same in JSON of another form; other replies stay."""
    if not {"extra", "without_nulls", "escaped"} & set(behaviour):
        return
    try:
        value = json.loads(reply.body)
    except ValueError:
        return
    if behaviour.get("without_nulls"):
        value = without_nulls(value)
    if isinstance(value, dict):
        value |= behaviour.get("extra", {})
    reply.body = json.dumps(
        value, ensure_ascii=behaviour.get("escaped", False)).encode()


def headers_of(behaviour):
    headers = list(behaviour.get("headers", {}).items())
    if "retry_after" in behaviour:
        headers.append(("Retry-After", str(behaviour["retry_after"])))
    return headers


class Log:
    """The requests that came, in their order; control requests are left out."""

    def __init__(self, change):
        self.change = change
        self.entries = []

    def add(self, request, service):
        try:
            body = json.loads(request.body) if request.body else None
        except ValueError:
            body = None
        entry = {
            "number": len(self.entries) + 1,
            "connection": request.line.number,
            "service": service,
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "params": request.params,
            "headers": request.headers,
            "body": body,
            "text": request.body.decode("utf-8", "replace"),
            "status": None,
            "ended": None,
        }
        self.entries.append(entry)
        self.change.happened()
        return entry

    def end(self, entry, ended):
        entry["ended"] = ended
        self.change.happened()

    def matching(self, wanted):
        """Those whose entries are as wanted; `path` is a pattern."""
        return [entry for entry in self.entries
                if fnmatch.fnmatchcase(entry["path"], wanted.get("path", "*"))
                and all(str(entry[name]) == value
                        for name, value in wanted.items() if name != "path")]
