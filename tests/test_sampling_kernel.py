"""The kernel leaves the posterior invariant: reversibility, exact draws in and out, Geweke's joint test."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from conftest import gaussian_dataset
from proplim._jax import configure_jax
from proplim.activations import get_activation
from proplim.sampling import _kernel, _random, _target
from sampling_exact import linear_draws

configure_jax()
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402


def rule(step):
    return _kernel.Rule(jnp.float64(np.pi / 2), jnp.float64(0.2), jnp.log(jnp.float64(step)))


def make(n_train, n_features, width, temperature, activation):
    dataset = gaussian_dataset(n_train, n_features, 4, seed=3)
    whitened = _target.whiten(dataset)
    u = np.eye(n_features)[0]
    problem = _target.make_problem(
        dataset, whitened, u, width=width, temperature=temperature, lambda0=1.0, lambda1=1.0
    )
    return dataset, whitened, problem, get_activation(activation)


def keys(count, salt):
    words = np.random.default_rng(salt).integers(0, 2**32, (2, count), dtype=np.uint32)
    return _random.Key(jnp.asarray(words[0]), jnp.asarray(words[1]))


@pytest.mark.slow
@pytest.mark.parametrize(("n_train", "width"), [(4, 6), (7, 3)])
def test_a_trajectory_is_reversible_and_second_order(n_train, width):
    _, whitened, problem, activation = make(n_train, 5, width, 0.1, "erf")
    rng = np.random.default_rng(0)
    hidden = jnp.asarray(rng.standard_normal((whitened.train.shape[1], width)))
    momentum = jnp.asarray(rng.standard_normal(hidden.shape))
    start = _kernel.init(problem, activation, hidden, jnp.float64)

    @partial(jax.jit, static_argnames="count")
    def run(state, momentum, count):
        return _kernel.propose(problem, activation, state, momentum, 1.5 / count, count, jnp.float64)

    def energy(position, momentum):
        value = _target.likelihood(problem, activation, position)[2].log_likelihood
        return float(0.5 * ((position**2).sum() + (momentum**2).sum()) - value)

    position, end, slope = run(start, momentum, 20)
    back, end_back, _ = run(start._replace(hidden=position, gradient=slope), -end, 20)
    np.testing.assert_allclose(back, hidden, atol=1e-10)
    np.testing.assert_allclose(end_back, -momentum, atol=1e-10)
    assert np.abs(position - hidden).max() > 0.5
    initial = energy(hidden, momentum)
    coarse = abs(energy(*run(start, momentum, 200)[:2]) - initial)
    fine = abs(energy(*run(start, momentum, 400)[:2]) - initial)
    assert coarse / fine == pytest.approx(4.0, rel=0.2)


@pytest.mark.parametrize(("dtype", "tolerance"), [(jnp.float64, 1e-12), (jnp.float32, 2e-5)])
@pytest.mark.parametrize(("n_train", "width"), [(6, 4), (5, 9)])
def test_weights_and_preactivations_follow_the_same_trajectory(n_train, width, dtype, tolerance):
    _, whitened, problem, activation = make(n_train, 8, width, 0.05, "erf")
    rng = np.random.default_rng(1)
    hidden, momentum = rng.standard_normal((2, whitened.train.shape[1], width))
    ends = []
    for kernel in (problem.kernel_train, None):
        same = problem._replace(kernel_train=kernel)
        state = _kernel.init(same, activation, jnp.asarray(hidden), dtype)
        state = state._replace(temperature=jnp.float64(np.nan))  # the gradient at the start is computed anew
        position, end, slope = _kernel.propose(
            same, activation, state, jnp.asarray(momentum), jnp.float64(0.1), 15, dtype
        )
        ends.append((position, end, slope if kernel is None else problem.inputs_train.T @ np.asarray(slope)))
    for along_preactivations, along_weights in zip(*ends, strict=True):
        scale = np.abs(along_weights).max()
        np.testing.assert_allclose(along_preactivations, along_weights, atol=tolerance * scale)


def statistics_of(problem, activation, hidden):
    """Test functions of one state, for z tests."""
    phi = activation.jax_function(problem.inputs_train @ hidden)
    value = _target.likelihood(problem, activation, hidden)[2].log_likelihood
    feature = phi @ phi.T / hidden.shape[1]
    norm = (hidden**2).sum()
    return jnp.concatenate([jnp.stack([norm, norm**2, value, value**2]), feature[:2].ravel(), hidden[:, 0]])


def paired_z(before, after):
    """z of the change of each mean; draws are independent, so the error of the change is known."""
    change = after - before
    return change.mean(0) / (change.std(0) / np.sqrt(len(change)))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("n_features", [3, 5])
def test_exact_draws_of_the_linear_network_stay_exact(dtype, n_features):
    """4000 exact draws, four trajectories each at a coarse step: no mean moves by 4.5 standard errors (2e-4).

    With three features trajectories follow the weights, with five the preactivations.
    """
    dataset, whitened, problem, activation = make(4, n_features, 3, 0.1, "linear")
    assert (problem.kernel_train is None) == (n_features == 3)
    hidden = jnp.asarray(linear_draws(dataset, whitened.train, 3, 0.1, 1.0, 1.0, 4000, seed=5))
    observe = jax.jit(jax.vmap(partial(statistics_of, problem, activation)))

    @jax.jit
    @jax.vmap
    def advance(hidden, key):
        state = _kernel.init(problem, activation, hidden, dtype)
        total = 0.0
        for _ in range(4):
            state, info = _kernel.trajectory(problem, activation, rule(0.5), key, state, dtype)
            total += info.acceptance / 4
        return state.hidden, total

    after, acceptance = advance(hidden, keys(4000, 1))
    assert 0.3 < float(acceptance.mean()) < 0.97  # the Metropolis test has work to do
    z = paired_z(np.asarray(observe(hidden)), np.asarray(observe(after)))
    assert np.abs(z).max() < 4.5

    @jax.jit
    @jax.vmap
    def without_metropolis(hidden, key):
        state = _kernel.init(problem, activation, hidden, dtype)
        momentum = _random.normal(key, hidden.shape, jnp.uint32(0)).astype(jnp.float64)
        return _kernel.propose(problem, activation, state, momentum, jnp.float64(0.5), 3, dtype)[0]

    biased = np.asarray(observe(without_metropolis(hidden, keys(4000, 2))))
    assert np.abs(paired_z(np.asarray(observe(hidden)), biased)).max() > 6  # so the test can fail


def geweke(problem, activation, key, rounds, width, temperature_of_data=None):
    """Alternate y ~ N(0, S(Z)) and a trajectory of Z given y, from the prior; Z keeps its prior."""
    shape = (problem.inputs_train.shape[1], width)
    hidden = _random.normal(key, shape, jnp.uint32(2**31)).astype(jnp.float64)
    temperature = problem.temperature if temperature_of_data is None else temperature_of_data

    def body(index, carry):
        hidden, accepted = carry
        phi = activation.jax_function(problem.inputs_train @ hidden)
        stream = jnp.uint32(2**31 + 1) + jnp.uint32(2) * index.astype(jnp.uint32)
        v = _random.normal(key, (width,), stream)
        noise = _random.normal(key, (len(phi),), stream + jnp.uint32(1))
        y = jnp.sqrt(problem.readout_scale) * (phi @ v) + jnp.sqrt(temperature) * noise
        given = problem._replace(y_train=y)
        state = _kernel.init(given, activation, hidden, jnp.float32)
        state = state._replace(trajectory=index.astype(jnp.uint32))
        state, info = _kernel.trajectory(given, activation, rule(0.6), key, state, jnp.float32)
        return state.hidden, accepted + info.acceptance

    return jax.lax.fori_loop(0, rounds, body, (hidden, jnp.float64(0.0)))


def prior_z(problem, hidden):
    """z of moments of Z and of its preactivations against the Gaussian prior."""
    count = len(hidden)
    h = np.einsum("pr,crn->cpn", np.asarray(problem.inputs_train), hidden)
    c = np.asarray(problem.inputs_train) @ np.asarray(problem.inputs_train).T
    values = [(hidden**2).sum((1, 2)), (hidden**4).sum((1, 2)), hidden[:, 0, 0]]
    expected = [hidden[0].size, 3 * hidden[0].size, 0.0]
    for i in range(len(c)):
        values.append((h[:, i] * h[:, 0]).mean(-1))
        expected.append(c[i, 0])
    return np.array(
        [(v.mean() - e) / (v.std() / np.sqrt(count)) for v, e in zip(values, expected, strict=True)]
    )


@pytest.mark.slow
@pytest.mark.parametrize(("n_train", "width"), [(3, 4), (4, 2)])
def test_joint_distribution_of_geweke(n_train, width):
    """6000 independent chains of 25 rounds; |z| < 4.5 on at most 7 moments (5e-5). A wrong T of the data is seen."""
    _, _, problem, activation = make(n_train, 3, width, 0.2, "erf")
    run = jax.jit(jax.vmap(lambda key, t: geweke(problem, activation, key, 25, width, t), in_axes=(0, None)))
    hidden, accepted = run(keys(6000, 4), jnp.float64(0.2))
    assert 0.5 < float(accepted.mean()) / 25 < 0.98
    assert np.abs(prior_z(problem, np.asarray(hidden))).max() < 4.5
    wrong, _ = run(keys(6000, 4), jnp.float64(0.4))
    assert np.abs(prior_z(problem, np.asarray(wrong))).max() > 6
