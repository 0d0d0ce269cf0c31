"""The theory on a grid: every approximation at every (width, temperature, lambda1).

How to plug in an approximation
-------------------------------
Write one function ``solve(spectrum, points) -> dict`` and name it in :func:`_solver`:

- `spectrum` (:class:`~proplim.theory.Spectrum`) holds data set, activation, lambda0, and the training kernel
  with its eigendecomposition, test kernels (computed when first asked for) and class weights;
- `points` (:class:`~proplim.theory.Points`) holds temperature, width and lambda1 as flat float arrays of one
  length n;
- the result maps variable names of :mod:`proplim.observables` to (n,), (n, 2) [split] or (n, 2, 2)
  [split, label] float arrays, `converged` (n,) among them. A variable left out is NaN.

A point's values must not depend on the other points. Where `converged` is 0, the other variables are set to
NaN here; an exception that a solver raises is not caught.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr
from threadpoolctl import threadpool_limits

from proplim.activations import Activation, get_activation
from proplim.datasets import Dataset
from proplim.errors import InvalidInput
from proplim.geometry import LABELS
from proplim.observables import Observable, variables_of
from proplim.schema import SPLITS
from proplim.theory._blocks import Points
from proplim.theory._spectrum import Spectrum, build_spectrum

Solver = Callable[[Spectrum, Points], dict[str, np.ndarray]]
GRID = ("width", "temperature", "lambda1")
EVIDENCE = {
    "conjugate_order_parameter": "order parameter R conjugate to Q (proportional, not odd)",
    "effective_sample_fraction": "effective over actual number of draws (cavity)",
    "closure_residual": "residual of the self-consistency, in widths of the modes of Sigma (cavity)",
}
"""What single approximations report beside the variables of the cubes; kept where a point fell short."""
CHUNK = 1 << 15
"""Points given to a solver at once."""


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
        Of infinite_width, proportional, cavity, exact.
    peaks : bool
        Whether T* is located too, once for every width and lambda1; NaN otherwise. For the cavity that takes
        several times as long as a point.

    Returns
    -------
    xr.Dataset
        Dims (approximation, width, temperature, lambda1; split and label where they apply), float64, all
        theory variables of :mod:`proplim.observables`; the peaks of :func:`solve_peaks` have no
        temperature. NaN with converged = 0 where a point fails.

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
    solvers = [_solver(name, activation) for name in approximations]
    if not solvers:
        raise InvalidInput("approximations", approximations, "at least one approximation")
    mesh = np.meshgrid(*(axes[d] for d in GRID), indexing="ij")
    flat = dict(zip(GRID, (m.ravel() for m in mesh), strict=True))
    points = Points(flat["temperature"], flat["width"], flat["lambda1"])
    with threadpool_limits(limits=1, user_api="blas"):
        spectrum = build_spectrum(dataset, activation, float(lambda0))
        results = [_in_chunks(solver, spectrum, points) for solver in solvers]
        found = [
            _peaks(name if peaks else "", spectrum, axes["width"], axes["lambda1"]) for name in approximations
        ]
    shape = mesh[0].shape
    data: dict[str, tuple] = {
        v.name: _stack(v, results, shape) for v in variables_of("theory") if not v.without
    }
    data |= {v.name: _stack_peaks(v, found) for v in variables_of("theory") if v.without}
    reported = {name for result in results for name in result}
    data |= {v.name: _stack(v, results, shape) for v in _evidence() if v.name in reported}
    width_values = np.atleast_1d(np.asarray(width))
    coords = {
        "approximation": list(approximations), "width": width_values, "temperature": axes["temperature"],
        "lambda1": axes["lambda1"], "split": list(SPLITS), "label": list(LABELS),
    }  # fmt: skip
    return xr.Dataset(data, coords=coords)


def _in_chunks(solver: Solver, spectrum: Spectrum, points: Points) -> dict[str, np.ndarray]:
    """Solve CHUNK points at a time, so that what a solver needs in between does not grow with the grid."""
    result: dict[str, np.ndarray] = {}
    for start in range(0, points.size, CHUNK):
        part = solver(spectrum, Points(*(a[start : start + CHUNK] for a in points)))
        converged = np.asarray(part["converged"]) > 0
        for variable in (*variables_of("theory"), *_evidence()):
            if variable.name in part:
                value = np.asarray(part[variable.name], dtype=float)
                if variable.name not in result:
                    result[variable.name] = np.full((points.size, *value.shape[1:]), np.nan)
                always = variable.name == "converged" or variable.name in EVIDENCE
                kept = np.ones_like(converged) if always else converged
                result[variable.name][start : start + CHUNK][kept] = value[kept]
    return result


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
        (approximation, width, lambda1, split), from 1e-8 to 1e6 times tr K/(P lambda1). NaN where D is
        largest at an end of that range or constant (infinite width), and for approximations without peaks.
        For the cavity also `peak_temperature_mcse` (docs/cavity.md, section B.7).

    Raises
    ------
    InvalidInput
        As :func:`solve_grid`.
    """
    activation = get_activation(activation)
    axes = {"width": _axis("width", width), "lambda1": _axis("lambda1", lambda1)}
    _axis("lambda0", lambda0)
    for name in approximations:
        _solver(name, activation)
    with threadpool_limits(limits=1, user_api="blas"):
        spectrum = build_spectrum(dataset, activation, float(lambda0))
        peaks = [_peaks(name, spectrum, **axes) for name in approximations]
    data = {v.name: _stack_peaks(v, peaks) for v in variables_of("theory") if v.without}
    error = "peak_temperature_mcse"
    if any(error in p for p in peaks):
        unknown = np.full((len(axes["width"]), len(axes["lambda1"]), 2), np.nan)
        stacked = np.stack([p.get(error, unknown) for p in peaks])
        data[error] = (
            data["peak_temperature"][0],
            stacked,
            {"long_name": "standard error of T*", "units": "1"},
        )
    width_values = np.atleast_1d(np.asarray(width))
    coords = {"approximation": list(approximations), "width": width_values, "lambda1": axes["lambda1"]}
    return xr.Dataset(data, coords={**coords, "split": list(SPLITS)})


def _peaks(name: str, spectrum: Spectrum, width: np.ndarray, lambda1: np.ndarray) -> dict[str, np.ndarray]:
    """Peak variables of one approximation, (widths, lambda1s, 2) arrays; NaN where it has none."""
    n, l1 = (m.ravel() for m in np.meshgrid(width, lambda1, indexing="ij"))
    if name == "proportional" and spectrum.activation.odd:
        from proplim.theory._peaks import find_peaks

        found = find_peaks(spectrum, n, l1)
    elif name == "exact" and spectrum.activation.name == "linear":
        from proplim.theory._exact import find_exact_peaks

        found = find_exact_peaks(spectrum, n, l1)
    elif name == "proportional":
        from proplim.theory._two_order_parameters import find_two_order_parameter_peaks

        found = find_two_order_parameter_peaks(spectrum, n, l1)
    elif name == "cavity":
        from proplim.theory._cavity_peaks import find_cavity_peaks

        found = find_cavity_peaks(spectrum, n, l1)
    else:
        found = {v.name: np.full((n.size, 2), np.nan) for v in variables_of("theory") if v.without}
    return {key: value.reshape(len(width), len(lambda1), 2) for key, value in found.items()}


def _stack_peaks(variable: Observable, peaks: list[dict[str, np.ndarray]]) -> tuple:
    dims = ("approximation", *(d for d in GRID if d not in variable.without), *variable.dims)
    attrs = {"long_name": variable.long_name, "units": variable.units}
    return dims, np.stack([p[variable.name] for p in peaks]), attrs


def _solver(name: str, activation: Activation) -> Solver:
    """The solver of an approximation; imports its module only when asked for."""
    if name == "infinite_width":
        from proplim.theory._gaussian import solve_infinite_width

        return solve_infinite_width
    if name == "proportional" and activation.odd:
        from proplim.theory._gaussian import solve_proportional

        return solve_proportional
    if name == "proportional":
        from proplim.theory._two_order_parameters import solve_two_order_parameters

        return solve_two_order_parameters
    if name == "exact":
        from proplim.theory._exact import solve_exact

        return solve_exact
    if name == "cavity":
        from proplim.theory._cavity import solve_cavity

        return solve_cavity
    raise InvalidInput("approximations", name, "choose from infinite_width, proportional, cavity, exact")


def _evidence() -> list[Observable]:
    """Monte-Carlo errors (suffix `_mcse`) and diagnostics that single approximations report."""
    errors = [
        Observable(f"{v.name}_mcse", f"Monte-Carlo standard error of the {v.long_name}", "", v.dims, v.units)
        for v in variables_of("theory")
    ]
    return errors + [Observable(name, meaning, "") for name, meaning in EVIDENCE.items()]


def _stack(variable: Observable, results: list[dict[str, np.ndarray]], shape: tuple[int, ...]) -> tuple:
    """One variable of all approximations on the grid; it leaves `results`, so that nothing is held twice."""
    extra = tuple(2 for _ in variable.dims)
    stacked = np.full((len(results), *shape, *extra), np.nan)
    for i, result in enumerate(results):
        if variable.name in result:
            stacked[i] = result.pop(variable.name).reshape(*shape, *extra)
    attrs = {"long_name": variable.long_name, "units": variable.units}
    return ("approximation", *GRID, *variable.dims), stacked, attrs


def _axis(name: str, values: Sequence[float] | np.ndarray | float) -> np.ndarray:
    axis = np.atleast_1d(np.asarray(values, dtype=float))
    if axis.ndim != 1 or not axis.size:
        raise InvalidInput(name, values, "a number or a one-dimensional sequence of numbers")
    bad = axis[~(np.isfinite(axis) & (axis > 0))]
    if bad.size:
        raise InvalidInput(name, float(bad[0]), "positive finite numbers")
    return axis
