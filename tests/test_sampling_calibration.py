"""Simulation-based calibration: parameters drawn from the prior rank uniformly among draws of their posterior."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from scipy import stats

from conftest import gaussian_dataset
from proplim._jax import configure_jax
from proplim.activations import get_activation
from proplim.sampling import _adaptation, _draw, _program, _random, _starts, _target

configure_jax()
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402

pytestmark = pytest.mark.slow

ERF = get_activation("erf")
PATH = _program.Path(jnp.float64(np.pi / 2), jnp.float64(0.2), jnp.float64(0.8))
TEMPERATURE, LAMBDA1 = 0.2, 0.7
KEPT, THIN = 31, 3
"""Ranks go from 0 to 31; three trajectories of length pi/2 apart, draws are all but independent."""


def statistics_of(problem, hidden, v):
    """What is ranked, from the definitions: functions of the network (w, v), the data and averages over v."""
    phi = ERF.jax_function(problem.inputs_train @ hidden)
    width = phi.shape[1]
    signal = problem.signal @ hidden
    covariance = jnp.linalg.inv(LAMBDA1 * jnp.eye(width) + phi.T @ phi / (width * TEMPERATURE))
    mean = covariance @ (phi.T @ problem.y_train) / (np.sqrt(width) * TEMPERATURE)
    noise = jnp.einsum("pn,nm,pm->p", phi, covariance, phi) / width
    return {
        "drawn |v|^2/N": (v * v).mean(),
        "drawn v.(w.u)/N": (v * signal).mean(),
        "(w.u)^2": (signal * signal).mean(),
        "readout_variance": (mean @ mean + jnp.trace(covariance)) / width,
        "readout_signal_covariance": (mean * signal).mean(),
        "mse": ((problem.y_train - phi @ mean / np.sqrt(width)) ** 2 + noise).mean(),
        "centroid_distance_sq": ((problem.weights_train[1] - problem.weights_train[0]) @ phi)
        @ ((problem.weights_train[1] - problem.weights_train[0]) @ phi)
        / width,
    }


def drawn_statistics(record):
    """The same from the record of the sampler, with the readout that it draws."""
    v, signal = record["unit_readout"], record["unit_signal"]
    return {
        "drawn |v|^2/N": (v * v).mean(-1),
        "drawn v.(w.u)/N": (v * signal).mean(-1),
        "(w.u)^2": record["signal_variance"],
        "readout_variance": record["readout_variance"],
        "readout_signal_covariance": record["readout_signal_covariance"],
        "mse": record["mse"][:, 0],
        "centroid_distance_sq": record["centroid_distance_sq"][:, 0],
    }


def replicate(problem, key, temperature_of_data, width, heavy):
    """Draw a network and its labels, sample the posterior from either kind of start, and rank the network in it."""
    normal = partial(_random.normal, _random.Key(key.word0 ^ jnp.uint32(0x5BD1E995), key.word1))
    hidden = normal((problem.inputs_train.shape[1], width), jnp.uint32(0)).astype(jnp.float64)
    v = normal((width,), jnp.uint32(1)).astype(jnp.float64) / np.sqrt(LAMBDA1)
    noise = normal((len(problem.y_train),), jnp.uint32(2))
    phi = ERF.jax_function(problem.inputs_train @ hidden)
    given = problem._replace(y_train=phi @ v / np.sqrt(width) + jnp.sqrt(temperature_of_data) * noise)
    options = {"activation": ERF, "dtype": jnp.float32}
    if heavy:
        schedule, start = _adaptation.heating(TEMPERATURE, 60), partial(_starts.with_heavy_unit, given)
        chain, _ = _program.warm_up(given, PATH, key, schedule, width=width, start=start, **options)
    else:
        schedule = _adaptation.cooling(TEMPERATURE, 60)
        chain, _ = _program.warm_up(given, PATH, key, schedule, width=width, **options)
    _, (record, info, _) = _program.sample(
        given, PATH, key, chain, count=KEPT * THIN, what=_draw.recorded(units=True), **options
    )
    drawn = drawn_statistics(jax.tree.map(lambda values: values[THIN - 1 :: THIN], record))
    truth = statistics_of(given, hidden, v)
    return {name: (drawn[name] < truth[name]).sum() for name in truth}, info.acceptance.mean()


def p_values(ranks):
    """Chi-square test of uniformity over the 32 possible ranks, for every statistic."""
    return {name: stats.chisquare(np.bincount(r, minlength=KEPT + 1)).pvalue for name, r in ranks.items()}


@pytest.mark.parametrize("heavy", [False, True], ids=["prior", "heavy"])
@pytest.mark.parametrize(("n_train", "width"), [(3, 4), (5, 2)])
def test_simulation_based_calibration(n_train, width, heavy):
    """4000 data sets, both kinds of starts, more units than inputs and fewer: seven uniform ranks.

    Each has p > 1e-5 (7e-5 a false alarm).

    Labels with twice the noise that the posterior believes in are seen with a p-value below 1e-8.
    """
    dataset = gaussian_dataset(n_train, 3, 4, seed=3)
    problem = _target.make_problem(
        dataset,
        _target.whiten(dataset),
        np.eye(3)[0],
        width=width,
        temperature=TEMPERATURE,
        lambda0=1.0,
        lambda1=LAMBDA1,
    )
    words = np.random.default_rng(6).integers(0, 2**32, (2, 4000), dtype=np.uint32)
    keys = _random.Key(*map(jnp.asarray, words))

    @jax.jit
    def run(keys, temperature_of_data):
        # in batches, since the longest trajectory of a batch is waited for by all of it
        one = partial(replicate, problem, temperature_of_data=temperature_of_data, width=width, heavy=heavy)
        return jax.lax.map(one, keys, batch_size=100)

    ranks, acceptance = run(keys, jnp.float64(TEMPERATURE))
    assert 0.5 < float(acceptance.mean()) < 0.95
    calibrated = p_values(ranks)
    assert min(calibrated.values()) > 1e-5, calibrated
    wrong = p_values(run(keys, jnp.float64(2 * TEMPERATURE))[0])
    assert min(wrong.values()) < 1e-8, wrong
