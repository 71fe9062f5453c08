"""All that RFC 9111 and its neighbours ask of a shared cache; here are the cases about selecting
fields, invalidation, stale answers and what else there is."""

from __future__ import annotations

import gzip

from .cache_case import (
    FRESH,
    GAIN,
    LATER,
    TAG,
    Draft,
    case,
    fetched,
    fields,
    reused,
    store,
    stored,
    unchanged,
)
from .cache_case import Step as S
from .cache_crowds import CROWDS
from .cache_storing import FRESHNESS, STATUSES, STORING
from .cache_using import ASKED, BODIES, CONDITIONS, PARTS, VALIDATION
from .case import Expected as E
from .origin import Reply

SELECTING = [
    case(
        "the same field",
        "9111 4.1",
        store(FRESH, "Vary: Foo", asked=("Foo: 1",)),
        stored("Foo: 1"),
        kind=GAIN,
    ),
    case(
        "another value", "9111 4.1", store(FRESH, "Vary: Foo", asked=("Foo: 1",)), fetched("Foo: 2")
    ),
    case(
        "the field is missing", "9111 4.1", store(FRESH, "Vary: Foo", asked=("Foo: 1",)), fetched()
    ),
    case("the field was missing", "9111 4.1", store(FRESH, "Vary: Foo"), fetched("Foo: 1")),
    case(
        "two fields, of which one differs",
        "9111 4.1",
        store(FRESH, "Vary: Foo, Bar", asked=("Foo: 1", "Bar: 1")),
        fetched("Foo: 1", "Bar: 2"),
    ),
    case(
        "two lines of Vary",
        "9110 5.3",
        store(FRESH, "Vary: Foo", "Vary: Bar", asked=("Foo: 1", "Bar: 1")),
        fetched("Foo: 1", "Bar: 2"),
    ),
    case(
        "a field that Vary does not name",
        "9111 4.1",
        store(FRESH, "Vary: Foo", asked=("Foo: 1", "Bar: 1")),
        stored("Foo: 1", "Bar: 2"),
        kind=GAIN,
    ),
    case(
        "two variants at a time",
        "9111 4.1",
        store(FRESH, "Vary: Foo", asked=("Foo: 1",)),
        S(
            Reply(200, fields(FRESH, "Vary: Foo"), b"other"),
            ("Foo: 2",),
            origin=True,
            is_setup=True,
        ),
        S(asked=("Foo: 1",), expected=E(body=b"content"), origin=False),
        S(asked=("Foo: 2",), expected=E(body=b"other"), origin=False),
        kind=GAIN,
    ),
    case(
        "two lines of a field are one list",
        "9111 4.1",
        store(FRESH, "Vary: Foo", asked=("Foo: 1, 2",)),
        stored("Foo: 1", "Foo: 2"),
        kind=GAIN,
    ),
    case(
        "spaces in a list do not count",
        "9111 4.1",
        store(FRESH, "Vary: Foo", asked=("Foo: 1,2",)),
        stored("Foo: 1,   2"),
        kind=GAIN,
    ),
    case(
        "the order of languages does not count",
        "9111 4.1",
        store(FRESH, "Vary: Accept-Language", asked=("Accept-Language: en, de",)),
        stored("Accept-Language: de, EN"),
        kind=GAIN,
    ),
    case(
        "the order of codings does not count",
        "9111 4.1",
        store(FRESH, "Vary: Accept-Encoding", asked=("Accept-Encoding: gzip, br",)),
        stored("Accept-Encoding: br, gzip"),
        kind=GAIN,
    ),
    case(
        "another coding",
        "9111 4.1",
        store(
            FRESH,
            "Vary: Accept-Encoding",
            "Content-Encoding: gzip",
            body=gzip.compress(b"content"),
            asked=("Accept-Encoding: gzip",),
        ),
        S(
            Reply(200, fields(FRESH, "Vary: Accept-Encoding")),
            ("Accept-Encoding: br",),
            expected=E((200,), b"content", lacks=("Content-Encoding",)),
        ),
    ),
]


def invalidates(method: str, status: int = 200) -> Draft:
    """A request that may have changed something."""
    return case(
        f"{method} makes it invalid",
        "9111 4.4",
        store(FRESH),
        S(Reply(status), method=method, body=b"x", origin=True, is_setup=True),
        S(Reply(200, fields(FRESH)), origin=True),
    )


def named(name: str) -> Draft:
    """A response that names another resource that may have changed."""
    return case(
        f"{name} of a POST names what is invalid",
        "9111 4.4",
        S(Reply(200, fields(FRESH)), suffix="/other", origin=True, is_setup=True),
        S(
            Reply(201, fields(f"{name}: {{target}}/other")),
            method="POST",
            body=b"x",
            origin=True,
            is_setup=True,
        ),
        S(suffix="/other", origin=True),
        kind=GAIN,
    )


INVALIDATION = [
    *(invalidates(method) for method in ("POST", "PUT", "DELETE", "PATCH")),
    case(
        "a POST that failed makes nothing invalid",
        "9111 4.4",
        store(FRESH),
        S(Reply(500), method="POST", body=b"x", origin=True, is_setup=True),
        stored(),
        kind=GAIN,
    ),
    named("Location"),
    named("Content-Location"),
    case(
        "a query is another resource",
        "9111 2",
        store(FRESH),
        S(Reply(200, fields(FRESH)), suffix="?a", origin=True),
    ),
]

STALE = [
    case(
        "stale-while-revalidate",
        "5861 3",
        store("Cache-Control: max-age=1, stale-while-revalidate=3600", TAG),
        S(
            unchanged(FRESH, TAG),
            wait=LATER,
            expected=E((200,), b"content"),
            in_background=True,
            origin=True,
        ),
        stored(wait=0.3),
        kind=GAIN,
    ),
    case(
        "stale-while-revalidate does not wait for the origin",
        "5861 3",
        store("Cache-Control: max-age=1, stale-while-revalidate=3600", TAG),
        S(Reply(200, fields(FRESH), b"other"), wait=LATER, expected=E((200,), b"content")),
        kind=GAIN,
    ),
    case(
        "stale-while-revalidate is over",
        "5861 3",
        store("Cache-Control: max-age=1, stale-while-revalidate=1"),
        S(Reply(200, fields(FRESH), b"other"), wait=3.2, expected=E((200,), b"other"), origin=True),
    ),
    case(
        "stale-if-error with a 503",
        "5861 4",
        store("Cache-Control: max-age=1, stale-if-error=3600"),
        S(Reply(503), wait=LATER, expected=E((200,), b"content"), origin=True),
        kind=GAIN,
    ),
    case(
        "stale-if-error with no answer",
        "5861 4",
        store("Cache-Control: max-age=1, stale-if-error=3600"),
        S(Reply(0), wait=LATER, expected=E((200,), b"content"), origin=True),
        kind=GAIN,
    ),
    case(
        "stale-if-error and a 404",
        "5861 4",
        store("Cache-Control: max-age=1, stale-if-error=3600"),
        S(Reply(404), wait=LATER, expected=E((404,))),
    ),
    *(
        case(
            f"{word} forbids stale answers",
            section,
            store(f"Cache-Control: max-age=1, {word}"),
            S(Reply(0), wait=LATER, expected=E((0, 500, 502, 503, 504))),
        )
        for word, section in (
            ("must-revalidate", "9111 5.2.2.2"),
            ("proxy-revalidate", "9111 5.2.2.8"),
            ("s-maxage=1", "9111 5.2.2.10"),
            ("no-cache", "9111 5.2.2.4"),
        )
    ),
]

OTHERS = [
    reused("CDN-Cache-Control alone", "9213 2.2", "CDN-Cache-Control: max-age=3600"),
    reused(
        "CDN-Cache-Control before no-store",
        "9213 2.2",
        "Cache-Control: no-store",
        "CDN-Cache-Control: max-age=3600",
    ),
    case(
        "a short CDN-Cache-Control before max-age",
        "9213 2.2",
        store(FRESH, "CDN-Cache-Control: max-age=1"),
        fetched(wait=LATER),
        kind=GAIN,
    ),
    case(
        "a CDN-Cache-Control that breaks the grammar",
        "9213 2.1",
        store("Cache-Control: no-store", "CDN-Cache-Control: max-age=3600, &&&"),
        fetched(),
    ),
    case(
        "Cache-Status of a hit",
        "9211 2",
        store(FRESH),
        S(origin=False, expected=E(fields={"Cache-Status": r"[^;]+;.*\bhit\b.*"})),
        kind=GAIN,
    ),
    case(
        "Cache-Status of a miss",
        "9211 2.2",
        S(
            Reply(200, fields(FRESH)),
            expected=E((200,), fields={"Cache-Status": r"[^;]+;.*fwd=.*"}),
        ),
        kind=GAIN,
    ),
    case(
        "a 103 before what is stored",
        "9110 15.2",
        S(Reply(200, fields(FRESH), interim=(103,)), origin=True, expected=E((200,), b"content")),
        stored(body=b"content"),
        kind=GAIN,
    ),
    reused(
        "a Cookie in the request", "9111 7.3", FRESH, asked=("Cookie: a=b",), again=("Cookie: c=d",)
    ),
]

#: Each is given the origin that it is to use.
CASES = [
    *STORING,
    *STATUSES,
    *FRESHNESS,
    *ASKED,
    *VALIDATION,
    *CONDITIONS,
    *PARTS,
    *BODIES,
    *SELECTING,
    *INVALIDATION,
    *STALE,
    *OTHERS,
    *CROWDS,
]
