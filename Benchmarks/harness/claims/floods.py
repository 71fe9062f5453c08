"""What floods of HTTP/2 cost, and what others feel of them."""

from __future__ import annotations

import itertools
import os
import threading
import time

from .. import accounting
from ..bench import OURS, Bench, RoundFailed, Sample, ensure_good, measured_alone
from ..floods import FLOODS, Attack, Flood
from ..peers import Running
from ..processes import LOAD_CORE, Stage
from ..report import Row
from ..site import BODIES, HTTP2, PLAIN
from .claim import Claim

#: How long a connection floods, unless it is closed before.
ATTACK_SECONDS = 1.0
#: How many of them flood at a time when memory is looked at, and for how long.
CROWD = 16
CROWD_SECONDS = 0.2
#: How many requests others make a second meanwhile, and on how many connections.
RATE, CONNECTIONS = 4_000, 32
#: Between two attacks on a server that others use, and how long each may take. Windows with attacks and
#: windows without take turns: the machine's own stalls, which make p99 swing more than floods do, hit both.
PAUSE_SECONDS, SHORT_SECONDS = 0.25, 0.05
WINDOW_SECONDS = 0.5
#: How much longer a round of this is, for enough requests beyond the p99.
LONGER = 4

SHARE_LIMIT = 2.0
MEMORY_LIMIT = 1_024.0
P99_LIMIT = 1.1


def share(one: Running, flood: Flood) -> float:
    """Which share of a core a flooding connection costs in its second, in percent."""
    before = one.cpu()
    attack = Attack(one.port, flood)
    try:
        start = time.monotonic()
        attack.run(ATTACK_SECONDS)
        left = ATTACK_SECONDS - (time.monotonic() - start)
    finally:
        attack.close()
    # What is under way when a connection ends early belongs to it.
    time.sleep(max(left, 0.05))
    try:
        return accounting.difference(before, one.cpu()).total / ATTACK_SECONDS * 100
    except accounting.ProcessGone as gone:
        raise RoundFailed(f"process {gone} ended meanwhile") from gone


def memory(one: Running, flood: Flood) -> float:
    """By how many kilobytes a proxy grows for each of several flooding connections."""
    before = one.anonymous_bytes()
    attacks = [Attack(one.port, flood) for _ in range(CROWD)]
    try:
        threads = [threading.Thread(target=each.run, args=(CROWD_SECONDS,)) for each in attacks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return max(0, one.anonymous_bytes() - before) / CROWD / 1024
    finally:
        for attack in attacks:
            attack.close()


def costs(one: Running) -> Sample:
    """The cost of each kind of flood, and of the worst."""
    shares = {flood.name: share(one, flood) for flood in FLOODS}
    sizes = [memory(one, flood) for flood in FLOODS]
    return {"worst": max(shares.values()), **shares, "memory": max(sizes)}


def is_attacked(moment: float) -> bool:
    """Whether a moment of the monotonic clock is in a window that has attacks: those with an odd number."""
    return int(moment / WINDOW_SECONDS) % 2 == 1


def attack_in_turns(port: int, over: threading.Event) -> None:
    """Floods the server in every other window, with one kind after the other."""
    # What the attacker itself costs is nobody's fault: it has what the others' load leaves of its core.
    os.sched_setaffinity(0, {LOAD_CORE})
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    for flood in itertools.cycle(FLOODS):
        while not is_attacked(time.monotonic() + SHORT_SECONDS):
            if over.wait(SHORT_SECONDS / 5):
                return
        connection = Attack(port, flood)
        connection.run(SHORT_SECONDS)
        connection.close()
        if over.wait(PAUSE_SECONDS):
            return


def attacked(bench: Bench, one: Running) -> Sample:
    """The time in which 99 of 100 requests of others are answered: in windows with floods by without."""
    over = threading.Event()
    thread = threading.Thread(target=attack_in_turns, args=(one.port, over))
    thread.start()
    try:
        load = bench.generator.run(
            one.port,
            CONNECTIONS,
            bench.seconds * LONGER,
            rate=RATE,
            warmup=0.5,
            body_bytes=BODIES["/100"],
            window=WINDOW_SECONDS,
        )
    finally:
        over.set()
        thread.join()
    ensure_good(load)
    return {"ratio": load.odd_microseconds["p99"] / load.microseconds["p99"]}


def measure_all(bench: Bench) -> list[Row]:
    """Each flood by itself, and then all of them beside clients that do nothing wrong."""
    name = "http2-floods"
    with Stage() as stage:
        samples = bench.interleave(name, bench.start_all(stage, HTTP2), costs)
    rows = measured_alone(
        name, "worst flood: a core's share per connection", "%", samples, "worst", SHARE_LIMIT
    )
    rows += measured_alone(
        name, "memory per flooding connection", "KB", samples, "memory", MEMORY_LIMIT
    )
    ours = {peer: each for peer, each in samples.items() if peer == OURS}
    for flood in FLOODS:
        rows += measured_alone(
            name, f"{flood.name}: a core's share", "%", ours, flood.name, SHARE_LIMIT
        )
    with Stage() as stage:
        # One port for both versions, which the others do not have.
        running = [one for one in bench.start_all(stage, PLAIN) if one.name == OURS]
        beside = bench.interleave(name, running, lambda one: attacked(bench, one))
    rows += measured_alone(
        name, "p99 of others, to that without floods", "×", beside, "ratio", P99_LIMIT
    )
    return rows


CLAIMS = [
    Claim(
        "http2-floods",
        "Floods of HTTP/2",
        f"Ten kinds of floods, each on a connection of its own that sends as fast as it is taken "
        f"for {ATTACK_SECONDS:g} s or until it is closed: processor time of all processes in that "
        f"second; growth of anonymous memory with {CROWD} of them at a time; and the p99 of "
        f"{RATE:,} requests a second on {CONNECTIONS} connections of HTTP/1.1 while one flood "
        f"follows the other every {PAUSE_SECONDS:g} s in every other window of {WINDOW_SECONDS:g} s, to the "
        "p99 in the windows between. {rounds} rounds.",
        measure_all,
    )
]
