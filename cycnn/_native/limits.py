"""How many threads to use: what the user asks for, or what affinity and the container's quota allow."""

import math
import os

CGROUP = "/sys/fs/cgroup"
MOST_THREADS = 1024


def _read(name: str) -> str:
    with open(os.path.join(CGROUP, name)) as file:
        return file.read()


def _cgroup_quota() -> float:
    """Return the CPUs that the control group's quota allows (cgroup v2, then v1), or infinity."""
    try:
        quota, period = _read("cpu.max").split()
    except (OSError, ValueError):
        try:
            quota, period = _read("cpu/cpu.cfs_quota_us").strip(), _read("cpu/cpu.cfs_period_us")
        except OSError:
            return math.inf
    if quota in ("max", "-1"):
        return math.inf
    try:
        return int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # some other system's file: no reason to fail at import
        return math.inf


def available_cpus() -> int:
    """Return min(CPUs in the affinity mask, ceil(quota of the control group)), at least 1."""
    try:
        cpus = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows have no affinity mask
        cpus = os.cpu_count() or 1
    return max(1, min(cpus, math.ceil(min(_cgroup_quota(), cpus))))


def default_threads() -> int:
    """Return CYCNN_NUM_THREADS, else OMP_NUM_THREADS, else the number of available CPUs."""
    for name in ("CYCNN_NUM_THREADS", "OMP_NUM_THREADS"):
        value = os.environ.get(name, "").split(",")[0].strip()
        if value.isdecimal() and 0 < int(value) <= MOST_THREADS:
            return int(value)
        if value and name == "CYCNN_NUM_THREADS":
            raise ImportError(
                f"CYCNN_NUM_THREADS must be a positive int of at most {MOST_THREADS}. "
                f"Received: CYCNN_NUM_THREADS={value!r}."
            )
    return available_cpus()
