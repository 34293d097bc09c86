#!/usr/bin/env python3
"""The documentation site can be made, its links lead somewhere, and it loads
nothing from elsewhere.

    site_test.py SOURCE-ROOT
"""
import collections
import glob
import html.parser
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.parse

from checklist import Checklist, skip_all

LOADED = {"link": "href", "script": "src", "img": "src", "iframe": "src"}


class Page(html.parser.HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.links, self.loads, self.names, self.text = [], [], set(), []
        with open(path, encoding="utf-8") as file:
            self.feed(file.read())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.names |= {attributes[name] for name in ("id", "name")
                       if attributes.get(name)}
        if tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"])
        if attributes.get(LOADED.get(tag)):
            self.loads.append(attributes[LOADED[tag]])

    def handle_data(self, data):
        self.text.append(data)


def is_elsewhere(target):
    return bool(re.match(r"(?:[a-z]+:)?//|(?:mailto|javascript|data):", target))


def broken(pages, site, name, target):
    file, _, anchor = target.partition("#")
    file = urllib.parse.unquote(file) or name
    if file in pages:
        return anchor and urllib.parse.unquote(anchor) not in pages[file].names
    return not os.path.exists(os.path.join(site, file))


def check_links(checks, pages, site):
    wrong = [f"{name}: {target}" for name, page in pages.items()
             for target in page.links + page.loads
             if not is_elsewhere(target) and broken(pages, site, name, target)]
    checks.check(not wrong, "each link within the site leads somewhere", *wrong)
    count = sum(len(page.links) for page in pages.values())
    checks.check(count > 1000, "there are links at all", count)


def check_loads(checks, pages, site):
    wrong = [f"{name}: {target}" for name, page in pages.items()
             for target in page.loads if is_elsewhere(target) and
             not target.startswith("javascript:")]
    for path in glob.glob(os.path.join(site, "**", "*.css"), recursive=True):
        with open(path, encoding="utf-8") as file:
            wrong += [f"{path}: {found}" for found in re.findall(
                r"(?:@import|url\()\s*['\"]?(?:https?:)?//\S+", file.read())]
    checks.check(not wrong, "nothing is loaded from elsewhere", *wrong)


def check_documents(checks, pages, root):
    """Each document is a page, and reached from the list on the left."""
    with open(os.path.join(root, "docs/site/layout.xml"),
              encoding="utf-8") as file:
        listed = re.findall(r'url="@ref ([\w-]+)"', file.read())
    there = [os.path.basename(path)[:-3].lower() for path in
             glob.glob(os.path.join(root, "docs", "*.md"))]
    there += ["contributing", "security", "changelog", "lib-readme",
              "examples-nginx-readme", "phos-1", "phosd-1", "libphos-3"]
    checks.equal(sorted(listed), sorted(there),
                 "docs/site/layout.xml lists each document")
    missing = [name for name in there if name + ".html" not in pages]
    checks.check(not missing, "each document is a page", *missing)


def check_headers(checks, pages):
    """What the header's columns say stands in a table of its own."""
    text = " ".join(" ".join(pages["client_8h.html"].text).split())
    for want in ["Return values PHOS_OK",
                 "PHOS_E_TOO_LARGE rejected, more than event_bytes_max",
                 "Threads any number at once; signal handlers; callbacks."]:
        checks.check(want in text, f"client.h says: {want}", text[:2000])
    leftover = [name for name, page in pages.items()
                if re.search(r"[@\\](?:par|ref|retval|label|param)\b",
                             "".join(page.text)) and "_source" not in name]
    checks.check(not leftover, "no markup of Doxygen is left", *leftover)


def check_guard(checks, root, folder):
    """A public name without a comment is found."""
    path = os.path.join(folder, "bare.h")
    with open(path, "w", encoding="utf-8") as file:
        file.write("#define PHOS_BARE_H\n\n/* One. */\nenum { ONE = 1 };\n\n"
                   "PHOS_EXTERN void phos_bare(void);\n")
    ran = subprocess.run([sys.executable,
                          os.path.join(root, "docs/site/header_filter.py"),
                          "--check", path], capture_output=True, text=True)
    checks.check(ran.returncode == 1 and "phos_bare" in ran.stderr and
                 "ONE" not in ran.stderr,
                 "a name without a comment is an error", ran.stderr)


def main(root):
    for program in ["doxygen", "mandoc"]:
        if not shutil.which(program):
            return skip_all(f"there is no {program}")
    checks = Checklist()
    with tempfile.TemporaryDirectory(prefix="phos-site-") as folder:
        check_guard(checks, root, folder)
        site = os.path.join(folder, "site")
        made = subprocess.run([os.path.join(root, "scripts", "site"), site],
                              capture_output=True, text=True)
        if checks.check(made.returncode == 0, "scripts/site makes it",
                        made.stdout, made.stderr):
            pages = collections.OrderedDict(
                (name, Page(os.path.join(site, name)))
                for name in sorted(os.listdir(site)) if name.endswith(".html"))
            check_links(checks, pages, site)
            check_loads(checks, pages, site)
            check_documents(checks, pages, root)
            check_headers(checks, pages)
    return checks.end()


sys.exit(main(*sys.argv[1:]))
