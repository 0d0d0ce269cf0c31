"""T* of the equilibrium beside the inversion of training, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from proplim.figures._base import Cubes
from proplim.figures._slices import at, points
from proplim.query import in_order
from proplim.schema import AXES, resolved

if TYPE_CHECKING:
    import pandas as pd


def inversion_table(
    cubes: Cubes, *, approximation: str = "proportional", split: str = "train"
) -> pd.DataFrame:
    """T* of the equilibrium beside the inversion of training, one row a grid point and optimizer.

    Parameters
    ----------
    cubes : mapping of str to xarray.Dataset
        ``theory`` and ``dynamics``.
    approximation : str
        Theory that T* is taken from.
    split : {"train", "test"}
        Inputs whose D is looked at; errors are training errors for both.

    Returns
    -------
    pandas.DataFrame
        Grid coordinates and alpha; ``T_star``, ``T_star_mse`` (training error of the theory at T*,
        interpolated in ln T) and ``T_star_height`` (D(T*) over the prior's D); ``optimizer``, ``replicas``
        that trained without diverging and ``turning`` of them with an inversion; mean and standard deviation
        over these of ``inversion_mse``, ``inversion_time`` and ``inversion_height`` (D at the maximum over D
        at the first time). NaN where D does not turn.
    """
    import pandas as pd

    theory = in_order(cubes["theory"]).sel(approximation=approximation, drop=True)
    dynamics = in_order(cubes["dynamics"])
    rows = []
    names = [axis for axis in AXES if axis in dynamics.dims and axis in theory.dims]
    for point in points({"dynamics": dynamics}, names):
        trained, solved = at(dynamics, point), at(theory, point)
        if trained is None or solved is None:
            continue
        equilibrium = _equilibrium_peak(solved, split)
        known: dict[str, Any] = resolved(point)
        known["alpha"] = known.get("alpha", float(known["n_train"]) / float(known["width"]))
        for optimizer in trained["optimizer"].values.tolist():
            run = trained.sel(optimizer=optimizer)
            if bool((run["converged"] > 0).any()):
                rows.append({**known, **equilibrium, "optimizer": optimizer} | _inversion(run, split))
    return pd.DataFrame(rows)


def _equilibrium_peak(solved: xr.Dataset, split: str) -> dict[str, float]:
    """T*, training error and height of D there; the temperatures of `solved` ascend."""
    peak = solved["peak_temperature"].sel(split=split)
    star = float(peak)
    log_t = np.log(solved["temperature"].values)
    error = solved["mse"].sel(split="train").values
    inside = np.isfinite(star) and log_t[0] <= np.log(star) <= log_t[-1]
    return {
        "T_star": star,
        "T_star_mse": float(np.interp(np.log(star), log_t, error)) if inside else np.nan,
        "T_star_height": float(solved["peak_height_over_prior"].sel(split=split)),
    }


def _inversion(run: xr.Dataset, split: str) -> dict[str, float]:
    """Mean and spread of the inversion over the replicas that turned."""
    good = (run["converged"] > 0).all("time").values
    first = run["centroid_distance_sq"].sel(split=split).isel(time=0).values
    height = run["inversion_height"].sel(split=split).values / first
    values = {
        "inversion_mse": run["inversion_mse"].sel(split=split).values,
        "inversion_time": run["inversion_time"].sel(split=split).values,
        "inversion_height": height,
    }
    turned = good & np.isfinite(height)
    row: dict[str, float] = {"replicas": int(good.sum()), "turning": int(turned.sum())}
    for name, value in values.items():
        chosen = value[turned]
        row[name] = float(chosen.mean()) if len(chosen) else np.nan
        row[f"{name}_sd"] = float(chosen.std(ddof=1)) if len(chosen) > 1 else np.nan
    return row
