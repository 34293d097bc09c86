#!/usr/bin/env python3
"""The table in docs/delivery.md says what the code does, for every answer.

usage: verdict_table_test.py PROGRAM DOCUMENT
"""
import re
import subprocess
import sys

MEANINGS = "delivered|again|throttled|smaller|suspect|config"


def rows(document):
    """Yields (first status, last status, web page, meaning, is_rest) and
    (exchange, meaning), in the order of the table."""
    table = document.split("## What an answer means")[1].split("\n* **")[0]
    for line in table.splitlines():
        match = re.match(rf"\| (.+?) \| ({MEANINGS}) \|$", line)
        if match:
            yield match.group(1), match.group(2)


def promised(document):
    """The meaning of every key that the program prints."""
    meanings = {}
    rest = []
    for answer, meaning in rows(document):
        page = answer.endswith(" with a web page")
        answer = answer.removesuffix(" with a web page")
        is_rest = answer.endswith(", all others")
        answer = answer.removesuffix(", all others")
        for part in answer.split(", "):
            match = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
            if not match:
                meanings[part] = meaning
                continue
            first = int(match.group(1))
            last = int(match.group(2) or first)
            for status in range(first, last + 1):
                key = f"{status}{' with a web page' if page else ''}"
                if is_rest:
                    rest.append((key, meaning))
                else:
                    assert key not in meanings, f"{key} stands twice"
                    meanings[key] = meaning
    for key, meaning in rest:
        meanings.setdefault(key, meaning)
    for status in range(100, 1000):
        meanings.setdefault(f"{status} with a web page",
                            meanings.get(str(status)))
    return meanings


def main():
    program, document = sys.argv[1:]
    with open(document, encoding="utf-8") as file:
        want = promised(file.read())
    lines = subprocess.run([program], check=True, text=True,
                           stdout=subprocess.PIPE).stdout.splitlines()
    got = dict(line.rsplit(" ", 1) for line in lines)
    wrong = [f"{key}: the code says {got.get(key)}, the table {want.get(key)}"
             for key in sorted(got.keys() | want.keys())
             if got.get(key) != want.get(key)]
    print("1..1")
    for line in wrong[:20]:
        print(f"# {line}")
    print(f"{'not ok' if wrong else 'ok'} 1 - "
          f"the table covers {len(got)} answers as the code does")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
