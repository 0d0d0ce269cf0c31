"""Hamiltonian Monte Carlo of the explicit unit, the Gaussian part of its measure turned exactly.

In coordinates x = R^T (theta - mode) in which the Hessian at the mode is one, U is |x|^2/2 and a rest. Half kicks
by the rest enclose an exact rotation in (x, p) by an angle eps. Chains run side by side, a row each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

PATH_LENGTH = 0.5 * np.pi
"""A quarter turn of the Gaussian part takes position into momentum."""
JITTER = 0.2
"""Relative half-width of the path lengths."""
STEPS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48)
"""Kicks of a trajectory, tried in turn until LEAST_ACCEPTANCE is met on PILOT trajectories."""
LEAST_ACCEPTANCE = 0.8
PILOT = 6
LOST = 8.0
"""Energy above the median, in the deviations of a Gaussian's, from which on a chain is lost."""

Target = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Frame:
    """Affine coordinates: theta = centre + x @ axes."""

    centre: np.ndarray
    axes: np.ndarray  # (d, d)

    @cached_property
    def single(self) -> np.ndarray:
        """The axes in single precision."""
        return np.ascontiguousarray(self.axes, dtype=np.float32)

    @cached_property
    def single_centre(self) -> np.ndarray:
        """The centre in single precision."""
        return self.centre.astype(np.float32)


class State(NamedTuple):
    """Coordinates x of all chains, energy U, and gradient of U - |x|^2/2.

    Coordinates and gradients are in single precision: rounding makes U and its gradient functions of x that differ from
    the exact ones by less than 1e-4, and trajectories along them are as reversible as any.
    """

    x: np.ndarray
    energy: np.ndarray
    rest: np.ndarray


class Chains(NamedTuple):
    """Draws of all chains, their mean acceptance, and the kicks of a trajectory."""

    theta: np.ndarray  # (draws, chains, d)
    acceptance: float
    steps: int


def frame_at(centre: np.ndarray, hessian: np.ndarray, floor: float = 0.1) -> Frame:
    """Coordinates in which a Hessian is one; directions flatter than `floor` keep that curvature."""
    values, vectors = np.linalg.eigh(hessian)
    return Frame(centre, (vectors / np.sqrt(np.maximum(values, floor))).T)


class Walk(NamedTuple):
    """Chains on their way: target, frame, kicks of a trajectory, and where they are."""

    target: Target
    frame: Frame
    steps: int
    state: State

    @property
    def theta(self) -> np.ndarray:
        """Where the chains are, (chains, d)."""
        return self.frame.centre + self.state.x @ self.frame.axes


def begin(
    target: Target, frame: Frame, start: np.ndarray, rng: np.random.Generator, before: Walk | None = None
) -> Walk:
    """Chains from `start` (chains, d) in coordinates of `frame`, with the fewest kicks that are accepted.

    Where there is a walk `before` in a frame or a target that is alike, a step fewer than it had are the first tried.
    """
    first = 0 if before is None else max(STEPS.index(before.steps) - 1, 0)
    walk = resume(target, frame, STEPS[first], start)
    state = walk.state
    for steps in STEPS[first:]:
        total = 0.0
        for _ in range(PILOT):
            state, rate = _trajectory(target, frame, state, steps, rng)
            total += rate / PILOT
        if total >= LEAST_ACCEPTANCE:
            break
    return walk._replace(steps=steps, state=state)


def resume(target: Target, frame: Frame, steps: int, start: np.ndarray) -> Walk:
    """Chains from `start` (chains, d) in coordinates of `frame`, with as many kicks as they had before."""
    start = start.astype(np.float32)
    return Walk(target, frame, steps, State(start, *_rest(target, frame, start)))


def advance(walk: Walk, draws: int, thinning: int, rng: np.random.Generator) -> tuple[Walk, Chains]:
    """`draws` states of all chains, every `thinning` trajectories one."""
    state = walk.state
    kept, rates = np.empty((draws, *state.x.shape), dtype=np.float32), 0.0
    for i in range(draws * thinning):
        state, rate = _trajectory(walk.target, walk.frame, state, walk.steps, rng)
        kept[i // thinning] = state.x
        rates += rate / (draws * thinning)
    chains = Chains(walk.frame.centre + kept @ walk.frame.axes, rates, walk.steps)
    return walk._replace(state=state), chains


def without_lost(walk: Walk) -> Walk:
    """The walk with chains that have not come down to the others' energies put where other chains are.

    For warming up alone: a start in a corner that is too narrow for the steps of the rest never leaves it.
    """
    energy, d = walk.state.energy, walk.state.x.shape[1]
    lost = energy > np.median(energy) + LOST * np.sqrt(0.5 * d)
    places = np.flatnonzero(~lost)[: int(lost.sum())]
    rows = np.arange(len(energy))
    rows[np.flatnonzero(lost)[: len(places)]] = places
    return walk._replace(state=State(*(part[rows] for part in walk.state)))


def run_chains(
    target: Target, frame: Frame, start: np.ndarray, warm: int, draws: int, rng: np.random.Generator
) -> Chains:
    """Sample exp(-U) from `start` (chains, d) in coordinates of `frame`."""
    walk = begin(target, frame, start, rng)
    walk, _ = advance(walk, warm, 1, rng)
    return advance(walk, draws, 1, rng)[1]


def _rest(target: Target, frame: Frame, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """U and the gradient of U - |x|^2/2 in x."""
    theta = x @ frame.single
    theta += frame.single_centre
    energy, gradient = target(theta)
    rest = gradient @ frame.single.T
    rest -= x
    return energy, rest


def _trajectory(
    target: Target, frame: Frame, state: State, steps: int, rng: np.random.Generator
) -> tuple[State, float]:
    """One trajectory of random length, accepted or not, and the mean acceptance."""
    x, energy, rest = state
    p: np.ndarray = rng.standard_normal(x.shape, dtype=np.float32)
    eps = PATH_LENGTH / steps * (1.0 + JITTER * (2.0 * rng.random() - 1.0))
    cos, sin, half = (np.float32(value) for value in (np.cos(eps), np.sin(eps), 0.5 * eps))
    before = energy + 0.5 * _squares(p)
    x1, e1, r1 = x, energy, rest
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(steps):
            # two half kicks by the rest at one place are a whole one
            p -= (half if step == 0 else half + half) * r1
            x1, p = cos * x1 + sin * p, cos * p - sin * x1
            e1, r1 = _rest(target, frame, x1)
        p -= half * r1
        change = before - e1 - 0.5 * _squares(p)
    change = np.where(np.isfinite(change), change, -np.inf)
    accepted = np.log(rng.random(len(x))) < change
    pick = accepted[:, None]
    new = State(np.where(pick, x1, x), np.where(accepted, e1, energy), np.where(pick, r1, rest))
    return new, float(np.minimum(1.0, np.exp(np.minimum(change, 0.0))).mean())


def _squares(p: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", p, p).astype(float)
