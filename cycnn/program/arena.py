"""Places in one block of memory, planned from the first and last step that use each."""

from __future__ import annotations

from dataclasses import dataclass

ALIGNMENT = 64


@dataclass
class Span:
    """A piece of memory of `nbytes`, alive from step `first` to step `last`; `offset` is what the plan decides."""

    nbytes: int
    first: int
    last: int
    offset: int = 0


def plan(spans: list[Span]) -> int:
    """Give every span an offset such that no two that live together overlap; return the bytes of the whole.

    The largest come first, each at the lowest place that is free for all of its life: greedy by size
    (Pisarchyk and Lee, "Efficient memory management for deep neural net inference", 2020).
    """
    placed: list[Span] = []
    for span in sorted(spans, key=lambda span: -span.nbytes):
        offset = 0
        for other in sorted(placed, key=lambda other: other.offset):
            together = other.first <= span.last and span.first <= other.last
            if together and other.offset < offset + span.nbytes and offset < other.offset + other.nbytes:
                offset = -(-(other.offset + other.nbytes) // ALIGNMENT) * ALIGNMENT
        span.offset = offset
        placed.append(span)
    return max((span.offset + span.nbytes for span in spans), default=0)
