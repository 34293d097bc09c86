#!/usr/bin/env python3
"""libphos as a Meson subproject: builds what was asked for and nothing else, and
the program delivers its event.

    subproject_test.py MESON SOURCE-ROOT PROJECT PROGRAM PHOSD
"""
import json
import os
import shutil
import sys
import tempfile

from checklist import Checklist
from services import collector
from staged import check_delivery, needs_libphos, printed, run


def main(meson, root, project, program, phosd):
    checks = Checklist()
    with tempfile.TemporaryDirectory(prefix="phos-subproject-") as folder:
        source, build = folder + "/source", folder + "/build"
        os.makedirs(source + "/subprojects")
        shutil.copy(project, source + "/meson.build")
        shutil.copy(program, source + "/program.c")
        os.symlink(root, source + "/subprojects/libphos")

        # One that is installed would be taken first.
        done = run(meson, "setup", "-Dforce_fallback_for=phos", build, source)
        if checks.check(done.returncode == 0, "a project takes libphos in",
                        printed(done)):
            done = run(meson, "compile", "-C", build)
            checks.check(done.returncode == 0, "it builds", printed(done))
        if done.returncode == 0:
            targets = json.loads(run(meson, "introspect", "--targets",
                                     build).stdout)
            checks.equal(sorted(target["name"] for target in targets
                                if target["type"] == "executable"),
                         ["program"], "no program is built but its own")
            check_program(checks, build + "/program", phosd)
    return checks.end()


def check_program(checks, binary, phosd):
    checks.check(not needs_libphos(binary),
                 "default_options choose the static library")
    with collector(phosd) as service:
        check_delivery(checks, binary, service, "", "as a subproject")


sys.exit(main(*sys.argv[1:]))
