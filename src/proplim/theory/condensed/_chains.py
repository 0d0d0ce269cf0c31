"""Chains of the explicit units: where they start, their frame, and how far apart draws are kept.

Chains begin near a mode, in the frame of the Hessian there. Where the measure is broad, from an ordinary unit to a
heavy one, that frame does not fit; the mean of the Hessian over a few chains does. Trajectories between draws are
doubled until draws forget each other, which warms the chains up as well.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from proplim.theory.condensed import _phases
from proplim.theory.condensed._hmc import Chains, Frame, Walk, advance, begin, frame_at
from proplim.theory.condensed._measure import Measure
from proplim.theory.condensed._ordered import Ordered

CHAINS = 64
"""Chains side by side."""
FIRST_WALK = 16
"""Trajectories in the frame of the mode."""
START_WIDTH = 0.7
"""Spread of the starts, in deviations of the Gaussian at the mode."""
START_FLOOR, FLOOR = 0.7, 0.3
"""Least curvatures of the frames at the mode and of the mean Hessian; flatter directions keep these."""
HESSIANS = 8
"""Chains at which the Hessian is averaged."""
PILOT_DRAWS, LAG = 24, 4
SETTLING_DRAWS = 8
"""Draws thrown away after the measure has changed a little."""
LARGEST_CORRELATION = 0.4
"""Correlation at LAG draws from which on more trajectories lie between two draws."""
MOST_THINNING = 8


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
    thinning : int
        Trajectories between two draws.
    """

    theta: np.ndarray
    acceptance: float
    last: np.ndarray
    frame: Frame
    thinning: int


def ordered_mode(measure: Measure, start: np.ndarray) -> np.ndarray:
    """Mode of eq. (C.9) that a state of the measure leads to."""
    ordered = Ordered(measure)
    return _phases.minimise(ordered.target, ordered.start(start))


def sample_units(measure: Measure, start: np.ndarray, draws: int, rng: np.random.Generator) -> Ensemble:
    """Sample the measure of the largest units, from near the mode that `start` leads to."""
    ordered = Ordered(measure)
    centre = ordered_mode(measure, start)
    frame = frame_at(centre, _phases.hessian_at(ordered.target, centre), START_FLOOR)
    walk = begin(ordered.target, frame, START_WIDTH * rng.standard_normal((CHAINS, len(centre))), rng)
    walk, _ = advance(walk, FIRST_WALK, 1, rng)
    some = walk.theta[:: CHAINS // HESSIANS]
    hessian = np.mean([_phases.hessian_at(ordered.target, x) for x in some], axis=0)
    frame = frame_at(walk.theta.mean(axis=0), hessian, FLOOR)
    walk, thinning = begin(ordered.target, frame, _in_frame(frame, walk.theta), rng), 1
    while True:
        walk, pilot = advance(walk, PILOT_DRAWS, thinning, rng)
        if thinning >= MOST_THINNING or _correlation(ordered, pilot) < LARGEST_CORRELATION:
            break
        thinning *= 2
    return _keep(ordered, walk, draws, thinning, rng)


def go_on(measure: Measure, before: Ensemble, draws: int, rng: np.random.Generator) -> Ensemble:
    """The same chains in a measure that has changed a little."""
    ordered = Ordered(measure)
    walk = begin(ordered.target, before.frame, _in_frame(before.frame, before.last), rng)
    walk, _ = advance(walk, SETTLING_DRAWS, before.thinning, rng)
    return _keep(ordered, walk, draws, before.thinning, rng)


def _in_frame(frame: Frame, theta: np.ndarray) -> np.ndarray:
    return np.linalg.solve(frame.axes.T, (theta - frame.centre).T).T


def _keep(ordered: Ordered, walk: Walk, draws: int, thinning: int, rng: np.random.Generator) -> Ensemble:
    walk, chains = advance(walk, draws, thinning, rng)
    shape = (draws, CHAINS, ordered.measure.dimension)
    states = ordered.states(chains.theta.reshape(draws * CHAINS, -1)).reshape(shape)
    return Ensemble(states, chains.acceptance, walk.theta, walk.frame, thinning)


def _correlation(ordered: Ordered, chains: Chains) -> float:
    """Largest correlation at LAG draws of the share, the largest and the smallest explicit readout."""
    measure = ordered.measure
    states = measure.unpack(ordered.states(chains.theta.reshape(-1, ordered.dimension)))
    share = measure.terms(states).contribution @ measure.problem.spectrum.labels
    largest = 0.0
    for values in (share, states.v.max(axis=1), states.v.min(axis=1)):
        x = (values - values.mean()).reshape(len(chains.theta), -1)
        largest = max(largest, float((x[LAG:] * x[:-LAG]).mean() / (x * x).mean()))
    return largest
