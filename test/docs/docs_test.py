#!/usr/bin/env python3
"""Compiles and runs every code block of the documents, so that what a reader
copies works.

    docs_test.py --root DIR --build DIR --phosd FILE --phos FILE [--long]
                 [--cc WORDS] [--cxx WORDS] [DOCUMENT...]

With --long alone those documents that have a block marked long, which is then
run. CONTRIBUTING.md, "Examples in documents", tells how blocks are marked.
"""
import argparse
import configparser
import contextlib
import glob
import json
import os
import shlex
import shutil
import sys
import tempfile

from blocks import MARKS, read
from checklist import Checklist
from programs import SUFFIXES, Programs
from services import collector
from session import Session, readable

HANG_S = 120  # nothing takes that long; a guard against hanging for ever
LONG_HANG_S = 500  # the same for what is marked long
KEY = "ph_choose_one"  # of the collector that `with phosd` starts
# Nothing here can check these alone: a block of sh does it, or a reason.
ONLY_FILES = ["cmake", "diff", "dockerfile", "make", "meson", "nginx", "promql",
              "sql", "xml"]
HELP = """\
Each block needs a tag: c, cpp, sh, json, ini, yaml, or text for what is no
code; {only} need a mark `file` or `not run`.
Marks stand above the block, each in a comment: <!-- example: MARK -->
{marks}
CONTRIBUTING.md, "Examples in documents", has more.""".format(
    only=", ".join(ONLY_FILES),
    marks="\n".join(f"    {mark} {text}" for mark, text in MARKS.items()))


class Settings:
    def __init__(self, arguments):
        self.root = os.path.realpath(arguments.root)
        self.build = os.path.realpath(arguments.build)
        self.tools = {"phos": arguments.phos, "phosd": arguments.phosd}
        self.compilers = {"c": shlex.split(arguments.cc),
                          "cpp": shlex.split(arguments.cxx)}
        self.hang_s = LONG_HANG_S if arguments.long else HANG_S

    def environment(self, folder, service, port=None):
        kept = {name: value for name, value in os.environ.items()
                if not name.upper().startswith(("PHOS", "HTTP", "ALL_"))}
        kept |= {"HOME": folder, "LANG": "C.UTF-8",
                 "PATH": os.path.join(folder, "bin") + ":" + kept["PATH"],
                 "PKG_CONFIG_PATH": os.path.join(folder, "bin"),
                 "LD_LIBRARY_PATH": os.path.join(self.build, "lib")}
        if service:
            kept |= {"PHOS_ENDPOINT": service.url,
                     "PHOSPHO_API_KEY": service.key}
        if port:
            kept["PHOSD_LISTEN"] = f"127.0.0.1:{port}"
        return kept

    def prepare(self, folder):
        """What a reader has: the source tree, and libphos installed."""
        os.mkdir(os.path.join(folder, "bin"))
        for name, path in self.tools.items():
            os.symlink(os.path.realpath(path),
                       os.path.join(folder, "bin", name))
        os.symlink(self.build, os.path.join(folder, "build"))
        for name in ("examples", "include"):
            os.symlink(os.path.join(self.root, name),
                       os.path.join(folder, name))
        with open(os.path.join(folder, "bin", "phos.pc"), "w",
                  encoding="utf-8") as file:
            file.write("Name: phos\nDescription: of this build\nVersion: 0\n"
                       f"Cflags: -I{self.root}/include\n"
                       f"Libs: -L{self.build}/lib -lphos\n")


# ---- blocks that nothing has to run for ----

def check_json(block):
    try:
        json.loads(block.text)
    except ValueError as error:
        return f"no JSON: {error}"
    return None


def check_ini(block):
    try:
        configparser.ConfigParser(strict=False, interpolation=None,
                                  allow_no_value=True).read_string(block.text)
    except configparser.Error as error:
        return str(error)
    return None


def check_yaml(block):
    import yaml  # is asked for before this
    try:
        list(yaml.safe_load_all(block.text))
    except yaml.YAMLError as error:
        return str(error)
    return None


def check_quote(block, root):
    """The quoted lines stand in the file, one below the other."""
    path = os.path.join(root, block.marks["quotes"])
    try:
        with open(path, encoding="utf-8") as file:
            there = file.read()
    except OSError as error:
        return str(error)
    if "\n" + block.text in "\n" + there:
        return None
    missing = [line for line in block.text.splitlines()
               if line not in there.splitlines()]
    return "\n".join([f"{block.marks['quotes']} does not have these lines so:",
                      *(missing or ["the same lines, in another order"])])


DATA = {"json": check_json, "ini": check_ini, "yaml": check_yaml}


# ---- which block is checked how ----

def wrong_form(block):
    """None, or why nothing can be done with it."""
    if block.problem:
        return block.problem
    if not block.language:
        return "the block has no tag"
    if block.language in ONLY_FILES:
        if not {"file", "quotes", "not run"} & set(block.marks):
            return f"nothing checks {block.language}"
    elif block.language not in {*DATA, *SUFFIXES, "sh", "text"}:
        return f"the tag {block.language!r} is not known"
    for mark in ("not run", "needs", "file", "quotes", "fragment"):
        if block.marks.get(mark) == "":
            return f"the mark {mark!r} says nothing"
    return None


def missing(block):
    """What the block needs and this machine has not; empty: nothing."""
    if block.language == "yaml":
        try:
            import yaml  # noqa: F401
        except ImportError:
            return "python3-yaml"
    program = block.marks.get("needs", "")
    return program if program and not shutil.which(program) else ""


class Reader:
    """Goes through one document."""

    def __init__(self, settings, checks, document, long):
        self.settings = settings
        self.checks = checks
        self.document = document
        self.long = long

    def is_run(self, block):
        """Whether it is one of the session's."""
        return (block.language == "sh" and not wrong_form(block) and
                not readable(block.text) and not missing(block) and
                "not run" not in block.marks and
                (self.long or "long" not in block.marks))

    def why_skipped(self, block):
        if missing(block):
            return f"there is no {missing(block)}"
        if "long" in block.marks and not self.long:
            return "in scripts/test --all"
        return ""

    def put_files(self, folder):
        for block in self.document.blocks:
            name = block.marks.get("file")
            if not name and block.language in SUFFIXES:
                name = os.path.basename(block.marks.get("quotes", ""))
            if name:
                path = os.path.join(folder, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w", encoding="utf-8") as file:
                    file.write(block.text)

    def judge(self, block, above, session, programs, folder):
        """None, or what is wrong."""
        problem = wrong_form(block)
        if problem:
            return problem
        if "quotes" in block.marks:
            return check_quote(block, self.settings.root)
        if "output" in block.marks:
            if not above or not self.is_run(above):
                return None if above else "there is no block above"
            return session.check_output(block, above)
        if block.language in DATA:
            return DATA[block.language](block)
        if block.language in SUFFIXES:
            return programs().check(block, folder)
        if block.language == "sh":
            return readable(block.text) or (
                session.check(block) if self.is_run(block) else None)
        return None

    def go(self):
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="phos-docs-"))
            self.settings.prepare(folder)
            self.put_files(folder)
            session = Session(self.settings, self.document, folder)
            if self.document.with_phosd:
                stack.enter_context(collector(
                    self.settings.tools["phosd"], key=KEY,
                    listen=f"127.0.0.1:{session.port}"))
            session.run([block for block in self.document.blocks
                         if self.is_run(block)])
            cache = []

            def programs():
                if not cache:
                    service = stack.enter_context(
                        collector(self.settings.tools["phosd"]))
                    cache.append(Programs(self.settings, service))
                return cache[0]

            above = None
            for block in self.document.blocks:
                skipped = self.why_skipped(block)
                problem = None if skipped else self.judge(
                    block, above, session, programs, folder)
                note = "".join(f", {mark}: {text}".rstrip(": ")
                               for mark, text in block.marks.items())
                if skipped:
                    note += f" # SKIP {skipped}"
                self.checks.check(
                    problem is None,
                    f"{block.name}: {block.language or 'no tag'}{note}",
                    *(["example at " + block.name, problem, HELP]
                      if problem else []))
                if block.language == "sh":
                    above = block


def documents(root):
    paths = [os.path.join(root, name) for name in ["README.md",
                                                   "CONTRIBUTING.md"]]
    for pattern in ["docs/*.md", "docs/man/*.[1-8]", "*/README.md",
                    "examples/*/README.md"]:
        paths += sorted(glob.glob(os.path.join(root, pattern)))
    return [os.path.relpath(path, root) for path in paths]


def main():
    parser = argparse.ArgumentParser()
    for name in ["root", "build", "phos", "phosd"]:
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--cxx", default="c++")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("document", nargs="*")
    arguments = parser.parse_args()
    settings = Settings(arguments)
    checks = Checklist()
    for name in arguments.document or documents(settings.root):
        document = read(os.path.join(settings.root, name), name)
        is_long = any("long" in block.marks for block in document.blocks)
        if document.blocks and (is_long or not arguments.long):
            Reader(settings, checks, document, arguments.long).go()
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
