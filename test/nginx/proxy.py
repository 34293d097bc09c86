"""An nginx with the module, in a directory of its own, and a client."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

from model import HANG_S

NGINX = os.environ["NGINX_PROGRAM"]
MODULE = os.environ["NGINX_PHOS_MODULE"]

CONFIGURATION = """
%(load)s
daemon off;
master_process %(master)s;
worker_processes %(workers)d;
worker_shutdown_timeout 30s;
error_log stderr info;
pid %(directory)s/pid;
%(user)s
%(top)s
events { worker_connections 512; }
http {
    log_format served '$status';
    access_log %(directory)s/access.log served;
    client_max_body_size 16m;
    client_body_temp_path %(directory)s/body;
    proxy_temp_path %(directory)s/proxy;
    fastcgi_temp_path %(directory)s/fastcgi;
    uwsgi_temp_path %(directory)s/uwsgi;
    scgi_temp_path %(directory)s/scgi;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Accept-Encoding "";
    proxy_next_upstream off;
    %(http)s
    server {
        listen unix:%(directory)s/socket;
        %(server)s
    }
}
"""


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=HANG_S)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Nginx:
    """Configured by pieces of configuration: `top`, `http` and `server`."""

    def __init__(self, server, http="", top="", workers=2, master=True,
                 environment=None, module=True):
        self.directory = tempfile.mkdtemp(prefix="phos-nginx-")
        self.pieces = {
            "load": "load_module %s;" % MODULE if module else "",
            "directory": self.directory, "workers": workers,
            "master": "on" if master else "off", "top": top, "http": http,
            "server": server,
            "user": "user root;" if os.geteuid() == 0 else ""}
        self.environment = {name: value for name, value in os.environ.items()
                            if not name.startswith("PHOS")}
        self.environment.update(environment or {})
        self.lines = []
        self.changed = threading.Condition()
        self.process = None

    def put(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def command(self, *arguments):
        configuration = self.put("nginx.conf", CONFIGURATION % self.pieces)
        return [NGINX, "-p", self.directory, "-e", "stderr", "-c",
                configuration, *arguments]

    def check_configuration(self):
        """The exit status of `nginx -t`, and what it said."""
        done = subprocess.run(self.command("-t"), env=self.environment,
                              capture_output=True, text=True, timeout=HANG_S)
        return done.returncode, done.stderr

    def start(self):
        self.process = subprocess.Popen(
            self.command(), env=self.environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, preexec_fn=self.before)
        self.has_ended = False
        self.reader = threading.Thread(target=self.read_log)
        self.reader.start()
        # Written when the sockets listen; a connection then waits for accept.
        self.wait_for_line("getrlimit")
        return self

    def before(self):
        """In the child: signals as a terminal leaves them."""
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_DFL)

    def read_log(self):
        for line in self.process.stderr:
            with self.changed:
                self.lines.append(line.rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.has_ended = True
            self.changed.notify_all()

    def workers(self):
        """Their process ids."""
        return [int(line.split()[-1])
                for line in self.wait_for_line("start worker process ",
                                               self.pieces["workers"])]

    def found(self, text):
        return [line for line in self.lines if text in line]

    def wait_for_line(self, text, count=1):
        with self.changed:
            self.changed.wait_for(lambda: self.has_ended or
                                  len(self.found(text)) >= count, HANG_S)
            found = self.found(text)
        assert len(found) >= count, "nginx never said %r\n%s" % (
            text, "\n".join(self.lines))
        return found

    def send(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGQUIT):
        """Everything is over when it returns: master, workers, log."""
        self.send(number)
        return self.wait()

    def wait(self):
        status = self.process.wait(HANG_S)
        self.reader.join(HANG_S)
        self.process.stderr.close()
        self.process = None
        return status

    def ledgers(self):
        """One for each worker that has ended."""
        return self.found(" accepted: ")

    def total(self, word):
        """Sum over all workers of the count before `word`."""
        return sum(int(line.split(" " + word)[0].split(" ")[-1].strip("("))
                   for line in self.ledgers())

    def served(self):
        """{status: how many requests} by the access log."""
        counts = {}
        with open(os.path.join(self.directory, "access.log")) as file:
            for line in file:
                counts[int(line)] = counts.get(int(line), 0) + 1
        return counts

    def __enter__(self):
        try:
            return self.start()
        except BaseException as problem:
            self.__exit__(type(problem), problem, None)
            raise

    def __exit__(self, kind, value, trace):
        status = 0
        try:
            if self.process:
                status = self.stop()
        finally:
            if self.process:
                self.process.kill()
                self.wait()
            if kind is not None:
                print("# nginx said: %s" % "\n# ".join(self.lines))
            shutil.rmtree(self.directory, ignore_errors=True)
        if kind is None:
            assert status == 0, "nginx ended with %r" % status
            bad = self.found("[alert]") + self.found("exited on signal")
            assert not bad, bad

    # ---- a client ----

    def connect(self):
        return Connection(os.path.join(self.directory, "socket"))

    def ask(self, body, path="/v1/chat/completions", method="POST",
            headers=None, connection=None):
        """Status, headers and body of one exchange."""
        own = connection is None
        connection = connection or self.connect()
        if isinstance(body, dict):
            body = json.dumps(body).encode()
        try:
            connection.request(method, path, body=body, headers={
                "Content-Type": "application/json", **(headers or {})})
            reply = connection.getresponse()
            return reply.status, reply.headers, reply.read()
        finally:
            if own:
                connection.close()
