"""What every loss is made of: a native step, checks of targets, a reduction and a configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import validation
from ..identifiers import Configured, snake_case
from ..program import nodes
from ..shapes import Shape
from ..validation import message, received

if TYPE_CHECKING:
    from ..program import Graph, Value

AVERAGES = ("sum_over_batch_size", "mean")


class Loss(Configured):
    """Base of all losses.

    A loss gives one number for each row of the predictions, a row being what stands along their last axis: one for
    each image of a classifier, one for each pixel where the output is an image. What is minimised is their mean.

    A subclass lists its constructor's own arguments in `arguments` and stores them coerced under the same names.

    Parameters
    ----------
    name : str, optional
        By default the class's name in snake case.
    reduction : {"sum_over_batch_size", "mean", "sum"}
        What is minimised: the mean of all rows, under either name, or their sum. A row counts as much as its weight
        says; the mean is over the number of rows, not over the sum of their weights.
    dtype : {"float32", "float64"}, optional
        What a call converts predictions to. Without it, and in a model, they keep their type.
    """

    step: ClassVar[str] = ""  # the native step
    absorbs: ClassVar[str] = ""  # the activation that it can do without
    sparse: ClassVar[bool] = False  # whether targets are class numbers
    shares: ClassVar[bool] = False  # whether targets must lie between 0 and 1
    remedy: ClassVar[str] = ""  # for targets without the axis of the classes

    def __init__(
        self, name: str | None = None, reduction: str = "sum_over_batch_size", dtype: str | None = None
    ) -> None:
        owner = self.owner
        if reduction not in (*AVERAGES, "sum"):
            rule = "be 'sum_over_batch_size', 'mean' or 'sum', for a loss is one number"
            raise ValueError(message(owner, "reduction", rule, received("reduction", reduction)))
        if name is not None and (not isinstance(name, str) or not name):
            raise TypeError(message(owner, "name", "be a non-empty string", received("name", name)))
        self.reduction, self.name = reduction, name or snake_case(type(self).__name__)
        self.dtype = dtype and validation.choice(owner, "dtype", dtype, ("float32", "float64"))

    @property
    def average(self) -> bool:
        """Whether the mean of the rows is minimised, not their sum."""
        return self.reduction in AVERAGES

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the loss of predictions as one number.

        Parameters
        ----------
        y_true : array_like
            Targets: of the shape of `y_pred`, or class numbers, without its last axis.
        y_pred : array_like of shape (batch, ..., outputs), or (outputs,) for one row
            Predictions; lists and integers become float32.
        sample_weight : array_like, optional
            One number for each image of the batch, or for each row.

        Returns
        -------
        float
            ``sum over rows of weight * loss``, divided by the number of rows unless `reduction` is "sum".
        """
        values = self._values(y_true, y_pred, sample_weight)
        total = float(values.sum(dtype=np.float64))
        return total / max(values.size, 1) if self.average else total

    def call(self, y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[Any]:
        """Return the loss of each row.

        Parameters
        ----------
        y_true, y_pred
            As of a call.

        Returns
        -------
        ndarray
            One number for each row; an array without axes for a single row, or for a loss of the whole batch.
        """
        return self._values(y_true, y_pred, None)

    def _values(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None) -> NDArray[Any]:
        """Return what the rows add to the loss, each times its weight."""
        from ..ops.row_losses import row_losses

        array = validation.any_array(self.owner, "y_pred", y_pred)
        if self.dtype is not None or array.dtype.kind in "iub" or not hasattr(y_pred, "dtype"):
            array = validation.real_array(self.owner, "y_pred", array).astype(self.dtype or "float32")
        if array.ndim == 1:
            y_true = validation.any_array(self.owner, "y_true", y_true)[np.newaxis]
            return row_losses(self.owner, self, y_true, array[np.newaxis], sample_weight).reshape(())
        return row_losses(self.owner, self, y_true, array, sample_weight)

    def rows(self, shape: Shape) -> int | None:
        """Return how many rows predictions of a shape have; None says that a row is the last axis."""
        return None

    def weighted_axes(self, owner: str, output_shape: Shape) -> Shape:
        """Return the extents, behind the batch's, of the rows that a weight may be given for."""
        return output_shape[1:-1]

    def options(self, columns: int) -> tuple[Any, ...]:
        """Return what the native step takes last, for rows of so many numbers."""
        return ()

    def lower(self, graph: Graph, y_pred: Value, scale: float, weighted: bool) -> None:
        """Append to `graph` the loss of `y_pred` and its gradient, times `scale`; `weighted` says whether rows have
        weights of their own."""
        if not self.step:
            raise NotImplementedError(f"{self.owner}: `step` must name a native step that knows the loss's gradient.")
        node = nodes.Loss(
            y_pred,
            self.step,
            scale,
            weighted,
            getattr(self, "from_logits", None),
            self.absorbs,
            self.sparse,
            average=self.average,
            options=self.options(y_pred.shape[-1]),
            rows=self.rows(y_pred.shape),
        )
        graph.add_loss(node)

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
        array = validation.real_array(owner, name, y)
        if array.ndim == 1 and output_shape[1:] == (1,):
            array = array[:, np.newaxis]
        if array.ndim < 1 or array.shape[1:] != output_shape[1:]:
            rule = f"have the shape (batch, {', '.join(map(str, output_shape[1:]))})"
            what = received(f"{name}.shape", array.shape)
            raise ValueError(message(owner, name, rule, what, self.remedy if array.ndim == 1 else ""))
        if self.shares and array.size > 0 and not (array.min() >= 0 and array.max() <= 1):
            what = f"{name}.min()={array.min()}, {name}.max()={array.max()}"
            raise ValueError(message(owner, name, "lie between 0 and 1", what))
        return array

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments as plain JSON values."""
        config = {"name": self.name, "reduction": self.reduction}
        if self.dtype is not None:
            config["dtype"] = self.dtype
        return config | super().get_config()

    def __repr__(self) -> str:
        return f"<{self.owner} {self.name!r}>"


class PlainLoss(Loss):
    """Base of the losses without arguments of their own."""

    def __init__(
        self, reduction: str = "sum_over_batch_size", name: str | None = None, dtype: str | None = None
    ) -> None:
        super().__init__(name, reduction, dtype)


def last_axis(owner: str, axis: object) -> int:
    """Return -1, the only axis that a row may be along."""
    if axis != -1 or isinstance(axis, bool):
        raise ValueError(message(owner, "axis", "be -1, the last", received("axis", axis)))
    return -1
