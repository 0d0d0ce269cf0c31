"""Every optimizer against what it has to do, and the step against its stability limit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from conftest import gaussian_dataset
from proplim._jax import jnp
from proplim.activations import get_activation
from proplim.dynamics import DynamicsSettings, train
from proplim.dynamics._network import build_frame, draw_start
from proplim.dynamics._observables import observe
from proplim.dynamics._replicas import run_replica
from proplim.dynamics._tangent_kernel import largest_eigenvalue, tangent_kernel
from proplim.dynamics.optimizers import OPTIMIZERS, descent_direction, origin
from proplim.dynamics.optimizers.gradient_descent import GradientDescent
from proplim.dynamics.optimizers.gradient_flow import GradientFlow, GradientFlowSettings
from proplim.dynamics.optimizers.langevin import Langevin, LangevinSettings
from proplim.dynamics.optimizers.sgd import SgdSettings, StochasticGradientDescent
from proplim.errors import InvalidInput
from proplim.schema import Point
from test_dynamics import plain_gradient, plain_output, plain_start

ERF, LINEAR = get_activation("erf"), get_activation("linear")
POINT = Point.of({"activation": "erf", "width": 6, "lambda0": 1.0, "lambda1": 1.0})


def prepared(n_train: int = 8, n_features: int = 5, width: int = 6, kind: str = "inputs", seed: int = 3):
    data = gaussian_dataset(n_train, n_features)
    frame = build_frame(data, np.zeros(n_features), 1.0, kind=kind)
    start = draw_start(frame, data, np.zeros(n_features), replace(POINT, width=width), seed=seed)
    return data, frame.problem, start


def output(problem, start, parameters, activation=ERF) -> np.ndarray:
    return np.asarray(observe(problem, start, parameters, activation)["output_train"])


def test_tangent_kernel_is_the_squared_jacobian() -> None:
    data, problem, start = prepared()
    jacobian = []
    w, v = np.random.default_rng(3).standard_normal((6, 5)), start.readout
    for x in data.x_train:
        # The gradient of (y - f)^2 / 2 with y = f - 1 is that of f.
        f = plain_output(w, v, x[None], "erf")
        gw, gv = plain_gradient(w, v, x[None], f - 1.0, "erf")
        jacobian.append(np.concatenate([gw.ravel(), gv]))
    expected = np.array(jacobian) @ np.array(jacobian).T
    kernel = np.asarray(tangent_kernel(problem.gram, start.h_train, start.readout, ERF))
    np.testing.assert_allclose(kernel, expected, rtol=1e-12, atol=1e-14)
    assert float(largest_eigenvalue(jnp.asarray(kernel))) == pytest.approx(
        np.linalg.eigvalsh(expected)[-1], rel=0.03
    )


def test_largest_eigenvalue_is_tight_without_a_spectral_gap() -> None:
    spectrum = np.linspace(0.0, 1.0, 300)
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((300, 300)))[0]
    found = float(largest_eigenvalue(jnp.asarray((basis * spectrum) @ basis.T)))
    assert 0.95 < found <= 1.0 + 1e-12


def test_full_frame_and_row_space_follow_the_same_path() -> None:
    paths = []
    for kind in ("inputs", "full"):
        _, problem, start = prepared(kind=kind)
        path = list(GradientDescent(ERF).trajectory(problem, start, np.array([1.0, 5.0]), 0.05, 0))
        paths.append([output(problem, start, p) for p in path])
    np.testing.assert_allclose(paths[0], paths[1], rtol=1e-10)


@pytest.mark.slow
def test_gradient_descent_approaches_the_flow_at_first_order() -> None:
    """Halving the step halves the distance to the flow, within 5 %."""
    _, problem, start = prepared()
    times = np.array([0.8, 3.2])
    tight = GradientFlow(ERF, settings=GradientFlowSettings(flow_tolerance=1e-7))
    flow = [output(problem, start, p) for p in tight.trajectory(problem, start, times, 0.0, 0)]
    gaps = []
    for rate in (0.02, 0.01, 0.005):
        path = GradientDescent(ERF).trajectory(problem, start, times, rate, 0)
        gaps.append([np.linalg.norm(output(problem, start, p) - f) for p, f in zip(path, flow, strict=True)])
    ratios = np.array(gaps[:-1]) / np.array(gaps[1:])
    np.testing.assert_allclose(ratios, 2.0, rtol=0.05)


def test_the_flow_keeps_what_gradient_flow_keeps() -> None:
    """|w_i|^2 - v_i^2 of a linear network is conserved; tightening the tolerance tightens it."""
    drift = []
    for tolerance in (1e-3, 1e-8):
        settings = DynamicsSettings(
            optimizers=("gradient_flow",),
            replicas=1,
            t_min=0.01,
            t_max=30.0,
            n_times=5,
            flow_tolerance=tolerance,
        )
        got = train(gaussian_dataset(8, 5), "linear", width=6, settings=settings)
        kept = (got.hidden_trace_shift - got.readout_variance).values.ravel()
        assert np.ptp(got.hidden_trace_shift.values) > 0.05
        assert (got.learning_rate == 0).all()
        drift.append(np.ptp(kept))
    assert drift[0] < 1e-2
    assert drift[1] < 1e-7


@pytest.mark.slow
def test_sgd_on_all_inputs_is_gradient_descent() -> None:
    data = gaussian_dataset(10, 6)
    settings = DynamicsSettings(
        optimizers=("gradient_descent", "sgd"),
        replicas=1,
        t_max=2.0,
        n_times=3,
        batch_size=1000,
        learning_rate=0.02,
    )
    got = train(data, "erf", width=5, settings=settings)
    for name in ("mse", "centroid_distance_sq", "readout_variance", "hidden_trace_shift"):
        np.testing.assert_allclose(got[name].isel(optimizer=0), got[name].isel(optimizer=1), rtol=1e-9)


@pytest.mark.parametrize(("n_train", "n_features"), [(6, 9), (12, 4)], ids=["dual", "row-space"])
def test_batches_of_a_pass_add_up_to_the_full_gradient(n_train: int, n_features: int) -> None:
    _, problem, start = prepared(n_train, n_features)
    sgd = StochasticGradientDescent(ERF, settings=SgdSettings(batch_size=3))
    here, state = origin(problem, start), sgd.init(problem, start, 5)
    order = np.asarray(state.order)
    assert sorted(order) == list(range(n_train))
    parts = [
        descent_direction(problem, start, here, ERF, jnp.asarray(order[k : k + 3]))
        for k in range(0, n_train, 3)
    ]
    full = descent_direction(problem, start, here, ERF)
    for name in ("hidden", "readout"):
        mean = np.mean([getattr(p, name) for p in parts], axis=0)
        np.testing.assert_allclose(mean, getattr(full, name), rtol=1e-10, atol=1e-13)
    for _ in range(n_train // 3):
        state = sgd.step(problem, start, state, jnp.asarray(0.0))
    assert sorted(np.asarray(state.order)) == list(range(n_train))
    assert not np.array_equal(state.order, order)
    assert int(state.batch) == 0


def test_adam_is_adam() -> None:
    """Twenty steps against the update of Kingma and Ba (2014), algorithm 1, on w and v."""
    data, rate = gaussian_dataset(8, 5), 0.01
    settings = DynamicsSettings(
        optimizers=("adam",), replicas=1, t_min=0.1, t_max=0.2, n_times=2, adam_learning_rate=rate
    )
    got = train(data, "erf", width=4, settings=settings).isel(optimizer=0, replica=0, time=1)
    theta = list(plain_start(data, "erf", 4))
    first, second = [np.zeros_like(p) for p in theta], [np.zeros_like(p) for p in theta]
    for k in range(1, 21):
        gradient = plain_gradient(*theta, data.x_train, data.y_train, "erf")
        for i, g in enumerate(gradient):
            first[i] = 0.9 * first[i] + 0.1 * g
            second[i] = 0.999 * second[i] + 0.001 * g**2
            step = first[i] / (1 - 0.9**k) / (np.sqrt(second[i] / (1 - 0.999**k)) + 1e-8)
            theta[i] = theta[i] - rate * step
    f = plain_output(*theta, data.x_train, "erf")
    assert float(got.mse.sel(split="train")) == pytest.approx(np.mean((data.y_train - f) ** 2), rel=1e-9)
    assert float(got.readout_variance) == pytest.approx(np.mean(theta[1] ** 2), rel=1e-9)
    assert float(got.hidden_trace_shift) == pytest.approx(np.mean((theta[0] ** 2).sum(1)) - 5, rel=1e-9)


def langevin_means(step: float, n_steps: int, seed: int, chains: int = 64) -> dict[str, np.ndarray]:
    """Averages over the last nine tenths of each of several independent runs, every step counted."""
    import jax

    _, problem, start = prepared(4, 3, 5, kind="rotated")
    langevin = Langevin(LINEAR, settings=LangevinSettings(langevin_temperature=0.5))

    def body(carry, k):
        state, total = carry
        state = langevin.step(problem, start, state, jnp.asarray(step))
        v = state.readout
        h = start.h_train + problem.train.forward @ state.inside
        gradient = -(5**-0.5) * h.T @ (problem.train.y - 5**-0.5 * h @ v) + 0.5 * v
        seen = jnp.array([v @ v / 5, gradient @ gradient, v @ gradient])
        return (state, total + jnp.where(k >= n_steps // 10, seen, 0.0)), None

    @jax.jit
    @jax.vmap
    def run(key):
        state = langevin.init(problem, start, 0)._replace(key=key)
        return jax.lax.scan(body, (state, jnp.zeros(3)), jnp.arange(n_steps))[0][1]

    keys = jax.random.split(jax.random.key(seed), chains)
    means = np.asarray(run(keys)) / (n_steps - n_steps // 10)
    return dict(zip(("v2", "g2", "vg"), means.T, strict=True))


def z_score(samples: np.ndarray) -> float:
    """Mean over independent runs in units of its standard error."""
    return samples.mean() / (samples.std(ddof=1) / np.sqrt(len(samples)))


def exact_readout_variance() -> float:
    """<v^2> = E[s] of the linear network with P = 4, N = 5, T = 0.5 (docs/theory.md, section 7)."""
    data, _, _ = prepared(4, 3, 5)
    eigenvalues, vectors = np.linalg.eigh(data.x_train @ data.x_train.T / 3)
    s = np.linspace(1e-5, 15.0, 60001)
    spread = 0.5 + np.outer(s, eigenvalues)
    log_p = (
        1.5 * np.log(s) - 2.5 * s - 0.5 * (np.log(spread) + (vectors.T @ data.y_train) ** 2 / spread).sum(1)
    )
    weight = np.exp(log_p - log_p.max())
    return float((s * weight).sum() / weight.sum())


@pytest.mark.slow
def test_langevin_samples_the_posterior_up_to_its_known_bias() -> None:
    """<v^2> of a linear network extrapolated to a vanishing step, and the exact identity of a finite one.

    Every |z| < 4 over 64 runs (t distribution: false alarms 1 in 5000). In a stationary state
    E[v . g] = T N + (eta / 2) E|g|^2 whatever the step; without the second term the test has to notice.
    """
    coarse, fine = langevin_means(0.2, 5_000, 1), langevin_means(0.1, 10_000, 2)
    for step, got in ((0.2, coarse), (0.1, fine)):
        assert abs(z_score(got["vg"] - 0.5 * 5 - 0.5 * step * got["g2"])) < 4
        assert z_score(got["vg"] - 0.5 * 5) > 6
    exact = exact_readout_variance()
    extrapolated = 2.0 * fine["v2"] - coarse["v2"]
    assert abs(z_score(extrapolated - exact)) < 4
    assert extrapolated.std() / 8 < 0.02 * exact


def langevin_observed(kind: str, times: np.ndarray, chains: int, step: float) -> list[dict[str, np.ndarray]]:
    """Observables of independent chains at the given times, from one start, 3 inputs in 6 dimensions."""
    import jax

    _, problem, start = prepared(3, 6, 4, kind=kind)
    langevin = Langevin(ERF, settings=LangevinSettings(langevin_temperature=0.4), lambda0=1.5, lambda1=0.8)

    @jax.jit
    @jax.vmap
    def run(seed):
        seen = []
        for parameters in langevin_trajectory(langevin, problem, start, times, step, seed):
            got = observe(problem, start, parameters, ERF)
            names = ("mse", "centroid_distance_sq", "hidden_trace_shift", "readout_variance")
            seen.append({name: got[name] for name in names})
        return seen

    return jax.tree.map(np.asarray, run(jnp.arange(chains)))


def langevin_trajectory(langevin, problem, start, times, step, seed):
    """What `trajectory` does, in a form that can be mapped over seeds."""
    import jax

    state, done = langevin.init(problem, start, seed), 0
    for time in times:
        count = round(time / step)
        state = jax.lax.fori_loop(
            0, count - done, lambda _, s: langevin.step(problem, start, s, jnp.asarray(step)), state
        )
        state, done = langevin.settle(start, state, step), count
        yield langevin.parameters(state)


@pytest.mark.slow
def test_langevin_in_rotated_coordinates_has_the_law_of_the_full_space() -> None:
    """Means and second moments, also between two times, on inputs that the training set does not span.

    4000 chains each: |z| < 4.5 for 24 comparisons (false alarms 1 in 6000).
    """
    times, step = np.array([0.4, 2.0]), 0.1
    rotated = langevin_observed("rotated", times, 4000, step)
    full = langevin_observed("full", times, 4000, step)
    joint = []
    for found in (rotated, full):
        scalars = {f"{n}{i}": v for i, row in enumerate(found) for n, v in row.items()}
        columns = [v.reshape(4000, -1) for v in scalars.values()]
        table = np.concatenate(columns, axis=1)
        shift = np.stack([row["hidden_trace_shift"] for row in found], axis=1)
        centred = shift - shift.mean(0)
        joint.append(np.concatenate([table, centred**2, centred[:, :1] * centred[:, 1:]], axis=1))
    a, b = joint
    error = np.sqrt((a.var(0) + b.var(0)) / 4000)
    used = error > 0
    assert used.sum() >= 15
    z = (a.mean(0) - b.mean(0))[used] / error[used]
    assert np.abs(z).max() < 4.5


def test_langevin_outside_the_span_forgets_and_heats_as_step_by_step() -> None:
    """Mean rho^n w0 and variance by recursion; |z| < 4.5 over 20000 numbers (false alarms 1 in 70000)."""
    _, problem, start = prepared(2, 102, 200, kind="rotated")
    langevin = Langevin(ERF, settings=LangevinSettings(langevin_temperature=0.7), lambda0=2.0)
    step, steps = 0.3, 7
    state = langevin.init(problem, start, 5)._replace(behind=jnp.int64(steps))
    assert state.outside.shape == (100, 200)
    after = langevin.settle(start, state, step)
    assert int(after.behind) == 0
    kept, variance = 1.0, 0.0
    for _ in range(steps):
        kept, variance = (
            kept * (1 - step * 0.7 * 2.0),
            variance * (1 - step * 0.7 * 2.0) ** 2 + 2 * 0.7 * step,
        )
    w0 = np.asarray(start.overlap)[2:]
    noise = (w0 + np.asarray(after.outside) - kept * w0) / np.sqrt(variance)
    assert abs(noise.mean()) * np.sqrt(noise.size) < 4.5
    assert abs((noise**2).mean() - 1.0) * np.sqrt(noise.size / 2) < 4.5
    again = langevin.settle(start, after, step)
    np.testing.assert_allclose(np.asarray(again.outside), np.asarray(after.outside), rtol=0, atol=1e-15)


def test_langevin_between_two_steps_is_seen_where_it_was() -> None:
    """An average of two steps would be colder than either."""
    _, problem, start = prepared(6, 5, 4, kind="rotated")
    langevin = Langevin(ERF, settings=LangevinSettings(langevin_temperature=0.3))
    at, between = langevin.trajectory(problem, start, np.array([0.3, 0.35]), 0.1, 7)
    np.testing.assert_array_equal(np.asarray(at.readout), np.asarray(between.readout))
    np.testing.assert_array_equal(np.asarray(at.hidden), np.asarray(between.hidden))


def test_a_fixed_step_above_the_limit_is_refused() -> None:
    data = gaussian_dataset(8, 5)
    limit = 2.0 / float(
        train(
            data, "erf", width=6, settings=DynamicsSettings(replicas=1, t_min=1e-9, t_max=1e-8, n_times=2)
        ).tangent_kernel_max[0, 0, 0]
    )
    short = {"optimizers": ("gradient_descent",), "replicas": 1, "t_min": 0.1, "t_max": 0.2, "n_times": 2}
    with pytest.raises(InvalidInput, match="largest eigenvalue of the tangent kernel") as error:
        train(data, "erf", width=6, settings=DynamicsSettings(learning_rate=1.05 * limit, **short))
    assert error.value.key == "learning_rate"
    train(data, "erf", width=6, settings=DynamicsSettings(learning_rate=0.9 * limit, **short))


@dataclass(frozen=True)
class _Reckless(GradientDescent):
    """Gradient descent that takes four times the stable step for granted."""

    name: ClassVar[str] = "reckless"

    def automatic_step(self, problem, start) -> float:
        return 4.0 * self.step_limit(problem, start)


@dataclass(frozen=True)
class _Blind(_Reckless):
    """The same with a fixed step, and without knowing the limit."""

    def step_limit(self, problem, start) -> float:
        return np.inf


def test_an_automatic_step_is_halved_until_it_is_stable() -> None:
    _, problem, start = prepared()
    optimizer = _Reckless(ERF)
    record = run_replica(optimizer, problem, start, np.array([0.5, 5.0, 50.0]), 0, observe)
    assert (record["converged"] == 1).all()
    rate = record["learning_rate"][0]
    halvings = np.log2(optimizer.automatic_step(problem, start) / rate)
    assert halvings == int(halvings) >= 2
    assert (rate * record["tangent_kernel_max"] < 2.0).all()
    assert record["mse"][-1, 0] < record["mse"][0, 0]


def test_a_replica_that_diverges_is_marked() -> None:
    _, problem, start = prepared()
    step = 40 * GradientDescent(ERF).step_limit(problem, start)
    record = run_replica(_Blind(ERF, step), problem, start, np.array([1.0, 1e3, 1e4]), 0, observe)
    assert (record["converged"] == 0).all()
    assert np.isnan(record["mse"]).all()
    assert np.isnan(record["centroid_distance_sq"]).all()


@pytest.mark.parametrize("name", ["sgd", "langevin"])
def test_automatic_steps_are_below_the_limit(name: str) -> None:
    _, problem, start = prepared(kind="rotated" if name == "langevin" else "inputs")
    optimizer = OPTIMIZERS.get(name).build(ERF, DynamicsSettings(batch_size=3), POINT)
    largest = np.linalg.eigvalsh(np.asarray(tangent_kernel(problem.gram, start.h_train, start.readout, ERF)))[
        -1
    ]
    assert optimizer.automatic_step(problem, start) < optimizer.step_limit(problem, start) <= 2.06 / largest
