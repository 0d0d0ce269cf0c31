"""Cubes of invented but plausible numbers with the dimensions of real ones, for tests of what reads cubes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from proplim.geometry import LABELS
from proplim.observables import OBSERVABLES, variable, variables_of
from proplim.schema import AXES, SPLITS, STATISTICS, width_at

ATTRIBUTES = {
    "title": "invented cube",
    "study": "invented",
    "proplim_version": "0",
    "git_revision": "unknown",
    "configuration": "study: invented\ndatasets:\n- {name: digits-3v8, source: digits, classes: [3, 8]}\n",
}


def grid(**axes: Sequence) -> dict[str, list]:
    """Coordinates of the axes of the grid, with short defaults; loads, where they are given, instead of widths."""
    defaults: dict[str, Sequence] = {
        "dataset": ["digits-3v8"],
        "activation": ["erf"],
        "n_train": [60, 120, 240],
        "width": [60, 120],
        "temperature": np.logspace(-3, 2, 21),
        "lambda0": [1.0],
        "lambda1": [1.0],
        "seed": [0],
    }
    left_out = "width" if "alpha" in axes else "alpha"
    return {dim: list(axes.get(dim, defaults.get(dim, ()))) for dim in AXES if dim != left_out}


def _curves(coords: dict[str, list]) -> dict[str, xr.DataArray]:
    """Smooth functions of the grid shaped as in theory: D rises from its prior and falls at low T."""
    axis = {d: xr.DataArray(coords[d], dims=d, coords={d: coords[d]}) for d in coords}
    log_t = np.log10(axis["temperature"])
    alpha = axis["alpha"] if "alpha" in axis else axis["n_train"] / axis["width"]
    alpha = alpha + 0 * axis["n_train"]
    order = xr.DataArray(
        np.arange(len(coords["dataset"])) * 0.2, dims="dataset", coords={"dataset": coords["dataset"]}
    )
    kind = xr.DataArray(
        np.arange(len(coords["activation"])) * 0.1,
        dims="activation",
        coords={"activation": coords["activation"]},
    )
    base = 0.1 * (1 + order + kind) * (1 + 0.02 * np.sin(7.0 * axis["seed"])) + 0 * axis["lambda0"]
    split = xr.DataArray([1.0, 0.9], dims="split", coords={"split": list(SPLITS)})
    label = xr.DataArray([0.24, 0.26], dims="label", coords={"label": list(LABELS)})
    rise = 1 / (1 + np.exp(2.2 * log_t))
    fall = 1 - 0.45 / (1 + np.exp(2.0 * (log_t + 2)))
    shift = 0.35 * alpha / (1 + 0.3 * alpha) / axis["lambda1"] * rise * fall
    transition = 0.04 * alpha
    return {
        "heavy": 1 / (1 + (axis["temperature"] / transition) ** 6),
        "transition": transition,
        "base": base * split,
        "shift": shift,
        "rise": rise,
        "alpha": alpha,
        "label": label * split * (1 + 0 * base.isel(lambda0=0, drop=True)),
        "order": 1 + 0.25 * alpha * rise - 0.15 * np.exp(-(log_t**2)),
        "ones": 1 + 0 * base * alpha * log_t * axis["lambda1"],
    }


def _values(coords: dict[str, list], strength: float) -> dict[str, xr.DataArray]:
    c = _curves(coords)
    s = strength
    bias = c["base"] * (2.0 + 6.0 / (1 + c["rise"] * 9)) * (1 + 0.1 * c["alpha"])
    variance = 0.15 * (1.2 - c["rise"]) * (1 + 0.2 * s * c["rise"]) * xr.ones_like(c["base"])
    values = {
        "order_parameter": 1 + s * (c["order"] - 1),
        "free_energy": 0.3 + 0.2 / (1 + c["rise"]) * (1 + 0.1 * s),
        "readout_variance": 1 + s * (c["order"] - 1),
        "hidden_trace_shift": 0.3 * s * c["shift"] - 0.02 * s * np.exp(-(np.log10(c["rise"]) ** 2)),
        "signal_variance": 1 + 1.5 * s * c["shift"],
        "readout_signal_covariance": 1.2 * s * c["rise"] * c["alpha"] ** 0.5,
        "centroid_distance_sq": c["base"] * (1 + s * c["shift"]),
        "gyration_radius_sq": c["label"] * (1 - 0.08 * s * c["shift"]),
        "bias_sq": bias,
        "predictive_variance": variance,
        "mse": bias + variance,
        "accuracy": 0.99 - 0.1 * bias,
        "heavy_unit_share": 0.85 * c["heavy"],
        "readout_participation": 0.34 * (1 - 0.9 * c["heavy"]),
        "condensed_probability": c["heavy"],
        "condensation_temperature": c["transition"],
        "converged": xr.ones_like(c["ones"]),
    }
    values = {name: value * c["ones"] for name, value in values.items()}
    rest = [v for v in OBSERVABLES.members() if not v.of_many_alone]
    for v in rest:  # diagnostics: any number of the right shape will do
        like = values[{0: "converged", 1: "mse", 2: "gyration_radius_sq"}[len(v.dims)]]
        values.setdefault(v.name, 0.5 * xr.ones_like(like))
    return values


def _finish(ds: xr.Dataset, stage: str, extra: Sequence[str], coords: dict[str, list]) -> xr.Dataset:
    grid_dims = [d for d in AXES if d in coords]
    for v in variables_of(stage):
        ds[v.name] = ds[v.name].isel(dict.fromkeys(v.without, 0), drop=True)
        dims = [d for d in grid_dims if d not in v.without]
        ds[v.name] = ds[v.name].transpose(*dims, *[d for d in extra if d in ds[v.name].dims], *v.dims)
        ds[v.name].attrs = {"long_name": variable(v.name).long_name, "units": v.units}
    ds = ds[[v.name for v in variables_of(stage)]]
    if "alpha" in ds.dims:
        widths = width_at(ds["n_train"].values[:, None], ds["alpha"].values)
        ds = ds.assign_coords(width=(("n_train", "alpha"), widths))
    ds.attrs = dict(ATTRIBUTES)
    return ds


def theory_cube(
    approximations: Sequence[str] = ("infinite_width", "proportional"), **axes: Sequence
) -> xr.Dataset:
    """Theory cube: infinite width is the prior, the rest shift D more and more."""
    coords = grid(**axes)
    strength = {"infinite_width": 0.0, "proportional": 1.0, "cavity": 1.25, "exact": 1.2}
    parts = [xr.Dataset(_values(coords, strength[a])) for a in approximations]
    index = xr.DataArray(list(approximations), dims="approximation", name="approximation")
    return _finish(xr.concat(parts, dim=index), "theory", ["approximation"], coords)


def sampling_cube(noise: float = 0.004, rng_seed: int = 0, **axes: Sequence) -> xr.Dataset:
    """Sampling cube: the cavity's values with Gaussian noise of the stated standard error."""
    coords = grid(**{"temperature": [0.01, 0.1, 1.0], **axes})
    rng = np.random.default_rng(rng_seed)
    out: dict[str, xr.DataArray] = {}
    values = _values(coords, 1.25)
    for v in variables_of("sampling"):
        exact = values[v.name]
        if v.name == "converged":
            out[v.name] = exact
            continue
        error = noise * (0.02 + abs(exact))
        mean = exact + error * rng.standard_normal(exact.shape)
        parts = [mean, error, xr.full_like(exact, 500.0), xr.full_like(exact, 1.002)]
        out[v.name] = xr.concat(parts, dim=xr.DataArray(list(STATISTICS), dims="statistic", name="statistic"))
    return _finish(xr.Dataset(out), "sampling", ["statistic"], coords)


def dynamics_cube(
    replicas: int = 4, optimizers: Sequence[str] = ("gradient_descent",), **axes: Sequence
) -> xr.Dataset:
    """Dynamics cube: D rises and falls in time while the training error goes down."""
    coords = grid(**axes)
    del coords["temperature"]
    time = np.logspace(-2, 4, 41)
    rng = np.random.default_rng(1)
    at = {**coords, "temperature": [1.0]}
    values = {k: v.isel(temperature=0, drop=True) for k, v in _values(at, 1.0).items()}
    t = xr.DataArray(time, dims="time", coords={"time": time})
    noise = xr.DataArray(
        1 + 0.03 * rng.standard_normal((len(optimizers), replicas)),
        dims=("optimizer", "replica"),
        coords={"optimizer": list(optimizers), "replica": np.arange(replicas)},
    )
    bump = 1 / (1 + 1 / t) * (1 - 0.4 / (1 + 100 / t))
    decay = 1 / (1 + t)
    out = {}
    for v in variables_of("dynamics"):
        base = values[v.name] * (noise * xr.ones_like(t))
        if v.name == "converged":
            base = xr.ones_like(base)
        elif v.name == "centroid_distance_sq":
            base = base * (0.8 + 0.4 * bump)
        elif v.name in ("mse", "bias_sq"):
            base = base * (0.01 + 3 * decay)
        out[v.name] = base
    return _finish(xr.Dataset(out), "dynamics", ["optimizer", "replica", "time"], coords)


def all_cubes(**axes: Sequence) -> dict[str, xr.Dataset]:
    """The three cubes of one study; sampling and dynamics keep their own temperature and time axes."""
    others = {k: v for k, v in axes.items() if k != "temperature"}
    return {
        "theory": theory_cube(**axes),
        "sampling": sampling_cube(**others),
        "dynamics": dynamics_cube(**others),
    }
