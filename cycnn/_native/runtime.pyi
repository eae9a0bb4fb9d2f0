from collections.abc import Iterable
from typing import Any

from numpy.typing import NDArray
from typing_extensions import disjoint_base

DTYPES: dict[str, tuple[bytes, int]]

@disjoint_base
class Buffer:
    shape: tuple[int, ...]
    dtype: str
    size: int
    nbytes: int
    cache: dict[tuple[Any, ...], Any]
    version: int
    def __init__(self, shape: tuple[int, ...], dtype: str = "float32") -> None: ...
    @staticmethod
    def of(array: NDArray[Any]) -> Buffer: ...
    def bind(self, array: NDArray[Any]) -> None: ...
    def place(self, memory: Memory, offset: int) -> None: ...
    def touch(self) -> None: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

@disjoint_base
class Memory:
    nbytes: int
    def __init__(self, nbytes: int) -> None: ...

@disjoint_base
class Step:
    workspace: int
    scratch: int
    def place_workspace(self, memory: Memory, offset: int) -> None: ...

@disjoint_base
class GatedStep(Step):
    parts: int
    def gate(self, x: Buffer, scale: Buffer, shift: Buffer, mean: Buffer, sums: Buffer, activation: str) -> None: ...

@disjoint_base
class Program:
    steps: tuple[Step, ...]
    def __init__(self, steps: Iterable[Step]) -> None: ...
    def run(self) -> None: ...

@disjoint_base
class Pieces(Step):
    def __init__(
        self,
        programs: list[Program],
        inputs: list[list[tuple[Buffer, int]]],
        outputs: list[list[Buffer]],
        x: list[NDArray[Any]],
        out: list[NDArray[Any]],
        count: int,
    ) -> None: ...
