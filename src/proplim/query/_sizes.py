"""Deviation of the theories from sampling against 1/N at fixed load alpha = P/N."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import xarray as xr

from proplim.query._compare import differences
from proplim.schema import width_at

if TYPE_CHECKING:
    import pandas as pd


class SizeFit(NamedTuple):
    """Straight line deviation = limit + slope/N with standard errors; chi2 over `dof` says how well it holds."""

    limit: float
    limit_error: float
    slope: float
    slope_error: float
    chi2: float
    dof: int


def size_deviations(
    sampling: xr.Dataset, theory: xr.Dataset, variable: str = "centroid_distance_sq"
) -> pd.DataFrame:
    """Relative deviation theory/sampling - 1 at every sampled point, averaged over draws of the training set.

    Parameters
    ----------
    sampling, theory : xarray.Dataset
        Cubes. Theory and sampling are compared draw by draw, so what differs between draws in the same way for
        both drops out.
    variable : str
        A variable that both have.

    Returns
    -------
    pandas.DataFrame
        A row for each approximation and point: the axes but ``seed``, ``alpha`` = P/N, ``inverse_width`` = 1/N,
        ``deviation``, its standard error ``error`` and the number of ``draws``. The error is that of the mean over
        draws, but at least the Monte-Carlo error: the spread of a few draws may be small by chance. Points
        that did not converge are left out.

    Raises
    ------
    InvalidInput
        If a cube is not what it should be, or the variable is not in both.
    """
    compared = differences(sampling, theory, [variable])
    relative = compared[f"{variable}_relative"]
    noise = (compared[f"{variable}_mcse"] / abs(compared[f"{variable}_sampling"])).where(relative.notnull())
    if "seed" not in relative.dims:
        relative, noise = relative.expand_dims("seed"), noise.expand_dims("seed")
    draws = relative.notnull().sum("seed")
    mean = relative.mean("seed", skipna=True)
    spread = ((relative - mean) ** 2).sum("seed") / np.maximum(draws - 1, 1)
    variance = np.maximum(spread, (noise**2).mean("seed", skipna=True)) / draws.where(draws > 0)
    columns = {"deviation": mean, "error": np.sqrt(variance), "draws": draws}
    frame = xr.Dataset(columns).to_dataframe().reset_index().dropna(subset=["deviation"])
    if "alpha" in compared.dims:
        frame["width"] = width_at(frame["n_train"].to_numpy(), frame["alpha"].to_numpy())
        frame.insert(0, "alpha", frame.pop("alpha"))
    else:
        frame.insert(0, "alpha", frame["n_train"] / frame["width"])
    frame.insert(1, "inverse_width", 1.0 / frame["width"])
    return frame.reset_index(drop=True)


def fit_sizes(inverse_width: np.ndarray, deviation: np.ndarray, error: np.ndarray) -> SizeFit | None:
    """Weighted least squares of deviation = limit + slope/N; None for fewer than three widths.

    Errors follow from the weights 1/error^2, widened by sqrt(chi2/dof) where the line fits worse than the errors
    allow.

    Parameters
    ----------
    inverse_width, deviation, error : (n,) arrays
        Errors must be positive.
    """
    if len(np.unique(inverse_width)) < 3:
        return None
    weight = 1.0 / np.asarray(error)
    (slope, limit), covariance = np.polyfit(inverse_width, deviation, 1, w=weight, cov="unscaled")
    chi2 = float((((deviation - limit - slope * inverse_width) * weight) ** 2).sum())
    dof = len(inverse_width) - 2
    slope_error, limit_error = np.sqrt(np.diag(covariance) * max(1.0, chi2 / dof))
    return SizeFit(float(limit), float(limit_error), float(slope), float(slope_error), chi2, dof)
