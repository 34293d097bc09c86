#!/usr/bin/env python3
"""Gives Doxygen an example, or a header of C++, which calls those of C: what it
says of itself. Its code is listed as it is and documents nothing.

    listing_filter.py FILE
"""
import re
import sys

with open(sys.argv[1], encoding="utf-8") as source:
    text = source.read()
introduction = re.match(r"/\*\s*\n(.*?)\*/", text, flags=re.S)
said = re.sub(r"^ \* ?", "", introduction[1], flags=re.M) if introduction else ""
said = re.sub(r"^[\w/.]+ - ", "", said.split("\n\n")[0])
print(f"/** @file\n * {' '.join(said.split())}\n */")
