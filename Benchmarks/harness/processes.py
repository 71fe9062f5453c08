"""Starting, waiting for and surely ending the processes of a benchmark."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from . import accounting

PROXY_CORE = 0
LOAD_CORE = 1


class BenchmarkError(Exception):
    """Something that a benchmark rests on is not so; its text is a sentence for the user."""


def pinned(core: int, command: Sequence[str]) -> list[str]:
    """The command bound to one core: sharing one, proxy and load would measure each other."""
    return ["taskset", "-c", str(core), *command]


def on_both_cores(command: Sequence[str]) -> list[str]:
    """The command on both cores, whatever the benchmark itself is bound to."""
    return ["taskset", "-c", f"{PROXY_CORE},{LOAD_CORE}", *command]


def output_of(command: Sequence[str], seconds: float) -> str:
    """What a program prints that is to succeed within so many seconds."""
    try:
        done = subprocess.run(
            on_both_cores(command), capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise BenchmarkError(f"{command[0]} has not ended within {seconds:g} s") from error
    if done.returncode != 0:
        raise BenchmarkError(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def free_port() -> int:
    """A TCP port that nothing listens on now, as the kernel chose it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(holds: Callable[[], bool], seconds: float, what: str) -> None:
    """Waits for something outside, and says what did not come about."""
    limit = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > limit:
            raise BenchmarkError(f"{what} within {seconds:g} s: it did not happen")
        time.sleep(0.02)


def accepts(port: int) -> bool:
    """Whether a connection to the port is accepted."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


class Child:
    """One started program with everything that it starts itself.

    It leads a process group of its own: Ctrl-C reaches only the benchmark, which then ends its
    children in order, and what a child left behind (workers whose master died) is still known.
    """

    def __init__(self, name: str, command: Sequence[str], core: int, log: Path) -> None:
        self.name = name
        self.log = log
        self._seen: set[int] = set()
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                pinned(core, command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process that was started; its children are found from here."""
        return self.process.pid

    def tree(self) -> set[int]:
        """All processes of this program now: descendants, and members of its session.

        The session covers a process whose parent ended, as after a binary upgrade.
        """
        pids = accounting.tree(self.pid) | accounting.session(self.pid)
        self._seen |= pids
        return pids

    def ensure_alive(self) -> None:
        """Fails with the end of the program's output when it has ended."""
        if self.process.poll() is not None and not self.tree():
            tail = self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""
            raise BenchmarkError(f"{self.name} ended with {self.process.returncode}:\n{tail}")

    def wait_for_port(self, port: int, seconds: float = 20) -> None:
        """Waits until the program listens."""

        def listens() -> bool:
            self.ensure_alive()
            return accepts(port)

        wait_until(listens, seconds, f"{self.name} listens on port {port}")

    def stop(self, seconds: float = 3) -> None:
        """Asks the whole tree to end, and ends what has not gone after the given time."""
        pids = self.tree() | {pid for pid in self._seen if accounting.belongs(pid, self.pid)}
        _signal(pids, signal.SIGTERM)
        self._wait(seconds)
        _signal(self.tree(), signal.SIGKILL)
        # A process that is ended by force is gone a little later.
        self._wait(seconds)
        self.process.wait()

    def _wait(self, seconds: float) -> None:
        """Waits until the whole tree has ended, for so long."""
        limit = time.monotonic() + seconds
        while time.monotonic() < limit and (self.process.poll() is None or self.tree()):
            time.sleep(0.02)


def _signal(pids: set[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


class Stage:
    """The processes and files of one measurement; leaving it removes them, whatever happened."""

    def __init__(self) -> None:
        # Memory-backed where there is such a place: a disk must not slow a log or a body down.
        place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.folder = Path(tempfile.mkdtemp(prefix="martlet-bench-", dir=place))
        # A proxy that gives its rights away must still reach its configuration.
        self.folder.chmod(0o755)
        self.children: list[Child] = []

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A second Ctrl-C in the middle of this would leave processes behind.
        previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            for child in reversed(self.children):
                child.stop()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
            signal.signal(signal.SIGINT, previous)

    def start(self, name: str, command: Sequence[str], core: int) -> Child:
        """Starts a program that ends with the stage at the latest."""
        if shutil.which(command[0]) is None:
            raise BenchmarkError(f"{command[0]} is not installed: run `make setup`")
        child = Child(name, command, core, self.folder / f"{name}.output")
        self.children.append(child)
        return child

    def stop(self, child: Child) -> None:
        """Ends one program early."""
        child.stop()
        self.children.remove(child)

    def path(self, name: str) -> Path:
        """A file or folder of this stage."""
        return self.folder / name
