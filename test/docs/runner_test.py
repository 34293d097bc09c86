#!/usr/bin/env python3
"""Blocks that are wrong in all the ways there are: each must be told.

    runner_test.py CONTRIBUTING DOCS-TEST ARGUMENTS-OF-IT...
"""
import os
import re
import subprocess
import sys
import tempfile

from blocks import MARKS, PAGE_MARK
from checklist import Checklist

C = "```c\n#include <phos/phos.h>\n\nint main(void)\n{\n    %s\n}\n```\n"
# What is wrong, a document, what has to be said of it; "": nothing is wrong.
DOCUMENTS = [
    ("no tag", "```\ntrue\n```\n", "the block has no tag"),
    ("an unknown tag", "```rust\nfn\n```\n", "'rust' is not known"),
    ("an indented block", "Text:\n\n    true\n", "has no tag"),
    ("a list is none", "- one\n\n    two\n", None),
    ("an unknown mark", "<!-- example: nonsense -->\n```sh\ntrue\n```\n",
     "no mark 'nonsense'"),
    ("no reason", "<!-- example: not run -->\n```sh\ntrue\n```\n",
     "says nothing"),
    ("nothing that checks it", "```cmake\nproject(x)\n```\n",
     "nothing checks cmake"),
    ("a program that warns", C % "int x; return 0;", "unused variable"),
    ("a program that does not link",
     C % "return phos_client_log_quickly();", "does not compile"),
    ("a program that fails", C % "return 3;", "ends with status 3, not 0"),
    ("a program that fails as told",
     "<!-- example: exit 3 -->\n" + C % "return 3;", ""),
    ("a fragment that is not marked", "```c\nint x = 1;\n```\n",
     "no whole program"),
    ("a fragment of wrong names",
     "<!-- example: fragment call -->\n```c\nphos_client_close(other);\n```\n",
     "does not compile"),
    ("a fragment", "<!-- example: fragment call -->\n```c\n"
     "phos_client_log(client, &event, NULL);\n```\n", ""),
    ("surroundings that are not there",
     "<!-- example: fragment nowhere -->\n```c\n;\n```\n",
     "no such surroundings"),
    ("a quotation that is none",
     "<!-- example: quotes examples/minimal.c -->\n```c\nint x;\n```\n",
     "examples/minimal.c does not have"),
    ("a command that fails", "```sh\ncat nowhere | cat\nfalse\ntrue\n```\n",
     "fails (status 1)"),
    ("what comes behind it", "```sh\nfalse\n```\n```sh\ntrue\n```\n",
     "not reached"),
    ("a command that fails as told",
     "<!-- example: exit 4 -->\n```sh\n(exit 4)\n```\n", ""),
    ("a command that fails otherwise",
     "<!-- example: exit 4 -->\n```sh\n(exit 5)\n```\n",
     "ends with status 5, not 4"),
    ("what no shell reads", "<!-- example: not run: root -->\n"
     "```sh\nif true\n```\n", "ntax error"),
    ("another output", "```sh\necho 12 a\n```\n<!-- example: output -->\n"
     "```text\n12 b\n```\n", "does not print"),
    ("some output", "```sh\necho 12 a\n```\n<!-- example: output -->\n"
     "```text\n… a\n```\n", ""),
    ("a server that ends", "<!-- example: serves -->\n```sh\ntrue\n```\n",
     "fails"),
    ("a file", "<!-- example: file f.txt -->\n```text\nhello\n```\n"
     "```sh\ntest \"$(cat f.txt)\" = hello\n```\n", ""),
    ("what the shell keeps", "```sh\nx=1\n```\n```sh\ntest $x = 1\n```\n", ""),
    ("a collector",
     "<!-- example: with phosd -->\n```sh\nexport PHOSPHO_API_KEY="
     "ph_choose_one\nphos events list --endpoint http://127.0.0.1:8787\n"
     "```\n", ""),
    ("no JSON", "```json\n{\"a\": }\n```\n", "no JSON"),
    ("no INI", "```ini\na = b\n```\n", "no section headers"),
]


def check_table(checks, contributing):
    with open(contributing, encoding="utf-8") as file:
        told = re.findall(r"^\| `<!-- example: (.*?) -->`", file.read(),
                          flags=re.M)
    checks.equal([re.sub(r":? [A-Z]+$", "", mark) for mark in told],
                 [*MARKS, PAGE_MARK], "CONTRIBUTING.md tells of each mark")


def main(contributing, docs_test, *arguments):
    checks = Checklist()
    check_table(checks, contributing)
    with tempfile.TemporaryDirectory(prefix="phos-docs-") as folder:
        paths = []
        for number, (_, text, _) in enumerate(DOCUMENTS):
            paths.append(os.path.join(folder, f"{number}.md"))
            with open(paths[-1], "w", encoding="utf-8") as file:
                file.write(text)
        ran = subprocess.run([sys.executable, docs_test, *arguments, *paths],
                             capture_output=True, text=True)
    checks.check(ran.returncode == 1, "documents that are wrong are a failure")
    for (what, _, want), path in zip(DOCUMENTS, paths):
        lines = [line for line in ran.stdout.splitlines() if path in line]
        wrong = [line for line in lines if line.startswith("not ok")]
        said = "\n".join(part for part in ("\n" + ran.stderr).split(
                             "\n# example at ")
                         if part.startswith(path))
        if want:
            checks.check(wrong and want in said, f"{what} is told", said)
        else:
            checks.check(bool(lines) == (want == "") and not wrong,
                         f"{what} is accepted", said)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
