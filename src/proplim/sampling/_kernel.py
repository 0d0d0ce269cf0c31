"""Hamiltonian Monte Carlo that rotates the Gaussian prior exactly and kicks with the likelihood alone.

The Hamiltonian |Z|^2/2 + |p|^2/2 - l(Z) is split into the oscillator of the prior, whose flow is a rotation
of (Z, p), and the likelihood, whose flow is a kick of p (as in Hilbert-space HMC, Beskos et al. 2011). A step is
half kick, rotation, half kick; it preserves volume and is reversible, so the Metropolis test at the end leaves the
posterior invariant at any step size.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from proplim.activations import Activation
from proplim.sampling._observables import draw_readout, observables
from proplim.sampling._random import Key, normal, uniform
from proplim.sampling._target import Factor, Problem, gradient, likelihood

Array = Any

_STREAMS = 4  # random streams of a trajectory: momentum, scalars, test inputs, readout


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
        Observables at Z; zeros during warm-up, or empty where none are asked for.
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


class Move(NamedTuple):
    """What a trajectory is besides the plain one, traced so that one program serves all of them.

    Parameters
    ----------
    fresh : bool
        Energy and gradient at the start are computed anew, as the temperature has moved.
    free : bool
        Rotate by pi/2 without a kick and accept: from Z = 0 this draws Z from the prior.
    still : bool
        Stay, and take the observables of where the chain is.
    """

    fresh: Array | bool = False
    free: Array | bool = False
    still: Array | bool = False


def empty_state(rank: int, width: int, record: dict[str, Array] | None = None) -> State:
    """Z = 0 and a cautious first step; a free move takes it to a draw from the prior."""
    hidden, log_step = np.zeros((rank, width)), np.log(0.3)
    adaptation = np.array([0.0, log_step, log_step])
    return State(hidden, np.float64(0.0), hidden, log_step, adaptation, np.uint32(0), record or {})


def empty_record(problem: Problem, activation: Activation, width: int, units: bool) -> dict[str, Array]:
    """The record of no draw: zeros in the shapes of what :func:`measure` returns."""
    import jax
    import jax.numpy as jnp

    def measured(problem: Problem, hidden: Array) -> dict[str, Array]:
        at = likelihood(problem, activation, hidden)
        return measure(problem, activation, hidden, *at, Key(*[jnp.uint32(0)] * 2), jnp.uint32(0), units)

    hidden = jax.ShapeDtypeStruct((problem.inputs_train.shape[1], width), jnp.float64)
    shapes = jax.eval_shape(measured, problem, hidden)
    return {name: np.zeros(value.shape, value.dtype) for name, value in shapes.items()}


def measure(
    problem: Problem,
    activation: Activation,
    hidden: Array,
    preactivation: Array,
    features: Array,
    factor: Factor,
    key: Key,
    stream: Array,
    units: bool,
) -> dict[str, Array]:
    """Observables at Z, of shapes as in the cube.

    With `units` also, for every unit, an exact draw of its readout weight given the hidden ones (`unit_readout`)
    and its hidden weight along the signal direction (`unit_signal`).
    """
    import jax.numpy as jnp

    test_inputs = stream + jnp.uint32(2)
    record = observables(problem, activation, hidden, preactivation, features, factor, key, test_inputs)
    if units:
        record["unit_readout"] = draw_readout(problem, features, factor, key, stream + jnp.uint32(3))
        record["unit_signal"] = problem.signal @ hidden
    return record


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
    """Follow `count` steps; returns position, momentum and gradient at the end."""
    import jax
    import jax.numpy as jnp

    def body(index: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        position, momentum, slope = carry
        # The step before the first is one of no length, for the gradient at the start. In the same loop, since
        # compiling the gradient a second time would take a second.
        angle = jnp.where(index > 0, step, 0.0)
        kick = jnp.where(move.free, 0.0, 0.5 * angle)
        cosine, sine = jnp.cos(angle), jnp.sin(angle)
        momentum = momentum + kick * slope
        position, momentum = cosine * position + sine * momentum, cosine * momentum - sine * position
        slope = gradient(problem, activation, position, dtype)
        return position, momentum + kick * slope, slope

    first = 1 - jnp.asarray(move.fresh).astype(jnp.int32)
    return jax.lax.fori_loop(
        first, jnp.asarray(count, jnp.int32) + 1, body, (state.hidden, momentum, state.gradient)
    )


def trajectory(
    problem: Problem,
    activation: Activation,
    rule: Rule,
    key: Key,
    state: State,
    dtype: Any,
    *,
    measured: Array | bool,
    move: Move = Move(),  # noqa: B008 (immutable)
    units: bool = False,
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
    count, length = jnp.where(move.free, 1, count), jnp.where(move.free, jnp.pi / 2, length)
    step, count = length / count, jnp.where(move.still, 0, count)
    position, end_momentum, slope = propose(problem, activation, state, momentum, step, count, dtype, move)

    def energies(index: Array, carry: tuple[Array, Any]) -> tuple[Array, Any]:
        # start, if its energy is needed anew, and end; in one loop, so as to compile it once
        at = likelihood(problem, activation, jnp.where(index == 0, state.hidden, position))
        return jnp.where(index == 0, at[2].log_likelihood, carry[0]), at

    shapes = jax.eval_shape(partial(likelihood, problem, activation), position)
    nothing = jax.tree.map(lambda value: jnp.zeros(value.shape, value.dtype), shapes)
    before, (preactivation, features, factor) = jax.lax.fori_loop(
        1 - jnp.asarray(move.fresh).astype(jnp.int32), 2, energies, (state.log_likelihood, nothing)
    )
    energy_error = (
        before
        - factor.log_likelihood
        + 0.5 * (_square(position) + _square(end_momentum) - _square(state.hidden) - _square(momentum))
    )
    acceptance = jnp.nan_to_num(jnp.exp(-jnp.maximum(energy_error, 0.0)))
    accepted = (random[1] < acceptance) | move.free
    record = state.record
    if record:

        def record_of_end() -> dict[str, Array]:
            return measure(problem, activation, position, preactivation, features, factor, key, stream, units)

        record = jax.lax.cond(accepted & measured, record_of_end, lambda: state.record)
    # while the temperature moves, what is kept of a rejected trajectory is computed anew before the next
    proposal = state._replace(hidden=position, log_likelihood=factor.log_likelihood, gradient=slope)
    state = jax.tree.map(partial(jnp.where, accepted), proposal, state)
    state = state._replace(trajectory=state.trajectory + jnp.uint32(1), record=record)
    return state, Info(acceptance, count + move.fresh, ~(energy_error < 1000.0))


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


class Stretch(NamedTuple):
    """A number of trajectories in a row, of the warm-up or of the draws; traced.

    Parameters
    ----------
    drawing : bool
        Draws, at a fixed step and with observables; else warm-up.
    opening : bool
        Whether this is where the warm-up or the draws begin.
    first, trajectories : int
        Index of the first trajectory in the warm-up, and their number.
    warmup : int
        Trajectories of the whole warm-up.
    """

    drawing: Array | bool
    opening: Array | bool
    first: Array | int
    trajectories: Array | int
    warmup: Array | int


def advance(
    problem: Problem,
    rule: Rule,
    key: Key,
    state: State,
    stretch: Stretch,
    *,
    activation: Activation,
    length: int,
    dtype: Any,
    units: bool = False,
) -> tuple[State, tuple[dict[str, Array], Info]]:
    """Up to `length` trajectories; returns the state, and records and reports in arrays with `length` first.

    The warm-up anneals from the prior to the posterior, then adapts the step size. At low temperature a chain
    started from the prior fits the labels at once with weights that have learned nothing, and then takes hundreds
    of trajectories to learn. Three fifths of the warm-up therefore lower the temperature geometrically from
    max(T, 1) to T; the rest adapts the step at T.

    Warm-up and draws are one program, as compiling it takes as long as many a grid point takes.
    """
    import jax
    import jax.numpy as jnp

    annealed = jnp.maximum((3 * jnp.asarray(stretch.warmup)) // 5, 1)
    hottest = jnp.maximum(problem.temperature, 1.0)
    drawing = jnp.asarray(stretch.drawing)

    def body(index: Array, carry: tuple[State, Any]) -> tuple[State, Any]:
        state, rows = carry
        opening, row = index < 0, jnp.maximum(index, 0)
        age = stretch.first + row
        progress = jnp.where(drawing, 1.0, jnp.minimum((age + 1.0) / annealed, 1.0))
        cooled = hottest * (problem.temperature / hottest) ** progress
        now = problem._replace(temperature=jnp.where(progress < 1.0, cooled, problem.temperature))
        move = Move(fresh=~drawing | opening, free=~drawing & opening, still=drawing & opening)
        state, info = trajectory(
            now, activation, rule, key, state, dtype, measured=drawing, move=move, units=units
        )
        # while the temperature moves, the early history of the step size counts little: restart every 20
        age = jnp.where(age < annealed, age % 20, age - annealed)
        adapted = adapt(rule, _restart(state, age == 0), info, age.astype(jnp.float64))
        fixed = drawing | opening
        state = state._replace(
            log_step=jnp.where(fixed, state.log_step, adapted.log_step),
            adaptation=jnp.where(fixed, state.adaptation, adapted.adaptation),
        )
        rows = jax.tree.map(lambda all, one: all.at[row].set(one), rows, (state.record, info))
        return state, rows

    def empty(value: Array) -> Array:
        return jnp.zeros((length, *value.shape), value.dtype)

    info = Info(jnp.float64(0.0), jnp.int32(0), jnp.zeros((), bool))
    rows = jax.tree.map(empty, (state.record, info))
    first = -jnp.asarray(stretch.opening).astype(jnp.int32)
    return jax.lax.fori_loop(first, jnp.asarray(stretch.trajectories, jnp.int32), body, (state, rows))


def warm_up(
    problem: Problem, rule: Rule, key: Key, *, activation: Activation, width: int, count: int, dtype: Any
) -> tuple[State, Array]:
    """The whole warm-up in one call; returns state and gradients spent."""
    start = empty_state(problem.inputs_train.shape[1], width)
    state, (_, info) = advance(
        problem,
        rule,
        key,
        start,
        Stretch(False, True, 0, count, count),
        activation=activation,
        length=count,
        dtype=dtype,
    )
    return state._replace(log_step=state.adaptation[1]), info.gradients.sum()


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
    """`count` draws at fixed step size with their observables, in one call."""
    width = state.hidden.shape[1]
    state = state._replace(record=empty_record(problem, activation, width, units))
    return advance(
        problem,
        rule,
        key,
        state,
        Stretch(True, True, 0, count, 0),
        activation=activation,
        length=count,
        dtype=dtype,
        units=units,
    )


def _square(values: Array) -> Array:
    return (values * values).sum()
