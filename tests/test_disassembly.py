"""What the compiler made of the kernels: the instruction sets they keep to, and accumulators that stay in registers.

The disassembly is searched for its innermost loops: jumps backwards over instructions that hold no other jump. Those
with multiply-adds are the register tiles. A vector that is read from or written to the stack in such a loop is a
spilled accumulator or operand, which costs a large part of the speed while every result stays right.
"""

import functools
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cycnn import _native
from cycnn._native.levels import level_of

NATIVE = Path(_native.__path__[0])
LEVELS = [level for level in ("v2", "v3", "v4") if level in _native.built]
TILED = [(level, family) for level in LEVELS for family in ("correlation", "gradient_tiles", "winograd_kernel")]
# Multiply-adds in the loop of the largest tile: rows x 2 vectors.
LARGEST = {"v2": 4 * 2, "v3": 6 * 2, "v4": 11 * 2}
LARGEST_DEPTHWISE = {"v2": 4 * 2, "v3": 6 * 2, "v4": 6 * 2}
REGISTERS = {"v2": "xmm", "v3": "ymm", "v4": "zmm"}

pytestmark = [
    pytest.mark.skipif(shutil.which("objdump") is None, reason="needs objdump, which is part of binutils"),
    pytest.mark.skipif(not LEVELS, reason="knows the instructions of x86-64 only"),
]


@dataclass
class Instruction:
    """One line of the disassembly, in the order of operands of AT&T: the destination last."""

    address: int
    name: str
    operands: str
    target: int | None = None  # of a jump

    @property
    def jumps(self):
        return self.name.startswith("j")

    @property
    def written(self):
        """The register that is written, if any: its number where it has one, else its name of 64 bits."""
        last = re.search(r"(%\w+)(?:\{.*)?$", self.operands)
        return last[1] if last and not self.name.startswith(("cmp", "test", "j", "call", "push")) else None

    @property
    def vectors_in_memory(self):
        """The registers that address memory from which or to which a vector goes; None if there is no such memory."""
        memory = re.search(r"\((%\w+)?(?:,(%\w+))?", self.operands)
        if memory is None or not re.search("%[xyz]mm", self.operands):
            return None
        return {register for register in memory.groups() if register}


@dataclass
class Loop:
    """The instructions of an innermost loop."""

    body: list[Instruction] = field(default_factory=list)

    def multiply_adds(self, register):
        """Return how many vectors of that kind are multiplied and added."""
        ours = [i.name for i in self.body if f"%{register}" in i.operands]
        fused = sum(bool(re.fullmatch(r"vfn?m(add|sub)\d+ps", name)) for name in ours)
        return fused or min(ours.count("mulps"), ours.count("addps"))

    @property
    def spills(self):
        """Vectors at addresses that do not change from one pass to the next, unless they are constants of the code."""
        changed = {i.written for i in self.body}
        return [
            f"{i.address:x}: {i.name} {i.operands}"
            for i in self.body
            if (by := i.vectors_in_memory) is not None and "%rip" not in by and ("%rsp" in by or not by & changed)
        ]


@functools.cache
def instructions(file):
    """Return the disassembly of a file's code."""
    text = subprocess.run(
        ["objdump", "--disassemble", "--no-show-raw-insn", "--section=.text", file],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    found = []
    for line in text.splitlines():
        match = re.match(r"\s*([0-9a-f]+):\t(?:(?:rep|repz|notrack|bnd|lock|data16|cs) )*(\S+)\s*([^#<]*)", line)
        if match:
            address, name, operands = int(match[1], 16), match[2], match[3].strip()
            jump = name.startswith("j") and re.fullmatch("[0-9a-f]+", operands)
            found.append(Instruction(address, name, operands, int(operands, 16) if jump else None))
    assert len(found) > 100
    return found


def loops(code):
    """Return the innermost loops: from the target of a jump backwards to the jump, without a jump between them."""
    at = {instruction.address: i for i, instruction in enumerate(code)}
    found = []
    for end, instruction in enumerate(code):
        start = at.get(instruction.target)
        if start is not None and start < end and not any(i.jumps for i in code[start:end]):
            found.append(Loop(code[start:end]))
    return found


def extension(family, level=""):
    """Return the path of an extension module."""
    (file,) = (NATIVE / level).glob(f"{family}.*.so")
    return str(file)


def modules(level):
    """Return the extension modules of an instruction set."""
    files, lowest = sorted(map(str, (NATIVE / level).glob("*.so"))), _native.built[-1]
    assert len(files) >= len([family for family in _native.FAMILIES if level_of(family, level, lowest) == level])
    return files


def tiles(level, family):
    """Return the innermost loops that multiply and add at least two vectors."""
    return [loop for loop in loops(instructions(extension(family, level))) if loop.multiply_adds(REGISTERS[level]) >= 2]


def users_of(pattern, file):
    """Return the instructions that match a pattern."""
    lines = (f"{i.name} {i.operands}" for i in instructions(file))
    return [line for line in lines if re.search(pattern, line)]


@pytest.mark.parametrize("name", ["cpu", "threads", "runtime"])
def test_what_chooses_runs_everywhere(name):
    # Loaded before anyone knows what the CPU can do; SSE2 is part of every x86-64.
    assert users_of(r"%[yz]mm|^v(?!err|erw)|%k[0-7]", extension(name)) == []


@pytest.mark.skipif("v2" not in LEVELS, reason="v2 is not built")
def test_v2_has_no_avx():
    for file in modules("v2"):
        assert users_of(r"%[yz]mm|^v(?!err|erw)|%k[0-7]", file) == []


@pytest.mark.skipif("v3" not in LEVELS, reason="v3 is not built")
def test_v3_has_no_avx512():
    for file in modules("v3"):
        assert users_of(r"%zmm|%[xy]mm(1[6-9]|2\d|3[01])|%k[0-7]|\{1to", file) == []


@pytest.mark.skipif("v3" not in LEVELS, reason="v3 is not built")
@pytest.mark.parametrize("family", ["normalize_rows", "optimizers"])
def test_no_loop_loads_what_may_not_be_there(family):
    # Asked in a loop whether a pointer is NULL, the compiler loads under a mask. From NULL nothing is loaded then, but
    # the processor takes a hundred times as long: RMSprop took 75 ms for a million numbers.
    assert users_of("^vmaskmov", extension(family, "v3")) == []


@pytest.mark.parametrize(("level", "family"), TILED)
def test_no_vector_leaves_its_register_in_the_loops_of_tiles(level, family):
    found = tiles(level, family)
    assert len(found) >= 2, "no tile was recognised"
    assert [spill for loop in found for spill in loop.spills] == []


@pytest.mark.parametrize("level", [level for level in LEVELS if level != "v2"])
def test_tiles_begin_and_end_in_registers(level):
    # SSE2 reads and writes the first lanes of a vector through the stack.
    vector = rf"%{REGISTERS[level]}\d+"
    on_stack = users_of(rf"{vector}.*\(%rsp|\(%rsp.*{vector}", extension("gradient_tiles", level))
    assert len(on_stack) < LARGEST[level]


@pytest.mark.parametrize(("level", "family"), TILED)
def test_the_largest_tile_is_there(level, family):
    assert LARGEST[level] in {loop.multiply_adds(REGISTERS[level]) for loop in tiles(level, family)}


@pytest.mark.parametrize("family", ["depthwise", "depthwise_kernel"])
@pytest.mark.parametrize("level", LEVELS)
def test_the_largest_depthwise_tile_stays_in_registers(level, family):
    # The activations of the epilogue are in the same module; their loops may keep constants on the stack.
    largest = [t for t in tiles(level, family) if t.multiply_adds(REGISTERS[level]) == LARGEST_DEPTHWISE[level]]
    assert any(loop.spills == [] for loop in largest)


@pytest.mark.parametrize("level", LEVELS)
def test_the_largest_winograd_tile_stays_in_registers(level):
    # The transforms beside it pass what they compute through memory.
    largest = [t for t in tiles(level, "winograd") if t.multiply_adds(REGISTERS[level]) == LARGEST[level]]
    assert any(loop.spills == [] for loop in largest)


def code(*lines):
    """Return instructions one byte apart; a jump's operand is the number of its target."""
    found = []
    for address, line in enumerate(lines):
        name, _, operands = line.partition(" ")
        found.append(Instruction(address, name, operands, int(operands) if name.startswith("j") else None))
    return found


class TestSearch:
    FMA = "vfmadd231ps %zmm1,%zmm2,%zmm3"

    def test_finds_innermost_loops(self):
        (loop,) = loops(code("xor %eax,%eax", self.FMA, "add $0x1,%rax", "jne 1", "ret", "jne 0", "jmp 7", "ret"))
        assert [i.address for i in loop.body] == [1, 2]
        assert loop.multiply_adds("zmm") == 1
        assert loop.multiply_adds("ymm") == 0

    @pytest.mark.parametrize(
        "line",
        [
            "vmovaps %zmm3,0x40(%rsp)",
            "vmovaps 0x40(%rsp),%zmm3",
            "vfmadd231ps -0x80(%rbp),%zmm2,%zmm3",
            "vbroadcastss 0x8(%rsp),%zmm1",
            "movaps %xmm3,(%rsp,%rax,4)",
            "vmulps 0x4(%rbp){1to16},%zmm1,%zmm2",
        ],
    )
    def test_finds_spills(self, line):
        (loop,) = loops(code("nop", self.FMA, line, "add $0x1,%rax", "jne 1"))
        assert len(loop.spills) == 1

    @pytest.mark.parametrize(
        "line",
        [
            "vmovups (%rbp),%zmm3",
            "vbroadcastss 0x4(%r8,%rbp,1),%zmm1",
            "vmovaps 0x100(%rip),%zmm3",
            "mov 0x8(%rsp),%rcx",
            "vmovaps %zmm3,%zmm4",
        ],
    )
    def test_takes_no_operand_for_a_spill(self, line):
        (loop,) = loops(code("nop", self.FMA, line, "add $0x40,%rbp", "jne 1"))
        assert loop.spills == []
