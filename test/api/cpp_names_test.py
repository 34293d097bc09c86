#!/usr/bin/env python3
"""What C gains, the C++ headers gain: each call of a client or worker is made
there, each text and callback of the options and each field of an event has a
function.

    cpp_names_test.py INCLUDE-DIR
"""
import glob
import os
import re
import sys

from checklist import Checklist

# Fields of phos_event that a function of another name fills.
OTHER_NAMES = {"event_id": "id", "timestamp_us": "timestamp",
               "latency_ms": "latency", "token_count_input": "tokens",
               "token_count_output": "tokens", "tags": "tag",
               "tag_count": "tag", "pairs": "pair", "pair_count": "pair",
               "output_parts": "output_part",
               "output_part_count": "output_part"}


def read(path):
    with open(path, encoding="utf-8") as file:
        return re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)


def fields(header, struct):
    """[(type, name)] without struct_size"""
    body = re.search(rf"typedef struct {struct} \{{(.*?)\n\}} {struct};",
                     header, flags=re.S).group(1)
    found = re.findall(r"^    ([\w ]+?) (\**\w+);", body, flags=re.M)
    return [(kind, name.lstrip("*")) for kind, name in found
            if name != "struct_size"]


def lacking(names, text, form):
    return [name for name in names
            if not re.search(form % name, text)]


def main(include_dir):
    checks = Checklist()
    folder = os.path.join(include_dir, "phos")
    c = {name: read(os.path.join(folder, name + ".h"))
         for name in ["client", "event", "worker"]}
    cpp = {os.path.basename(path): read(path)
           for path in glob.glob(folder + "/*.hpp")}

    calls = re.findall(r"\b(phos_(?:client|worker)_\w+)\s*\(",
                       " ".join(c.values()))
    calls = sorted({name for name in calls if not name.endswith("_default")})
    checks.check(len(calls) >= 10, "there are calls")
    checks.equal(lacking(calls, " ".join(cpp.values()), r"\b%s\("), [],
                 "each call of a client or worker is made")

    options = fields(c["client"], "phos_options")
    texts = [name for kind, name in options if kind == "phos_str"]
    callbacks = [name for kind, name in options if kind.endswith("_fn")]
    checks.check("api_key" in texts and "on_receipts" in callbacks,
                 "there are texts and callbacks")
    checks.equal(lacking(texts + callbacks, cpp["client.hpp"],
                         r"options &\s*%s\("), [],
                 "each text and callback of phos_options has a function")
    checks.equal([name for name in callbacks
                  if cpp["client.hpp"].count("options_." + name) != 1], [],
                 "each callback counts as a C callback")

    names = sorted({OTHER_NAMES.get(name, name)
                    for _, name in fields(c["event"], "phos_event")})
    checks.check("input" in names and "cookie" in names, "there are fields")
    checks.equal(lacking(names, cpp["event.hpp"], r"event &(?:>::type)?\s*%s\("),
                 [], "each field of phos_event has a function")
    return checks.end()


sys.exit(main(*sys.argv[1:]))
