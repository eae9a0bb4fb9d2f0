"""How far two masks are from covering one another: what segmentations are trained with."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike, NDArray

from .. import validation
from ..shapes import Shape
from ..validation import message, received
from .base import Loss


class _Overlap(Loss):
    """Base of the losses of whole masks: a row is an image, or the batch."""

    step = "OverlapLoss"

    def __init__(self, axis: object, name: str | None, reduction: str, dtype: str | None) -> None:
        super().__init__(name, reduction, dtype)
        self.axis: tuple[int, ...] | None = None
        if axis is not None:
            axes = axis if isinstance(axis, (tuple, list)) else (axis,)
            self.axis = tuple(validation.positive_int(self.owner, "axis", each) for each in axes)

    def call(self, y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[Any]:
        values = super().call(y_true, y_pred)
        return values.reshape(()) if self.axis is None else values

    def rows(self, shape: Shape) -> int | None:
        """Return how many numbers the loss has: one for each image, or one for the batch."""
        if self.axis is None:
            return 1
        if sorted(self.axis) != list(range(1, len(shape))):
            rule = f"be None or {tuple(range(1, len(shape)))}, all axes of an image"
            raise ValueError(message(self.owner, "axis", rule, received("axis", self.axis)))
        return int(shape[0])

    def weighted_axes(self, owner: str, output_shape: Shape) -> Shape:
        """Return (): a weight is of an image. The loss of a whole batch has none."""
        if self.axis is None:
            rule = "be left out, for the loss is that of the whole batch"
            remedy = f"With {self.owner}(axis={tuple(range(1, len(output_shape)))}) images have losses of their own."
            raise ValueError(message(owner, "sample_weight", rule, received("axis", self.axis), remedy))
        return ()


class Dice(_Overlap):
    """One minus twice the overlap of two masks over the sum of both: ``1 - 2 * sum(y * x) / (sum(y) + sum(x))``.

    Parameters
    ----------
    reduction, name, dtype
        As of `Loss`.
    axis : tuple of int, optional
        All axes but the first, as (1, 2, 3), for a loss of each image; by default a batch has one of all its pixels.

    Examples
    --------
    >>> round(Dice()([[0.0, 1.0], [1.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]), 4)
    0.2
    """

    arguments = ("axis",)

    def __init__(
        self,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        axis: tuple[int, ...] | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(axis, name, reduction, dtype)

    def options(self, columns: int) -> tuple[Any, ...]:
        return 2.0, 0.0, 1.0, 1.0


class Tversky(_Overlap):
    """One minus the overlap I of two masks over ``I + alpha * missed + beta * invented``.

    What is missed is ``sum(y * (1 - x))``, what is invented ``sum((1 - y) * x)``; 0.5 and 0.5 is `Dice`.

    Parameters
    ----------
    alpha, beta : float
        Weights of pixels that are missed and invented, 0.5 by default. Keras's documentation has the names of the
        two the other way round; the numbers are its own.
    reduction, name, dtype
        As of `Loss`.
    axis : tuple of int, optional
        All axes but the first, as (1, 2, 3), for a loss of each image; by default a batch has one of all its pixels.

    References
    ----------
    Salehi et al., "Tversky loss function for image segmentation using 3D fully convolutional deep networks", 2017.

    Examples
    --------
    >>> round(Tversky(alpha=0.7, beta=0.3)([[0.0, 1.0], [1.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]), 4)
    0.2593
    """

    arguments = ("alpha", "beta", "axis")

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        axis: tuple[int, ...] | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(axis, name, reduction, dtype)
        self.alpha = validation.number(self.owner, "alpha", alpha, 0)
        self.beta = validation.number(self.owner, "beta", beta, 0)

    def options(self, columns: int) -> tuple[Any, ...]:
        return 1.0, 1.0 - self.alpha - self.beta, self.alpha, self.beta
