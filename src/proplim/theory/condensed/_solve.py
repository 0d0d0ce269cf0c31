"""The condensed theory on a ladder of temperatures (docs/condensed.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import expit
from threadpoolctl import threadpool_limits

from proplim.errors import InvalidInput
from proplim.theory._spectrum import Spectrum
from proplim.theory.condensed import _phases
from proplim.theory.condensed._chains import ordered_mode
from proplim.theory.condensed._common import Common, common_to_all
from proplim.theory.condensed._evidence import (
    NO_TRANSITION,
    Evidence,
    condensation_temperature,
    condensed_log_evidence,
)
from proplim.theory.condensed._measure import Measure
from proplim.theory.condensed._observables import mixture, values_of
from proplim.theory.condensed._one_phase import Phase, solve_phase
from proplim.theory.condensed._peak import UNKNOWN, Peaks, find_peaks

LAZY_UNITS, HEAVY_UNITS = 1, 2
"""Explicit units tried first, without a heavy unit and with one: beside a heavy unit the next one is explicit too,
since it grows as well where labels are left (docs/condensed.md, section 5)."""
LEAST_HEAVY = 0.1
"""Weight of the condensed phase from which on a mode that both phases lead to counts as one with a heavy unit."""
NEGLIGIBLE = 1e-3
"""Weight of a phase below which it is left out."""
LARGEST_ERROR = 0.01
"""Relative error of D above which a point has not converged."""
NOT_GIVEN = ("hidden_trace_shift", "hidden_trace_shift_mcse")
"""A sum over N0 directions of terms that nearly cancel, to which corrections of order 1/N are not small."""
SAME = 0.1
"""Modes closer than this in the coordinates of the chains are one."""
NO_PHASE = Evidence(-np.inf, 0.0)


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
        common = common_to_all(spectrum, float(width), float(lambda1))
        points = [_solve_point(common, float(t)) for t in temperatures]
        critical = (
            condensation_temperature(common.problem, common.width, common.lambda1, common.seed)
            if transition
            else NO_TRANSITION
        )
        found = find_peaks(lambda t: _distances(common, t), _hottest(common)) if peaks else UNKNOWN
    return Condensed(points, *critical, found)


def _distances(common: Common, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """D on training and test inputs and its errors; NaN where the point has not converged."""
    point = _solve_point(common, temperature)
    if not point.converged:
        return np.full(2, np.nan), np.full(2, np.nan)
    return point.values["centroid_distance_sq"], point.values["centroid_distance_sq_mcse"]


def _hottest(common: Common) -> float:
    """A temperature at which the labels hardly pull."""
    spectrum = common.problem.spectrum
    y = spectrum.dataset.y_train
    return max(float(np.trace(spectrum.kernel)) / (len(y) * common.lambda1), float(y @ y) / len(y))


def _solve_point(common: Common, temperature: float) -> CondensedPoint:
    measure = Measure(common.problem, temperature, common.width, common.lambda1)
    mode = _phases.heavy_mode(measure)
    lazy = _phases.lazy_log_evidence(measure)
    heavy = condensed_log_evidence(measure, mode, common.seed) if mode is not None else NO_PHASE
    weight = float(expit(heavy.value - lazy))
    starts = _lobes(measure, mode, weight)
    phases: list[tuple[float, Phase]] = []
    for part, start, fewest in starts:
        # where units beside the first are nearly heavy in one phase they are so in the other
        known = max((phase.measure.units for _, phase in phases), default=0)
        fewest = max(fewest, known) if known > HEAVY_UNITS else fewest
        phases.append((part, solve_phase(common, temperature, start, fewest)))
    reasons = [phase.reason for p, phase in phases if phase.reason]
    values = values_of(common, temperature, phases)
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
    moments = mixture(phases)
    predictor = tuple(moments[f"mean{i}"] for i in range(len(common.sets)))
    return CondensedPoint(temperature, values, not reasons, "; ".join(reasons), units, predictor)


def _lobes(
    measure: Measure, mode: _phases.HeavyMode | None, weight: float
) -> list[tuple[float, np.ndarray, int]]:
    """Weight, start and fewest explicit units of every phase: heavy and lazy mode of the largest unit, or the one they
    both lead to.

    Where they lead to one, chains from it see both phases, and no weight enters.
    """
    if mode is None or weight < NEGLIGIBLE:
        return [(1.0, _phases.minimise(measure.largest, _phases.lazy_start(measure)), LAZY_UNITS)]
    heavy = _phases.minimise(measure.largest, mode.x)
    if weight > 1.0 - NEGLIGIBLE:
        return [(1.0, heavy, HEAVY_UNITS)]
    lazy = _phases.minimise(measure.largest, _phases.lazy_start(measure))
    if np.linalg.norm(ordered_mode(measure, heavy) - ordered_mode(measure, lazy)) < SAME:
        fewest = HEAVY_UNITS if weight > LEAST_HEAVY else LAZY_UNITS
        return [(1.0, heavy if weight > 0.5 else lazy, fewest)]
    return [(weight, heavy, HEAVY_UNITS), (1.0 - weight, lazy, LAZY_UNITS)]
