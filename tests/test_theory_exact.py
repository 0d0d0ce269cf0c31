"""The finite linear network: one-dimensional quadrature against brute force and against exact sampling."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import gaussian_dataset
from proplim.datasets import Dataset
from proplim.geometry import centroid_distance_sq, class_weights, gyration_radius_sq
from proplim.theory import signal_direction, solve_grid


def brute_force(dataset, t, n, lambda0, lambda1, nodes=4_001):
    """All observables by a fine sum over u = ln s with dense matrices (docs/theory.md, section 7)."""
    x, xt, n0, p = dataset.x_train, dataset.x_test, dataset.n_features, dataset.n_train
    y = dataset.y_train
    c, ct, ctt = (a @ b.T / (lambda0 * n0) for a, b in ((x, x), (xt, x), (xt, xt)))
    kappa, vectors = np.linalg.eigh(c)
    yt = vectors.T @ y
    u = np.linspace(-80.0 / n - 25.0, 6.0, nodes)
    s = np.exp(u)
    ridge = t + s[:, None] * np.maximum(kappa, 0.0)
    log_p = 0.5 * n * u - 0.5 * lambda1 * n * s - 0.5 * np.log(ridge).sum(1) - 0.5 * (yt**2 / ridge).sum(1)
    keep = log_p > log_p.max() - 45
    weights = np.exp(log_p[keep] - log_p.max())
    weights /= weights.sum()
    b = x.T / (lambda0 * np.sqrt(n0))
    direction = signal_direction(dataset, "linear", width=n, temperature=t, lambda0=lambda0, lambda1=lambda1)
    sums: dict = {}

    def add(name, value):
        sums[name] = sums.get(name, 0.0) + value

    for w, si in zip(weights, s[keep], strict=True):
        inverse = np.linalg.inv(t * np.eye(p) + si * c)
        a = inverse @ y
        m = np.outer(a, a) - inverse
        add("readout_variance", w * si)
        add("hidden_trace_shift", w * si / n * np.trace(b @ m @ b.T))
        add("signal_variance", w * (1 / lambda0 + si / n * direction @ b @ m @ b.T @ direction))
        add("readout_signal_covariance", w * si / np.sqrt(n) * direction @ b @ a)
        for split, k, kk, labels in (("train", c, c, y), ("test", ct, ctt, dataset.y_test)):
            mean = si * k @ a
            var = np.diag(si * kk - si**2 * k @ inverse @ k.T)
            add(("mean", split), w * mean)
            add(("mse", split), w * ((labels - mean) ** 2 + var).mean())
            add(("kernel", split), w * (kk + si / n * k @ m @ k.T))
    return sums


@pytest.mark.parametrize("n_features", [3, 12])
@pytest.mark.parametrize(("t", "n", "lambda1"), [(0.1, 5, 0.5), (1.0, 1, 1.0), (0.02, 40, 2.0)])
def test_every_variable_against_brute_force(n_features, t, n, lambda1):
    dataset = gaussian_dataset(8, n_features, 6, seed=4)
    grid = solve_grid(
        dataset, "linear", temperature=t, width=n, lambda0=0.7, lambda1=lambda1, approximations=["exact"]
    ).squeeze()
    assert grid.converged == 1
    sums = brute_force(dataset, t, n, 0.7, lambda1)
    for name in ("readout_variance", "hidden_trace_shift", "signal_variance", "readout_signal_covariance"):
        np.testing.assert_allclose(grid[name], sums[name], rtol=1e-8, atol=1e-10)
    assert grid.order_parameter == pytest.approx(lambda1 * sums["readout_variance"], rel=1e-9)
    for split, labels in (("train", dataset.y_train), ("test", dataset.y_test)):
        at, kernel, weights = grid.sel(split=split), sums["kernel", split], class_weights(labels)
        bias_sq = ((sums["mean", split] - labels) ** 2).mean()
        assert at.mse == pytest.approx(sums["mse", split], rel=1e-8)
        assert at.bias_sq == pytest.approx(bias_sq, rel=1e-8)
        assert at.predictive_variance == pytest.approx(sums["mse", split] - bias_sq, rel=1e-7)
        assert at.accuracy == (sums["mean", split] * labels > 0).mean()
        assert at.centroid_distance_sq == pytest.approx(centroid_distance_sq(kernel, weights), rel=1e-8)
        radii = gyration_radius_sq(np.diag(kernel), kernel, weights)
        np.testing.assert_allclose(at.gyration_radius_sq, radii, rtol=1e-8)


def test_free_energy_is_the_evidence():
    """exp(-N (F - 1/2)), less (2 pi)^(-P/2), is the evidence: N(y; 0, T + s C) averaged over the prior."""
    dataset, t, n, l1 = gaussian_dataset(4, 3, seed=2), 0.3, 6, 1.5
    grid = solve_grid(
        dataset, "linear", temperature=t, width=n, lambda1=l1, approximations=["exact"]
    ).squeeze()
    rng = np.random.default_rng(5)
    s = rng.chisquare(n, 200_000) / (n * l1)
    c = dataset.x_train @ dataset.x_train.T / 3
    kappa, vectors = np.linalg.eigh(c)
    ridge = t + s[:, None] * np.maximum(kappa, 0.0)
    likelihood = np.exp(-0.5 * ((vectors.T @ dataset.y_train) ** 2 / ridge + np.log(ridge)).sum(1))
    value, error = likelihood.mean(), likelihood.std() / np.sqrt(len(s))
    stated = np.exp(-n * (float(grid.free_energy) - 0.5))
    assert abs(stated - value) < 5 * error  # false-alarm rate 6e-7
    assert error < 0.01 * value


def test_wide_networks_approach_the_proportional_theory():
    dataset = gaussian_dataset(8, 5, 6)
    grid = solve_grid(
        dataset,
        "linear",
        temperature=[1e-3, 1.0],
        width=[100, 10_000],
        approximations=["proportional", "exact"],
    ).squeeze()
    for name in ("order_parameter", "free_energy", "mse", "centroid_distance_sq", "gyration_radius_sq"):
        gap = np.abs(grid[name].sel(approximation="exact") - grid[name].sel(approximation="proportional"))
        near, far = gap.sel(width=10_000).max(), gap.sel(width=100).max()
        assert 0 < near < far / 20, name
    # at N = 1e7 the two agree to the order 1/N, every variable
    huge = solve_grid(dataset, "linear", temperature=1.0, width=1e7, approximations=["proportional", "exact"])
    for name in (
        "mse",
        "bias_sq",
        "predictive_variance",
        "signal_variance",
        "mean_energy",
        "gyration_radius_sq",
    ):
        a, b = (huge[name].sel(approximation=x).values for x in ("exact", "proportional"))
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize(
    "dataset",
    [
        gaussian_dataset(2, 3),
        gaussian_dataset(20, 4),
        Dataset(gaussian_dataset(6, 4).x_train, np.zeros(6), np.zeros((0, 4)), np.zeros(0)),
        Dataset(np.zeros((4, 3)), [1, -1, 1, -1], np.ones((2, 3)), [1, -1]),
    ],
    ids=["P = 2", "rank-deficient", "zero labels", "zero inputs"],
)
def test_extremes_converge(dataset):
    grid = solve_grid(
        dataset,
        "linear",
        temperature=[1e-8, 1e-3, 1e6],
        width=[1, 2, 1e3, 1e7],
        lambda1=[1e-3, 1e3],
        approximations=["exact"],
    )
    assert (grid.converged == 1).all()
    assert (grid.order_parameter > 0).all()
    assert (grid.mse.sel(split="train") >= 0).all()
    assert (grid.gyration_radius_sq.sel(split="train").fillna(0) >= 0).all()


def test_without_data_the_prior_comes_back():
    """Zero inputs leave s at its prior: <s> = 1/lambda1, and F has no data beyond the constant ln T terms."""
    dataset = Dataset(np.zeros((2, 3)), [1.0, -1.0], np.zeros((0, 3)), np.zeros(0))
    grid = solve_grid(dataset, "linear", temperature=0.5, width=[1, 7], lambda1=4.0, approximations=["exact"])
    np.testing.assert_allclose(grid.readout_variance.values.ravel(), 0.25, rtol=1e-11)
    expected = 0.5 + (2 * np.log(0.5) + 2 / 0.5) / (2 * grid.width)
    np.testing.assert_allclose(grid.free_energy.values.ravel(), expected, rtol=1e-11)
