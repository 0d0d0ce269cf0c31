"""From the state of a theory to the observables of the cubes.

A theory describes grid points by a :class:`~proplim.observables.State`. What :mod:`proplim.observables` reads from a
state is found here, for every theory in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from proplim.observables import State, variables_of
from proplim.theory._blocks import BLOCK, in_product_blocks

Values = dict[str, np.ndarray]


def nothing(state: Any) -> Values:
    """Of states that hold nothing beside the observables."""
    return {}


@dataclass(frozen=True)
class States:
    """States of grid points, made in blocks of one fixed shape.

    Parameters
    ----------
    state : callable
        (block, ...) arrays, one for each of `fields` -> the state of the block's points.
    fields : tuple of (m, ...) arrays
        What distinguishes the points: temperature, width, order parameter, ...
    points : (k,) array of int, optional
        Which of the grid points these are; by default all of them, in order.
    rows : (k,) array of int, optional
        Row of the fields that belongs to each of these points; by default one row a point, in order.
    block : int
        Points in a block.
    report : callable
        state -> what else follows from it, by variable name.
    """

    state: Callable[..., State]
    fields: tuple[np.ndarray, ...]
    points: np.ndarray | slice = field(default_factory=lambda: slice(None))
    rows: np.ndarray | slice = field(default_factory=lambda: slice(None))
    block: int = BLOCK
    report: Callable[[Any], Values] = nothing


@dataclass(frozen=True)
class Solution:
    """What a theory says about n grid points.

    Parameters
    ----------
    values : mapping of (n, ...) arrays
        What it reports itself, `converged` (n,) among it. It has precedence over what follows from the states.
    states : tuple of States
        Together of all points about which the theory has something to say.
    """

    values: Mapping[str, np.ndarray]
    states: tuple[States, ...] = ()


def values_of(solved: Solution | State | Mapping[str, np.ndarray], n_points: int) -> Values:
    """All variables of n grid points from whatever a theory returned.

    Parameters
    ----------
    solved : Solution, State or mapping
        A state counts as converged where its <v^2> is finite.
    n_points : int

    Returns
    -------
    dict of (n, ...) arrays
    """
    if isinstance(solved, Mapping):
        return dict(solved)
    if not isinstance(solved, Solution):
        values = observables_of(solved)
        return values | {"converged": np.isfinite(solved.readout_variance).astype(float)}
    result = dict(solved.values)
    for states in solved.states:
        for name, value in _in_blocks(states, solved.values).items():
            if name not in result:
                result[name] = np.full((n_points, *value.shape[1:]), np.nan)
            result[name][states.points] = value[states.rows]
    return result


def observables_of(state: State, but: Collection[str] = ()) -> Values:
    """Every observable that follows from a state of n points, except those named in `but`.

    Returns
    -------
    dict of (n, ...) arrays
        An observable of inputs has the axis `split` after the points, NaN where there are no test inputs.
    """
    result = {}
    targets = state.train.targets
    for observable in variables_of("theory", targets.shape[1] if targets.ndim == 2 else 1):
        function = observable.of_state()
        if function is not None and observable.name not in but:
            of_inputs = observable.dims[:1] == ("split",)
            result[observable.name] = (
                _of_both_splits(function, state) if of_inputs else np.asarray(function(state))
            )
    return result


def _of_both_splits(function: Callable[..., Any], state: State) -> np.ndarray:
    train = np.asarray(function(state, state.train))
    test = np.full_like(train, np.nan) if state.test is None else np.asarray(function(state, state.test))
    return np.stack([train, test], axis=1)


def _in_blocks(states: States, but: Collection[str]) -> Values:
    def block(*fields: np.ndarray) -> Values:
        state = states.state(*fields)
        return {k: v for k, v in states.report(state).items() if k not in but} | observables_of(state, but)

    return in_product_blocks(block, *states.fields, block=states.block)
