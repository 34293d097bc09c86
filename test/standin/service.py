"""service - what the four services have in common: routes with parameters,
bodies that are checked against operations.json, and refusals."""
import copy
import json
import pathlib
import re
import time
import urllib.parse
import uuid

HERE = pathlib.Path(__file__).parent
OPERATIONS = json.loads((HERE / "operations.json").read_text())
OBJECTS = {path.stem: json.loads(path.read_text())
           for path in (HERE / "objects").glob("*.json")}
SETTINGS = json.loads((HERE / "settings.json").read_text())


class Refusal(Exception):
    """Ends a request with a reply."""

    def __init__(self, status, value, headers=()):
        super().__init__(status)
        self.status = status
        self.value = value  # JSON; None: no body
        self.headers = headers


class Call:
    """One request, as a handler sees it."""

    def __init__(self, request, args, settings, stream):
        self.request = request
        self.args = args
        self.settings = settings
        self.stream = stream  # what the script wants of a stream
        self.params = request.params
        self.body = None
        self.caller = None  # as the service's authentication found

    def param(self, name, otherwise=None):
        return self.params.get(name, [otherwise])[-1]


def route(methods, template):
    """@route("GET POST", "/things/{id}"); several may stand together."""
    def mark(handler):
        handler.routes = [*getattr(handler, "routes", []),
                          *((method, template) for method in methods.split())]
        return handler
    return mark


def pattern_of(template):
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template))


class Service:
    """`name` is the key in settings.json and operations.json."""

    name = ""
    ascii_only = False

    def __init__(self):
        self.routes = []
        for attribute in dir(type(self)):
            handler = getattr(self, attribute)
            for method, template in getattr(handler, "routes", []):
                self.routes.append((method, pattern_of(template), template,
                                    handler))
        # A path without parameters goes before one that would match it too.
        self.routes.sort(key=lambda found: found[2].count("{"))
        self.reset()

    def reset(self):
        raise NotImplementedError

    def find(self, method, path):
        """(handler, template, arguments) or the methods that there are."""
        allowed = []
        for there, pattern, template, handler in self.routes:
            match = pattern.fullmatch(path)
            if match and there == method:
                args = {name: urllib.parse.unquote(value)
                        for name, value in match.groupdict().items()}
                return handler, template, args
            if match and there not in allowed:
                allowed.append(there)
        return allowed

    def new(self, name, /, **values):
        """An object as the services show it, with these values."""
        return dict(copy.deepcopy(OBJECTS[f"{self.name}_{name}"]), **values)


def fields_of(service, method, path):
    """{field: rule} that the body of this route has, by operations.json."""
    for operation in OPERATIONS:
        if (operation["service"], operation["method"], operation["path"]) == (
                service, method, path):
            return operation["fields"]
    return {}


# ---- values ----

def uuid4():
    return str(uuid.uuid4())


def hex_id():
    return uuid.uuid4().hex


def now_s():
    return int(time.time())


TYPES = {"string": str, "object": dict, "array": list, "boolean": bool,
         "integer": int, "number": (int, float)}


def is_type(value, kind):
    if isinstance(value, bool) and kind in ("integer", "number"):
        return False
    return kind == "any" or isinstance(value, TYPES[kind])


def item(where, text, kind, value=None):
    """One mistake, as the frameworks of three services write it."""
    return {"type": kind, "loc": list(where), "msg": text, "input": value}


def mistake(where, value, rule):
    """None, or what is wrong with this value."""
    if value is None:
        if rule.get("null") or not rule.get("required"):
            return None
    kinds = rule["type"].split("|")
    if not any(is_type(value, kind) for kind in kinds):
        return item(where, f"Input should be a valid {kinds[0]}",
                    f"{kinds[0]}_type", value)
    if "enum" in rule and value not in rule["enum"]:
        wanted = " or ".join(f"'{one}'" for one in rule["enum"])
        return item(where, f"Input should be {wanted}", "literal_error", value)
    least, most = rule.get("length", (0, float("inf")))
    if isinstance(value, (str, list)) and not least <= len(value) <= most:
        if len(value) < least:
            return item(where, f"Input should have at least {least}",
                        "too_short", value)
        return item(where, f"Input should have at most {most}", "too_long",
                    value)
    return None


def mistakes(body, fields, closed=False):
    """All that is wrong with a body."""
    if not isinstance(body, dict):
        return [item(["body"], "Input should be a valid dictionary",
                     "model_attributes_type", body)]
    found = []
    for name, rule in fields.items():
        if name not in body:
            if rule.get("required"):
                found.append(item(["body", name], "Field required", "missing",
                                  body))
            continue
        wrong = mistake(["body", name], body[name], rule)
        if wrong:
            found.append(wrong)
    if closed:
        found += [item(["body", name], "Extra inputs are not permitted",
                       "extra_forbidden", body[name])
                  for name in body if name not in fields]
    return found


def checked(call, fields, closed=False):
    """The body; refuses with the list that three of the services send."""
    found = mistakes(call.body, fields, closed)
    if found:
        raise Refusal(422, {"detail": found})
    return call.body


def number_param(call, name, otherwise, least=0, most=None):
    """A count in the query, or a refusal with a list."""
    text = call.param(name)
    if text is None:
        return otherwise
    try:
        number = int(text)
    except ValueError:
        number = None
    if number is None or number < least or (most and number > most):
        raise Refusal(422, {"detail": [item(
            ["query", name], "Input should be a valid integer",
            "int_parsing", text)]})
    return number


def bearer(request):
    """The token, or None where no bearer header is."""
    scheme, _, token = request.header("authorization").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token else None
