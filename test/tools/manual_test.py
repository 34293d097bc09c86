#!/usr/bin/env python3
"""What phos tells of itself stands in its manual pages and completions too.

    manual_test.py PHOS PHOSD SOURCE-ROOT

PHOSD is empty where the collector is not built.
"""
import os
import re
import shutil
import subprocess
import sys

from checklist import Checklist

PAGES = ["phos.1", "phosd.1", "libphos.3"]
COMMON = "COMMON OPTIONS"


def read(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as file:
        return file.read()


def output(*command):
    return subprocess.run(command, check=True, capture_output=True,
                          text=True).stdout


# ---- what the program says ----

def commands_of(phos):
    section = output(phos, "--help").split("Commands:\n")[1].split("\n\n")[0]
    return re.findall(r"^  (\w+)", section, flags=re.M)


def help_options(text):
    """{option: name of its value, or ""}"""
    return dict(re.findall(r"^  --([\w-]+)(?: ([A-Z_:]+))?(?:  |$)", text,
                           flags=re.M))


# ---- what the page says ----

def sections(page):
    """{heading of .Sh or .Ss: its lines}"""
    parts = re.split(r"^\.S[hs] (.*)$", page, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def page_options(text):
    return dict(re.findall(r"^\.It Fl -([\w-]+)(?: Ar ([\w:]+))?$", text,
                           flags=re.M))


def page_of_command(parts, command):
    found = [text for heading, text in parts.items()
             if heading.startswith(f"phos {command} ")]
    return found[0] if found else ""


def pairs(options):
    return sorted(" ".join(pair).strip() for pair in options.items())


def check_options(checks, phos, page):
    parts = sections(page)
    common = page_options(parts[COMMON])
    for command in commands_of(phos):
        told = {**page_options(page_of_command(parts, command)), **common}
        checks.equal(pairs(told), pairs(help_options(
            output(phos, command, "--help"))),
            f"phos.1 has each option of phos {command}, and no other")
    headed = [heading.split()[1] for heading in parts
              if heading.startswith("phos ")]
    checks.equal(headed, commands_of(phos), "phos.1 has each command")


def check_collector(checks, phosd, page):
    there = help_options(output(phosd, "--help"))
    told = page_options(sections(page)["OPTIONS"])
    for name in ("help", "version"):
        told.pop(name)
    strange = {name: value for name, value in told.items()
               if there.get(name) != value}
    checks.check(told and not strange, "phosd.1 tells of options that there "
                 "are", *strange)


# ---- variables ----

def names(text, pattern=r"PHOS(?:PHO)?_[A-Z_]+"):
    return sorted(set(re.findall(rf"\b{pattern}\b", text)))


def header_variables(header):
    struct = re.search(r"typedef struct phos_options \{(.*?)\n\} phos_options;",
                       header, flags=re.S).group(1)
    fields = re.findall(r"^    [\w ]+? \*?(\w+);[ \t]*/\*(.*?)\*/", struct,
                        flags=re.S | re.M)
    return {"PHOSPHO_API_KEY", "PHOSPHO_PROJECT_ID"} | {
        "PHOS_" + name.upper() for name, comment in fields
        if "(env)" in comment}


def page_variables(page):
    return sorted(set(re.findall(r"\.(?:It|Pq)? ?Ev (PHOS(?:PHO)?_[A-Z_]+)",
                                 page)))


def check_variables(checks, root, pages):
    library = header_variables(read(root, "include", "phos", "client.h"))
    known = re.findall(r'"(PHOS(?:PHO)?_[A-Z]\w*)"',
                       read(root, "tools", "phos", "variables.c"))
    checks.equal(sorted(known), sorted(library | {"PHOS_API_KEY_FILE"}),
                 "phos knows the variables of the library")
    checks.equal(page_variables(pages["phos.1"]), sorted(known),
                 "phos.1 has each variable")
    checks.equal(page_variables(pages["libphos.3"]), sorted(library),
                 "libphos.3 has each variable")
    strange = [name for name in names(read(root, "tools", "phos", "send.c"),
                                      r"PHOS_[A-Z_]+_(?:MS|MAX|BYTES|LEVEL)")
               if name not in known]
    checks.check(not strange, "phos send names no other variables", *strange)


# ---- the pages themselves ----

def check_form(checks, root, name):
    path = os.path.join(root, "docs", "man", name)
    if shutil.which("mandoc"):
        lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", path],
                              capture_output=True, text=True)
        checks.check(lint.returncode == 0, f"mandoc has no objection to {name}",
                     lint.stdout)
    if shutil.which("groff"):
        shown = subprocess.run(["groff", "-mandoc", "-ww", "-z", "-Tutf8",
                                path], capture_output=True, text=True)
        checks.check(shown.returncode == 0 and shown.stderr == "",
                     f"groff has no objection to {name}", shown.stderr)


def check_calls(checks, root, page):
    """Each function of a client has its name in the page, and a page that
    leads there."""
    header = read(root, "include", "phos", "client.h")
    calls = re.findall(r"^PHOS_EXTERN .*?\b(phos_client_\w+)\(", header,
                       flags=re.M)
    checks.equal(sorted(re.findall(r"^\.Nm (phos_client_\w+)", page, re.M)),
                 sorted(calls), "libphos.3 names each call of a client")
    leading = sorted(name for name in
                     os.listdir(os.path.join(root, "docs", "man"))
                     if name.startswith("phos_client_"))
    checks.equal(leading, sorted(call + ".3" for call in calls),
                 "each call has a page that leads to libphos.3")
    wrong = [name for name in leading
             if read(root, "docs", "man", name) != ".so man3/libphos.3\n"]
    checks.check(not wrong, "these pages are one line", *wrong)


# ---- completion ----

def complete(script, *words):
    """What bash offers for the last of these words."""
    program = 'source "$1"; shift; COMP_WORDS=("$@"); ' \
        'COMP_CWORD=$(($# - 1)); _phos; printf "%s\\n" "${COMPREPLY[@]}"'
    return [line for line in output("bash", "-c", program, "bash", script,
                                    *words).splitlines() if line]


def check_bash(checks, phos, script):
    commands = commands_of(phos)
    registered = output("bash", "-c", 'source "$1"; complete -p phos', "bash",
                        script)
    checks.equal([registered.strip()], ["complete -F _phos phos"],
                 "bash completes phos")
    checks.equal(complete(script, "phos", ""),
                 [*commands, "help", "--help", "--version"],
                 "bash offers each command")
    checks.equal(complete(script, "phos", "help", ""), commands,
                 "bash offers each command to help")
    for command in commands:
        options = help_options(output(phos, command, "--help"))
        checks.equal(sorted(complete(script, "phos", command, "--")),
                     sorted("--" + name for name in options),
                     f"bash offers each option of phos {command}, and no other")
        for name, value in options.items():
            offered = complete(script, "phos", command, "--" + name, "--j")
            want = [] if value else ["--json"]
            checks.equal(offered, want, f"after phos {command} --{name} bash "
                         f"offers {'no option' if value else 'options'}")
    for words, want in [(["ev"], ["events"]),
                        (["events", ""], ["list", "get"]),
                        (["sessions", "g"], ["get"]),
                        (["events", "list", ""], []),
                        (["tail", "--flag", ""], ["success", "failure"]),
                        (["feedback", ""], []),
                        (["feedback", "ID", "f"], ["failure"]),
                        (["send", "--en"], ["--endpoint"])]:
        checks.equal(complete(script, "phos", *words), want,
                     f"bash completes {' '.join(['phos', *words])!r}")


def zsh_options(text, command):
    """Options of one case of the script, its lists of options put in."""
    lists = dict(re.findall(r"^    (\w+)=\(\n(.*?)^    \)", text,
                            flags=re.S | re.M))
    case = re.search(rf"^    {command}\)\n(.*?)^        ;;", text,
                     flags=re.S | re.M)
    whole = re.sub(r"\$(\w+)", lambda name: lists[name.group(1)],
                   case.group(1) if case else "")
    found = re.findall(r"'--([\w-]+)\[[^\]]*\](?::([A-Z]+):)?", whole)
    return {name: value for name, value in found}


def check_zsh(checks, phos, script):
    text = read(script)
    checks.equal(re.findall(r"^        '(\w+):", text, flags=re.M),
                 [*commands_of(phos), "help"], "zsh offers each command")
    for command in commands_of(phos):
        checks.equal(pairs(zsh_options(text, command)), pairs(help_options(
            output(phos, command, "--help"))),
            f"zsh offers each option of phos {command}, and no other")
    if shutil.which("zsh"):
        parsed = subprocess.run(["zsh", "-n", script], capture_output=True,
                                text=True)
        checks.check(parsed.returncode == 0, "zsh can read its completion",
                     parsed.stderr)


def main(phos, phosd, root):
    checks = Checklist()
    pages = {name: read(root, "docs", "man", name) for name in PAGES}
    for name in PAGES:
        check_form(checks, root, name)
    check_options(checks, phos, pages["phos.1"])
    if phosd:
        check_collector(checks, phosd, pages["phosd.1"])
    check_variables(checks, root, pages)
    check_calls(checks, root, pages["libphos.3"])
    completion = os.path.join(root, "tools", "phos", "completion")
    if shutil.which("bash"):
        check_bash(checks, phos, os.path.join(completion, "phos.bash"))
    check_zsh(checks, phos, os.path.join(completion, "_phos"))
    return checks.end()


sys.exit(main(*sys.argv[1:]))
