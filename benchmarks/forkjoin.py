"""Cost of dividing work among threads and joining again, beside libgomp.

    python -m benchmarks.forkjoin [--threads 2]

Every thread gets one task of dependent divisions, about 10 microseconds long. The cost is what a run takes beyond one
such task on one thread of a quiet machine. libgomp runs the same task in a C program compiled here with `cc -fopenmp`;
where that is not possible it is left out. Both are measured alone, and with another process that wants a processor.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cycnn import _native
from cycnn._native import threads

OPENMP = r"""
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
static volatile double sink[64]; /* so that nothing can be left out */
static void work(int task, long divisions)
{
    double x = 1e300;
    for (long i = 0; i < divisions; i++) x = x / 1.0000001;
    sink[task] = x;
}
int main(int argc, char **argv)
{
    int threads = atoi(argv[1]), runs = atoi(argv[3]);
    long divisions = atol(argv[2]);
    double start, together;
    for (int round = 0; round < 15; round++) {
        start = omp_get_wtime();
        for (int i = 0; i < runs; i++) {
            #pragma omp parallel for num_threads(threads) schedule(static, 1)
            for (int task = 0; task < threads; task++) work(task, divisions);
        }
        together = omp_get_wtime() - start;
        printf("%.3f\n", together / runs * 1e6);
    }
    return 0;
}
"""
DIVISIONS, RUNS, ROUNDS = 3000, 2000, 15


def libgomp(count: int) -> list[float]:
    """Return the microseconds per run of libgomp in every round; nothing without an OpenMP compiler."""
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "forkjoin.c"), Path(folder, "forkjoin")
        source.write_text(OPENMP)
        try:
            subprocess.run(["cc", "-O2", "-fopenmp", source, "-o", program], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            return []
        arguments = [program, str(count), str(DIVISIONS), str(RUNS)]
        lines = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout.split()
        return [float(line) for line in lines]


def pool(count: int) -> list[float]:
    """Return the microseconds per run of cycnn's pool in every round."""
    rounds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        threads.divide_often(count, DIVISIONS, RUNS)
        rounds.append((time.perf_counter() - start) / RUNS * 1e6)
    return rounds


def main() -> None:
    """Print both, alone and beside a busy process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    count = parser.parse_args().threads
    _native.set_num_threads(count)
    alone = statistics.median(pool(1))
    print(f"microseconds per fork and join, {count} threads: median and worst of {ROUNDS} rounds (task: {alone:.1f})")
    for title, others in (("alone", 0), ("beside one busy process", 1)):
        processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(others)]
        try:
            figures = {"cycnn": pool(count), "libgomp": libgomp(count)}
        finally:
            for process in processes:
                process.kill()
                process.wait()
        shown = ", ".join(
            f"{k} {statistics.median(v) - alone:.2f} (worst {max(v) - alone:.2f})" for k, v in figures.items() if v
        )
        print(f"{title:26}{shown}")


if __name__ == "__main__":
    main()
