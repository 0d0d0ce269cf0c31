"""The heavy unit's weights, as an image."""

from __future__ import annotations

import numpy as np
import pytest

import proplim
from proplim.errors import InvalidInput
from proplim.kernels import feature_kernel
from proplim.theory import heavy_unit, signal_direction

DIGITS = proplim.load_dataset("digits", 60, classes=(3, 8), n_test=40)
COLD = {"width": 60, "temperature": 0.01}


def energy(
    hidden: np.ndarray, readout: float, order_parameter: float, width: int, temperature: float
) -> float:
    """U of docs/condensed.md, eq. C.1, with dense matrices and lambda0 = lambda1 = 1."""
    from scipy.special import erf

    x, y = DIGITS.x_train, DIGITS.y_train
    s = erf(x @ hidden / np.sqrt(x.shape[1]))
    rest = y - readout * s / np.sqrt(width)
    others = width - 1
    kernel = feature_kernel("erf", x, x)
    covariance = temperature * np.eye(len(y)) + order_parameter * others / width * kernel
    data = np.linalg.slogdet(covariance)[1] + rest @ np.linalg.solve(covariance, rest)
    prior = hidden @ hidden + readout**2 + others * (order_parameter - np.log(order_parameter))
    return 0.5 * (prior + data)


def test_the_unit_sits_at_a_minimum_of_the_dense_measure():
    from scipy.optimize import minimize_scalar

    unit = heavy_unit(DIGITS, "erf", **COLD)

    def at(hidden: np.ndarray, readout: float) -> float:
        return minimize_scalar(
            lambda u: energy(hidden, readout, np.exp(u), 60, 0.01), bounds=(-4, 2), options={"xatol": 1e-9}
        ).fun

    lowest = at(unit.hidden, unit.readout)
    rng = np.random.default_rng(0)
    for _ in range(10):
        moved = unit.hidden + 0.02 * rng.standard_normal(len(unit.hidden))
        assert at(moved, unit.readout) > lowest
    for factor in (0.98, 1.02):
        assert at(unit.hidden, factor * unit.readout) > lowest
        assert at(factor * unit.hidden, unit.readout) > lowest


def test_share_and_sign():
    from scipy.special import erf

    unit = heavy_unit(DIGITS, "erf", **COLD)
    x, y = DIGITS.x_train, DIGITS.y_train
    s = erf(x @ unit.hidden / np.sqrt(x.shape[1]))
    assert unit.share == pytest.approx(unit.readout * (s @ y) / (np.sqrt(60) * (y @ y)), rel=1e-9)
    assert 0.5 < unit.share < 1.2
    assert unit.readout > 0
    assert unit.lead > 5
    assert ((x @ unit.hidden > 0) == (y > 0)).mean() > 0.95
    assert unit.hidden @ signal_direction(DIGITS, "erf", **COLD) > 0


def test_there_is_none_when_it_is_hot():
    assert heavy_unit(DIGITS, "erf", width=60, temperature=10.0) is None


def test_an_activation_that_is_not_odd_is_refused():
    with pytest.raises(InvalidInput, match="odd"):
        heavy_unit(DIGITS, "relu", **COLD)
