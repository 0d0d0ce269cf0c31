"""Observables against 50-digit dense matrices, finite differences, limits, and an independent Monte Carlo."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from conftest import gaussian_dataset
from dense_theory import DenseTheory, worst_deviation
from proplim.activations import get_activation
from proplim.datasets import Dataset
from proplim.geometry import centroid_distance_sq, gyration_radius_sq
from proplim.kernels import feature_kernel, stein_vectors
from proplim.observables import variable
from proplim.theory import APPROXIMATIONS, Points, _cavity, signal_direction, solve_grid
from proplim.theory._states import observables_of as _observables

EPS = np.finfo(float).eps


def _duplicated() -> Dataset:
    d = gaussian_dataset(6, 4, 4)
    x = d.x_train.copy()
    x[3] = x[4] = x[0]
    return Dataset(x, d.y_train, d.x_test, d.y_test)


def _test_on_train() -> Dataset:
    d = gaussian_dataset(5, 4, 4)
    return Dataset(d.x_train, d.y_train, d.x_train[:4], d.y_train[:4])


CASES = {
    "generic": (gaussian_dataset(5, 4, 4), "erf"),
    "rank-deficient linear": (gaussian_dataset(5, 3, 4), "linear"),
    "duplicates": (_duplicated(), "erf"),
    "P = 2": (gaussian_dataset(2, 3, 4), "erf"),
    "test on train": (_test_on_train(), "erf"),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("temperature", [1e-8, 1e-3, 1.0, 1e6])
def test_every_variable_to_fifty_digits(case, temperature):
    """The tolerance is the conditioning of the problem: a kernel known to eps, resolved at the scale T."""
    dataset, activation = CASES[case]
    dense = DenseTheory(dataset, activation, lambda0=0.5)
    grid = solve_grid(
        dataset,
        activation,
        temperature=temperature,
        width=[1, 1e7],
        lambda0=0.5,
        lambda1=0.7,
        approximations=["proportional"],
    )
    # test inputs in the span of the training inputs: their variance is T where their kernel is known to eps
    exposed = case in ("test on train", "rank-deficient linear")
    tolerance = 2e-12 + (1e3 * EPS / temperature if exposed and temperature < 1 else 0.0)
    for width in (1, 1e7):
        point = grid.sel(width=width).squeeze()
        assert point.converged == 1
        q = dense.order_parameter(float(point.order_parameter), temperature, width, 0.7)
        deviation, where = worst_deviation(point, dense.observables(q, temperature, width, 0.7))
        assert deviation < tolerance, where


@pytest.mark.parametrize("activation", ["erf", "linear"])
def test_temperature_derivatives_are_those_of_the_energies(activation):
    """Central differences with h = 1e-4 in ln T err by order 1e-8."""
    h, t = 1e-4, 0.05
    approximations = ["infinite_width", "proportional"] + (["exact"] if activation == "linear" else [])
    grid = solve_grid(
        gaussian_dataset(9, 6),
        activation,
        temperature=t * np.exp([-h, 0.0, h]),
        width=[2, 30],
        lambda1=0.8,
        approximations=approximations,
    ).squeeze("lambda1")
    for name in ("free_energy", "mean_energy"):
        numeric = (grid[name].isel(temperature=2) - grid[name].isel(temperature=0)) / (2 * h * t)
        stated = grid[f"{name}_temperature_derivative"].isel(temperature=1)
        np.testing.assert_allclose(numeric.values, stated.values, rtol=3e-7)


def test_mean_energy_is_the_training_error_and_the_derivative_of_the_partition_function():
    """E/N = P mse/(2N), and E/N = (T/2)(P/N) - T^2 d(S/2)/dT (thermodynamics; docs/theory.md, eq. 3.17)."""
    grid = solve_grid(
        gaussian_dataset(8, 5),
        "linear",
        temperature=[1e-3, 0.1, 10.0],
        width=[1, 20],
        approximations=["infinite_width", "proportional", "exact"],
    )
    mse = grid.mse.sel(split="train")
    np.testing.assert_allclose(grid.mean_energy, 8 * mse / (2 * grid.width), rtol=1e-12)
    t = grid.temperature
    thermodynamic = t * 8 / (2 * grid.width) - t**2 * grid.free_energy_temperature_derivative
    xr.testing.assert_allclose(grid.mean_energy, thermodynamic.transpose(*grid.mean_energy.dims), rtol=1e-9)


def test_infinite_width_is_gaussian_process_regression():
    dataset = gaussian_dataset(10, 6, 8)
    grid = solve_grid(dataset, "erf", temperature=0.3, width=[5, 50], lambda1=2.0, lambda0=0.5).squeeze()
    nngp = grid.sel(approximation="infinite_width")
    k = feature_kernel("erf", dataset.x_train, dataset.x_train, 0.5) / 2.0
    kt = feature_kernel("erf", dataset.x_test, dataset.x_train, 0.5) / 2.0
    ktt = feature_kernel("erf", dataset.x_test, dataset.x_test, 0.5) / 2.0
    inverse = np.linalg.inv(k + 0.3 * np.eye(10))
    mean, cov = kt @ inverse @ dataset.y_train, ktt - kt @ inverse @ kt.T
    at = nngp.isel(width=0).sel(split="test")
    assert at.bias_sq == pytest.approx(((mean - dataset.y_test) ** 2).mean(), rel=1e-11)
    assert at.predictive_variance == pytest.approx(np.diag(cov).mean(), rel=1e-11)
    assert at.accuracy == (mean * dataset.y_test > 0).mean()
    for name in ("order_parameter", "readout_variance", "signal_variance", "hidden_trace_shift"):
        expected = {"order_parameter": 1.0, "readout_variance": 0.5, "signal_variance": 2.0}.get(name, 0.0)
        assert (nngp[name] == expected).all()
    # all but the energies per unit is the same at every width, and the limit of the proportional theory
    wide = solve_grid(dataset, "erf", temperature=0.3, width=1e7, lambda1=2.0, lambda0=0.5).squeeze()
    for name in ("mse", "bias_sq", "centroid_distance_sq", "gyration_radius_sq", "readout_variance"):
        assert (nngp[name].isel(width=0) == nngp[name].isel(width=1)).all()
        a, b = (wide[name].sel(approximation=x) for x in ("proportional", "infinite_width"))
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_high_temperature_is_the_prior():
    grid = solve_grid(gaussian_dataset(10, 6, 8), "erf", temperature=1e6, width=5).squeeze()
    a, b = grid.sel(approximation="proportional"), grid.sel(approximation="infinite_width")
    for name in ("centroid_distance_sq", "gyration_radius_sq", "readout_variance", "signal_variance", "mse"):
        np.testing.assert_allclose(a[name], b[name], rtol=1e-4)


@pytest.mark.parametrize("activation", ["erf", "linear"])
def test_single_unit_moments_against_monte_carlo(activation):
    """Importance sampling of one unit in the field of the others, to first order in 1/N (N = 20,000).

    Weight exp(v a.s/sqrt(N) - v^2 s.Sigma^-1 s/(2N)), s = sigma(h), v integrated out. Moments of one s are
    exact for every activation; <w w^T> takes sigma(h) for Gaussian and is exact for the linear one only.
    |z| < 5 for six moments: false-alarm rate 3e-6; the seed is fixed.
    """
    n, t, draws = 20_000.0, 0.05, 400_000
    dataset = gaussian_dataset(4, 3, seed=3)
    grid = solve_grid(dataset, activation, temperature=t, width=n, approximations=["proportional"]).squeeze()
    u = signal_direction(dataset, activation, width=n, temperature=t)
    kernel = feature_kernel(activation, dataset.x_train, dataset.x_train, 1.0)
    inverse = np.linalg.inv(t * np.eye(4) + float(grid.readout_variance) * kernel)
    a = inverse @ dataset.y_train
    w = np.random.default_rng(11).standard_normal((draws, 3))
    w = np.concatenate([w, -w])
    s = get_activation(activation).function(w @ dataset.x_train.T / np.sqrt(3))
    q, b = s @ a / np.sqrt(n), ((s @ inverse) * s).sum(1) / n
    weight = (1 + b) ** -0.5 * np.exp(q**2 / (2 * (1 + b)))
    weight = weight / weight.mean()
    v, along = q / (1 + b), w @ u
    shifts = {  # from the prior, whose moments are known exactly
        "readout_signal_covariance": (weight * v * along, 0.0),
        "readout_variance": (weight * (1 / (1 + b) + v**2) - 1.0, 1.0),
    }
    if activation == "linear":
        shifts["signal_variance"] = ((weight - 1.0) * (along**2 - 1.0), 1.0)
        shifts["hidden_trace_shift"] = ((weight - 1.0) * ((w**2).sum(1) - 3.0), 0.0)
    for name, (values, prior) in shifts.items():
        pairs = 0.5 * (values[:draws] + values[draws:])
        error = pairs.std() / np.sqrt(draws)
        expected = float(grid[name]) - prior
        assert abs(pairs.mean() - expected) < 5 * error, name
        assert error < 0.03 * abs(expected), name  # a formula wrong by a sixth would fail


def test_signal_direction_is_the_normalised_response_of_the_stein_vectors():
    dataset = gaussian_dataset(7, 5)
    u = signal_direction(dataset, "erf", width=20, temperature=0.1, lambda0=2.0, lambda1=0.5)
    q = solve_grid(
        dataset, "erf", temperature=0.1, width=20, lambda0=2.0, lambda1=0.5, approximations=["proportional"]
    ).order_parameter.item()
    k = feature_kernel("erf", dataset.x_train, dataset.x_train, 2.0)
    direction = stein_vectors("erf", dataset.x_train, 2.0) @ np.linalg.solve(
        0.1 * np.eye(7) + q / 0.5 * k, dataset.y_train
    )
    np.testing.assert_allclose(u, direction / np.linalg.norm(direction), rtol=1e-10)


def test_without_signal_there_is_no_direction():
    d = gaussian_dataset(6, 4)
    zero = Dataset(d.x_train, np.zeros(6), d.x_test, d.y_test)
    assert np.isnan(signal_direction(zero, "erf", width=10, temperature=0.1)).all()
    grid = solve_grid(zero, "erf", temperature=0.1, width=10, approximations=["proportional"]).squeeze()
    assert np.isnan(grid.signal_variance)
    assert grid.readout_signal_covariance == 0
    assert grid.converged == 1
    assert grid.order_parameter < 1


def test_an_input_that_is_always_zero_has_no_part_in_the_signal():
    """As the pixels at the border of an image."""
    data = gaussian_dataset(8, 4)
    x = data.x_train * np.array([1.0, 1.0, 0.0, 1.0])
    dark = Dataset(x, data.y_train, data.x_test, data.y_test)
    direction = signal_direction(dark, "erf", width=5, temperature=0.3, lambda0=1.0, lambda1=1.0)
    assert direction[2] == 0.0
    np.testing.assert_allclose(np.linalg.norm(direction), 1.0, rtol=1e-14)


@pytest.mark.parametrize(
    ("activation", "approximation"),
    [
        ("erf", "infinite_width"),
        ("erf", "proportional"),
        ("relu", "proportional"),
        ("linear", "exact"),
        ("erf", "cavity"),
    ],
)
@pytest.mark.parametrize("width", [3.0, 40.0])
def test_normalized_geometry_is_that_of_the_cosine_of_the_feature_kernel(activation, approximation, width):
    """The kernel is put together from quadratic forms, entry by entry, and scaled as a matrix."""
    found = _states(gaussian_dataset(7, 5, 6), activation, approximation, width)
    for inputs in (found.train, found.test):
        size = len(inputs.targets)
        unit = np.eye(size)
        diagonal = np.array([inputs.feature_form(e)[0] for e in unit])
        kernel = np.array(
            [
                [
                    0.5 * (inputs.feature_form(a + b)[0] - diagonal[i] - diagonal[j])
                    for j, b in enumerate(unit)
                ]
                for i, a in enumerate(unit)
            ]
        )
        cosine = kernel / np.sqrt(np.outer(diagonal, diagonal))
        weights = inputs.class_weights
        got = [variable(f"normalized_{n}").from_state(found, inputs)[0] for n in GEOMETRY]
        np.testing.assert_allclose(got[0], centroid_distance_sq(cosine, weights), rtol=1e-9)
        expected = gyration_radius_sq(np.diag(cosine), cosine, weights)
        np.testing.assert_allclose(got[1], expected, rtol=1e-9)


GEOMETRY = ("centroid_distance_sq", "gyration_radius_sq")


def _states(dataset, activation, approximation, width):
    """The state of one point at T = 1, of the first replicate where there are several."""
    from proplim.theory._spectrum import build_spectrum

    spectrum = build_spectrum(dataset, get_activation(activation), 1.0)
    points = Points(np.array([1.0]), np.array([width]), np.array([1.0]))
    if approximation == "cavity":
        with pytest.MonkeyPatch.context() as patch:
            kept = []
            patch.setattr(_cavity, "observables_of", lambda state: kept.append(state) or _observables(state))
            _cavity.solve_cavity(spectrum, points)
        return kept[0]
    solved = APPROXIMATIONS.get(approximation, "approximations").solve(spectrum, points)
    (states,) = solved.states
    return states.state(*(field[:1] for field in states.fields))


def test_a_theory_without_lengths_has_no_normalized_geometry():
    """A state of a user's theory, written before there were any, gives NaN of the right shape."""

    class Old:
        readout_variance = np.ones(3)

    class Inputs:
        class_weights = np.eye(2)

    shapes = [variable(f"normalized_{n}").from_state(Old(), Inputs()) for n in GEOMETRY]
    assert [s.shape for s in shapes] == [(3,), (3, 2)]
    assert all(np.isnan(s).all() for s in shapes)
