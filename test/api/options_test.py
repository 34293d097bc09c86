#!/usr/bin/env python3
"""README's configuration table and phos_options say the same.

    options_test.py README HEADER

The header says everything twice: in the comment beside each field, which
people read, and in phos_options_default(), which runs. All three must agree.
"""
import re
import sys

from checklist import Checklist

UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
# The two variables that the services' own clients read, under their names.
OWN_VARIABLES = {"api_key": "PHOSPHO_API_KEY",
                 "project_id": "PHOSPHO_PROJECT_ID"}


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


def table_rows(text):
    """{option: (variable or None, default)}"""
    return {match.group(1): (match.group(2) and match.group(2).strip("`"),
                             value(match.group(3)))
            for match in re.finditer(
                r"^\| `(\w+)` \| (`\w+`)? *\| ([^|]+?) \|", text, flags=re.M)}


def main(readme_path, header_path):
    checks = Checklist()
    with open(header_path, encoding="utf-8") as file:
        fields = header_fields(file.read())
    with open(readme_path, encoding="utf-8") as file:
        section = file.read().split("## Configuration", 1)[-1]
        rows = table_rows(section.split("\n## ", 1)[0])

    checks.equal(list(rows), list(fields), "the table has each option, in order")
    for name, (variable, said, runs) in fields.items():
        if name not in rows:
            continue
        told_variable, told = rows[name]
        checks.check(told_variable == variable, f"{name}: environment",
                  f"table {told_variable}, header {variable}")
        if said is not None and runs is not None and runs != "none":
            checks.check(said == runs, f"{name}: comment and code agree",
                      f"comment {said}, code {runs}")
        want = said
        if want is None:
            want = {"none": "required" if name in ("endpoint", "api_key")
                    else "empty", "NULL": "none", None: "none"}.get(runs, runs)
        checks.check(told == want, f"{name}: default",
                  f"table {told}, header {want}")
    return checks.end()


sys.exit(main(*sys.argv[1:]))
