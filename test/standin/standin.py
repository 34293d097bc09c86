#!/usr/bin/env python3
"""A stand-in of four services, for tests: it behaves as they do, misbehaves as
a script tells it, and remembers every request. README.md has the details."""
import argparse
import asyncio
import os
import signal
import stat
import sys
import threading

sys.dont_write_bytecode = True  # the source tree stays as it is
from httpd import Server, closed, deaf, url_of  # noqa: E402
from world import SERVICES, World  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--listen", metavar="HOST:PORT", default="127.0.0.1:0",
        help="port 0: a free one; the first line of output is the URL")
    parser.add_argument(
        "--mount", metavar="SERVICE=PREFIX", action="append", default=[],
        help="where a service is, /SERVICE unless told otherwise; services: "
        + ", ".join(SERVICES))
    found = parser.parse_args()
    found.prefixes = {name: "/" + name for name in SERVICES}
    for mount in found.mount:
        name, _, prefix = mount.partition("=")
        if name not in SERVICES:
            parser.error(f"no such service: {name}")
        found.prefixes[name] = prefix.rstrip("/")
    host, _, port = found.listen.rpartition(":")
    if not host or not port.isdecimal():
        parser.error(f"not HOST:PORT: {found.listen}")
    found.host, found.port = host, int(port)
    return found


def watch_input(stop):
    """Ends with the program that started this one. A file or /dev/null is at
    its end from the start and means nothing."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return
    if not stat.S_ISFIFO(mode) and not stat.S_ISSOCK(mode):
        return
    loop = asyncio.get_running_loop()

    def read():
        while os.read(0, 4096):
            pass
        loop.call_soon_threadsafe(stop.set)
    threading.Thread(target=read, daemon=True).start()


async def run(host, port, prefixes):
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    world = World(prefixes)
    server = Server(world.answer, world.holds)
    world.url = await server.listen(host, port)
    world.other = await server.listen(host, 0)
    dead_ends = {"closed": [closed(host)], "deaf": deaf(host)}
    world.dead_ends = {name: url_of(kept[0])
                       for name, kept in dead_ends.items()}
    print(world.url, flush=True)
    watch_input(stop)
    await stop.wait()
    server.close()
    for kept in dead_ends.values():
        for one in kept:
            one.close()


def main():
    found = arguments()
    try:
        asyncio.run(run(found.host, found.port, found.prefixes))
    except OSError as error:
        print(f"standin: {found.listen}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
