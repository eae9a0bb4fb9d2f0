"""Cross-entropies: of one class among several, and of yes-or-no decisions each for itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import validation
from ..shapes import Shape
from ..validation import message, received
from .base import Loss, last_axis


class SparseCategoricalCrossentropy(Loss):
    """Minus the logarithm of the probability of the right class; targets are class numbers.

    Parameters
    ----------
    from_logits : bool
        Whether the model's output is logits, to which softmax is still to be applied, and not
        probabilities. False by default.
    ignore_class : int, optional
        Rows of this class count for nothing, and the mean is over the others: the pixels without a label
        of a segmentation. It need not be a class, and may be -1 or 255.
    reduction, name, dtype
        As of `Loss`.
    axis : int
        -1, the only one.

    Examples
    --------
    >>> loss = SparseCategoricalCrossentropy()
    >>> round(loss([1, 2], [[0.05, 0.95, 0.0], [0.1, 0.8, 0.1]]), 4)
    1.1769
    >>> loss = SparseCategoricalCrossentropy(ignore_class=-1)
    >>> round(loss([1, -1], [[0.05, 0.95, 0.0], [0.1, 0.8, 0.1]]), 4)
    0.0513
    """

    arguments = ("from_logits", "ignore_class", "axis")
    step, absorbs, sparse = "SparseCategoricalCrossentropy", "softmax", True

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.from_logits = validation.boolean(self.owner, "from_logits", from_logits)
        ignored = None if ignore_class is None else validation.integer(self.owner, "ignore_class", ignore_class)
        self.ignore_class = ignored
        self.axis = last_axis(self.owner, axis)

    def call(self, y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[Any]:
        values = super().call(y_true, y_pred)
        if self.ignore_class is None:
            return values
        # In the loss, the rows that are not ignored count for all.
        counted = np.count_nonzero(np.asarray(y_true) != self.ignore_class)
        rows: NDArray[Any] = values * values.dtype.type(counted / max(values.size, 1))
        return rows

    def options(self, columns: int) -> tuple[Any, ...]:
        return (self.ignore_class,)

    def coerce(self, owner: str, name: str, y: object, output_shape: Shape) -> NDArray[Any]:
        classes = output_shape[-1]
        assert classes is not None
        if len(output_shape) == 2:
            return self._labels(owner, name, y, classes)
        array = validation.any_array(owner, name, y)
        if array.shape[1:] not in (output_shape[1:-1], (*output_shape[1:-1], 1)):
            rule = f"have the shape (batch, {', '.join(map(str, output_shape[1:-1]))})"
            raise ValueError(message(owner, name, rule, received(f"{name}.shape", array.shape)))
        flat = self._labels(owner, name, array.reshape(-1), classes)
        return flat.reshape(len(array), *output_shape[1:-1])

    def _labels(self, owner: str, name: str, y: object, classes: int) -> NDArray[np.int32]:
        """Return class numbers, of which those to be ignored may be any."""
        if self.ignore_class is None or 0 <= self.ignore_class < classes:
            return validation.labels(owner, name, y, classes)
        array = validation.any_array(owner, name, y)
        ignored = array == self.ignore_class
        labels = validation.labels(owner, name, np.where(ignored, array.dtype.type(0), array), classes)
        labels[ignored.reshape(-1)] = self.ignore_class
        return labels


class CategoricalCrossentropy(Loss):
    """Minus the sum of the targets times the logarithms of the probabilities of the classes.

    Parameters
    ----------
    from_logits : bool
        Whether the model's output is logits, to which softmax is still to be applied, and not
        probabilities. False by default.
    label_smoothing : float
        Between 0 and 1, 0 by default: targets become ``(1 - label_smoothing) * y + label_smoothing / classes``.
    axis : int
        -1, the only one.
    reduction, name, dtype
        As of `Loss`.

    Examples
    --------
    >>> loss = CategoricalCrossentropy()
    >>> round(loss([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [[0.05, 0.95, 0.0], [0.1, 0.8, 0.1]]), 4)
    1.1769
    """

    arguments = ("from_logits", "label_smoothing", "axis")
    step, absorbs, shares = "CategoricalCrossentropy", "softmax", True
    remedy = 'For class numbers use loss="sparse_categorical_crossentropy".'

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.from_logits = validation.boolean(self.owner, "from_logits", from_logits)
        self.label_smoothing = validation.number(self.owner, "label_smoothing", label_smoothing, 0, 1)
        self.axis = last_axis(self.owner, axis)

    def options(self, columns: int) -> tuple[Any, ...]:
        return (self.label_smoothing,)


class BinaryCrossentropy(CategoricalCrossentropy):
    """Cross-entropy of independent yes-or-no decisions, the mean over the outputs of a row.

    Parameters
    ----------
    from_logits : bool
        Whether the model's output is logits, to which the sigmoid is still to be applied, and not
        probabilities. False by default.
    label_smoothing : float
        Between 0 and 1, 0 by default: targets become ``(1 - label_smoothing) * y + label_smoothing / 2``.
    axis : int
        -1, the only one.
    reduction, name, dtype
        As of `Loss`.

    Examples
    --------
    >>> round(BinaryCrossentropy()([[1.0], [0.0]], [[0.9], [0.2]]), 4)
    0.1643
    """

    step, absorbs, remedy = "BinaryCrossentropy", "sigmoid", ""


class CategoricalFocalCrossentropy(Loss):
    """Cross-entropy of classes in which what is already right counts little.

    The loss of a row is ``-sum over i of alpha[i] * (1 - p[i])**gamma * y[i] * log(p[i])``.

    Parameters
    ----------
    alpha : float or list of float
        Weight of the classes, 0.25 by default, or one for each.
    gamma : float
        How little, 2 by default; 0 is the plain cross-entropy times alpha.
    from_logits : bool
        Whether the model's output is logits, to which softmax is still to be applied. False by default.
    label_smoothing : float
        Between 0 and 1, 0 by default: targets become ``(1 - label_smoothing) * y + label_smoothing / classes``.
    axis : int
        -1, the only one.
    reduction, name, dtype
        As of `Loss`.

    References
    ----------
    Lin et al., "Focal loss for dense object detection", 2017.

    Examples
    --------
    >>> loss = CategoricalFocalCrossentropy()
    >>> round(loss([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [[0.05, 0.95, 0.0], [0.1, 0.8, 0.1]]), 4)
    0.2332
    """

    arguments = ("alpha", "gamma", "from_logits", "label_smoothing", "axis")
    step, absorbs, shares = "CategoricalFocalCrossentropy", "softmax", True
    remedy = CategoricalCrossentropy.remedy

    def __init__(
        self,
        alpha: float | list[float] = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.alpha: float | tuple[float, ...] = (
            tuple(validation.number(self.owner, "alpha", each) for each in alpha)
            if isinstance(alpha, (list, tuple))
            else validation.number(self.owner, "alpha", alpha)
        )
        self.gamma = validation.number(self.owner, "gamma", gamma, 0)
        self.from_logits = validation.boolean(self.owner, "from_logits", from_logits)
        self.label_smoothing = validation.number(self.owner, "label_smoothing", label_smoothing, 0, 1)
        self.axis = last_axis(self.owner, axis)

    def options(self, columns: int) -> tuple[Any, ...]:
        alpha = self.alpha if isinstance(self.alpha, tuple) else (self.alpha,) * columns
        return self.label_smoothing, alpha, self.gamma

    def coerce(self, owner: str, name: str, y: object, output_shape: Shape) -> NDArray[Any]:
        if isinstance(self.alpha, tuple) and len(self.alpha) != output_shape[-1]:
            rule = f"have one number for each of the {output_shape[-1]} classes"
            raise ValueError(message(self.owner, "alpha", rule, received("len(alpha)", len(self.alpha))))
        return super().coerce(owner, name, y, output_shape)


class BinaryFocalCrossentropy(Loss):
    """Cross-entropy of yes-or-no decisions in which what is already right counts little, the mean over a row.

    The loss of an output is ``(1 - t)**gamma`` times its cross-entropy, where t is the probability given to the
    truth, ``y * p + (1 - y) * (1 - p)``.

    Parameters
    ----------
    apply_class_balancing : bool
        Whether to multiply by ``alpha * y + (1 - alpha) * (1 - y)``. False by default.
    alpha : float
        Weight of the class 1, between 0 and 1; 0.25 by default.
    gamma : float
        How little, 2 by default.
    from_logits : bool
        Whether the model's output is logits, to which the sigmoid is still to be applied. False by default.
    label_smoothing : float
        Between 0 and 1, 0 by default: targets become ``(1 - label_smoothing) * y + label_smoothing / 2``.
    axis : int
        -1, the only one.
    reduction, name, dtype
        As of `Loss`.

    References
    ----------
    Lin et al., "Focal loss for dense object detection", 2017.

    Examples
    --------
    >>> round(BinaryFocalCrossentropy()([[0.0, 1.0], [0.0, 0.0]], [[0.6, 0.4], [0.4, 0.6]]), 4)
    0.2678
    """

    arguments = ("apply_class_balancing", "alpha", "gamma", "from_logits", "label_smoothing", "axis")
    step, absorbs, shares = "BinaryFocalCrossentropy", "sigmoid", True

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.apply_class_balancing = validation.boolean(self.owner, "apply_class_balancing", apply_class_balancing)
        self.alpha = validation.number(self.owner, "alpha", alpha, 0, 1)
        self.gamma = validation.number(self.owner, "gamma", gamma, 0)
        self.from_logits = validation.boolean(self.owner, "from_logits", from_logits)
        self.label_smoothing = validation.number(self.owner, "label_smoothing", label_smoothing, 0, 1)
        self.axis = last_axis(self.owner, axis)

    def options(self, columns: int) -> tuple[Any, ...]:
        return self.label_smoothing, self.alpha, self.gamma, self.apply_class_balancing
