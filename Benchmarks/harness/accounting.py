"""What the kernel counted for a tree of processes: processor time and memory."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class ProcessGone(Exception):
    """A process that was being counted ended: its figures are lost."""


def parse_stat(text: str) -> tuple[str, list[str]]:
    """Splits /proc/PID/stat into the program's name and the fields behind it.

    The name may hold spaces and parentheses, so the fields begin behind the last parenthesis.
    The first field of the result is the state, field 3 of proc(5).
    """
    name_end = text.rindex(")")
    return text[text.index("(") + 1 : name_end], text[name_end + 1 :].split()


def _stat(pid: int) -> list[str] | None:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return parse_stat(file.read())[1]
    except (FileNotFoundError, ProcessLookupError):
        return None


def name(pid: int) -> str:
    """What a process is called; nothing when it has ended."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _all_stats() -> dict[int, list[str]]:
    stats = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = _stat(int(entry))
            # A zombie runs no more and has given its memory back.
            if fields is not None and fields[0] not in "ZX":
                stats[int(entry)] = fields
    return stats


def descendants(root: int, parents: dict[int, int]) -> set[int]:
    """The root and all below it, from a map of process to parent."""
    found = {root} if root in parents else set()
    grew = True
    while grew:
        more = {pid for pid, parent in parents.items() if parent in found | {root}} - found
        found |= more
        grew = bool(more)
    return found


def tree(root: int) -> set[int]:
    """A process and its living descendants."""
    return descendants(root, {pid: int(fields[1]) for pid, fields in _all_stats().items()})


def session(leader: int) -> set[int]:
    """The living processes of the session that a process opened."""
    return {pid for pid, fields in _all_stats().items() if int(fields[3]) == leader}


def belongs(pid: int, leader: int) -> bool:
    """Whether a number still names a process of that session, and not a later stranger."""
    fields = _stat(pid)
    return fields is not None and int(fields[3]) == leader


@dataclass(frozen=True)
class CPU:
    """Processor time, in seconds.

    `total` is exact: the scheduler's run time of the whole process in nanoseconds, ended threads
    included. `user` and `system` are counted in ticks and so good to a tick each.
    """

    total: float
    user: float
    system: float

    def __sub__(self, other: CPU) -> CPU:
        return CPU(self.total - other.total, self.user - other.user, self.system - other.system)

    def __add__(self, other: CPU) -> CPU:
        return CPU(self.total + other.total, self.user + other.user, self.system + other.system)


def cpu_of(pid: int) -> CPU:
    """The processor time of one process since its start."""
    fields = _stat(pid)
    if fields is None:
        raise ProcessGone(str(pid))
    try:
        # The clock of another process: its number inverted, and 2 for "scheduler time".
        # System call: clock_getcpuclockid(3).
        total = time.clock_gettime((~pid << 3) | 2)
    except OSError as error:
        raise ProcessGone(str(pid)) from error
    return CPU(total, int(fields[11]) / TICKS_PER_SECOND, int(fields[12]) / TICKS_PER_SECOND)


def cpu(pids: set[int]) -> dict[int, CPU]:
    """The processor time of each process."""
    return {pid: cpu_of(pid) for pid in pids}


def difference(before: dict[int, CPU], after: dict[int, CPU]) -> CPU:
    """What was spent between two readings; a process that is new in the second counts whole.

    Fails when a process of the first is missing in the second: what it spent is not known.
    """
    gone = before.keys() - after.keys()
    if gone:
        raise ProcessGone(", ".join(map(str, sorted(gone))))
    spent = CPU(0, 0, 0)
    for pid, reading in after.items():
        spent += reading - before.get(pid, CPU(0, 0, 0))
    return spent


def parse_busy(text: str, core: int) -> float:
    """The seconds that a core was not idle since the machine started, from /proc/stat."""
    for line in text.splitlines():
        words = line.split()
        if words and words[0] == f"cpu{core}":
            # user, nice, system, idle, iowait, irq, softirq, steal; guest time is within user.
            user, nice, system, _, _, irq, softirq, steal = map(int, words[1:9])
            return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND
    raise ValueError(f"/proc/stat has no core {core}")


def busy_seconds(core: int) -> float:
    """How long a core worked, for whomever."""
    with open("/proc/stat", encoding="ascii") as file:
        return parse_busy(file.read(), core)


def parse_anonymous(smaps_rollup: str) -> int:
    """Anonymous memory in bytes, from /proc/PID/smaps_rollup."""
    for line in smaps_rollup.splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
    raise ValueError("smaps_rollup has no line Anonymous")


def anonymous_bytes(pids: set[int]) -> int:
    """Anonymous memory of all processes together: heap, stacks and what was written of files."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                total += parse_anonymous(file.read())
        except (FileNotFoundError, ProcessLookupError) as error:
            raise ProcessGone(str(pid)) from error
    return total


def most_resident(pid: int) -> int:
    """The most memory that a process has had since it began to run its program, in bytes; 0 when it has ended."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            sizes = [line.split()[1] for line in file if line.startswith("VmHWM:")]
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(sizes[0]) * 1024 if sizes else 0
