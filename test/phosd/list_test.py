"""The lists of many events and sessions: whatever way an answer is found on, it
is what looking at every event gives."""

import concurrent.futures
import datetime
import itertools
import random

from rig import Collector, equal, event, main, test

# More than are sorted as a set, and than are looked at for a total.
EVENTS, SORTED_MAX = 8000, 2000
BEGIN = datetime.datetime(2025, 1, 27, tzinfo=datetime.timezone.utc)


def instant(seconds):
    time = BEGIN + datetime.timedelta(seconds=seconds)
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def make(number, draw):
    """Events of two weeks, one in ten late, some at the same moment. A model
    and a user are common, others rare; one model was given up early."""
    late = draw.randrange(86400) if draw.random() < 0.1 else 0
    seconds = number * 100 - late if number % 7 else number // 50 * 5000
    model = draw.choices(("big", "small", "rare", None),
                         (70, 20, 0.2, 10))[0]
    if number < 4000 and draw.random() < 0.95:
        model = "old"
    known = {"user_id": draw.choices(("everyone", "ann", "bob", None),
                                     (80, 1, 0.1, 19))[0],
             "model": model}
    if draw.random() < 0.6:
        known["tags"] = ["common"]
    elif draw.random() < 0.02:
        known["tags"] = ["scarce"]
    words = ["alpha"] if draw.random() < 0.7 else []
    words += ["Needle"] if draw.random() < 0.004 else []
    words += ["bygone"] if number < 4500 else []
    words += ["zz"] if draw.random() < 0.1 else []
    whole = event(" ".join(words) or "-", timestamp=instant(max(0, seconds)),
                  metadata={n: v for n, v in known.items() if v is not None})
    if draw.random() < 0.9:
        whole["session_id"] = "s-%d" % (number // 4 + draw.randrange(3))
    return whole


class World:
    """What the collector was sent, in the order of its list."""

    def __init__(self, phosd):
        draw = random.Random(9)
        self.phosd = phosd
        self.events = [make(number, draw) for number in range(EVENTS)]
        for at in range(0, EVENTS, 100):
            phosd.ingest(*self.events[at:at + 100])
        self.judge(draw)
        for number, one in enumerate(self.events):
            one["row"] = number
        self.listed = sorted(self.events, reverse=True,
                             key=lambda e: (e["timestamp"], e["row"]))

    def judge(self, draw):
        """More than are sorted have success, few failure."""
        def send(one):
            reply = self.phosd.ask("POST", "/api/feedback", {
                "event_id": one["event_id"], "flag": one["flag"]})
            assert reply.status == 201, reply

        judged = draw.sample(self.events, SORTED_MAX + 1000)
        for number, one in enumerate(judged):
            one["flag"] = "failure" if number < 50 else "success"
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            list(pool.map(send, judged))


def matches(one, filters):
    known = one["metadata"]
    for name, value in filters.items():
        if name == "q" and value.lower() not in one["input"].lower():
            return False
        if name in ("user_id", "model") and known.get(name) != value:
            return False
        if name == "flag" and one.get("flag") != value:
            return False
        if name == "tag" and value not in known.get("tags", []):
            return False
        if name == "session_id" and one.get("session_id") != value:
            return False
        if name == "from_" and one["timestamp"] < value:
            return False
        if name == "to" and one["timestamp"] >= value:
            return False
    return True


CHOICES = {
    "user_id": ("everyone", "ann", "bob", "nobody"),
    "model": ("big", "small", "rare", "old", "none"),
    "flag": ("success", "failure", "none"),
    "q": ("alpha", "needle", "bygone", "zz", "nothing"),
    "from_": (instant(200000), instant(600000.5)),
    "to": (instant(1000000), instant(300000), instant(5000 * 60)),
}


def questions(more):
    """Each filter alone, each pair of filters, and some of three."""
    choices = {**CHOICES, **more}
    draw = random.Random(4)
    for name, values in choices.items():
        for value in values:
            yield {name: value}
    for first, second in itertools.combinations(choices, 2):
        for _ in range(2):
            yield {first: draw.choice(choices[first]),
                   second: draw.choice(choices[second])}
    for _ in range(15):
        names = draw.sample(list(choices), 3)
        yield {name: draw.choice(choices[name]) for name in names}


def check(got, name, want, offset, what):
    """One page and its total; one that is not exact says no more than is."""
    equal([one for one in got[name]], want[offset:offset + 7], what)
    if got["exact"]:
        equal(got["total"], len(want), what)
    else:
        least = min(len(want), offset + 7) if offset < len(want) else 0
        assert least <= got["total"] <= len(want), (what, got["total"])
        assert len(want) > 7 or what, what


def offsets(count):
    return sorted({0, count // 2, max(0, count - 3), count + 1})


def compare_events(world):
    inexact = 0
    for filters in questions({"tag": ("common", "scarce", "none"),
                              "session_id": ("s-5", "none")}):
        want = [one["event_id"] for one in world.listed
                if matches(one, filters)]
        for offset in offsets(len(want)):
            got = world.phosd.get("/api/events", limit=7, offset=offset,
                                  **filters).json
            got["events"] = [one["event_id"] for one in got["events"]]
            check(got, "events", want, offset, (filters, offset))
            inexact += not got["exact"]
    assert inexact > 0, "nothing was too much to be counted"


def session_matches(events, filters):
    """As the page asks: each filter is met by some event of the session."""
    begin = min(one["timestamp"] for one in events)
    end = max(one["timestamp"] for one in events)
    users = [one["metadata"]["user_id"] for one in events
             if "user_id" in one["metadata"]]
    for name, value in filters.items():
        if name == "from_" and end < value:
            return False
        if name == "to" and begin >= value:
            return False
        if name == "user_id" and users[:1] != [value]:
            return False
        if name in ("q", "model", "flag") and not any(
                matches(one, {name: value}) for one in events):
            return False
    return True


def compare_sessions(world):
    sessions = {}
    for one in world.events:
        if "session_id" in one:
            sessions.setdefault(one["session_id"], []).append(one)
    for filters in itertools.islice(questions({}), 0, None, 2):
        # Those that are grouped by their user have names that are not known
        # here: they are left out by asking for what has a name.
        want = {name for name, events in sessions.items()
                if session_matches(events, filters)}
        got, offset = [], 0
        while True:
            page = world.phosd.get("/api/sessions", limit=100, offset=offset,
                                   **filters).json
            got += page["sessions"]
            offset += len(page["sessions"])
            if len(page["sessions"]) < 100:
                break
        equal({one["session_id"] for one in got
               if one["session_id"].startswith("s-")}, want, filters)
        order = [one["ended_at"] for one in got]
        equal(order, sorted(order, reverse=True), filters)
        equal(len({one["session_id"] for one in got}), len(got), filters)
        if page["exact"]:
            equal(page["total"], len(got), filters)
        assert page["total"] <= len(got), (filters, page["total"])


@test
def every_way_to_a_list_gives_the_same_events_and_sessions():
    with Collector() as phosd:
        world = World(phosd)
        everything = phosd.get("/api/events", limit=0).json
        equal((everything["total"], everything["exact"]), (EVENTS, True))
        compare_events(world)
        compare_sessions(world)
        page = phosd.get("/api/sessions", limit=0).json
        equal(page["exact"], True)


main()
