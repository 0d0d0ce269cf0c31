"""The compiled program: a number of trajectories in a row, of the warm-up or of the draws.

Warm-up and draws are one program, as compiling it takes as long as many a grid point takes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np

from proplim.activations import Activation
from proplim.sampling._adaptation import Schedule, StepSize, adapted, first_step, renewed
from proplim.sampling._draw import Recorded
from proplim.sampling._kernel import Info, Move, Rule, State, empty_record, empty_state, trajectory
from proplim.sampling._random import Key
from proplim.sampling._target import Problem

Array = Any

BLOCK = 50
"""Trajectories of a compiled call at most; checks of convergence fall on multiples of it."""


class Path(NamedTuple):
    """Numbers that shape every trajectory: path length, its jitter, and the acceptance to adapt to."""

    length: Array
    jitter: Array
    target_acceptance: Array


class Chain(NamedTuple):
    """A chain with its step size."""

    state: State
    step: StepSize


class Stretch(NamedTuple):
    """What a call of the program is asked for; traced.

    Parameters
    ----------
    drawing : bool
        Draws, at a fixed step and with observables; else warm-up.
    opening : bool
        Begin with a draw of the prior (warm-up), or with the observables of where the chain is (draws).
    trajectories : int
        How many.
    temperatures, ages : (length,) arrays
        Of the warm-up, see :class:`proplim.sampling._adaptation.Schedule`.
    """

    drawing: Array | bool
    opening: Array | bool
    trajectories: Array | int
    temperatures: Array
    ages: Array


def draws_stretch(temperature: float, opening: bool, count: int = BLOCK, length: int = BLOCK) -> Stretch:
    """`count` draws at one temperature."""
    import jax.numpy as jnp

    return Stretch(True, opening, count, jnp.full(length, temperature), jnp.zeros(length))


def warmup_stretch(schedule: Schedule, first: int, opening: bool, length: int = BLOCK) -> Stretch:
    """Up to `length` trajectories of a warm-up from number `first` on."""
    part = [np.asarray(values)[first : first + length] for values in schedule]
    count = len(part[0])
    return Stretch(False, opening, count, *(np.pad(values, (0, length - count), "edge") for values in part))


def advance(
    problem: Problem,
    path: Path,
    key: Key,
    chain: Chain,
    stretch: Stretch,
    *,
    activation: Activation,
    length: int,
    dtype: Any,
    what: Recorded,
) -> tuple[Chain, tuple[dict[str, Array], Info, Array]]:
    """Up to `length` trajectories.

    Returns
    -------
    chain : Chain
    rows : tuple
        Records, reports and step sizes in arrays with `length` first.
    """
    import jax
    import jax.numpy as jnp

    drawing = jnp.asarray(stretch.drawing)

    def body(index: Array, carry: tuple[Chain, Any]) -> tuple[Chain, Any]:
        (state, step), rows = carry
        opening, row = index < 0, jnp.maximum(index, 0)
        now = problem._replace(temperature=jnp.asarray(stretch.temperatures)[row])
        age = jnp.asarray(stretch.ages)[row]
        move = Move(free=~drawing & opening, still=drawing & opening)
        rule = Rule(path.length, path.jitter, step.log_step)
        state, info = trajectory(
            now, activation, rule, key, state, dtype, measured=drawing, what=what, move=move
        )
        learned = adapted(renewed(step, age == 0), info.acceptance, path.target_acceptance, age)
        step = jax.tree.map(partial(jnp.where, drawing | opening), step, learned)
        taken = jnp.exp(rule.log_step)
        rows = jax.tree.map(lambda all, one: all.at[row].set(one), rows, (state.record, info, taken))
        return Chain(state, step), rows

    def empty(value: Array) -> Array:
        return jnp.zeros((length, *value.shape), value.dtype)

    real = jnp.float64(0.0)
    info = Info(real, jnp.int32(0), jnp.zeros((), bool), real, real, real)
    rows = jax.tree.map(empty, (chain.state.record, info, real))
    first = -jnp.asarray(stretch.opening).astype(jnp.int32)
    return jax.lax.fori_loop(first, jnp.asarray(stretch.trajectories, jnp.int32), body, (chain, rows))


@lru_cache(maxsize=32)
def program(activation: Activation, what: Recorded, dtype: Any) -> Any:
    """Compiled :func:`advance`; temperature and priors are arguments, so all temperatures share it."""
    import jax

    run = partial(advance, activation=activation, length=BLOCK, dtype=dtype, what=what)
    return jax.jit(run, compiler_options=_compiler_options())


def _compiler_options() -> dict[str, Any]:
    """One thread a program, also where JAX was set up by someone else."""
    import jax

    return {"xla_cpu_multi_thread_eigen": False} if jax.default_backend() == "cpu" else {}


def warm_up(
    problem: Problem,
    path: Path,
    key: Key,
    schedule: Schedule,
    *,
    activation: Activation,
    width: int,
    dtype: Any,
    start: Callable[[Array], Array] = lambda hidden: hidden,
) -> tuple[Chain, Array]:
    """A whole warm-up in one call; returns the chain and the gradients spent.

    It begins at `start` of a draw of the hidden weights from the prior, by default that draw itself.
    """
    count = len(schedule.ages)
    run = partial(
        advance, problem, path, key, activation=activation, length=count, dtype=dtype, what=Recorded(())
    )
    stretch = warmup_stretch(schedule, 0, opening=True, length=count)
    nowhere = Chain(empty_state(problem, width), first_step())
    chain, _ = run(nowhere, stretch._replace(trajectories=0))
    unknown = np.float64(np.nan)
    state = chain.state._replace(hidden=start(chain.state.hidden), temperature=unknown)
    chain, (_, info, _) = run(chain._replace(state=state), stretch._replace(opening=False))
    return settled(chain), info.gradients.sum()


def settled(chain: Chain) -> Chain:
    """The chain at the mean step of its adaptation."""
    return chain._replace(step=chain.step._replace(log_step=chain.step.average))


def sample(
    problem: Problem,
    path: Path,
    key: Key,
    chain: Chain,
    *,
    activation: Activation,
    count: int,
    dtype: Any,
    what: Recorded,
) -> tuple[Chain, tuple[dict[str, Array], Info, Array]]:
    """`count` draws at fixed step size with their observables, in one call."""
    width = chain.state.hidden.shape[1]
    record = empty_record(problem, activation, width, what)
    return advance(
        problem,
        path,
        key,
        chain._replace(state=chain.state._replace(record=record)),
        draws_stretch(problem.temperature, opening=True, count=count, length=count),
        activation=activation,
        length=count,
        dtype=dtype,
        what=what,
    )
