"""The theory of C outputs: against one output, against dense matrices, against the exact linear network."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.stats import ortho_group

from proplim.datasets import Dataset, load_dataset
from proplim.geometry import class_pairs, pair_contrasts
from proplim.kernels import feature_kernel, stein_coefficients
from proplim.theory import build_spectrum, solve_grid, solve_peaks
from proplim.theory.outputs._action import At, Problem
from proplim.theory.outputs._minimum import descend, find_minimum, is_stationary
from proplim.theory.outputs._proof import is_proved_global
from proplim.theory.outputs._solve import problem_at

GRID = {"temperature": [0.03, 0.3, 3.0], "width": [20, 45, 90], "lambda1": [0.7], "peaks": False}
P = 45


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("digits", P, classes=(3, 8, 5), n_test=30)


def with_targets(data: Dataset, transform: np.ndarray, **keys) -> Dataset:
    """The same inputs and classes with other targets."""
    keys = {"class_train": data.class_train, "class_test": data.class_test, "classes": data.classes, **keys}
    return Dataset(data.x_train, data.y_train @ transform, data.x_test, data.y_test @ transform, **keys)


def differences(one: xr.Dataset, other: xr.Dataset, names) -> dict[str, float]:
    """Largest difference of variables relative to their size."""
    return {
        n: float(np.nanmax(np.abs(one[n].values - other[n].values)) / np.nanmax(np.abs(one[n].values)))
        for n in names
    }


@pytest.mark.parametrize("activation", ["erf", "linear"])
def test_two_outputs_are_the_theory_of_one_along_their_difference(activation):
    """Centred targets of two classes live along (1, -1)/sqrt(2), labels y/sqrt(2); across it there are none."""
    one = load_dataset("digits", 60, classes=(3, 8), n_test=40)
    train, test = (np.stack([y < 0, y > 0], 1) - 0.5 for y in (one.y_train, one.y_test))
    two = solve_grid(Dataset(one.x_train, train, one.x_test, test), activation, **GRID)

    def along(scale: float) -> xr.Dataset:
        data = Dataset(one.x_train, scale * one.y_train, one.x_test, scale * one.y_test)
        return solve_grid(data, activation, **GRID)

    signal, silent = along(np.sqrt(0.5)), along(1e-200)
    prior = signal.sel(approximation="infinite_width")
    assert two["converged"].all()
    eigenvalues = np.linalg.eigvalsh(two["readout_covariance"].values) * 0.7
    expected = np.sort(np.stack([signal["order_parameter"], silent["order_parameter"]], -1), -1)
    np.testing.assert_allclose(eigenvalues, expected, rtol=1e-12)
    for name in ("centroid_distance_sq", "gyration_radius_sq"):
        found = two[name].squeeze("pair", drop=True) if "pair" in two[name].dims else two[name]
        shifts = (signal[name] - prior[name]).values + (silent[name] - prior[name]).values
        np.testing.assert_allclose(found - prior[name].values, shifts, atol=1e-12)
        assert np.abs(shifts).max() > 1e-3, "there is something to agree about"
    for name in ("mse", "bias_sq", "predictive_variance"):  # means over the outputs too
        np.testing.assert_allclose(two[name], 0.5 * (signal[name].values + silent[name].values), rtol=1e-12)
    for name in (
        "free_energy",
        "mean_energy",
        "free_energy_temperature_derivative",
        "mean_energy_temperature_derivative",
    ):
        np.testing.assert_allclose(two[name], signal[name].values + silent[name].values, rtol=1e-11)
    np.testing.assert_array_equal(two["accuracy"], signal["accuracy"].values)
    covariance = two["readout_signal_covariance"].values
    np.testing.assert_allclose(covariance[..., 0], covariance[..., 1], rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(
        covariance[..., 0] * np.sqrt(2.0), signal["readout_signal_covariance"].values, rtol=1e-10
    )


def test_turned_outputs_turn_the_order_parameter_and_leave_the_features_alone(digits):
    turn = ortho_group.rvs(3, random_state=np.random.default_rng(0))
    straight = solve_grid(digits, "erf", **GRID)
    turned = solve_grid(with_targets(digits, turn), "erf", **GRID)
    expected = np.einsum("ac,...ab,bd->...cd", turn, straight["readout_covariance"].values, turn)
    np.testing.assert_allclose(turned["readout_covariance"], expected, atol=1e-12)
    same = (
        "order_parameter", "free_energy", "readout_variance", "centroid_distance_sq", "gyration_radius_sq",
        "mse", "bias_sq", "predictive_variance", "mean_energy", "mean_energy_temperature_derivative",
    )  # fmt: skip
    assert max(differences(straight, turned, same).values()) < 1e-11


def test_permuted_classes_permute_everything(digits):
    order = [2, 0, 1]
    inverse = np.argsort(order)
    names = tuple(digits.classes[k] for k in order)
    permuted = with_targets(
        digits,
        np.eye(3)[:, order],
        classes=names,
        class_train=inverse[digits.class_train],
        class_test=inverse[digits.class_test],
    )
    one, other = (solve_grid(d, "erf", **GRID) for d in (digits, permuted))
    assert other["label"].values.tolist() == list(names)
    assert other["pair"].values.tolist() == ["5-3", "5-8", "3-8"]
    for name in ("accuracy", "mse", "free_energy"):
        np.testing.assert_allclose(one[name], other[name], rtol=1e-12)
    for name in ("signal_variance", "readout_signal_covariance"):
        np.testing.assert_allclose(one[name].isel(output=order).values, other[name].values, rtol=1e-9)
    radius = one["gyration_radius_sq"].sel(label=list(names))
    np.testing.assert_allclose(radius.values, other["gyration_radius_sq"].values, rtol=1e-12)
    for pair, same in (("3-8", "3-8"), ("3-5", "5-3"), ("8-5", "5-8")):
        np.testing.assert_allclose(
            one["centroid_distance_sq"].sel(pair=pair).values,
            other["centroid_distance_sq"].sel(pair=same).values,
            rtol=1e-12,
        )


def test_the_formulas_are_those_of_the_full_covariance(digits):
    """Equations 10.1 and 10.2 with matrices of P C rows, written down as they stand."""
    lambda0, lambda1, temperature, width = 1.3, 0.7, 0.2, 30.0
    c = 3
    grid = solve_grid(
        digits, "erf", temperature=temperature, width=width, lambda0=lambda0, lambda1=lambda1,
        approximations=["proportional"], peaks=False,
    ).squeeze()  # fmt: skip
    q = grid["readout_covariance"].values * lambda1
    both = np.concatenate([digits.x_train, digits.x_test])
    kernel = feature_kernel("erf", both, both, lambda0)
    train = kernel[:P, :P]
    y = digits.y_train.T.ravel()  # outputs one after the other
    sigma = temperature * np.eye(P * c) + np.kron(q, train) / lambda1
    inverse = np.linalg.inv(sigma)
    a = (inverse @ y).reshape(c, P)
    action = np.trace(q) - np.linalg.slogdet(q)[1] + (np.linalg.slogdet(sigma)[1] + y @ inverse @ y) / width
    np.testing.assert_allclose(grid["free_energy"], action / 2, rtol=1e-12)
    mean = (kernel[:, :P] @ a.T @ q) / lambda1
    variance = np.empty((len(both), c))
    for k in range(c):
        cross = np.kron(q[k][None], kernel[:, :P]) / lambda1
        variance[:, k] = q[k, k] * np.diag(kernel) / lambda1 - ((cross @ inverse) * cross).sum(1)
    blocks = (np.outer(a.ravel(), a.ravel()) - inverse).reshape(c, P, c, P)
    shift = np.einsum("cd,cmdn->mn", q, blocks)
    posterior = kernel + kernel[:, :P] @ shift @ kernel[:P] / (lambda1 * width)
    for split, part, targets, numbers, weights in (
        ("train", slice(0, P), digits.y_train, digits.class_train, digits.weights_train),
        ("test", slice(P, None), digits.y_test, digits.class_test, digits.weights_test),
    ):
        here = grid.sel(split=split)
        np.testing.assert_allclose(here["bias_sq"], ((mean[part] - targets) ** 2).mean(), rtol=1e-9)
        np.testing.assert_allclose(here["predictive_variance"], variance[part].mean(), rtol=1e-9)
        assert here["accuracy"] == (mean[part].argmax(1) == numbers).mean()
        g = posterior[part, part]
        cosine = g / np.sqrt(np.outer(np.diag(g), np.diag(g)))
        for k, d in enumerate(pair_contrasts(weights)):
            np.testing.assert_allclose(here["centroid_distance_sq"][k], d @ g @ d, rtol=1e-9)
            np.testing.assert_allclose(here["normalized_centroid_distance_sq"][k], d @ cosine @ d, rtol=1e-9)
        for k, u in enumerate(weights):
            np.testing.assert_allclose(
                here["normalized_gyration_radius_sq"][k], 1.0 - u @ cosine @ u, rtol=1e-9
            )
            np.testing.assert_allclose(here["gyration_radius_sq"][k], u @ np.diag(g) - u @ g @ u, rtol=1e-9)
    b = digits.x_train.T * stein_coefficients("erf", digits.x_train, lambda0)
    directions = (b @ a.T) / np.linalg.norm(b @ a.T, axis=0)
    covariance = (q @ a @ b.T @ directions) / (lambda1 * np.sqrt(width))
    np.testing.assert_allclose(grid["readout_signal_covariance"], np.diag(covariance), rtol=1e-9)
    weights_second = np.eye(len(b)) / lambda0 + b @ shift @ b.T / (lambda1 * width)
    expected = np.einsum("ac,ab,bc->c", directions, weights_second, directions)
    np.testing.assert_allclose(grid["signal_variance"], expected, rtol=1e-9)


@pytest.mark.parametrize("width", [15.0, 60.0])
def test_gradient_hessian_and_response_are_derivatives_of_the_action(digits, width):
    spectrum = build_spectrum(digits, "erf", 1.0)
    problem = problem_at(spectrum, 0.1, width, 1.4)
    rng = np.random.default_rng(2)
    at = At(problem, np.array([0.4, 1.1, 2.5]), ortho_group.rvs(3, random_state=rng))
    direction = rng.standard_normal((3, 3))
    direction = direction + direction.T
    vector, step = problem.as_vector(direction), 1e-4
    up, down = (at.moved(sign * step * direction).action for sign in (1, -1))
    assert (up - down) / (2 * step) == pytest.approx((at.gradient * direction).sum(), rel=1e-6)
    assert (up - 2 * at.action + down) / step**2 == pytest.approx(vector @ at.hessian @ vector, rel=1e-5)
    np.testing.assert_array_equal(problem.as_matrix(vector).round(12), direction.round(12))

    def solved(temperature: float) -> np.ndarray:
        found = descend(At.isotropic(problem_at(spectrum, temperature, width, 1.4), 1.0))
        return (found.basis * found.eigenvalues) @ found.basis.T

    here = descend(At.isotropic(problem, 1.0))
    root = here.basis * np.sqrt(here.eigenvalues)
    h = 1e-5
    change = (solved(0.1 * np.exp(h)) - solved(0.1 * np.exp(-h))) / (2 * h)
    np.testing.assert_allclose(root @ here.response @ root.T, change, atol=1e-7)


def test_energies_are_derivatives_of_the_free_energy(digits):
    h = 1e-4
    for width in (20, 90):
        t = 0.2 * np.exp(h * np.array([-1, 0, 1]))
        grid = solve_grid(digits, "erf", temperature=t, width=width, peaks=False).squeeze()
        span = t[2] - t[0]
        slope = (grid["free_energy"][:, 2] - grid["free_energy"][:, 0]) / span
        np.testing.assert_allclose(grid["free_energy_temperature_derivative"][:, 1], slope, rtol=1e-6)
        slope = (grid["mean_energy"][:, 2] - grid["mean_energy"][:, 0]) / span
        np.testing.assert_allclose(grid["mean_energy_temperature_derivative"][:, 1], slope, rtol=1e-6)
        expected = 3 * P / (2 * width) * grid["mse"].sel(split="train")
        np.testing.assert_allclose(grid["mean_energy"], expected, rtol=1e-12)


def test_a_minimum_is_proved_global_or_refused():
    """Twenty modes without labels and one with: two minima of which the lower changes with the energy of the labels."""
    couplings = np.array([1e-3, *[1.0] * 20])

    def problem(energy: float) -> Problem:
        labels = np.zeros((21, 2))
        labels[0] = np.sqrt(energy) * np.array([0.6, 0.8])
        return Problem(couplings, labels, 0.0, 0, 1e-4, 10.0)

    proved, seen = 0, set()
    for energy in np.linspace(0.002, 0.1, 50):
        p = problem(energy)
        starts = [
            descend(At(p, np.array(w), np.array([[0.6, -0.8], [0.8, 0.6]])))
            for w in ([1e-3, 1e-3], [50, 1e-3])
        ]
        assert all(is_stationary(s) for s in starts)
        lowest = min(starts, key=lambda s: s.action)
        for start in starts:
            if start.action > lowest.action + 1e-3:
                assert not is_proved_global(start), "a minimum that is not the lowest is never proved global"
                seen.add(bool(start is starts[0]))
        found = find_minimum(p)
        assert found.converged
        assert found.at.action <= lowest.action + 1e-9
        proved += found.proved
    assert seen == {False, True}, "either minimum is the lower one somewhere"
    assert proved == 50


def test_no_random_order_parameter_is_lower_than_a_proved_minimum(digits):
    rng = np.random.default_rng(5)
    spectrum = build_spectrum(digits, "erf", 1.0)
    for width in (5.0, 15.0, 60.0):
        for temperature in (1e-3, 0.1):
            found = find_minimum(problem_at(spectrum, temperature, width, 1.0))
            assert found.proved
            for _ in range(50):
                values = np.exp(2.0 * rng.standard_normal(3))
                other = At(found.at.problem, values, ortho_group.rvs(3, random_state=rng))
                assert other.action > found.at.action
                assert descend(other).action >= found.at.action - 1e-9


def test_numbers_do_not_depend_on_the_grid(digits):
    many = solve_grid(
        digits, "erf", **(GRID | {"width": [20, 33, 45, 90], "temperature": np.logspace(-2, 1, 40)})
    )
    one = solve_grid(
        digits, "erf", **(GRID | {"width": [33], "temperature": many["temperature"].values[17:18]})
    )
    for name in one.data_vars:
        part = many[name].sel(width=[33])
        part = part.isel(temperature=[17]) if "temperature" in part.dims else part
        np.testing.assert_array_equal(part.values, one[name].values, err_msg=str(name))


def exact_linear(problem: Problem, draws: int) -> np.ndarray:
    """<Q> of the linear network of finite width by importance sampling around the minimum of the action.

    With Q = lambda1 V^T V/N the posterior is exp(-N S(Q)/2) in the invariant measure dQ/|Q|^((C+1)/2), which is
    prod_{i<j} sinh(d)/d dE, d = (l_i - l_j)/2, in the logarithm E with eigenvalues l.
    """
    at = descend(At.isotropic(problem, 1.0))
    n, c = problem.width, problem.n_outputs
    root = np.linalg.cholesky(np.linalg.inv(0.5 * n * at.hessian))
    rng = np.random.default_rng(0)
    logs, values = np.empty(draws), np.empty((draws, c, c))
    for k in range(draws):
        z = rng.standard_normal(len(root))
        change = problem.as_matrix(root @ z)
        levels = np.linalg.eigvalsh(change)
        half = np.array([(levels[j] - levels[i]) / 2 for i, j in class_pairs(c)])
        moved = at.moved(change)
        logs[k] = -0.5 * n * (moved.action - at.action) + 0.5 * z @ z + np.log(np.sinh(half) / half).sum()
        values[k] = (moved.basis * moved.eigenvalues) @ moved.basis.T
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    assert 1 / (weights**2).sum() > 0.4 * draws
    return np.einsum("k,kab->ab", weights, values)


def test_the_linear_network_of_growing_width_agrees_with_exact_averages():
    """The saddle errs by O(1/N): at fixed P/N its error falls as the width grows, to 1 % at N = 160.

    4000 draws know <Q> to 0.3 % or better; errors of 4 % at N = 20 are far above that.
    """
    errors = []
    for width in (20, 160):
        data = load_dataset("teacher", width, n_features=8, n_classes=3, n_test=0)
        problem = problem_at(build_spectrum(data, "linear", 1.0), 0.5, float(width), 1.0)
        at = descend(At.isotropic(problem, 1.0))
        saddle = (at.basis * at.eigenvalues) @ at.basis.T
        exact = exact_linear(problem, 4000)
        errors.append(np.linalg.norm(saddle - exact) / np.linalg.norm(exact))
    assert errors[1] < 0.02
    assert errors[1] < 0.35 * errors[0]


def test_the_peak_of_every_pair_is_the_maximum_of_its_curve(digits):
    peaks = solve_peaks(digits, "erf", width=45)["peak_temperature"].squeeze()
    for split in ("train", "test"):
        for pair in peaks["pair"].values:
            top = float(peaks.sel(split=split, pair=pair))
            t = top * np.exp(np.array([-1.0, -0.05, 0.0, 0.05, 1.0]))
            grid = solve_grid(
                digits, "erf", temperature=t, width=45, approximations=["proportional"], peaks=False
            ).squeeze()
            curve = grid["centroid_distance_sq"].sel(split=split, pair=pair).values
            assert curve.argmax() == 2


def test_theories_of_one_output_say_so(digits):
    from proplim.config import ConfigErrors, parse_config
    from proplim.theory import APPROXIMATIONS

    grid = {"n_train": [12], "width": [6], "temperature": [1.0]}
    study = {
        "study": "s",
        "datasets": [{"name": "d", "source": "digits", "classes": [3, 8, 5]}],
        "grid": grid,
    }
    for name, activation in (("cavity", "erf"), ("condensed", "erf"), ("proportional", "relu")):
        with pytest.raises(ConfigErrors) as caught:
            parse_config(
                study | {"theory": {"approximations": [name]}, "grid": grid | {"activation": [activation]}}
            )
        (line,) = caught.value.problems
        assert "three and more classes" in line
    for activation in ("erf", "relu"):
        parse_config(
            study
            | {"theory": {"approximations": ["infinite_width"]}, "grid": grid | {"activation": [activation]}}
        )
    found = solve_grid(digits, "relu", approximations=["infinite_width", "proportional"], **GRID)
    assert found["converged"].sel(approximation="infinite_width").all()
    assert not found["converged"].sel(approximation="proportional").any()
    assert APPROXIMATIONS.get("proportional")
