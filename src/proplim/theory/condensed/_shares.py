"""The other units at the two shares of the explicit ones: solutions, reaction and corrections (docs/condensed.md)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from proplim.theory.condensed._common import Common
from proplim.theory.condensed._correction import Correction, CorrectionInputs, correction, known_averages
from proplim.theory.condensed._explicit import Direction, Explicit
from proplim.theory.condensed._gaussian import Gaussian, Setting, solve_gaussian, solve_proportional
from proplim.theory.condensed._measure import Measure
from proplim.theory.condensed._others import (
    Cavity,
    Guess,
    UnitDraws,
    draw_unit,
    guess_beside,
    solve_cavity_of_others,
)
from proplim.theory.condensed._reaction import Reaction, react

NODES = (-1.0, 1.0)
"""Shares at which the others are solved, in standard deviations from the mean."""
PART_PRECISION = 0.2
"""How well the way from the solution on all draws to that on a part is known, which the errors are taken from."""
LEAST_GROWTH = 2
"""How many times as many draws are taken at least, where the errors ask for more."""
PRECISION, LOOSE = 0.003, 0.01
"""Relative Monte-Carlo errors of D in the corrections, and of the rest, that are accepted."""
RETRY = 4
"""How many times as many are tried where the equations have no solution on the first."""
LEAST_EFFECTIVE_FRACTION = 0.25
"""Effective part of the draws below which single ones have it all."""
UNSOLVED = "the cavity equations of the other units have no solution"


class Side(NamedTuple):
    """The others at one share of the explicit units: labels left on every input set, and Gaussian solution."""

    setting: Setting
    gaussian: Gaussian
    left: tuple[np.ndarray, ...]


class Solved(NamedTuple):
    """Cavity of the others at both shares, on all draws and on those of the replicates where it has a solution."""

    whole: list[Cavity]
    parts: list[list[Cavity]]


class Corrections(NamedTuple):
    """What the others change, from all of their draws and from every replicate of these."""

    whole: Correction
    parts: list[Correction]


def side_at(common: Common, measure: Measure, explicit: Explicit, sign: float) -> Side | None:
    """The others at the mean share plus or minus (`sign`) its standard deviation; None where (C.5) has no solution."""
    spectrum = common.problem.spectrum
    left = tuple(
        inputs.targets - found.mean - sign * explicit.spread * found.slope
        for inputs, found in zip(common.sets, explicit.contributions, strict=False)
    )
    bound, change = explicit.bounds
    bound = max(bound + sign * explicit.spread * change, 0.5 * bound)
    labels = spectrum.eigenvectors.T @ left[0]
    null = left[0] - spectrum.eigenvectors @ labels
    setting = Setting(
        common.problem,
        measure.temperature,
        measure.width,
        measure.lambda1,
        labels,
        bound,
        measure.units,
        null,
    )
    proportional = solve_proportional(setting)
    gaussian = solve_gaussian(setting, proportional) if proportional is not None else None
    return Side(setting, gaussian, left) if gaussian is not None else None


def reaction_of(measure: Measure, explicit: Explicit, sides: list[Side], cavities: list[Cavity]) -> Reaction:
    """Eq. (C.7) from the residuals at the two shares."""
    spectrum = measure.problem.spectrum
    y = spectrum.dataset.y_train
    basis, first = spectrum.eigenvectors, explicit.contributions[0]
    return react(
        spectrum.labels / (y @ y),
        basis.T @ first.mean,
        basis.T @ first.slope,
        explicit.share + explicit.spread * np.array(NODES),
        explicit.bound_spread,
        [side.setting for side in sides],
        [side.gaussian for side in sides],
        cavities,
    )


def corrections_of(
    common: Common,
    explicit: Explicit,
    sides: list[Side],
    unit: UnitDraws,
    known: list[Cavity],
    direction: Direction,
) -> tuple[Corrections | None, Solved | None, str]:
    """What the cavity of the others changes, on as many draws as the errors ask for, and its solutions, or why not.

    The errors on the draws at hand, `unit`, say how many times as many it takes.
    """
    count, most, excess = len(unit.modes) // unit.parts, common.pool.most, unit.draws.excess
    while True:
        corrections, wanted = None, RETRY * count
        unit = _with_further(common, unit)
        solved = _solve_others(sides, unit, known)
        if solved is not None:
            fraction = _effective_fraction(solved.whole)
            if fraction < LEAST_EFFECTIVE_FRACTION:
                return None, None, f"effective sample size of the other units {fraction:.2f} of the draws"
            known = solved.whole
            corrections = _differences(common, sides, solved, direction)
            growth = _excess(_errors(common, explicit, corrections.parts)) ** 2
            wanted = int(np.ceil(count * max(growth, LEAST_GROWTH))) if growth > 1.0 else count
        if count == most or wanted == count:
            return corrections, solved, "" if corrections is not None else UNSOLVED
        count = min(1 << round(np.log2(wanted)), most)
        unit = draw_unit(sides[0].setting, sides[0].gaussian, common.pool.normals(count), excess)


def _with_further(common: Common, unit: UnitDraws) -> UnitDraws:
    """The draws with features on all sets of inputs but the first."""
    noise = common.pool.noise(len(unit.modes) // unit.parts)
    further = tuple(
        inputs.single_features(unit.draws.z, np.concatenate(outside))
        for inputs, outside in zip(common.sets[1:], list(zip(*noise, strict=True))[1:], strict=True)
    )
    return unit._replace(further=further)


def _solve_others(sides: list[Side], unit: UnitDraws, known: list[Cavity] | None) -> Solved | None:
    """Cavity of the others on all draws and on every part of them; None where it has no solution.

    One part may have none: near the end of the branch its noise decides.
    """
    whole = solve_at_shares(sides, unit, known)
    if whole is None:
        return None
    parts: list[list[Cavity]] = []
    for index in range(unit.parts):
        nodes = solve_at_shares(sides, unit.part(index), whole, PART_PRECISION)
        if nodes is not None:
            parts.append(nodes)
        elif index + 1 - len(parts) > 1:
            return None
    return Solved(whole, parts)


def solve_at_shares(
    sides: list[Side], unit: UnitDraws, known: list[Cavity] | None, relative: float = 0.0
) -> list[Cavity] | None:
    """Cavity of the others at both shares on these draws; Newton's method starts from what is `known` of others."""
    found: list[Cavity] = []
    for i, side in enumerate(sides):
        guess = None
        if known is not None:
            guess = Guess(known[i].a, known[i].sigma)
        elif found:
            guess = guess_beside(side.gaussian, sides[0].gaussian, found[0])
        cavity = solve_cavity_of_others(side.setting, side.gaussian, unit, guess, relative)
        if cavity is None:
            return None
        found.append(cavity)
    return found


def _differences(common: Common, sides: list[Side], solved: Solved, direction: Direction) -> Corrections:
    known = known_averages(common.problem, common.sets, direction, solved.whole[0].draws)

    def mean(nodes: list[Cavity]) -> Correction:
        return _mean(
            *(
                correction(side.setting, side.gaussian, cavity, common.sets, side.left, direction, known)
                for side, cavity in zip(sides, nodes, strict=True)
            )
        )

    return Corrections(mean(solved.whole), [mean(nodes) for nodes in solved.parts])


def _mean(first: Correction, second: Correction) -> Correction:
    """Average of the corrections at two shares."""
    inputs = tuple(
        CorrectionInputs(0.5 * (a.mean + b.mean), 0.5 * (a.square + b.square), 0.5 * (a.kernel + b.kernel))
        for a, b in zip(first.inputs, second.inputs, strict=True)
    )
    return Correction(
        readout_square=0.5 * (first.readout_square + second.readout_square),
        signal_covariance=0.5 * (first.signal_covariance + second.signal_covariance),
        signal_variance=0.5 * (first.signal_variance + second.signal_variance),
        inputs=inputs,
    )


def _effective_fraction(cavities: list[Cavity]) -> float:
    """Smallest effective number of draws relative to all."""
    return min(len(c.weights) / float(np.sum(c.weights**2)) for c in cavities)


def _errors(common: Common, explicit: Explicit, corrections: list[Correction]) -> dict[str, float]:
    """Errors of the corrections relative to <v^2>, and to D and the mean squared error of every set of inputs."""

    def error(values: list[float]) -> float:
        return float(np.std(values, ddof=1) / np.sqrt(len(values)))

    errors = {
        "v2": error([c.readout_square for c in corrections])
        / float(explicit.moments["readout_variance"].mean())
    }
    for i, inputs in enumerate(common.sets):
        difference = inputs.classes[1] - inputs.classes[0]
        distance = float(difference @ explicit.moments[f"kernel{i}"].mean(axis=0) @ difference)
        if np.isfinite(distance):
            change = error([float(difference @ c.inputs[i].kernel @ difference) for c in corrections])
            errors["D" if i == 0 else f"D{i}"] = change / distance
        square = float(explicit.moments[f"square{i}"].mean())
        errors[f"mse{i}"] = error([float(c.inputs[i].square.mean()) for c in corrections]) / square
    return errors


def _excess(errors: dict[str, float]) -> float:
    """Largest of the errors in units of what is accepted."""
    return max(error / (PRECISION if name == "D" else LOOSE) for name, error in errors.items())
