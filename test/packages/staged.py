"""staged - an installation in a folder of its own, and programs that use it."""
import contextlib
import glob
import os
import re
import subprocess
import tempfile


def run(*command, **more):
    return subprocess.run([str(word) for word in command], capture_output=True,
                          text=True, **more)


def printed(done):
    return f"$ {' '.join(done.args)}\n{done.stdout}{done.stderr}"


class Stage:
    """What `meson install` left, its prefix moved to where that now is."""

    def __init__(self, folder):
        self.folder = folder
        header = self.find("phos/phos.h")
        self.prefix = os.path.dirname(os.path.dirname(os.path.dirname(header)))
        self.libraries = os.path.dirname(self.find("libphos.so"))
        package = self.find("phos.pc")
        with open(package, encoding="utf-8") as file:
            text = file.read()
        with open(package, "w", encoding="utf-8") as file:
            file.write(re.sub(r"^prefix=.*$", "prefix=" + self.prefix, text,
                              flags=re.M))
        self.environment = {**os.environ,
                            "PKG_CONFIG_PATH": os.path.dirname(package)}

    def find(self, name):
        (found,) = glob.glob(self.folder + "/**/" + name, recursive=True)
        return found

    def flags(self, checks, *arguments):
        answer = run("pkg-config", *arguments, env=self.environment)
        checks.check(answer.returncode == 0,
                     "pkg-config answers " + " ".join(arguments), answer.stderr)
        return answer.stdout.split()


@contextlib.contextmanager
def staged(checks, meson, build_dir):
    """A stage in a temporary folder; None after a failure."""
    with tempfile.TemporaryDirectory(prefix="phos-stage-") as folder:
        installed = run(meson, "install", "-C", build_dir, "--no-rebuild",
                        "--quiet", "--destdir", folder + "/stage")
        done = checks.check(installed.returncode == 0, "meson install works",
                            printed(installed))
        yield Stage(folder + "/stage") if done else None


def check_delivery(checks, binary, service, libraries, what):
    """The program, a form of examples/minimal, delivers its event."""
    before = len(service.events())
    ran = run(binary, env={**os.environ, "LD_LIBRARY_PATH": libraries,
                           "PHOS_ENDPOINT": service.url,
                           "PHOSPHO_API_KEY": service.key})
    checks.check(ran.returncode == 0, f"it delivers its event, {what}",
                 printed(ran))
    checks.equal([event["input"] for event in service.events()[before:]],
                 ["How tall is K2?"], f"the event is in the database, {what}")


def needs_libphos(binary):
    """Whether the program asks the loader for the shared library."""
    listing = run("readelf", "-d", binary).stdout
    return "Shared library: [libphos.so" in listing
