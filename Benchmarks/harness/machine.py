"""What machine and which programs the figures come from."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path


def first_line(command: list[str]) -> str:
    """The first line that a command prints, or why there is none."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "not there"
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0] if lines else "no answer"


def version_number(text: str) -> str:
    """The version in a program's greeting."""
    found = re.search(r"\d+\.\d+(\.\d+)?", text)
    return found.group(0) if found else text


def processor_model() -> str:
    """The processor's name as the kernel tells it."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def memory_gigabytes() -> float:
    """The machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def facts(martlet: Path) -> dict[str, str]:
    """What a reader needs to know to repeat the figures."""
    return {
        "cores": str(os.cpu_count()),
        "processor": processor_model(),
        "memory": f"{memory_gigabytes():.0f} GiB",
        "kernel": platform.release(),
        "system": first_line(["sed", "-n", 's/^PRETTY_NAME="\\(.*\\)"/\\1/p', "/etc/os-release"]),
        "swift": version_number(first_line(["swift", "--version"])),
        "congestion control": congestion_control(),
        "martlet": first_line([str(martlet), "--version"]),
        "nginx": version_number(first_line(["nginx", "-v"])),
        "haproxy": version_number(first_line(["haproxy", "-v"])),
        "wrk": version_number(first_line(["wrk", "--version"])),
    }


CONTROL = Path("/proc/sys/net/ipv4/tcp_congestion_control")


def congestion_control() -> str:
    """How TCP sends here by default."""
    return CONTROL.read_text(encoding="ascii").strip()


def enter_unpaced_network() -> None:
    """Starts this command anew in a network of its own where the machine's sockets are paced.

    BBR spaces what a connection sends, on the loopback too, and each wait takes a timer: that is no
    part of what a proxy costs, and proxies that choose another control there would be favoured. Reno is
    the one that every network may have. Only root can have a network of its own; others measure in the
    machine's.
    """
    if not congestion_control().startswith("bbr") or os.geteuid() != 0:
        return
    prepare = f"ip link set lo up && echo reno >{CONTROL} && exec \"$@\""
    inner = ["sh", "-c", prepare, "sh", sys.executable, *sys.argv]
    os.execvp("unshare", ["unshare", "--net", "--", *inner])


def cores_are_enough() -> bool:
    """Whether proxy and load can each have a core of their own."""
    return len(os.sched_getaffinity(0)) >= 2 and {0, 1} <= os.sched_getaffinity(0)
