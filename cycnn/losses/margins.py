"""Losses that ask for a margin between right and wrong, and nothing beyond it."""

from __future__ import annotations

from .base import PlainLoss
from .regression import ElementwiseLoss


class Hinge(ElementwiseLoss):
    """The mean of ``max(1 - y * x, 0)``; targets are -1 and 1, or 0 and 1, which stand for them.

    Parameters
    ----------
    reduction, name, dtype
        As of `Loss`.

    Examples
    --------
    >>> round(Hinge()([[0.0, 1.0], [0.0, 0.0]], [[0.6, 0.4], [0.4, 0.6]]), 4)
    1.3
    """

    function = "hinge"


class SquaredHinge(ElementwiseLoss):
    """The mean of ``max(1 - y * x, 0)**2``; targets are -1 and 1, or 0 and 1, which stand for them.

    Parameters
    ----------
    reduction, name, dtype
        As of `Loss`.

    Examples
    --------
    >>> round(SquaredHinge()([[0.0, 1.0], [0.0, 0.0]], [[0.6, 0.4], [0.4, 0.6]]), 4)
    1.86
    """

    function = "squared_hinge"


class CategoricalHinge(PlainLoss):
    """By how much the right class is not ahead of the best wrong one by 1: ``max(wrong - right + 1, 0)``.

    In a row, `right` is the sum of ``y * x`` and `wrong` the maximum of ``(1 - y) * x``; targets are one-hot rows.

    Parameters
    ----------
    reduction, name, dtype
        As of `Loss`.

    Examples
    --------
    >>> round(CategoricalHinge()([[0.0, 1.0], [0.0, 0.0]], [[0.6, 0.4], [0.4, 0.6]]), 4)
    1.4
    """

    step = "CategoricalHinge"
    remedy = "For class numbers make one-hot rows."
