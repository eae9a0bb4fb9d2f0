"""What this installation runs on."""

from __future__ import annotations

import platform

import numpy as np

from . import __version__, _native
from ._native.limits import available_cpus


def show_config() -> None:
    """Print the instruction sets, the threads and the versions in use."""
    rows = {
        "cycnn": __version__,
        "Python": f"{platform.python_version()}, {platform.system()} {platform.machine()}",
        "NumPy": np.__version__,
        "instruction sets built": ", ".join(_native.built),
        "supported by this CPU": ", ".join(_native.supported),
        "chosen": f"{_native.isa} (set CYCNN_ISA to choose another)",
        "threads": f"{_native.get_num_threads()} (set_num_threads or CYCNN_NUM_THREADS)",
        "CPUs available": str(available_cpus()),
    }
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name.ljust(width)}  {value}")
