"""Sampling against theory: how far they are apart, in standard errors and relatively."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from proplim.errors import InvalidInput
from proplim.query._order import plain_values
from proplim.schema import AXES, key_of

if TYPE_CHECKING:
    import pandas as pd


_OF_STEPS = ("accuracy",)
"""A share of inputs: its error is that of inputs near the boundary alone, and a z made with it says nothing."""


def shared_variables(sampling: xr.Dataset, theory: xr.Dataset) -> list[str]:
    """Variables with a sampled mean and standard error that the theory has as well."""
    return [
        str(n)
        for n in sampling.data_vars
        if n in theory.data_vars and n != "converged" and "statistic" in sampling[n].dims
    ]


def theory_at_sampled(theory: xr.Dataset, sampling: xr.Dataset) -> xr.Dataset:
    """The theory at the grid points of the sampling cube, with that cube's coordinates.

    A point that the theory lacks is NaN.
    """
    for dim in AXES:
        if dim in theory.dims and dim in sampling.dims:
            theory = _reindexed(theory, dim, sampling[dim].values)
    return theory


def _reindexed(theory: xr.Dataset, dim: str, wanted: np.ndarray) -> xr.Dataset:
    """The theory at the wanted values of an axis, found by the axis's own rule of equality."""
    position = {key_of(dim, value): i for i, value in enumerate(theory[dim].values.tolist())}
    found = np.array([position.get(key_of(dim, value), -1) for value in wanted.tolist()], dtype=int)
    there = found >= 0
    picked = theory.isel({dim: found}).assign_coords({dim: wanted})
    return picked if there.all() else picked.where(xr.DataArray(there, dims=dim, coords={dim: wanted}))


def differences(
    sampling: xr.Dataset,
    theory: xr.Dataset,
    variables: Sequence[str] | None = None,
    *,
    all_points: bool = False,
) -> xr.Dataset:
    """Theory minus sampling at every sampled point.

    Parameters
    ----------
    sampling, theory : xarray.Dataset
        Cubes. `theory` keeps its ``approximation`` axis in the result.
    variables : sequence of str, optional
        By default all that both have except `accuracy`, a step function that has no useful z.
    all_points : bool
        Keep points that did not converge; otherwise they are NaN.

    Returns
    -------
    xarray.Dataset
        For each variable ``<name>``, over the sampled grid, ``<name>_theory``, ``<name>_sampling``,
        ``<name>_mcse``, ``<name>_z`` = (theory - sampling)/mcse and ``<name>_relative`` = (theory -
        sampling)/|sampling|.

    Raises
    ------
    InvalidInput
        If a cube is not what it should be, or a variable is not in both.
    """
    if "approximation" not in theory.dims and "approximation" not in theory.coords:
        raise InvalidInput("theory", _title(theory), "a theory cube (with an axis approximation)")
    if "statistic" not in sampling.dims:
        raise InvalidInput("sampling", _title(sampling), "a sampling cube (with an axis statistic)")
    both = shared_variables(sampling, theory)
    chosen = [n for n in both if n not in _OF_STEPS] if variables is None else list(variables)
    for name in chosen:
        if name not in both:
            raise InvalidInput("variable", name, f"sampled and in the theory: {', '.join(both)}")
    theory = theory_at_sampled(theory[[*chosen, "converged"]], sampling)
    good = (_converged(sampling) & (theory["converged"] > 0)).variable
    means, errors = (sampling[chosen].sel(statistic=s, drop=True) for s in ("mean", "mcse"))
    # Coordinates are those of the sampling cube by now: without them, nothing is compared and aligned once more.
    out: dict[str, xr.Variable] = {}
    for name in chosen:
        mean, error, value = (cube.variables[name] for cube in (means, errors, theory))
        if not all_points:
            value = value.where(good)
        distance = value - mean
        out[f"{name}_theory"] = value
        out[f"{name}_sampling"] = mean
        out[f"{name}_mcse"] = error
        out[f"{name}_z"] = distance / error.where(error > 0)
        out[f"{name}_relative"] = distance / abs(mean).where(mean != 0)
    return xr.Dataset(out, coords={**theory[chosen].coords, **means.coords})


def _converged(sampling: xr.Dataset) -> xr.DataArray:
    if "converged" not in sampling:
        return xr.ones_like(next(iter(sampling.data_vars.values())).isel(statistic=0, drop=True), dtype=bool)
    flag = sampling["converged"]
    return (flag.sel(statistic="mean", drop=True) if "statistic" in flag.dims else flag) > 0


def _title(cube: xr.Dataset) -> str:
    return str(cube.attrs.get("title", "a data set without a title"))


def summarise(compared: xr.Dataset) -> pd.DataFrame:
    """One row for each approximation and variable: how far theory is from sampling over all points.

    Columns: approximation, variable, points, rms_z, max_abs_z, median_relative, max_relative (absolute)
    and worst, the grid point of the largest |z|.
    """
    import pandas as pd

    rows = []
    names = [str(n)[:-2] for n in compared.data_vars if str(n).endswith("_z")]
    for approximation in plain_values(compared["approximation"]):
        part = compared.sel(approximation=approximation) if "approximation" in compared.dims else compared
        for name in names:
            z, relative = part[f"{name}_z"], abs(part[f"{name}_relative"]).values
            flat = abs(z).values
            count = int(np.isfinite(flat).sum())
            row = {"approximation": approximation, "variable": name, "points": count}
            if count:
                finite = relative[np.isfinite(relative)]
                row |= {
                    "rms_z": float(np.sqrt(np.nanmean(flat**2))),
                    "max_abs_z": float(np.nanmax(flat)),
                    "median_relative": float(np.median(finite)) if finite.size else np.nan,
                    "max_relative": float(finite.max()) if finite.size else np.nan,
                    "worst": describe_point(
                        z, [int(k) for k in np.unravel_index(int(np.nanargmax(flat)), flat.shape)]
                    ),
                }
            rows.append(row)
    columns = [
        "approximation",
        "variable",
        "points",
        "rms_z",
        "max_abs_z",
        "median_relative",
        "max_relative",
        "worst",
    ]
    return pd.DataFrame(rows, columns=columns)


def worst_points(compared: xr.Dataset, count: int = 10) -> pd.DataFrame:
    """The `count` points of largest |z| of each approximation, the largest first.

    Columns: approximation, variable, z, relative, theory, sampling, mcse and point.
    """
    import pandas as pd

    rows: list[dict] = []
    for name in [str(n)[:-2] for n in compared.data_vars if str(n).endswith("_z")]:
        z = compared[f"{name}_z"]
        for index in _largest(z, count):
            here = compared.isel(index)
            row: dict[str, Any] = {"approximation": str(here["approximation"].values), "variable": name}
            row |= {
                k: float(
                    here[f"{name}_{k}"].isel(
                        {d: i for d, i in index.items() if d in here[f"{name}_{k}"].dims}
                    )
                )
                for k in ("z", "relative", "theory", "sampling", "mcse")
            }
            rows.append({**row, "point": describe_point(z, [index[str(d)] for d in z.dims])})
    columns = ["approximation", "variable", "z", "relative", "theory", "sampling", "mcse", "point"]
    table = pd.DataFrame(rows, columns=columns)
    order = table["z"].abs().sort_values(ascending=False, kind="stable").index
    shown = table.loc[order].groupby("approximation", sort=False).head(count)
    names = list(dict.fromkeys(table["approximation"]))
    return shown.sort_values(
        "approximation", key=lambda c: c.map(names.index), kind="stable", ignore_index=True
    )


def _largest(z: xr.DataArray, count: int) -> list[dict[str, int]]:
    """Positions of the `count` largest |z| for each approximation."""
    found = []
    along = [d for d in z.dims if d != "approximation"]
    for i in range(z.sizes.get("approximation", 1)):
        part = z.isel(approximation=i) if "approximation" in z.dims else z
        flat = np.abs(part.transpose(*along).values).ravel()
        finite = np.flatnonzero(np.isfinite(flat))
        for position in finite[np.argsort(-flat[finite], kind="stable")[:count]]:
            where = np.unravel_index(int(position), tuple(z.sizes[d] for d in along))
            index = {str(d): int(k) for d, k in zip(along, where, strict=True)}
            found.append({"approximation": i, **index} if "approximation" in z.dims else index)
    return found


def describe_point(values: xr.DataArray, index: Sequence[int]) -> str:
    """`n_train=60 width=120 temperature=0.1`, of the axes with several values: a selection for query."""
    words = []
    for dim, i in zip(values.dims, index, strict=True):
        if dim != "approximation" and values.sizes[dim] > 1:
            value = values[dim].values[i]
            words.append(f"{dim}={value:g}" if isinstance(value, np.floating) else f"{dim}={value}")
    return " ".join(words)
