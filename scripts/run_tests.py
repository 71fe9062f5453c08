"""Builds and runs every test, and closes with one line for each part.

A build that fails ends the run, since nothing after it could tell more; a failing test does not, so
that one run shows everything that is broken. What failed is named again at the end, where whoever
sees only the last lines of a log finds it.

Swift tests run many at a time beside servers and loads of their own. Where a few of them fail, those run
once more with nothing beside them: one that passes then is told of as `unsteady`, and does not fail the
run; it is a defect to be found all the same, of the test or of what it tests.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

PYTHON = "/usr/bin/python3"
PYTHON_TESTS = ["scripts/tests", "Benchmarks/tests"]
# How many tests run at a time. All of them at once hold more than a thousand descriptors, and Foundation
# starts no process safely among so many: what it reads of its own descriptors ends behind their list.
WIDTH = {"SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH": "16"}

# What the tools print about a failure: Swift Testing (an issue, and a process that ended within a
# test), the compiler, and unittest.
FAILURE = re.compile(
    r"^(?![✔◇])(✘ (Test|Suite) .*(recorded an issue|failed after)|.*\b(Fatal )?error: |(FAIL|ERROR): )"
)
# How many such lines the end of a run repeats for each part.
NAMED = 40
# Where Swift Testing writes what became of each test.
EVENTS = pathlib.Path(".build/test-events.jsonl")
# How many failed tests run once more. Where more fail, it is not for what ran beside them.
REPEATED = 3
GOOD = ("passed", "unsteady")


@dataclasses.dataclass(frozen=True)
class Part:
    """One command of the run; after a part that is needed fails, the rest is skipped.

    A part that may repeat writes `EVENTS`, of which its failed tests are read.
    """

    name: str
    command: list
    needed: bool = False
    repeats: bool = False


@dataclasses.dataclass(frozen=True)
class Result:
    """What became of a part: `passed`, `unsteady`, `failed` or `skipped`, and its lines about failures."""

    name: str
    outcome: str
    seconds: float = 0.0
    failures: tuple = ()


def parts(release_flags, only, folders=PYTHON_TESTS, root=pathlib.Path(".")):
    """What is run, in order."""
    release = ["swift", "build", *release_flags, "--product", "martlet"]
    tests = ["swift", "test", "--skip-build"]
    plan = [
        Part("build the tests", ["swift", "build", "--build-tests"], needed=True),
        Part("build .build/release/martlet", release, needed=True),
    ]
    if only:
        find = [PYTHON, "scripts/run_tests.py", "--find", only]
        plan.append(Part("find tests named " + only, find, needed=True))
        return plan + [Part("tests named " + only, tests + ["--filter", only])]
    events = ["--event-stream-output-path", str(EVENTS), "--event-stream-version", "0"]
    plan.append(Part("tests", tests + events, repeats=True))
    for folder in folders:
        if (root / folder).is_dir():
            plan.append(
                Part("tests in " + folder, [PYTHON, "-m", "unittest", "discover", "-s", folder])
            )
    return plan


def show(command):
    """Runs a command, passing on what it prints; gives its exit code and the lines about failures."""
    failures = []
    with subprocess.Popen(
        command,
        env=dict(os.environ, **WIDTH),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            if FAILURE.match(line):
                failures.append(line.rstrip())
    return process.returncode, failures


def failed_tests(events=EVENTS):
    """The tests that failed, sorted; nothing when the run did not come to its end."""
    failed, ended = set(), False
    try:
        # Names of tests may hold what Python takes for the end of a line.
        lines = events.read_text(encoding="utf-8").split("\n")
        records = [json.loads(line) for line in lines if line]
    except (OSError, ValueError):
        return []
    for record in records:
        payload = record["payload"]
        ended = ended or payload["kind"] == "runEnded"
        if payload["kind"] == "issueRecorded" and not payload.get("issue", {}).get("isKnown"):
            # "Module.Suite/function(argument:)/File.swift:1:2": the filter goes by what is before the place.
            failed.add(payload.get("testID", "").rpartition("/")[0])
    return sorted(failed) if ended and "" not in failed else []


def repeat(call, failed=failed_tests):
    """Runs the few tests that failed once more, one after the other; whether all of them passed."""
    tests = failed()
    if not 1 <= len(tests) <= REPEATED:
        print("\n== nothing runs once more: {} failed tests are known".format(len(tests)), flush=True)
        return False
    words = "|".join("^{}".format(re.escape(test)) for test in tests)
    command = ["swift", "test", "--skip-build", "--no-parallel", "--filter", words]
    print("\n== tests that failed, alone\n   {}".format(shlex.join(command)), flush=True)
    return call(command)[0] == 0


def run(plan, call=show, clock=time.monotonic, failed=failed_tests):
    """Runs the parts; gives a result for each."""
    results = []
    for part in plan:
        print("\n== {}\n   {}".format(part.name, shlex.join(part.command)), flush=True)
        if part.repeats:
            EVENTS.unlink(missing_ok=True)
        start = clock()
        code, failures = call(part.command)
        outcome = "passed" if code == 0 else "failed"
        if outcome == "failed" and part.repeats and repeat(call, failed):
            outcome = "unsteady"
        told = tuple(failures) if code != 0 else ()
        results.append(Result(part.name, outcome, clock() - start, told))
        if code != 0 and part.needed:
            results += [Result(later.name, "skipped") for later in plan[len(results):]]
            break
    return results


def find(only, call=subprocess.run):
    """Whether a test has the name: `swift test` itself calls it a success to run none."""
    listing = call(["swift", "test", "list", "--skip-build"], capture_output=True, text=True).stdout
    names = [line for line in listing.splitlines() if re.search(only, line)]
    print("{} tests match {}".format(len(names), only))
    return 0 if names else 1


def summary(results):
    """The closing lines."""
    lines = ["", "== summary"]
    for result in results:
        lines.append("   {:<8} {:6.1f} s  {}".format(result.outcome, result.seconds, result.name))
        lines += ["      " + line for line in result.failures[:NAMED]]
        if len(result.failures) > NAMED:
            lines.append("      … and {} more".format(len(result.failures) - NAMED))
    bad = [result.name for result in results if result.outcome not in GOOD]
    unsteady = [result.name for result in results if result.outcome == "unsteady"]
    if bad:
        lines.append("make test: FAILED: " + ", ".join(bad))
    elif unsteady:
        lines.append("make test: all parts passed, but unsteady: " + ", ".join(unsteady))
    else:
        lines.append("make test: all parts passed")
    return "\n".join(lines)


def main(arguments):
    parser = argparse.ArgumentParser(description="Builds and runs every test.")
    parser.add_argument("--release-flags", default="-c release", type=shlex.split)
    parser.add_argument("--only", default="")
    parser.add_argument("--find", default="", help="only tell whether a test has this name")
    options = parser.parse_args(arguments)
    if options.find:
        return find(options.find)
    results = run(parts(options.release_flags, options.only))
    print(summary(results), flush=True)
    return 0 if all(result.outcome in GOOD for result in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
