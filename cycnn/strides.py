"""Walks through two arrays together: which element of `x` goes where in `out`.

Concatenation, padding, cropping, permutation and repetition differ in nothing but the strides of these walks; their
gradients walk the other way.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple, TypeAlias

Extents: TypeAlias = tuple[int, ...]


class Walk(NamedTuple):
    """Element ``i . x_strides + x_offset`` of x belongs to ``i . out_strides + out_offset`` of out, for i in `shape`.

    Strides and offsets count elements; a stride of zero stays where it is.
    """

    shape: Extents
    x_strides: Extents
    x_offset: int
    out_strides: Extents
    out_offset: int

    def reverse(self) -> Walk:
        """Return the walk from out to x, that of the gradient.

        Examples
        --------
        >>> repeat((2, 1), (2, 3)).reverse()
        Walk(shape=(2, 3), x_strides=(3, 1), x_offset=0, out_strides=(1, 0), out_offset=0)
        """
        return Walk(self.shape, self.out_strides, self.out_offset, self.x_strides, self.x_offset)


def row_major(shape: Extents) -> Extents:
    """Return the strides of a contiguous array.

    Examples
    --------
    >>> row_major((2, 3, 4))
    (12, 4, 1)
    """
    strides = [1] * len(shape)
    for axis in range(len(shape) - 1, 0, -1):
        strides[axis - 1] = strides[axis] * shape[axis]
    return tuple(strides)


def channel_sums(shape: Extents) -> Walk:
    """Walk over all rows of the last axis to one row: what `StridedSum` adds up is the gradient of a bias.

    Examples
    --------
    >>> channel_sums((2, 3, 4))
    Walk(shape=(6, 4), x_strides=(4, 1), x_offset=0, out_strides=(0, 1), out_offset=0)
    """
    rows, channels = prod(shape[:-1]), shape[-1]
    return Walk((rows, channels), (channels, 1), 0, (0, 1), 0)


def box(extents: Extents, x_shape: Extents, x_start: Extents, out_shape: Extents, out_start: Extents) -> Walk:
    """Walk from a box within x to a box within out, of the same extents.

    Examples
    --------
    >>> box((2, 2), (2, 3), (0, 1), (2, 2), (0, 0))
    Walk(shape=(2, 2), x_strides=(3, 1), x_offset=1, out_strides=(2, 1), out_offset=0)
    """
    x_strides, out_strides = row_major(x_shape), row_major(out_shape)
    return Walk(extents, x_strides, _dot(x_strides, x_start), out_strides, _dot(out_strides, out_start))


def repeat(x_shape: Extents, out_shape: Extents) -> Walk:
    """Walk from x to out, where the extents of 1 in x are repeated as often as out wants.

    Examples
    --------
    >>> repeat((2, 1), (2, 3))
    Walk(shape=(2, 3), x_strides=(1, 0), x_offset=0, out_strides=(3, 1), out_offset=0)
    """
    x_strides = tuple(0 if extent == 1 else stride for extent, stride in zip(x_shape, row_major(x_shape), strict=True))
    # An extent of 1 that is not repeated may have a stride of zero too: no step is ever made along it.
    return Walk(out_shape, x_strides, 0, row_major(out_shape), 0)


def permute(x_shape: Extents, axes: Extents) -> Walk:
    """Walk from x to out, whose axis number k is axis ``axes[k]`` of x.

    Examples
    --------
    >>> permute((2, 3), (1, 0))
    Walk(shape=(3, 2), x_strides=(1, 3), x_offset=0, out_strides=(2, 1), out_offset=0)
    """
    x_strides = row_major(x_shape)
    shape = tuple(x_shape[axis] for axis in axes)
    return Walk(shape, tuple(x_strides[axis] for axis in axes), 0, row_major(shape), 0)


def around(shape: Extents, start: Extents, extents: Extents) -> list[Walk]:
    """Walk over what lies around a box within an array, in boxes that do not overlap; empty ones are left out.

    Examples
    --------
    >>> [walk.shape for walk in around((4, 6), (1, 2), (3, 4))]
    [(1, 6), (3, 2)]
    """
    walks = []
    place, size = [0] * len(shape), list(shape)
    for axis, (before, inside) in enumerate(zip(start, extents, strict=True)):
        for first, count in ((0, before), (before + inside, shape[axis] - before - inside)):
            if count > 0:
                place[axis], size[axis] = first, count
                walks.append(box(tuple(size), shape, tuple(place), shape, tuple(place)))
        place[axis], size[axis] = before, inside
    return walks


def _dot(strides: Extents, index: Extents) -> int:
    return sum(stride * i for stride, i in zip(strides, index, strict=True))
