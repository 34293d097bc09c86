"""world - the four services behind one address, each under a prefix of its own,
and the control routes under /standin/ that scripts and logs go through."""
import copy
import inspect
import json
import traceback

from httpd import Reply, json_reply, text_reply
from script import (BadScript, Change, Holds, Log, Script, headers_of,
                    replaced, reshape)
from service import SETTINGS, Call, Refusal
from service_flux0 import Flux0
from service_ingest import Ingest
from service_phoson import Phoson
from service_platform import Platform

SERVICES = {service.name: service
            for service in (Ingest, Platform, Phoson, Flux0)}
CONTROL = "/standin"


def merge(into, changes):
    """Objects grow together, all else is replaced. What is not there cannot be
    set, so that a misspelt name does not go unnoticed."""
    for name, value in changes.items():
        if name not in into:
            raise BadScript(f"unknown setting: {name}")
        if isinstance(into[name], dict) and name in SERVICES:
            merge(into[name], value)
        else:
            into[name] = value


class World:
    def __init__(self, prefixes):
        self.prefixes = prefixes  # {service: prefix without a last slash}
        self.services = {name: make() for name, make in SERVICES.items()}
        self.url = self.other = None
        self.dead_ends = {}  # {name: URL}
        self.change = Change()
        self.holds = Holds(self.change)
        self.reset()

    def reset(self):
        self.holds.release()
        self.settings = copy.deepcopy(SETTINGS)
        self.script = Script()
        self.log = Log(self.change)
        for service in self.services.values():
            service.reset()

    # ---- requests ----

    async def answer(self, request):
        """(reply, what goes wrong on the line, whom to tell how it ended)."""
        if request.path.split("/")[1:2] == [CONTROL[1:]]:
            return await self.control(request), {}, lambda ended: None
        name, path = self.place(request.path)
        log = self.log
        entry = log.add(request, name)
        behaviour = self.script.take(request, name)
        reply = replaced(behaviour, request, self.other)
        if reply is None or behaviour.get("served"):
            served = await self.serve(request, name, path, behaviour)
            reply = reply or served
        reshape(reply, behaviour)
        reply.with_headers(headers_of(behaviour))
        if behaviour.get("close"):
            request.keeps_alive = False
        entry["status"] = reply.status
        return reply, behaviour, lambda ended: log.end(entry, ended)

    def place(self, path):
        """(service, path within it): the longest prefix that fits."""
        for name, prefix in sorted(self.prefixes.items(),
                                   key=lambda found: -len(found[1])):
            if path == prefix or path.startswith(prefix + "/"):
                return name, path[len(prefix):] or "/"
        return None, path

    def settings_of(self, name, behaviour):
        settings = self.settings[name]
        if "settings" in behaviour:
            settings = copy.deepcopy(settings)
            merge(settings, behaviour["settings"])
        return settings

    async def serve(self, request, name, path, behaviour):
        if name is None:
            return text_reply(404, "no service has this path\n")
        service = self.services[name]
        call = Call(request, {}, self.settings_of(name, behaviour),
                    behaviour.get("stream", {}))
        call.hold = lambda: self.holds.wait(request.line.gone)
        try:
            return await self.routed(service, call, path)
        except Refusal as refusal:
            if refusal.value is None:
                return Reply(refusal.status, headers=refusal.headers)
            return json_reply(refusal.status, refusal.value, refusal.headers)
        except Exception as error:  # of ours, or of the script's
            traceback.print_exc()
            return text_reply(500, f"the stand-in failed: {error!r}\n")

    async def routed(self, service, call, path):
        found = self.find(service, call, path)
        if isinstance(found, list):
            bare = None if found else self.without_slash(service, call, path)
            if bare is None:
                service.refuse_route(found)
            query = call.request.query and "?" + call.request.query
            return Reply(307, headers=[("Location", (
                f"http://{call.request.header('host')}"
                f"{self.prefixes[service.name]}{bare}{query}"))])
        handler, template, call.args = found
        if call.request.body:
            try:
                call.body = json.loads(call.request.body)
            except ValueError:
                if template != "/v3/otl/{project_id}":  # protobuf
                    service.refuse_unparsed(call)
        service.authenticate(call, template)
        reply = handler(call)
        return await reply if inspect.isawaitable(reply) else reply

    def find(self, service, call, path):
        method = call.request.method
        if service.name != "platform":
            return service.find(method, path)
        if call.settings["generation"] == "0.1":
            return service.older.find(method, path)
        found = service.find(method, path)
        if isinstance(found, tuple):
            if service.is_offered(found[1], method, call.settings):
                return found
            return service.offered_methods(path, call.settings)
        return service.offered_methods(path, call.settings)

    @staticmethod
    def without_slash(service, call, path):
        if service.name != "platform":
            return None
        if call.settings["generation"] == "0.1":
            with_slash = path + "/"
            return with_slash if not path.endswith("/") and any(
                service.older.find(method, with_slash)
                for method in ("GET", "POST")) else None
        if not path.endswith("/") or path == "/":
            return None
        return path[:-1] if service.offered_methods(
            path[:-1], call.settings) else None

    # ---- control ----

    async def control(self, request):
        name = request.path[len(CONTROL) + 1:]
        act = getattr(self, f"{request.method.lower()}_{name or 'home'}", None)
        if act is None:
            return json_reply(404, {"error": "no such control route"})
        try:
            body = json.loads(request.body) if request.body else None
            answer = act(body, {key: values[-1] for key, values
                                in request.params.items()})
            if inspect.isawaitable(answer):
                answer = await answer
        except (BadScript, ValueError, TypeError, AttributeError) as error:
            return json_reply(400, {"error": str(error)})
        return answer if isinstance(answer, Reply) else json_reply(200, answer)

    def get_home(self, body, params):
        return {"url": self.url, "other": self.other, **self.dead_ends,
                "services": {name: self.url + prefix
                             for name, prefix in self.prefixes.items()}}

    def post_reset(self, body, params):
        self.reset()
        return {}

    def post_next(self, body, params):
        self.script.add(body)
        return self.script.steps

    def get_next(self, body, params):
        return self.script.steps

    def post_settings(self, body, params):
        merge(self.settings, body)
        return self.settings

    def get_settings(self, body, params):
        return self.settings

    def post_release(self, body, params):
        return {"released": self.holds.release()}

    async def get_held(self, body, params):
        """Waits until at_least so many replies are held."""
        least = int(params.get("at_least", 0))
        if not await self.change.until(lambda: len(self.holds.held) >= least):
            return json_reply(504, {"error": f"{len(self.holds.held)} held"})
        return {"held": len(self.holds.held)}

    async def get_requests(self, body, params):
        """Waits until at_least so many are as wanted, then gives them."""
        least = int(params.pop("at_least", 0))
        if not await self.change.until(
                lambda: len(self.log.matching(params)) >= least):
            return json_reply(504, {"error": "{} are so".format(
                len(self.log.matching(params)))})
        return self.log.matching(params)

    def get_state(self, body, params):
        """What a test may want to know that no service tells."""
        return {"duplicates": {name: self.services[name].duplicates
                               for name in ("ingest", "platform")},
                "runs": self.services["flux0"].ended}
