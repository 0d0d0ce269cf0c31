"""The error function that loops run on: accuracy over the whole range, derivative, and where it is used."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from proplim._jax import configure_jax
from proplim.activations import get_activation
from proplim.activations._rational_erf import rational_erf

configure_jax()

import jax  # noqa: E402  (float64 has to be on first)
import jax.numpy as jnp  # noqa: E402

RANGE = np.concatenate(
    [np.linspace(0.0, 7.0, 400_001), np.geomspace(1e-300, 1e4, 200_001), np.nextafter(5.93, [0.0, 9.0])]
)


def relative_error(value: np.ndarray, exact: np.ndarray) -> float:
    return float((np.abs(value - exact) / np.maximum(np.abs(exact), np.finfo(value.dtype).tiny)).max())


def test_it_is_erf_to_a_few_roundings_everywhere() -> None:
    """Largest relative error 8e-16 (3.6 roundings) on 600 000 points from 1e-300 to 1e4; odd; never above one."""
    value = np.asarray(jax.jit(rational_erf)(RANGE))
    assert value.dtype == np.float64
    assert relative_error(value, special.erf(RANGE)) < 8e-16
    np.testing.assert_array_equal(np.asarray(jax.jit(rational_erf)(-RANGE)), -value)
    assert value.max() <= 1.0
    far = np.array([np.inf, -np.inf, np.nan, 0.0])
    np.testing.assert_allclose(np.asarray(rational_erf(far)), [1.0, -1.0, np.nan, 0.0], rtol=3e-16)


def test_it_keeps_single_precision() -> None:
    points = RANGE[RANGE > 1e-37].astype(np.float32)
    value = np.asarray(jax.jit(rational_erf)(points))
    assert value.dtype == np.float32
    assert relative_error(value, special.erf(points.astype(np.float64))) < 8 * np.finfo(np.float32).eps


@pytest.mark.parametrize("h", [-7.0, -1.3, 0.0, 0.4, 5.925, 5.935])
def test_its_derivative_is_the_gaussian(h: float) -> None:
    exact = 2.0 / np.sqrt(np.pi) * np.exp(-h * h)
    assert float(jax.grad(rational_erf)(h)) == pytest.approx(exact, rel=1e-15)
    assert float(jax.grad(jax.grad(rational_erf))(h)) == pytest.approx(-2.0 * h * exact, rel=1e-14)


def test_loops_take_the_form_that_costs_least() -> None:
    erf, tanh = get_activation("erf"), get_activation("tanh")
    h = jnp.linspace(-3.0, 3.0, 11)
    np.testing.assert_array_equal(erf.jax_features(h), rational_erf(h))
    assert erf.jax_quick is rational_erf is not erf.jax_function
    np.testing.assert_array_equal(tanh.jax_features(h), tanh.jax_function(h))
