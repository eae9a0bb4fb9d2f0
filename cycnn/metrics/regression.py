"""How far predictions are from targets: errors, divergences, margins and angles."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from .. import losses
from .crossentropy import OfLoss, PlainLossMetric


class MeanSquaredError(PlainLossMetric):
    """The mean of the squared differences.

    Parameters
    ----------
    name, dtype
        As of `Metric`.

    Examples
    --------
    >>> MeanSquaredError()([[0, 1], [0, 0]], [[1, 1], [0, 0]])
    0.25
    """

    loss_class = losses.MeanSquaredError


class MeanAbsoluteError(PlainLossMetric):
    """The mean of the absolute differences.

    Parameters
    ----------
    name, dtype
        As of `Metric`.

    Examples
    --------
    >>> MeanAbsoluteError()([[0, 1], [0, 0]], [[1, 1], [0, 0]])
    0.25
    """

    loss_class = losses.MeanAbsoluteError


class MeanAbsolutePercentageError(PlainLossMetric):
    """The mean of the absolute differences in percent of the targets.

    Parameters
    ----------
    name, dtype
        As of `Metric`.

    Examples
    --------
    >>> MeanAbsolutePercentageError()([[1, 2]], [[1, 4]])
    50.0
    """

    loss_class = losses.MeanAbsolutePercentageError


class MeanSquaredLogarithmicError(PlainLossMetric):
    """The mean of the squared differences of the logarithms of 1 more.

    Parameters
    ----------
    name, dtype
        As of `Metric`.

    Examples
    --------
    >>> round(MeanSquaredLogarithmicError()([[1, 2]], [[1, 4]]), 4)
    0.1305
    """

    loss_class = losses.MeanSquaredLogarithmicError


class LogCoshError(PlainLossMetric):
    """The mean of the logarithms of the hyperbolic cosines of the differences.

    Parameters
    ----------
    name : str, optional
        By default "logcosh".
    dtype : str, optional
        As of `Metric`.

    Examples
    --------
    >>> round(LogCoshError()([[1, 2]], [[1, 4]]), 4)
    0.6625
    """

    loss_class = losses.LogCosh

    def __init__(self, name: str | None = "logcosh", dtype: str | None = None) -> None:
        super().__init__(name, dtype)


class KLDivergence(PlainLossMetric):
    """The mean over rows of how far predictions are from the distributions of the targets.

    Parameters
    ----------
    name, dtype
        As of `Metric`.

    Examples
    --------
    >>> round(KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]]), 4)
    0.1438
    """

    loss_class = losses.KLDivergence


class Poisson(PlainLossMetric):
    """The mean of ``x - y * log(x)``, predictions x being expectations of counts y.

    Parameters
    ----------
    name, dtype
        As of `Metric`.

    Examples
    --------
    >>> round(Poisson()([[1, 2]], [[1, 4]]), 4)
    1.1137
    """

    loss_class = losses.Poisson


class Hinge(PlainLossMetric):
    """The mean of ``max(1 - y * x, 0)``; targets are -1 and 1, or 0 and 1, which stand for them.

    Parameters
    ----------
    name, dtype
        As of `Metric`.

    Examples
    --------
    >>> round(Hinge()([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]]), 4)
    1.3
    """

    loss_class = losses.Hinge


class SquaredHinge(PlainLossMetric):
    """The mean of ``max(1 - y * x, 0)**2``; targets are -1 and 1, or 0 and 1, which stand for them.

    Parameters
    ----------
    name, dtype
        As of `Metric`.

    Examples
    --------
    >>> round(SquaredHinge()([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]]), 4)
    1.86
    """

    loss_class = losses.SquaredHinge


class CategoricalHinge(PlainLossMetric):
    """The mean over rows of by how much the right class is not ahead of the best wrong one by 1.

    Parameters
    ----------
    name, dtype
        As of `Metric`.

    Examples
    --------
    >>> round(CategoricalHinge()([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]]), 4)
    1.4
    """

    loss_class = losses.CategoricalHinge


class CosineSimilarity(OfLoss):
    """The mean over rows of the cosine of the angle between target and prediction, 1 for the same direction.

    Parameters
    ----------
    name, dtype
        As of `Metric`.
    axis : int
        -1, the only one.

    Examples
    --------
    >>> round(CosineSimilarity()([[1, 0]], [[3, 4]]), 4)
    0.6
    """

    arguments = ("axis",)

    def __init__(self, name: str | None = None, dtype: str | None = None, axis: int = -1) -> None:
        super().__init__(losses.CosineSimilarity(axis), name, dtype)
        self.axis = axis

    def values(self, y_true: NDArray[Any], y_pred: NDArray[Any]) -> NDArray[Any]:
        return -super().values(y_true, y_pred)
