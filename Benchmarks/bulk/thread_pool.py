#!/usr/bin/python3
"""What `martlet bulk` is measured beside: a CSV file, a pool of threads, batches by POST."""

from __future__ import annotations

import argparse
import csv
import http.client
import itertools
import json
import threading
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

local = threading.local()


def batches(file: str, column: str, size: int) -> Iterator[list[str]]:
    """The values of a column, so many at a time."""
    with open(file, newline="", encoding="utf-8") as table:
        rows = csv.reader(table)
        place = next(rows).index(column)
        while batch := [row[place] for row in itertools.islice(rows, size)]:
            yield batch


def post(host: str, target: str, batch: list[str]) -> None:
    """Sends a batch over the connection that its thread keeps."""
    if not hasattr(local, "connection"):
        local.connection = http.client.HTTPConnection(host)
    body = json.dumps(batch)
    local.connection.request("POST", target, body, {"Content-Type": "application/json"})
    answer = local.connection.getresponse()
    answer.read()
    if answer.status >= 300:
        raise RuntimeError(f"the answer is {answer.status}")


def main() -> None:
    """Sends the whole file, with no more batches in memory than a few for each thread."""
    parser = argparse.ArgumentParser(prog="thread_pool", description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--column", required=True)
    parser.add_argument("--post", required=True)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--workers", type=int, default=8)
    arguments = parser.parse_args()
    url = urllib.parse.urlsplit(arguments.post)
    room = threading.Semaphore(arguments.workers * 2)
    failures = []

    def send(batch: list[str]) -> None:
        try:
            post(url.netloc, url.path, batch)
        except Exception as failure:  # Whatever it is, the others go on.
            failures.append(failure)
        finally:
            room.release()

    with ThreadPoolExecutor(arguments.workers) as pool:
        for batch in batches(arguments.file, arguments.column, arguments.batch):
            room.acquire()
            pool.submit(send, batch)
    if failures:
        raise SystemExit(f"{len(failures)} batches failed, the first with {failures[0]}")


if __name__ == "__main__":
    main()
