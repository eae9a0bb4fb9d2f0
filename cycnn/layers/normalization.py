"""Normalisation by statistics of channels: of the batch, or of groups of channels within an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .. import constraints, initializers, regularizers, validation
from ..program import nodes
from ..shapes import Shape, check_size
from ..validation import message, received
from ..variable import Variable
from .base import Layer

if TYPE_CHECKING:
    from ..program import Graph, Value


class AffineNormalization(Layer):
    """What layers share that multiply by gamma and add beta after they have normalised.

    A subclass passes on what it does not take itself: the six options of gamma and beta, and those of all layers.
    """

    affine: ClassVar[tuple[str, ...]] = (
        "epsilon",
        "center",
        "scale",
        "beta_initializer",
        "gamma_initializer",
        "beta_regularizer",
        "gamma_regularizer",
        "beta_constraint",
        "gamma_constraint",
    )

    def __init__(
        self,
        epsilon: float,
        center: bool,
        scale: bool,
        *,
        beta_initializer: object = "zeros",
        gamma_initializer: object = "ones",
        beta_regularizer: object = None,
        gamma_regularizer: object = None,
        beta_constraint: object = None,
        gamma_constraint: object = None,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        owner = self.owner
        self.epsilon = validation.number(owner, "epsilon", epsilon, 0)
        self.center = validation.boolean(owner, "center", center)
        self.scale = validation.boolean(owner, "scale", scale)
        self.beta_initializer = initializers.get(beta_initializer, owner=owner, name="beta_initializer")
        self.gamma_initializer = initializers.get(gamma_initializer, owner=owner, name="gamma_initializer")
        self.beta_regularizer = regularizers.get(beta_regularizer, owner=owner, name="beta_regularizer")
        self.gamma_regularizer = regularizers.get(gamma_regularizer, owner=owner, name="gamma_regularizer")
        self.beta_constraint = constraints.get(beta_constraint, owner=owner, name="beta_constraint")
        self.gamma_constraint = constraints.get(gamma_constraint, owner=owner, name="gamma_constraint")
        self.gamma: Variable | None = None
        self.beta: Variable | None = None

    def add_affine(self, shape: tuple[int, ...]) -> None:
        """Make gamma and beta, where they are wanted."""
        check_size(self.owner, "gamma", shape)
        if self.scale:
            self.gamma = self.add_weight(
                "gamma",
                shape,
                self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
            )
        if self.center:
            self.beta = self.add_weight(
                "beta", shape, self.beta_initializer, regularizer=self.beta_regularizer, constraint=self.beta_constraint
            )

    def check_built(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError if the parameters were made for another input."""
        for variable in self.variables:
            if variable.shape != shape:
                rule = f"end in the shape {variable.shape}, for which the layer was built"
                raise ValueError(message(self.owner, "input_shape", rule, received("its end", shape)))


def _nothing(owner: str, name: str, value: object) -> Any:
    if value is not None:
        raise ValueError(message(owner, name, "be None", received(name, value)))
    return value


def check_last_axis(owner: str, axis: int, input_shape: Shape) -> None:
    """Raise ValueError unless the input has at least two axes, the last of which is `axis`."""
    rank = len(input_shape)
    if rank < 2:
        raise ValueError(message(owner, "input_shape", "have at least 2 axes", received("input_shape", input_shape)))
    if axis not in (-1, rank - 1):
        what = f"{received('axis', axis)}, {received('input_shape', input_shape)}"
        raise ValueError(message(owner, "axis", "be -1: channels are the last axis", what))


class BatchNormalization(AffineNormalization):
    """Normalise each channel by its mean and variance over the batch, then scale and shift it.

    In training the statistics are those of the batch, and they move the averages that are used in inference::

        moving = moving * momentum + batch * (1 - momentum)

    A layer whose `trainable` is False uses the moving averages in training too, and leaves them as they are.

    Parameters
    ----------
    axis : int
        The last axis, -1 by default.
    momentum : float
        How much of the moving averages is kept at each step, 0.99 by default.
    epsilon : float
        What is added to the variance, 0.001 by default.
    center, scale : bool
        Whether there is a beta to add, and a gamma to multiply by; True by default.
    beta_initializer, gamma_initializer : str or Initializer
        "zeros" and "ones" by default.
    moving_mean_initializer, moving_variance_initializer : str or Initializer
        "zeros" and "ones" by default.
    beta_regularizer, gamma_regularizer : str or Regularizer, optional
    beta_constraint, gamma_constraint : str or Constraint, optional
    renorm, synchronized : {False}
        Batch renormalisation and several devices are not supported.
    renorm_clipping, renorm_momentum : None, float
        Of batch renormalisation: without effect.
    **base
        `name`, `trainable`, `dtype` and `input_shape`, as of all layers.

    Notes
    -----
    Input ``(batch, ..., channels)``, output the same: ``(x - mean) / sqrt(variance + epsilon) * gamma + beta``.
    The variance is the biased one, divided by the number of values.
    Parameters, all ``(channels,)``: gamma, beta, moving mean, moving variance; training moves the last two without
    a gradient.

    References
    ----------
    Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate
    Shift", 2015.

    Examples
    --------
    >>> layer = BatchNormalization(momentum=0.9)
    >>> layer.build((None, 28, 28, 32))
    >>> [variable.name for variable in layer.variables]
    ['gamma', 'beta', 'moving_mean', 'moving_variance']
    """

    arguments = (
        "axis",
        "momentum",
        *AffineNormalization.affine,
        "moving_mean_initializer",
        "moving_variance_initializer",
        "renorm",
        "renorm_clipping",
        "renorm_momentum",
        "synchronized",
    )

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        *,
        moving_mean_initializer: object = "zeros",
        moving_variance_initializer: object = "ones",
        renorm: bool = False,
        renorm_clipping: None = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **more: Any,
    ) -> None:
        super().__init__(epsilon, center, scale, **more)
        owner = self.owner
        self.axis = validation.integer(owner, "axis", axis)
        self.momentum = validation.number(owner, "momentum", momentum, 0, 1)
        self.moving_mean_initializer = initializers.get(
            moving_mean_initializer, owner=owner, name="moving_mean_initializer"
        )
        self.moving_variance_initializer = initializers.get(
            moving_variance_initializer, owner=owner, name="moving_variance_initializer"
        )
        self.renorm = validation.boolean(owner, "renorm", renorm)
        self.synchronized = validation.boolean(owner, "synchronized", synchronized)
        for name in ("renorm", "synchronized"):
            if getattr(self, name):
                raise ValueError(message(owner, name, "be False", received(name, True)))
        self.renorm_clipping = _nothing(owner, "renorm_clipping", renorm_clipping)
        self.renorm_momentum = validation.number(owner, "renorm_momentum", renorm_momentum, 0, 1)
        self.moving_mean: Variable | None = None
        self.moving_variance: Variable | None = None

    def build(self, input_shape: Shape) -> None:
        check_last_axis(self.owner, self.axis, input_shape)
        shape = (input_shape[-1],)
        self.add_affine(shape)
        mean, variance = self.moving_mean_initializer, self.moving_variance_initializer
        self.moving_mean = self.add_weight("moving_mean", shape, mean, trainable=False)
        self.moving_variance = self.add_weight("moving_variance", shape, variance, trainable=False)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        check_last_axis(self.owner, self.axis, input_shape)
        self.check_built((input_shape[-1],))
        return input_shape

    def lower(self, graph: Graph, x: Value) -> Value:
        assert self.moving_mean is not None and self.moving_variance is not None
        moving = (self.moving_mean, self.moving_variance)
        if graph.training and self.trainable:
            return graph.add(nodes.BatchNorm(x, self.gamma, self.beta, moving, self.momentum, self.epsilon))
        return graph.add(nodes.FrozenBatchNorm(x, self.gamma, self.beta, moving, self.epsilon))


class GroupNormalization(AffineNormalization):
    """Normalise groups of channels by their mean and variance within each image, then scale and shift each channel.

    Parameters
    ----------
    groups : int
        How many groups of neighbouring channels there are, 32 by default; -1 for one of each channel, which is
        instance normalisation.
    axis : int
        The last axis, -1 by default.
    epsilon : float
        What is added to the variance, 0.001 by default.
    center, scale : bool
        Whether there is a beta to add, and a gamma to multiply by; True by default.
    **more
        The initializers, regularizers and constraints of beta and gamma, as of `BatchNormalization`,
        and the arguments of all layers.

    Notes
    -----
    Input ``(batch, ..., channels)``, output the same: ``(x - mean) / sqrt(variance + epsilon) * gamma + beta``.
    Parameters: gamma and beta, ``(channels,)``.

    References
    ----------
    Wu and He, "Group Normalization", 2018.

    Examples
    --------
    >>> GroupNormalization(groups=4).compute_output_shape((None, 7, 7, 32))
    (None, 7, 7, 32)
    """

    arguments = ("groups", "axis", *AffineNormalization.affine)

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        **more: Any,
    ) -> None:
        super().__init__(epsilon, center, scale, **more)
        self.groups = -1 if groups == -1 else validation.positive_int(self.owner, "groups", groups)
        self.axis = validation.integer(self.owner, "axis", axis)

    def build(self, input_shape: Shape) -> None:
        self.compute_output_shape(input_shape)
        self.add_affine((input_shape[-1],))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        check_last_axis(self.owner, self.axis, input_shape)
        channels = input_shape[-1]
        if channels % self._groups(channels):
            what = received("groups", self.groups)
            raise ValueError(message(self.owner, "groups", f"divide the {channels} channels of the input", what))
        self.check_built((channels,))
        return input_shape

    def lower(self, graph: Graph, x: Value) -> Value:
        return graph.add(nodes.GroupNorm(x, self.gamma, self.beta, self._groups(x.shape[-1]), self.epsilon))

    def _groups(self, channels: int) -> int:
        return channels if self.groups == -1 else self.groups
