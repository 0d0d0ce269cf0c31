"""One explicit unit among others that are not Gaussian, both phases weighed by their evidence (docs/condensed.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from proplim.observables import ERROR
from proplim.schema import Size
from proplim.theory.approximations._base import Approximation, Look, add, one_output

if TYPE_CHECKING:
    from proplim.activations import Activation
    from proplim.theory._blocks import Points
    from proplim.theory._spectrum import Spectrum

SIZE = 100
"""P at which the costs below were measured."""
POINT, PEAK = 3.0, 55.0
"""Seconds for a point, and for T* and T_c at one width and lambda1."""
GROWTH = 1.5
"""Power of P with which a point grows; measured from P = 60 to 400."""
FEWEST_UNITS = 3
"""Smallest width at which one unit can be told from the others."""


def _applies(activation: Activation, n_outputs: int = 1) -> str:
    if activation.name == "linear":
        return "linear networks have no condensed phase apart; `exact` solves them at any width"
    if not activation.odd:
        return f"it has been checked for odd activations alone (erf, tanh), which {activation.name} is not"
    return one_output(activation, n_outputs)


def _solve(spectrum: Spectrum, points: Points) -> Any:
    from proplim.theory.condensed import solve_condensed

    result: dict[str, np.ndarray] = {"converged": np.zeros(points.size)}
    reasons = np.full(points.size, "", dtype=object)
    narrow = points.width < FEWEST_UNITS
    reasons[narrow] = f"the condensed theory needs at least {FEWEST_UNITS} units"
    for width, lambda1 in sorted({(n, l1) for n, l1 in zip(points.width, points.lambda1, strict=True)}):
        if width < FEWEST_UNITS:
            continue
        here = np.flatnonzero((points.width == width) & (points.lambda1 == lambda1))
        solved = solve_condensed(
            spectrum,
            width=float(width),
            lambda1=float(lambda1),
            temperatures=points.temperature[here].tolist(),
            transition=False,
        )
        for index, point in zip(here, solved.points, strict=True):
            reasons[index] = point.reason
            for name, value in point.values.items():
                value = np.asarray(value, dtype=float)
                if name not in result:
                    result[name] = np.full((points.size, *value.shape), np.nan)
                result[name][index] = value
            result["converged"][index] = float(point.converged)
    return {**result, "reason": reasons}


def _peaks(spectrum: Spectrum, width: np.ndarray, lambda1: np.ndarray) -> Mapping[str, np.ndarray]:
    from proplim.theory._forms import prior_class_distance
    from proplim.theory.condensed import solve_condensed

    prior = prior_class_distance(spectrum)
    names = ("peak_temperature", "peak_height_over_prior", "condensation_temperature")
    found: dict[str, list[np.ndarray]] = {f"{name}{e}": [] for e in ("", ERROR) for name in names}
    for n, l1 in zip(width, lambda1, strict=True):
        if n < FEWEST_UNITS:
            unknown = np.full(2, np.nan)
            one: tuple[np.ndarray, ...] = (unknown, unknown, unknown[:1]) * 2
        else:
            solved = solve_condensed(spectrum, width=float(n), lambda1=float(l1), temperatures=[], peaks=True)
            peaks = solved.peaks
            one = (
                peaks.temperature, peaks.distance / prior, np.array([solved.condensation_temperature]),
                peaks.temperature_error, peaks.distance_error / prior,
                np.array([solved.condensation_temperature_mcse]),
            )  # fmt: skip
        for values, value in zip(found.values(), one, strict=True):
            values.append(value)
    return {name: np.stack(values) for name, values in found.items()}


def _growth(size: Size) -> float:
    return float((size.n_train / SIZE) ** GROWTH)


add(
    Approximation(
        "condensed",
        "one unit taken as it is among the others, right on both sides of the condensation transition",
        _solve,
        order=35,
        applies=_applies,
        peaks=_peaks,
        keeps_unconverged=True,
        point_seconds=lambda size: POINT * _growth(size),
        peak_seconds=lambda size: PEAK * _growth(size),
        look=Look("#CC3311", "-", "condensed"),
    )
)
