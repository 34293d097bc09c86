#!/usr/bin/env python3
"""Gives Doxygen a page of Markdown as it wants it.

    page_filter.py PAGE

Headings get the names by which links know them on the web; links to other
pages, headers and examples become Doxygen's. What the site does not have is
named without a link.
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))


def page_name(path):
    """The page of a document, by its path in the source tree."""
    name = re.sub(r"\.md$", "", path).removeprefix("docs/")
    return "index" if name == "README" else name.replace("/", "-").lower()


def anchor(heading):
    heading = re.sub(r"[^\w\- ]", "", heading.lower())
    return heading.strip().replace(" ", "-")


def mangled(path):
    """Doxygen's name of the page that lists a file."""
    name = re.sub(r"[A-Z]", lambda letter: "_" + letter[0].lower(),
                  os.path.basename(path).replace("_", "__"))
    return name.replace(".", "_8") + "_source.html"


def link(text, target, path):
    if re.match(r"[a-z]+:", target):
        return f"[{text}]({target})"
    file, _, heading = target.partition("#")
    file = os.path.normpath(os.path.join(os.path.dirname(path), file)) \
        if file else path
    if file.endswith((".png", ".svg", "-openapi.yaml")):
        return f"[{text}]({os.path.basename(file)})"
    if file.endswith(".md"):
        name = page_name(file)
        page = name + ".html"
        return f"[{text}]({page}#{name}_{heading})" if heading else \
            f"[{text}]({page})"
    if re.match(r"(include/phos|examples)/\w+\.[ch](pp)?$", file):
        return f"[{text}]({mangled(file)})"
    return text


def convert_line(line, path, given):
    name = page_name(path)
    heading = re.match(r"^(#+)\s+(.*?)\s*$", line)
    if heading:
        title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[2])
        if len(heading[1]) > 1:
            name += "_" + anchor(title)
            given.append(name)
            again = given.count(name) - 1
            name += f"-{again}" if again else ""
        name = "mainpage" if name == "index" else name  # Doxygen's word
        return f"{heading[1]} {title.replace('`', '')} {{#{name}}}\n"
    # Outside of `code`, which stands in every second part.
    line = re.sub(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)",
                  lambda found: link(found[1], found[2], path), line)
    parts = line.split("`")
    parts[::2] = [re.sub(r"(?<![\w\\])([@\\])(?=\w)", r"\\\1", part)
                  for part in parts[::2]]
    return "`".join(parts)


def convert(text, path):
    made, fence, given = [], None, []
    for line in text.splitlines(keepends=True):
        mark = re.match(r"^\s*(```+|~~~+)", line)
        if fence:
            made.append(line)
            fence = None if line.strip() == fence else fence
        elif mark:
            fence = mark[1]
            # What is no code of C is shown as it is.
            made.append(line if re.search(r"`(c|cpp)$", line.strip())
                        else mark[0] + "{.unparsed}\n")
        elif line.startswith("<!-- example: "):
            made.append("\n")
        else:
            made.append(convert_line(line, path, given))
    return "".join(made)


def main(path):
    path = os.path.abspath(path)
    with open(path, encoding="utf-8") as file:
        sys.stdout.write(convert(file.read(), os.path.relpath(path, ROOT)))


if __name__ == "__main__":
    main(sys.argv[1])
