"""The report: rows, and the two files that `make bench` writes from them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Row:
    """One figure of Martlet beside a peer's."""

    claim: str
    what: str
    figure: float | None
    unit: str
    peer: str | None = None
    peer_figure: float | None = None
    ratio: float | None = None
    #: The bound, and what it bounds: the ratio where there is a peer, else the figure itself.
    to_reach: float | None = None
    reached: bool | None = None
    spread: tuple[float, float] | None = None
    peer_spread: tuple[float, float] | None = None
    rounds: int = 0


@dataclass(frozen=True)
class Report:
    """All rows with where they come from."""

    machine: dict[str, str] = field(default_factory=dict)
    command: str = "make bench"
    #: What a reader must know of a claim, by claim: its load, its rounds, its traps.
    notes: dict[str, str] = field(default_factory=dict)
    rows: tuple[Row, ...] = ()

    def replacing(self, other: Report, order: Sequence[str]) -> Report:
        """This report with the claims of another one in place of its own.

        - order: all claims there are, in the order of the report; rows of others are dropped.
        """
        claims = {row.claim for row in other.rows} | other.notes.keys()
        kept = [row for row in self.rows if row.claim not in claims]
        rows = [row for row in [*kept, *other.rows] if row.claim in order]
        rows.sort(key=lambda row: order.index(row.claim))
        notes = {
            name: text for name, text in {**self.notes, **other.notes}.items() if name in order
        }
        return Report({**self.machine, **other.machine}, other.command, notes, tuple(rows))

    def to_json(self) -> str:
        """The file `docs/performance.json`."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @staticmethod
    def from_json(text: str) -> Report:
        """Reads what `to_json` wrote; fields that it does not know are left out."""
        value: dict[str, Any] = json.loads(text)
        names = set(Row.__dataclass_fields__)
        rows = []
        for fields in value.get("rows", []):
            known = {name: item for name, item in fields.items() if name in names}
            for name in ("spread", "peer_spread"):
                if known.get(name) is not None:
                    known[name] = tuple(known[name])
            rows.append(Row(**known))
        return Report(
            value.get("machine", {}),
            value.get("command", "make bench"),
            value.get("notes", {}),
            tuple(rows),
        )


def number(value: float | None) -> str:
    """A figure with three digits that count, or a dash."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def spread(ends: tuple[float, float] | None) -> str:
    """The least and the most of the rounds."""
    if ends is None or ends[0] == ends[1]:
        return ""
    return f" ({number(ends[0])}–{number(ends[1])})"


def verdict(row: Row) -> str:
    """Whether the bound is reached, in a word."""
    if row.reached is None:
        return ""
    return "yes" if row.reached else "**no**"


def bound(row: Row) -> str:
    """The bound in the form in which the text says it."""
    if row.to_reach is None:
        return ""
    if row.ratio is not None:
        return f"≤ {row.to_reach:.2f} of it"
    return f"≤ {number(row.to_reach)}"


HEADER = """| figure | unit | Martlet | peer | peer's figure | ratio | to reach | reached |
|---|---|---|---|---|---|---|---|"""


def table(rows: Iterable[Row]) -> str:
    """The rows as a table of Markdown."""
    lines = [HEADER]
    for row in rows:
        cells = [
            row.what,
            row.unit,
            number(row.figure) + spread(row.spread),
            row.peer or "–",
            number(row.peer_figure) + spread(row.peer_spread),
            "–" if row.ratio is None else f"{row.ratio:.2f}",
            bound(row),
            verdict(row),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


INTRODUCTION = """# Performance

Written by `make bench`, not by hand: the figures below are what the command measured on the
machine named here. `make bench CLAIM=name` measures one claim anew and replaces its rows.

nginx, HAProxy and Martlet do the same job with the same rights, one after the other in rounds:
the proxy alone on core 0, the load and the upstream server (nginx, answering from memory) on
core 1. Every proxy is checked for right answers before it is timed, and a round with a single
failed request does not count. A figure is the median of its rounds, with the least and the most in
parentheses; a ratio is the median of the rounds' ratios. Processor time is the scheduler's run time
of all processes of the proxy, exact; its split into user and system is counted in ticks and good to
about 0.3 µs a request. Ratios travel between machines, times do not."""


def is_missing(report: Report, claim: str) -> bool:
    """Whether a claim was tried, and has no figure of Martlet's."""
    figures = [row.figure for row in report.rows if row.claim == claim]
    return claim in report.notes and all(figure is None for figure in figures)


def markdown(report: Report, titles: dict[str, str]) -> str:
    """The file `docs/performance.md`."""
    parts = [
        INTRODUCTION,
        "\n## Summary\n",
        table(row for row in report.rows if row.to_reach is not None),
    ]
    missing = [title for name, title in titles.items() if is_missing(report, name)]
    if missing:
        parts.append("\nNot measured: " + "; ".join(missing) + ".")
    parts.append("\n## Machine\n")
    parts += [f"- {name}: {text}" for name, text in report.machine.items()]
    parts.append(f"- command: `{report.command}`")
    for claim, title in titles.items():
        rows = [row for row in report.rows if row.claim == claim]
        if rows or claim in report.notes:
            parts.append(f"\n## {title} (`{claim}`)\n")
            if claim in report.notes:
                parts.append(report.notes[claim] + "\n")
            if rows:
                parts.append(table(rows))
    return "\n".join(parts) + "\n"


def write(folder: Path, fresh: Report, titles: dict[str, str]) -> None:
    """Brings both files up to date with fresh rows; other claims' rows stay."""
    path = folder / "performance.json"
    old = Report.from_json(path.read_text()) if path.exists() else Report()
    report = old.replacing(fresh, list(titles))
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(report.to_json())
    (folder / "performance.md").write_text(markdown(report, titles))
