"""Takes the code blocks out of documents, with what their marks say.

A document is Markdown, or a manual page of which the EXAMPLES count. A mark is
a comment on a line of its own above the block, one mark in each:

    <!-- example: exit 3 -->            .\" example: exit 3

MARKS lists them. A manual page has no tags, so its first mark is the language.
"""
import dataclasses
import re

MARKS = {
    "fragment": "NAME  stands in test/docs/NAME.c, where that says EXAMPLE",
    "quotes": "FILE  these lines stand in FILE, which has tests of its own",
    "file": "NAME  is put there, for the sh blocks of this document",
    "links": "PACKAGE  compiled with what pkg-config says of it too",
    "exit": "N  ends with status N instead of 0",
    "serves": " a server, in the background until the document ends",
    "output": " what the block above prints; … stands for anything",
    "needs": "PROGRAM  skipped where it is not installed",
    "long": " runs in scripts/test --all alone",
    "not run": "REASON  only its syntax is checked",
}
PAGE_MARK = "with phosd"  # of the document, from the mark on

COMMENT = re.compile(r'^\s*(?:<!-- example: (.*?) -->|\.\\" example: (.*))\s*$')
FENCE = re.compile(r"^(\s*)(```+|~~~+)[ \t]*([^`]*?)[ \t]*$")


@dataclasses.dataclass
class Block:
    document: str
    line: int  # of the fence, from 1
    language: str
    text: str
    marks: dict  # {mark: what follows it}
    problem: str = ""  # why it cannot be used

    @property
    def name(self):
        return f"{self.document}:{self.line}"


@dataclasses.dataclass
class Document:
    name: str
    blocks: list
    with_phosd: bool = False


def read_mark(text):
    """The mark and what follows it; an unknown one is None."""
    for mark in MARKS:
        if text == mark:
            return mark, ""
        if re.match(re.escape(mark) + "[: ]", text):
            return mark, text[len(mark):].lstrip(": ")
    return None, text


class Marks:
    """Those above the block to come."""

    def __init__(self, document):
        self.document = document
        self.forget()

    def forget(self):
        self.found, self.problem, self.words = {}, "", []

    def take(self, line):
        """True: the line was a mark."""
        comment = COMMENT.match(line)
        if not comment:
            return False
        text = comment[1] or comment[2]
        mark, rest = read_mark(text)
        if text == PAGE_MARK:
            self.document.with_phosd = True
        elif mark:
            self.found[mark] = rest
        else:
            self.words.append(text)
        return True

    def give(self, line, language, text):
        """The block below them."""
        words = self.words
        if not language and words:
            language, words = words[0], words[1:]
        problem = f"there is no mark {words[0]!r}" if words else ""
        block = Block(self.document.name, line, language, text, self.found,
                      problem)
        self.forget()
        return block


def is_indented_code(before, line, in_list):
    return (not in_list and before.strip() == "" and
            re.match(r"^(    |\t)\s*\S", line))


def read_markdown(name, text):
    document = Document(name, [])
    marks = Marks(document)
    lines = text.splitlines()
    at, before, in_list = 0, "", False
    while at < len(lines):
        line, start = lines[at], at
        fence = FENCE.match(line)
        at += 1
        if fence:
            body = []
            end = re.compile(rf"^\s*{fence[2]}+\s*$")
            while at < len(lines) and not end.match(lines[at]):
                body.append(re.sub(rf"^ {{0,{len(fence[1])}}}", "", lines[at]))
                at += 1
            at += 1
            document.blocks.append(marks.give(
                start + 1, fence[3], "".join(one + "\n" for one in body)))
        elif is_indented_code(before, line, in_list):
            block = marks.give(start + 1, "text", line)
            block.problem = "an indented block has no tag: put it in a fence"
            document.blocks.append(block)
        elif not marks.take(line) and line.strip():
            marks.forget()
            in_list = bool(re.match(r"\s*([-*+]|\d+[.)]) ", line)) or (
                in_list and line.startswith(" "))
        before = line
    return document


def read_manual(name, text):
    document = Document(name, [])
    marks = Marks(document)
    in_examples = False
    body = None
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith(".Sh "):
            in_examples = line == ".Sh EXAMPLES"
        elif not in_examples:
            continue
        elif line.startswith(".Bd"):
            body, start = [], number
        elif line == ".Ed":
            document.blocks.append(marks.give(
                start, "", "".join(one + "\n" for one in body)))
            body = None
        elif body is not None:
            body.append(re.sub(r"\\e", r"\\", line))
        elif not marks.take(line):
            marks.forget()
    return document


def read(path, name):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    return (read_markdown if name.endswith(".md") else read_manual)(name, text)
