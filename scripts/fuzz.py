"""Fuzzes the parsers for a bounded time, or replays their corpora.

Each folder of Fuzz/Sources is one target; Corpora/TARGET holds its seeds and its past failures, and
MORE_SEEDS names further folders of Corpora that it reads. What a run finds of interest stays in
Fuzz/.build; what fails is written to Corpora/TARGET and is to be committed together with its mend.
"""

import argparse
import os
import pathlib
import shlex
import subprocess
import sys

PACKAGE = pathlib.Path("Fuzz")
CORPORA = pathlib.Path("Corpora")
BUILD = ["swift", "build", "--package-path", "Fuzz", "-c", "release", "--sanitize", "fuzzer"]
WORDS = pathlib.Path("Fuzz/http1.dict")
# The messages that are refused are as good a start as those that are accepted.
MORE_SEEDS = {"request": ["smuggling"], "response": ["responses"]}
# One input: longer than any limit on a head, so that the limits themselves are reached.
INPUT_BYTES = 65536
# One input that takes longer than this is a finding.
INPUT_SECONDS = 5


class FuzzError(Exception):
    """What is wrong, and the mend."""


def targets(package, wanted):
    """The targets to run: all of the package, or the one that is wanted."""
    sources = package / "Sources"
    there = sorted(folder.name for folder in sources.iterdir()) if sources.is_dir() else []
    if not there:
        raise FuzzError("there is no fuzz target in {}; add one folder for each".format(sources))
    if wanted and wanted not in there:
        raise FuzzError("there is no target {}; write one of: {}".format(wanted, ", ".join(there)))
    return [wanted] if wanted else there


def seeds(corpora, target):
    """The folders whose files a target starts from."""
    return [str(corpora / folder) for folder in [target] + MORE_SEEDS.get(target, [])]


def replay_command(package, corpora, target):
    """Runs each input of the corpus once."""
    return [str(package / ".build/release" / target), "-runs=0"] + seeds(corpora, target)


def fuzz_command(package, corpora, target, seconds):
    """Looks for new inputs for a time; the first folder takes what it finds."""
    return [
        str(package / ".build/release" / target),
        "-max_total_time={}".format(seconds),
        "-timeout={}".format(INPUT_SECONDS),
        "-max_len={}".format(INPUT_BYTES),
        "-print_final_stats=1",
        "-artifact_prefix={}/".format(corpora / target),
        "-dict={}".format(WORDS),
        str(package / ".build/corpus" / target),
    ] + seeds(corpora, target)


def call_plainly(command):
    """Runs a command in which libFuzzer, not the runtime of Swift, handles a trap: it keeps the input."""
    return subprocess.run(command, env=dict(os.environ, SWIFT_BACKTRACE="enable=no"))


def run(package, corpora, names, seconds, call=call_plainly):
    """Builds and runs the targets; gives the names of those that failed."""
    if call(BUILD).returncode != 0:
        raise FuzzError("the fuzz targets do not build: " + shlex.join(BUILD))
    failed = []
    for name in names:
        (corpora / name).mkdir(parents=True, exist_ok=True)
        (package / ".build/corpus" / name).mkdir(parents=True, exist_ok=True)
        if seconds is None:
            command = replay_command(package, corpora, name)
        else:
            command = fuzz_command(package, corpora, name, seconds)
        print("\n== {}\n   {}".format(name, shlex.join(command)), flush=True)
        if call(command).returncode != 0:
            failed.append(name)
    return failed


def main(arguments):
    parser = argparse.ArgumentParser(description="Fuzzes the parsers, or replays their corpora.")
    parser.add_argument("--target", default="")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--replay", action="store_true")
    options = parser.parse_args(arguments)
    try:
        if options.seconds <= 0:
            raise FuzzError("SECONDS={} is no time; write SECONDS=60".format(options.seconds))
        names = targets(PACKAGE, options.target)
        failed = run(PACKAGE, CORPORA, names, None if options.replay else options.seconds)
    except FuzzError as error:
        print("fuzz: error: {}".format(error), file=sys.stderr)
        return 1
    print("\nfuzz: {} of {} targets passed".format(len(names) - len(failed), len(names)))
    for name in failed:
        print("fuzz: FAILED: {0}; the input is in Corpora/{0}".format(name))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
