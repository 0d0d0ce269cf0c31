"""Hamiltonian Monte Carlo that rotates the Gaussian prior exactly and kicks with the likelihood alone.

The Hamiltonian |Z|^2/2 + |p|^2/2 - l(Z) is split into the oscillator of the prior, whose flow is a rotation
of (Z, p), and the likelihood, whose flow is a kick of p (as in Hilbert-space HMC, Beskos et al. 2011). A step is
half kick, rotation, half kick; it preserves volume and is reversible, so the Metropolis test at the end leaves the
posterior invariant at any step size.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from proplim.activations import Activation
from proplim.sampling._draw import STREAMS, Draw, Recorded, measure
from proplim.sampling._random import Key, normal, uniform
from proplim.sampling._target import (
    Problem,
    bias_energy,
    gradient,
    heavy_readout,
    likelihood,
    preactivation_gradient,
)

Array = Any

MAX_STEPS = 1000
"""Steps of a trajectory at most."""
DIVERGENCE = 1000.0
"""Energy error above which a trajectory is called divergent."""


class State(NamedTuple):
    """Where a chain is.

    Parameters
    ----------
    hidden : (r, N) array, float64
        Z.
    temperature : scalar
        T that the next two belong to; NaN where they have not been computed.
    log_likelihood : scalar
        l(Z) in float64, with the bias where there is one.
    gradient : (r, N) or (P, N) array
        Its derivative in Z, or in the preactivations where trajectories follow these, in the precision of the
        trajectories, stored as float64.
    heavy : scalar
        Smooth maximum of |E[v_i | w]| / sqrt(N): of order one where a unit is heavy, else small.
    trajectory : scalar uint32
        Trajectories so far, the counter of the random numbers.
    record : dict
        Observables at Z; zeros during warm-up, or empty where none are asked for.
    """

    hidden: Array
    temperature: Array
    log_likelihood: Array
    gradient: Array
    heavy: Array
    trajectory: Array
    record: dict[str, Array]


class Info(NamedTuple):
    """What a trajectory reports.

    Parameters
    ----------
    acceptance : scalar
        Probability of acceptance.
    gradients : scalar
        Gradients spent.
    diverged : bool
        Whether the energy error was beyond :data:`DIVERGENCE`.
    energy : scalar
        Hamiltonian of where the chain is after the Metropolis test, with the momentum that it has there.
    log_likelihood : scalar
        l(Z) there, with the bias where there is one.
    heavy : scalar
        Of the state there.
    """

    acceptance: Array
    gradients: Array
    diverged: Array
    energy: Array
    log_likelihood: Array
    heavy: Array


class Rule(NamedTuple):
    """Numbers that shape a trajectory, traced so that changing them does not compile anew.

    Parameters
    ----------
    path_length : scalar
        Length of a trajectory in the time of the prior's oscillator.
    jitter : scalar
        Relative half-width of its uniform distribution.
    log_step : scalar
        Logarithm of the step size.
    """

    path_length: Array
    jitter: Array
    log_step: Array


class Move(NamedTuple):
    """What a trajectory is besides the plain one, traced so that one program serves all of them.

    Parameters
    ----------
    free : bool
        Rotate by pi/2 without a kick and accept: from Z = 0 this draws Z from the prior.
    still : bool
        Stay, and take the observables of where the chain is.
    """

    free: Array | bool = False
    still: Array | bool = False


def empty_state(problem: Problem, width: int, record: dict[str, Array] | None = None) -> State:
    """Z = 0; a free move takes it to a draw from the prior."""
    n_train, rank = problem.inputs_train.shape
    hidden, unknown = np.zeros((rank, width)), np.float64(np.nan)
    slope = hidden if problem.kernel_train is None else np.zeros((n_train, width))
    return State(hidden, unknown, np.float64(0.0), slope, np.float64(0.0), np.uint32(0), record or {})


def init(problem: Problem, activation: Activation, hidden: Array, dtype: Any) -> State:
    """State at hidden weights Z of shape (r, N), without a record."""
    import jax.numpy as jnp

    _, features, factor = likelihood(problem, activation, hidden)
    return State(
        hidden,
        problem.temperature,
        factor.log_likelihood + bias_energy(problem, features, factor),
        _slope_of_state(problem, activation, hidden, dtype),
        heavy_readout(features, factor, problem.readout_scale),
        jnp.uint32(0),
        {},
    )


def _slope_of_state(problem: Problem, activation: Activation, hidden: Array, dtype: Any) -> Array:
    """What :class:`State` keeps as its gradient."""
    if problem.kernel_train is None:
        return gradient(problem, activation, hidden, dtype)
    preactivation = problem.inputs_train.astype(dtype) @ hidden.astype(dtype)
    return preactivation_gradient(problem, activation, preactivation).astype(hidden.dtype)


def empty_record(problem: Problem, activation: Activation, width: int, what: Recorded) -> dict[str, Array]:
    """The record of no draw: zeros in the shapes of what :func:`proplim.sampling._draw.measure` returns."""
    import jax
    import jax.numpy as jnp

    def measured(problem: Problem, hidden: Array) -> dict[str, Array]:
        at = likelihood(problem, activation, hidden)
        key = Key(*[jnp.uint32(0)] * 2)
        return measure(Draw(problem, activation, hidden, *at, key, jnp.uint32(0)), what)

    hidden = jax.ShapeDtypeStruct((problem.inputs_train.shape[1], width), jnp.float64)
    shapes = jax.eval_shape(measured, problem, hidden)
    return {name: np.zeros(value.shape, value.dtype) for name, value in shapes.items()}


def propose(
    problem: Problem,
    activation: Activation,
    state: State,
    momentum: Array,
    step: Array,
    count: Array,
    dtype: Any,
    move: Move = Move(),  # noqa: B008 (immutable)
) -> tuple[Array, Array, Array]:
    """Follow `count` steps; returns position, momentum and gradient at the end.

    Without kicks position and momentum (Z, p) turn by an angle t, and each kick k of dl/dZ = A^T s adds A^T s to p, so
    that at any time

        Z = cos(t) Z_0 + sin(t) p_0 + A^T K,    p = cos(t) p_0 - sin(t) Z_0 + A^T L

    where (K, L) turn alike and take the kicks s. The preactivations cos(t) A Z_0 + sin(t) A p_0 + C K then cost one
    product a step, with C = A A^T, and Z and p are formed at the end alone. Where C is larger than A is long, (Z, p)
    themselves are followed.
    """
    import jax.numpy as jnp

    if problem.kernel_train is None:

        def slope_at_weights(_: Array, position: Array) -> Array:
            return gradient(problem, activation, position, dtype)

        start = (state.hidden, momentum, state.gradient)
        return _kicked(problem, state, start, slope_at_weights, step, count, move)

    inputs, kernel = problem.inputs_train.astype(dtype), problem.kernel_train.astype(dtype)
    first, velocity = inputs @ state.hidden.astype(dtype), inputs @ momentum.astype(dtype)

    def slope_at(index: Array, pulled: Array) -> Array:
        angle = index * step
        free = jnp.cos(angle).astype(dtype) * first + jnp.sin(angle).astype(dtype) * velocity
        return preactivation_gradient(problem, activation, free + kernel @ pulled)

    start = (jnp.zeros_like(first), jnp.zeros_like(first), state.gradient.astype(dtype))
    pulled, pushed, slope = _kicked(problem, state, start, slope_at, step, count, move)
    cosine, sine = jnp.cos(count * step), jnp.sin(count * step)
    position = cosine * state.hidden + sine * momentum + inputs.T @ pulled
    momentum = cosine * momentum - sine * state.hidden + inputs.T @ pushed
    return position, momentum, slope.astype(state.gradient.dtype)


def _kicked(
    problem: Problem,
    state: State,
    start: tuple[Array, Array, Array],
    slope_at: Callable[[Array, Array], Array],
    step: Array,
    count: Array,
    move: Move,
) -> tuple[Array, Array, Array]:
    """`count` steps of position, momentum and slope, a function of the number of the step and the position."""
    import jax
    import jax.numpy as jnp

    dtype = start[0].dtype

    def body(index: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        position, momentum, slope = carry
        # The step before the first is one of no length, for the gradient at the start. In the same loop, since
        # compiling the gradient a second time would take a second.
        angle = jnp.where(index > 0, step, 0.0)
        kick = jnp.where(move.free, 0.0, 0.5 * angle).astype(dtype)
        cosine, sine = jnp.cos(angle).astype(dtype), jnp.sin(angle).astype(dtype)
        momentum = momentum + kick * slope
        position, momentum = cosine * position + sine * momentum, cosine * momentum - sine * position
        slope = slope_at(index, position)
        return position, momentum + kick * slope, slope

    first = 1 - _stale(problem, state).astype(jnp.int32)
    return jax.lax.fori_loop(first, jnp.asarray(count, jnp.int32) + 1, body, start)


def trajectory(
    problem: Problem,
    activation: Activation,
    rule: Rule,
    key: Key,
    state: State,
    dtype: Any,
    *,
    measured: Array | bool = False,
    what: Recorded = Recorded(()),  # noqa: B008 (immutable)
    move: Move = Move(),  # noqa: B008 (immutable)
) -> tuple[State, Info]:
    """One trajectory with fresh momentum and a Metropolis test on the float64 energy.

    The factorisation behind the energy of the end point also gives its observables (if `measured`); a rejected
    trajectory keeps the record of where the chain stays. Where the temperature has moved since, energy and gradient
    at the start are computed anew.
    """
    import jax
    import jax.numpy as jnp

    stream = state.trajectory * jnp.uint32(STREAMS)
    momentum = normal(key, state.hidden.shape, stream).astype(jnp.float64)
    random = uniform(key, 2, stream + jnp.uint32(1))
    length = rule.path_length * (1.0 + rule.jitter * (2.0 * random[0] - 1.0))
    count = jnp.clip(jnp.ceil(length * jnp.exp(-rule.log_step)), 1, MAX_STEPS).astype(jnp.int32)
    count, length = jnp.where(move.free, 1, count), jnp.where(move.free, jnp.pi / 2, length)
    step, count = length / count, jnp.where(move.still, 0, count)
    position, end_momentum, slope = propose(problem, activation, state, momentum, step, count, dtype, move)
    stale = _stale(problem, state).astype(jnp.int32)

    def energies(index: Array, carry: tuple[Any, ...]) -> tuple[Any, ...]:
        # start, if its energy is needed anew, and end, where the former is shifted back; in one loop, so as to
        # compile it once
        at = likelihood(problem, activation, jnp.where(index == 0, state.hidden, position))
        weight = at[2].log_likelihood + bias_energy(problem, at[1], at[2])
        heavy = heavy_readout(at[1], at[2], problem.readout_scale)
        return (weight, heavy, *carry[:2], at)

    shapes = jax.eval_shape(partial(likelihood, problem, activation), position)
    nothing = jax.tree.map(lambda value: jnp.zeros(value.shape, value.dtype), shapes)
    real = jnp.float64(0.0)
    after, heavy, before, heavy_before, at = jax.lax.fori_loop(
        1 - stale, 2, energies, (state.log_likelihood, state.heavy, real, real, nothing)
    )
    factor = at[2]
    start_energy = 0.5 * (_square(state.hidden) + _square(momentum)) - before
    end_energy = 0.5 * (_square(position) + _square(end_momentum)) - after
    error = end_energy - start_energy
    acceptance = jnp.nan_to_num(jnp.exp(-jnp.maximum(error, 0.0)))
    accepted = (random[1] < acceptance) | move.free
    record = state.record
    if record:

        def record_of_end() -> dict[str, Array]:
            return measure(Draw(problem, activation, position, at[0], at[1], factor, key, stream), what)

        record = jax.lax.cond(accepted & measured, record_of_end, lambda: state.record)
    stay = state._replace(log_likelihood=before, heavy=heavy_before)
    # of a rejected trajectory with another temperature the gradient at the start is not kept: computed anew next time
    stay = stay._replace(temperature=jnp.where(stale == 1, jnp.nan, state.temperature))
    proposal = State(position, problem.temperature, after, slope, heavy, state.trajectory, state.record)
    state = jax.tree.map(partial(jnp.where, accepted), proposal, stay)
    state = state._replace(trajectory=state.trajectory + jnp.uint32(1), record=record)
    info = Info(
        acceptance,
        count + stale,
        ~(error < DIVERGENCE),
        jnp.where(accepted, end_energy, start_energy),
        state.log_likelihood,
        state.heavy,
    )
    return state, info


def _stale(problem: Problem, state: State) -> Array:
    """Whether the state's energy and gradient belong to another temperature; true of NaN."""
    import jax.numpy as jnp

    return jnp.asarray(state.temperature != problem.temperature)


def _square(values: Array) -> Array:
    return (values * values).sum()
