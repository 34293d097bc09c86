"""Unix sockets and sockets from systemd: who gets the name, who may connect,
what stays behind."""

import fcntl
import http.client
import os
import pwd
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile

from rig import HANG_S, KEY, PHOSD, Collector, Skip, equal, event, main, test

CLEAN = {name: value for name, value in os.environ.items()
         if not name.startswith("PHOS")}
PATH_BYTES_MAX = 107


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=HANG_S)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(HANG_S)
        self.sock.connect(self.path)


class Served:
    """One phosd, started with just these options, that is ready; the addresses
    are what it said."""

    def __init__(self, folder, *options, environment=None, before=None,
                 pass_fds=(), name="events", via=()):
        self.stderr = open(os.path.join(folder, "stderr"), "a+")
        self.process = subprocess.Popen(
            list(via) + [PHOSD, "--db", os.path.join(folder, name + ".sqlite")]
            + list(options), stdout=subprocess.PIPE, stderr=self.stderr,
            env={**CLEAN, "PHOSPHO_API_KEY": KEY, **(environment or {})},
            preexec_fn=before, pass_fds=pass_fds)
        self.addresses = []

    def ready(self, count=1):
        for _ in range(count):
            line = self.process.stdout.readline().decode()
            found = re.fullmatch(r"phosd: listening on (\S+)\n", line)
            if not found:
                self.process.wait(HANG_S)
                self.stderr.seek(0)
                raise AssertionError("%r %s" % (line, self.stderr.read()))
            self.addresses.append(found.group(1))
        return self

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        self.process.communicate(timeout=HANG_S)
        return self.process.returncode

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        self.process.stdout.close()
        self.stderr.close()


def folder_of_ours():
    return tempfile.TemporaryDirectory(prefix="phosd-test-")


def ask(address, method="GET", path="/healthz", body=None):
    """The status of one request to unix:PATH or http://HOST:PORT."""
    if address.startswith("unix:"):
        connection = UnixConnection(address[5:])
    else:
        connection = http.client.HTTPConnection(address[7:], timeout=HANG_S)
    try:
        connection.request(method, path, body=body, headers={
            "Authorization": "Bearer " + KEY,
            "Content-Type": "application/json"})
        reply = connection.getresponse()
        reply.read()
        return reply.status
    finally:
        connection.close()


def refused(folder, *options, status=1):
    """What a phosd says that is to end by itself."""
    done = subprocess.run(
        [PHOSD, "--db", os.path.join(folder, "other.sqlite")] + list(options),
        env={**CLEAN, "PHOSPHO_API_KEY": KEY}, capture_output=True, text=True,
        timeout=HANG_S)
    equal((done.returncode, done.stdout), (status, ""), done.stderr)
    return done.stderr


def mode_of(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


@test
def both_kinds_serve_at_once_and_the_file_goes_at_the_end():
    with folder_of_ours() as folder:
        first, second = [os.path.join(folder, name) for name in "ab"]
        with Served(folder, "--listen", "unix:" + first, "--listen",
                    "127.0.0.1:0", "--listen", "unix:" + second) as phosd:
            phosd.ready(3)
            equal([a for a in phosd.addresses if a.startswith("unix:")],
                  ["unix:" + first, "unix:" + second])
            for number, address in enumerate(phosd.addresses, 1):
                body = '{"input":"a","output":"b","session_id":"s"}'
                equal(ask(address, "POST", "/api/ingest", body), 201, address)
                equal(ask(address, path="/api/sessions/s"), 200, address)
            equal(phosd.end(), 0)
        equal([os.path.exists(path) for path in (first, second)],
              [False, False])


@test
def the_environment_names_several_too_and_the_command_line_replaces_them():
    with folder_of_ours() as folder:
        path = os.path.join(folder, "a")
        named = {"PHOSD_LISTEN": "unix:%s 127.0.0.1:0" % path,
                 "PHOSD_SOCKET_MODE": "600"}
        with Served(folder, environment=named) as phosd:
            phosd.ready(2)
            equal([ask(a) for a in phosd.addresses], [200, 200])
            equal(mode_of(path), 0o600)
            equal(phosd.end(), 0)
        with Served(folder, "--listen", "127.0.0.1:0",
                    environment=named) as phosd:
            phosd.ready()
            equal(os.path.exists(path), False)
            equal(phosd.end(), 0)


@test
def the_file_has_the_mode_that_was_asked_for_whatever_the_umask():
    with folder_of_ours() as folder:
        path = os.path.join(folder, "a")
        for umask, options, want in ((0o077, [], 0o660), (0, [], 0o660),
                                     (0o022, ["0600"], 0o600),
                                     (0o777, ["0666"], 0o666)):
            options = ["--socket-mode"] + options if options else []
            with Served(folder, "--listen", "unix:" + path, *options,
                        before=lambda umask=umask: os.umask(umask)) as phosd:
                phosd.ready()
                equal(mode_of(path), want, "umask %o" % umask)
                equal(ask(phosd.addresses[0]), 200)
                equal(phosd.end(), 0)


@test
def owner_and_group_are_set_by_root():
    if os.geteuid() != 0:
        raise Skip("not root")
    with folder_of_ours() as folder:
        path = os.path.join(folder, "a")
        with Served(folder, "--listen", "unix:" + path, "--socket-owner",
                    "nobody", "--socket-group", "4242") as phosd:
            phosd.ready()
            found = os.lstat(path)
            equal((found.st_uid, found.st_gid),
                  (pwd.getpwnam("nobody").pw_uid, 4242))
            equal(phosd.end(), 0)


@test
def a_file_left_by_a_killed_collector_is_replaced():
    with folder_of_ours() as folder:
        path = os.path.join(folder, "a")
        for number in (signal.SIGKILL, signal.SIGTERM):
            with Served(folder, "--listen", "unix:" + path) as phosd:
                phosd.ready()
                equal(ask("unix:" + path), 200)
                phosd.end(number)
            equal(os.path.exists(path), number == signal.SIGKILL)


@test
def a_socket_in_use_is_refused_and_goes_on():
    with folder_of_ours() as folder:
        path = os.path.join(folder, "a")
        with Served(folder, "--listen", "unix:" + path) as phosd:
            phosd.ready()
            told = refused(folder, "--listen", "unix:" + path)
            assert "another program listens there" in told, told
            equal(ask("unix:" + path), 200)
            equal(phosd.end(), 0)


@test
def a_socket_that_is_too_busy_to_answer_counts_as_in_use():
    with folder_of_ours() as folder:
        path = os.path.join(folder, "a")
        with socket.socket(socket.AF_UNIX) as busy:
            busy.bind(path)
            busy.listen(0)
            waiting = []
            while True:
                client = socket.socket(socket.AF_UNIX)
                waiting.append(client)
                client.setblocking(False)
                try:
                    client.connect(path)
                except BlockingIOError:
                    break
            told = refused(folder, "--listen", "unix:" + path)
            assert "another program listens there" in told, told
            for client in waiting:
                client.close()


@test
def of_many_that_start_at_once_one_gets_the_name():
    with folder_of_ours() as folder:
        path = os.path.join(folder, "a")
        stale = socket.socket(socket.AF_UNIX)
        stale.bind(path)
        stale.close()
        many = [Served(folder, "--listen", "unix:" + path, name="db%d" % n)
                for n in range(6)]
        lines = [one.process.stdout.readline() for one in many]
        won = [one for one, line in zip(many, lines) if line]
        equal(len(won), 1, lines)
        equal(ask("unix:" + path), 200)
        for one in many:
            with one:
                equal(one.end(), 0 if one in won else 1)
        equal(os.path.exists(path), False)


@test
def nothing_is_done_to_a_folder_that_somebody_else_has_locked():
    with folder_of_ours() as folder:
        path = os.path.join(folder, "a")
        stale = socket.socket(socket.AF_UNIX)
        stale.bind(path)
        stale.close()
        lock = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            told = refused(folder, "--listen", "unix:" + path)
            assert "holds a lock" in told, told
            equal(os.path.exists(path), True)
        finally:
            os.close(lock)


@test
def a_file_that_took_the_name_later_stays():
    with folder_of_ours() as folder:
        path = os.path.join(folder, "a")
        with Served(folder, "--listen", "unix:" + path) as phosd:
            phosd.ready()
            os.unlink(path)
            with Served(folder, "--listen", "unix:" + path,
                        name="next") as after:
                after.ready()
                equal(phosd.end(), 0)
                equal(ask("unix:" + path), 200)
                equal(after.end(), 0)
        equal(os.path.exists(path), False)


@test
def a_file_that_is_no_socket_is_left_as_it_is():
    with folder_of_ours() as folder:
        path = os.path.join(folder, "a")
        with open(path, "w") as file:
            file.write("mine")
        link = os.path.join(folder, "link")
        os.symlink("nowhere", link)
        for name in (path, link):
            told = refused(folder, "--listen", "unix:" + name)
            assert "that is no socket has this name" in told, told
        with open(path) as file:
            equal(file.read(), "mine")
        equal(os.readlink(link), "nowhere")


@test
def a_failure_beside_it_takes_the_file_away_again():
    with folder_of_ours() as folder:
        path = os.path.join(folder, "a")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            told = refused(folder, "--listen", "unix:" + path, "--listen",
                           "127.0.0.1:%d" % taken.getsockname()[1])
            assert "in use" in told, told
        equal(os.path.exists(path), False)


@test
def a_path_that_cannot_be_is_told_before_anything_is_opened():
    with folder_of_ours() as folder:
        room = PATH_BYTES_MAX - len(os.path.join(folder, ""))
        fits = os.path.join(folder, "x" * room)
        with Served(folder, "--listen", "unix:" + fits) as phosd:
            phosd.ready()
            equal(ask("unix:" + fits), 200)
            equal(phosd.end(), 0)
        for address, message in (
                ("unix:" + fits + "x", "has 108 bytes; a socket's may have "
                                       "107 at most"),
                ("unix:/" + "x" * 100000, "107 at most"),
                ("unix:", "absolute path"), ("unix:a", "absolute path"),
                ("unix:@a", "absolute path"),
                ("unix:" + folder + "/", "absolute path"),
                ("unix:/nowhere/a", "No such file")):
            for options, status in (([], 1), (["--check"], 2)):
                told = refused(folder, "--listen", address, *options,
                               status=status)
                assert message in told, (address[:200], told[:300])
        for options, message in (
                (["--socket-mode", "0888"], "expected an octal number"),
                (["--socket-mode", "01777"], "expected an octal number"),
                (["--listen", "unix:/a"] * 9, "more than 8 times")):
            told = refused(folder, *options, status=2)
            assert message in told, told
        for name in ("owner", "group"):
            told = refused(folder, "--check", "--listen", "unix:" + fits,
                           "--socket-" + name, "no one at all", status=2)
            assert "of this name" in told, told


@test
def a_port_file_needs_a_port():
    with folder_of_ours() as folder:
        path = os.path.join(folder, "a")
        told = refused(folder, "--listen", "unix:" + path, "--port-file",
                       os.path.join(folder, "port"))
        assert "there is no port" in told, told
        equal(os.path.exists(path), False)


@test
def many_connections_over_one_socket_are_served():
    with folder_of_ours() as folder:
        path = os.path.join(folder, "a")
        with Served(folder, "--listen", "unix:" + path) as phosd:
            phosd.ready()
            connections = [UnixConnection(path) for _ in range(100)]
            for connection in connections:
                connection.connect()
            for connection in connections:
                connection.request("GET", "/healthz")
            for connection in connections:
                equal(connection.getresponse().status, 200)
                connection.close()
            equal(phosd.end(), 0)


# As sd_listen_fds(3) has it: the sockets from 3 on, and whose they are.
HAND_OVER = """
import os, sys
for place in range(int(sys.argv[1])):
    os.dup2(int(sys.argv[2 + place]), 3 + place)
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = sys.argv[1]
rest = sys.argv[2 + int(sys.argv[1]):]
os.execv(rest[0], rest)
"""


def hand_over(folder, sockets, *options):
    # Above those that they are copied to.
    numbers = [fcntl.fcntl(s.fileno(), fcntl.F_DUPFD, 20 + 2 * place)
               for place, s in enumerate(sockets)]
    try:
        return Served(folder, *options, pass_fds=numbers,
                      via=[sys.executable, "-c", HAND_OVER, str(len(numbers))]
                      + [str(number) for number in numbers])
    finally:
        for number in numbers:
            os.close(number)


@test
def sockets_from_systemd_are_served_and_stay_open():
    with folder_of_ours() as folder:
        path = os.path.join(folder, "a")
        with socket.socket(socket.AF_UNIX) as local, \
                socket.create_server(("127.0.0.1", 0)) as tcp:
            local.bind(path)
            local.listen()
            port = "http://127.0.0.1:%d" % tcp.getsockname()[1]
            for _ in range(2):  # the second takes over from the first
                with hand_over(folder, [local, tcp]) as phosd:
                    phosd.ready(2)
                    equal(phosd.addresses, ["unix:" + path, port])
                    equal([ask(a) for a in phosd.addresses], [200, 200])
                    equal(phosd.end(), 0)
                equal(os.path.exists(path), True, "it is systemd's")
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)  # waits for the next one to be started


@test
def addresses_that_are_named_are_served_beside_systemds():
    with folder_of_ours() as folder:
        path = os.path.join(folder, "a")
        with socket.create_server(("127.0.0.1", 0)) as tcp:
            with hand_over(folder, [tcp], "--listen",
                           "unix:" + path) as phosd:
                phosd.ready(2)
                equal([ask(a) for a in phosd.addresses], [200, 200])
                equal(phosd.end(), 0)
        equal(os.path.exists(path), False)


@test
def what_is_no_listening_socket_is_refused():
    with folder_of_ours() as folder:
        with socket.socket(socket.AF_UNIX) as mute:
            with hand_over(folder, [mute]) as phosd:
                equal(phosd.process.wait(HANG_S), 1)
                phosd.stderr.seek(0)
                told = phosd.stderr.read()
                assert "descriptor 3 is not a listening" in told, told


@test
def what_is_meant_for_another_process_is_not_touched():
    with folder_of_ours() as folder:
        with Served(folder, "--listen", "127.0.0.1:0",
                    environment={"LISTEN_PID": "1", "LISTEN_FDS": "1"}) as one:
            one.ready()
            equal(ask(one.addresses[0]), 200)
            equal(one.end(), 0)


main()
