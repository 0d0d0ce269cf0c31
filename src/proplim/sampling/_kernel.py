"""Hamiltonian Monte Carlo that rotates the Gaussian prior exactly and kicks with the likelihood alone.

The Hamiltonian |Z|^2/2 + |p|^2/2 - l(Z) is split into the oscillator of the prior, whose flow is a rotation
of (Z, p), and the likelihood, whose flow is a kick of p (as in Hilbert-space HMC, Beskos et al. 2011). A step is
half kick, rotation, half kick; it preserves volume and is reversible, so the Metropolis test at the end leaves the
posterior invariant at any step size.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from proplim.activations import Activation
from proplim.sampling._observables import draw_readout, observables
from proplim.sampling._random import Key, normal, uniform
from proplim.sampling._target import Problem, gradient, likelihood

Array = Any

_STREAMS = 4  # random streams of a trajectory: momentum, scalars, test inputs, spare


class State(NamedTuple):
    """Where a chain is.

    Parameters
    ----------
    hidden : (r, N) array, float64
        Z.
    log_likelihood : scalar
        l(Z) in float64.
    gradient : (r, N) array
        dl/dZ in the precision of the trajectories, stored as float64.
    log_step : scalar
        Logarithm of the step size.
    adaptation : (3,) array
        Dual averaging: running mean of the acceptance error, of log_step, and the anchor.
    trajectory : scalar uint32
        Trajectories so far, the counter of the random numbers.
    record : dict
        Observables at Z; empty during warm-up.
    """

    hidden: Array
    log_likelihood: Array
    gradient: Array
    log_step: Array
    adaptation: Array
    trajectory: Array
    record: dict[str, Array]


class Info(NamedTuple):
    """What a trajectory reports: acceptance probability, number of gradients, and whether it diverged."""

    acceptance: Array
    gradients: Array
    diverged: Array


class Rule(NamedTuple):
    """Numbers that shape a trajectory, traced so that changing them does not compile anew."""

    path_length: Array
    jitter: Array
    target_acceptance: Array


def initial_state(problem: Problem, activation: Activation, key: Key, width: int, dtype: Any) -> State:
    """A draw from the prior, with a cautious first step."""
    import jax.numpy as jnp

    shape = (problem.inputs_train.shape[1], width)
    hidden = normal(key, shape, jnp.uint32(0)).astype(jnp.float64)
    value = likelihood(problem, activation, hidden)[2].log_likelihood
    log_step = jnp.log(jnp.float64(0.3))
    return State(
        hidden,
        value,
        gradient(problem, activation, hidden, dtype),
        log_step,
        jnp.stack([jnp.zeros(()), log_step, log_step]),
        jnp.uint32(1),
        {},
    )


def propose(
    problem: Problem,
    activation: Activation,
    state: State,
    momentum: Array,
    step: Array,
    count: Array,
    dtype: Any,
) -> tuple[Array, Array, Array]:
    """Follow `count` steps; returns position, momentum and gradient at the end."""
    import jax
    import jax.numpy as jnp

    cosine, sine = jnp.cos(step), jnp.sin(step)

    def body(_: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        position, momentum, slope = carry
        momentum = momentum + 0.5 * step * slope
        position, momentum = cosine * position + sine * momentum, cosine * momentum - sine * position
        slope = gradient(problem, activation, position, dtype)
        return position, momentum + 0.5 * step * slope, slope

    return jax.lax.fori_loop(0, count, body, (state.hidden, momentum, state.gradient))


def trajectory(
    problem: Problem, activation: Activation, rule: Rule, key: Key, state: State, dtype: Any, measured: bool
) -> tuple[State, Info]:
    """One trajectory with fresh momentum and a Metropolis test on the float64 energy.

    The factorisation behind the energy of the end point also gives its observables (if `measured`); a rejected
    trajectory keeps the record of where the chain stays.
    """
    import jax
    import jax.numpy as jnp

    stream = state.trajectory * jnp.uint32(_STREAMS)
    momentum = normal(key, state.hidden.shape, stream).astype(jnp.float64)
    random = uniform(key, 2, stream + jnp.uint32(1))
    length = rule.path_length * (1.0 + rule.jitter * (2.0 * random[0] - 1.0))
    count = jnp.clip(jnp.ceil(length * jnp.exp(-state.log_step)), 1, 1000).astype(jnp.int32)
    position, end_momentum, slope = propose(
        problem, activation, state, momentum, length / count, count, dtype
    )
    preactivation, features, factor = likelihood(problem, activation, position)
    record = {}
    if measured:
        stream = stream + jnp.uint32(2)
        record = observables(problem, activation, position, preactivation, features, factor, key, stream)
    energy_error = (
        state.log_likelihood
        - factor.log_likelihood
        + 0.5 * (_square(position) + _square(end_momentum) - _square(state.hidden) - _square(momentum))
    )
    acceptance = jnp.nan_to_num(jnp.exp(-jnp.maximum(energy_error, 0.0)))
    proposal = state._replace(
        hidden=position, log_likelihood=factor.log_likelihood, gradient=slope, record=record
    )
    state = jax.tree.map(partial(jnp.where, random[1] < acceptance), proposal, state)
    state = state._replace(trajectory=state.trajectory + jnp.uint32(1))
    return state, Info(acceptance, count, ~(energy_error < 1000.0))


def adapt(rule: Rule, state: State, info: Info, index: Array) -> State:
    """Dual averaging of the step size to the target acceptance (Hoffman and Gelman 2014, section 3.2)."""
    import jax.numpy as jnp

    gamma, offset, kappa = 0.2, 10.0, 0.75
    time = index + 1.0
    error, average, anchor = state.adaptation
    error = error + (rule.target_acceptance - info.acceptance - error) / (time + offset)
    log_step = jnp.clip(anchor - error * jnp.sqrt(time) / gamma, -9.0, 0.5)
    weight = time**-kappa
    average = weight * log_step + (1.0 - weight) * average
    return state._replace(log_step=log_step, adaptation=jnp.stack([error, average, anchor]))


def warm_up(
    problem: Problem, rule: Rule, key: Key, *, activation: Activation, width: int, count: int, dtype: Any
) -> tuple[State, Array]:
    """Anneal from the prior to the posterior, then adapt the step size; returns state and gradients spent.

    At low temperature a chain started from the prior fits the labels at once with weights that have learned
    nothing, and then takes hundreds of trajectories to learn. Three fifths of the warm-up therefore lower the
    temperature geometrically from max(T, 1) to T; the rest adapts the step at T.
    """
    import jax
    import jax.numpy as jnp

    annealed = (3 * count) // 5
    hottest = jnp.maximum(problem.temperature, 1.0)

    def body(state: State, index: Array) -> tuple[State, Array]:
        progress = jnp.minimum((index + 1.0) / annealed, 1.0)
        now = problem._replace(temperature=hottest * (problem.temperature / hottest) ** progress)
        state = state._replace(
            log_likelihood=likelihood(now, activation, state.hidden)[2].log_likelihood,
            gradient=gradient(now, activation, state.hidden, dtype),
        )
        # while the temperature moves, the early history of the step size counts little: restart every 20
        age = jnp.where(index < annealed, index % 20, index - annealed)
        state, info = trajectory(now, activation, rule, key, state, dtype, measured=False)
        return adapt(rule, _restart(state, age == 0), info, age), info.gradients + 1

    start = initial_state(problem._replace(temperature=hottest), activation, key, width, dtype)
    state, gradients = jax.lax.scan(body, start, jnp.arange(count, dtype=jnp.float64))
    return state._replace(log_step=state.adaptation[1]), gradients.sum()


def _restart(state: State, when: Array | bool) -> State:
    """Forget the history of the step size, but start from where it is."""
    import jax.numpy as jnp

    fresh = jnp.stack([jnp.zeros(()), state.log_step, state.log_step])
    return state._replace(adaptation=jnp.where(when, fresh, state.adaptation))


def sample(
    problem: Problem,
    rule: Rule,
    key: Key,
    state: State,
    *,
    activation: Activation,
    count: int,
    dtype: Any,
    units: bool = False,
) -> tuple[State, tuple[dict[str, Array], Info]]:
    """`count` draws at fixed step size with their observables.

    With `units` the record of a draw also holds, for every unit, an exact draw of its readout weight given
    the hidden ones (`unit_readout`) and its hidden weight along the signal direction (`unit_signal`).
    """
    import jax
    import jax.numpy as jnp

    def body(state: State, _: None) -> tuple[State, tuple[dict[str, Array], Info]]:
        state, info = trajectory(problem, activation, rule, key, state, dtype, measured=True)
        record = state.record
        if units:
            _, features, factor = likelihood(problem, activation, state.hidden)
            stream = state.trajectory * jnp.uint32(_STREAMS) - jnp.uint32(1)  # the spare one
            record = record | {
                "unit_readout": draw_readout(problem, features, factor, key, stream),
                "unit_signal": problem.signal @ state.hidden,
            }
        return state, (record, info)

    stream = state.trajectory * jnp.uint32(_STREAMS) - jnp.uint32(2)  # test inputs of the last trajectory
    record = observables(
        problem, activation, state.hidden, *likelihood(problem, activation, state.hidden), key, stream
    )
    state, results = jax.lax.scan(body, state._replace(record=record), None, length=count)
    return state._replace(record={}), results


def _square(values: Array) -> Array:
    return (values * values).sum()
