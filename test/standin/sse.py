"""sse - event streams as bytes, with the faults that a script asks for.

A frame is a list of (field, value) pairs, or bytes that go out as they are.
The options that hold for every service's streams:

    line_end     "lf", "cr", "crlf" or "mixed", another one for each frame
    bom          a byte order mark in front
    comments     a comment in front of each frame
    retry        a line with this number of milliseconds in front of all
    insert       [{"at": 1, "lines": [["event", "x"], ["data", "y"]]}, or
                 "raw": text instead of lines]: goes out before that frame
    silence      frames after which nothing comes until released
    truncate     frames after which the body ends, as if all were said
    done         [DONE] as the last frame
    last_blank   false: no empty line after the last frame
    file         of frames/: this instead of what the service has to say
    raw          this text instead
"""
import itertools
import json
import pathlib

from httpd import HOLD, Reply

FRAMES = pathlib.Path(__file__).parent / "frames"
ENDS = {"lf": ["\n"], "cr": ["\r"], "crlf": ["\r\n"],
        "mixed": ["\n", "\r\n", "\r"]}
BATCH_BYTES = 1 << 15
MARK = "\x01"  # stands in a frame for what is stamped into it


def ends_of(options):
    return itertools.cycle(ENDS[options.get("line_end", "lf")])


def lines_of(frame, end):
    """The frame without the empty line that ends it."""
    return "".join(f"{field}: {line}{end}" for field, value in frame
                   for line in str(value).split("\n")).encode()


def stamps(frame, options):
    """The whole frame as bytes around the place of MARK, for streams of which
    each frame differs from the next in one word."""
    end = next(ends_of(options))
    head, tail = (lines_of(frame, end) + end.encode()).split(
        json.dumps(MARK)[1:-1].encode())
    return head, tail


def inserted(options, at, end):
    for extra in options.get("insert", []):
        if extra["at"] == at:
            if "raw" in extra:
                yield extra["raw"].encode()
            else:
                yield lines_of(extra["lines"], end) + end.encode()


async def spoken(frames, options):
    """(bytes of a frame, bytes that end it) and HOLD, in their order."""
    ends = ends_of(options)
    end = next(ends)
    if options.get("bom"):
        yield b"\xef\xbb\xbf", b""
    if "retry" in options:
        yield f"retry: {options['retry']}{end}".encode(), end.encode()
    count = 0
    async for frame in frames:
        for extra in inserted(options, count, end):
            yield extra, b""
        if options.get("silence") == count:
            yield HOLD
        if options.get("truncate") == count:
            return
        if options.get("comments"):
            yield f": ping{end}".encode(), end.encode()
        if isinstance(frame, bytes) or frame is HOLD:
            yield frame if frame is HOLD else (frame, b"")
        else:
            yield lines_of(frame, end), end.encode()
        count += 1
        end = next(ends)
    for extra in inserted(options, count, end):
        yield extra, b""
    if options.get("silence") == count:
        yield HOLD
    if options.get("done"):
        yield f"data: [DONE]{end}".encode(), end.encode()


async def written(frames, options):
    """What goes out: each frame at once, or many together where a stream is
    long."""
    batch = BATCH_BYTES if options.get("tokens", 0) > 1000 else 0
    out = bytearray()
    try:
        if "raw" in options or "file" in options:
            yield (options["raw"].encode() if "raw" in options
                   else (FRAMES / options["file"]).read_bytes())
            return
        last = b""
        async for part in spoken(frames, options):
            out += last
            last = b""
            if part is HOLD:
                yield bytes(out)
                out.clear()
                yield HOLD
                continue
            out += part[0]
            last = part[1]
            if options.get("last_blank", True):
                out += last
                last = b""
            if len(out) > batch:
                yield bytes(out)
                out.clear()
        yield bytes(out)
    finally:
        await frames.aclose()


def reply(frames, options, headers=()):
    return Reply(200, headers=[("Content-Type", "text/event-stream"),
                               *headers], frames=written(frames, options))
