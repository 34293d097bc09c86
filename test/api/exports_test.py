#!/usr/bin/env python3
"""The shared library exports what the headers declare, and nothing else.

    exports_test.py NM LIBRARY SONAME EXPORTS-FILE HEADER...

exports.txt is the list that a person has looked at: a name that leaves it or
joins it is a change of the ABI and shows in its diff.
"""
import re
import subprocess
import sys

from checklist import Checklist


def declared(headers):
    names = []
    for path in headers:
        with open(path, encoding="utf-8") as header:
            text = re.sub(r"/\*.*?\*/", "", header.read(), flags=re.S)
        text = re.sub(r"^\s*#.*$", "", text, flags=re.M)
        for declaration in re.findall(r"PHOS_EXTERN([^;]*);", text):
            names.append(re.search(r"(\w+)\s*\(", declaration).group(1))
    return sorted(names)


def exported(nm, library):
    listing = subprocess.run([nm, "-D", "--defined-only", library], check=True,
                             capture_output=True, text=True).stdout
    return sorted(line.split()[-1].split("@")[0]
                  for line in listing.splitlines())


def soname(library):
    listing = subprocess.run(["readelf", "-d", library], check=True,
                             capture_output=True, text=True).stdout
    return re.findall(r"\(SONAME\).*\[(.*)\]", listing)


def main(nm, library, want_soname, exports_file, *headers):
    checks = Checklist()
    with open(exports_file, encoding="utf-8") as file:
        listed = file.read().split()
    checks.equal(listed, sorted(listed), "exports.txt is sorted")
    checks.equal(exported(nm, library), listed,
              "the library exports what exports.txt lists")
    checks.equal(declared(headers), listed,
              "the headers declare what exports.txt lists")
    checks.equal(soname(library), [want_soname], "the SONAME has the major number")
    return checks.end()


sys.exit(main(*sys.argv[1:]))
