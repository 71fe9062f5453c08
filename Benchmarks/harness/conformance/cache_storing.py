"""What may be stored, and for how long it is fresh: RFC 9111, sections 3, 4.2 and 5."""

from __future__ import annotations

from .cache_case import (
    FRESH,
    GAIN,
    LATER,
    SHORT,
    case,
    fetched,
    fields,
    never,
    reused,
    store,
    stored,
)
from .cache_case import Step as S
from .case import Expected as E
from .origin import Reply

STORING = [
    reused("a response with max-age", "9111 3", FRESH),
    reused("a response with Expires", "9111 3", "Expires: {+3600}", "Date: {+0}"),
    reused("a response with s-maxage", "9111 3", "Cache-Control: s-maxage=3600"),
    never("no-store", "9111 5.2.2.5", "Cache-Control: no-store, max-age=3600"),
    never("NO-STORE in capitals", "9111 5.2", "Cache-Control: NO-STORE, max-age=3600"),
    never("private", "9111 5.2.2.7", "Cache-Control: private, max-age=3600"),
    never("no-cache without a validator", "9111 5.2.2.4", "Cache-Control: no-cache, max-age=3600"),
    never("nothing that says how long", "9111 3"),
    never("Vary: *", "9111 4.1", FRESH, "Vary: *"),
    never("Vary: Foo, *", "9111 4.1", FRESH, "Vary: Foo, *"),
    never("no-store on a second line", "9110 5.3", FRESH, "Cache-Control: no-store"),
    never("Authorization", "9111 3.5", FRESH, asked=("Authorization: Basic YTpi",)),
    reused(
        "Authorization with public",
        "9111 3.5",
        "Cache-Control: max-age=3600, public",
        asked=("Authorization: Basic YTpi",),
    ),
    reused(
        "Authorization with s-maxage",
        "9111 3.5",
        "Cache-Control: s-maxage=3600",
        asked=("Authorization: Basic YTpi",),
    ),
    reused(
        "Authorization with must-revalidate",
        "9111 3.5",
        "Cache-Control: max-age=3600, must-revalidate",
        asked=("Authorization: Basic YTpi",),
    ),
    case(
        "no-store in a request",
        "9111 5.2.1.5",
        store(FRESH, asked=("Cache-Control: no-store",)),
        fetched(),
    ),
    never(
        "a 599 with must-understand",
        "9111 5.2.2.3",
        "Cache-Control: max-age=3600, no-store, must-understand",
        status=599,
    ),
    reused(
        "a 200 with must-understand",
        "9111 5.2.2.3",
        "Cache-Control: max-age=3600, no-store, must-understand",
    ),
    case(
        "a POST is not answered from the store",
        "9111 4",
        store(FRESH),
        S(method="POST", body=b"x", origin=True),
    ),
    case(
        "the answer to a POST is not stored",
        "9111 3",
        S(Reply(200, fields(FRESH)), method="POST", body=b"x", origin=True, is_setup=True),
        S(origin=True),
    ),
    case(
        "what Connection names is not stored",
        "9111 3.1",
        store(FRESH, "Connection: X-Hop", "X-Hop: a"),
        stored(lacks=("X-Hop",)),
    ),
    case(
        "Proxy-Authenticate is not stored",
        "9111 3.1",
        store(FRESH, "Proxy-Authenticate: Basic"),
        stored(lacks=("Proxy-Authenticate",)),
        kind=GAIN,
    ),
    case(
        "no-cache with a list leaves its fields out",
        "9111 5.2.2.4",
        store('Cache-Control: max-age=3600, no-cache="X-Secret"', "X-Secret: a"),
        S(expected=E(lacks=("X-Secret",)), origin=False),
        kind=GAIN,
    ),
    case(
        "private with a list leaves its fields out",
        "9111 5.2.2.7",
        store('Cache-Control: max-age=3600, private="X-Secret"', "X-Secret: a"),
        S(expected=E(lacks=("X-Secret",)), origin=False),
        kind=GAIN,
    ),
]

STATUSES = (
    [
        reused(f"a {status} that says how long", "9111 3", FRESH, status=status)
        for status in (203, 204, 301, 302, 307, 308, 404, 410, 500)
    ]
    + [
        reused(
            f"a {status} that says nothing, by its last change",
            "9111 4.2.2",
            "Last-Modified: {-864000}",
            "Date: {+0}",
            status=status,
        )
        for status in (200, 203, 204, 301, 404, 410)
    ]
    + [
        never(
            f"a {status} that says nothing",
            "9111 4.2.2",
            "Last-Modified: {-864000}",
            "Date: {+0}",
            status=status,
        )
        for status in (201, 202, 302, 403, 500, 503)
    ]
    + [
        never(
            f"a stale {status}",
            "9111 4.2",
            "Cache-Control: max-age=3600",
            "Age: 7200",
            status=status,
        )
        for status in (200, 301, 404)
    ]
)

FRESHNESS = [
    never("max-age=0", "9111 4.2", "Cache-Control: max-age=0"),
    never("a negative max-age", "9111 4.2.1", "Cache-Control: max-age=-3600"),
    never("max-age in single quotes", "9111 5.2.2.1", "Cache-Control: max-age='3600'"),
    never("max-age that is no number", "9111 4.2.1", "Cache-Control: max-age=abc"),
    reused("MaX-aGe", "9111 5.2", "Cache-Control: MaX-aGe=3600"),
    reused("max-age in double quotes", "9111 5.2", 'Cache-Control: max-age="3600"'),
    reused("max-age of 2^31 and more", "9111 1.2.2", "Cache-Control: max-age=99999999999"),
    reused("max-age with zeros in front", "9111 1.2.2", "Cache-Control: max-age=003600"),
    reused("max-age beside an extension", "9111 5.2.3", 'Cache-Control: foo="a, b", max-age=3600'),
    case(
        "max-age within a quoted string of another directive",
        "9111 5.2",
        store('Cache-Control: foo="max-age=3600", max-age=1'),
        fetched(wait=LATER),
    ),
    never(
        "max-age=0 beside a later Expires",
        "9111 5.3",
        "Cache-Control: max-age=0",
        "Expires: {+3600}",
        "Date: {+0}",
    ),
    reused(
        "max-age beside an earlier Expires", "9111 5.3", FRESH, "Expires: {-3600}", "Date: {+0}"
    ),
    reused("max-age beside Expires: 0", "9111 5.3", FRESH, "Expires: 0"),
    never("s-maxage=0 beside max-age", "9111 5.2.2.10", "Cache-Control: max-age=3600, s-maxage=0"),
    reused("s-maxage beside max-age=0", "9111 5.2.2.10", "Cache-Control: max-age=0, s-maxage=3600"),
    never("an Expires that is over", "9111 5.3", "Expires: {-3600}", "Date: {+0}"),
    never("an Expires that is the Date", "9111 4.2.1", "Expires: {+0}", "Date: {+0}"),
    never("Expires: 0", "9111 5.3", "Expires: 0"),
    never("an Expires in another zone", "9111 4.2", "Expires: Thu, 18 Aug 2050 02:01:18 AEST"),
    never("an Expires with dots", "9111 5.3", "Expires: Thu, 18 Aug 2050 02.01.18 GMT"),
    reused(
        "an Expires in the form of RFC 850",
        "9110 5.6.7",
        "Expires: Thursday, 18-Aug-50 02:01:18 GMT",
    ),
    reused("an Expires in the form of asctime", "9110 5.6.7", "Expires: Thu Aug 18 02:01:18 2050"),
    reused("an Expires in another case", "9111 4.2", "Expires: THU, 18 aug 2050 02:01:18 gmt"),
    never("an Age beyond max-age", "9111 4.2.3", FRESH, "Age: 7200"),
    never("an Age of 2^31", "9111 1.2.2", FRESH, "Age: 2147483648"),
    never("an Age with a second member", "9111 5.1", FRESH, "Age: 7200, 0"),
    reused("an Age that is no number", "9111 5.1", FRESH, "Age: abc"),
    never("an old Date with max-age", "9111 4.2.3", FRESH, "Date: {-7200}", kind=GAIN),
    case("a response becomes stale", "9111 4.2", store(SHORT), fetched(wait=LATER)),
    case(
        "a response becomes stale by Expires",
        "9111 4.2",
        store("Expires: {+1}", "Date: {+0}"),
        fetched(wait=LATER),
    ),
    case(
        "Age grows",
        "9111 5.1",
        store(FRESH, "Age: 100"),
        S(wait=1.2, expected=E(fields={"Age": "10[1-3]"}), origin=False),
    ),
    case("Age is there", "9111 4", store(FRESH), stored(fields={"Age": r"\d+"})),
    case(
        "Date stays",
        "9110 6.6.1",
        store(FRESH, "Date: {-100}"),
        S(wait=1.2, expected=E(fields={"Date": ".*GMT"}), origin=False),
        kind=GAIN,
    ),
    reused("an immutable response", "8246 2", "Cache-Control: max-age=3600, immutable"),
]
