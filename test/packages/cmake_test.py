#!/usr/bin/env python3
"""find_package(phos): a small CMake project against an installation that was
moved, shared, static and in C++, and what is said when it cannot work.

    cmake_test.py MESON BUILD-DIR PROJECT PROGRAM PHOSD

PROGRAM is the path of examples/minimal without its ending.
"""
import glob
import os
import shutil
import sys

from checklist import Checklist, skip_all
from services import collector
from staged import check_delivery, needs_libphos, printed, run, staged

# A project that asks once ...
ASKS = """cmake_minimum_required(VERSION 3.16)
project(other C)
find_package(phos %s)
if(TARGET phos::phos)
  get_target_property(kind phos::phos TYPE)
  message(STATUS "phos is ${kind}")
endif()
"""
# ... and one that asks for this and that.
ASKS_ON = """unset(phos_DIR CACHE)
find_package(phos %s QUIET)
message(STATUS "[%s] ${phos_FOUND}")
"""
# What a project may ask of version 0.1.0, and whether that is to be had.
ASKED = [("0.1", True), ("0.1.0 EXACT", True), ("0.1.0...<1", True),
         ("0.1...0.1.0", True), ("0", True), ("0.0.9", False), ("0.2", False),
         ("0.1.1", False), ("1", False), ("0.0.1...<0.1.0", False),
         ("COMPONENTS shaky", False)]


def configure(stage, source, build, *more, **environment):
    return run("cmake", "-S", source, "-B", build,
               f"-DCMAKE_PREFIX_PATH={stage.prefix}", *more,
               env={**stage.environment, **environment})


def write_project(folder, text):
    os.makedirs(folder, exist_ok=True)
    with open(folder + "/CMakeLists.txt", "w", encoding="utf-8") as file:
        file.write(text)


def check_versions(checks, stage, folder):
    write_project(folder, ASKS % "REQUIRED" + "".join(
        ASKS_ON % (asked, asked) for asked, _ in ASKED))
    done = configure(stage, folder, folder + "/versions")
    for asked, fits in ASKED:
        checks.check(f"[{asked}] {'1' if fits else '0'}" in done.stdout,
                     f"find_package(phos {asked}) is {fits}", printed(done))


def check_lacking(checks, stage, folder):
    """Without pkg-config there is no static target; without the shared library
    the static one takes its name; without either there is a reason."""
    write_project(folder, ASKS % "REQUIRED COMPONENTS static")
    done = configure(stage, folder, folder + "/no-pkg",
                     "-DCMAKE_DISABLE_FIND_PACKAGE_PkgConfig=ON")
    checks.check(done.returncode != 0 and "no component static" in done.stderr,
                 "who insists on static is told what is missing", printed(done))

    write_project(folder, ASKS % "REQUIRED")
    for library in glob.glob(stage.libraries + "/libphos.so*"):
        os.unlink(library)
    done = configure(stage, folder, folder + "/static")
    checks.check("phos is INTERFACE_LIBRARY" in done.stdout,
                 "where only the static library is, phos::phos is that one",
                 printed(done))
    os.unlink(stage.libraries + "/libphos.a")
    done = configure(stage, folder, folder + "/none")
    checks.check(done.returncode != 0 and "neither" in done.stderr,
                 "where no library is, it says so", printed(done))


def check_project(checks, stage, project, program, phosd):
    source, build = stage.folder + "/program", stage.folder + "/build"
    os.makedirs(source)
    shutil.copy(project, source)
    for ending in [".c", ".cpp"]:
        shutil.copy(program + ending, source + "/program" + ending)
    more = [] if shutil.which("c++") else ["-DC_ONLY=ON"]
    done = configure(stage, source, build, *more)
    if checks.check(done.returncode == 0, "a project finds phos", printed(done)):
        done = run("cmake", "--build", build)
        checks.check(done.returncode == 0, "it builds", printed(done))
    if done.returncode != 0:
        return
    with collector(phosd) as service:
        for name in ["program", "static"] + ([] if more else ["cpp"]):
            binary = f"{build}/{name}"
            checks.check(needs_libphos(binary) == (name != "static"),
                         f"it has the library that was meant, {name}")
            check_delivery(checks, binary, service, "", name)


def main(meson, build_dir, project, program, phosd):
    checks = Checklist()
    for needed in ["cmake", "pkg-config"]:
        if not shutil.which(needed):
            return skip_all(f"there is no {needed}")
    with staged(checks, meson, build_dir) as stage:
        if stage:
            check_project(checks, stage, project, program, phosd)
            check_versions(checks, stage, stage.folder + "/other")
            check_lacking(checks, stage, stage.folder + "/other")
    return checks.end()


sys.exit(main(*sys.argv[1:]))
