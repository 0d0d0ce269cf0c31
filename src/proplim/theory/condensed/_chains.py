"""Chains of the explicit units: where they start, their frame, and how far apart draws are kept.

Chains of one unit begin near a mode, in the frame of the Hessian there. Where the measure is broad, from an ordinary
unit to a heavy one, that frame does not fit; the mean of the Hessian over a few chains does, and is taken again
while the chains still move. Chains of more units go on from those of fewer, with the largest of the others added:
the mode of several units has several heavy ones, which the measure, entropy included, has not. Trajectories between
draws are doubled until draws forget each other, which warms the chains up as well.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import erf, erfinv

from proplim.theory.condensed import _phases
from proplim.theory.condensed._hmc import (
    Chains,
    Frame,
    Target,
    Walk,
    advance,
    begin,
    frame_at,
    resume,
    without_lost,
)
from proplim.theory.condensed._measure import Measure
from proplim.theory.condensed._ordered import Ordered

CHAINS = 64
"""Chains side by side."""
FIRST_WALK = 16
"""Trajectories in the frame of the mode."""
WARM_WALK = 60
"""Trajectories after a unit has been added, before chains are watched: a second heavy unit comes and goes slowly."""
START_WIDTH = 0.7
"""Spread of the starts, in deviations of the Gaussian at the mode."""
START_FLOOR, FLOOR = 0.7, 0.3
"""Least curvatures of the frames at the mode and of the mean Hessian; flatter directions keep these."""
HESSIANS = 8
"""Chains at which the Hessian is averaged."""
SMALLEST_GAP = 1e-3
"""Gap of a start between a readout that becomes explicit and the largest that does not, in deviations of the others."""
PILOT_DRAWS, LAG = 24, 4
SETTLING_DRAWS = 8
"""Draws thrown away after the measure has changed a little."""
LARGEST_CORRELATION = np.array([0.4, 0.4, 0.75])
"""Correlations at LAG draws of the share, the largest and the smallest explicit readout from which on more trajectories
lie between two draws."""
MOST_THINNING = 2
LARGEST_DRIFT = 3.0
"""Change within a pilot run, in its standard errors, from which on the chains are on their way still."""
MOST_PILOTS = 10
"""Pilot runs after which the chains are taken as they are."""


class Ensemble(NamedTuple):
    """Chains of the explicit units and where they stopped.

    Parameters
    ----------
    theta : (draws, chains, d) array
        Coordinates of the measure.
    acceptance : float
    last : (chains, d') array
        Coordinates of the walk, from which the chains of a measure with another reaction go on.
    frame : Frame
    steps : int
        Kicks of a trajectory.
    thinning : int
        Trajectories between two draws.
    """

    theta: np.ndarray
    acceptance: float
    last: np.ndarray
    frame: Frame
    steps: int
    thinning: int


def ordered_mode(measure: Measure, start: np.ndarray) -> np.ndarray:
    """Mode of eq. (C.9) that a state of the measure leads to."""
    ordered = Ordered(measure)
    return _phases.minimise(ordered.target, ordered.start(start))


def sample_units(measure: Measure, start: np.ndarray, draws: int, rng: np.random.Generator) -> Ensemble:
    """Sample the measure of the largest unit, from near the mode that `start` leads to."""
    ordered = Ordered(measure)
    return _settle(ordered, _near_mode(ordered, start, rng), draws, rng)


def start_units(measure: Measure, start: np.ndarray, rng: np.random.Generator) -> Ensemble:
    """One draw of the largest unit near the mode that `start` leads to, for chains of more units to go on from."""
    ordered = Ordered(measure)
    walk = _reframed(ordered, _near_mode(ordered, start, rng), rng)
    return _keep(ordered, advance(walk, FIRST_WALK, 1, rng)[0], 1, 1, rng)


def _near_mode(ordered: Ordered, start: np.ndarray, rng: np.random.Generator) -> Walk:
    centre = ordered_mode(ordered.measure, start)
    frame = frame_at(centre, _phases.hessian_at(ordered.target, centre), START_FLOOR)
    walk = begin(ordered.target, frame, START_WIDTH * rng.standard_normal((CHAINS, len(centre))), rng)
    return advance(walk, FIRST_WALK, 1, rng)[0]


def add_units(measure: Measure, before: Ensemble, draws: int, rng: np.random.Generator) -> Ensemble:
    """Sample the measure of more units than the chains `before` have, and go on from where those stopped.

    The largest of the others become explicit, with readouts of truncated Gaussians below the largest and hidden weights
    of the prior.
    """
    ordered = Ordered(measure)
    theta = _with_others(measure, before, rng)
    frame = frame_of_chains(ordered.target, theta, START_FLOOR)
    walk, _ = advance(begin(ordered.target, frame, _in_frame(frame, theta), rng), FIRST_WALK, 1, rng)
    walk, _ = advance(_reframed(ordered, walk, rng), WARM_WALK, 1, rng)
    return _settle(ordered, walk, draws, rng)


def _with_others(measure: Measure, before: Ensemble, rng: np.random.Generator) -> np.ndarray:
    """Coordinates of eq. (C.9) with the largest of the others, drawn from their prior, among the explicit units."""
    last, rank = before.last, measure.rank
    units = (last.shape[1] - 2) // (rank + 1)
    more = measure.units - units
    split = units * rank
    edge, deviation = np.exp(last[:, -2]), np.exp(0.5 * last[:, -1]) / np.sqrt(measure.lambda1)
    # of the others, n = N - units, the largest is known and the rest are below it
    count = max(round(measure.width) - units - 1, more)
    inside = rng.random((len(last), count)) * erf(edge / deviation / np.sqrt(2.0))[:, None]
    below = np.sort(erfinv(inside), axis=1)[:, ::-1][:, :more] * np.sqrt(2.0) * deviation[:, None]
    added = np.concatenate([edge[:, None], below], axis=1)
    readouts = np.concatenate([edge[:, None] + np.exp(last[:, split:-2]), added[:, :-1]], axis=1)
    gaps = np.maximum(readouts - added[:, -1:], SMALLEST_GAP * deviation[:, None])
    hidden = rng.standard_normal((len(last), more * rank))
    tail = np.stack([np.log(added[:, -1]), last[:, -1]], axis=1)
    return np.concatenate([last[:, :split], hidden, np.log(gaps), tail], axis=1)


def _settle(ordered: Ordered, walk: Walk, draws: int, rng: np.random.Generator) -> Ensemble:
    """Chains in a frame and at a distance of draws that fit the measure."""
    walk, thinning = _reframed(ordered, walk, rng), 1
    for _ in range(MOST_PILOTS):
        walk, pilot = advance(walk, PILOT_DRAWS, thinning, rng)
        series = _series(ordered, pilot)
        forgotten = bool((_correlations(series) < LARGEST_CORRELATION).all())
        if (forgotten or thinning == MOST_THINNING) and _drift(series) < LARGEST_DRIFT:
            break
        if not forgotten:
            thinning = min(2 * thinning, MOST_THINNING)
        walk = _reframed(ordered, walk, rng)
    return _keep(ordered, walk, draws, thinning, rng)


def apart(measure: Measure, chains: Ensemble) -> float:
    """Share of the draws whose smallest explicit readout is apart from the crowd of the others."""
    states = measure.unpack(chains.theta.reshape(-1, measure.dimension))
    return float((states.v.min(axis=1) > _phases.least_apart(measure, states.u)).mean())


def _reframed(ordered: Ordered, walk: Walk, rng: np.random.Generator) -> Walk:
    """The walk in the frame of the mean Hessian where the chains are now, none of them lost."""
    theta = without_lost(walk).theta
    frame = frame_of_chains(ordered.target, theta, FLOOR)
    return begin(ordered.target, frame, _in_frame(frame, theta), rng, walk)


def frame_of_chains(target: Target, theta: np.ndarray, floor: float) -> Frame:
    """Frame of the mean Hessian at some of the chains `theta` (chains, d), around their mean."""
    hessian = np.mean([_phases.hessian_at(target, x) for x in theta[:: CHAINS // HESSIANS]], axis=0)
    return frame_at(theta.mean(axis=0), hessian, floor)


def go_on(measure: Measure, before: Ensemble, draws: int, rng: np.random.Generator) -> Ensemble:
    """The same chains in a measure that has changed a little."""
    ordered = Ordered(measure)
    walk = begin(ordered.target, before.frame, _in_frame(before.frame, before.last), rng)
    walk, _ = advance(walk, SETTLING_DRAWS, before.thinning, rng)
    return _keep(ordered, walk, draws, before.thinning, rng)


def longer(measure: Measure, before: Ensemble, draws: int, rng: np.random.Generator) -> Ensemble:
    """`before` with as many more draws of the same measure."""
    ordered = Ordered(measure)
    walk = resume(ordered.target, before.frame, before.steps, _in_frame(before.frame, before.last))
    more = _keep(ordered, walk, draws, before.thinning, rng)
    return more._replace(theta=np.concatenate([before.theta, more.theta]))


def _in_frame(frame: Frame, theta: np.ndarray) -> np.ndarray:
    return np.linalg.solve(frame.axes.T, (theta - frame.centre).T).T


def _keep(ordered: Ordered, walk: Walk, draws: int, thinning: int, rng: np.random.Generator) -> Ensemble:
    walk, chains = advance(walk, draws, thinning, rng)
    shape = (draws, CHAINS, ordered.measure.dimension)
    states = ordered.states(chains.theta.reshape(draws * CHAINS, -1)).reshape(shape)
    return Ensemble(states, chains.acceptance, walk.theta, walk.frame, walk.steps, thinning)


def _series(ordered: Ordered, chains: Chains) -> np.ndarray:
    """Share, largest and smallest explicit readout, (3, draws, chains)."""
    measure = ordered.measure
    states = measure.unpack(ordered.states(chains.theta.reshape(-1, ordered.dimension)))
    share = measure.terms(states).contribution @ measure.problem.spectrum.labels
    values = np.stack([share, states.v.max(axis=1), states.v.min(axis=1)])
    return values.reshape(3, len(chains.theta), -1)


def _correlations(series: np.ndarray) -> np.ndarray:
    """At LAG draws, of every series."""
    x = series - series.mean(axis=(1, 2), keepdims=True)
    return np.asarray((x[:, LAG:] * x[:, :-LAG]).mean(axis=(1, 2)) / (x * x).mean(axis=(1, 2)))


def _drift(series: np.ndarray) -> float:
    """Largest change from the first half of the draws to the second, in its standard errors over chains."""
    half = series.shape[1] // 2
    change = series[:, half:].mean(axis=1) - series[:, :half].mean(axis=1)
    error = change.std(axis=1, ddof=1) / np.sqrt(change.shape[1])
    return float((np.abs(change.mean(axis=1)) / error).max())
