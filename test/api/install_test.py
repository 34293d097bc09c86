#!/usr/bin/env python3
"""What `meson install` leaves behind can be used: README's program compiles
with pkg-config, shared and static, and its event is then in the database.

    install_test.py MESON BUILD-DIR PROGRAM PHOSD
"""
import glob
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

from checklist import Checklist, skip_all
from services import collector


def run(*command, **more):
    return subprocess.run([str(word) for word in command], capture_output=True,
                          text=True, **more)


def relocated(prefix):
    """Environment for pkg-config, its file's prefix set to where it now is."""
    (found,) = glob.glob(prefix + "/**/phos.pc", recursive=True)
    with open(found, encoding="utf-8") as file:
        text = file.read()
    with open(found, "w", encoding="utf-8") as file:
        file.write(re.sub(r"^prefix=.*$", "prefix=" + prefix, text,
                          flags=re.M))
    return {**os.environ, "PKG_CONFIG_PATH": os.path.dirname(found)}


def check_program(checks, name, flags, program, folder, service, libraries):
    binary = os.path.join(folder, name)
    built = run("cc", "-Wall", "-Wextra", "-Werror", program, *flags, "-o",
                binary)
    if not checks.check(built.returncode == 0,
                     f"README's program compiles, {name}", built.stderr):
        return
    before = len(service.events())
    ran = run(binary, env={**os.environ, "LD_LIBRARY_PATH": libraries,
                           "PHOS_ENDPOINT": service.url,
                           "PHOSPHO_API_KEY": service.key})
    checks.check(ran.returncode == 0, f"it delivers its event, {name}",
              ran.stdout, ran.stderr)
    events = service.events()
    checks.equal([event["input"] for event in events[before:]],
                 ["How tall is K2?"], f"the event is in the database, {name}")


def main(meson, build_dir, program, phosd):
    checks = Checklist()
    if not shutil.which("pkg-config"):
        return skip_all("there is no pkg-config")
    with tempfile.TemporaryDirectory(prefix="phos-install-") as folder:
        install(checks, meson, build_dir, program, phosd, folder)
    return checks.end()


def install(checks, meson, build_dir, program, phosd, folder):
    installed = run(meson, "install", "-C", build_dir,
                    "--no-rebuild", "--quiet", "--destdir", folder)
    if not checks.check(installed.returncode == 0, "meson install works",
                     installed.stdout, installed.stderr):
        return
    (header,) = glob.glob(folder + "/**/phos/phos.h", recursive=True)
    prefix = os.path.dirname(os.path.dirname(os.path.dirname(header)))
    environment = relocated(prefix)

    def flags(*arguments):
        answer = run("pkg-config", *arguments, env=environment)
        checks.check(answer.returncode == 0,
                     "pkg-config answers " + " ".join(arguments), answer.stderr)
        return shlex.split(answer.stdout)

    version = run("pkg-config", "--modversion", "phos", env=environment).stdout
    with open(os.path.join(os.path.dirname(header), "base.h"),
              encoding="utf-8") as file:
        checks.check(f'"{version.strip()}"' in file.read(),
                  "package and headers have one version", version)

    for phos in glob.glob(folder + "/**/bin/phos", recursive=True):
        ran = run(phos, "--version", env={
            name: text for name, text in os.environ.items()
            if name != "LD_LIBRARY_PATH"})
        checks.check(ran.returncode == 0, "phos finds its library", ran.stderr)

    shared = flags("--cflags", "--libs", "phos")
    # The library alone is static. All of them, which is what --static asks
    # for, needs the static ones of libcurl's dozen.
    needed = flags("--print-requires-private", "phos")
    needed = [word for word in needed if word[0].isalpha()]
    static = (["-l:libphos.a" if flag == "-lphos" else flag for flag in shared]
              + flags("--libs", *needed) + ["-pthread", "-lm"])
    (library,) = glob.glob(folder + "/**/libphos.so", recursive=True)
    with collector(phosd) as service:
        check_program(checks, "shared", shared, program, folder, service,
                      os.path.dirname(library))
        check_program(checks, "static", static, program, folder, service, "")


sys.exit(main(*sys.argv[1:]))
