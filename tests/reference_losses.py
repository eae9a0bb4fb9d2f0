"""The losses of each row in NumPy, written to be obviously right: the mean or sum along the last axis, in float64."""

import numpy as np
import reference

TINY = reference.EPSILON


def _exact(*arrays):
    return [np.asarray(array).astype(np.result_type(array.dtype, np.float64)) for array in arrays]


def _probability(p):
    return np.clip(p, TINY, 1 - TINY)


def smoothed(y, amount, classes):
    """Return targets a share of which is spread over all classes."""
    return np.asarray(y, np.float64) * (1 - amount) + amount / classes


def elementwise(name, y, x, parameter=0.0):
    """Return the loss of each row of the table of elementwise losses."""
    y, x = _exact(y, x)
    e = x - y
    if name in ("hinge", "squared_hinge"):
        if np.all((y == 0) | (y == 1)):
            y = 2 * y - 1
        margin = np.maximum(1 - y * x, 0)
        return (margin if name == "hinge" else margin**2).mean(axis=-1)
    if name == "kl_divergence":
        y, x = np.clip(y, TINY, 1), np.clip(x, TINY, 1)
        return (y * np.log(y / x)).sum(axis=-1)
    values = {
        "mean_squared_error": lambda: e**2,
        "mean_absolute_error": lambda: np.abs(e),
        "mean_absolute_percentage_error": lambda: 100 * np.abs(e) / np.maximum(np.abs(y), TINY),
        "mean_squared_logarithmic_error": lambda: (
            (np.log(1 + np.maximum(x, TINY)) - np.log(1 + np.maximum(y, TINY))) ** 2
        ),
        "huber": lambda: np.where(np.abs(e) <= parameter, e**2 / 2, parameter * np.abs(e) - parameter**2 / 2),
        "log_cosh": lambda: np.log(np.cosh(e)),
        "poisson": lambda: x - y * np.log(x + TINY),
    }
    return values[name]().mean(axis=-1)


def categorical_focal(y, x, from_logits, smoothing, alpha, gamma):
    y, x = smoothed(y, smoothing, np.shape(x)[-1]), *_exact(x)
    p = reference.softmax(x) if from_logits else x / x.sum(axis=-1, keepdims=True)
    q = _probability(p)
    return (np.asarray(alpha) * (1 - q) ** gamma * -y * np.log(q)).sum(axis=-1)


def binary_focal(y, x, from_logits, smoothing, alpha, gamma, balanced):
    y, x = smoothed(y, smoothing, 2), *_exact(x)
    p = reference.activation(x, "sigmoid") if from_logits else x
    q = _probability(p)
    entropy = -(y * np.log(q) + (1 - y) * np.log(1 - q))
    truth = y * p + (1 - y) * (1 - p)
    weight = alpha * y + (1 - alpha) * (1 - y) if balanced else 1.0
    return (weight * (1 - truth) ** gamma * entropy).mean(axis=-1)


def cosine_similarity(y, x):
    y, x = _exact(y, x)
    norms = [np.maximum(np.sqrt((a * a).sum(axis=-1)), TINY) for a in (y, x)]
    return -(y * x).sum(axis=-1) / (norms[0] * norms[1])


def categorical_hinge(y, x):
    y, x = _exact(y, x)
    return np.maximum(((1 - y) * x).max(axis=-1) - (y * x).sum(axis=-1) + 1, 0)


def overlap(y, x, a, b, c, d):
    y, x = _exact(y, x)
    both = (y * x).sum(axis=-1)
    return 1 - a * both / (b * both + c * y.sum(axis=-1) + d * x.sum(axis=-1) + TINY)


def row_losses(step, y, x, options):
    """Return what a native step computes, given its arguments behind `average`."""
    if step == "ElementwiseLoss":
        return elementwise(options[0], y, x, options[1])
    if step == "SparseCategoricalCrossentropy":
        losses = reference.sparse_categorical_crossentropy(y, x, options[0])[0]
        return np.where(y == options[1], 0.0, losses)
    if step == "CategoricalCrossentropy":
        return reference.categorical_crossentropy(smoothed(y, options[1], x.shape[-1]), x, options[0])[0]
    if step == "BinaryCrossentropy":
        return reference.binary_crossentropy(smoothed(y, options[1], 2), x, options[0])[0]
    functions = {
        "CategoricalFocalCrossentropy": categorical_focal,
        "BinaryFocalCrossentropy": binary_focal,
        "CosineSimilarity": cosine_similarity,
        "CategoricalHinge": categorical_hinge,
        "OverlapLoss": overlap,
    }
    return functions[step](y, x, *options)
