"""The two order parameters of activations that are not odd."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from _small_networks import weighted_prior
from _theories import solved_by
from conftest import gaussian_dataset
from proplim.activations import Activation, get_activation
from proplim.datasets import Dataset
from proplim.kernels import feature_mean
from proplim.theory import Points, build_spectrum, signal_direction, solve_grid
from proplim.theory._gaussian import solve_proportional
from proplim.theory._two_order_parameters import solve_two_order_parameters, two_order_parameter_residual

solve_two, solve_one = solved_by(solve_two_order_parameters), solved_by(solve_proportional)


def _separable(n_train: int, n_features: int, seed: int = 3) -> Dataset:
    d = gaussian_dataset(n_train, n_features, n_test=10, seed=seed)
    shift, test_shift = 0.6 * d.y_train[:, None], 0.6 * d.y_test[:, None]
    return Dataset(d.x_train + shift, d.y_train, d.x_test + test_shift, d.y_test)


def _points(*rows: tuple[float, float, float]) -> Points:
    return Points(*(np.array(column, dtype=float) for column in zip(*rows, strict=True)))


POINTS = _points(
    (1e-6, 20, 1.0), (0.01, 20, 1.0), (0.3, 5, 2.0), (1.0, 1e6, 0.5), (1e5, 30, 1.0), (0.1, 1, 1.0)
)


@pytest.mark.parametrize("name", ["erf", "linear"])
def test_an_odd_activation_gives_back_one_order_parameter(name):
    spectrum = build_spectrum(_separable(14, 6), name, 1.3)
    two, one = solve_two(spectrum, POINTS), solve_one(spectrum, POINTS)
    compared = set(two) & set(one) - {"stationarity_residual", "stationary_points", "converged"}
    assert {"free_energy", "centroid_distance_sq", "gyration_radius_sq", "mse", "signal_variance"} <= compared
    for name in compared - {"order_parameter", "hidden_trace_shift"}:
        keep = slice(None, -1)  # at N = 1 the interval of the share is unbounded
        scale = np.abs(one[name][keep]) + 1e-9
        assert np.nanmax(np.abs(two[name][keep] - one[name][keep]) / scale) < 1e-7, name


def test_both_equations_hold_as_they_are_written():
    """Equations (A.3) and (A.4) of docs/cavity.md with dense matrices that the solver never builds."""
    data = _separable(14, 6)
    spectrum = build_spectrum(data, "relu", 1.0)
    points = _points((1e-3, 20, 1.0), (0.1, 7, 2.0), (3.0, 1e5, 0.5))
    solution = solve_two(spectrum, points)
    assert solution["converged"].all()
    m = feature_mean("relu", data.x_train, 1.0)
    centred, y = spectrum.kernel - np.outer(m, m), data.y_train
    residuals = two_order_parameter_residual(spectrum, points)
    for i, (t, n, l1) in enumerate(zip(*points, strict=True)):
        q, r = solution["order_parameter"][i], solution["conjugate_order_parameter"][i]
        sigma = t * np.eye(14) + q / l1 * centred + np.outer(m, m) / (l1 * (1.0 + r))
        inverse = np.linalg.inv(sigma)
        a = inverse @ y
        assert r == pytest.approx(
            (np.trace(inverse @ centred) - a @ centred @ a) / (n * l1), rel=1e-8, abs=1e-9
        )
        spread = m @ inverse @ m - (m @ a) ** 2
        assert q == pytest.approx(1.0 / (1.0 + r) - spread / (n * l1 * (1.0 + r) ** 2), rel=1e-8)
        assert np.abs(residuals[i] - a).max() < 1e-8 * np.abs(a).max()
        assert solution["mse"][i, 0] == pytest.approx(
            (t**2 * a @ a + 14 * t - t**2 * np.trace(inverse)) / 14, rel=1e-9
        )


def test_free_energy_is_stationary_and_its_slope_is_right():
    spectrum = build_spectrum(_separable(14, 6), "relu", 1.0)
    t, step = 0.2, 1e-5
    solution = solve_two(spectrum, _points((t - step, 20, 1), (t, 20, 1), (t + step, 20, 1)))
    slope = (solution["free_energy"][2] - solution["free_energy"][0]) / (2 * step)
    assert solution["free_energy_temperature_derivative"][1] == pytest.approx(slope, rel=1e-6)


def test_against_thirty_digits():
    """The action with mpmath: stationary in Q and p at the solution to far below rounding of doubles."""
    data = _separable(8, 5)
    spectrum = build_spectrum(data, "relu", 1.0)
    solution = solve_two(spectrum, _points((0.05, 10, 1.0)))
    m = feature_mean("relu", data.x_train, 1.0)
    with mpmath.workdps(30):
        centred = mpmath.matrix((spectrum.kernel - np.outer(m, m)).tolist())
        mean, y = mpmath.matrix(m.tolist()), mpmath.matrix(data.y_train.tolist())

        def action(q, p):
            sigma = mpmath.mpf("0.05") * mpmath.eye(8) + q * centred + p * mean * mean.T
            energy = (y.T * mpmath.lu_solve(sigma, y))[0]
            return 1 + q - q / p - mpmath.log(p) + (mpmath.log(mpmath.det(sigma)) + energy) / 10

        q = mpmath.mpf(solution["order_parameter"][0])
        p = 1 / (1 + mpmath.mpf(solution["conjugate_order_parameter"][0]))
        assert abs(mpmath.diff(action, (q, p), (1, 0))) < 1e-12
        assert abs(mpmath.diff(action, (q, p), (0, 1))) < 1e-12
        assert float(action(q, p) / 2) == pytest.approx(solution["free_energy"][0], rel=1e-12)


@pytest.mark.slow
def test_predictor_and_features_against_weighted_networks():
    """Exact averages of networks of 30 units; the theory errs by terms of order 1/N, bounded here by hand.

    Standard errors of the reference are below 0.2 %, so that the bounds are 10 of them and more away.
    """
    data = _separable(12, 6)
    exact = weighted_prior(data, get_activation("relu").function, 30, 0.3, 20_000)
    theory = solve_grid(
        data, "relu", temperature=0.3, width=30, approximations=["infinite_width", "proportional"]
    )
    wide, proportional = (theory.isel(approximation=i, width=0, temperature=0, lambda1=0) for i in (0, 1))
    assert exact["effective_fraction"][0] > 0.3
    assert float(proportional.mse.sel(split="train")) == pytest.approx(exact["mse"][0], rel=0.04)
    assert float(proportional.readout_variance) == pytest.approx(exact["readout_variance"][0], rel=0.03)
    prior = float(wide.centroid_distance_sq.sel(split="train"))
    shift = exact["centroid_distance_sq"][0] - prior
    assert shift > 10 * exact["centroid_distance_sq"][1]
    # sigma(h) is not Gaussian: the shift is right to tens of percent only (docs/cavity.md, A.4)
    assert float(proportional.centroid_distance_sq.sel(split="train")) - prior == pytest.approx(
        shift, rel=0.5
    )


def test_far_from_odd_and_extremes_of_the_grid():
    """A constant added to erf is a pure mean; temperatures from 1e-8 to 1e6, duplicated inputs, zero labels."""
    offset = Activation(
        "offset", lambda h: np.tanh(h) + 3.0, None, None, odd=False, mean=lambda c: np.full_like(c, 3.0)
    )
    d = _separable(12, 6)
    x = np.concatenate([d.x_train, d.x_train[:3]])
    y = np.concatenate([d.y_train, d.y_train[:3]])
    for labels in (y, np.zeros_like(y)):
        spectrum = build_spectrum(Dataset(x, labels, d.x_test, d.y_test), offset, 1.0)
        solution = solve_two(
            spectrum, _points(*((t, n, 1.0) for t in (1e-8, 1e-2, 1e6) for n in (2, 50, 1e7)))
        )
        assert solution["converged"].all()
        assert (solution["stationarity_residual"] < 1e-9).all()
        assert solution["order_parameter"][-1] == pytest.approx(1.0, abs=1e-5)


def test_values_do_not_depend_on_the_grid():
    data = _separable(12, 6)
    spectrum = build_spectrum(data, "relu", 1.0)
    rows = [(t, n, 1.0) for t in np.logspace(-3, 2, 40) for n in (5, 50)]
    together = solve_two(spectrum, _points(*rows))
    for i in (0, 33, 79):
        alone = solve_two(spectrum, _points(rows[i]))
        for name, value in alone.items():
            assert np.array_equal(value[0], together[name][i], equal_nan=True), name


def test_signal_direction_is_a_unit_vector():
    u = signal_direction(_separable(12, 6), "relu", width=20, temperature=0.1)
    assert np.linalg.norm(u) == pytest.approx(1.0)
