"""The sh blocks of one document, in order, in one shell, as a reader at a
terminal would run them: in a folder of their own where `build` and `examples`
are those of the source tree, with phos and phosd in PATH.

The port of phosd in the text is replaced by a free one, so that documents can
be read beside each other and beside a phosd that somebody has running.
"""
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time

PORT = "8787"

# The shell tells what it begins and ends on descriptor 9; a server's block
# waits on 8 until the test has seen that it listens.
BEGIN = "echo begin {index} >&9\nexec >out-{index} 2>err-{index}\n"
PLAIN = "{text}\necho end {index} 0 >&9\n"
EXIT = ("set +e\n(set -e\n{text}\n)\nstatus_=$?\nset -e\n"
        "echo end {index} $status_ >&9\n")
SERVES = ("{{\n{text}\n}} &\necho serving $! >&9\nread -r answer_ <&8\n"
          "[ $answer_ = yes ]\necho end {index} 0 >&9\n")


def free_port():
    """Below those that the kernel gives out by itself."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def readable(text):
    """None, or why the shell cannot read it."""
    parsed = subprocess.run(["sh", "-n"], input=text, capture_output=True,
                            text=True)
    return parsed.stderr if parsed.returncode else None


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


class Session:
    def __init__(self, settings, document, folder):
        self.settings = settings
        self.document = document
        self.folder = folder
        self.port = free_port()
        self.status = {}  # of blocks that ended
        self.begun = None
        self.problem = ""

    def with_port(self, text):
        return re.sub(rf"\b{PORT}\b", str(self.port), text)

    def output(self, block, name="out"):
        path = os.path.join(self.folder, f"{name}-{block.line}")
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def script(self, blocks):
        parts = ["set -e\n"]
        for block in blocks:
            form = PLAIN
            if "serves" in block.marks:
                form = SERVES
            elif "exit" in block.marks:
                form = EXIT
            parts.append((BEGIN + form).format(
                index=block.line, text=self.with_port(block.text)))
        return "".join(parts)

    def run(self, blocks):
        """Runs them all; then check() tells of each."""
        path = os.path.join(self.folder, "session.sh")
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.script(blocks))
        told, tell = os.pipe()
        hear, answer = os.pipe()

        def place():  # 8 and 9 may be among the four
            from_test, to_test = os.dup2(hear, 50), os.dup2(tell, 51)
            os.dup2(from_test, 8)
            os.dup2(to_test, 9)

        shell = subprocess.Popen(
            ["sh", path], cwd=self.folder, preexec_fn=place, close_fds=False,
            env=self.settings.environment(self.folder, None, self.port),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True)
        os.close(tell)
        os.close(hear)
        hang = threading.Timer(self.settings.hang_s, self.end, [shell, True])
        hang.start()
        with os.fdopen(told, encoding="utf-8") as lines, \
                os.fdopen(answer, "w", encoding="utf-8") as go:
            self.follow(shell, lines, go)
        hang.cancel()
        self.end(shell)

    def follow(self, shell, lines, go):
        """Until the shell has ended: its servers hold the pipe open."""
        def listen():
            try:
                hear()
            finally:  # without an answer the shell's block fails
                go.close()

        def hear():
            for line in lines:
                word, *rest = line.split()
                if word == "begin":
                    self.begun = int(rest[0])
                elif word == "end":
                    self.status[int(rest[0])] = int(rest[1])
                elif word == "serving":
                    there = self.wait_for(rest[0])
                    go.write("yes\n" if there else "no\n")
                    go.flush()

        listener = threading.Thread(target=listen)
        listener.start()
        self.returncode = shell.wait()
        self.end_group(shell, signal.SIGTERM)
        listener.join(self.settings.hang_s)
        if listener.is_alive():
            self.problem = "what it started does not end at SIGTERM"
            self.end_group(shell, signal.SIGKILL)
            listener.join()

    def wait_for(self, process):
        """False: the server ended before it listened."""
        while not listens(self.port):
            try:
                with open(f"/proc/{process}/stat", encoding="utf-8") as file:
                    if file.read().rsplit(")", 1)[1].split()[0] == "Z":
                        return False
            except OSError:  # the shell has noticed
                return False
            time.sleep(0.02)
        return True

    @staticmethod
    def end_group(shell, number):
        """What the document started: its process group is ours alone."""
        try:
            os.killpg(shell.pid, number)
        except ProcessLookupError:
            pass

    def end(self, shell, hangs=False):
        if hangs:
            self.problem = f"still runs after {self.settings.hang_s} s"
        self.end_group(shell, signal.SIGKILL if hangs else signal.SIGTERM)

    def check(self, block):
        """None, or what is wrong."""
        want = int(block.marks.get("exit", 0))
        got = self.status.get(block.line)
        said = self.output(block) + self.output(block, "err")
        if got is None and self.begun == block.line:
            return (f"fails ({self.problem or f'status {self.returncode}'})\n"
                    f"{said}")
        if got is None:
            return f"not reached: the block at line {self.begun} failed"
        if got != want:
            return f"ends with status {got}, not {want}\n{said}"
        return None

    def check_output(self, block, above):
        """Each line of `block` is one that `above` printed, in order."""
        printed = (self.output(above) + self.output(above, "err")).splitlines()
        left = iter(printed)
        for line in self.with_port(block.text).splitlines():
            pattern = ".*".join(re.escape(part.strip())
                                for part in line.split("…"))
            if not any(re.fullmatch(pattern, one.strip()) for one in left):
                return (f"line {above.line} does not print\n    {line}\n"
                        "but\n    " + "\n    ".join(printed))
        return None
