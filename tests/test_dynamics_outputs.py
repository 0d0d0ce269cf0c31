"""Training with C outputs: gradients against differentiation, the flow against small steps, relations to one output."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import gaussian_dataset, outputs_dataset
from proplim._jax import configure_jax, jax, jnp
from proplim.activations import get_activation
from proplim.config import ConfigErrors, parse_config
from proplim.datasets import load_dataset
from proplim.dynamics import DynamicsSettings, train, train_with_stragglers
from proplim.dynamics._ensemble import ensemble_statistics
from proplim.dynamics._network import Start, build_frame, descent_direction, draw_start, origin
from proplim.dynamics._tangent_kernel import largest_eigenvalue, tangent_kernel
from proplim.dynamics.optimizers.gradient_descent import GradientDescent
from proplim.dynamics.optimizers.gradient_flow import GradientFlow, GradientFlowSettings
from proplim.dynamics.optimizers.sgd import SgdSettings, StochasticGradientDescent
from proplim.errors import InvalidInput
from proplim.observables import variables_of
from proplim.schema import Point
from proplim.seeds import derive_seed

configure_jax()
OUTPUTS = 3
ERF = get_activation("erf")
OPTIMIZERS = ("gradient_flow", "gradient_descent", "sgd", "adam", "langevin")


def prepared(data, width: int, kind="inputs"):
    signal = np.zeros((data.n_features, data.n_outputs))
    frame = build_frame(data, signal, 1.0, kind=kind)
    point = Point.of({"width": width, "lambda0": 1.0, "lambda1": 1.0})
    return frame.problem, draw_start(frame, data, signal, point, seed=3)


def plain_loss(parameters, x, y):
    w, v = parameters
    features = ERF.jax_function(x @ w.T / np.sqrt(x.shape[1]))
    return 0.5 * ((y - features @ v / np.sqrt(v.shape[0])) ** 2).sum()


def plain_start(data, width: int):
    """Weights that replica 0 starts from, written down again."""
    point = {"dataset": data.identity, "activation": "erf", "width": width, "lambda0": 1.0, "lambda1": 1.0}
    rng = np.random.default_rng(derive_seed("dynamics", {**point, "replica": 0}))
    return rng.standard_normal((width, data.n_features)), rng.standard_normal((width, data.n_outputs))


@pytest.mark.parametrize(("n_train", "n_features"), [(6, 9), (20, 5)], ids=["dual", "row-space"])
def test_training_is_that_of_a_plain_loop(n_train, n_features):
    """40 steps of JAX's own gradient in all weights, in both frames; every observable written down again."""
    data, rate, width = outputs_dataset(n_train, n_features), 0.02, 7
    settings = DynamicsSettings(
        optimizers=("gradient_descent",), replicas=1, t_min=0.8, t_max=0.81, n_times=2, learning_rate=rate
    )
    now = train(data, "erf", width=width, settings=settings).isel(optimizer=0, replica=0, time=0)
    w, v = plain_start(data, width)
    for _ in range(40):
        gradient = jax.grad(plain_loss)((w, v), data.x_train, data.y_train)
        w, v = w - rate * np.asarray(gradient[0]), v - rate * np.asarray(gradient[1])
    np.testing.assert_allclose(now.readout_covariance, v.T @ v / width, rtol=1e-9, atol=1e-12)
    assert float(now.readout_variance) == pytest.approx((v**2).mean(), rel=1e-10)
    assert float(now.hidden_trace_shift) == pytest.approx((w**2).sum(1).mean() - n_features, rel=1e-9)
    for split in ("train", "test"):
        x, y = getattr(data, f"x_{split}"), getattr(data, f"y_{split}")
        numbers, there = getattr(data, f"class_{split}"), now.sel(split=split)
        features = np.asarray(ERF.function(x @ w.T / np.sqrt(n_features)))
        f = features @ v / np.sqrt(width)
        assert float(there.mse) == pytest.approx(((y - f) ** 2).mean(), rel=1e-10)
        assert float(there.accuracy) == pytest.approx((f.argmax(1) == numbers).mean())
        centroids = np.array([features[numbers == c].mean(0) for c in range(OUTPUTS)])
        for pair, (s, t) in enumerate(((0, 1), (0, 2), (1, 2))):
            distance = ((centroids[t] - centroids[s]) ** 2).mean()
            assert float(there.centroid_distance_sq.isel(pair=pair)) == pytest.approx(distance, rel=1e-10)
        for c in range(OUTPUTS):
            error = ((y - f)[numbers == c] ** 2).mean()
            assert float(there.mse_label.isel(label=c)) == pytest.approx(error, rel=1e-9)


def test_the_tangent_kernel_is_the_squared_jacobian():
    """All outputs, those of an input side by side; and Theta moves f as the gradients of the weights do."""
    data, width = outputs_dataset(6, 4), 5
    problem, start = prepared(data, width)
    w = np.random.default_rng(3).standard_normal((width, 4))  # what the start was made from
    parameters = (w, start.readout)

    def output(parameters):
        w, v = parameters
        return (ERF.jax_function(data.x_train @ w.T / 2.0) @ v / np.sqrt(width)).reshape(-1)

    jacobian = jax.jacobian(output)(parameters)
    flat = np.concatenate([np.asarray(j).reshape(6 * OUTPUTS, -1) for j in jacobian], axis=1)
    kernel = np.asarray(tangent_kernel(problem.gram, start.h_train, start.readout, ERF))
    np.testing.assert_allclose(kernel, flat @ flat.T, rtol=1e-11, atol=1e-13)
    assert float(largest_eigenvalue(kernel)) == pytest.approx(np.linalg.eigvalsh(kernel)[-1], rel=0.03)


@pytest.mark.parametrize("n_features", [9, 3], ids=["dual", "row-space"])
def test_batches_add_up_to_the_full_gradient(n_features):
    problem, start = prepared(outputs_dataset(6, n_features), 5)
    here = origin(problem, start)._replace(hidden=0.1 * np.ones_like(origin(problem, start).hidden))
    whole = descent_direction(problem, start, here, ERF)
    parts = [descent_direction(problem, start, here, ERF, jnp.array(b)) for b in ([0, 3], [1, 5], [2, 4])]
    for name in ("hidden", "readout"):
        mean = sum(getattr(p, name) for p in parts) / 3.0
        np.testing.assert_allclose(mean, getattr(whole, name), atol=1e-13)


def test_the_limit_of_sgd_is_that_of_the_batches():
    """With batches of all inputs it is that of gradient descent; with small ones it is smaller."""
    problem, start = prepared(outputs_dataset(12, 5), 6)
    limits = [
        StochasticGradientDescent(ERF, settings=SgdSettings(batch_size=b)).step_limit(problem, start)
        for b in (12, 3)
    ]
    assert limits[0] == pytest.approx(GradientDescent(ERF).step_limit(problem, start), rel=1e-6)
    assert limits[1] < limits[0]


def test_the_flow_is_the_limit_of_small_steps():
    """Extrapolated in the step from two trainings; the error of the flow is its tolerance, 1e-5 of the targets."""
    data = load_dataset("digits", classes=(3, 8, 5), n_train=24, n_test=9)
    common = {"replicas": 1, "t_min": 0.1, "t_max": 10.0, "n_times": 4}
    rate = 2e-3
    one, two = (
        train(
            data, "erf", width=12,
            settings=DynamicsSettings(optimizers=("gradient_descent",), learning_rate=r, **common),
        )
        for r in (rate, rate / 2)
    )  # fmt: skip
    settings = DynamicsSettings(optimizers=("gradient_flow",), flow_tolerance=1e-5, **common)
    flow = train(data, "erf", width=12, settings=settings)
    for name in ("centroid_distance_sq", "mse", "readout_covariance"):
        expected = 2.0 * two[name].values - one[name].values
        scale = np.abs(expected).max()
        np.testing.assert_allclose(flow[name].values, expected, atol=3e-5 * scale, err_msg=name)
        assert np.abs(one[name].values - expected).max() > 6e-5 * scale, "the steps are seen"


def test_a_turned_network_of_one_output_trains_as_that_one_output():
    """Targets (y, 0) and readouts (v, 0), turned by a rotation of the outputs: the second output never moves."""
    data = gaussian_dataset(8, 5)
    problem, _ = prepared(outputs_dataset(8, 5, n_outputs=2), 6)
    frame = build_frame(data, np.zeros(5), 1.0, kind="inputs")
    point = Point.of({"width": 6, "lambda0": 1.0, "lambda1": 1.0})
    start_one = draw_start(frame, data, np.zeros(5), point, seed=3)
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((2, 2)))[0]

    def widened(values):
        return np.stack([values, np.zeros_like(values)], axis=-1) @ turn

    own = frame.problem
    turned = problem._replace(
        train=own.train._replace(y=widened(own.train.y)), test=own.test, backward=own.backward, gram=own.gram
    )
    start_two = Start(*start_one)._replace(readout=widened(start_one.readout))
    times = np.array([0.1, 1.0, 10.0])
    for optimizer in (
        GradientFlow(ERF, settings=GradientFlowSettings(flow_tolerance=1e-4)), GradientDescent(ERF),
    ):  # fmt: skip
        rate = 0.01 if isinstance(optimizer, GradientDescent) else 0.0
        alone = list(optimizer.trajectory(own, start_one, times, rate, 0))
        both = list(optimizer.trajectory(turned, start_two, times, rate, 0))
        tolerance = 1e-10 if rate else 1e-3  # the flow's error is spread over twice as many outputs
        for one, two in zip(alone, both, strict=True):
            np.testing.assert_allclose(two.hidden, one.hidden, atol=tolerance)
            np.testing.assert_allclose(two.readout, widened(np.asarray(one.readout)), atol=tolerance)


@pytest.mark.slow
def test_every_optimizer_fills_the_cube():
    data = load_dataset("digits", classes=(3, 8, 5), n_train=24, n_test=9)
    settings = DynamicsSettings(optimizers=OPTIMIZERS, replicas=2, t_max=5.0, n_times=4)
    found = train(data, "erf", width=10, settings=settings)
    assert found.attrs == {}
    dims = {v.name: v.dims for v in variables_of("dynamics", OUTPUTS)}
    assert set(found.data_vars) == set(dims)
    for name, own in dims.items():
        assert found[name].dims[-len(own) :] == own or not own
        if not name.startswith("inversion"):
            assert np.isfinite(found[name]).sum() > 0, name
    assert found.inversion_time.dims == ("optimizer", "replica", "split", "pair")
    late = found.isel(time=-1).mse.sel(split="train")
    early = found.isel(time=0).mse.sel(split="train")
    assert (late < early).all()


def test_bias_variance_and_accuracy_are_those_of_the_outputs():
    rng = np.random.default_rng(0)
    numbers = np.arange(6) % OUTPUTS
    y = np.eye(OUTPUTS)[numbers]
    output = y + 0.5 * rng.standard_normal((1, 4, 2, 6, OUTPUTS))
    output[0, 3, 1] = np.nan
    found = ensemble_statistics(output, y, numbers)
    total = ((y - output) ** 2).mean((-2, -1))
    np.testing.assert_allclose(found["bias_sq"] + found["predictive_variance"], total, rtol=1e-12)
    assert np.isnan(found["bias_sq"][0, 3, 1])
    mean = output[0, :3, 1].mean(0)
    assert found["accuracy"][0, 0, 1] == (mean.argmax(-1) == numbers).mean()
    assert np.isnan(found["accuracy"][0, 3, 1])


def test_stragglers_are_of_two_classes():
    data = outputs_dataset(6, 4)
    with pytest.raises(InvalidInput, match="two classes"):
        train_with_stragglers(data, "erf", width=4)
    study = {
        "study": "s",
        "datasets": [{"name": "d", "source": "digits", "classes": [3, 8, 5], "n_test": 6}],
        "grid": {"n_train": [6], "width": [4], "temperature": [1.0]},
        "dynamics": {"stragglers": True},
    }
    with pytest.raises(ConfigErrors, match=r"dynamics\.stragglers"):
        parse_config(study)
    parse_config({**study, "dynamics": {"stragglers": True, "enabled": False}})
