#!/usr/bin/env python3
"""docs/reference-options.md and phos_options say the same.

    options_test.py PAGE HEADER CODE FURTHER-HEADER...

The header says everything twice: in the comment beside each field, which
people read, and in phos_options_default(), which runs. All three must agree,
and the ranges with those that CODE checks. Of other structures, which have a
heading of their own, the page has each field and its type.
"""
import re
import sys

from checklist import Checklist

UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
# The two variables that the services' own clients read, under their names.
OWN_VARIABLES = {"api_key": "PHOSPHO_API_KEY",
                 "project_id": "PHOSPHO_PROJECT_ID"}

TYPES = {"phos_str": "text", "uint32_t": "uint32", "uint64_t": "uint64",
         "bool": "bool", "double": "double"}
# By a part of the name.
UNIT_OF = [("_ms", "ms"), ("bytes", "bytes"), ("per_minute", "events/min")]
CONSTANTS = {"PHOS__RING_BYTES_MIN": str(64 << 10),
             "PHOS__RING_BYTES_MAX": str(1 << 30),
             "PHOS__RING_BYTES_MAX / 16": str(64 << 20)}


def value(text):
    """A default as people write it, as one text that can be compared."""
    text = text.strip().strip("`").split(":")[0].strip()
    match = re.fullmatch(r"([\d,]+)(?: (KiB|MiB|GiB))?", text)
    if match:
        number = int(match.group(1).replace(",", ""))
        return str(number * UNITS.get(match.group(2), 1))
    return text


def header_fields(text):
    """{name: (variable or None, default in the comment, default in code)}"""
    struct = re.search(r"typedef struct phos_options \{(.*?)\n\} phos_options;",
                       text, flags=re.S).group(1)
    function = re.search(r"phos_options_default\(void\)\n\{(.*?)\n\}", text,
                         flags=re.S).group(1)
    fields = {}
    for line in re.finditer(r"^    [\w ]+? \*?(\w+);[ \t]*(/\*.*?\*/)?",
                            struct, flags=re.S | re.M):
        name, comment = line.group(1), " ".join((line.group(2) or "").split())
        if name == "struct_size":
            continue
        variable = OWN_VARIABLES.get(name)
        if "(env)" in comment:
            variable = "PHOS_" + name.upper()
        said = re.search(r"default ([^;*]+?)(?: \*/|;)", comment)
        runs = re.search(rf"options\.{name} = (\w+);", function)
        fields[name] = (variable, value(said.group(1)) if said else None,
                        runs.group(1) if runs else None)
    return fields


def type_of(text, structure="phos_options"):
    """{name: type as the page tells it}"""
    struct = re.search(rf"typedef struct {structure} \{{(.*?)\n\}} {structure};",
                       text, flags=re.S).group(1)
    types = {}
    for word, name, count in re.findall(
            r"^    ((?:const )?\w+ \*?)(\w+)(\[\d+\])?;", struct, flags=re.M):
        word = word.strip() + count
        unit = [unit for part, unit in UNIT_OF if part in name]
        types[name] = ", ".join([TYPES.get(word, f"`{word}`"), *unit])
    return types


def code_ranges(text):
    """{name: (least, most)} of the numbers, as the code checks them"""
    return {name: tuple(CONSTANTS.get(one, one) for one in (least, most))
            for name, least, most in re.findall(
                r'NUMBER\((\w+), "\w+", (\w+),\s+([^)]+)\)', text)}


def table_rows(text):
    """{option: (type, variable or None, default, range)}"""
    rows = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 6 and re.fullmatch(r"`\w+`", cells[0]):
            rows[cells[0].strip("`")] = (cells[1], cells[2].strip("`") or None,
                                         value(cells[3]), cells[4])
    return rows


def check_others(checks, page, header):
    """Structures whose options end in no table of the client's."""
    there = set(re.findall(r"^\} (phos_\w+_options|phos_retry);$", header,
                           flags=re.M))
    parts = re.split(r"^## `(\w+)`$", page, flags=re.M)
    checks.equal(sorted(parts[1::2]), sorted(there),
                 "each structure with options has a heading")
    for name, text in zip(parts[1::2], parts[2::2]):
        types = type_of(header, name) if name in there else {}
        types.pop("struct_size", None)
        told = {}
        for line in text.splitlines():
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if len(cells) == 4 and re.fullmatch(r"`\w+`", cells[0]):
                told[cells[0].strip("`")] = cells[1]
        checks.equal([f"{field}: {word}" for field, word in told.items()],
                     [f"{field}: {word}" for field, word in types.items()],
                     f"{name}: each field with its type, in order")


def main(page_path, header_path, code_path, *others):
    checks = Checklist()
    with open(header_path, encoding="utf-8") as file:
        header = file.read()
    fields, types = header_fields(header), type_of(header)
    with open(code_path, encoding="utf-8") as file:
        ranges = code_ranges(file.read())
    with open(page_path, encoding="utf-8") as file:
        rows = table_rows(file.read())

    checks.equal(list(rows), list(fields),
                 "docs/reference-options.md has each option, in order")
    for name, (variable, said, runs) in fields.items():
        if name not in rows:
            continue
        told_type, told_variable, told, told_range = rows[name]
        checks.check(told_type == types[name], f"{name}: type",
                     f"page {told_type}, header {types[name]}")
        checks.check(told_variable == variable, f"{name}: environment",
                  f"page {told_variable}, header {variable}")
        if said is not None and runs is not None and runs != "none":
            checks.check(said == runs, f"{name}: comment and code agree",
                      f"comment {said}, code {runs}")
        want = said
        if want is None:
            want = {"none": "required" if name in ("endpoint", "api_key")
                    else "empty", "NULL": "none", None: "none"}.get(runs, runs)
        checks.check(told == want, f"{name}: default",
                  f"page {told}, header {want}")
        if name in ranges:
            got = tuple(value(part) for part in told_range.split(" to "))
            checks.check(got == ranges[name], f"{name}: range",
                         f"page {got}, code {ranges[name]}")
    with open(page_path, encoding="utf-8") as file:
        page = file.read()
    further = "".join(open(path, encoding="utf-8").read() for path in others)
    check_others(checks, page, further)
    checks.check(len(ranges) >= 16, "the ranges of the code are found", ranges)
    return checks.end()


sys.exit(main(*sys.argv[1:]))
