"""What training minimises: losses by Keras's names, as objects or by name.

A loss checks targets, and lowers to a step that computes one value per row and the gradient of
their mean. Rows are what stands along the last axis of the output: one for each image of a
classifier, one for each pixel where the output is an image. The loss of a model, over a batch or
an epoch, is the mean over all rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import validation
from .layers.base import Shape, snake_case
from .program import nodes
from .validation import message, received

if TYPE_CHECKING:
    from .program import Graph, Value


class Loss:
    """Base of all losses.

    Parameters
    ----------
    name : str, optional
        By default the class's name in snake case.
    """

    arguments: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, name: str | None = None) -> None:
        self.name = name or snake_case(type(self).__name__)

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike) -> float:
        """Return the mean over the rows of `y_pred`."""
        from . import ops

        function = getattr(ops, snake_case(type(self).__name__))
        config = {name: getattr(self, name) for name in self.arguments}
        return float(np.mean(function(y_true, y_pred, **config), dtype=np.float64))

    def lower(self, graph: Graph, y_pred: Value, scale: float, weighted: bool) -> None:
        """Append to `graph` the loss of `y_pred` and its gradient, times `scale`; `weighted` says whether rows have
        weights of their own."""
        raise NotImplementedError

    def coerce(self, owner: str, name: str, y: object, output_shape: Shape) -> NDArray[Any]:
        """Return the targets of a whole data set as an array, or raise if they do not fit.

        Parameters
        ----------
        owner, name : str
            What an error message names: the method and its argument.
        y : array_like
            The targets.
        output_shape : tuple
            Shape of the model's output.

        Returns
        -------
        ndarray
            int32 labels for each row of the output, or an array of the output's shape and the
            caller's type, which is not copied: it is converted batch by batch.
        """
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments as plain JSON values."""
        return {"name": self.name} | {name: getattr(self, name) for name in self.arguments}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return the loss that `get_config` described."""
        return cls(**config)


class _FromLogits(Loss):
    """Base of the losses of probabilities, which may be given as logits."""

    arguments = ("from_logits",)

    def __init__(self, from_logits: bool = False, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.from_logits = validation.boolean(type(self).__name__, "from_logits", from_logits)


class SparseCategoricalCrossentropy(_FromLogits):
    """Minus the logarithm of the probability of the right class; targets are class numbers.

    Parameters
    ----------
    from_logits : bool
        Whether the model's output is logits, to which softmax is still to be applied, and not
        probabilities. False by default.
    name : str, optional
        By default "sparse_categorical_crossentropy".

    Examples
    --------
    >>> loss = SparseCategoricalCrossentropy()
    >>> round(loss([1, 2], [[0.05, 0.95, 0.0], [0.1, 0.8, 0.1]]), 4)
    1.1769
    """

    def lower(self, graph: Graph, y_pred: Value, scale: float, weighted: bool) -> None:
        step = "SparseCategoricalCrossentropy"
        graph.add_loss(nodes.Loss(y_pred, step, scale, weighted, self.from_logits, absorbs="softmax", sparse=True))

    def coerce(self, owner: str, name: str, y: object, output_shape: Shape) -> NDArray[Any]:
        classes = output_shape[-1]
        assert classes is not None
        if len(output_shape) == 2:
            return validation.labels(owner, name, y, classes)
        array = validation.any_array(owner, name, y)
        if array.shape[1:] not in (output_shape[1:-1], (*output_shape[1:-1], 1)):
            rule = f"have the shape (batch, {', '.join(map(str, output_shape[1:-1]))})"
            raise ValueError(message(owner, name, rule, received(f"{name}.shape", array.shape)))
        flat = validation.labels(owner, name, array.reshape(-1), classes)
        return flat.reshape(len(array), *output_shape[1:-1])


class CategoricalCrossentropy(_FromLogits):
    """Minus the sum of the targets times the logarithms of the probabilities of the classes.

    Parameters
    ----------
    from_logits : bool
        Whether the model's output is logits, to which softmax is still to be applied, and not
        probabilities. False by default.
    name : str, optional
        By default "categorical_crossentropy".

    Examples
    --------
    >>> loss = CategoricalCrossentropy()
    >>> round(loss([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [[0.05, 0.95, 0.0], [0.1, 0.8, 0.1]]), 4)
    1.1769
    """

    def lower(self, graph: Graph, y_pred: Value, scale: float, weighted: bool) -> None:
        step = "CategoricalCrossentropy"
        graph.add_loss(nodes.Loss(y_pred, step, scale, weighted, self.from_logits, absorbs="softmax"))

    def coerce(self, owner: str, name: str, y: object, output_shape: Shape) -> NDArray[Any]:
        remedy = 'For class numbers use loss="sparse_categorical_crossentropy".'
        return _targets(owner, name, y, output_shape, remedy, shares=True)


class BinaryCrossentropy(_FromLogits):
    """Cross-entropy of independent yes-or-no decisions, the mean over the outputs of a row.

    Parameters
    ----------
    from_logits : bool
        Whether the model's output is logits, to which the sigmoid is still to be applied, and not
        probabilities. False by default.
    name : str, optional
        By default "binary_crossentropy".

    Examples
    --------
    >>> round(BinaryCrossentropy()([[1.0], [0.0]], [[0.9], [0.2]]), 4)
    0.1643
    """

    def lower(self, graph: Graph, y_pred: Value, scale: float, weighted: bool) -> None:
        step = "BinaryCrossentropy"
        graph.add_loss(nodes.Loss(y_pred, step, scale, weighted, self.from_logits, absorbs="sigmoid"))

    def coerce(self, owner: str, name: str, y: object, output_shape: Shape) -> NDArray[Any]:
        return _targets(owner, name, y, output_shape, shares=True)


class MeanSquaredError(Loss):
    """The mean of the squared differences.

    Parameters
    ----------
    name : str, optional
        By default "mean_squared_error".

    Examples
    --------
    >>> MeanSquaredError()([[1.0, 2.0]], [[1.0, 4.0]])
    2.0
    """

    def lower(self, graph: Graph, y_pred: Value, scale: float, weighted: bool) -> None:
        graph.add_loss(nodes.SquaredLoss(y_pred, scale, weighted))

    def coerce(self, owner: str, name: str, y: object, output_shape: Shape) -> NDArray[Any]:
        return _targets(owner, name, y, output_shape)


def _targets(
    owner: str, name: str, y: object, output_shape: Shape, remedy: str = "", shares: bool = False
) -> NDArray[Any]:
    """Return numbers as an array of the output's shape; `shares` must lie between 0 and 1."""
    array = validation.any_array(owner, name, y)
    if array.dtype.kind not in "fiub":
        what = f"{name}.dtype={array.dtype}"
        raise TypeError(message(owner, name, "be an array of real numbers", what))
    if array.ndim == 1 and output_shape[1:] == (1,):
        array = array[:, np.newaxis]
    if array.ndim < 1 or array.shape[1:] != output_shape[1:]:
        rule = f"have the shape (batch, {', '.join(map(str, output_shape[1:]))})"
        what = received(f"{name}.shape", array.shape)
        remedy = remedy if array.ndim == 1 else ""
        raise ValueError(message(owner, name, rule, what, remedy))
    if shares and array.size > 0 and not (array.min() >= 0 and array.max() <= 1):
        what = f"{name}.min()={array.min()}, {name}.max()={array.max()}"
        raise ValueError(message(owner, name, "lie between 0 and 1", what))
    return array


_CLASSES = (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    MeanSquaredError,
    SparseCategoricalCrossentropy,
)
_BY_NAME: dict[str, type[Loss]] = {
    **{snake_case(cls.__name__): cls for cls in _CLASSES},
    **{cls.__name__: cls for cls in _CLASSES},
    "mse": MeanSquaredError,
    "MSE": MeanSquaredError,
}


def get(identifier: object, *, owner: str = "losses.get", name: str = "identifier") -> Loss:
    """Return the loss that `identifier` stands for.

    Parameters
    ----------
    identifier : str or Loss
        A name such as "mse" or "sparse_categorical_crossentropy", or a loss.
    owner, name : str
        What an error message names.

    Examples
    --------
    >>> get("mse").name
    'mean_squared_error'
    """
    if isinstance(identifier, str):
        if identifier not in _BY_NAME:
            rule = "be one of " + ", ".join(snake_case(cls.__name__) for cls in _CLASSES)
            raise ValueError(message(owner, name, rule, received(name, identifier)))
        return _BY_NAME[identifier]()
    if not isinstance(identifier, Loss):
        rule = "be the name of a loss or a Loss"
        raise TypeError(message(owner, name, rule, received(name, identifier)))
    return identifier
