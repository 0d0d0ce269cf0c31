"""One phase of the condensed theory: explicit units and others answer to each other."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from proplim.theory._blocks import Points
from proplim.theory._cavity_draws import Problem
from proplim.theory._signal import signal_of_point
from proplim.theory.condensed import _explicit
from proplim.theory.condensed._chains import (
    Ensemble,
    add_units,
    apart,
    go_on,
    longer,
    sample_units,
    start_units,
)
from proplim.theory.condensed._common import Common, explicit_noise
from proplim.theory.condensed._explicit import Direction, Explicit
from proplim.theory.condensed._measure import Measure
from proplim.theory.condensed._others import draw_unit
from proplim.theory.condensed._participation import participation_of_readouts
from proplim.theory.condensed._shares import (
    NODES,
    RETRY,
    UNSOLVED,
    Corrections,
    Side,
    Solved,
    corrections_of,
    reaction_of,
    side_at,
    solve_at_shares,
)

GROUPS = 8
"""Groups of chains that give the error."""
DRAWS, FIRST_DRAWS, MOST_DRAWS, LEAST_MORE_DRAWS = 28, 16, 240, 12
"""Draws of a chain at least, while only the reaction of the others is wanted, at most, and what is added at least."""
CHAIN_PRECISION, SHARE_PRECISION = 0.002, 0.015
"""Relative error of D from the chains, and error of the share of the labels, at which no more draws are added. The
test error falls by 0.6 to 0.9 % where the share rises by 0.01."""
ROUNDS = 1
"""Rounds in which explicit units and others answer to each other before the last one. A second one moves D by less than
0.2 % and <v^2> by less than 0.4 % where it was tried, and costs a fifth more."""
EXCESSES = (5.0, 0.75)
"""Excess variances of the draws along the signal that are tried in turn. The weights of a unit that is nearly heavy are
large far out there; where the wide draws leave the others no solution narrower ones may."""
HEAVY_GROWTH = 2
"""How many times as many beside several explicit units, where the others' weights are broad."""
RESPONSE_DRAWS = 20
"""Draws of a chain from which the response to another reaction is taken."""
LEAST_CHANGE = 0.005
"""Standard deviation of dU below which there is none: it moves averages by less than this part of their own."""
NUMBERS_OF_UNITS = (1, 2, 3, 4, 6, 8)
"""Numbers of explicit units that are tried in turn while the others have no solution."""
LARGEST_APART = 0.15
"""Share of draws with the smallest explicit unit apart from the crowd from which on one more is explicit."""
LEAST_ACCEPTANCE = 0.4
"""Of the chains, below which they are not believed."""
NO_SPREAD = np.full(GROUPS, np.nan)


class Phase(NamedTuple):
    """One phase: averages over the explicit units, and the corrections; None where there are none."""

    explicit: Explicit
    corrections: Corrections | None
    responses: list[dict[str, np.ndarray]]  # one a replicate, of the explicit units to its reaction
    participation: np.ndarray  # one a group
    measure: Measure
    reason: str


def solve_phase(common: Common, temperature: float, start: np.ndarray, fewest: int) -> Phase:
    """The phase that `start` leads to, with at least `fewest` explicit units and more while the others ask for them."""
    tried: list[Phase] = []
    numbers = [k for k in NUMBERS_OF_UNITS if fewest <= k < common.width - 1.0] or [1]
    rng = np.random.default_rng([common.seed, 300])
    one = Measure(common.problem, temperature, common.width, common.lambda1)
    alone = numbers[0] == 1
    chains = sample_units(one, start, FIRST_DRAWS, rng) if alone else start_units(one, start, rng)
    for units in numbers:
        measure = replace(one, units=units)
        if units > 1:
            chains = add_units(measure, chains, FIRST_DRAWS, rng)
            if apart(measure, chains) > LARGEST_APART and units < numbers[-1]:
                continue
        for excess in EXCESSES:
            phase, after = _answer_each_other(common, measure, chains, excess, rng)
            tried.append(phase)
            if not phase.reason:
                return phase
            if phase.reason != UNSOLVED:  # narrower draws give others that have a solution no more weight
                break
        chains = after
    return tried[0]


def _answer_each_other(
    common: Common, measure: Measure, chains: Ensemble, excess: float, rng: np.random.Generator
) -> tuple[Phase, Ensemble]:
    """Explicit units in the field of the others and the others with the labels left, in turn; the chains at the end."""
    problem, width = common.problem, common.width
    point = Points(*(np.array([x]) for x in (measure.temperature, width, measure.lambda1)))
    along = signal_of_point(problem.spectrum, point)
    direction = Direction(problem.basis.T @ along, along @ _stein(problem))

    def unsolved(reason: str) -> tuple[Phase, Ensemble]:
        return Phase(
            _averages(common, measure, chains, direction, 2), None, [], NO_SPREAD, measure, reason
        ), chains

    known, unit = None, None
    for turn in range(ROUNDS + 1):
        final = turn == ROUNDS
        if turn > 0:
            chains = go_on(measure, chains, DRAWS if final else FIRST_DRAWS, rng)
        if chains.acceptance < LEAST_ACCEPTANCE:
            return unsolved(f"acceptance {chains.acceptance:.2f} of the chains of the explicit units")
        if final:
            chains = _precise_enough(common, measure, chains, direction, rng)
        explicit = _averages(common, measure, chains, direction, 2 if final else 1)
        sides = [side for sign in NODES if (side := side_at(common, measure, explicit, sign)) is not None]
        if len(sides) < len(NODES):
            return unsolved(UNSOLVED)
        if not final:
            first = _first_count(common, measure)
            for count in (first, min(RETRY * first, common.pool.most)):
                unit = draw_unit(sides[0].setting, sides[0].gaussian, common.pool.normals(count), excess)
                known = solve_at_shares(sides, unit, known)
                if known is not None:
                    break
            if known is None:
                return unsolved(UNSOLVED)
            measure = replace(measure, reaction=reaction_of(measure, explicit, sides, known))
    if unit is None or known is None:
        return unsolved(UNSOLVED)
    corrections, solved, reason = corrections_of(common, explicit, sides, unit, known, direction)
    if corrections is None or solved is None:
        return unsolved(reason)
    rng = np.random.default_rng([common.seed, 200])
    others = [(side.gaussian, cavity) for side, cavity in zip(sides, solved.whole, strict=True)]
    spread = participation_of_readouts(measure, explicit, others, GROUPS, rng)
    less = np.sqrt(len(solved.whole[0].weights) / len(unit.modes))
    responses = _responses(common, measure, chains, direction, explicit, sides, solved, less)
    return Phase(explicit, corrections, responses, spread, measure, ""), chains


def _precise_enough(
    common: Common, measure: Measure, chains: Ensemble, direction: Direction, rng: np.random.Generator
) -> Ensemble:
    """As many more draws as the errors of D and of the share ask for, the chains being independent."""
    seen = _explicit.watched(measure, chains.theta, common.sets[0], direction)
    while True:
        means = seen.of_chains()
        distance, share = means.std(axis=0, ddof=1) / np.sqrt(len(means))
        excess = max(distance / means[:, 0].mean() / CHAIN_PRECISION, share / SHARE_PRECISION)
        count = len(chains.theta)
        if excess < 1.0 or count >= MOST_DRAWS:
            return chains
        more = max(int(np.ceil(count * (excess**2 - 1.0))), LEAST_MORE_DRAWS)
        chains = longer(measure, chains, min(more, MOST_DRAWS - count), rng)
        seen = seen.and_then(_explicit.watched(measure, chains.theta[count:], common.sets[0], direction))


def _first_count(common: Common, measure: Measure) -> int:
    """Draws of every replicate that are tried first."""
    growth = HEAVY_GROWTH if measure.units > 1 else 1
    return min(growth * common.pool.first, common.pool.most)


def _stein(problem: Problem) -> np.ndarray:
    """B U, (N0, m)."""
    from proplim.kernels import stein_vectors

    spectrum = problem.spectrum
    return (
        stein_vectors(spectrum.activation, spectrum.dataset.x_train, spectrum.lambda0) @ spectrum.eigenvectors
    )


def _averages(
    common: Common, measure: Measure, chains: Ensemble, direction: Direction, sets: int
) -> Explicit:
    """Averages on the first `sets` sets of inputs."""
    noise = explicit_noise(common)
    return _explicit.average(measure, chains.theta, GROUPS, common.sets[:sets], direction, noise)


def _responses(
    common: Common,
    measure: Measure,
    chains: Ensemble,
    direction: Direction,
    explicit: Explicit,
    sides: list[Side],
    solved: Solved,
    less: float,
) -> list[dict[str, np.ndarray]]:
    """What the reaction of one replicate instead of all changes in the averages over the explicit units, for each.

    The reaction is one of fewer draws than the solutions at hand, whose deviations are `less` than its own by this
    factor.
    """
    stride = max(len(chains.theta) // RESPONSE_DRAWS, 1)
    theta = chains.theta[::stride].reshape(-1, measure.dimension)
    states = measure.unpack(theta)
    contribution, bounds = measure.terms(states).contribution, np.abs(states.v).min(axis=1)
    joint = reaction_of(measure, explicit, sides, solved.whole)
    reactions = [reaction_of(measure, explicit, sides, nodes) for nodes in solved.parts]
    changes = [own.less(joint, less)(contribution, bounds)[0] for own in reactions]
    if max(change.std() for change in changes) < LEAST_CHANGE:
        return [{} for _ in changes]
    return _explicit.respond(measure, theta, changes, common.sets, direction, explicit_noise(common))
