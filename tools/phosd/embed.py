#!/usr/bin/env python3
"""Turns the page's files into a C table, in the order they are given.

    embed.py OUTPUT FILE...
"""
import os
import sys

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def address(name):
    return "/" if name == "index.html" else "/page/" + name


def main(output, *paths):
    with open(output, "w", encoding="utf-8") as out:
        out.write('/* Made by embed.py. */\n#include "page.h"\n')
        rows = []
        for number, path in enumerate(paths):
            name = os.path.basename(path)
            with open(path, "rb") as file:
                data = file.read()
            out.write("\nstatic const unsigned char file_%d[] = {" % number)
            for at in range(0, len(data), 16):
                out.write("\n    " + " ".join("%d," % byte for byte
                                              in data[at:at + 16]))
            out.write("\n};\n")
            rows.append('    { "%s", "%s", file_%d, sizeof(file_%d) },\n' % (
                address(name), TYPES[os.path.splitext(name)[1]], number,
                number))
        out.write("\nconst struct phosd_page_file phosd_page_files[] = {\n"
                  + "".join(rows) + "    { 0 },\n};\n")


main(*sys.argv[1:])
