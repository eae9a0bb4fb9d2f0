"""Inputs and assertions for the tests.

The strongest come first: equal values, rounding bounds, adjoint identities.
"""

import json
import math

import numpy as np


def integers(rng, shape, dtype="float32"):
    """Return small whole numbers, -8 to 8: every product and sum of them is exact in any order."""
    return rng.integers(-8, 8, shape, endpoint=True).astype(dtype)


def assert_same(actual, expected):
    """Assert equal dtype, shape and values, without a NaN among them; 0.0 and -0.0 are the same."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.dtype == expected.dtype, f"dtype {actual.dtype}, expected {expected.dtype}"
    assert actual.shape == expected.shape, f"shape {actual.shape}, expected {expected.shape}"
    wrong = np.argwhere(~(actual == expected))  # a NaN differs from everything
    if wrong.size > 0:
        first = tuple(map(int, wrong[0]))
        raise AssertionError(
            f"{len(wrong)} of {actual.size} values differ, the first at {first}: "
            f"{actual[first]!r}, expected {expected[first]!r}"
        )


def rounding(terms, dtype):
    """Return ``g(K) = K*u / (1 - K*u)``, the relative error that K roundings may add up to."""
    accumulated = np.asarray(terms) * (float(np.finfo(dtype).eps) / 2)
    assert np.all(accumulated < 1), f"{terms} roundings leave nothing of {np.dtype(dtype)}"
    return accumulated / (1 - accumulated)


def assert_within_rounding(out, exact, magnitude, terms):
    """Assert ``|out - exact| <= g(K) * magnitude``.

    `magnitude` is the same sum of products taken over absolute values, `terms` the number K of
    roundings in each sum. What counts as exact has been rounded too, in its own precision, which is
    allowed for; so is the loss of every product to the flushing of denormals.
    """
    out, exact = np.asarray(out), np.asarray(exact)
    assert out.shape == exact.shape, f"shape {out.shape}, expected {exact.shape}"
    assert exact.dtype.itemsize >= out.dtype.itemsize, f"{exact.dtype} is no reference for it"
    assert np.all(np.isfinite(out)), "a result is not finite"
    assert np.all(np.isfinite(exact)), "a reference is not finite"
    relative = rounding(terms, out.dtype) + rounding(terms, exact.dtype)
    bound = relative * magnitude + np.asarray(terms) * float(np.finfo(out.dtype).tiny)
    error = np.abs(out.astype(exact.dtype) - exact)
    bound = np.broadcast_to(bound, error.shape)
    if np.any(error > bound):
        worst = np.unravel_index(np.argmax(error - bound), error.shape)
        raise AssertionError(
            f"{np.sum(error > bound)} of {out.size} errors exceed their bound, the worst at "
            f"{tuple(map(int, worst))}: {error[worst]:.3g} > {bound[worst]:.3g}"
        )


def inner(a, b):
    """Return the inner product of two arrays, summed without rounding."""
    assert a.shape == b.shape, f"{a.shape} and {b.shape} have no inner product"
    products = np.asarray(a, np.float64) * np.asarray(b, np.float64)
    return math.fsum(products.ravel().tolist())


def assert_adjoint(*pairs, bound=0.0):
    """Assert that all pairs of arrays have the same inner product, up to `bound`.

    For a convolution ``assert_adjoint((out, dout), (x, dx), (kernel, dkernel))``, which is exact
    for `integers`.
    """
    assert len(pairs) >= 2, "an identity has two sides"
    products = [inner(a, b) for a, b in pairs]
    assert all(map(math.isfinite, products)), f"inner products {products}"
    assert max(products) - min(products) <= bound, f"inner products {products}"


def made_anew(ours, theirs):
    """Return a layer made from its configuration as JSON, whose arguments are those that Keras writes."""
    config, keras_config = (json.loads(json.dumps(layer.get_config())) for layer in (ours, theirs))
    for key in config.keys() - {"name", "dtype", "seed"}:
        assert config[key] == keras_config[key], key
    return type(ours).from_config(config)
