"""The page as it is served: its files, their headers, and what is not in them.
What it does in a browser, test/page/ looks at."""

import re

from rig import Collector, equal, main, test

POLICY = {"default-src": "'none'", "script-src": "'self'",
          "style-src": "'self'", "connect-src": "'self'", "img-src": "'self'",
          "base-uri": "'none'", "form-action": "'none'",
          "frame-ancestors": "'none'"}


def files(phosd):
    """{path: reply} of the page and of all that it names."""
    found = {}
    wanted = ["/"]
    while wanted:
        path = wanted.pop()
        if path in found:
            continue
        found[path] = phosd.ask("GET", path, headers={"Authorization": None})
        text = found[path].body.decode()
        wanted += re.findall(r'(?:src|href)="(/[^"]*)"', text)
        wanted += ["/page/" + name for name in
                   re.findall(r"from '\./([^']+)'", text)]
    return found


@test
def the_page_and_all_it_names_come_without_a_key():
    types = {"": "text/html", "css": "text/css", "js": "text/javascript",
             "svg": "image/svg+xml"}
    with Collector() as phosd:
        found = files(phosd)
        assert len(found) > 10, sorted(found)
        for path, reply in found.items():
            equal(reply.status, 200, path)
            kind = path.rpartition(".")[2] if "." in path else ""
            equal(reply.headers["Content-Type"].split(";")[0], types[kind])
            assert len(reply.body) > 100, path


@test
def each_file_comes_with_a_strict_policy():
    with Collector() as phosd:
        for path, reply in files(phosd).items():
            policy = dict(part.strip().split(" ", 1) for part in
                          reply.headers["Content-Security-Policy"].split(";"))
            equal(policy, POLICY, path)
            equal([reply.headers[name] for name in
                   ("X-Content-Type-Options", "Cache-Control",
                    "Referrer-Policy", "Cross-Origin-Opener-Policy",
                    "Cross-Origin-Resource-Policy")],
                  ["nosniff", "no-store", "no-referrer", "same-origin",
                   "same-origin"], path)


@test
def nothing_in_the_files_makes_markup_of_text_or_leaves_the_collector():
    forbidden = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|srcdoc|"
        r"createContextualFragment|DOMParser|\beval\b|new Function|"
        r"localStorage|sessionStorage|indexedDB|document\.cookie|"
        r"<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=|@import|url\(")
    with Collector() as phosd:
        for path, reply in files(phosd).items():
            text = reply.body.decode()
            equal(forbidden.findall(text), [], path)
            equal([address for address in re.findall(r"https?://[^\s'\"]+",
                                                     text)
                   if address != "http://www.w3.org/2000/svg"], [], path)


@test
def only_get_and_head_and_only_what_there_is():
    with Collector() as phosd:
        head = phosd.ask("HEAD", "/")
        equal((head.status, head.body), (200, b""))
        for path in ("/", "/page/main.js"):
            reply = phosd.ask("POST", path, {})
            equal((reply.status, reply.headers["Allow"]),
                  (405, "GET, HEAD"))
        for path in ("/page", "/page/", "/page/none.js", "/page/../",
                     "/page/index.html", "/page/MAIN.js", "/index.html",
                     "/page/%6dain.js", "/page/meson.build"):
            equal(phosd.ask("GET", path).status, 404, path)
        equal(phosd.ask("GET", "/?anything=1").status, 200)


main()
