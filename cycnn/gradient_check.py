"""Whether back-propagation and the definition of the derivative agree.

The model is copied to float64. Each chosen entry p of a parameter is moved by a step h to either
side, and the central difference ``(loss(p + h) - loss(p - h)) / 2h`` compared with the gradient.

Design. In float64 the difference is off by about ``1e-16 * loss / h`` from rounding and by
``h**2 / 6`` times the third derivative; ``h = 1e-5 * max(1, |p|)`` makes both small. ReLU and
maximum pooling have kinks, and where a step crosses one the difference is no derivative. A wrong
gradient disagrees at every step length, a kink hardly ever lies within the shorter ones: where
they disagree, steps of 1e-6 and 1e-7 are tried too, and the best agreement counts. Errors are
relative to the largest entry of the parameter's gradient; where that is below a thousandth of the
loss, rounding alone shows as an error above 1e-8. Dropout drops the same values throughout.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import validation
from .validation import message, received
from .variable import Variable

if TYPE_CHECKING:
    from .models import Model
    from .program import Lowered

_STEPS = (1e-5, 1e-6, 1e-7)
_GOOD = 1e-8  # relative error below which no shorter step is tried


@dataclass(frozen=True)
class ParameterCheck:
    """The result for one parameter.

    Attributes
    ----------
    name : str
        Names of the layer and the parameter.
    shape : tuple of int
    entries : int
        How many entries were compared.
    error : float
        The largest difference, relative to the largest entry of the gradient.
    """

    name: str
    shape: tuple[int, ...]
    entries: int
    error: float


@dataclass(frozen=True)
class GradientReport:
    """The results for all parameters; printing it gives a table."""

    parameters: tuple[ParameterCheck, ...]

    @property
    def worst(self) -> float:
        """The largest relative error of all."""
        return max(check.error for check in self.parameters)

    def __str__(self) -> str:
        width = max(len("parameter"), *(len(check.name) for check in self.parameters))
        lines = [f"{'parameter'.ljust(width)}  {'shape':18}  {'entries':>7}  {'relative error':>14}"]
        for check in self.parameters:
            shape = "x".join(map(str, check.shape))
            lines.append(f"{check.name.ljust(width)}  {shape:18}  {check.entries:7}  {check.error:14.1e}")
        return "\n".join(lines)

    __repr__ = __str__


def check_gradients(model: Model, x: ArrayLike, y: ArrayLike, *, entries: int = 40, seed: int = 0) -> GradientReport:
    """Compare the gradients of a model with central differences, in float64.

    Parameters
    ----------
    model : Model
        Compiled; it is copied and stays as it is.
    x, y : array_like
        A batch of inputs and targets. Each entry costs two passes over it.
    entries : int
        How many entries of each parameter are compared, 40 by default: all of a smaller
        parameter, else the largest entry of the gradient and a random choice of others.
    seed : int
        Of the random choice, 0 by default.

    Returns
    -------
    GradientReport
        The worst relative error of each parameter, and `worst` of all.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        If the data do not fit the model, or it has not been compiled or has nothing to train.

    Examples
    --------
    >>> import numpy as np
    >>> from cycnn import Input, Sequential, layers
    >>> model = Sequential([Input((4, 4, 1)), layers.Conv2D(3, 3, activation="tanh"),
    ...                     layers.Flatten(), layers.Dense(2, activation="softmax")])
    >>> model.compile("sgd", "sparse_categorical_crossentropy")
    >>> x = np.random.default_rng(0).normal(size=(5, 4, 4, 1))
    >>> check_gradients(model, x, [0, 1, 0, 1, 1]).worst < 1e-7
    True
    """
    owner = "check_gradients"
    entries = validation.positive_int(owner, "entries", entries)
    rng = np.random.default_rng(validation.non_negative_int(owner, "seed", seed))
    double = model.astype("float64")
    run, lowered = double.gradient_program(owner, x, y)
    if not double.trainable_variables:
        what = received("model", model)
        raise ValueError(message(owner, "model", "have a parameter to train", what))
    run()
    gradients = {variable: gradient.copy() for variable, gradient in lowered.gradients.items()}
    return GradientReport(
        tuple(
            _check_parameter(lowered, run, variable, gradient, entries, rng) for variable, gradient in gradients.items()
        )
    )


def _check_parameter(
    lowered: Lowered,
    run: Callable[[], None],
    variable: Variable,
    gradient: NDArray[Any],
    entries: int,
    rng: np.random.Generator,
) -> ParameterCheck:
    """Compare the chosen entries of one parameter's gradient."""
    flat = gradient.reshape(-1)
    chosen = np.arange(flat.size)
    if flat.size > entries:
        largest = int(np.abs(flat).argmax())
        others = np.delete(chosen, largest)
        chosen = np.array([largest, *rng.choice(others, entries - 1, replace=False)])
    scale = float(np.abs(flat).max())
    worst = 0.0
    for place in chosen:
        error = np.inf
        for step in _STEPS:
            difference = _difference(lowered, run, variable, int(place), step)
            apart = abs(difference - float(flat[place]))
            # A gradient of zeros has no scale of its own: only differences of zero agree with it.
            relative = apart / max(scale, abs(difference)) if apart else 0.0
            error = min(error, relative)
            if error <= _GOOD:
                break
        worst = max(worst, error)
    return ParameterCheck(variable.path, variable.shape, len(chosen), float(worst))


def _difference(lowered: Lowered, run: Callable[[], None], variable: Variable, place: int, step: float) -> float:
    """Return the central difference of the mean loss along one entry of a parameter."""
    array = variable.numpy()
    flat = array.reshape(-1)
    value = flat[place]
    step *= max(1.0, abs(value))
    ends, losses = (value + step, value - step), []
    for end in ends:
        flat[place] = end
        variable.assign(array)
        run()
        losses.append(lowered.total(lowered.sums()))
    flat[place] = value
    variable.assign(array)
    return (losses[0] - losses[1]) / float(ends[0] - ends[1])
