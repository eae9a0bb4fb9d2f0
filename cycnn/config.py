"""What this installation runs on, with how many threads, and by which algorithms.

`cycnn.config.winograd` is "auto", the default, or "off": whether convolutions of 3x3 taps may be computed by Winograd's
algorithm where it is faster. It rounds more coarsely: with 64 channels by 1.1e-6 of the results' size, not 4.2e-7, with
256 by 2.1e-6, not 8.3e-7 (root mean squares). float64 never uses it. A change holds from the next call of a model on.
"""

from __future__ import annotations

import platform

import numpy as np

from . import __version__, _native, validation
from ._native.limits import MOST_THREADS, available_cpus
from .validation import message, received

winograd: str = "auto"


def set_num_threads(n: int) -> None:
    """Divide work among `n` threads, the calling one among them, from now on.

    Results do not depend on it. By default the number is that of CYCNN_NUM_THREADS, of
    OMP_NUM_THREADS, or of the CPUs that this process may use.

    Parameters
    ----------
    n : int
        From 1 to 1024.

    Raises
    ------
    TypeError, ValueError
        If `n` is not such an int.
    """
    n = validation.positive_int("set_num_threads", "n", n)
    if n > MOST_THREADS:
        rule = f"be at most {MOST_THREADS}"
        raise ValueError(message("set_num_threads", "n", rule, received("n", n)))
    _native.set_num_threads(n)


def get_num_threads() -> int:
    """Return the number of threads that work is divided among, the calling one among them."""
    return int(_native.get_num_threads())


def show_config() -> None:
    """Print the instruction sets, the threads and the versions in use."""
    rows = {
        "cycnn": __version__,
        "Python": f"{platform.python_version()}, {platform.system()} {platform.machine()}",
        "NumPy": np.__version__,
        "instruction sets built": ", ".join(_native.built),
        "supported by this CPU": ", ".join(_native.supported),
        "chosen": f"{_native.isa} (set CYCNN_ISA to choose another)",
        "winograd": f'{winograd} (set cycnn.config.winograd to "auto" or "off")',
        "threads": f"{get_num_threads()} (set_num_threads or CYCNN_NUM_THREADS)",
        "CPUs available": str(available_cpus()),
    }
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name.ljust(width)}  {value}")
