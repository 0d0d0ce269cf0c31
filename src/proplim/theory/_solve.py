"""The theory on a grid: every approximation at every (width, temperature, lambda1)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from threadpoolctl import threadpool_limits

from proplim.activations import Activation, get_activation
from proplim.datasets import Dataset, class_coords
from proplim.errors import InvalidInput
from proplim.observables import ERROR, Observable, variables_of
from proplim.schema import SPLITS, job_axes
from proplim.theory._blocks import Points
from proplim.theory._spectrum import Spectrum, build_spectrum
from proplim.theory._states import values_of
from proplim.theory.approximations import APPROXIMATIONS, Approximation

GRID = job_axes("theory")
"""Axes whose values share a kernel, in the order of the cubes' dimensions: width, temperature, lambda1."""
CHUNK = 1 << 15
"""Points given to an approximation at once."""
REASON = "reason"
"""What a theory says of each point that fell short, beside its numbers."""
REASONS = "reasons"
"""Attribute that says which points fell short and why, as JSON: index of the point in the grid -> words."""


def solve_grid(
    dataset: Dataset,
    activation: str | Activation,
    *,
    temperature: Sequence[float] | np.ndarray | float,
    width: Sequence[float] | np.ndarray | float,
    lambda0: float = 1.0,
    lambda1: Sequence[float] | np.ndarray | float = 1.0,
    approximations: Sequence[str] = ("infinite_width", "proportional"),
    peaks: bool = True,
) -> xr.Dataset:
    """Solve the theory on the full product of widths, temperatures and lambda1.

    Parameters
    ----------
    dataset : Dataset
    activation : str or Activation
    temperature : float or sequence
        T > 0.
    width : int or sequence
        N > 0.
    lambda0, lambda1 : float, float or sequence
        Prior precisions of a hidden and of a readout weight, positive.
    approximations : sequence of str
        Names of :data:`proplim.theory.APPROXIMATIONS`: infinite_width, proportional, cavity, exact, and what has
        been registered beside them.
    peaks : bool
        Whether T* is located too, once for every width and lambda1; NaN otherwise. For the cavity that takes
        several times as long as a point.

    Returns
    -------
    xr.Dataset
        Dims (approximation, width, temperature, lambda1; split, label, and of C outputs pair, output and output2
        where they apply), float64, all
        theory variables of :mod:`proplim.observables`; the peaks of :func:`solve_peaks` have no
        temperature. NaN with converged = 0 where a point fails, and where an approximation does not apply to
        the activation. The attribute `reasons` is JSON: index of a point in (width, temperature, lambda1) ->
        why it fell short, where a theory says so.

    Raises
    ------
    InvalidInput
        If a value is not positive and finite, an axis is empty, or an approximation is unknown.

    Notes
    -----
    Linear algebra runs on one thread and in blocks of fixed shape: a value is the same to the last bit
    whatever else is in the grid and however many cores there are.
    """
    activation = get_activation(activation)
    axes = {"width": _axis("width", width), "temperature": _axis("temperature", temperature)}
    axes["lambda1"] = _axis("lambda1", lambda1)
    _axis("lambda0", lambda0)
    chosen = _chosen(approximations)
    mesh = np.meshgrid(*(axes[d] for d in GRID), indexing="ij")
    points = Points(**dict(zip(GRID, (m.ravel() for m in mesh), strict=True)))
    with threadpool_limits(limits=1, user_api="blas"):
        spectrum = build_spectrum(dataset, activation, float(lambda0))
        results = [_in_chunks(approximation, spectrum, points) for approximation in chosen]
        found = [_peaks(a if peaks else None, spectrum, axes["width"], axes["lambda1"]) for a in chosen]
    reported = {name for result in results for name in result}
    outputs = dataset.n_outputs
    wanted = [*_along_grid(outputs), *(v for v in _reported_beside(chosen, outputs) if v.name in reported)]
    coords: dict[str, Any] = {
        **axes,
        "width": np.atleast_1d(np.asarray(width)),
        "split": list(SPLITS),
        **class_coords(dataset.labels, outputs),
    }
    sizes = {name: len(values) for name, values in coords.items()}
    data = {v.name: _stack(v, results, sizes) for v in wanted}
    data |= {v.name: _stack(v, found, sizes) for v in _curve_variables(found, outputs)}
    return xr.Dataset(
        data,
        coords={"approximation": list(approximations), **coords},
        attrs={REASONS: _reasons(chosen, results)},
    )


def solve_peaks(
    dataset: Dataset,
    activation: str | Activation,
    *,
    width: Sequence[float] | np.ndarray | float,
    lambda0: float = 1.0,
    lambda1: Sequence[float] | np.ndarray | float = 1.0,
    approximations: Sequence[str] = ("proportional",),
) -> xr.Dataset:
    """T*, the temperature of the largest class distance, and its height over both limits.

    Parameters
    ----------
    dataset, activation, width, lambda0, lambda1, approximations
        As for :func:`solve_grid`.

    Returns
    -------
    xr.Dataset
        `peak_temperature`, `peak_height_over_prior` and `peak_height_over_low_temperature` with dims
        (approximation, width, lambda1, split, of C outputs pair), from 1e-8 to 1e6 times tr K/(P lambda1). NaN where
        D is largest at an end of that range or constant (infinite width), and for approximations without peaks.
        For the cavity also `peak_temperature_mcse` (docs/cavity.md, section B.7). For the condensed theory
        `condensation_temperature` and `condensation_temperature_mcse`, dims (approximation, width, lambda1).

    Raises
    ------
    InvalidInput
        As :func:`solve_grid`.
    """
    activation = get_activation(activation)
    axes = {"width": _axis("width", width), "lambda1": _axis("lambda1", lambda1)}
    _axis("lambda0", lambda0)
    chosen = _chosen(approximations)
    with threadpool_limits(limits=1, user_api="blas"):
        spectrum = build_spectrum(dataset, activation, float(lambda0))
        peaks = [_peaks(approximation, spectrum, **axes) for approximation in chosen]
    outputs = dataset.n_outputs
    variables = _curve_variables(peaks, outputs)
    classes = class_coords(dataset.labels, outputs)
    coords: dict[str, Any] = {
        **axes,
        "width": np.atleast_1d(np.asarray(width)),
        "split": list(SPLITS),
        **{d: values for d, values in classes.items() if any(d in v.dims for v in variables)},
    }
    sizes = {name: len(values) for name, values in coords.items()}
    data = {v.name: _stack(v, peaks, sizes) for v in variables}
    return xr.Dataset(data, coords={"approximation": list(approximations), **coords})


def _chosen(names: Sequence[str]) -> list[Approximation]:
    if not len(names):
        raise InvalidInput("approximations", names, "at least one approximation")
    return [APPROXIMATIONS.get(name, "approximations") for name in names]


def _along_grid(n_outputs: int) -> list[Observable]:
    """Variables of the theory cube with all axes of the grid."""
    return [v for v in variables_of("theory", n_outputs) if not v.without]


def _curve_variables(found: Sequence[Mapping[str, np.ndarray]], n_outputs: int) -> list[Observable]:
    """Variables of the theory cube that approximations find for a whole curve, as T*, and errors that they report."""
    variables = [v for v in variables_of("theory", n_outputs) if v.without]
    reported = {name for one in found for name in one}
    return variables + [e for e in map(_error_of, variables) if e.name in reported]


def _error_of(variable: Observable) -> Observable:
    """The standard error of a variable, as a variable."""
    long_name = f"Monte-Carlo standard error of the {variable.long_name}"
    return Observable(
        variable.name + ERROR, long_name, "", variable.dims, variable.units, without=variable.without
    )


def _reported_beside(approximations: Iterable[Approximation], n_outputs: int) -> list[Observable]:
    """What approximations may report beside the variables of the cube: standard errors and evidence."""
    evidence = {name: long_name for a in approximations for name, long_name in a.evidence.items()}
    errors = [_error_of(v) for v in _along_grid(n_outputs)]
    return errors + [Observable(name, long_name, "") for name, long_name in evidence.items()]


def _in_chunks(approximation: Approximation, spectrum: Spectrum, points: Points) -> dict[str, np.ndarray]:
    """Solve CHUNK points at a time, so that what a theory needs in between does not grow with the grid.

    Of a point that has not converged only the evidence is kept, unless the approximation says otherwise.
    """
    if _refused(approximation, spectrum):
        return {"converged": np.zeros(points.size)}
    outputs = spectrum.dataset.n_outputs
    known = {v.name for v in (*_along_grid(outputs), *_reported_beside([approximation], outputs))}
    always = {"converged", *approximation.evidence}
    result: dict[str, np.ndarray] = {}
    for start in range(0, points.size, CHUNK):
        chunk = Points(*(a[start : start + CHUNK] for a in points))
        part = values_of(approximation.solve(spectrum, chunk), chunk.size)
        converged = np.asarray(part["converged"]) > 0
        for name in known & set(part):
            value = np.asarray(part[name], dtype=float)
            if name not in result:
                result[name] = np.full((points.size, *value.shape[1:]), np.nan)
            everything = name in always or approximation.keeps_unconverged
            kept = np.ones_like(converged) if everything else converged
            result[name][start : start + CHUNK][kept] = value[kept]
        if REASON in part:
            result.setdefault(REASON, np.full(points.size, "", dtype=object))
            result[REASON][start : start + CHUNK] = part[REASON]
    return result


def _refused(approximation: Approximation, spectrum: Spectrum) -> str:
    """Why an approximation does not apply; empty where it does."""
    return approximation.applies(spectrum.activation, spectrum.dataset.n_outputs)


def _reasons(approximations: Sequence[Approximation], results: Sequence[Mapping[str, np.ndarray]]) -> str:
    """Why points fell short, in the words of the theories that say so."""
    found: dict[int, list[str]] = {}
    for approximation, result in zip(approximations, results, strict=True):
        for index, text in enumerate(result.get(REASON, ())):
            if text:
                found.setdefault(index, []).append(f"{approximation.name}: {text}")
    return json.dumps({str(index): "; ".join(texts) for index, texts in found.items()})


def _peaks(
    approximation: Approximation | None, spectrum: Spectrum, width: np.ndarray, lambda1: np.ndarray
) -> dict[str, np.ndarray]:
    """Peak variables, (widths, lambda1s, splits) arrays; none where there is no T* to be found."""
    if approximation is None or approximation.peaks is None or _refused(approximation, spectrum):
        return {}
    n, l1 = (m.ravel() for m in np.meshgrid(width, lambda1, indexing="ij"))
    found = approximation.peaks(spectrum, n, l1)
    return {k: v.reshape(len(width), len(lambda1), *v.shape[1:]) for k, v in found.items()}


def _stack(variable: Observable, results: list[dict[str, np.ndarray]], sizes: Mapping[str, int]) -> tuple:
    """One variable of all approximations, NaN where one has none.

    It is taken out of `results`, so that nothing is held twice.
    """
    dims = (*(d for d in GRID if d not in variable.without), *variable.dims)
    shape = tuple(sizes[d] for d in dims)
    stacked = np.full((len(results), *shape), np.nan)
    for i, result in enumerate(results):
        if variable.name in result:
            stacked[i] = result.pop(variable.name).reshape(shape)
    return ("approximation", *dims), stacked, variable.attributes


def _axis(name: str, values: Sequence[float] | np.ndarray | float) -> np.ndarray:
    axis = np.atleast_1d(np.asarray(values, dtype=float))
    if axis.ndim != 1 or not axis.size:
        raise InvalidInput(name, values, "a number or a one-dimensional sequence of numbers")
    bad = axis[~(np.isfinite(axis) & (axis > 0))]
    if bad.size:
        raise InvalidInput(name, float(bad[0]), "positive finite numbers")
    return axis
