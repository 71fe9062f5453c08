"""What stands in the report: the claims of `make bench`, and what commands of their own measure."""

from __future__ import annotations

from .claims import CLAIMS

#: What `Benchmarks/library.py` measures.
LIBRARY = {
    "library": "Locks, queues and pools of the library",
    "jobs": "Jobs by coroutines, threads and processes",
}

#: All of it, in the order of the report.
TITLES: dict[str, str] = {name: claim.title for name, claim in CLAIMS.items()} | LIBRARY
