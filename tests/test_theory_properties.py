"""Bounds, limits and exact symmetries of the theory, for arbitrary small data sets."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from proplim.datasets import Dataset
from proplim.theory import solve_grid

SETTINGS = settings(max_examples=25, deadline=None, derandomize=True)
datasets = st.builds(
    lambda p, n0, seed, scale, duplicate: _dataset(p, n0, seed, scale, duplicate),
    st.integers(2, 10),
    st.integers(1, 8),
    st.integers(0, 1000),
    st.floats(0.1, 5.0),
    st.booleans(),
)
points = st.fixed_dictionaries(
    {
        "temperature": st.floats(-6, 4).map(lambda e: 10.0**e),
        "width": st.integers(1, 500),
        "lambda0": st.floats(-1, 1).map(lambda e: 10.0**e),
        "lambda1": st.floats(-2, 2).map(lambda e: 10.0**e),
    }
)
activations = st.sampled_from(["erf", "linear"])
SPLIT = ("mse", "bias_sq", "predictive_variance", "centroid_distance_sq", "gyration_radius_sq")
SCALAR = (
    "order_parameter",
    "readout_variance",
    "signal_variance",
    "readout_signal_covariance",
    "free_energy",
)


def _dataset(p, n0, seed, scale, duplicate) -> Dataset:
    rng = np.random.default_rng(seed)
    x = scale * rng.standard_normal((p + 6, n0))
    y = np.where(np.arange(p + 6) % 2, 1.0, -1.0)
    if duplicate:
        x[p - 1] = x[0]
    return Dataset(x[:p], y[:p], x[p:], y[p:])


def solve(dataset, activation, point):
    return solve_grid(
        dataset, activation, **point, approximations=["infinite_width", "proportional"]
    ).squeeze()


def assert_close(a, b, names, rtol):
    for name in names:
        scale = np.abs(a[name]).max()
        np.testing.assert_allclose(a[name], b[name], rtol=rtol, atol=rtol * float(scale), err_msg=name)


@SETTINGS
@given(dataset=datasets, activation=activations, point=points)
def test_bounds(dataset, activation, point):
    grid = solve(dataset, activation, point)
    assert (grid.converged == 1).all()
    for name in SPLIT:
        assert (grid[name] >= 0).all(), name
    assert ((grid.accuracy >= 0) & (grid.accuracy <= 1)).all()
    np.testing.assert_allclose(grid.mse, grid.bias_sq + grid.predictive_variance, rtol=1e-14)
    proportional, nngp = grid.sel(approximation="proportional"), grid.sel(approximation="infinite_width")
    # the minimum lies below the action at Q = 1, and no feature learning beats it
    assert proportional.free_energy <= nngp.free_energy * (1 + 1e-12 * np.sign(nngp.free_energy)) + 1e-14
    assert (grid.bias_sq.sel(split="train") <= (dataset.y_train**2).mean() * (1 + 1e-12)).all()
    assert (grid.predictive_variance.sel(split="train") <= point["temperature"] * (1 + 1e-12)).all()
    # Cauchy-Schwarz: <v (w.u)>^2 <= <v^2> <(w.u)^2>
    covariance, v, w = (
        proportional[n] for n in ("readout_signal_covariance", "readout_variance", "signal_variance")
    )
    assert covariance**2 <= v * w.fillna(0.0) * (1 + 1e-12)  # no direction, no covariance


@SETTINGS
@given(dataset=datasets, activation=activations, point=points, seed=st.integers(0, 99))
def test_permuted_and_rotated_inputs_give_the_same_theory(dataset, activation, point, seed):
    rng = np.random.default_rng(seed)
    order, order_test = rng.permutation(dataset.n_train), rng.permutation(dataset.n_test)
    rotation = np.linalg.qr(rng.standard_normal((dataset.n_features,) * 2))[0]
    turned = Dataset(
        dataset.x_train[order] @ rotation,
        dataset.y_train[order],
        dataset.x_test[order_test] @ rotation,
        dataset.y_test[order_test],
    )
    point = point | {
        "temperature": max(point["temperature"], 1e-3)
    }  # rounding of the kernel is felt at eps/T
    a, b = solve(dataset, activation, point), solve(turned, activation, point)
    assert_close(a, b, (*SPLIT, *SCALAR, "hidden_trace_shift"), 1e-7)


@SETTINGS
@given(dataset=datasets, activation=activations, point=points, log_c=st.floats(-4, 4))
def test_exact_scaling(dataset, activation, point, log_c):
    """(T, lambda1, y) -> (c T, lambda1/c, sqrt(c) y): f scales by sqrt(c), the hidden layer does not move."""
    c = 10.0**log_c
    root = np.sqrt(c)
    scaled = Dataset(dataset.x_train, root * dataset.y_train, dataset.x_test, root * dataset.y_test)
    moved = point | {"temperature": c * point["temperature"], "lambda1": point["lambda1"] / c}
    a, b = solve(dataset, activation, point), solve(scaled, activation, moved)
    factor = {
        "order_parameter": 1.0,
        "readout_variance": c,
        "readout_signal_covariance": root,
        "signal_variance": 1.0,
        "hidden_trace_shift": 1.0,
        "mse": c,
        "bias_sq": c,
        "predictive_variance": c,
        "centroid_distance_sq": 1.0,
        "gyration_radius_sq": 1.0,
        "mean_energy": c,
    }
    for name, f in factor.items():
        expected = f * a[name]
        scale = float(np.abs(expected).max())
        np.testing.assert_allclose(b[name], expected, rtol=1e-8, atol=1e-9 * scale, err_msg=name)
    shift = dataset.n_train * np.log(c) / (2 * point["width"])
    np.testing.assert_allclose(b.free_energy, a.free_energy + shift, rtol=1e-9, atol=1e-9 * (1 + abs(shift)))


@SETTINGS
@given(dataset=datasets, activation=activations, point=points)
def test_limits(dataset, activation, point):
    """T -> infinity is the prior, N -> infinity the Gaussian process; both up to the first correction."""
    k = (dataset.x_train**2).mean() / point["lambda0"]
    hot = point | {"temperature": 1e8 * max(k / point["lambda1"], 1.0)}
    grid = solve(dataset, activation, hot)
    a, b = grid.sel(approximation="proportional"), grid.sel(approximation="infinite_width")
    assert_close(b, a, ("order_parameter", "centroid_distance_sq", "gyration_radius_sq"), 1e-5)
    wide = point | {"width": 1e10, "temperature": max(point["temperature"], 1e-2)}
    grid = solve(dataset, activation, wide)
    a, b = grid.sel(approximation="proportional"), grid.sel(approximation="infinite_width")
    assert_close(b, a, (*SPLIT, "order_parameter", "readout_variance"), 1e-4)


@SETTINGS
@given(dataset=datasets, activation=activations, point=points)
def test_flipping_all_labels_changes_nothing_but_names(dataset, activation, point):
    flipped = Dataset(dataset.x_train, -dataset.y_train, dataset.x_test, -dataset.y_test)
    a, b = solve(dataset, activation, point), solve(flipped, activation, point)
    assert_close(
        a, b, ("order_parameter", "mse", "centroid_distance_sq", "accuracy", "signal_variance"), 1e-9
    )
    np.testing.assert_allclose(
        a.gyration_radius_sq.sel(label=[1, -1]).values, b.gyration_radius_sq.values, rtol=1e-9, atol=1e-13
    )


def test_scaling_of_the_exact_linear_network():
    dataset = _dataset(6, 4, 1, 1.0, False)
    c = 50.0
    scaled = Dataset(
        dataset.x_train, np.sqrt(c) * dataset.y_train, dataset.x_test, np.sqrt(c) * dataset.y_test
    )
    a = solve_grid(dataset, "linear", temperature=0.1, width=5, lambda1=2.0, approximations=["exact"])
    b = solve_grid(scaled, "linear", temperature=c * 0.1, width=5, lambda1=2.0 / c, approximations=["exact"])
    np.testing.assert_allclose(b.mse, c * a.mse, rtol=1e-11)
    np.testing.assert_allclose(b.order_parameter, a.order_parameter, rtol=1e-11)
