"""Blocks in C and C++: compiled with every warning an error, linked with the
library of this build, and run."""
import os
import re
import subprocess

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow",
            "-Werror"]
# A fragment may declare what its page goes on to use, and a name of the
# surroundings once more.
FRAGMENT = ["-Wno-unused", "-Wno-shadow"]
SUFFIXES = {"c": ".c", "cpp": ".cpp"}


class Programs:
    def __init__(self, settings, service):
        self.settings = settings
        self.service = service  # of the network; may be None
        self.count = 0

    def surround(self, block):
        """The whole program, and the flags that it needs."""
        path = os.path.join(self.settings.root, "test", "docs",
                            block.marks["fragment"] + SUFFIXES[block.language])
        try:
            with open(path, encoding="utf-8") as file:
                around = file.read()
        except OSError as error:
            return None, f"no such surroundings: {error}"
        parts = re.split(r"^.*\bEXAMPLE\b.*\n", around, flags=re.M)
        if len(parts) != 2:
            return None, f"{path} needs one line that says EXAMPLE"
        line = f'#line {block.line + 1} "{block.document}"\n'
        return parts[0] + line + block.text + parts[1], None

    def flags(self, block):
        root, build = self.settings.root, self.settings.build
        flags = ["-I", os.path.join(root, "include"),
                 "-L", os.path.join(build, "lib"),
                 "-Wl,-rpath," + os.path.join(build, "lib"), "-lphos"]
        if "links" in block.marks:
            flags += subprocess.run(
                ["pkg-config", "--cflags", "--libs",
                 *block.marks["links"].split()],
                check=True, capture_output=True, text=True).stdout.split()
        return flags + ["-pthread", "-lm"]

    def check(self, block, folder):
        """None, or what is wrong."""
        source = block.text
        warnings = WARNINGS
        if "fragment" in block.marks:
            source, problem = self.surround(block)
            if problem:
                return problem
            warnings = WARNINGS + FRAGMENT
        elif not re.search(r"\bmain\(", source):
            return ("this is no whole program: mark it "
                    "<!-- example: fragment NAME -->")
        else:
            source = f'#line {block.line + 1} "{block.document}"\n' + source
        self.count += 1
        binary = os.path.join(folder, f"program-{self.count}")
        path = binary + SUFFIXES[block.language]
        with open(path, "w", encoding="utf-8") as file:
            file.write(source)
        built = subprocess.run(
            [*self.settings.compilers[block.language], *warnings, path,
             *self.flags(block), "-o", binary],
            capture_output=True, text=True, cwd=folder)
        if built.returncode != 0:
            return "does not compile:\n" + built.stderr
        if "not run" in block.marks:
            return None
        return self.run(block, binary, folder)

    def run(self, block, binary, folder):
        want = int(block.marks.get("exit", 0))
        try:
            ran = subprocess.run(
                [binary], env=self.settings.environment(folder, self.service),
                stdin=subprocess.DEVNULL, capture_output=True, text=True,
                timeout=self.settings.hang_s, cwd=folder)
        except subprocess.TimeoutExpired:
            return f"still runs after {self.settings.hang_s} s"
        if ran.returncode != want:
            return (f"ends with status {ran.returncode}, not {want}\n"
                    f"{ran.stdout}{ran.stderr}")
        return None
