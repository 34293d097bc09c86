#!/usr/bin/env python3
"""docs/reference-statistics.md and the public headers say the same.

    statistics_test.py PAGE DELIVERY HEADER...

Each structure that the page has a heading for, with all its fields, types and
units; each enumeration that it lists, with all its values. docs/delivery.md
has each reason.
"""
import re
import sys

from checklist import Checklist

STRUCTURES = ["phos_stats", "phos_ledger", "phos_rejections", "phos_discards",
              "phos_histogram", "phos_close_report", "phos_receipt",
              "phos_feedback_ledger"]
ENUMERATIONS = ["phos_state", "phos_reason"]
TYPES = {"uint32_t": "uint32", "uint64_t": "uint64", "int": "int"}
UNIT_OF = [("_ms", "ms"), ("_us", "µs"), ("bytes", "bytes")]


def structure(header, name):
    """{field: type} without struct_size."""
    body = re.search(rf"typedef struct {name} \{{(.*?)\n\}} {name};", header,
                     flags=re.S).group(1)
    found = re.findall(r"^    (\w+) (\w+)(?:\[\w+\])?;", body, flags=re.M)
    return {field: TYPES.get(word, f"`{word}`") for word, field in found
            if field != "struct_size"}


def enumeration(header, name):
    body = re.search(rf"typedef enum {name} \{{(.*?)\n\}} {name};", header,
                     flags=re.S).group(1)
    return re.findall(r"^    (PHOS_\w+) =", body, flags=re.M)


def rows(text):
    """Cells of all table rows whose first one is `code`."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        name = re.fullmatch(r"`(\w+)`", cells[0])
        if line.startswith("|") and name:
            yield [name[1], *cells[1:]]


def main(page_path, delivery_path, *header_paths):
    checks = Checklist()
    header = "".join(open(path, encoding="utf-8").read()
                     for path in header_paths)
    with open(page_path, encoding="utf-8") as file:
        page = file.read()
    parts = re.split(r"^## `(\w+)`$", page, flags=re.M)
    sections = dict(zip(parts[1::2], parts[2::2]))

    for name in STRUCTURES:
        fields = structure(header, name)
        told = [row for row in rows(sections.get(name, "")) if len(row) == 4]
        checks.equal([row[0] for row in told], list(fields),
                     f"{name}: each field, in order")
        for field, word, unit, _ in told:
            checks.check(word == fields.get(field), f"{name}.{field}: type",
                         f"page {word}, header {fields.get(field)}")
            want = [unit for part, unit in UNIT_OF if part in field]
            checks.check(unit in want or not want, f"{name}.{field}: unit",
                         f"page {unit}, header {want}")
    for name in ENUMERATIONS:
        told = [row[0] for row in rows(page)
                if row[0].startswith(name.upper() + "_")]
        checks.equal(told, enumeration(header, name), f"{name}: each value")
    with open(delivery_path, encoding="utf-8") as file:
        told = {row[0] for row in rows(file.read())}
    reasons = [name.removeprefix("PHOS_REASON_")
               for name in enumeration(header, "phos_reason")[1:]]
    checks.equal([name for name in reasons if name in told], reasons,
                 "docs/delivery.md: each reason")
    return checks.end()


sys.exit(main(*sys.argv[1:]))
