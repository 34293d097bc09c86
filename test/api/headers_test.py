#!/usr/bin/env python3
"""Each public header compiles alone and without a warning: those for C as C11
and as C++11, those for C++ as C++11, 17 and 20, and without exceptions.

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
C = ["cc", "gcc", "clang"]
CPP = ["c++", "g++", "clang++"]
# What to compile with what flags; a header that includes all others stands for
# them where the rest takes long.
WAYS = [
    (".h", ["-std=c11"], ".c", C),
    (".h", ["-std=c++11"], ".cpp", CPP),
    (".hpp", ["-std=c++11", "-fno-exceptions", "-fno-rtti"], ".cpp", CPP),
    ("phos.hpp", ["-std=c++17"], ".cpp", CPP),
    ("phos.hpp", ["-std=c++20"], ".cpp", CPP),
]
# The second line makes sure that a header may be included twice; the last
# that the defaults can be used, which is where C and C++ differ.
USES = {
    "phos/client.h": "phos_options options = phos_options_default();"
                     " (void)options;",
    "phos/event.h": "phos_event event = phos_event_default();"
                    " phos_pair pair = phos_pair_text(PHOS_STR(\"key\"),"
                    " PHOS_STR(\"\")); (void)event; (void)pair;",
    "phos/client.hpp": "phos::client client; phos::client moved("
                       "static_cast<phos::client &&>(client)); return"
                       " moved.log(phos::event(\"a\", \"b\").pair(\"k\", 1));",
    "phos/worker.h": "phos_worker_options options ="
                     " phos_worker_options_default(); (void)options;",
}


def found(compilers):
    """Those that are here, each once: c++ is another name of one of them."""
    paths = [shutil.which(compiler) for compiler in compilers]
    return sorted({os.path.realpath(path) for path in paths if path})


def compile_alone(compiler, flags, suffix, include_dir, header, folder):
    source = os.path.join(folder, "alone" + suffix)
    with open(source, "w", encoding="utf-8") as file:
        file.write(f'#include <{header}>\n#include <{header}>\n'
                   f'int main(void)\n{{\n    {USES.get(header, "")}\n'
                   f'    return 0;\n}}\n')
    return subprocess.run(
        [compiler, *flags, *WARNINGS, "-fsyntax-only", "-I", include_dir,
         source], capture_output=True, text=True)


def main(include_dir, *headers):
    checks = Checklist()
    with tempfile.TemporaryDirectory() as folder:
        for ending, flags, suffix, compilers in WAYS:
            checks.check(found(compilers), f"a compiler takes {flags[0]}")
            for compiler in found(compilers):
                for header in headers:
                    if not header.endswith(ending):
                        continue
                    run = compile_alone(compiler, flags, suffix, include_dir,
                                        header, folder)
                    checks.check(run.returncode == 0,
                              f"{header} compiles alone with"
                              f" {os.path.basename(compiler)}"
                              f" {' '.join(flags)}", run.stderr)
    return checks.end()


sys.exit(main(*sys.argv[1:]))
