"""The best of one rate that a threshold reaches while another is at least so high."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from .. import validation
from .confusion import _Confusion


class _Tradeoff(_Confusion):
    """Base of the metrics that choose among thresholds."""

    kept: ClassVar[str] = ""  # the rate that must be high enough
    wanted: ClassVar[str] = ""  # the rate whose best value is the result

    def __init__(
        self, least: object, num_thresholds: int, class_id: int | None, name: str | None, dtype: str | None
    ) -> None:
        self.num_thresholds = validation.positive_int(self.owner, "num_thresholds", num_thresholds)
        edges = np.array([0.5]) if num_thresholds == 1 else np.arange(num_thresholds) / (num_thresholds - 1)
        super().__init__(edges, name, dtype)
        self.least = validation.number(self.owner, self.arguments[0], least, 0, 1)
        self.class_id = None if class_id is None else validation.non_negative_int(self.owner, "class_id", class_id)
        setattr(self, self.arguments[0], self.least)

    def result(self) -> float:
        """Return the best value so far, 0 if no threshold will do."""
        feasible = getattr(self.counts, self.kept) >= self.least
        return float(getattr(self.counts, self.wanted)[feasible].max(initial=0.0))


class SensitivityAtSpecificity(_Tradeoff):
    """The best sensitivity, ``tp / (tp + fn)``, at a specificity, ``tn / (tn + fp)``, of at least so much.

    Parameters
    ----------
    specificity : float
        Between 0 and 1.
    num_thresholds : int
        How many thresholds from 0 to 1 are tried, 200 by default.
    class_id : int, optional
        Only this class counts, by default all of them.
    name, dtype
        As of `Metric`.

    Examples
    --------
    >>> SensitivityAtSpecificity(0.5)([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8])
    0.5
    """

    arguments = ("specificity", "num_thresholds", "class_id")
    kept, wanted = "specificity", "recall"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(specificity, num_thresholds, class_id, name, dtype)


class SpecificityAtSensitivity(_Tradeoff):
    """The best specificity, ``tn / (tn + fp)``, at a sensitivity, ``tp / (tp + fn)``, of at least so much.

    Parameters
    ----------
    sensitivity : float
        Between 0 and 1.
    num_thresholds : int
        How many thresholds from 0 to 1 are tried, 200 by default.
    class_id : int, optional
        Only this class counts, by default all of them.
    name, dtype
        As of `Metric`.

    Examples
    --------
    >>> round(SpecificityAtSensitivity(0.5)([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8]), 4)
    0.6667
    """

    arguments = ("sensitivity", "num_thresholds", "class_id")
    kept, wanted = "recall", "specificity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)


class PrecisionAtRecall(_Tradeoff):
    """The best precision, ``tp / (tp + fp)``, at a recall, ``tp / (tp + fn)``, of at least so much.

    Parameters
    ----------
    recall : float
        Between 0 and 1.
    num_thresholds : int
        How many thresholds from 0 to 1 are tried, 200 by default.
    class_id : int, optional
        Only this class counts, by default all of them.
    name, dtype
        As of `Metric`.

    Examples
    --------
    >>> PrecisionAtRecall(0.5)([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8])
    0.5
    """

    arguments = ("recall", "num_thresholds", "class_id")
    kept, wanted = "recall", "precision"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(recall, num_thresholds, class_id, name, dtype)


class RecallAtPrecision(_Tradeoff):
    """The best recall, ``tp / (tp + fn)``, at a precision, ``tp / (tp + fp)``, of at least so much.

    Parameters
    ----------
    precision : float
        Between 0 and 1.
    num_thresholds : int
        How many thresholds from 0 to 1 are tried, 200 by default.
    class_id : int, optional
        Only this class counts, by default all of them.
    name, dtype
        As of `Metric`.

    Examples
    --------
    >>> RecallAtPrecision(0.8)([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9])
    0.5
    """

    arguments = ("precision", "num_thresholds", "class_id")
    kept, wanted = "precision", "recall"

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(precision, num_thresholds, class_id, name, dtype)
