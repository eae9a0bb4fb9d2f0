"""Distances of numbers, and divergences: what is learnt where the output is no class."""

from __future__ import annotations

from typing import Any

from .. import validation
from .base import Loss, PlainLoss, last_axis


class ElementwiseLoss(PlainLoss):
    """Base of the losses that are the mean, or sum, of a function of each target and its prediction.

    Which function, the class's name in snake case says to the native step.
    """

    step = "ElementwiseLoss"
    function = ""

    def options(self, columns: int) -> tuple[Any, ...]:
        return self.function, 0.0


class MeanSquaredError(ElementwiseLoss):
    """The mean of the squared differences.

    Parameters
    ----------
    reduction, name, dtype
        As of `Loss`.

    Examples
    --------
    >>> MeanSquaredError()([[1.0, 2.0]], [[1.0, 4.0]])
    2.0
    """

    function = "mean_squared_error"


class MeanAbsoluteError(ElementwiseLoss):
    """The mean of the absolute differences.

    Parameters
    ----------
    reduction, name, dtype
        As of `Loss`.

    Examples
    --------
    >>> MeanAbsoluteError()([[1.0, 2.0]], [[1.0, 4.0]])
    1.0
    """

    function = "mean_absolute_error"


class MeanAbsolutePercentageError(ElementwiseLoss):
    """The mean of ``100 * |y - x| / |y|``, in percent of the targets; targets of less than 1e-7 count as that.

    Parameters
    ----------
    reduction, name, dtype
        As of `Loss`.

    Examples
    --------
    >>> MeanAbsolutePercentageError()([[1.0, 2.0]], [[1.0, 4.0]])
    50.0
    """

    function = "mean_absolute_percentage_error"


class MeanSquaredLogarithmicError(ElementwiseLoss):
    """The mean of ``(log(1 + y) - log(1 + x))**2``; numbers of less than 1e-7 count as that.

    Parameters
    ----------
    reduction, name, dtype
        As of `Loss`.

    Examples
    --------
    >>> round(MeanSquaredLogarithmicError()([[1.0, 2.0]], [[1.0, 4.0]]), 4)
    0.1305
    """

    function = "mean_squared_logarithmic_error"


class Huber(Loss):
    """The mean of ``e**2 / 2`` for differences e up to `delta`, and of ``delta * |e| - delta**2 / 2`` for larger ones.

    Parameters
    ----------
    delta : float
        Where the square becomes a line, 1 by default.
    reduction, dtype
        As of `Loss`.
    name : str, optional
        By default "huber_loss".

    Examples
    --------
    >>> Huber()([[1.0, 2.0]], [[1.0, 4.0]])
    0.75
    """

    arguments = ("delta",)
    step = "ElementwiseLoss"

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.delta = validation.number(self.owner, "delta", delta, 0)

    def options(self, columns: int) -> tuple[Any, ...]:
        return "huber", self.delta


class LogCosh(ElementwiseLoss):
    """The mean of ``log(cosh(x - y))``: about ``e**2 / 2`` for small differences e, ``|e| - log(2)`` for large ones.

    Parameters
    ----------
    reduction, name, dtype
        As of `Loss`.

    Examples
    --------
    >>> round(LogCosh()([[1.0, 2.0]], [[1.0, 4.0]]), 4)
    0.6625
    """

    function = "log_cosh"


class KLDivergence(ElementwiseLoss):
    """The sum of ``y * log(y / x)`` over a row, both clipped to 1e-7..1: how far x is from the distribution y.

    Parameters
    ----------
    reduction, name, dtype
        As of `Loss`.

    Examples
    --------
    >>> round(KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]]), 4)
    0.1438
    """

    function = "kl_divergence"


class Poisson(ElementwiseLoss):
    """The mean of ``x - y * log(x + 1e-7)``: x is the expectation of counts y.

    Parameters
    ----------
    reduction, name, dtype
        As of `Loss`.

    Examples
    --------
    >>> round(Poisson()([[1.0, 2.0]], [[1.0, 4.0]]), 4)
    1.1137
    """

    function = "poisson"


class CosineSimilarity(Loss):
    """Minus the cosine of the angle between target and prediction: -1 for the same direction, 0 for a right angle.

    Parameters
    ----------
    axis : int
        -1, the only one.
    reduction, name, dtype
        As of `Loss`.

    Examples
    --------
    >>> round(CosineSimilarity()([[1.0, 0.0]], [[3.0, 4.0]]), 4)
    -0.6
    """

    arguments = ("axis",)
    step = "CosineSimilarity"

    def __init__(
        self,
        axis: int = -1,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.axis = last_axis(self.owner, axis)
