"""Kernels: closed forms against Monte Carlo, symmetry, positivity, limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from proplim._cores import using_cores
from proplim.activations import get_activation
from proplim.errors import InvalidInput
from proplim.kernels import (
    _kernels,
    feature_kernel,
    feature_kernel_diagonal,
    feature_mean,
    input_kernel,
    stein_coefficients,
    stein_vectors,
)

ODD = ["erf", "linear"]
inputs = st.integers(1, 9).flatmap(
    lambda p: st.integers(1, 6).flatmap(
        lambda n: hnp.arrays(int, (p, n), elements=st.integers(-3000, 3000)).map(lambda x: x / 100.0)
    )
)


@pytest.mark.parametrize("activation", ODD)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(x=inputs, log_lambda0=st.floats(-2, 2))
def test_symmetric_positive_bounded(activation, x, log_lambda0):
    lambda0 = 10.0**log_lambda0
    k = feature_kernel(activation, x, x, lambda0)
    assert np.array_equal(k, k.T)
    scale = max(np.abs(np.diag(k)).max(), 1e-300)
    assert np.linalg.eigvalsh(k)[0] >= -1e-13 * len(k) * scale
    np.testing.assert_allclose(
        np.diag(k), feature_kernel_diagonal(activation, x, lambda0), rtol=1e-11, atol=1e-300
    )
    assert (np.abs(k) <= np.sqrt(np.outer(np.diag(k), np.diag(k))) * (1 + 1e-12) + 1e-300).all()
    if activation == "erf":
        assert (np.abs(k) <= 1.0).all()
    # scaling all inputs by s is dividing lambda0 by s^2
    np.testing.assert_allclose(feature_kernel(activation, 2.0 * x, 2.0 * x, 4.0 * lambda0), k, rtol=1e-12)


@pytest.mark.parametrize("activation", ODD)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(x=inputs, seed=st.integers(0, 10))
def test_equivariance_under_permutation_rotation_and_sign(activation, x, seed):
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(x))
    rotation = np.linalg.qr(rng.standard_normal((x.shape[1], x.shape[1])))[0]
    k = feature_kernel(activation, x, x)
    scale = np.abs(k).max() + 1e-300
    np.testing.assert_allclose(
        feature_kernel(activation, x[order], x[order]), k[np.ix_(order, order)], atol=1e-12 * scale
    )
    np.testing.assert_allclose(feature_kernel(activation, x @ rotation, x @ rotation), k, atol=1e-11 * scale)
    np.testing.assert_allclose(
        feature_kernel(activation, x, -x), -feature_kernel(activation, x, x), rtol=1e-12
    )


@pytest.mark.parametrize("activation", ODD)
def test_kernel_and_stein_vectors_are_the_averages_they_stand_for(activation):
    """Antithetic draws of w; z below 5 for 42 averages: false-alarm rate 2e-5, the seed is fixed."""
    rng = np.random.default_rng(0)
    x, lambda0, draws = rng.standard_normal((3, 4)), 0.6, 200_000
    w = rng.standard_normal((draws, 4)) / np.sqrt(lambda0)
    s = get_activation(activation).function(w @ x.T / 2.0)
    products = s[:, :, None] * s[:, None, :]
    error = products.std(0) / np.sqrt(draws)
    assert (np.abs(products.mean(0) - feature_kernel(activation, x, x, lambda0)) < 5 * error).all()
    stein = w[:, :, None] * s[:, None, :]
    error = stein.std(0) / np.sqrt(draws)
    assert (np.abs(stein.mean(0) - stein_vectors(activation, x, lambda0)) < 5 * error).all()
    assert (error < 0.01).all()
    assert (feature_mean(activation, x, lambda0) == 0).all()


@pytest.mark.parametrize("activation", ODD)
def test_the_linear_part_is_bounded_by_the_kernel(activation):
    """lambda0 B^T B <= K: projections on the weights do not exceed the features (docs/theory.md, eq. 2.5)."""
    x = np.random.default_rng(1).standard_normal((8, 5)) * 3
    b = stein_vectors(activation, x, 0.7)
    gap = feature_kernel(activation, x, x, 0.7) - 0.7 * b.T @ b
    assert np.linalg.eigvalsh(gap)[0] > -1e-13


def test_limits_of_erf():
    x = np.random.default_rng(2).standard_normal((5, 4))
    small = feature_kernel("erf", 1e-5 * x, 1e-5 * x)
    np.testing.assert_allclose(small, 4 / np.pi * input_kernel(1e-5 * x, 1e-5 * x, 1.0), rtol=1e-8)
    large = feature_kernel("erf", 1e9 * x, 1e9 * x)
    cosine = input_kernel(x, x, 1.0) / np.sqrt(np.outer((x * x).sum(1), (x * x).sum(1)) / 16)
    np.testing.assert_allclose(large, 2 / np.pi * np.arcsin(np.clip(cosine, -1, 1)), atol=1e-7)
    assert feature_kernel("erf", np.zeros((2, 3)), np.ones((1, 3))).tolist() == [[0.0], [0.0]]


@pytest.mark.parametrize("activation", ["erf", "relu", "linear"])
def test_a_large_kernel_in_parts_is_the_kernel(activation, monkeypatch):
    rng = np.random.default_rng(2)
    x, other = rng.standard_normal((70, 9)), rng.standard_normal((33, 9))
    whole = feature_kernel(activation, x, x, 1.3), feature_kernel(activation, other, x, 1.3)
    for name, value in {"LARGE": 1, "ROWS": 16, "CACHED": 5 * 33}.items():
        monkeypatch.setattr(_kernels, name, value)
    found = []
    for count in (1, 2, 3):
        with using_cores(count):
            found.append((feature_kernel(activation, x, x, 1.3), feature_kernel(activation, other, x, 1.3)))
    np.testing.assert_array_equal(found[0][0], found[0][0].T)
    for parts in found:
        for a, b, first in zip(parts, whole, found[0], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-15)
            np.testing.assert_array_equal(a, first)


def test_test_and_training_kernels_agree_on_the_same_inputs():
    x = np.random.default_rng(3).standard_normal((6, 4))
    np.testing.assert_allclose(feature_kernel("erf", x, x.copy()), feature_kernel("erf", x, x), rtol=1e-14)
    b = stein_vectors("erf", x, 2.0)
    np.testing.assert_allclose(b, x.T * stein_coefficients("erf", x, 2.0), rtol=0)
    assert b.shape == (4, 6)


@pytest.mark.parametrize("lambda0", [0.0, -1.0, np.nan, np.inf])
def test_lambda0_must_be_positive(lambda0):
    with pytest.raises(InvalidInput, match="lambda0"):
        feature_kernel("erf", np.ones((2, 2)), np.ones((2, 2)), lambda0)
    with pytest.raises(InvalidInput, match="activation"):
        feature_kernel("erv", np.ones((2, 2)), np.ones((2, 2)))
