"""Training dynamics: trajectories, observables, what a value may depend on."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from conftest import gaussian_dataset
from proplim.activations import get_activation
from proplim.datasets import Dataset
from proplim.dynamics import DynamicsSettings, train
from proplim.dynamics._ensemble import ensemble_statistics
from proplim.errors import InvalidInput
from proplim.geometry import class_weights
from proplim.observables import variables_of
from proplim.schema import Point
from proplim.seeds import derive_seed
from proplim.theory import signal_direction

SHORT = DynamicsSettings(replicas=2, t_min=0.01, t_max=3.0, n_times=7)


def plain_start(
    data: Dataset, activation: str, width: int, replica: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Weights that replica starts from, written down again: hidden (N, N0), readout (N,)."""
    point = {
        "dataset": data.identity,
        "activation": activation,
        "width": width,
        "lambda0": 1.0,
        "lambda1": 1.0,
    }
    rng = np.random.default_rng(derive_seed("dynamics", {**point, "replica": replica}))
    return rng.standard_normal((width, data.n_features)), rng.standard_normal(width)


def plain_output(w: np.ndarray, v: np.ndarray, x: np.ndarray, activation: str) -> np.ndarray:
    h = x @ w.T / np.sqrt(x.shape[1])
    return get_activation(activation).function(h) @ v / np.sqrt(len(v))


def plain_gradient(
    w: np.ndarray, v: np.ndarray, x: np.ndarray, y: np.ndarray, activation: str
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient of (1/2) sum (y - f)^2 over w and v, input by input."""
    sigma = get_activation(activation)
    gw, gv = np.zeros_like(w), np.zeros_like(v)
    for xi, yi in zip(x, y, strict=True):
        h = w @ xi / np.sqrt(len(xi))
        feature, slope = sigma.function(h), np.asarray(sigma.jax_derivative(h))
        error = feature @ v / np.sqrt(len(v)) - yi
        gv += error * feature / np.sqrt(len(v))
        gw += error * (v * slope)[:, None] * xi[None, :] / np.sqrt(len(v) * len(xi))
    return gw, gv


def plain_descent(
    data: Dataset, w: np.ndarray, v: np.ndarray, rate: float, steps: int, activation: str
) -> tuple[np.ndarray, np.ndarray]:
    for _ in range(steps):
        gw, gv = plain_gradient(w, v, data.x_train, data.y_train, activation)
        w, v = w - rate * gw, v - rate * gv
    return w, v


@pytest.mark.parametrize("activation", ["erf", "linear"])
@pytest.mark.parametrize(("n_train", "n_features"), [(6, 9), (20, 5)], ids=["dual", "row-space"])
def test_observables_are_those_of_a_plain_loop(n_train: int, n_features: int, activation: str) -> None:
    """Both frames, after 40 and 40.5 steps, against weights stepped one input at a time."""
    data, rate, width = gaussian_dataset(n_train, n_features), 0.02, 7
    settings = DynamicsSettings(
        optimizers=("gradient_descent",), replicas=1, t_min=0.8, t_max=0.81, n_times=2, learning_rate=rate
    )
    got = train(data, activation, width=width, settings=settings).isel(optimizer=0, replica=0)
    before = plain_descent(data, *plain_start(data, activation, width), rate, 40, activation)
    after = plain_descent(data, *before, rate, 1, activation)
    halfway = tuple(0.5 * (a + b) for a, b in zip(before, after, strict=True))
    u = signal_direction(data, activation, width=width, temperature=1e-3)
    for k, (w, v) in enumerate((before, halfway)):
        now = got.isel(time=k)
        expected = {
            "readout_variance": np.mean(v**2),
            "hidden_trace_shift": np.mean((w**2).sum(1)) - n_features,
            "signal_variance": np.mean((w @ u) ** 2),
            "readout_signal_covariance": np.mean(v * (w @ u)),
        }
        for name, value in expected.items():
            assert float(now[name]) == pytest.approx(value, rel=1e-10, abs=1e-12), name
        for split in ("train", "test"):
            x, y = getattr(data, f"x_{split}"), getattr(data, f"y_{split}")
            features = get_activation(activation).function(x @ w.T / np.sqrt(n_features))
            kernel, u_s = features @ features.T / width, class_weights(y)
            there, f = now.sel(split=split), features @ v / np.sqrt(width)
            difference = u_s[1] - u_s[0]
            assert float(there.centroid_distance_sq) == pytest.approx(
                difference @ kernel @ difference, rel=1e-10
            )
            cosine = kernel / np.sqrt(np.outer(np.diag(kernel), np.diag(kernel)))
            assert float(there.normalized_centroid_distance_sq) == pytest.approx(
                difference @ cosine @ difference, rel=1e-10
            )
            assert float(there.mse) == pytest.approx(np.mean((y - f) ** 2), rel=1e-10)
            assert float(there.accuracy) == np.mean(np.sign(f) == y)
            alignment = y @ kernel @ y / (y @ y * np.linalg.norm(kernel))
            assert float(there.kernel_alignment) == pytest.approx(alignment, rel=1e-10)
            for s, label in enumerate((-1, 1)):
                members = y == label
                radius = u_s[s] @ np.diag(kernel) - u_s[s] @ kernel @ u_s[s]
                assert float(there.gyration_radius_sq.sel(label=label)) == pytest.approx(radius, rel=1e-9)
                normalized = 1 - u_s[s] @ cosine @ u_s[s]
                got_radius = there.normalized_gyration_radius_sq.sel(label=label)
                assert float(got_radius) == pytest.approx(normalized, rel=1e-9)
                error = np.mean((y - f)[members] ** 2)
                assert float(there.mse_label.sel(label=label)) == pytest.approx(error, rel=1e-10)


def test_every_variable_of_the_cube_is_there() -> None:
    got = train(gaussian_dataset(8, 4), "erf", width=5, settings=SHORT)
    for variable in variables_of("dynamics"):
        own = ("optimizer", "replica", "time")
        dims = tuple(d for d in (*own, *variable.dims) if d not in variable.without)
        assert got[variable.name].dims == dims, variable.name
        assert got[variable.name].dtype == np.float64
        if not variable.name.startswith(("inversion", "step_fraction")):
            assert np.isfinite(got[variable.name]).all(), variable.name
    assert set(got.data_vars) == {v.name for v in variables_of("dynamics")}
    np.testing.assert_array_equal(got.time, SHORT.times)
    assert (got.converged == 1).all()


def test_no_test_inputs_gives_nan_there_and_numbers_on_the_training_inputs() -> None:
    data = gaussian_dataset(8, 4, n_test=0)
    got = train(data, "erf", width=5, settings=SHORT)
    for name in (
        "mse",
        "centroid_distance_sq",
        "gyration_radius_sq",
        "accuracy",
        "bias_sq",
        "kernel_alignment",
    ):
        assert np.isnan(got[name].sel(split="test")).all(), name
        assert np.isfinite(got[name].sel(split="train")).all(), name


@pytest.mark.slow
def test_a_replica_does_not_depend_on_the_others_or_on_what_else_runs() -> None:
    """To the bit: more replicas, more optimizers; bias, variance and accuracy belong to the ensemble."""
    data = gaussian_dataset(10, 6)
    few = train(data, "erf", width=6, settings=DynamicsSettings(replicas=1, t_min=0.01, t_max=3.0, n_times=7))
    many = train(
        data,
        "erf",
        width=6,
        settings=DynamicsSettings(
            replicas=3, t_min=0.01, t_max=3.0, n_times=7, optimizers=("sgd", "gradient_flow")
        ),
    )
    again = many.sel(optimizer=["gradient_flow"], replica=[0])
    shared = set(few.data_vars) - {"bias_sq", "predictive_variance", "accuracy"}
    xr.testing.assert_identical(few[sorted(shared)], again[sorted(shared)])
    assert not np.array_equal(many.mse.sel(replica=0), many.mse.sel(replica=1))


_HASH = """
import hashlib, os, sys
if sys.argv[2] == "one":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
sys.path.insert(0, sys.argv[1])
from conftest import gaussian_dataset
from proplim.dynamics import DynamicsSettings, train
data = gaussian_dataset(90, 70)
settings = DynamicsSettings(
    optimizers=("gradient_flow", "gradient_descent"), replicas=1, t_max=1.0, n_times=4
)
got = train(data, "erf", width=40, settings=settings)
print(hashlib.sha256(b"".join(got[n].values.tobytes() for n in sorted(got.data_vars))).hexdigest())
"""


@pytest.mark.slow
def test_values_do_not_depend_on_cores_or_threads() -> None:
    """To the bit: one core and one thread against all cores and as many threads as the libraries like."""
    digests = set()
    for cores, threads in (("one", "1"), ("all", "4")):
        environment = os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        run = subprocess.run(
            [sys.executable, "-c", _HASH, str(Path(__file__).parent), cores],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(run.stdout.strip())
    assert len(digests) == 1
    assert len(digests.pop()) == len(hashlib.sha256().hexdigest())


def test_wide_networks_follow_the_linearised_dynamics() -> None:
    """f_k = y + (1 - eta Theta)^k (f_0 - y) with the kernel at the start (arXiv:1902.06720).

    The distance is bounded by N^(-1/2); here it falls as fast as the kernel stops moving, like 1/N
    (arXiv:1909.11304): exponent within 0.15, averaged over 8 replicas.
    """
    from proplim.dynamics._network import build_frame, draw_start
    from proplim.dynamics._tangent_kernel import tangent_kernel
    from proplim.dynamics.optimizers.gradient_descent import GradientDescent

    data, rate, erf = gaussian_dataset(8, 10), 0.1, get_activation("erf")
    widths, distance = np.array([64, 1024]), []
    frame = build_frame(data, np.zeros(10), 1.0, kind="inputs")
    for width in widths:
        gaps = []
        for seed in range(8):
            point = Point.of({"width": int(width), "lambda0": 1.0, "lambda1": 1.0})
            start = draw_start(frame, data, np.zeros(10), point, seed=seed)
            theta = np.asarray(tangent_kernel(frame.problem.gram, start.h_train, start.readout, erf))
            f0 = erf.function(start.h_train) @ start.readout / np.sqrt(width)
            path = GradientDescent(erf).trajectory(frame.problem, start, rate * np.array([5, 40]), rate, 0)
            for steps, (hidden, readout) in zip((5, 40), path, strict=True):
                h = start.h_train + frame.problem.train.forward @ np.asarray(hidden)
                f = erf.function(h) @ np.asarray(readout) / np.sqrt(width)
                shrink = np.linalg.matrix_power(np.eye(8) - rate * theta, steps)
                gaps.append(np.sqrt(np.mean((f - data.y_train - shrink @ (f0 - data.y_train)) ** 2)))
        distance.append(np.mean(gaps))
    exponent = np.log(distance[1] / distance[0]) / np.log(widths[1] / widths[0])
    assert exponent == pytest.approx(-1.0, abs=0.15)
    assert distance[1] < 0.1 / np.sqrt(widths[1])


def test_starting_points_are_draws_of_the_prior() -> None:
    """Second moments of 2000 units against 1/lambda0 and 1/lambda1: |z| < 4, false alarms 1 in 8000."""
    from proplim.dynamics._network import build_frame, draw_start

    data, lambda0, lambda1, width = gaussian_dataset(6, 5), 2.0, 0.5, 2000
    signal = np.eye(5)[0]
    frame = build_frame(data, signal, lambda0, kind="inputs")
    point = Point.of({"width": width, "lambda0": lambda0, "lambda1": lambda1})
    start = draw_start(frame, data, signal, point, seed=1)
    for sample, variance in ((start.readout, 1 / lambda1), (start.signal, 1 / lambda0)):
        z = (np.mean(sample**2) - variance) / (variance * np.sqrt(2 / width))
        assert abs(z) < 4
    z = (np.mean(start.norm_sq) - 5 / lambda0) / (np.sqrt(2 * 5 / width) / lambda0)
    assert abs(z) < 4


def test_bias_and_variance_add_up_and_are_unbiased() -> None:
    """Three replicas of f ~ N(0.3, 0.25) on y = 1: bias^2 = 0.49, variance 0.25; |z| < 4 over 4000 inputs."""
    rng = np.random.default_rng(0)
    y = np.ones(4000)
    output = 0.3 + 0.5 * rng.standard_normal((1, 3, 1, 4000))
    got = ensemble_statistics(output, y)
    mse = ((y - output) ** 2).mean(-1)
    np.testing.assert_allclose(got["bias_sq"] + got["predictive_variance"], mse, rtol=1e-12)
    others = (output.sum(1, keepdims=True) - output) / 2
    for name, samples, exact in (
        ("bias_sq", (y - output) * (y - others), 0.49),
        ("predictive_variance", (y - output) * (others - output), 0.25),
    ):
        error = samples.std() / np.sqrt(4000)
        assert abs(got[name].mean() - exact) / error < 4
        # The plug-in estimate is off by variance / 3, which this test would notice.
        assert 0.25 / 3 / error > 8


def test_a_diverged_replica_enters_no_mean() -> None:
    output = np.array([0.5, 0.7, 9.0])[None, :, None, None] * np.ones((1, 3, 1, 4))
    output[:, 2] = np.nan
    y = np.array([1.0, 1.0, 1.0, -1.0])
    got, clean = ensemble_statistics(output, y), ensemble_statistics(output[:, :2], y)
    for name in clean:
        np.testing.assert_array_equal(got[name][:, :2], clean[name])
        assert np.isnan(got[name][:, 2]).all()
    single = ensemble_statistics(output[:, :1], y)
    assert np.isnan(single["bias_sq"]).all()
    assert single["accuracy"][0, 0, 0] == 0.75


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("optimizers", ()),
        ("optimizers", ("gradient_descend",)),
        ("optimizers", ("sgd", "sgd")),
        ("replicas", 0),
        ("replicas", 2.5),
        ("replicas", True),
        ("n_times", 1),
        ("t_min", 0.0),
        ("t_min", float("nan")),
        ("t_max", 1e-4),
        ("t_max", float("inf")),
        ("learning_rate", -1.0),
        ("learning_rate", "automatic"),
        ("batch_size", 0),
        ("adam_beta1", 1.0),
        ("langevin_temperature", 0.0),
        ("flow_tolerance", 0.5),
        ("signal_temperature", -1.0),
    ],
)
def test_bad_settings_name_their_key(key: str, value: object) -> None:
    with pytest.raises(InvalidInput) as error:
        DynamicsSettings(**{key: value})
    assert error.value.key == key


@pytest.mark.parametrize(
    ("key", "value"), [("width", 0), ("width", 2.5), ("lambda0", 0.0), ("lambda1", float("nan"))]
)
def test_bad_networks_name_their_key(key: str, value: float) -> None:
    arguments = {"width": 4, "lambda0": 1.0, "lambda1": 1.0} | {key: value}
    with pytest.raises(InvalidInput) as error:
        train(gaussian_dataset(6, 3), "erf", settings=SHORT, **arguments)
    assert error.value.key == key


def test_importing_the_stage_does_not_import_jax() -> None:
    code = "import sys, proplim.dynamics; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
