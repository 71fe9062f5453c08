"""The package that uses the library."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .load import BENCHMARKS
from .processes import BenchmarkError, on_both_cores

PACKAGE = BENCHMARKS / "library"


def built(product: str, folder: Path) -> Path:
    """Builds a program of the package, as `make release` builds ours.

    - folder: where programs are built; the package has a folder of its own there.
    """
    scratch = folder / "library"
    command = ["swift", "build", "-c", "release", "--product", product]
    command += ["--package-path", str(PACKAGE), "--scratch-path", str(scratch)]
    command += ["-Xswiftc", "-enforce-exclusivity=unchecked"]
    command += ["-Xswiftc", "-cross-module-optimization", "--static-swift-stdlib"]
    # All that a build says is shown as it comes: it takes a while.
    done = subprocess.run(on_both_cores(command), stdout=sys.stderr, check=False)
    if done.returncode != 0:
        raise BenchmarkError(f"{product} of {PACKAGE} does not build: see above")
    return scratch / "release" / product
