"""The condensed theory on a ladder of temperatures (docs/condensed.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit
from threadpoolctl import threadpool_limits

from proplim.errors import InvalidInput
from proplim.seeds import derive_seed
from proplim.theory._blocks import Points
from proplim.theory._cavity_draws import Problem, sobol_normals
from proplim.theory._signal import signal_of_point
from proplim.theory._spectrum import Spectrum
from proplim.theory.condensed import _explicit, _phases
from proplim.theory.condensed._chains import (
    Ensemble,
    add_units,
    apart,
    go_on,
    longer,
    ordered_mode,
    sample_units,
    start_units,
)
from proplim.theory.condensed._correction import (
    Correction,
    CorrectionInputs,
    correction,
    known_averages,
)
from proplim.theory.condensed._evidence import (
    NO_TRANSITION,
    Evidence,
    condensation_temperature,
    condensed_log_evidence,
)
from proplim.theory.condensed._explicit import Direction, Explicit
from proplim.theory.condensed._inputs import Inputs, geometry, test_inputs, training_inputs
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
from proplim.theory.condensed._participation import participation_of_readouts
from proplim.theory.condensed._peak import UNKNOWN, Peaks, find_peaks

GROUPS = 8
"""Groups of chains that give the error."""
DRAWS, FIRST_DRAWS, MOST_DRAWS, LEAST_MORE_DRAWS = 40, 20, 240, 10
"""Draws of a chain at least, while only the reaction of the others is wanted, at most, and what is added at least."""
CHAIN_PRECISION, SHARE_PRECISION = 0.002, 0.015
"""Relative error of D from the chains, and error of the share of the labels, at which no more draws are added. The
test error falls by 0.6 to 0.9 % where the share rises by 0.01."""
ROUNDS = 1
"""Rounds in which explicit units and others answer to each other before the last one. A second one moves D by less than
0.2 % and <v^2> by less than 0.4 % where it was tried, and costs a fifth more."""
REPLICATES = 4
"""Independent sets of draws of the others."""
FIRST_COUNT, DRAWS_PER_INPUT = 2048, 10
"""Draws of a set at first: at least so many and so many for every training input."""
EXCESSES = (5.0, 0.75)
"""Excess variances of the draws along the signal that are tried in turn. The weights of a unit that is nearly heavy are
large far out there; where they hang on few of the wide draws the cavity is that of the narrower ones."""
HEAVY_GROWTH = 2
"""How many times as many beside several explicit units, where the others' weights are broad."""
LARGEST_GROWTH, LEAST_GROWTH = 4, 2
"""At most how many times as many are taken, where the errors ask for it, and at least."""
PRECISION, LOOSE = 0.003, 0.01
"""Relative Monte-Carlo errors of D in the corrections, and of the rest, that are accepted."""
MOST_NUMBERS = 1 << 22
"""Most numbers in the draws of a set."""
RESPONSE_DRAWS = 20
"""Draws of a chain from which the response to another reaction is taken."""
LEAST_CHANGE = 0.005
"""Standard deviation of dU below which there is none: it moves averages by less than this part of their own."""
PART_PRECISION = 0.2
"""How well the way from the solution on all draws to that on a part is known, which the errors are taken from."""
RETRY = 4
"""How many times as many are tried where the equations have no solution on the first."""
UNSOLVED = "the cavity equations of the other units have no solution"
FEWEST_UNITS = {True: 2, False: 1}
"""Explicit units tried first, with a heavy unit and without: beside a heavy unit the next one is explicit too, since it
grows as well where labels are left (docs/condensed.md, section 5)."""
LEAST_HEAVY = 0.1
"""Weight of the condensed phase from which on a mode that both phases lead to counts as one with a heavy unit."""
NUMBERS_OF_UNITS = (1, 2, 3, 4, 6, 8)
"""Numbers of explicit units that are tried in turn while the others have no solution."""
LARGEST_APART = 0.15
"""Share of draws with the smallest explicit unit apart from the crowd from which on one more is explicit."""
NEGLIGIBLE = 1e-3
"""Weight of a phase below which it is left out."""
LEAST_ACCEPTANCE, LEAST_EFFECTIVE_FRACTION, LARGEST_ERROR = 0.4, 0.25, 0.015
NOT_GIVEN = ("hidden_trace_shift", "hidden_trace_shift_mcse")
"""A sum over N0 directions of terms that nearly cancel, to which corrections of order 1/N are not small."""
SAME = 0.1
"""Modes closer than this in the coordinates of the chains are one."""

NODES = (-1.0, 1.0)
"""Shares at which the others are solved, in standard deviations from the mean."""
NO_PHASE = Evidence(-np.inf, 0.0)
EVERY = slice(None)
NO_SPREAD = np.full(GROUPS, np.nan)


@dataclass(frozen=True)
class CondensedPoint:
    """The condensed theory at one temperature.

    Parameters
    ----------
    temperature : float
    values : dict
        Variables of the theory cube, scalars, (2,) [split] or (2, 2) [split, label] arrays, and beside each its
        standard error with the suffix `_mcse`. NaN for the test split where there are no test inputs.
    converged : bool
    reason : str
        Why not, empty where converged. The values then are those without the correction by the others.
    units : int
        Number of explicit units.
    predictor : tuple of (n,) arrays
        Mean of f on the training and, where there are any, on the test inputs.
    """

    temperature: float
    values: dict[str, np.ndarray] = field(repr=False)
    converged: bool
    reason: str
    units: int
    predictor: tuple[np.ndarray, ...] = field(repr=False)


@dataclass(frozen=True)
class Condensed:
    """The condensed theory of one data set, activation, width and pair of priors.

    Parameters
    ----------
    points : list of CondensedPoint
        In the order of the temperatures given.
    condensation_temperature, condensation_temperature_mcse : float
        T_c and its standard error; NaN where there is none.
    peaks : Peaks
        T* of the largest D on training and test inputs, D there, and their errors; NaN where D is largest at an end
        of the range searched, or where peaks have not been asked for.
    """

    points: list[CondensedPoint]
    condensation_temperature: float
    condensation_temperature_mcse: float
    peaks: Peaks


class _Pool:
    """Random numbers of the others' draws, which all temperatures share; more are made where they are wanted."""

    def __init__(self, problem: Problem, sets: tuple[Inputs, ...], seed: int) -> None:
        self._problem, self._sets, self._seed = problem, sets, seed
        rank, inputs = problem.root.shape[1], problem.spectrum.n_train
        self.first = 1 << int(np.ceil(np.log2(max(FIRST_COUNT, DRAWS_PER_INPUT * inputs))))
        self.most = self.first
        while 2 * self.most <= LARGEST_GROWTH * self.first and 2 * self.most * rank <= MOST_NUMBERS:
            self.most *= 2
        self._kept: dict[int, tuple[list[np.ndarray], list[tuple[np.ndarray, ...]]]] = {}

    def normals(self, count: int) -> list[np.ndarray]:
        """Of every replicate, (count, r)."""
        return self._of(count)[0]

    def noise(self, count: int) -> list[tuple[np.ndarray, ...]]:
        """Of every replicate and set of inputs, preactivations of `count` draws outside the row space."""
        return self._of(count)[1]

    def _of(self, count: int) -> tuple[list[np.ndarray], list[tuple[np.ndarray, ...]]]:
        if count not in self._kept:
            rank = self._problem.root.shape[1]
            normals, noise = [], []
            for i in range(REPLICATES):
                normals.append(sobol_normals(count, rank, np.random.default_rng([self._seed, i])))
                rng = np.random.default_rng([self._seed, 100 + i])
                noise.append(tuple(inputs.noise(count, rng) for inputs in self._sets))
            self._kept[count] = normals, noise
        return self._kept[count]


class _Common(NamedTuple):
    """What all temperatures share."""

    problem: Problem
    width: float
    lambda1: float
    sets: tuple[Inputs, ...]
    pool: _Pool
    seed: int


class _Side(NamedTuple):
    """The others at one share of the explicit units: labels left on every input set, and Gaussian solution."""

    setting: Setting
    gaussian: Gaussian
    left: tuple[np.ndarray, ...]


class _Solved(NamedTuple):
    """Cavity of the others at both shares, on all draws and on those of the replicates where it has a solution."""

    whole: list[Cavity]
    parts: list[list[Cavity]]


class _Corrections(NamedTuple):
    """What the others change, from all of their draws and from every replicate of these."""

    whole: Correction
    parts: list[Correction]


class _Phase(NamedTuple):
    """One phase: averages over the explicit units, and the corrections; None where there are none."""

    explicit: Explicit
    corrections: _Corrections | None
    responses: list[dict[str, np.ndarray]]  # one a replicate, of the explicit units to its reaction
    participation: np.ndarray  # one a group
    measure: Measure
    reason: str


def solve_condensed(
    spectrum: Spectrum,
    *,
    width: float,
    lambda1: float,
    temperatures: Sequence[float],
    transition: bool = True,
    peaks: bool = False,
) -> Condensed:
    """The condensed theory at every temperature (docs/condensed.md).

    Parameters
    ----------
    spectrum : Spectrum
        Of an odd, nonlinear activation.
    width : float
        N >= 3.
    lambda1 : float
        Precision of the prior of a readout.
    temperatures : sequence of float
        A temperature's values do not depend on the others.
    transition : bool
        Whether T_c is located; NaN otherwise.
    peaks : bool
        Whether T* is located too, which takes about ten more points.

    Returns
    -------
    Condensed

    Raises
    ------
    InvalidInput
        If the activation is linear (its `exact` theory has no condensed phase apart) or not odd.
    """
    if spectrum.activation.name == "linear" or not spectrum.activation.odd:
        allowed = (
            "an odd nonlinear activation (erf, tanh): the condensed theory has been checked on these alone"
        )
        raise InvalidInput("activation", spectrum.activation.name, allowed)
    if not width >= 3.0:
        raise InvalidInput("width", width, "at least 3 units")
    with threadpool_limits(limits=1, user_api="blas"):
        common = _common(spectrum, float(width), float(lambda1))
        points = [_solve_point(common, float(t)) for t in temperatures]
        critical = (
            condensation_temperature(common.problem, common.width, common.lambda1, common.seed)
            if transition
            else NO_TRANSITION
        )
        found = find_peaks(lambda t: _distances(common, t), _hottest(common)) if peaks else UNKNOWN
    return Condensed(points, *critical, found)


def _distances(common: _Common, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """D on training and test inputs and its errors; NaN where the point has not converged."""
    point = _solve_point(common, temperature)
    if not point.converged:
        return np.full(2, np.nan), np.full(2, np.nan)
    return point.values["centroid_distance_sq"], point.values["centroid_distance_sq_mcse"]


def _hottest(common: _Common) -> float:
    """A temperature at which the labels hardly pull."""
    spectrum = common.problem.spectrum
    y = spectrum.dataset.y_train
    return max(float(np.trace(spectrum.kernel)) / (len(y) * common.lambda1), float(y @ y) / len(y))


def _common(spectrum: Spectrum, width: float, lambda1: float) -> _Common:
    problem = Problem(spectrum)
    sets: tuple[Inputs, ...] = (training_inputs(problem),)
    if spectrum.dataset.n_test:
        sets = (*sets, test_inputs(problem))
    seed = derive_seed(
        "condensed",
        {
            "dataset": spectrum.dataset.identity, "activation": spectrum.activation.name, "width": width,
            "lambda0": spectrum.lambda0, "lambda1": lambda1,
        },
    )  # fmt: skip
    return _Common(problem, width, lambda1, sets, _Pool(problem, sets, seed), seed)


def _solve_point(common: _Common, temperature: float) -> CondensedPoint:
    measure = Measure(common.problem, temperature, common.width, common.lambda1)
    mode = _phases.heavy_mode(measure)
    lazy = _phases.lazy_log_evidence(measure)
    heavy = condensed_log_evidence(measure, mode, common.seed) if mode is not None else NO_PHASE
    weight = float(expit(heavy.value - lazy))
    starts = _lobes(measure, mode, weight)
    phases = [(p, _solve_phase(common, temperature, start, heavy=alone)) for p, start, alone in starts]
    reasons = [phase.reason for p, phase in phases if phase.reason]
    values = _values(common, temperature, phases)
    values |= {name: np.asarray(np.nan) for name in NOT_GIVEN}
    values["condensed_probability"] = np.asarray(weight)
    values["condensed_probability_mcse"] = np.asarray(weight * (1.0 - weight) * heavy.error)
    values["free_energy"] = np.asarray(0.5 - np.logaddexp(heavy.value, lazy) / common.width)
    values["free_energy_mcse"] = np.asarray(weight * heavy.error / common.width)
    distance, error = values["centroid_distance_sq"][0], values["centroid_distance_sq_mcse"][0]
    if not reasons and error > LARGEST_ERROR * distance:
        reasons.append(f"D is known to {error / distance:.1%} only")
    values["converged"] = np.asarray(float(not reasons))
    units = max(phase.measure.units for _, phase in phases)
    moments = _mixture(phases)
    predictor = tuple(moments[f"mean{i}"] for i in range(len(common.sets)))
    return CondensedPoint(temperature, values, not reasons, "; ".join(reasons), units, predictor)


def _lobes(
    measure: Measure, mode: _phases.HeavyMode | None, weight: float
) -> list[tuple[float, np.ndarray, bool]]:
    """Weight, start and kind of every phase: heavy and lazy mode of the largest unit, or the one they both lead to.

    Where they lead to one, chains from it see both phases, and no weight enters.
    """
    if mode is None or weight < NEGLIGIBLE:
        return [(1.0, _phases.minimise(measure.largest, _phases.lazy_start(measure)), False)]
    heavy = _phases.minimise(measure.largest, mode.x)
    if weight > 1.0 - NEGLIGIBLE:
        return [(1.0, heavy, True)]
    lazy = _phases.minimise(measure.largest, _phases.lazy_start(measure))
    if np.linalg.norm(ordered_mode(measure, heavy) - ordered_mode(measure, lazy)) < SAME:
        return [(1.0, heavy if weight > 0.5 else lazy, weight > LEAST_HEAVY)]
    return [(weight, heavy, True), (1.0 - weight, lazy, False)]


def _solve_phase(common: _Common, temperature: float, start: np.ndarray, *, heavy: bool) -> _Phase:
    tried: list[_Phase] = []
    fewest = FEWEST_UNITS[heavy]
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
        chains = after
    return tried[0]


def _answer_each_other(
    common: _Common, measure: Measure, chains: Ensemble, excess: float, rng: np.random.Generator
) -> tuple[_Phase, Ensemble]:
    """Explicit units in the field of the others and the others with the labels left, in turn; the chains at the end."""
    problem, width = common.problem, common.width
    point = Points(*(np.array([x]) for x in (measure.temperature, width, measure.lambda1)))
    along = signal_of_point(problem.spectrum, point)
    direction = Direction(problem.basis.T @ along, along @ _stein(problem))

    def unsolved(reason: str) -> tuple[_Phase, Ensemble]:
        return _Phase(
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
        sides = [side for sign in NODES if (side := _side(common, measure, explicit, sign)) is not None]
        if len(sides) < len(NODES):
            return unsolved(UNSOLVED)
        if not final:
            first = _first_count(common, measure)
            for count in (first, min(RETRY * first, common.pool.most)):
                unit = draw_unit(sides[0].setting, sides[0].gaussian, common.pool.normals(count), excess)
                known = _solve_part(sides, unit, known)
                if known is not None:
                    break
            if known is None:
                return unsolved(UNSOLVED)
            measure = replace(measure, reaction=_reaction(measure, explicit, sides, known))
    if unit is None or known is None:
        return unsolved(UNSOLVED)
    corrections, solved, reason = _corrections(common, explicit, sides, unit, known, direction)
    if corrections is None or solved is None:
        return unsolved(reason)
    rng = np.random.default_rng([common.seed, 200])
    others = [(side.gaussian, cavity) for side, cavity in zip(sides, solved.whole, strict=True)]
    spread = participation_of_readouts(measure, explicit, others, GROUPS, rng)
    less = np.sqrt(len(solved.whole[0].weights) / len(unit.modes))
    responses = _responses(common, measure, chains, direction, explicit, sides, solved, less)
    return _Phase(explicit, corrections, responses, spread, measure, ""), chains


def _precise_enough(
    common: _Common, measure: Measure, chains: Ensemble, direction: Direction, rng: np.random.Generator
) -> Ensemble:
    """As many more draws as the errors of D and of the share ask for, the chains being independent."""

    def error(values: np.ndarray) -> float:
        return float(values.std(ddof=1) / np.sqrt(len(values)))

    while True:
        distances, shares = _explicit.of_chains(measure, chains.theta, common.sets[0], direction)
        excess = max(error(distances) / distances.mean() / CHAIN_PRECISION, error(shares) / SHARE_PRECISION)
        if excess < 1.0 or len(chains.theta) >= MOST_DRAWS:
            return chains
        more = max(int(np.ceil(len(chains.theta) * (excess**2 - 1.0))), LEAST_MORE_DRAWS)
        chains = longer(measure, chains, min(more, MOST_DRAWS - len(chains.theta)), rng)


def _first_count(common: _Common, measure: Measure) -> int:
    """Draws of every replicate that are tried first."""
    growth = HEAVY_GROWTH if measure.units > 1 else 1
    return min(growth * common.pool.first, common.pool.most)


def _corrections(
    common: _Common,
    explicit: Explicit,
    sides: list[_Side],
    unit: UnitDraws,
    known: list[Cavity],
    direction: Direction,
) -> tuple[_Corrections | None, _Solved | None, str]:
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


def _differences(common: _Common, sides: list[_Side], solved: _Solved, direction: Direction) -> _Corrections:
    known = known_averages(common.problem, common.sets, direction, solved.whole[0].draws)

    def mean(nodes: list[Cavity]) -> Correction:
        return _mean(
            *(
                correction(side.setting, side.gaussian, cavity, common.sets, side.left, direction, known)
                for side, cavity in zip(sides, nodes, strict=True)
            )
        )

    return _Corrections(mean(solved.whole), [mean(nodes) for nodes in solved.parts])


def _effective_fraction(cavities: list[Cavity]) -> float:
    """Smallest effective number of draws relative to all."""
    return min(len(c.weights) / float(np.sum(c.weights**2)) for c in cavities)


def _with_further(common: _Common, unit: UnitDraws) -> UnitDraws:
    """The draws with features on all sets of inputs but the first."""
    noise = common.pool.noise(len(unit.modes) // unit.parts)
    further = tuple(
        inputs.single_features(unit.draws.z, np.concatenate(outside))
        for inputs, outside in zip(common.sets[1:], list(zip(*noise, strict=True))[1:], strict=True)
    )
    return unit._replace(further=further)


def _solve_others(sides: list[_Side], unit: UnitDraws, known: list[Cavity] | None) -> _Solved | None:
    """Cavity of the others on all draws and on every part of them; None where it has no solution.

    One part may have none: near the end of the branch its noise decides.
    """
    whole = _solve_part(sides, unit, known)
    if whole is None:
        return None
    parts: list[list[Cavity]] = []
    for index in range(unit.parts):
        nodes = _solve_part(sides, unit.part(index), whole, PART_PRECISION)
        if nodes is not None:
            parts.append(nodes)
        elif index + 1 - len(parts) > 1:
            return None
    return _Solved(whole, parts)


def _solve_part(
    sides: list[_Side], unit: UnitDraws, known: list[Cavity] | None, relative: float = 0.0
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


def _errors(common: _Common, explicit: Explicit, corrections: list[Correction]) -> dict[str, float]:
    """Errors of the corrections relative to <v^2>, and to D and the mean squared error of every set of inputs."""

    def error(values: list[float]) -> float:
        return float(np.std(values, ddof=1) / np.sqrt(len(values)))

    errors = {"v2": error([c.readout_square for c in corrections]) / float(explicit.moments["readout_variance"].mean())}
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


def _stein(problem: Problem) -> np.ndarray:
    """B U, (N0, m)."""
    from proplim.kernels import stein_vectors

    spectrum = problem.spectrum
    return (
        stein_vectors(spectrum.activation, spectrum.dataset.x_train, spectrum.lambda0) @ spectrum.eigenvectors
    )


def _averages(
    common: _Common, measure: Measure, chains: Ensemble, direction: Direction, sets: int
) -> Explicit:
    """Averages on the first `sets` sets of inputs."""
    noise = _explicit_noise(common)
    return _explicit.average(measure, chains.theta, GROUPS, common.sets[:sets], direction, noise)


def _explicit_noise(common: _Common) -> tuple[np.ndarray, ...]:
    """Preactivations of explicit units outside the row space, on every set of inputs."""
    noise = common.pool.noise(common.pool.first)
    return tuple(np.concatenate(of_set) for of_set in zip(*noise, strict=True))


def _side(common: _Common, measure: Measure, explicit: Explicit, sign: float) -> _Side | None:
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
    return _Side(setting, gaussian, left) if gaussian is not None else None


def _reaction(measure: Measure, explicit: Explicit, sides: list[_Side], cavities: list[Cavity]) -> Reaction:
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


_SCALARS = (
    "order_parameter", "readout_variance", "signal_variance", "readout_signal_covariance",
    "heavy_unit_share", "readout_participation",
)  # fmt: skip


def _moments(phase: _Phase, groups: slice, part: int | None) -> dict[str, np.ndarray]:
    """What averages linearly over phases, from some groups and from one replicate, or all of them (None)."""
    measure, found = phase.measure, phase.corrections
    result: dict[str, Any] = {name: m[groups].mean(axis=0) for name, m in phase.explicit.moments.items()}
    result["readout_participation"] = phase.participation[groups].mean()
    if found is not None:
        fraction = measure.others / measure.width
        change = found.whole if part is None else found.parts[part]
        result["order_parameter"] += measure.lambda1 * change.readout_square
        result["readout_variance"] += fraction * change.readout_square
        result["signal_variance"] += fraction * change.signal_variance
        result["readout_signal_covariance"] += fraction * change.signal_covariance
        for i, inputs in enumerate(change.inputs):
            result[f"mean{i}"] = result[f"mean{i}"] + inputs.mean
            result[f"square{i}"] = result[f"square{i}"] + inputs.square
            result[f"kernel{i}"] = result[f"kernel{i}"] + fraction * inputs.kernel
    if part is not None:
        for name, response in phase.responses[part].items():
            result[name] = result[name] + response
        slope = _slope(phase.participation, phase.explicit.moments["heavy_unit_share"])
        result["readout_participation"] += slope * phase.responses[part].get("heavy_unit_share", 0.0)
    return result


def _slope(values: np.ndarray, along: np.ndarray) -> float:
    """Of values that change with others, over groups."""
    deviation = along - along.mean()
    return float(deviation @ values / max(deviation @ deviation, 1e-300))


def _responses(
    common: _Common,
    measure: Measure,
    chains: Ensemble,
    direction: Direction,
    explicit: Explicit,
    sides: list[_Side],
    solved: _Solved,
    less: float,
) -> list[dict[str, np.ndarray]]:
    """What the reaction of one replicate instead of all changes in the averages over the explicit units, for each.

    The reaction is one of fewer draws than the solutions at hand, whose
    deviations are `less` than its own by this factor.
    """
    stride = max(len(chains.theta) // RESPONSE_DRAWS, 1)
    theta = chains.theta[::stride].reshape(-1, measure.dimension)
    states = measure.unpack(theta)
    contribution, bounds = measure.terms(states).contribution, np.abs(states.v).min(axis=1)
    joint = _reaction(measure, explicit, sides, solved.whole)
    reactions = [_reaction(measure, explicit, sides, nodes) for nodes in solved.parts]
    changes = [own.less(joint, less)(contribution, bounds)[0] for own in reactions]
    if max(change.std() for change in changes) < LEAST_CHANGE:
        return [{} for _ in changes]
    return _explicit.respond(measure, theta, changes, common.sets, direction, _explicit_noise(common))


def _mixture(
    phases: list[tuple[float, _Phase]], groups: slice = EVERY, part: int | None = None
) -> dict[str, np.ndarray]:
    """:func:`_moments` averaged over phases by their weight."""
    parts = [(p, _moments(phase, groups, part)) for p, phase in phases]
    return {name: np.sum([p * part[name] for p, part in parts], axis=0) for name in parts[0][1]}


def _finish(
    common: _Common, temperature: float, moments: dict[str, np.ndarray], noise: list[float]
) -> dict[str, np.ndarray]:
    """Observables of the mixture's moments; `noise` is the variance of the sampled mean predictor."""
    result = {name: np.asarray(moments[name], dtype=float) for name in _SCALARS}
    splits = []
    for i, inputs in enumerate(common.sets):
        found = geometry(moments[f"kernel{i}"], inputs.classes)
        mean = moments[f"mean{i}"]
        found["mse"] = moments[f"square{i}"].mean()
        found["bias_sq"] = ((inputs.targets - mean) ** 2).mean() - noise[i]
        found["predictive_variance"] = found["mse"] - found["bias_sq"]
        found["accuracy"] = (mean * inputs.targets > 0.0).mean()
        splits.append(found)
    if len(splits) == 1:
        splits.append({k: np.full(np.shape(v), np.nan) for k, v in splits[0].items()})
    result |= {k: np.stack([np.asarray(s[k], dtype=float) for s in splits]) for k in splits[0]}
    size = common.problem.spectrum.n_train
    squared_error = size * result["mse"][0]
    result["mean_energy"] = np.asarray(squared_error / (2.0 * common.width))
    slope = (size * temperature - squared_error) / (2.0 * common.width * temperature**2)
    result["free_energy_temperature_derivative"] = np.asarray(slope)
    return result


def _values(common: _Common, temperature: float, phases: list[tuple[float, _Phase]]) -> dict[str, np.ndarray]:
    """Observables of the mixture of phases with standard errors over groups of chains and over replicates."""

    sources = [[_mixture(phases, groups=slice(g, g + 1)) for g in range(GROUPS)]]
    if all(phase.corrections is not None for _, phase in phases):
        replicates = min(len(phase.corrections.parts) for _, phase in phases if phase.corrections)
        sources.append([_mixture(phases, part=part) for part in range(replicates)])
    noise = []
    for i in range(len(common.sets)):
        noise.append(
            sum(float(np.var([m[f"mean{i}"] for m in s], axis=0, ddof=1).mean()) / len(s) for s in sources)
        )
    values = _finish(common, temperature, _mixture(phases), noise)
    variance = {name: np.zeros_like(value) for name, value in values.items()}
    for source in sources:
        single = [_finish(common, temperature, m, [0.0] * len(common.sets)) for m in source]
        for name in variance:
            variance[name] = variance[name] + np.var([s[name] for s in single], axis=0, ddof=1) / len(single)
    return values | {f"{name}_mcse": np.sqrt(v) for name, v in variance.items()}
