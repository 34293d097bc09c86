"""The page in a browser, against a collector of its own."""

import datetime
import json
import os
import sys
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "phosd"))

import browser as chromium
from hostile import texts

if not chromium.find():
    print("1..0 # SKIP chromium is not installed")
    sys.exit(0)

from rig import KEY, Collector, equal, event, main, test

# Runs before the page's own scripts; its names are what the tests look at.
WATCH = """
    window.breaches = [];
    window.harmed = 0;
    window.alert = window.confirm = window.prompt = () => { harmed = 1; };
    document.addEventListener('securitypolicyviolation', (event) =>
        breaches.push(event.violatedDirective + ' ' + event.blockedURI));
"""


def ago(**time):
    then = datetime.datetime.now(datetime.timezone.utc)
    return (then - datetime.timedelta(**time)).isoformat()


class Page(chromium.Browser):
    """The page of a collector; at its end nothing must have gone wrong."""

    def __init__(self, collector):
        self.home = "http://127.0.0.1:%d/" % collector.port

    def __enter__(self):
        super().__enter__()
        self.size(1280, 900)
        self.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        self.open(self.home)
        self.wait("document.querySelector('#key')")
        return self

    def __exit__(self, kind, value, trace):
        try:
            if kind is None:
                self.check()
        finally:
            super().__exit__(kind, value, trace)

    def check(self):
        equal(self.script("[harmed, breaches]"), [0, []])
        equal(self.complaints(), [])
        # The browser draws its own controls with data: addresses.
        outside = [url for url in self.requests()
                   if not url.startswith((self.home, "data:"))]
        equal(outside, [])

    def enter(self, key=KEY):
        self.type("#key", key)
        self.press("Enter", "\r")

    def unlock(self, view=""):
        if view:
            self.script("location.hash = %s" % json.dumps(view))
        self.enter()
        self.wait("!document.querySelector('#nav').hidden")
        self.settle()

    def settle(self):
        self.wait("document.querySelector('main > .view') &&"
                  " !document.querySelector('.skeleton, [aria-busy]')")

    def go(self, view):
        """To another view, which must not be the one that is shown."""
        self.script("document.querySelector('main > .view').remove();"
                    " location.hash = %s" % json.dumps(view))
        self.settle()

    def rows(self):
        return self.script("[...document.querySelectorAll('.row-id')]"
                           ".map((node) => node.textContent)")

    def wait_rows(self, *names):
        self.wait("JSON.stringify([...document.querySelectorAll('.row-id')]"
                  ".map((node) => node.textContent).sort()) === %s"
                  % json.dumps(json.dumps(sorted(names),
                                          separators=(",", ":"))),
                  "the rows %s" % (names,))


@test
def a_breach_of_the_policy_would_be_seen():
    with Collector() as phosd:
        page = Page(phosd)
        with page:
            page.script("""document.body.append(Object.assign(
                document.createElement('script'),
                { textContent: 'window.harmed = 1' }))""")
            page.wait("breaches.length > 0")
            page.script("""document.body.append(Object.assign(
                document.createElement('img'),
                { src: 'http://127.0.0.1:1/x.png' }))""")
            page.wait("breaches.length > 1")
            equal(page.script("harmed"), 0)
            assert page.complaints(), "the log tells of it as well"
            page.script("breaches.length = 0")
            page.events.clear()


@test
def a_wrong_key_is_told_and_the_right_one_opens():
    with Collector() as phosd, Page(phosd) as page:
        equal(page.script("document.activeElement.id"), "key")
        page.enter("ph_wrong")
        page.wait("document.querySelector('#key-error').textContent ==="
                  " 'This key is not known here.'")
        equal(page.script("document.querySelector('#key')"
                          ".getAttribute('aria-invalid')"), "true")
        page.enter("no t\u00e4xt")
        page.wait("document.querySelector('#key-error').textContent"
                  ".startsWith('A key has no blanks')")
        page.unlock()
        assert "Nothing has arrived yet" in page.text(), page.text()


@test
def the_key_is_kept_nowhere_but_in_memory():
    with Collector() as phosd, Page(phosd) as page:
        page.unlock("#/sessions")
        kept = page.script("""JSON.stringify([location.href, document.cookie,
            { ...localStorage }, { ...sessionStorage }, history.state,
            document.documentElement.outerHTML])""")
        assert KEY not in kept, kept
        equal([url for url in page.requests() if KEY in url], [])
        page.open(page.home)
        page.wait("document.querySelector('#key')")
        page.unlock()
        page.click("#lock")
        page.wait("document.querySelector('#key') &&"
                  " document.querySelector('#nav').hidden")
        assert "Nothing" not in page.text(), page.text()


@test
def sessions_are_listed_filtered_and_stay_in_the_address():
    with Collector() as phosd, Page(phosd) as page:
        ids = phosd.ingest(
            event("the red fox", session_id="one", timestamp=ago(hours=2),
                  metadata={"user_id": "ann", "model": "big"}),
            event("the blue whale", session_id="two", timestamp=ago(days=3),
                  metadata={"user_id": "bob", "model": "big"}),
            event("a red wine", session_id="three", timestamp=ago(minutes=1),
                  metadata={"user_id": "ann", "model": "small"}))
        phosd.ask("POST", "/api/feedback",
                  {"event_id": ids[1], "flag": "failure"})
        page.unlock("#/sessions")
        equal(page.rows(), ["three", "one", "two"])

        page.type("[name=user_id]", "ann")
        page.wait_rows("one", "three")
        page.type("[name=q]", "fox")
        page.wait_rows("one")
        equal(page.script("location.hash"), "#/sessions?q=fox&user_id=ann")
        page.go("#/sessions?model=big")
        page.wait_rows("one", "two")
        equal(page.script("document.querySelector('[name=model]').value"),
              "big")
        page.choose("[name=range]", "24h")
        page.wait_rows("one")
        page.choose("[name=range]", "")
        page.choose("[name=flag]", "failure")
        page.wait_rows("two")
        page.type("[name=model]", "none such")
        page.wait("document.querySelector('.notice')?.textContent"
                  ".includes('No sessions match')")
        page.type("[name=q]", '"open')
        page.wait("document.querySelector('.notice')?.textContent"
                  ".includes('quotation mark is never closed')")
        equal(page.rows(), [])
        page.go("#/sessions?range=own&from=" + urllib.parse.quote(
            ago(days=4)[:16]) + "&to=" + urllib.parse.quote(ago(days=1)[:16]))
        page.wait_rows("two")


@test
def a_session_opens_as_a_timeline_by_keyboard_alone():
    with Collector() as phosd, Page(phosd) as page:
        phosd.ingest(
            event("How tall is K2?", output="8,611 m.", session_id="a/b c",
                  timestamp=ago(minutes=2),
                  metadata={"model": "big", "latency_ms": 412,
                            "token_count_input": 6, "token_count_output": 1500,
                            "cost_cents": 0.4, "user_id": "ann",
                            "tags": ["prod"], "release": "2024.11",
                            "nested": {"a": [1, None]}}),
            event("And Everest?", session_id="a/b c", timestamp=ago(minutes=1),
                  metadata={}))
        page.unlock("#/sessions")
        page.script("document.querySelector('[name=flag]').focus()")
        page.press("Tab")
        equal(page.script("document.activeElement.className"), "row")
        equal(page.script("getComputedStyle(document.activeElement)"
                          ".outlineStyle"), "solid")
        page.press("Enter", "\r")
        page.wait("document.querySelectorAll('.turn').length === 2")
        equal(page.script("location.hash"), "#/session/a%2Fb%20c")
        text = page.script("document.querySelector('main').innerText")
        for word in ("a/b c", "How tall is K2?", "8,611 m.", "big", "412",
                     "6 \u2192 1,500", "0.4", "#prod", "release", "2024.11",
                     '{"a":[1,null]}', "And Everest?", "ann"):
            assert word in text, (word, text)
        assert text.index("K2") < text.index("Everest")
        page.click(".back")
        page.wait_rows("a/b c")


@test
def a_thumb_gives_feedback_and_a_comment_goes_with_it():
    with Collector() as phosd, Page(phosd) as page:
        [made] = phosd.ingest(event(session_id="s"))
        page.unlock("#/session/s")
        page.wait("document.querySelector('.thumb.failure')")
        page.click(".thumb.failure")
        page.wait("document.querySelector('.thumb.failure')"
                  ".getAttribute('aria-pressed') === 'true'")
        equal(phosd.get("/api/events/" + made).json["feedback"],
              {"flag": "failure", "comment": None, "source": "page"})
        # The sums tell of it by themselves, and the form stays meanwhile.
        page.type(".comment-input", "wrong mountain")
        page.wait("document.querySelector('.sums').textContent.includes('0%')")
        equal(page.script("document.querySelector('.comment-input').value"),
              "wrong mountain")
        page.press("Enter", "\r")
        page.wait("document.querySelector('.remark').textContent"
                  ".includes('wrong mountain')")
        equal(phosd.get("/api/events/" + made).json["feedback"],
              {"flag": "failure", "comment": "wrong mountain",
               "source": "page"})
        page.click(".thumb.success")
        page.wait("document.querySelector('.sums').textContent"
                  ".includes('100%')")
        equal(phosd.get("/api/events/" + made).json["feedback"],
              {"flag": "success", "comment": "wrong mountain",
               "source": "page"})


@test
def what_arrives_appears_by_itself_and_waits_while_nobody_looks():
    with Collector() as phosd, Page(phosd) as page:
        page.unlock("#/sessions")
        equal(page.rows(), [])
        phosd.ingest(event(session_id="first"))
        page.wait_rows("first")
        page.script("""Object.defineProperty(document, 'hidden',
            { value: true, configurable: true });
            document.dispatchEvent(new Event('visibilitychange'))""")
        page.wait("document.querySelector('#live-text').textContent ==="
                  " 'Paused'")
        phosd.ingest(event(session_id="second"))
        page.script("delete document.hidden;"
                    "document.dispatchEvent(new Event('visibilitychange'))")
        page.wait_rows("first", "second")
        equal(page.script("document.querySelector('#live-text').textContent"),
              "Live")


@test
def a_collector_that_is_gone_is_told_and_found_again():
    with Collector() as phosd:
        phosd.ingest(event(session_id="s"))
        with Page(phosd) as page:
            page.unlock("#/sessions")
            port = phosd.port
            phosd.stop()
            page.wait("document.querySelector('#state').dataset.state ==="
                      " 'failing'")
            assert "does not answer" in page.text(), page.text()
            equal(page.rows(), ["s"])  # what was there stays
            phosd.listen = "127.0.0.1:%d" % port
            phosd.start()
            page.wait("document.querySelector('#state').dataset.state ==="
                      " 'live'")
            equal(page.rows(), ["s"])
            assert "does not answer" not in page.text(), page.text()


@test
def a_key_that_is_taken_away_is_asked_for_again():
    with Collector() as phosd:
        phosd.ingest(event(session_id="s"))
        with Page(phosd) as page:
            page.unlock("#/sessions")
            phosd.stop()
            phosd.listen = "127.0.0.1:%d" % phosd.port
            phosd.environment["PHOSPHO_API_KEY"] = "ph_other"
            phosd.start()
            page.wait("document.querySelector('#key-error')?.textContent ==="
                      " 'This key is no longer accepted.'")
            equal(page.rows(), [])
            page.enter("ph_other")
            page.wait("document.querySelector('.notice')?.textContent"
                      ".includes('Nothing has arrived yet')")


@test
def events_without_a_session_are_found_from_the_list_of_sessions():
    with Collector() as phosd, Page(phosd) as page:
        phosd.ingest(event("all alone"))
        page.unlock("#/sessions")
        page.wait("document.querySelector('.notice')?.textContent"
                  ".includes('No sessions yet')")
        page.click(".notice a")
        page.wait("document.querySelector('.turn')?.textContent"
                  ".includes('all alone')")


@test
def long_lists_come_in_pages():
    with Collector() as phosd, Page(phosd) as page:
        for at in range(0, 60, 20):
            phosd.ingest(*[event(session_id="s%02d" % n,
                                 timestamp=ago(minutes=n))
                           for n in range(at, at + 20)])
        page.unlock("#/sessions")
        equal(page.rows(), ["s%02d" % n for n in range(25)])
        page.click("[rel=next]")
        page.wait_rows(*["s%02d" % n for n in range(25, 50)])
        page.click("[rel=next]")
        page.wait_rows(*["s%02d" % n for n in range(50, 60)])
        equal(page.script("document.querySelector('[rel=next]')"), None)
        assert "51\u201360 of 60" in page.text(), page.text()
        page.click("[rel=prev]")
        page.wait_rows(*["s%02d" % n for n in range(25, 50)])


@test
def the_overview_draws_what_the_statistics_say():
    with Collector() as phosd, Page(phosd) as page:
        phosd.ingest(*[event(session_id="s", timestamp=ago(minutes=20 * n),
                             metadata={"model": "m%d" % (n % 2),
                                       "latency_ms": 100 + n,
                                       "token_count_input": 10,
                                       "token_count_output": 20,
                                       "cost_cents": 50})
                       for n in range(40)])
        page.unlock()
        page.wait("document.querySelectorAll('.plot rect').length > 20")
        figures = page.script("[...document.querySelectorAll('.figure')]"
                              ".map((node) => node.textContent)")
        equal(figures, ["40", "1,200", "$20.00", "119\u00a0ms", "\u2013"])
        equal(page.script("[...document.querySelectorAll('tbody th bdi')]"
                          ".map((node) => node.textContent).sort()"),
              ["m0", "m1"])
        page.script("document.querySelector('.plot > svg').focus()")
        page.press("ArrowLeft")
        reading = page.script("document.querySelector('.reading').textContent")
        assert reading.split(": ")[-1].isdigit(), reading
        page.choose(".head select", "1h")
        page.wait("document.querySelector('.figure').textContent === '3' &&"
                  " location.hash === '#/overview?range=1h'")


@test
def old_events_alone_are_shown_without_asking():
    with Collector() as phosd, Page(phosd) as page:
        phosd.ingest(event(timestamp="2020-01-01T00:00:00Z"))
        page.unlock()
        page.wait("document.querySelector('.figure')?.textContent === '1'")
        equal(page.script("document.querySelector('.head select').value"),
              "all")


@test
def every_view_fits_a_phone_in_light_and_in_dark():
    with Collector() as phosd, Page(phosd) as page:
        phosd.ingest(event("x" * 2000, session_id="s" * 300,
                           metadata={"model": "m" * 300, "user_id": "u" * 300,
                                     "k" * 300: "v" * 300,
                                     "tags": ["t" * 300]}))
        page.unlock()
        backs = set()
        for dark in (False, True):
            page.size(390, 844, dark)
            for view in ("#/overview", "#/sessions", "#/events",
                         "#/session/" + "s" * 300):
                page.go(view)
                equal(page.script("document.documentElement.scrollWidth"),
                      390, view)
            backs.add(page.script(
                "getComputedStyle(document.body).backgroundColor"))
        equal(len(backs), 2)


@test
def three_hundred_hostile_texts_stay_texts():
    strings = texts()
    with Collector() as phosd, Page(phosd) as page:
        made = [event(text, output=text, session_id=text,
                      timestamp="2025-01-31T12:%02d:%02dZ" % divmod(n, 60),
                      metadata={"model": text, "provider": text,
                                "user_id": text, "tags": [text, text],
                                "key " + text: text, "deep": {text: [text]}})
                for n, text in enumerate(strings)]
        for at in range(0, 300, 100):
            phosd.ingest(*made[at:at + 100])
        for one in made:
            body = {"event_id": one["event_id"], "flag": one["input"] or "-",
                    "comment": one["input"], "source": one["input"]}
            equal(phosd.ask("POST", "/api/feedback", body).status, 201)

        page.unlock("#/overview?range=all")
        page.wait("document.querySelector('tbody tr')")
        page.check()
        titles, begins, shown = [], [], []
        for number in range(1, 13):
            page.go("#/sessions?page=%d" % number)
            titles += page.rows()
            begins += page.script(
                "[...document.querySelectorAll('.row-title')]"
                ".map((node) => node.textContent)")
            page.go("#/events?page=%d" % number)
            shown += page.script("""[...document.querySelectorAll('.turn')].map(
                (turn) => [...turn.querySelectorAll('.text')].map(
                    (node) => node.textContent))""")
            page.check()
        newest = strings[::-1]
        equal(titles, [text or "(empty id)" for text in newest])
        equal(begins, [text[:200] or "(empty)" for text in newest])
        equal(shown, [[text or "(empty)"] * 2 for text in newest])
        for text in strings:
            page.go("#/session/" + urllib.parse.quote(text, safe=""))
            page.wait("document.querySelector('.turn, .notice')")
        page.check()
        for text in strings[::10]:
            page.go("#/events?" + urllib.parse.urlencode(
                {"q": text, "user_id": text, "model": text, "flag": text,
                 "range": text, "page": text}))
        page.check()


main()
