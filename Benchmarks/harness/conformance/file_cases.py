"""What RFC 9110 asks of a server of files: conditions, ranges, HEAD and what answers have."""

from __future__ import annotations

import os
from email.utils import formatdate
from pathlib import Path

from . import exchange
from .case import PASSED, Case, Expected, Kind, Result, failed, unseen
from .exchange import Answer

CONTENT = b"0123456789"
#: When the file was changed last: long ago, at a whole second.
CHANGED = 1_700_000_000
TARGET = "/ten.txt"
DATE = r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT"


def prepare(folder: Path) -> None:
    """Writes the files that the cases ask for."""
    for name, content in (("ten.txt", CONTENT), ("empty.txt", b"")):
        path = folder / name
        path.write_bytes(content)
        os.utime(path, (CHANGED, CHANGED))


def known(port: int) -> Answer:
    """The file as it is asked for plainly."""
    return exchange.ask(port, "GET", TARGET)


def filled(text: str, plain: Answer) -> str:
    """A value with what the server told before: its tag, and dates around the last change."""
    tag = plain.value("ETag") or ""
    return text.format(
        tag=tag,
        opaque=tag.removeprefix("W/"),
        changed=formatdate(CHANGED, usegmt=True),
        before=formatdate(CHANGED - 1, usegmt=True),
        after=formatdate(CHANGED + 1, usegmt=True),
    )


def case(
    name: str,
    section: str,
    fields: dict[str, str],
    expected: Expected,
    kind: Kind = Kind.REQUIRED,
    method: str = "GET",
    target: str = TARGET,
) -> Case:
    """A case of one request."""

    def run(port: int) -> Result:
        plain = known(port)
        if plain.status != 200 or plain.body != CONTENT:
            return unseen("the file is not served")
        needs_tag = any("{tag}" in value or "{opaque}" in value for value in fields.values())
        if needs_tag and not plain.value("ETag"):
            return unseen("there is no ETag")
        asked = [(each, filled(value, plain)) for each, value in fields.items()]
        difference = expected.difference(exchange.ask(port, method, target, asked))
        return PASSED if difference is None else failed(difference)

    return Case(name, section, kind, run)


WHOLE = Expected((200,), CONTENT)
UNCHANGED = Expected((304,), b"")
FAILED = Expected((412,))


def part(first: int, last: int) -> Expected:
    """One part of the file."""
    return Expected(
        (206,),
        CONTENT[first : last + 1],
        {"Content-Range": f"bytes {first}-{last}/10", "Content-Length": str(last + 1 - first)},
    )


NOT_THERE = Expected((416,), fields={"Content-Range": r"bytes \*/10"})
SECOND_FORM = "Tuesday, 14-Nov-23 22:13:20 GMT"
THIRD_FORM = "Tue Nov 14 22:13:20 2023"


def head_is_get(port: int) -> Result:
    """HEAD has the fields of GET, and no content."""
    get, head = known(port), exchange.ask(port, "HEAD", TARGET)
    if head.status != get.status or head.body:
        return failed(f"{head.status} with {len(head.body)} bytes")
    for name in ("Content-Length", "Content-Type", "ETag", "Last-Modified"):
        if head.value(name) != get.value(name):
            return failed(f"{name} is {head.value(name)!r}, in GET {get.value(name)!r}")
    return PASSED


def parts_are_right(port: int) -> Result:
    """Several ranges come as several parts, each with its range and its content."""
    answer = exchange.ask(port, "GET", TARGET, [("Range", "bytes=0-1,5-6")])
    if answer.status != 206:
        return failed(f"{answer.status} instead of 206")
    kind, _, boundary = (answer.value("Content-Type") or "").partition("boundary=")
    if not kind.startswith("multipart/byteranges"):
        return failed(f"Content-Type is {kind!r}")
    if answer.value("Content-Range") is not None:
        return failed("Content-Range is there, beside the parts")
    pieces = answer.body.split(b"--" + boundary.strip('"').encode())
    found = []
    for piece in pieces[1:-1]:
        head, _, content = piece.partition(b"\r\n\r\n")
        found.append((b"content-range: bytes" in head.lower(), content.removesuffix(b"\r\n")))
    if found != [(True, b"01"), (True, b"56")] or not pieces[-1].startswith(b"--"):
        return failed(f"the parts are {found}")
    return PASSED


def same_validators(port: int) -> Result:
    """A part has the validators of the whole."""
    whole = known(port)
    answer = exchange.ask(port, "GET", TARGET, [("Range", "bytes=0-1")])
    if answer.status != 206:
        return unseen("there are no parts")
    for name in ("ETag", "Last-Modified"):
        if answer.value(name) != whole.value(name):
            return failed(f"{name} is {answer.value(name)!r}")
    return PASSED


CASES = [
    # Tags
    case("If-Match with the tag", "9110 13.1.1", {"If-Match": "{tag}"}, WHOLE),
    case("If-Match with *", "9110 13.1.1", {"If-Match": "*"}, WHOLE),
    case("If-Match with the tag among others", "9110 13.1.1", {"If-Match": '"x", {tag}'}, WHOLE),
    case("If-Match with another tag", "9110 13.1.1", {"If-Match": '"x"'}, FAILED),
    case("If-Match with the tag as a weak one", "9110 13.1.1", {"If-Match": "W/{opaque}"}, FAILED),
    case("If-None-Match with the tag", "9110 13.1.2", {"If-None-Match": "{tag}"}, UNCHANGED),
    case("If-None-Match with *", "9110 13.1.2", {"If-None-Match": "*"}, UNCHANGED),
    case(
        "If-None-Match with the tag among others",
        "9110 13.1.2",
        {"If-None-Match": '"x", {tag}, "y"'},
        UNCHANGED,
    ),
    case(
        "If-None-Match with a comma in another tag",
        "9110 8.8.3",
        {"If-None-Match": '"x,y", {tag}'},
        UNCHANGED,
    ),
    case(
        "If-None-Match compares weakly",
        "9110 13.1.2",
        {"If-None-Match": "W/{opaque}"},
        UNCHANGED,
    ),
    case("If-None-Match with another tag", "9110 13.1.2", {"If-None-Match": '"x"'}, WHOLE),
    case(
        "If-None-Match with HEAD",
        "9110 13.1.2",
        {"If-None-Match": "{tag}"},
        UNCHANGED,
        method="HEAD",
    ),
    # Dates
    case(
        "If-Modified-Since with the date",
        "9110 13.1.3",
        {"If-Modified-Since": "{changed}"},
        UNCHANGED,
    ),
    case(
        "If-Modified-Since with a later date",
        "9110 13.1.3",
        {"If-Modified-Since": "{after}"},
        UNCHANGED,
    ),
    case(
        "If-Modified-Since with an earlier date",
        "9110 13.1.3",
        {"If-Modified-Since": "{before}"},
        WHOLE,
    ),
    case(
        "If-Modified-Since with no date", "9110 13.1.3", {"If-Modified-Since": "yesterday"}, WHOLE
    ),
    case(
        "If-Modified-Since in the form of RFC 850",
        "9110 5.6.7",
        {"If-Modified-Since": SECOND_FORM},
        UNCHANGED,
    ),
    case(
        "If-Modified-Since in the form of asctime",
        "9110 5.6.7",
        {"If-Modified-Since": THIRD_FORM},
        UNCHANGED,
    ),
    case(
        "If-None-Match makes If-Modified-Since not count",
        "9110 13.1.3",
        {"If-None-Match": '"x"', "If-Modified-Since": "{after}"},
        WHOLE,
    ),
    case(
        "If-Unmodified-Since with the date",
        "9110 13.1.4",
        {"If-Unmodified-Since": "{changed}"},
        WHOLE,
    ),
    case(
        "If-Unmodified-Since with a later date",
        "9110 13.1.4",
        {"If-Unmodified-Since": "{after}"},
        WHOLE,
    ),
    case(
        "If-Unmodified-Since with an earlier date",
        "9110 13.1.4",
        {"If-Unmodified-Since": "{before}"},
        FAILED,
    ),
    case("If-Unmodified-Since with no date", "9110 13.1.4", {"If-Unmodified-Since": "x"}, WHOLE),
    # Order
    case(
        "If-Match makes If-Unmodified-Since not count",
        "9110 13.2.2",
        {"If-Match": "{tag}", "If-Unmodified-Since": "{before}"},
        WHOLE,
    ),
    case(
        "If-Match comes before If-None-Match",
        "9110 13.2.2",
        {"If-Match": '"x"', "If-None-Match": "{tag}"},
        FAILED,
    ),
    case(
        "a condition comes before the range",
        "9110 13.2.2",
        {"If-None-Match": "{tag}", "Range": "bytes=0-1"},
        UNCHANGED,
    ),
    # If-Range
    case(
        "If-Range with the tag",
        "9110 13.1.5",
        {"Range": "bytes=0-1", "If-Range": "{tag}"},
        part(0, 1),
    ),
    case(
        "If-Range with another tag", "9110 13.1.5", {"Range": "bytes=0-1", "If-Range": '"x"'}, WHOLE
    ),
    case(
        "If-Range with the tag as a weak one",
        "9110 13.1.5",
        {"Range": "bytes=0-1", "If-Range": "W/{opaque}"},
        WHOLE,
    ),
    case(
        "If-Range with the date",
        "9110 13.1.5",
        {"Range": "bytes=0-1", "If-Range": "{changed}"},
        part(0, 1),
    ),
    case(
        "If-Range with a later date",
        "9110 13.1.5",
        {"Range": "bytes=0-1", "If-Range": "{after}"},
        WHOLE,
    ),
    case(
        "If-Range with an earlier date",
        "9110 13.1.5",
        {"Range": "bytes=0-1", "If-Range": "{before}"},
        WHOLE,
    ),
    case("If-Range without Range", "9110 13.1.5", {"If-Range": "{tag}"}, WHOLE),
    # Ranges
    case("a range", "9110 14.1.2", {"Range": "bytes=2-4"}, part(2, 4)),
    case("a range to the end", "9110 14.1.2", {"Range": "bytes=7-"}, part(7, 9)),
    case("a range from the end", "9110 14.1.2", {"Range": "bytes=-3"}, part(7, 9)),
    case(
        "a range from the end that is too long", "9110 14.1.2", {"Range": "bytes=-99"}, part(0, 9)
    ),
    case("a range that ends too late", "9110 14.1.2", {"Range": "bytes=5-99"}, part(5, 9)),
    case("a range that begins too late", "9110 15.5.17", {"Range": "bytes=10-"}, NOT_THERE),
    case("a range from the end that is empty", "9110 14.1.2", {"Range": "bytes=-0"}, NOT_THERE),
    case(
        "a range with huge numbers",
        "9110 14.1.2",
        {"Range": "bytes=0-99999999999999999999"},
        part(0, 9),
    ),
    case("a unit in capitals", "9110 14.1", {"Range": "BYTES=2-4"}, part(2, 4), Kind.GAIN),
    case(
        "one of two ranges exists",
        "9110 14.1.2",
        {"Range": "bytes=2-4,50-60"},
        part(2, 4),
        Kind.GAIN,
    ),
    case("another unit", "9110 14.2", {"Range": "lines=1-2"}, WHOLE),
    case(
        "a range that ends before it begins",
        "9110 14.1.1",
        {"Range": "bytes=4-2"},
        Expected((200, 416)),
    ),
    case("a range that is none", "9110 14.2", {"Range": "bytes=a-b"}, Expected((200, 416))),
    case(
        "Range with HEAD", "9110 14.2", {"Range": "bytes=0-1"}, Expected((200,), b""), method="HEAD"
    ),
    case(
        "a range of nothing",
        "9110 14.1.2",
        {"Range": "bytes=0-"},
        Expected((200, 416), fields={"Date": DATE}),
        target="/empty.txt",
    ),
    case(
        "ranges that overlap too often",
        "9110 14.2",
        {"Range": "bytes=" + ",".join(["0-9"] * 50)},
        Expected((200, 416)),
        Kind.GAIN,
    ),
    Case("several ranges", "9110 15.3.7.2", Kind.GAIN, parts_are_right),
    Case("a part has the validators of the whole", "9110 15.3.7", Kind.REQUIRED, same_validators),
    # Answers
    Case("HEAD has the fields of GET", "9110 9.3.2", Kind.REQUIRED, head_is_get),
    case("Date in a 200", "9110 6.6.1", {}, Expected((200,), fields={"Date": DATE})),
    case(
        "Date and ETag in a 304",
        "9110 15.4.5",
        {"If-None-Match": "{tag}"},
        Expected((304,), b"", {"Date": DATE, "ETag": r'(W/)?".*"'}),
    ),
    case(
        "Date in a 206",
        "9110 15.3.7",
        {"Range": "bytes=0-1"},
        Expected((206,), fields={"Date": DATE}),
    ),
    case(
        "Last-Modified",
        "9110 8.8.2",
        {},
        Expected((200,), fields={"Last-Modified": DATE}),
        Kind.GAIN,
    ),
    case(
        "a strong ETag", "9110 8.8.3", {}, Expected((200,), fields={"ETag": r'"[^"]+"'}), Kind.GAIN
    ),
    case(
        "Accept-Ranges",
        "9110 14.3",
        {},
        Expected((200,), fields={"Accept-Ranges": "bytes"}),
        Kind.GAIN,
    ),
    case(
        "a method that is not allowed has Allow",
        "9110 15.5.6",
        {},
        Expected((405,), fields={"Allow": ".*GET.*"}),
        method="DELETE",
    ),
    case("a method that is not known", "9110 9.1", {}, Expected((405, 501)), method="BREW"),
]
