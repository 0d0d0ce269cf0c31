"""Gradient flow: against exact solutions, an ODE library, and what must not change it."""

from __future__ import annotations

import diffrax
import numpy as np
import pytest

from conftest import gaussian_dataset
from proplim._jax import configure_jax, jax, jnp
from proplim.activations import get_activation
from proplim.datasets import Dataset
from proplim.dynamics import DynamicsSettings, train
from proplim.dynamics._network import Parameters, build_frame, draw_start
from proplim.dynamics._tangent_kernel import tangent_kernel
from proplim.dynamics.optimizers import descent_direction, gradient_flow, origin
from proplim.dynamics.optimizers.gradient_descent import GradientDescent
from proplim.dynamics.optimizers.gradient_flow import GradientFlow, GradientFlowSettings
from proplim.schema import Point
from test_dynamics import plain_start

configure_jax()
FLOW = {"optimizers": ("gradient_flow",), "replicas": 1}


def prepared(data: Dataset, width: int, seed: int = 3):
    frame = build_frame(data, np.zeros(data.n_features), 1.0, kind="inputs")
    point = Point.of({"width": width, "lambda0": 1.0, "lambda1": 1.0})
    return frame.problem, draw_start(frame, data, np.zeros(data.n_features), point, seed=seed)


def flow(activation: str, tolerance: float) -> GradientFlow:
    return GradientFlow(get_activation(activation), settings=GradientFlowSettings(flow_tolerance=tolerance))


def outputs(problem, start, path, activation: str) -> np.ndarray:
    sigma = get_activation(activation).function
    width = start.readout.shape[0]
    return np.array(
        [
            sigma(start.h_train + problem.train.forward @ np.asarray(p.hidden)) @ np.asarray(p.readout)
            for p in path
        ]
    ) / np.sqrt(width)


def exact_linear_mse(x: np.ndarray, y: float, w: np.ndarray, v: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(y - f)^2 of a linear network on the inputs x and -x with the labels y and -y.

    With c = |x|^2/N0, h = w x/sqrt(N0) and p, m = sqrt(c) v +- h, the flow is dp/dE = p, dm/dE = -m in the time
    dE = 2 sqrt(c/N) (y - f) dt, and f = A e^(2E) - B e^(-2E). So z = e^(2E) obeys
    dz/dt = 4 sqrt(c/N) (y z - A z^2 + B), a Riccati equation between the roots of its right-hand side.
    """
    width = len(v)
    c = x @ x / len(x)
    h = w @ x / np.sqrt(len(x))
    a = ((np.sqrt(c) * v + h) ** 2).sum() / (4.0 * np.sqrt(c * width))
    b = ((np.sqrt(c) * v - h) ** 2).sum() / (4.0 * np.sqrt(c * width))
    root = np.sqrt(y**2 + 4.0 * a * b)
    upper, lower = (y + root) / (2.0 * a), (y - root) / (2.0 * a)
    # (z - lower)/(z - upper) decays at the rate 4 sqrt(c/N) a (upper - lower)
    ratio = (1.0 - upper) / (1.0 - lower) * np.exp(-4.0 * np.sqrt(c / width) * root * times)
    z = (upper - lower * ratio) / (1.0 - ratio)
    return (y - a * z + b / z) ** 2


def test_the_linear_network_is_exact() -> None:
    """Error at every recorded time within the tolerance, and falling with it as the method's order says.

    The error estimate is of order h^3 and the error of order h^4 in a step, h^3 in all: a tolerance 1000 times
    smaller makes the error more than 300 times smaller.
    """
    x = gaussian_dataset(2, 6).x_train[0]
    data = Dataset(np.stack([-x, x]), np.array([-1.0, 1.0]), np.zeros((0, 6)), np.zeros(0))
    w, v = plain_start(data, "linear", 5)
    worst = []
    for tolerance in (1e-2, 1e-5):
        settings = DynamicsSettings(t_max=30.0, flow_tolerance=tolerance, **FLOW)
        got = train(data, "linear", width=5, settings=settings)
        exact = exact_linear_mse(x, 1.0, w, v, settings.times)
        assert exact[0] > 0.1
        assert exact[-1] < 1e-6
        worst.append(np.abs(np.sqrt(got.mse.sel(split="train").values[0, 0]) - np.sqrt(exact)).max())
    assert worst[0] < 1e-2
    assert worst[1] < worst[0] / 300


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_train", "n_features", "width", "activation"),
    [(8, 12, 6, "erf"), (20, 4, 6, "erf"), (20, 4, 2, "tanh")],
    ids=["dual", "row space", "more inputs than parameters"],
)
def test_an_ode_library_finds_the_same(n_train: int, n_features: int, width: int, activation: str) -> None:
    """Dormand and Prince's 8(7) method of diffrax at 1e-9: to a few tolerances, which are those of a step."""
    data = gaussian_dataset(n_train, n_features)
    problem, start = prepared(data, width)
    times = np.geomspace(0.01, 30.0, 9)
    sigma = get_activation(activation)

    def field(_, parameters, __):
        return descent_direction(problem, start, parameters, sigma)

    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(field),
        diffrax.Dopri8(),
        t0=0.0,
        t1=times[-1],
        dt0=None,
        y0=origin(problem, start),
        saveat=diffrax.SaveAt(ts=jnp.asarray(times)),
        stepsize_controller=diffrax.PIDController(rtol=1e-9, atol=1e-9),
        max_steps=100_000,
    )
    path = [Parameters(h, v) for h, v in zip(*solution.ys, strict=True)]
    reference = outputs(problem, start, path, activation)
    assert np.abs(reference - reference[0]).max() > 0.3
    for tolerance, allowed in ((1e-3, 5e-3), (1e-6, 1e-5)):
        found = flow(activation, tolerance).trajectory(problem, start, times, 0.0, 0)
        error = np.sqrt(np.mean((outputs(problem, start, found, activation) - reference) ** 2, axis=1))
        assert error.max() < allowed


def test_gradient_descent_of_a_small_step_is_the_flow_across_kinks() -> None:
    """ReLU units that switch on and off on the way; steps of 1e-4 of the stability limit, to 2 % of a label."""
    problem, start = prepared(gaussian_dataset(6, 9), 8)
    times = np.geomspace(0.1, 10.0, 5)
    descent = GradientDescent(get_activation("relu"))
    step = 1e-4 * descent.step_limit(problem, start)
    slow = list(descent.trajectory(problem, start, times, step, 0))
    fast = list(flow("relu", 1e-3).trajectory(problem, start, times, 0.0, 0))
    active = [start.h_train + problem.train.forward @ np.asarray(p.hidden) > 0 for p in (slow[0], slow[-1])]
    assert (active[0] != active[1]).sum() >= 3
    gap = outputs(problem, start, slow, "relu") - outputs(problem, start, fast, "relu")
    assert np.abs(gap).max() < 0.02


def test_the_first_step_is_that_of_the_frozen_kernel() -> None:
    """At a time far below the first step, f moves by Theta (y - f) t."""
    data = gaussian_dataset(8, 5)
    problem, start = prepared(data, 6)
    erf = get_activation("erf")
    theta = np.asarray(tangent_kernel(problem.gram, start.h_train, start.readout, erf))
    (after,) = flow("erf", 1e-3).trajectory(problem, start, np.array([1e-7]), 0.0, 0)
    before, now = outputs(problem, start, [origin(problem, start), after], "erf")
    np.testing.assert_allclose((now - before) / 1e-7, theta @ (data.y_train - before), rtol=1e-5)


def test_a_trajectory_does_not_depend_on_when_it_is_observed() -> None:
    """To the bit: recorded times within steps, and a later end."""
    problem, start = prepared(gaussian_dataset(10, 7), 6)
    few = list(flow("erf", 1e-3).trajectory(problem, start, np.array([0.3, 5.0]), 0.0, 0))
    times = np.array([0.01, 0.3, 1.0, 5.0, 80.0])
    many = list(flow("erf", 1e-3).trajectory(problem, start, times, 0.0, 0))
    for one, other in zip(few, (many[1], many[3]), strict=True):
        np.testing.assert_array_equal(np.asarray(one.hidden), np.asarray(other.hidden))
        np.testing.assert_array_equal(np.asarray(one.readout), np.asarray(other.readout))


@pytest.mark.slow
def test_replicas_side_by_side_are_those_one_after_another() -> None:
    data = gaussian_dataset(12, 7)
    settings = DynamicsSettings(
        optimizers=("gradient_flow", "gradient_descent"), replicas=3, t_max=3.0, n_times=7
    )
    alone = train(data, "erf", width=6, settings=settings)
    assert train(data, "erf", width=6, settings=settings, threads=3).identical(alone)


def test_training_stops_at_an_error() -> None:
    """From the first recorded time below it the network is left as it is; earlier times are untouched."""
    data = gaussian_dataset(8, 5)
    whole = train(data, "erf", width=6, settings=DynamicsSettings(t_max=30.0, **FLOW))
    error = whole.mse.sel(split="train").values[0, 0]
    below = int(np.argmax(error < 0.3))
    assert 5 < below < 38
    cut = train(data, "erf", width=6, settings=DynamicsSettings(t_max=30.0, stop_error=0.3, **FLOW))
    assert cut.isel(time=slice(0, below + 1))["mse"].identical(whole.isel(time=slice(0, below + 1))["mse"])
    for name in ("mse", "centroid_distance_sq", "readout_variance"):
        last = cut[name].isel(time=slice(below, None))
        assert (last == last.isel(time=0)).all(), name
    assert (cut.converged == 1).all()


def test_too_many_steps_end_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradient_flow, "MAX_STEPS", 5)
    got = train(gaussian_dataset(8, 5), "erf", width=6, settings=DynamicsSettings(**FLOW))
    assert (got.converged == 0).all()
    assert np.isnan(got.mse).all()
    assert "5 steps of the gradient flow" in got.attrs["reason"]


def test_the_phi_functions_are_their_series_and_their_integrals() -> None:
    """phi_k(-x) = integral over s in (0, 1) of exp(-(1 - s) x) s^(k-1)/(k-1)!, by Gauss-Legendre quadrature."""
    x = np.concatenate([[0.0], np.geomspace(1e-8, 30.0, 60), [1e3, 1e8]])
    nodes, weights = np.polynomial.legendre.leggauss(60)
    s, w = 0.5 * (nodes + 1.0), 0.5 * weights
    factorial = 1.0
    for k in range(1, 5):
        got = np.asarray(jax.jit(gradient_flow._phi, static_argnums=0)(k, jnp.asarray(x)))
        exact = (np.exp(-(1.0 - s) * x[:61, None]) * s ** (k - 1) / factorial) @ w
        np.testing.assert_allclose(got[:61], exact, rtol=2e-12 if k < 4 else 2e-11)
        assert (np.diff(got) < 0).all()
        assert got[-1] == pytest.approx(1e-8 / factorial, rel=1e-6)
        factorial *= k
