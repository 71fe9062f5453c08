"""Prints what Python's pools and its queue cost: a name, a tab and nanoseconds in each line."""

from __future__ import annotations

import argparse
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor


def same(value: bytes) -> bytes:
    """What processes do in the comparison: 1 KB in, and out again."""
    return value


def timed(rounds: int, run: Callable[[], None]) -> float:
    """The nanoseconds of a round, at best of three times."""
    times = []
    for _ in range(3):
        start = time.perf_counter_ns()
        run()
        times.append((time.perf_counter_ns() - start) / rounds)
    return min(times)


def pool_figures(
    pool: Executor, task: Callable, arguments: tuple, rounds: int, suffix: str = ""
) -> dict[str, float]:
    """The nanoseconds of a task of a pool, one and many at a time."""

    def one() -> None:
        for _ in range(rounds):
            pool.submit(task, *arguments).result()

    def many() -> None:
        futures = [pool.submit(task, *arguments) for _ in range(rounds)]
        for future in futures:
            future.result()

    pool.submit(task, *arguments).result()
    found = {"one": timed(rounds, one), "many": timed(rounds, many)}
    return {f"Python, {name} at a time{suffix}": figure for name, figure in found.items()}


def priority_queue(rounds: int) -> float:
    """The nanoseconds of an element from two threads to two."""
    waiting: queue.PriorityQueue[int] = queue.PriorityQueue(1024)

    def put() -> None:
        for value in range(rounds // 2):
            waiting.put(value)

    def take() -> None:
        for _ in range(rounds // 2):
            waiting.get()

    def run() -> None:
        threads = [threading.Thread(target=each) for each in (put, put, take, take)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return timed(rounds, run)


def figures(rounds: int) -> dict[str, float]:
    """All of them."""
    with ThreadPoolExecutor(2) as pool:
        found = pool_figures(pool, int, (), rounds)
    with ProcessPoolExecutor(2) as pool:
        data = (bytes(1024),)
        found |= pool_figures(pool, same, data, max(rounds // 4, 1), " by processes")
    found["Python, priority queue, 2 to 2 threads"] = priority_queue(rounds * 2)
    return found


def main() -> None:
    """Prints them."""
    parser = argparse.ArgumentParser(prog="python_figures", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20_000)
    for name, figure in figures(parser.parse_args().rounds).items():
        print(f"{name}\t{figure:.1f}")


if __name__ == "__main__":
    main()
