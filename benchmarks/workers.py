"""One library in a process of its own, which works when it is told to, and the same as seen from outside.

    python -m benchmarks.workers LIBRARY NETWORK THREADS WEIGHTS

reads one JSON object a line and answers each with another. A process each, because the libraries' pools of threads and
denormal modes would disturb one another, and so that memory can be told apart.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from benchmarks.libraries import LIBRARIES, Subject
from benchmarks.zoo import NETWORKS, Network, batch_of

# What keeps each library to 256-bit vectors. ONNX Runtime has nothing of the kind.
LIMITS = {
    "v3": {
        "CYCNN_ISA": "v3",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
    }
}
UNLIMITED = {"v3": ("onnxruntime",)}

# What PyTorch's tuning guide asks of the allocator: freed memory is kept, in huge pages, and not given back to the
# system and taken anew, zeroed, in every step. It halves the time of some networks; cycnn allocates nothing in a step.
TUNED = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 33),
    "MALLOC_TOP_PAD_": str(1 << 26),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}


class Work:
    """What a worker can do; every method is a request, and returns what is answered."""

    def __init__(self, library: str, network: str, threads: int, weights_file: str) -> None:
        self.library, self.network, self.threads = LIBRARIES[library], NETWORKS[network], threads
        self.weights_file = weights_file
        self.subject = cache(self._subject)
        self.run = cache(self._run)

    def _subject(self, network: Network) -> Subject:
        weights = None
        if os.path.exists(self.weights_file):
            with np.load(self.weights_file) as file:
                weights = dict(file)
        subject = self.library.subject(network, weights, self.threads)
        if weights is None:
            np.savez(self.weights_file, **subject.weights)  # type: ignore[attr-defined]
        return subject

    def _run(self, task: str) -> Callable[[], Any]:
        subject = self.subject(self.network)
        x, y = batch_of(self.network, 1 if task == "one" else self.network.batch)
        return subject.trainer(x, y) if task == "train" else subject.predictor(x)

    def begin(self) -> dict[str, Any]:
        """Build the network."""
        subject = self.subject(self.network)
        return {"version": self.library.version(), "parameters": subject.parameters}

    def check(self) -> dict[str, Any]:
        """Return logits of the first images and, of a library that trains, the loss of the first step."""
        rows = self.network.batch
        x, y = batch_of(self.network, rows)
        logits = np.array(self.subject(self.network).predictor(x)()[:4], np.float64)
        answer: dict[str, Any] = {"logits": logits.tolist()}
        if "train" in self.library.tasks:
            comparable = self.network.without_dropout()
            step = self.run("train") if comparable == self.network else self.subject(comparable).trainer(x, y)
            answer["loss"] = float(step())
        return answer

    def time(self, task: str, count: int) -> dict[str, Any]:
        """Return the mean seconds of so many runs of a task."""
        run = self.run(task)
        start = time.perf_counter()
        for _ in range(count):
            run()
        return {"seconds": (time.perf_counter() - start) / count}

    def memory(self) -> dict[str, Any]:
        """Return the most bytes that the process has had resident."""
        return {"bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def surroundings() -> dict[str, str]:
    """Return the environment in which `python -P` finds the same packages as this process, installed or not."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


class Worker:
    """A library's process, as seen from the one that compares."""

    def __init__(
        self,
        library: str,
        network: str,
        threads: int,
        weights_file: str,
        isa: str | None = None,
        *,
        tuned: bool = True,
    ) -> None:
        command = [sys.executable, "-P", "-m", "benchmarks.workers", library, network, str(threads), weights_file]
        environment = surroundings() | {"OMP_NUM_THREADS": str(threads)} | LIMITS.get(isa or "", {})
        if tuned:
            environment |= TUNED
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, bufsize=1, env=environment
        )
        self.begun: dict[str, Any] | None = None

    def send(self, request: str, **arguments: Any) -> None:
        """Ask for something without waiting for the answer."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):  # then there will be no answer either
            self.process.stdin.write(json.dumps({"request": request, **arguments}) + "\n")

    def receive(self) -> dict[str, Any]:
        """Return the answer to the earliest request that has none yet; raise RuntimeError with what went wrong."""
        assert self.process.stdout is not None
        answer: dict[str, Any] = json.loads(self.process.stdout.readline() or '{"error": "the process ended"}')
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def ask(self, request: str, **arguments: Any) -> dict[str, Any]:
        """Return the answer to a request; raise RuntimeError with what went wrong."""
        self.send(request, **arguments)
        return self.receive()

    def seconds(self, task: str, count: int) -> float:
        """Return the mean seconds of so many runs of a task."""
        return float(self.ask("time", task=task, count=count)["seconds"])

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def main() -> None:
    """Answer requests until there are no more."""
    library, network, threads, weights_file = sys.argv[1:]
    with os.fdopen(os.dup(1), "w", buffering=1) as answers:  # libraries may print to where answers are expected
        os.dup2(2, 1)
        work = Work(library, network, int(threads), weights_file)
        for line in sys.stdin:
            arguments = json.loads(line)
            try:
                answer = getattr(work, arguments.pop("request"))(**arguments)
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {str(error).strip().splitlines()[:1]}"}
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
