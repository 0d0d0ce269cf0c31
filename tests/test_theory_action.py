"""The order parameter: every stationary point found, the global minimum taken, with its evidence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import gaussian_dataset
from dense_theory import DenseTheory, mp
from proplim.datasets import Dataset
from proplim.theory import Points, build_spectrum, effective_action, solve_order_parameter

EPS = np.finfo(float).eps


def spectral_dataset(eigenvalues, labels) -> Dataset:
    """A data set whose linear kernel (lambda0 = 1) is diagonal with the given eigenvalues."""
    kappa = np.asarray(eigenvalues, dtype=float)
    x = np.diag(np.sqrt(kappa * len(kappa)))
    return Dataset(x, np.asarray(labels, dtype=float), x[:0], np.zeros(0))


def points(temperature, width, lambda1) -> Points:
    arrays = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(v, dtype=float)) for v in (temperature, width, lambda1))
    )
    return Points(*(np.ascontiguousarray(a) for a in arrays))


MESH = 1e-3


def scanned(dataset, t, n, l1):
    """All stationary points and the minimum by brute force on a fine mesh of u."""
    kappa = np.diag(dataset.x_train @ dataset.x_train.T) / dataset.n_features
    u = np.arange(-45.0, 25.0, MESH)
    slope, action = np.exp(u) - 1.0, np.exp(u) - u
    for k, y in zip(kappa, dataset.y_train, strict=True):
        x = np.exp(u) * k / l1
        slope += (x / (t + x) - y**2 * x / (t + x) ** 2) / n
        action += (np.log(t + x) + y**2 / (t + x)) / n
    sign = slope > 0
    return int((sign[1:] != sign[:-1]).sum()), np.exp(u[np.argmin(action)]), action.min()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    exponents=st.lists(st.floats(-6, 2), min_size=1, max_size=12),
    label_exponents=st.lists(st.floats(-3, 1.5), min_size=12, max_size=12),
    log_t=st.floats(-5, 2),
    width=st.integers(1, 40),
    log_lambda=st.floats(-2, 2),
)
def test_agrees_with_a_brute_force_scan(exponents, label_exponents, log_t, width, log_lambda):
    labels = 10.0 ** np.array(label_exponents[: len(exponents)])
    dataset = spectral_dataset(10.0 ** np.array(exponents), labels)
    t, l1 = 10.0**log_t, 10.0**log_lambda
    solution = solve_order_parameter(build_spectrum(dataset, "linear", 1.0), points(t, width, l1))
    count, q, action = scanned(dataset, t, width, l1)
    assert solution.converged[0]
    # two stationary points closer than the mesh of the scan are invisible to it, never to the solver
    assert solution.stationary_points[0] >= count
    assert solution.stationary_points[0] % 2 == 1
    # the scan misses the minimum by at most half a cell
    error = solution.curvature[0] * MESH**2
    assert action - error - 1e-12 * abs(action) <= solution.action[0] <= action + 1e-12 * abs(action)
    if not solution.action_gap[0] < 2 * error:
        assert solution.order_parameter[0] == pytest.approx(q, rel=MESH)


def two_minima(label_energy: float) -> Dataset:
    """Twenty strong modes without labels hold Q down, one weak mode with labels pulls it up (N = 10)."""
    return spectral_dataset([1.0] * 20 + [1e-3], [0.0] * 20 + [np.sqrt(label_energy)])


def test_two_minima_and_the_jump_between_them():
    energies = np.linspace(0.002, 0.03, 29)
    found = []
    for energy in energies:
        dataset = two_minima(energy)
        solution = solve_order_parameter(build_spectrum(dataset, "linear", 1.0), points(1e-4, 10, 1.0))
        count, q, action = scanned(dataset, 1e-4, 10, 1.0)
        assert solution.stationary_points[0] == count
        assert solution.action[0] == pytest.approx(action, abs=solution.curvature[0] * MESH**2)
        assert solution.order_parameter[0] == pytest.approx(q, rel=MESH)
        found.append((count, q, solution.action_gap[0]))
    counts, q, gaps = map(np.array, zip(*found, strict=True))
    assert set(counts) == {1, 3}
    assert np.isfinite(gaps[counts == 3]).all()
    assert np.isnan(gaps[counts == 1]).all()
    jump = np.argmax(np.diff(np.log(q)))
    assert q[jump + 1] > 20 * q[jump]  # the global minimum changes side while both exist
    assert counts[jump] == counts[jump + 1] == 3


def test_nearly_degenerate_stationary_points_are_separated():
    """Bisect the label energy to the spinodal: the count changes from 1 to 3 and is never anything else."""

    def count(energy):
        solution = solve_order_parameter(
            build_spectrum(two_minima(energy), "linear", 1.0), points(1e-4, 10, 1.0)
        )
        return solution.stationary_points[0], solution.converged[0]

    low, high = 0.002, 0.01
    assert count(low) == (1, True)
    assert count(high) == (3, True)
    for _ in range(36):
        middle = 0.5 * (low + high)
        number, converged = count(middle)
        assert number in (1, 3) or not converged
        low, high = (low, middle) if number == 3 else (middle, high)
    assert high - low < 1e-12


TEMPERATURES = [1e-8, 1e-4, 1.0, 1e3, 1e6]
WIDTHS = [1, 10, 1e4, 1e7]


def _duplicated(n_train: int = 12) -> Dataset:
    d = gaussian_dataset(n_train, 6)
    x = d.x_train.copy()
    x[n_train // 2 : n_train - 1] = x[0]
    return Dataset(x, d.y_train, d.x_test, d.y_test)


def _orthogonal_labels(n: int = 4) -> Dataset:
    """Labels outside the range of the kernel: +1 and -1 on two copies of each input."""
    x = gaussian_dataset(n, 6).x_train
    return Dataset(np.concatenate([x, x]), np.repeat([1.0, -1.0], n), x, np.ones(n))


EXTREMES = {
    "P = 2": (gaussian_dataset(2, 3), "erf"),
    "P = 1": (gaussian_dataset(1, 3), "erf"),
    "duplicates": (_duplicated(), "erf"),
    "rank-deficient linear": (gaussian_dataset(30, 4), "linear"),
    "zero labels": (
        Dataset(gaussian_dataset(8, 5).x_train, np.zeros(8), np.zeros((0, 5)), np.zeros(0)),
        "erf",
    ),
    "orthogonal labels": (_orthogonal_labels(), "erf"),
    "zero inputs": (Dataset(np.zeros((4, 3)), [1, -1, 1, -1], np.zeros((2, 3)), [1, -1]), "erf"),
    "large labels": (
        Dataset(gaussian_dataset(8, 5).x_train, np.full(8, 1e6), np.zeros((0, 5)), np.zeros(0)),
        "erf",
    ),
    "alpha above 1": (gaussian_dataset(40, 60), "erf"),
}


@pytest.mark.parametrize("case", EXTREMES)
@pytest.mark.parametrize("lambda1", [1e-3, 1.0, 1e3])
def test_extremes_converge_to_rounding(case, lambda1):
    dataset, activation = EXTREMES[case]
    t, n = (m.ravel() for m in np.meshgrid(TEMPERATURES, WIDTHS))
    spectrum = build_spectrum(dataset, activation, 1.0)
    grid = points(t, n, lambda1)
    solution = solve_order_parameter(spectrum, grid)
    assert solution.converged.all()
    q = solution.order_parameter
    assert (q > 0).all()
    p = len(spectrum.eigenvalues)
    energy = (spectrum.labels**2).sum()
    assert (q <= (1 + energy / (4 * n * t)) * (1 + 1e-12)).all()
    # the trace term is at most p/N and at most Q tr K/(lambda1 T N), the data term never pushes Q down
    trace = spectrum.eigenvalues.sum()
    assert (q >= np.maximum(1 - p / n, 1 / (1 + trace / (lambda1 * t * n))) * (1 - 1e-12)).all()
    # lowest action among a wide sample of other values
    for factor in np.exp(np.linspace(-20, 20, 41)):
        other = effective_action(spectrum, q * factor, *grid)
        assert (other >= solution.action - 1e-12 * np.abs(solution.action)).all()


@pytest.mark.parametrize("dataset", [gaussian_dataset(2, 3), _duplicated(5), _orthogonal_labels(2)])
def test_fifty_digits(dataset):
    dense = DenseTheory(dataset, "erf")
    spectrum = build_spectrum(dataset, "erf", 1.0)
    for t in (1e-8, 1e-2, 1e6):
        for n in (1, 1e7):
            solution = solve_order_parameter(spectrum, points(t, n, 0.7))
            exact = dense.order_parameter(solution.order_parameter[0], t, n, 0.7)
            assert float(abs(solution.order_parameter[0] / exact - 1)) < 2e-13
            action = dense.action(exact, mp.mpf(t), mp.mpf(n), mp.mpf(0.7))
            assert float(abs(solution.action[0] / action - 1)) < 1e-13


def test_labels_without_energy_in_the_kernel_leave_the_convex_part():
    """Zero labels and labels orthogonal to the kernel give the same Q: no data term depends on Q."""
    orthogonal = _orthogonal_labels()
    zero = Dataset(orthogonal.x_train, np.zeros(8), orthogonal.x_test, orthogonal.y_test)
    grid = points([1e-6, 1e-2, 1.0], 5, 1.0)
    a, b = (
        solve_order_parameter(build_spectrum(d, "erf", 1.0), grid).order_parameter for d in (orthogonal, zero)
    )
    np.testing.assert_allclose(a, b, rtol=1e-12)
