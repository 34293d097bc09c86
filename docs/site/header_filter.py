#!/usr/bin/env python3
"""Gives Doxygen the public headers as it wants them.

    header_filter.py HEADER             the header, its comments rewritten
    header_filter.py --check HEADER...  says which public names have none

The headers are written to be read as they are:

    /**
     * Queues one event. Never blocks.
     *
     * event    input and output are required
     *
     * Returns  PHOS_OK      accepted
     *          PHOS_E_FULL  rejected, no room
     * Threads  any number at once
     */

Columns become parameters, return values and paragraphs; comments beside fields
become theirs. Lines keep their numbers, for the listing of the source.
"""
import re
import sys

LABELS = ("Threads", "Life", "Source", "Since")
COLUMNS = re.compile(r"^(\w+)  +(\S.*)$")
DECLARATION = re.compile(
    r"^(?:typedef|static inline|PHOS_EXTERN|enum|#define PHOS_)")


def tag_of(word, names):
    if word == "Returns":
        return "@return"
    if word in LABELS:
        return "@label" + word.lower()  # Doxyfile says what that is
    return f"@param {word}" if word in names else None


def returns(lines):
    """The lines behind `Returns`: a table of values, or a sentence."""
    rows = []
    for line in lines:
        row = re.match(r"^(PHOS_\w+(?:, PHOS_\w+)*)(?:  +(\S.*))?$", line)
        if row:  # one line for several values, as it was
            rows.append([" ".join(f"@retval {value} {row[2] or '&nbsp;'}"
                                   for value in row[1].split(", "))])
        elif rows and line.startswith(" "):
            rows[-1].append(line.strip())
        else:
            return ["@return " + " ".join(line.strip() for line in lines)]
    return [" ".join(row) for row in rows]


def sections(lines, names):
    """[(word or "", lines)]: what stands in columns, and what does not."""
    found = [("", [])]
    for line in lines:
        columns = COLUMNS.match(line)
        if columns and tag_of(columns[1], names):
            found.append((columns[1], [columns[2]]))
            indent = len(line) - len(columns[2])
        elif found[-1][0] and line.startswith(" "):
            found[-1][1].append(line[indent:] if line[:indent].isspace()
                                else line)
        elif found[-1][0] and line:
            found.append(("", [line]))
        else:
            found[-1][1].append(line)
    return found


def escape(text):
    return re.sub(r"([@\\<>])", r"\\\1", text)


def rewrite(lines, names):
    """A comment's text, as lines; never more than it had."""
    made = []
    for word, body in sections([escape(line) for line in lines], names):
        blank = body and not body[-1]
        if not word:
            made += body
        elif word == "Returns":
            made += returns([line for line in body if line])
        else:
            made.append(tag_of(word, names) + " " +
                        " ".join(line.strip() for line in body if line))
        if word and blank:
            made.append("")
    return made


def text_of(comment):
    """The lines between the marks, without their stars."""
    inner = re.sub(r"^/\*+|\*/$", "", comment)
    return [re.sub(r"^\s*\* ?", "", line).rstrip() for line in
            inner.splitlines()]


def names_behind(text):
    """Words of the declaration that follows, up to its end."""
    return set(re.findall(r"\w+", re.split(r"[;{]", text, maxsplit=1)[0]))


def above(comment, rest):
    """A comment that stands above a declaration."""
    made = "/**" + "\n".join(rewrite(text_of(comment), names_behind(rest)))
    return made + "\n" * (comment.count("\n") - made.count("\n")) + " */"


def beside(comment):
    return "/**< " + "\n".join(
        escape(line.strip()) for line in text_of(comment)).strip() + " */"


def is_heading(comment, before, rest):
    """One of a group of fields, such as "batches"."""
    return (comment.count("\n") < 2 and before.endswith("    ") and
            not comment.startswith("/**") and rest.startswith("\n"))


def convert(text):
    made, at = [], 0
    for match in re.finditer(r"/\*.*?\*/", text, flags=re.S):
        comment = match[0]
        before = text[text.rfind("\n", 0, match.start()) + 1:match.start()]
        rest = text[match.end():]
        made.append(text[at:match.start()])
        at = match.end()
        if match.start() == 0:
            made.append(re.sub(r"^/\*(\s*\* )[\w/.]+ - ", r"/** @file\1",
                               comment))
        elif before.strip():
            made.append(beside(comment))
        elif is_heading(comment, before, rest):
            made.append(comment)
        else:
            made.append(above(comment, rest))
    return "".join(made) + text[at:]


# ---- whether everything has a comment ----

def undocumented(text):
    lines = text.splitlines()
    for number, line in enumerate(lines):
        guard = re.match(r"#define PHOS_\w+_H$", line)
        if not DECLARATION.match(line) or guard or "PHOS_STATUS_ENTRY" in line:
            continue
        above_it = lines[number - 1]
        same_group = (DECLARATION.match(above_it) and
                      above_it.startswith("#define"))
        if above_it.endswith("*/") or same_group or above_it == "#else" \
                or above_it.startswith("#if"):
            continue
        yield number + 1, line


def main(arguments):
    if arguments[:1] != ["--check"]:
        with open(arguments[0], encoding="utf-8") as file:
            sys.stdout.write(convert(file.read()))
        return 0
    found = 0
    for path in arguments[1:]:
        with open(path, encoding="utf-8") as file:
            for number, line in undocumented(file.read()):
                found += 1
                print(f"{path}:{number}: no comment: {line}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
