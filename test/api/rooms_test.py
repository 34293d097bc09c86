#!/usr/bin/env python3
"""Each room uses only what its place allows: a look at undefined names.

    rooms_test.py NM ROOM=ARCHIVE...

Two questions for every object file: which names of other rooms does it need,
and which names of the world outside.
"""
import collections
import re
import subprocess
import sys

from checklist import Checklist

# A room may need names of these rooms. lib/README.md draws it.
LEFT = {
    "base": [],
    "wire": ["base"],
    "queue": ["base"],
    "core": ["base", "wire"],
    "io": ["base", "wire", "core"],
    "client": ["base", "wire", "queue", "core", "io"],
}

# Names of the outside world, and the object files (room/file) that may need
# them. Everywhere else they are forbidden.
OUTSIDE = [
    ("libuv stays in io", r"uv_\w+", r"io/.*"),
    ("libcurl stays in io", r"curl_\w+", r"io/.*"),
    ("jansson stays in wire", r"json(p)?_\w+", r"wire/.*"),
    ("zlib stays in io", r"(deflate|inflate|crc32|compress)\w*", r"io/.*"),
    ("memory comes from base/alloc alone",
     r"malloc|calloc|realloc|reallocarray|free|posix_memalign|aligned_alloc|"
     r"memalign|valloc|strn?dup|v?asprintf|__v?asprintf_chk|getline|"
     r"open_memstream", r"base/alloc\.c"),
    ("nothing is printed",
     r"(__)?v?[fd]?printf(_chk)?|f?puts|f?putc|putchar|fwrite|perror|"
     r"v?syslog(_chk)?|stdout|stderr|psignal", None),
    ("nothing ends the process",
     r"abort|_?exit|_Exit|quick_exit|raise|kill|__chk_fail", None),
    ("signal dispositions are left alone",
     r"signal|sigaction|__sysv_signal|bsd_signal|sigprocmask", None),
    ("the environment is read in client/options alone",
     r"secure_getenv", r"client/options\w*\.c"),
    ("the environment is read in no other way, and never written",
     r"getenv|setenv|unsetenv|putenv|clearenv|environ", None),
    ("nothing is started",
     r"fork|vfork|system|popen|posix_spawnp?|exec[vl]p?e?", None),
    ("exit handlers belong to client/exit alone",
     r"atexit|on_exit|__cxa_atexit", r"client/exit\w*\.c"),
    ("locale and time zone are left alone",
     r"setlocale|uselocale|tzset|localtime(_r)?|mktime|strftime", None),
]


def undefined(nm, archive):
    """{object file: [names it needs]}"""
    listing = subprocess.run([nm, "-A", "-u", archive], check=True,
                             capture_output=True, text=True).stdout
    needs = collections.defaultdict(list)
    for line in listing.splitlines():
        place, name = re.match(r"(.*):\s+[Uw] (\S+)$", line).groups()
        # thin archive: .../client.p/options.c.o, else archive:options.c.o
        member = re.split(r"[/:]", place)[-1]
        needs[member.removesuffix(".o")].append(name.split("@")[0])
    return needs


def defined(nm, archive):
    listing = subprocess.run([nm, "-g", "--defined-only", archive], check=True,
                             capture_output=True, text=True).stdout
    return {line.split()[2] for line in listing.splitlines()
            if len(line.split()) == 3}


def main(nm, *arguments):
    checks = Checklist()
    archives = dict(argument.split("=", 1) for argument in arguments)
    checks.equal(sorted(archives), sorted(LEFT), "every room is looked at")

    owner = {}
    for room, archive in archives.items():
        for name in defined(nm, archive):
            owner.setdefault(name, room)
    needs = {room: undefined(nm, archive)
             for room, archive in archives.items()}

    for room, files in needs.items():
        strays = [f"{room}/{file} needs {name} of {owner[name]}"
                  for file, names in files.items() for name in names
                  if owner.get(name, room) not in [room, *LEFT[room]]]
        checks.check(not strays, f"{room} uses only rooms on its left", *strays)

    for sentence, pattern, allowed in OUTSIDE:
        strays = [f"{room}/{file} needs {name}"
                  for room, files in needs.items()
                  for file, names in files.items() for name in names
                  if re.fullmatch(pattern, name) and name not in owner
                  and not (allowed and
                           re.fullmatch(allowed, f"{room}/{file}"))]
        checks.check(not strays, sentence, *strays)

    checks.check("malloc" in needs["base"].get("alloc.c", []),
              "the look at undefined names finds what is known to be there",
              *needs["base"])
    return checks.end()


sys.exit(main(*sys.argv[1:]))
