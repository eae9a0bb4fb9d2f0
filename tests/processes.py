"""Python in a process of its own, with the package under test and nothing else from this process."""

import os
import subprocess
import sys
from pathlib import Path

import cycnn

PACKAGE = Path(cycnn.__file__).parent
# What changes the instruction set or the number of threads, and would leak from the caller's environment.
SETTINGS = ("CYCNN_ISA", "CYCNN_NUM_THREADS", "OMP_NUM_THREADS")


def environment(path=PACKAGE.parent, **settings):
    """Return this process's environment with these settings, and with cycnn imported from `path`."""
    kept = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    return kept | settings | {"PYTHONPATH": str(path)}


def run_python(code, folder, path=PACKAGE.parent, timeout=60, **settings):
    """Run `code` in `folder`, importing cycnn from `path`; return the finished process, with its output as text."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=folder,
        env=environment(path, **settings),
        timeout=timeout,
        capture_output=True,
        text=True,
    )


def output_of(code, folder, **options):
    """Run `code` as `run_python` does and return what it printed; its failure is the test's."""
    process = run_python(code, folder, **options)
    assert process.returncode == 0, process.stderr
    return process.stdout
