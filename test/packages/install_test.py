#!/usr/bin/env python3
"""What `meson install` leaves behind can be used: README's program compiles
with pkg-config, shared and static, and its event is then in the database.

    install_test.py MESON BUILD-DIR PROGRAM PHOSD
"""
import glob
import os
import shutil
import sys

from checklist import Checklist, skip_all
from services import collector
from staged import check_delivery, needs_libphos, printed, run, staged


def compile_program(checks, stage, name, flags, program):
    binary = os.path.join(stage.folder, name)
    built = run("cc", "-Wall", "-Wextra", "-Werror", program, *flags, "-o",
                binary)
    checks.check(built.returncode == 0, f"README's program compiles, {name}",
                 printed(built))
    return binary if built.returncode == 0 else None


def check_program(checks, stage, name, flags, program, service):
    binary = compile_program(checks, stage, name, flags, program)
    if not binary:
        return
    is_shared = name == "shared"
    checks.check(needs_libphos(binary) == is_shared,
                 f"it {'asks' if is_shared else 'does not ask'} for libphos.so,"
                 f" {name}")
    check_delivery(checks, binary, service,
                   stage.libraries if is_shared else "", name)


def check_texts(checks, stage):
    version = stage.flags(checks, "--modversion", "phos")
    with open(os.path.join(stage.prefix, "include/phos/base.h"),
              encoding="utf-8") as file:
        checks.check(f'"{version[0]}"' in file.read(),
                     "package and headers have one version", version)

    for phos in glob.glob(stage.folder + "/**/bin/phos", recursive=True):
        ran = run(phos, "--version", env={
            name: text for name, text in os.environ.items()
            if name != "LD_LIBRARY_PATH"})
        checks.check(ran.returncode == 0, "phos finds its library", ran.stderr)


def check_static_only(checks, stage, program, service):
    """pkg-config --static, where the shared library was not installed."""
    flags = stage.flags(checks, "--static", "--cflags", "--libs", "phos")
    for name in ["phos", "uv", "curl", "jansson", "m"]:
        checks.check("-l" + name in flags,
                     f"pkg-config --static names -l{name}", flags)
    for library in glob.glob(stage.libraries + "/libphos.so*"):
        os.unlink(library)
    # What libcurl was built with, which a machine that links it shared need
    # not have.
    names = [flag for flag in flags if flag.startswith("-l")
             and flag != "-lphos"]
    lacking = [name for name in names if run(
        "cc", "-shared", "-o", os.devnull, name).returncode != 0]
    if lacking:
        checks.skip("README's program compiles, --static",
                    "not installed: " + " ".join(lacking))
        return
    check_program(checks, stage, "--static", flags, program, service)


def main(meson, build_dir, program, phosd):
    checks = Checklist()
    if not shutil.which("pkg-config"):
        return skip_all("there is no pkg-config")
    with staged(checks, meson, build_dir) as stage:
        if not stage:
            return checks.end()
        check_texts(checks, stage)
        shared = stage.flags(checks, "--cflags", "--libs", "phos")
        # One library alone is static; --static asks for all of them.
        needed = stage.flags(checks, "--print-requires-private", "phos")
        needed = [word for word in needed if word[0].isalpha()]
        static = (["-l:libphos.a" if flag == "-lphos" else flag
                   for flag in shared]
                  + stage.flags(checks, "--libs", *needed)
                  + ["-pthread", "-lm"])
        with collector(phosd) as service:
            check_program(checks, stage, "shared", shared, program, service)
            check_program(checks, stage, "static", static, program, service)
            check_static_only(checks, stage, program, service)
    return checks.end()


sys.exit(main(*sys.argv[1:]))
