"""Numerical kernels against closed forms and against adaptive integration."""

from __future__ import annotations

import dataclasses
import itertools
import time

import mpmath
import numpy as np
import pytest
from scipy import integrate

from proplim.activations import Activation, get_activation
from proplim.errors import InvalidInput
from proplim.kernels import feature_kernel
from proplim.kernels._quadrature import gaussian_kernel, gaussian_mean, gaussian_mean_derivative

LEAKY = Activation("leaky", lambda h: np.where(h > 0, h, 0.1 * h), None, None, odd=False, kinks=(0.0,))
CLIPPED = Activation("clipped", lambda h: np.clip(h, -1.0, 1.0), None, None, odd=True, kinks=(-1.0, 0.0, 1.0))


def _inputs(n: int, scale: float, duplicate: float, seed: int = 0) -> np.ndarray:
    """Covariances of inputs of unequal length, among them near copies, an exact copy and an exact mirror image."""
    rng = np.random.default_rng(seed)
    x = scale * rng.standard_normal((n, 40)) * np.exp(0.3 * rng.standard_normal((n, 1)))
    for k in range(1, n // 10):
        x[k] = x[0] * (1.0 + 0.1 * rng.random()) + duplicate * scale * rng.standard_normal(40)
    x[-1], x[-2] = x[-3], -2.0 * x[-3]
    return x @ x.T / 40


def _numerical(activation: Activation, c: np.ndarray) -> np.ndarray:
    d = np.diag(c)
    return gaussian_kernel(activation, c, d[:, None], d[None, :])


@pytest.mark.parametrize("scale", [1e-3, 0.3, 1.0, 3.0])
@pytest.mark.parametrize("duplicate", [1e-1, 1e-3, 1e-6])
def test_erf_to_ten_digits_relative(scale, duplicate):
    erf = get_activation("erf")
    c = _inputs(40, scale, duplicate)
    exact = erf.kernel(c, np.diag(c)[:, None], np.diag(c)[None, :])
    assert np.abs(_numerical(erf, c) / exact - 1.0).max() < 1e-10


@pytest.mark.parametrize("duplicate", [1e-1, 1e-3])
def test_relu_and_linear(duplicate):
    for name in ("relu", "linear"):
        activation = get_activation(name)
        c = _inputs(40, 1.0, duplicate)
        d = np.diag(c)
        exact = activation.kernel(c, d[:, None], d[None, :])
        scale = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
        assert (np.abs(_numerical(activation, c) - exact) / scale).max() < 1e-12


def test_a_thousand_inputs_take_seconds():
    erf = get_activation("erf")
    c = _inputs(1000, 1.0, 1e-3)
    start = time.process_time()
    numerical = _numerical(erf, c)
    assert time.process_time() - start < 20.0  # about 0.6 s on an idle core
    exact = erf.kernel(c, np.diag(c)[:, None], np.diag(c)[None, :])
    assert np.abs(numerical / exact - 1.0).max() < 1e-10


@pytest.mark.parametrize("name", ["erf", "relu"])
def test_averages(name):
    activation = get_activation(name)
    c = np.array([1e-12, 1e-4, 0.5, 1.0, 30.0])
    assert gaussian_mean(activation, c) == pytest.approx(activation.mean(c), rel=1e-12, abs=1e-15)
    assert gaussian_mean_derivative(activation, c) == pytest.approx(activation.mean_derivative(c), rel=1e-9)
    assert gaussian_mean_derivative(activation, np.zeros(1)) == pytest.approx(
        activation.mean_derivative(np.zeros(1)), rel=1e-9
    )


def test_tanh_against_many_digits():
    tanh = get_activation("tanh")
    c = np.array([[1.7, 0.9], [0.9, 0.8]])
    numerical = _numerical(tanh, c)
    with mpmath.workdps(30):
        ratio = mpmath.mpf(c[0, 1]) / mpmath.mpf(c[0, 0])
        rest = mpmath.sqrt(mpmath.mpf(c[1, 1]) - ratio * mpmath.mpf(c[0, 1]))
        s = mpmath.sqrt(mpmath.mpf(c[0, 0]))
        # the trapezoidal rule on the plane converges exponentially for analytic functions
        step = mpmath.mpf(1) / 4
        grid = [k * step for k in range(-44, 45)]
        total = mpmath.fsum(
            mpmath.tanh(s * a) * mpmath.tanh(ratio * s * a + rest * b) * mpmath.npdf(a) * mpmath.npdf(b)
            for a in grid
            for b in grid
        )
        exact = float(total * step * step)
    assert numerical[0, 1] == pytest.approx(exact, rel=1e-11)


@pytest.mark.parametrize(("activation", "tolerance"), [(LEAKY, 1e-12), (CLIPPED, 1e-5)])
@pytest.mark.parametrize("rho", [0.3, 0.97, -0.999])
def test_kinks(activation, tolerance, rho):
    """Kinks at zero cost nothing; elsewhere nearly parallel pairs are known to the stated accuracy."""
    c = np.array([[1.5, rho * np.sqrt(1.5 * 0.7)], [rho * np.sqrt(1.5 * 0.7), 0.7]])
    s1, ratio, rest = np.sqrt(1.5), c[0, 1] / 1.5, np.sqrt(0.7 * (1 - rho**2))
    z, w = np.polynomial.legendre.leggauss(24)

    def inner(h1: float) -> float:
        edges = sorted({-12.0, 12.0, *(np.clip((k - ratio * h1) / rest, -12, 12) for k in activation.kinks)})
        pieces = np.concatenate([np.linspace(a, b, 14)[:-1] for a, b in itertools.pairwise(edges)] + [[12.0]])
        middle, half = 0.5 * (pieces[1:] + pieces[:-1])[:, None], 0.5 * np.diff(pieces)[:, None]
        b = middle + half * z
        return float((activation.function(ratio * h1 + rest * b) * np.exp(-b * b / 2) * half * w).sum())

    breaks = sorted({k / s1 for k in activation.kinks} | {k / ratio / s1 for k in activation.kinks})
    exact = integrate.quad(
        lambda a: float(activation.function(np.array(s1 * a))) * inner(s1 * a) * np.exp(-a * a / 2),
        -11, 11, points=breaks, limit=400, epsabs=1e-13,
    )[0] / (2 * np.pi)  # fmt: skip
    assert _numerical(activation, c)[0, 1] == pytest.approx(exact, abs=tolerance)


def test_zero_inputs_and_shapes():
    relu, square = get_activation("relu"), Activation("sq", lambda h: 1.0 + h * h, None, None, odd=False)
    assert gaussian_kernel(relu, np.zeros(3), np.zeros(3), np.ones(3)) == pytest.approx(0.0)
    c = np.array([0.0, 0.5])
    assert gaussian_kernel(square, c, np.array([0.0, 1.0]), np.array([2.0, 1.0])) == pytest.approx([3.0, 4.5])
    x = np.random.default_rng(1).standard_normal((6, 4))
    plain = dataclasses.replace(get_activation("erf"), kernel=None)
    assert feature_kernel(plain, x, x[:2]) == pytest.approx(feature_kernel("erf", x, x[:2]), rel=1e-12)


def test_an_infinite_activation_is_refused():
    bad = Activation("bad", lambda h: 1.0 / np.maximum(0.0, 3.0 - h) ** 2, None, None, odd=False)
    with np.errstate(divide="ignore"), pytest.raises(InvalidInput, match="finite"):
        gaussian_mean(bad, np.ones(1))
