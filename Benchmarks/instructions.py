"""Counts the user instructions of a proxied request: the command behind `make instructions`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from harness.claims import instructions
from harness.martlet import Form, Martlet
from harness.processes import BenchmarkError

REPOSITORY = Path(__file__).resolve().parent.parent


def main() -> int:
    """Ends with 1 when the count is above the threshold, or when there is no count."""
    parser = argparse.ArgumentParser(prog="instructions", description=__doc__)
    parser.add_argument("--martlet", type=Path, default=REPOSITORY / ".build/release/martlet")
    parser.add_argument("--martlet-as", type=Form, default=Form.EDGE, help="edge or proxy (edge)")
    parser.add_argument("--profile", action="store_true", help="print the dearest functions")
    parser.add_argument("--top", type=int, default=40, help="how many functions (40)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if not arguments.martlet.exists():
        print(
            f"instructions: {arguments.martlet} is not there: run `make release`", file=sys.stderr
        )
        return 1
    try:
        counted = instructions.count(Martlet(arguments.martlet, arguments.martlet_as))
    except BenchmarkError as error:
        print(f"instructions: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    bound = instructions.threshold()
    if arguments.json:
        result = {"per_request": counted.per_request, "threshold": bound}
        print(json.dumps({**result, "functions": counted.functions[: arguments.top]}, indent=2))
    else:
        word = "within" if counted.per_request <= bound else "ABOVE"
        print(f"{counted.per_request:,.0f} user instructions a request, {word} {bound:,.0f}")
        if arguments.profile:
            top = counted.functions[: arguments.top]
            names = instructions.demangled([name for name, _ in top])
            for name, (_, cost) in zip(names, top, strict=True):
                print(f"{cost:10,.1f}  {name}")
    return 0 if counted.per_request <= bound else 1


if __name__ == "__main__":
    sys.exit(main())
