"""Requests for what is stored: what they ask for, validation, conditions and parts."""

from __future__ import annotations

from .cache_case import (
    FRESH,
    GAIN,
    LATER,
    SHORT,
    TAG,
    case,
    fetched,
    fields,
    store,
    stored,
    unchanged,
)
from .cache_case import Step as S
from .case import Expected as E
from .origin import Reply

ASKED = [
    case(
        "no-cache in a request",
        "9111 5.2.1.4",
        store(FRESH),
        fetched("Cache-Control: no-cache"),
        kind=GAIN,
    ),
    case(
        "Pragma: no-cache in a request",
        "9111 5.4",
        store(FRESH),
        fetched("Pragma: no-cache"),
        kind=GAIN,
    ),
    case(
        "max-age=0 in a request",
        "9111 5.2.1.1",
        store(FRESH),
        fetched("Cache-Control: max-age=0"),
        kind=GAIN,
    ),
    case(
        "max-age in a request",
        "9111 5.2.1.1",
        store(FRESH, "Age: 100"),
        fetched("Cache-Control: max-age=50"),
        kind=GAIN,
    ),
    case(
        "min-fresh in a request",
        "9111 5.2.1.3",
        store(FRESH),
        fetched("Cache-Control: min-fresh=4000"),
        kind=GAIN,
    ),
    case(
        "max-stale in a request",
        "9111 5.2.1.2",
        store(SHORT),
        stored("Cache-Control: max-stale=100", wait=LATER),
        kind=GAIN,
    ),
    case(
        "max-stale where the response forbids it",
        "9111 5.2.2.2",
        store("Cache-Control: max-age=1, must-revalidate"),
        fetched("Cache-Control: max-stale=100", wait=LATER),
    ),
    case(
        "only-if-cached with nothing stored",
        "9111 5.2.1.7",
        S(Reply(), ("Cache-Control: only-if-cached",), expected=E((504,)), origin=False),
        kind=GAIN,
    ),
    case(
        "only-if-cached with something fresh",
        "9111 5.2.1.7",
        store(FRESH),
        stored("Cache-Control: only-if-cached"),
        kind=GAIN,
    ),
]

VALIDATION = [
    case(
        "a stale response is validated by its tag",
        "9111 4.3.1",
        store(SHORT, TAG),
        S(
            unchanged(SHORT, TAG),
            wait=LATER,
            origin=True,
            expected=E((200,), b"content"),
            origin_fields={"If-None-Match": '"a"'},
        ),
        kind=GAIN,
    ),
    case(
        "a stale response is validated by its weak tag",
        "9111 4.3.1",
        store(SHORT, 'ETag: W/"a"'),
        S(
            unchanged(SHORT, 'ETag: W/"a"'),
            wait=LATER,
            origin=True,
            expected=E((200,), b"content"),
            origin_fields={"If-None-Match": 'W/"a"'},
        ),
        kind=GAIN,
    ),
    case(
        "a stale response is validated by its date",
        "9111 4.3.1",
        store(SHORT, "Last-Modified: Wed, 01 Jan 2020 00:00:00 GMT"),
        S(
            unchanged(SHORT),
            wait=LATER,
            origin=True,
            expected=E((200,), b"content"),
            origin_fields={"If-Modified-Since": "Wed, 01 Jan 2020 00:00:00 GMT"},
        ),
        kind=GAIN,
    ),
    case(
        "a 304 makes it fresh again",
        "9111 4.3.4",
        store(SHORT, TAG),
        S(unchanged(FRESH, TAG), wait=LATER, origin=True, expected=E((200,), b"content")),
        stored(body=b"content"),
        kind=GAIN,
    ),
    case(
        "a 304 updates the fields that it has",
        "9111 3.2",
        store(SHORT, TAG, "X: 1"),
        S(
            unchanged(FRESH, TAG, "X: 2"),
            wait=LATER,
            origin=True,
            is_setup=True,
            origin_fields={"If-None-Match": '"a"'},
            expected=E((200,)),
        ),
        S(origin=False, is_setup=True),
        S(expected=E(fields={"X": "2"})),
    ),
    case(
        "fields that a 304 does not have stay",
        "9111 3.2",
        store(SHORT, TAG, "X: 1"),
        S(
            unchanged(FRESH, TAG),
            wait=LATER,
            origin=True,
            is_setup=True,
            origin_fields={"If-None-Match": '"a"'},
            expected=E((200,)),
        ),
        S(expected=E((200,), fields={"X": "1"})),
    ),
    case(
        "a 304 does not change the length",
        "9111 3.2",
        store(SHORT, TAG),
        S(
            unchanged(FRESH, TAG, "Content-Length: 3"),
            wait=LATER,
            origin=True,
            is_setup=True,
            origin_fields={"If-None-Match": '"a"'},
            expected=E((200,)),
        ),
        S(expected=E((200,), b"content", {"Content-Length": "7"})),
    ),
    case(
        "a new response takes the stored one's place",
        "9111 4.3.3",
        store(SHORT, TAG),
        S(
            Reply(200, fields(FRESH, 'ETag: "b"'), b"other"),
            wait=LATER,
            origin=True,
            expected=E((200,), b"other"),
        ),
        stored(body=b"other"),
        kind=GAIN,
    ),
    case(
        "no-cache is validated each time",
        "9111 5.2.2.4",
        store("Cache-Control: no-cache", TAG),
        S(unchanged("Cache-Control: no-cache", TAG), origin=True, expected=E((200,), b"content")),
        S(origin=True, expected=E((200,), b"content")),
    ),
    case(
        "no-cache is stored and validated",
        "9111 5.2.2.4",
        store("Cache-Control: no-cache, max-age=3600", TAG),
        S(
            unchanged("Cache-Control: no-cache", TAG),
            origin=True,
            origin_fields={"If-None-Match": '"a"'},
            expected=E((200,), b"content"),
        ),
        kind=GAIN,
    ),
    case(
        "must-revalidate is validated when stale",
        "9111 5.2.2.2",
        store("Cache-Control: max-age=1, must-revalidate", TAG),
        fetched(wait=LATER),
    ),
    case(
        "a validation has the selecting fields",
        "9111 4.3.1",
        store(SHORT, TAG, "Vary: Foo", asked=("Foo: 1",)),
        S(unchanged(SHORT, TAG), ("Foo: 1",), wait=LATER, origin=True, origin_fields={"Foo": "1"}),
    ),
]

CONDITIONS = [
    case(
        "If-None-Match with the stored tag",
        "9111 4.3.2",
        store(FRESH, TAG),
        S(asked=('If-None-Match: "a"',), expected=E((304,), b"", {"ETag": '"a"'}), origin=False),
        kind=GAIN,
    ),
    case(
        "If-None-Match with several tags",
        "9111 4.3.2",
        store(FRESH, TAG),
        S(asked=('If-None-Match: "x", "a", "y"',), expected=E((304,), b""), origin=False),
        kind=GAIN,
    ),
    case(
        "If-None-Match compares weakly",
        "9110 13.1.2",
        store(FRESH, 'ETag: W/"a"'),
        S(asked=('If-None-Match: "a"',), expected=E((304,), b""), origin=False),
        kind=GAIN,
    ),
    case(
        "If-None-Match with another tag",
        "9111 4.3.2",
        store(FRESH, TAG),
        S(asked=('If-None-Match: "b"',), expected=E((200,), b"content")),
    ),
    case(
        "If-Modified-Since with the stored date",
        "9111 4.3.2",
        store(FRESH, "Last-Modified: Wed, 01 Jan 2020 00:00:00 GMT"),
        S(
            asked=("If-Modified-Since: Wed, 01 Jan 2020 00:00:00 GMT",),
            expected=E((304,), b""),
            origin=False,
        ),
        kind=GAIN,
    ),
    case(
        "If-Modified-Since with a later date",
        "9111 4.3.2",
        store(FRESH, "Last-Modified: Wed, 01 Jan 2020 00:00:00 GMT"),
        S(
            asked=("If-Modified-Since: Thu, 02 Jan 2020 00:00:00 GMT",),
            expected=E((304,), b""),
            origin=False,
        ),
        kind=GAIN,
    ),
    case(
        "If-Modified-Since without Last-Modified counts from Date",
        "9111 4.3.2",
        store(FRESH, "Date: {-100}"),
        S(asked=("If-Modified-Since: {+0}",), expected=E((304,), b""), origin=False),
        kind=GAIN,
    ),
    case(
        "If-None-Match makes If-Modified-Since not count",
        "9110 13.1.3",
        store(FRESH, TAG, "Last-Modified: Wed, 01 Jan 2020 00:00:00 GMT"),
        S(
            asked=('If-None-Match: "b"', "If-Modified-Since: Thu, 02 Jan 2020 00:00:00 GMT"),
            expected=E((200,)),
        ),
    ),
    case(
        "a condition is answered once it is validated",
        "9111 4.3.2",
        store(SHORT, TAG),
        S(
            unchanged(FRESH, TAG),
            ('If-None-Match: "a"',),
            wait=LATER,
            expected=E((304,), b""),
            origin=True,
        ),
    ),
    case(
        "a client's condition does not spoil the store",
        "9111 4.3.3",
        S(
            Reply(200, fields(FRESH, TAG)),
            ('If-None-Match: "x"',),
            origin=True,
            is_setup=True,
            expected=E((200,)),
        ),
        S(expected=E((200,), b"content")),
    ),
    case(
        "HEAD from a stored GET",
        "9110 9.3.2",
        store(FRESH),
        S(method="HEAD", expected=E((200,), b"", {"Content-Length": "7"}), origin=False),
        kind=GAIN,
    ),
    case(
        "HEAD does not spoil the stored GET",
        "9111 4.3.5",
        store(SHORT),
        S(method="HEAD", wait=LATER, expected=E((200,), b"")),
        S(expected=E((200,), b"content")),
    ),
]

def parts(tag: str = TAG, whole: bytes = b"content") -> Reply:
    """An origin that sends parts of a whole."""
    return Reply(200, fields(FRESH, tag), parts=whole)


def some(first: int, last: int, reply: Reply | None = None) -> S:
    """A request for a part, which the origin has."""
    asked = (f"Range: bytes={first}-{last}",)
    return S(reply, asked, expected=E((200, 206)), is_setup=True)


PARTS = [
    case(
        "a part of what is stored whole",
        "9110 14.2",
        store(FRESH),
        S(
            asked=("Range: bytes=0-1",),
            expected=E((206,), b"co", {"Content-Range": "bytes 0-1/7"}),
            origin=False,
        ),
        kind=GAIN,
    ),
    case(
        "a part to the end",
        "9110 14.1.2",
        store(FRESH),
        S(asked=("Range: bytes=3-",), expected=E((206,), b"tent"), origin=False),
        kind=GAIN,
    ),
    case(
        "a part from the end",
        "9110 14.1.2",
        store(FRESH),
        S(asked=("Range: bytes=-2",), expected=E((206,), b"nt"), origin=False),
        kind=GAIN,
    ),
    case(
        "a part that is not there",
        "9110 15.5.17",
        store(FRESH),
        S(
            Reply(416, fields("Content-Range: bytes */7")),
            ("Range: bytes=7-",),
            expected=E((416, 200)),
        ),
    ),
    case(
        "If-Range with another tag",
        "9110 13.1.5",
        store(FRESH, TAG),
        S(asked=("Range: bytes=0-1", 'If-Range: "b"'), expected=E((200,), b"content")),
    ),
    case(
        "a part is not taken for the whole",
        "9111 3.3",
        S(
            Reply(206, fields(FRESH, "Content-Range: bytes 0-1/7", TAG), b"co"),
            ("Range: bytes=0-1",),
            expected=E((200, 206)),
            is_setup=True,
        ),
        S(Reply(200, fields(FRESH, TAG)), expected=E((200,), b"content")),
    ),
    case(
        "a part of a part that is stored",
        "9111 3.3",
        some(0, 3, parts()),
        S(
            asked=("Range: bytes=1-2",),
            expected=E((206,), b"on", {"Content-Range": "bytes 1-2/7"}),
            origin=False,
        ),
        kind=GAIN,
    ),
    case(
        "more than the part that is stored",
        "9111 3.3",
        some(0, 3, parts()),
        S(
            asked=("Range: bytes=2-5",),
            expected=E((206,), b"nten", {"Content-Range": "bytes 2-5/7"}),
        ),
    ),
    case(
        "what is missing is asked for, if it is still the same",
        "9111 3.4",
        some(0, 3, parts()),
        S(
            asked=("Range: bytes=2-5",),
            expected=E((206,), b"nten"),
            origin=True,
            origin_fields={"Range": "bytes=4-5", "If-Range": '"a"'},
        ),
        kind=GAIN,
    ),
    case(
        "parts that make the whole",
        "9111 3.4",
        some(0, 3, parts()),
        some(4, 6),
        S(
            expected=E((200,), b"content", {"Content-Length": "7"}, lacks=("Content-Range",)),
            origin=False,
        ),
        kind=GAIN,
    ),
    case(
        "the whole where a part is stored",
        "9111 3.4",
        some(2, 3, parts()),
        S(expected=E((200,), b"content", lacks=("Content-Range",))),
    ),
    case(
        "parts with other tags are not put together",
        "9111 3.4",
        some(0, 3, parts()),
        some(4, 6, parts('ETag: "b"', b"CONTENT")),
        S(expected=E((200,), b"CONTENT")),
    ),
    case(
        "parts with weak tags are not put together",
        "9111 3.4",
        some(0, 3, parts('ETag: W/"a"')),
        some(4, 6, parts('ETag: W/"a"', b"CONTENT")),
        S(expected=E((200,), b"CONTENT")),
    ),
    case(
        "parts without tags are not put together",
        "9111 3.4",
        some(0, 3, parts("A: b")),
        some(4, 6, parts("A: b", b"CONTENT")),
        S(expected=E((200,), b"CONTENT")),
    ),
]

BODIES = [
    case(
        "a QUERY with the same content",
        "9111 2",
        S(Reply(200, fields(FRESH)), method="QUERY", body=b"a", origin=True, is_setup=True),
        S(method="QUERY", body=b"a", expected=E((200,), b"content"), origin=False),
        kind=GAIN,
    ),
    case(
        "a QUERY with other content",
        "9111 2",
        S(Reply(200, fields(FRESH)), method="QUERY", body=b"a", origin=True, is_setup=True),
        S(method="QUERY", body=b"b", origin=True),
    ),
    case(
        "a QUERY with content of another type",
        "9111 2",
        S(
            Reply(200, fields(FRESH)),
            ("Content-Type: text/plain",),
            method="QUERY",
            body=b"a",
            origin=True,
            is_setup=True,
        ),
        S(asked=("Content-Type: text/csv",), method="QUERY", body=b"a", origin=True),
    ),
    case(
        "a GET after a QUERY",
        "9111 2",
        S(Reply(200, fields(FRESH)), method="QUERY", body=b"a", origin=True, is_setup=True),
        fetched(),
    ),
    case(
        "a QUERY after a PUT",
        "9111 4.4",
        S(Reply(200, fields(FRESH)), method="QUERY", body=b"a", origin=True, is_setup=True),
        S(Reply(200), method="PUT", body=b"x", origin=True, is_setup=True),
        S(Reply(200, fields(FRESH)), method="QUERY", body=b"a", origin=True),
    ),
    case(
        "a POST after a GET",
        "9111 2",
        store(FRESH),
        S(method="POST", body=b"a", origin=True),
    ),
    case(
        "a POST whose response does not say how long it is fresh",
        "9110 9.3.3",
        S(
            Reply(200, fields("Last-Modified: {-86400}", "Date: {+0}")),
            method="POST",
            body=b"a",
            origin=True,
            is_setup=True,
        ),
        S(method="POST", body=b"a", origin=True),
    ),
]
