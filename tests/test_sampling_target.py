"""The target density, its gradient, the observables and the random numbers against dense definitions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from conftest import gaussian_dataset
from proplim._jax import configure_jax
from proplim.activations import get_activation
from proplim.datasets import Dataset
from proplim.geometry import centroid_distance_sq, class_weights, gyration_radius_sq
from proplim.kernels import row_space
from proplim.sampling import _draw, _random, _target

configure_jax()
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402

SHAPES = [(5, 9, 8), (9, 4, 5), (4, 3, 7)]  # P, N0, N: more units than inputs, fewer, rank below P


def setup(n_train, n_features, width, activation="erf", temperature=0.3):
    dataset = gaussian_dataset(n_train, n_features, 6, seed=n_train)
    whitened = _target.whiten(dataset)
    u = np.linalg.svd(dataset.x_train)[2][0]
    problem = _target.make_problem(
        dataset, whitened, u, width=width, temperature=temperature, lambda0=1.7, lambda1=0.6
    )
    hidden = np.random.default_rng(1).standard_normal((whitened.train.shape[1], width))
    return dataset, whitened, u, problem, get_activation(activation), hidden


def dense_log_likelihood(problem, activation, hidden):
    """log N(y; 0, S), the definition."""
    phi = activation.function(problem.inputs_train @ hidden)
    cov = problem.temperature * np.eye(len(phi)) + problem.readout_scale * phi @ phi.T
    return stats.multivariate_normal(np.zeros(len(phi)), cov).logpdf(problem.y_train)


def test_whitened_inputs_have_the_covariances_of_the_inputs():
    dataset, whitened, _, _, _, _ = setup(5, 9, 8)
    n0 = dataset.n_features
    np.testing.assert_allclose(
        whitened.train @ whitened.train.T, dataset.x_train @ dataset.x_train.T / n0, atol=1e-13
    )
    np.testing.assert_allclose(
        whitened.test @ whitened.train.T, dataset.x_test @ dataset.x_train.T / n0, atol=1e-13
    )
    together = whitened.test @ whitened.test.T + whitened.outside @ whitened.outside.T
    np.testing.assert_allclose(together, dataset.x_test @ dataset.x_test.T / n0, atol=1e-13)
    assert whitened.outside.shape[1] == 4  # N0 - P directions are left


@pytest.mark.parametrize("shape", SHAPES)
def test_log_likelihood_is_the_gaussian_one(shape):
    *_, problem, activation, hidden = setup(*shape)
    value = float(_target.likelihood(problem, activation, jnp.asarray(hidden))[2].log_likelihood)
    expected = dense_log_likelihood(problem, activation, hidden) + 0.5 * shape[0] * np.log(2 * np.pi)
    assert value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["erf", "linear"])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_is_that_of_the_density(shape, name):
    """Hand-written against differentiation through the definition (JAX) and central differences (SciPy)."""
    *_, problem, activation, hidden = setup(*shape, activation=name)
    gradient = np.asarray(_target.gradient(problem, activation, jnp.asarray(hidden), jnp.float64))

    def definition(z):
        phi = activation.jax_function(problem.inputs_train @ z)
        cov = problem.temperature * jnp.eye(len(phi)) + problem.readout_scale * phi @ phi.T
        return -0.5 * jnp.linalg.slogdet(cov)[1] - 0.5 * problem.y_train @ jnp.linalg.solve(
            cov, problem.y_train
        )

    np.testing.assert_allclose(gradient, jax.grad(definition)(jnp.asarray(hidden)), atol=1e-11)
    step = np.zeros_like(hidden)
    step[1, 2] = 1e-5
    difference = dense_log_likelihood(problem, activation, hidden + step)
    difference -= dense_log_likelihood(problem, activation, hidden - step)
    assert gradient[1, 2] == pytest.approx(difference / 2e-5, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("size", [1, 7, _target.LARGEST_BLOCK, _target.LARGEST_BLOCK + 1, 300])
def test_a_system_is_inverted_in_blocks(size):
    rng = np.random.default_rng(size)
    root = rng.standard_normal((size, size)) / np.sqrt(size)
    matrix = root @ root.T + 0.01 * np.eye(size)
    lower = np.tril(matrix) + np.triu(rng.standard_normal((size, size)), 1)  # what is above is not read
    found = np.asarray(_target._inverse(jnp.asarray(lower)))
    exact = np.linalg.inv(matrix)
    np.testing.assert_allclose(found, exact, atol=1e-12 * np.abs(exact).max())
    single = np.asarray(_target._inverse(jnp.asarray(lower, jnp.float32)))
    np.testing.assert_allclose(single, exact, atol=1e-4 * np.abs(exact).max())


@pytest.mark.parametrize("shape", SHAPES)
def test_float32_gradient_agrees_with_float64(shape):
    *_, problem, activation, hidden = setup(*shape, temperature=0.01)
    exact = np.asarray(_target.gradient(problem, activation, jnp.asarray(hidden), jnp.float64))
    single = np.asarray(_target.gradient(problem, activation, jnp.asarray(hidden), jnp.float32))
    assert np.abs(single - exact).max() < 1e-3 * np.abs(exact).max()
    assert np.abs(single - exact).max() > 0  # it is float32


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_observables_are_exact_averages_over_the_readout(shape):
    """Against the dense Gaussian of v given w; test inputs without a part outside the span."""
    dataset, whitened, u, problem, activation, hidden = setup(*shape)
    problem = problem._replace(outside_test=np.zeros((dataset.n_test, 0), np.float32))
    width, lambda0, lambda1, temperature = shape[2], 1.7, 0.6, 0.3
    pre, features, factor = _target.likelihood(problem, activation, jnp.asarray(hidden))
    draw = _draw.Draw(
        problem, activation, jnp.asarray(hidden), pre, features, factor, _random.key_of(7), jnp.uint32(0)
    )
    found = _draw.measure(draw, _draw.recorded())
    phi = {
        "train": np.asarray(features),
        "test": activation.function(problem.inputs_test.astype(float) @ hidden),
    }
    labels = {"train": dataset.y_train, "test": dataset.y_test}
    covariance = np.linalg.inv(
        lambda1 * np.eye(width) + phi["train"].T @ phi["train"] / (width * temperature)
    )
    v = covariance @ phi["train"].T @ dataset.y_train / (np.sqrt(width) * temperature)
    weights = whitened.basis @ hidden / np.sqrt(lambda0)  # inside the span
    assert found["readout_variance"] == pytest.approx((v @ v + np.trace(covariance)) / width, rel=1e-10)
    assert found["signal_variance"] == pytest.approx(((u @ weights) ** 2).mean(), rel=1e-10)
    assert found["readout_signal_covariance"] == pytest.approx(
        (v * (u @ weights)).mean(), rel=1e-9, abs=1e-12
    )
    gradient = np.asarray(_target.gradient(problem, activation, jnp.asarray(hidden), jnp.float64))
    work = (gradient * hidden).sum() / (width * lambda0)
    norm = (weights**2).sum() / width - len(hidden) / lambda0
    assert found["hidden_trace_shift"] == pytest.approx(work, rel=1e-9)
    assert found["equipartition_defect"] == pytest.approx(norm - work, rel=1e-9, abs=1e-12)
    for i, split in enumerate(("train", "test")):
        p, y = phi[split], labels[split]
        f = p @ v / np.sqrt(width)
        mse = ((y - f) ** 2 + np.diag(p @ covariance @ p.T) / width).mean()
        kernel = p @ p.T / width
        tolerance = 1e-10 if split == "train" else 3e-6
        assert found["mse"][i] == pytest.approx(mse, rel=tolerance)
        np.testing.assert_allclose(found[f"predictor_{split}"], f, atol=tolerance * 10)
        w = class_weights(y)
        cosine = kernel / np.sqrt(np.outer(np.diag(kernel), np.diag(kernel)))
        difference = w[1] - w[0]
        assert found["normalized_centroid_distance_sq"][i] == pytest.approx(
            difference @ cosine @ difference, rel=tolerance
        )
        radii = 1 - ((w @ cosine) * w).sum(1)
        np.testing.assert_allclose(found["normalized_gyration_radius_sq"][i], radii, rtol=3 * tolerance)
        assert found["centroid_distance_sq"][i] == pytest.approx(
            centroid_distance_sq(kernel, w), rel=tolerance * 10
        )
        expected = gyration_radius_sq(np.diag(kernel), kernel, w)
        np.testing.assert_allclose(found["gyration_radius_sq"][i], expected, rtol=tolerance * 10)


def test_part_outside_the_span_has_its_prior_covariance():
    """Mean of the test features' kernel over draws of the outside part; |z| < 4.5 for 36 pairs (2e-4 a false alarm)."""
    dataset, whitened, _, problem, activation, hidden = setup(5, 9, 400, activation="linear")
    inside = problem.inputs_test.astype(float) @ hidden
    pre, features, factor = _target.likelihood(problem, activation, jnp.asarray(hidden))
    problem = problem._replace(
        weights_test=np.eye(dataset.n_test)[:2]
    )  # "centroids" are the first two inputs

    @jax.jit
    def distance(stream):
        draw = _draw.Draw(
            problem, activation, jnp.asarray(hidden), pre, features, factor, _random.key_of(3), stream
        )
        return _draw.measure(draw, _draw.recorded())["centroid_distance_sq"][1]

    draws = np.array([float(distance(jnp.uint32(i))) for i in range(300)])
    outside = whitened.outside @ whitened.outside.T / 1.7
    expected = ((inside[0] - inside[1]) ** 2).mean() + outside[0, 0] + outside[1, 1] - 2 * outside[0, 1]
    assert abs(draws.mean() - expected) < 4 * draws.std() / np.sqrt(len(draws))
    assert outside[0, 0] > 0.05


def test_bits_are_those_of_jax():
    from jax.extend.random import threefry_2x32

    key = _random.key_of(0x123456789ABCDEF)
    first, second = _random.bits(key, 50, jnp.uint32(9))
    counter = jnp.concatenate([jnp.arange(50, dtype=jnp.uint32), jnp.full(50, 9, jnp.uint32)])
    expected = threefry_2x32((key.word0, key.word1), counter)
    np.testing.assert_array_equal(np.concatenate([first, second]), np.asarray(expected))


def test_normals_are_normal():
    """Kolmogorov-Smirnov and moments up to four on 10^6 numbers; fixed key, false alarms below 1e-4 together."""
    values = np.asarray(_random.normal(_random.key_of(11), (1000, 1000), jnp.uint32(5)), float)
    assert stats.kstest(values.ravel(), "norm").pvalue > 1e-5
    assert abs(values.mean()) * 1e3 < 4.5
    assert abs(values.var() - 1) / np.sqrt(2e-6) < 4.5
    assert abs((values**4).mean() - 3) / np.sqrt(96e-6) < 4.5
    assert abs(np.corrcoef(values[:500].ravel(), values[500:].ravel())[0, 1]) * np.sqrt(5e5) < 4.5
    assert np.abs(values).max() > 4.5
    other = np.asarray(_random.normal(_random.key_of(11), (1000, 1000), jnp.uint32(6)), float)
    assert abs((values * other).mean()) * 1e3 < 4.5


def test_sine_and_cosine_polynomials():
    turn = np.linspace(-0.5, 0.5, 20001).astype(np.float32)
    sine = turn * np.asarray(_random._polynomial(_random._SINE, turn * turn))
    cosine = np.asarray(_random._polynomial(_random._COSINE, turn * turn))
    assert np.abs(sine - np.sin(2 * np.pi * turn.astype(float))).max() < 1e-6
    assert np.abs(cosine - np.cos(2 * np.pi * turn.astype(float))).max() < 1e-6


@pytest.mark.parametrize("scale", [1e-16, 1.0, 1e12])
def test_row_space_does_not_know_the_units_of_the_inputs(scale):
    """Rank two with a third direction at rounding level; test inputs with one direction outside."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6, 2)) @ rng.standard_normal((2, 5))
    space = row_space(scale * x)
    assert space.rank == 2
    np.testing.assert_allclose(space.coordinates @ space.basis.T, scale * x, atol=1e-14 * scale * 10)
    inside = scale * rng.standard_normal((4, 6)) @ x
    assert space.outside(inside).shape == (4, 0)
    direction = np.linalg.svd(x)[2][-1]
    other = inside + scale * np.outer(np.arange(4.0), direction)
    root = space.outside(other)
    assert root.shape == (4, 1)
    np.testing.assert_allclose(
        root @ root.T, scale**2 * np.outer(np.arange(4.0), np.arange(4.0)), atol=1e-12 * scale**2
    )


def test_inputs_of_any_size_are_sampled():
    """Inputs of 1e-16 with lambda0 = 1e-32 are the network that inputs of one have with lambda0 = 1."""
    data = gaussian_dataset(5, 4, 6, seed=2)
    small = Dataset(1e-16 * data.x_train, data.y_train, 1e-16 * data.x_test, data.y_test)
    u = np.eye(4)[0]
    one, two = (
        _target.make_problem(d, _target.whiten(d), u, width=3, temperature=0.1, lambda0=scale, lambda1=1.0)
        for d, scale in ((data, 1.0), (small, 1e-32))
    )
    for name in ("inputs_train", "inputs_test", "outside_test"):
        a, b = getattr(one, name), getattr(two, name)
        np.testing.assert_allclose(a @ a.T, b @ b.T, rtol=1e-5, atol=1e-12)
