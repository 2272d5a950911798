"""The benchmark, which no other test runs: it starts as the Makefile starts it."""

import os
import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
STARTS = re.compile(r"^\tPYTHONPATH=(?P<path>\S+) \$\(BIN\)/python (?P<file>tests/bench/bench\.py)$", re.MULTILINE)
# As `python FILE` does, but for the name: the folder of the file comes first, and nothing is measured.
IMPORT = "import runpy, sys; sys.path.insert(0, 'tests/bench'); runpy.run_path(sys.argv[1], run_name='imported')"


def test_make_bench_finds_all_that_it_imports() -> None:
    started = STARTS.search((PROJECT / "Makefile").read_text(encoding="utf-8"))
    assert started
    done = subprocess.run(
        [sys.executable, "-P", "-c", IMPORT, started["file"]],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": started["path"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
