#!/usr/bin/env python3
"""The project's own files agree with each other.

    project_test.py SOURCE-ROOT
"""
import configparser
import os
import re
import subprocess
import sys

from checklist import Checklist


def read(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as file:
        return file.read()


def tracked(root, endings):
    """Paths of the sources, without build directories and subprojects."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders
                            if not name.startswith(("build", ".git"))
                            and os.path.join(folder, name) !=
                            os.path.join(root, "subprojects"))
        for name in sorted(files):
            if name.endswith(endings):
                yield os.path.join(folder, name)


# ---- subprojects/ ----

def fallbacks(root):
    """{wrap: dependency} of every dependency() that names a fallback."""
    found = {}
    for path in tracked(root, "meson.build"):
        if "/test/packages/subproject/" in path:
            continue  # takes this project in, as others do
        for name, arguments in re.findall(
                r"dependency\('([\w.-]+)'((?:[^()]|\([^()]*\))*)\)",
                read(path)):
            match = re.search(r"fallback:\s*\[?\s*'([\w.-]+)'"
                              r"(?:\s*,\s*'(\w+)')?", arguments)
            if match:
                found[match.group(1)] = (name, match.group(2))
    return found


def check_wraps(checks, root):
    wraps = {}
    for name in sorted(os.listdir(os.path.join(root, "subprojects"))):
        if name.endswith(".wrap"):
            wrap = configparser.ConfigParser(interpolation=None)
            wrap.read(os.path.join(root, "subprojects", name))
            wraps[name.removesuffix(".wrap")] = wrap

    wanted = fallbacks(root)
    checks.equal(sorted(wraps), sorted(wanted),
              "each fallback has a wrap file, and each wrap file is one")
    for name, wrap in wraps.items():
        file = wrap["wrap-file"]
        dependency, variable = wanted.get(name, (None, None))
        provided = wrap["provide"].get(dependency or "", None)
        listed = wrap["provide"].get("dependency_names", "").split(", ")
        checks.check(provided == variable and provided or dependency in listed,
                  f"{name}.wrap provides what the fallback asks for")
        for key in ["source", "patch"]:
            if key + "_url" in file:
                checks.check(file[key + "_url"].startswith("https://") and
                          re.fullmatch(r"[0-9a-f]{64}", file[key + "_hash"]),
                          f"{name}.wrap pins its {key} by hash")
        if "patch_directory" in file:
            checks.check(os.path.exists(os.path.join(
                root, "subprojects/packagefiles", file["patch_directory"],
                "meson.build")), f"{name}.wrap has its build file here")


# ---- scripts ----

def check_scripts(checks, root):
    shell = [os.path.join(root, folder, name)
             for folder in ["scripts", ".ci"]
             for name in sorted(os.listdir(os.path.join(root, folder)))
             if not name.endswith(".py")]
    shell = [path for path in shell
             if read(path).startswith("#!/bin/sh") or path.endswith(".sh")]
    for path in shell:
        run = subprocess.run(["sh", "-n", path], capture_output=True, text=True)
        checks.check(run.returncode == 0,
                  f"the shell can read {os.path.relpath(path, root)}",
                  run.stderr)
        checks.check(path.endswith(".sh") or os.access(path, os.X_OK),
                  f"{os.path.relpath(path, root)} can be run")


# ---- documents ----

def anchors(text):
    """What a heading's link is called."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            for heading in re.findall(r"^#+\s+(.*)$", text, flags=re.M)}


def check_links(checks, root):
    for path in tracked(root, ".md"):
        text = re.sub(r"```.*?```", "", read(path), flags=re.S)
        broken = []
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", target):
                continue
            file, _, anchor = target.partition("#")
            there = os.path.join(os.path.dirname(path), file) if file else path
            if not os.path.exists(there) or (
                    anchor and anchor not in anchors(read(there))):
                broken.append(f"{os.path.relpath(path, root)}: {target}")
        checks.check(not broken, f"links of {os.path.relpath(path, root)} lead"
                  " somewhere", *broken)


# ---- diagnostics ----

def literals(text):
    return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', text))


def check_diagnostics(checks, root):
    """docs/troubleshooting.md explains every line, with the library's words."""
    codes = re.findall(r"PHOS_DIAGNOSTIC_(\w+) = \d+",
                       read(root, "include", "phos", "worker.h"))
    text = read(root, "docs", "troubleshooting.md")
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", text,
                               flags=re.S | re.M))
    checks.equal(sorted(sections), sorted(codes),
                 "docs/troubleshooting.md has a section for each diagnostic")
    words = read(root, "lib", "client", "words.c")
    reasons = re.findall(r"{ PHOS_DIAGNOSTIC_(\w+), PHOS_SEVERITY_\w+,"
                         r"\s*(.*?) },?\n", words, flags=re.S)
    checks.check(len(reasons) > 10, "lib/client/words.c has its reasons")
    for code, parts in reasons:
        section = re.sub(r"\s+", " ", sections.get(code, ""))
        texts = re.findall(r'"(?:[^"\\]|\\.)*"(?:\s+"(?:[^"\\]|\\.)*")*', parts)
        missing = [literals(one) for one in texts
                   if literals(one) not in section]
        checks.check(not missing, f"docs/troubleshooting.md says of {code} "
                     "what the line says", *missing)
    losses = re.findall(r"\[PHOS__LOSS_\w+\] = {\s*(\".*?\"),", words,
                        flags=re.S)
    checks.equal(re.findall(r"^\| ([^|]+?) \|", sections.get("LOST", ""),
                            flags=re.M)[1:],
                 [literals(loss) for loss in losses],
                 "docs/troubleshooting.md has a row for each loss")


def check_lists(checks, root):
    """A page that no list names is found by nobody."""
    there = sorted(name for name in os.listdir(os.path.join(root, "docs"))
                   if name.endswith(".md"))
    text = read(root, "README.md").split("\n## Documents\n")[1]
    told = set(re.findall(r"\]\(docs/([\w-]+\.md)\)", text))
    checks.equal(sorted(told), there, "README.md, under Documents, lists each "
                 "page of docs/")
    told = {name + ".md" for name in
            re.findall(r'url="@ref ([\w-]+)"',
                       read(root, "docs", "site", "layout.xml"))}
    missing = [name for name in there if name not in told]
    checks.check(not missing, "docs/site/layout.xml lists each page of docs/",
                 *missing)


# ---- the code map ----

def check_map(checks, root):
    """lib/README.md has one line for each module of each room."""
    text = read(root, "lib", "README.md")
    for room in ["base", "wire", "queue", "core", "io", "client"]:
        section = re.search(rf"^## `{room}/`$.*?(?=^## |\Z)", text,
                            flags=re.S | re.M)
        told = set(re.findall(r"^\| `(\w+)` \|", section.group(0), re.M)
                   if section else [])
        there = {os.path.splitext(name)[0]
                 for name in os.listdir(os.path.join(root, "lib", room))
                 if name.endswith((".c", ".h"))}
        checks.equal(sorted(told), sorted(there),
                  f"lib/README.md has one line for each module of {room}")


def main(root):
    checks = Checklist()
    check_wraps(checks, root)
    check_scripts(checks, root)
    check_links(checks, root)
    check_lists(checks, root)
    check_map(checks, root)
    check_diagnostics(checks, root)
    return checks.end()


sys.exit(main(*sys.argv[1:]))
