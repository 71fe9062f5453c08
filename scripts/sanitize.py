"""Runs every test under the thread and the address sanitizer.

The end-to-end tests drive the Martlet that was built for the same sanitizer. What a sanitizer has to
say of any process goes into a folder, so that nothing is lost that a server says of itself while a
test kills it: a single report fails the run, however the tests themselves ended.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
KINDS = ("thread", "address")


def options(kind, reports, library):
    """The environment variables that tell a sanitizer what it needs to know."""
    common = "log_path={}:".format(reports / "report")
    if kind == "thread":
        # A process that a report was made of ends as it would have, so that its test goes on.
        return {"TSAN_OPTIONS": common + "exitcode=0", "LD_PRELOAD": str(library)}
    # No search for leaks: coroutines that wait when a process ends hang in the loop's table of slots,
    # which is mapped and not searched, and XCTest keeps a list of its own.
    return {"ASAN_OPTIONS": common + "detect_leaks=0"}


def command(kind, only):
    """One test after the other: a sanitizer makes them slow, and their limits hold for each alone."""
    line = ["swift", "test", "--no-parallel", "--sanitize", kind]
    line += ["--scratch-path", ".build-" + kind]
    return line + (["--filter", only] if only else [])


def compile_locks(library):
    """The command that builds what shows the thread sanitizer the locks that it cannot see."""
    source = ROOT / "scripts" / "tsan_mutex.c"
    line = ["clang", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror"]
    return line + ["-o", str(library), str(source), "-ldl"]


def run(kind, only, root=ROOT, call=subprocess.run, clock=time.monotonic, say=print):
    """Whether the tests passed and the sanitizer had nothing to say."""
    reports = root / (".build-" + kind) / "reports"
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir(parents=True)
    # An edge process that has given up its rights reports too.
    reports.chmod(0o1777)
    library = root / (".build-" + kind) / "tsan_mutex.so"
    if kind == "thread":
        build = compile_locks(library)
        if call(build, cwd=root, env=None, stdin=subprocess.DEVNULL).returncode != 0:
            say("\n== thread: FAILED: " + " ".join(build), flush=True)
            return False
    line = command(kind, only)
    say("\n== {} sanitizer\n   {}".format(kind, " ".join(line)), flush=True)
    start = clock()
    environment = dict(os.environ, **options(kind, reports, library))
    code = call(line, cwd=root, env=environment, stdin=subprocess.DEVNULL).returncode
    found = sorted(path for path in reports.iterdir() if path.stat().st_size > 0)
    for path in found:
        say("\n== {}\n{}".format(path, path.read_text(errors="replace")), flush=True)
    outcome = "passed" if code == 0 else "FAILED"
    count = "no report" if not found else "reports of {} processes".format(len(found))
    say("== {}: {} in {:.0f} s, {}".format(kind, outcome, clock() - start, count), flush=True)
    return code == 0 and not found


def main(arguments):
    parser = argparse.ArgumentParser(description="Runs every test under the sanitizers.")
    parser.add_argument("--only", default="", help="the tests whose name has this")
    parser.add_argument("--sanitizer", choices=KINDS, help="this one alone")
    chosen = parser.parse_args(arguments)
    kinds = [chosen.sanitizer] if chosen.sanitizer else KINDS
    return 0 if all([run(kind, chosen.only) for kind in kinds]) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
