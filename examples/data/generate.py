#!/usr/bin/env python3
"""Writes varied AI interactions as NDJSON, one event a line.

    ./generate.py --events 5000 --seed 7 > events.ndjson
    phos send events.ndjson

The lines have the shape of the ingestion schema and are what a real day looks
like: conversations of several turns, users without a session, long answers,
many scripts and emoji, tags, custom keys, and events that know little of
themselves. The same seed gives the same bytes, ids included, so a second run
of `phos send` shows what deduplication does.
"""

import argparse
import datetime
import json
import os
import pathlib
import random
import sys
import uuid

START = datetime.datetime(2025, 1, 27, 6, 0, tzinfo=datetime.timezone.utc)

# name, provider, cents per 1,000 tokens in and out, typical answer in ms
MODELS = [
    ("gpt-4", "openai", 3.0, 6.0, 2400),
    ("gpt-4o-mini", "openai", 0.015, 0.06, 700),
    ("claude-3-5-haiku", "anthropic", 0.08, 0.4, 900),
    ("mistral-small", "mistral", 0.1, 0.3, 600),
    ("llama3.1:8b", "ollama", 0.0, 0.0, 1500),
]
NAMES = ["Ada", "Zoë", "Søren", "Михаил", "Ελένη", "美咲", "김서연", "يوسف", "Ñusta",
         "O'Brien", "Dr. \"Bob\" Tables"]
CITIES = ["Lisbon", "Kraków", "Αθήνα", "北京", "São Paulo", "القاهرة", "Reykjavík",
          "東京", "서울", "Zürich"]
TAGS = ["prod", "staging", "beta", "mobile", "web", "a/b", "größe:xl", "重要", "🔥"]
LOREM = ("The answer depends on three things: what was asked, what is known, "
         "and what it would cost to be wrong. ")

# Pauses between two events of one user in seconds; the service ends a session
# of a user without session id after 30 minutes of silence.
PAUSES_WITHIN = (5, 240)
PAUSES_BETWEEN = (45 * 60, 6 * 3600)


def fill(text, words):
    for placeholder, word in words.items():
        text = text.replace(placeholder, word)
    return text


class Generator:
    def __init__(self, seed, topics):
        self.random = random.Random(seed)
        self.topics = topics

    def chance(self, probability):
        return self.random.random() < probability

    def conversation(self):
        """The events of one conversation, in order."""
        topic = self.random.choice(self.topics)
        model = self.random.choice(MODELS)
        user = f"user-{self.random.randrange(200)}"
        session = f"{user}-{self.random.getrandbits(64):016x}"
        known_by = self.random.choices(
            ["session", "user", "nothing"], [70, 20, 10])[0]
        words = {
            "{n}": str(self.random.randrange(2, 99999)),
            "{name}": self.random.choice(NAMES),
            "{city}": self.random.choice(CITIES),
        }
        at = START + datetime.timedelta(
            milliseconds=self.random.randrange(5 * 86_400_000))
        context = 0
        events = []
        for turn, texts in enumerate(topic["turns"]):
            question, answer = (fill(text, words) for text in texts)
            if self.chance(0.02):
                answer = self.long_answer(answer)
            context += len(question)
            metadata = self.metadata(topic, model, context, len(answer), turn)
            event = self.event(question, answer)
            if known_by == "session":
                event["session_id"] = session
            elif self.chance(0.3):
                event["session_id"] = None
            if known_by == "user" or (known_by == "session"
                                      and self.chance(0.8)):
                metadata["user_id"] = user
            if metadata or self.chance(0.5):
                event["metadata"] = metadata
            event["timestamp"] = self.timestamp(at)
            events.append(event)
            context += len(answer)
            stays = known_by != "user" or self.chance(0.8)
            at += datetime.timedelta(seconds=self.random.uniform(
                *(PAUSES_WITHIN if stays else PAUSES_BETWEEN)))
        return events

    def event(self, question, answer):
        event_id = uuid.UUID(int=self.random.getrandbits(128), version=4)
        return {"event_id": str(event_id), "input": question, "output": answer}

    def long_answer(self, answer):
        """A report of 2 to some 60 kB around the answer."""
        sections = self.random.randrange(4, 24)
        parts = [f"# {answer}\n"]
        for section in range(1, sections + 1):
            repeats = self.random.randrange(2, 20)
            parts.append(f"\n## {section}. {self.random.choice(CITIES)}\n\n"
                         f"{LOREM * repeats}\n\n* {answer}\n")
        return "".join(parts)

    def metadata(self, topic, model, chars_in, chars_out, turn):
        if self.chance(0.05):
            return {}
        name, provider, cents_in, cents_out, typical_ms = model
        tokens_in = max(1, chars_in // 4)
        tokens_out = chars_out // 4
        metadata = {
            "model": name,
            "provider": provider,
            "latency_ms": int(typical_ms * self.random.lognormvariate(0, 0.5)),
            "token_count_input": tokens_in,
            "token_count_output": tokens_out,
            "cost_cents":
                (tokens_in * cents_in + tokens_out * cents_out) / 1000,
        }
        for key in list(metadata):
            if self.chance(0.03):
                del metadata[key]
        if self.chance(0.6):
            metadata["tags"] = self.random.sample(
                TAGS, self.random.randrange(4)) + [topic["topic"]]
        # Keys of the application's own, of every JSON type.
        if self.chance(0.5):
            metadata["language"] = topic["language"]
            metadata["turn"] = turn + 1
        if self.chance(0.3):
            metadata["temperature"] = round(self.random.uniform(0, 2), 2)
            metadata["cached"] = self.chance(0.2)
            metadata["parent"] = None
        if self.chance(0.1):
            metadata["experiment"] = {
                "name": "größer \"ist\" besser?",
                "arm": self.random.choice("AB"),
                "weights": [self.random.random(), 1e-7, 12345678901234567],
            }
        return metadata

    def timestamp(self, at):
        """One moment in the forms that clients really send."""
        form = self.random.randrange(10)
        if form == 0:
            return at.strftime("%Y-%m-%dT%H:%M:%SZ")
        if form == 1:
            return at.isoformat(timespec="milliseconds")
        if form == 2:
            zone = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
            return at.astimezone(zone).isoformat(timespec="microseconds")
        return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def generate(events, seed, topics):
    """Yields `events` lines; conversations overlap as they do on a server."""
    generator = Generator(seed, topics)
    under_way = []
    for _ in range(events):
        while len(under_way) < 8:
            under_way.append(generator.conversation())
        conversation = generator.random.choice(under_way)
        event = conversation.pop(0)
        if not conversation:
            under_way.remove(conversation)
        # Both spellings of JSON text: raw UTF-8 and \u escapes.
        yield json.dumps(event, ensure_ascii=generator.chance(0.2))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--events", type=int, default=2000, metavar="N",
                        help="number of events (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, metavar="S",
                        help="same seed, same bytes (default %(default)s)")
    arguments = parser.parse_args()
    if arguments.events < 0:
        parser.error("--events must not be negative")

    topics_path = pathlib.Path(__file__).with_name("topics.json")
    topics = json.loads(topics_path.read_text(encoding="utf-8"))
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    try:
        for line in generate(arguments.events, arguments.seed, topics):
            print(line)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough, as in `generate.py | head`. What is still
        # buffered goes nowhere, so that exit does not stumble over it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
