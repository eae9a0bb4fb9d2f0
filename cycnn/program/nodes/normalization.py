"""Normalisation by the statistics of a batch, of groups of channels, or of rows.

Gathering the statistics, making an affine map of them and applying it are steps of their own: what gathers them
elsewhere, or folds the map into a kernel, replaces one of them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from cycnn.program.nodes.base import Node
from cycnn.program.value import Value

if TYPE_CHECKING:
    from cycnn.program.emission import Emission
    from cycnn.variable import Variable


class Normalization(Node):
    """What they share: gamma and beta, either or both of them None, and an activation in the epilogue."""

    fuses = True

    def __init__(self, x: Value, gamma: Variable | None, beta: Variable | None, epsilon: float) -> None:
        super().__init__(x.shape, x)
        self.gamma, self.beta, self.epsilon = gamma, beta, epsilon
        self.parameters = tuple(variable for variable in (gamma, beta) if variable is not None)

    def sums(self, emit: Emission, shape: tuple[int, ...]) -> tuple[Value, Value]:
        """Return where the gradients of gamma and beta go: to their shares, or where only this node reads them."""
        dgamma, dbeta = (
            emit.share(variable) if variable is not None and variable.trainable else Value(shape, self.out.dtype)
            for variable in (self.gamma, self.beta)
        )
        return dgamma, dbeta


class ChannelNorm(Normalization):
    """Normalisation by an affine map of each channel, to which another value may be added."""

    adds = True

    def map(self, emit: Emission, scale: Value, shift: Value) -> None:
        """Emit the affine map."""
        emit("ChannelAffine", self.inputs[0], scale, shift, self.residual, self.out, self.activation)

    def backward(self, emit: Emission) -> None:
        dout = emit.gradient(self.out)
        self.hand_on(emit, dout)
        self.backward_map(emit, self.inputs[0], dout)

    def backward_map(self, emit: Emission, x: Value, dout: Value) -> None:
        """Emit the gradients of what is normalised, and of the parameters."""
        raise NotImplementedError


class BatchNorm(ChannelNorm):
    """Normalisation by the mean and variance of each channel over the batch, which move the averages afterwards."""

    def __init__(
        self,
        x: Value,
        gamma: Variable | None,
        beta: Variable | None,
        moving: tuple[Variable, Variable],
        momentum: float,
        epsilon: float,
    ) -> None:
        super().__init__(x, gamma, beta, epsilon)
        self.moving, self.momentum = moving, momentum
        channels = (x.shape[-1],)
        self.mean, self.variance = Value(channels, x.dtype), Value(channels, x.dtype)
        self.scale, self.shift = Value(channels, x.dtype), Value(channels, x.dtype)
        self.parts: Value | None = None  # of the sums that another step has taken

    def forward(self, emit: Emission) -> None:
        emit("ChannelMoments", self.inputs[0], self.mean, self.variance)
        affine = (self.scale, self.shift)
        emit("ScaleAndShift", self.mean, self.variance, self.gamma, self.beta, *affine, self.epsilon)
        self.map(emit, *affine)
        for moving, batch in zip(self.moving, (self.mean, self.variance), strict=True):
            emit.after("MovingAverage", moving, batch, self.momentum)

    def sums_in_passing(self, out: Value) -> bool:
        rectified = self.activation in ("relu", "relu6") and self.residual is None
        return rectified and out.root.users == 1 and out.shape[-1] == self.shape[-1]

    def gate(self, parts: int) -> tuple[Any, ...]:
        self.parts = Value((parts, 2, self.shape[-1]), self.mean.dtype)
        return self.inputs[0], self.scale, self.shift, self.mean, self.parts, self.activation

    def backward_map(self, emit: Emission, x: Value, dout: Value) -> None:
        sums = self.sums(emit, self.mean.shape)
        if self.parts is not None:
            emit("NormSums", self.parts, self.variance, *sums, self.epsilon)
        else:
            emit("ChannelSums", x, dout, self.mean, self.variance, *sums, self.epsilon)
        if x.requires_gradient:
            statistics = (self.mean, self.variance, self.gamma, *sums)
            emit("ChannelNormBackward", dout, x, *statistics, emit.share(x, over=dout), self.epsilon, *emit.chain(x))


class FrozenBatchNorm(ChannelNorm):
    """Normalisation by the moving averages: an affine map of each channel that does not depend on the batch."""

    def __init__(
        self,
        x: Value,
        gamma: Variable | None,
        beta: Variable | None,
        moving: tuple[Variable, Variable],
        epsilon: float,
    ) -> None:
        super().__init__(x, gamma, beta, epsilon)
        self.moving = moving
        channels = (x.shape[-1],)
        self.scale, self.shift = Value(channels, x.dtype), Value(channels, x.dtype)

    def forward(self, emit: Emission) -> None:
        emit("ScaleAndShift", *self.moving, self.gamma, self.beta, self.scale, self.shift, self.epsilon)
        self.map(emit, self.scale, self.shift)

    def backward_map(self, emit: Emission, x: Value, dout: Value) -> None:
        if self.learns:
            emit("ChannelSums", x, dout, *self.moving, *self.sums(emit, self.scale.shape), self.epsilon)
        if x.requires_gradient:
            emit("ChannelAffineBackward", dout, self.scale, emit.share(x), *emit.chain(x))


class GroupNorm(ChannelNorm):
    """Normalisation of each group of channels by its mean and variance within an image."""

    def __init__(self, x: Value, gamma: Variable | None, beta: Variable | None, groups: int, epsilon: float) -> None:
        super().__init__(x, gamma, beta, epsilon)
        self.channels, self.groups = (x.shape[0], x.shape[-1]), (x.shape[0], groups)
        self.mean, self.variance = Value(self.groups, x.dtype), Value(self.groups, x.dtype)

    def forward(self, emit: Emission) -> None:
        x = self.inputs[0]
        if self.groups == self.channels:
            emit("ChannelMoments", x, self.mean, self.variance)
        else:
            means, variances = Value(self.channels, x.dtype), Value(self.channels, x.dtype)
            emit("ChannelMoments", x, means, variances)
            emit("GroupMoments", means, variances, self.mean, self.variance)
        affine = (Value(self.channels, x.dtype), Value(self.channels, x.dtype))
        emit("ScaleAndShift", self.mean, self.variance, self.gamma, self.beta, *affine, self.epsilon)
        self.map(emit, *affine)

    def backward_map(self, emit: Emission, x: Value, dout: Value) -> None:
        sums = (Value(self.channels, x.dtype), Value(self.channels, x.dtype))
        emit("ChannelSums", x, dout, self.mean, self.variance, *sums, self.epsilon)
        for variable, by_image in zip((self.gamma, self.beta), sums, strict=True):
            if variable is not None and variable.trainable:
                emit("SumOfImages", by_image, emit.share(variable))
        if x.requires_gradient:
            statistics = (self.mean, self.variance, self.gamma, *sums)
            emit("ChannelNormBackward", dout, x, *statistics, emit.share(x, over=dout), self.epsilon, *emit.chain(x))


class RowNorm(Normalization):
    """Normalisation of each row, the numbers of the last axes, by its own statistics.

    Parameters
    ----------
    columns : int
        Numbers of a row.
    centered : bool
        Whether the mean is subtracted.
    weight : float
        What the sum of squares is multiplied by: 1 / columns for a variance.
    limit : float
        What a row is multiplied by at most.
    """

    def __init__(
        self,
        x: Value,
        gamma: Variable | None,
        beta: Variable | None,
        columns: int,
        *,
        centered: bool,
        weight: float,
        epsilon: float,
        limit: float = math.inf,
    ) -> None:
        super().__init__(x, gamma, beta, epsilon)
        self.weight, self.limit = weight, limit
        self.rows = (math.prod(x.shape) // columns, columns)
        self.inverse = Value(self.rows[:1], x.dtype)
        self.mean = Value(self.rows[:1], x.dtype) if centered else None

    def forward(self, emit: Emission) -> None:
        arrays = (self.inputs[0], self.gamma, self.beta, self.mean, self.inverse, self.out)
        emit("RowNormForward", *arrays, self.weight, self.epsilon, self.limit, self.activation)

    def backward(self, emit: Emission) -> None:
        (x,) = self.inputs
        dout = emit.gradient(self.out)
        if self.learns:
            shares = [
                emit.share(variable) if variable is not None and variable.trainable else None
                for variable in (self.gamma, self.beta)
            ]
            emit("RowNormSums", x.view(self.rows), dout.view(self.rows), self.mean, self.inverse, *shares)
        if x.requires_gradient:
            arrays = (dout, x, self.gamma, self.mean, self.inverse, emit.share(x))
            emit("RowNormBackward", *arrays, self.weight, self.limit, *emit.chain(x))
