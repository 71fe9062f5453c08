"""Builds and runs every test, and closes with one line for each part.

A build that fails ends the run, since nothing after it could tell more; a failing test does not, so
that one run shows everything that is broken.
"""

import argparse
import dataclasses
import pathlib
import re
import shlex
import subprocess
import sys
import time

PYTHON = "/usr/bin/python3"
PYTHON_TESTS = ["scripts/tests", "Benchmarks/tests"]


@dataclasses.dataclass(frozen=True)
class Part:
    """One command of the run; after a part that is needed fails, the rest is skipped."""

    name: str
    command: list
    needed: bool = False


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
    plan.append(Part("tests", tests))
    for folder in folders:
        if (root / folder).is_dir():
            plan.append(
                Part("tests in " + folder, [PYTHON, "-m", "unittest", "discover", "-s", folder])
            )
    return plan


def run(plan, call=subprocess.run, clock=time.monotonic):
    """Runs the parts; gives (name, outcome, seconds) for each, outcome passed, failed or skipped."""
    results = []
    for part in plan:
        print("\n== {}\n   {}".format(part.name, shlex.join(part.command)), flush=True)
        start = clock()
        code = call(part.command, stdin=subprocess.DEVNULL).returncode
        results.append((part.name, "passed" if code == 0 else "failed", clock() - start))
        if code != 0 and part.needed:
            rest = plan[len(results):]
            results += [(later.name, "skipped", 0.0) for later in rest]
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
    lines += ["   {:<8} {:6.1f} s  {}".format(how, took, name) for name, how, took in results]
    bad = [name for name, how, _ in results if how != "passed"]
    lines.append("make test: all parts passed" if not bad else "make test: FAILED: " + ", ".join(bad))
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
    return 0 if all(how == "passed" for _, how, _ in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
