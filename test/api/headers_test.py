#!/usr/bin/env python3
"""Each public header compiles alone, as C11 and as C++11, without a warning.

    headers_test.py INCLUDE-DIR HEADER...

With every C and C++ compiler that this machine has.
"""
import os
import shutil
import subprocess
import sys
import tempfile

from checklist import Checklist

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow",
            "-Werror"]
LANGUAGES = [("c11", ".c", ["cc", "gcc", "clang"]),
             ("c++11", ".cpp", ["c++", "g++", "clang++"])]
# The second line makes sure that a header may be included twice; the last
# that the defaults can be used, which is where C and C++ differ.
USES = {
    "phos/client.h": "phos_options options = phos_options_default();"
                     " (void)options;",
    "phos/event.h": "phos_event event = phos_event_default();"
                    " phos_pair pair = phos_pair_text(PHOS_STR(\"key\"),"
                    " PHOS_STR(\"\")); (void)event; (void)pair;",
    "phos/worker.h": "phos_worker_options options ="
                     " phos_worker_options_default(); (void)options;",
}


def compile_alone(compiler, language, suffix, include_dir, header, folder):
    source = os.path.join(folder, "alone" + suffix)
    with open(source, "w", encoding="utf-8") as file:
        file.write(f'#include <{header}>\n#include <{header}>\n'
                   f'int main(void)\n{{\n    {USES.get(header, "")}\n'
                   f'    return 0;\n}}\n')
    return subprocess.run(
        [compiler, "-std=" + language, *WARNINGS, "-fsyntax-only",
         "-I", include_dir, source], capture_output=True, text=True)


def main(include_dir, *headers):
    checks = Checklist()
    with tempfile.TemporaryDirectory() as folder:
        for language, suffix, compilers in LANGUAGES:
            for compiler in compilers:
                if not shutil.which(compiler):
                    continue
                for header in headers:
                    run = compile_alone(compiler, language, suffix,
                                        include_dir, header, folder)
                    checks.check(run.returncode == 0,
                              f"{header} compiles alone with {compiler}"
                              f" as {language}", run.stderr)
    checks.check(checks.count >= 2 * len(headers),
              "there is a compiler for C and one for C++")
    return checks.end()


sys.exit(main(*sys.argv[1:]))
