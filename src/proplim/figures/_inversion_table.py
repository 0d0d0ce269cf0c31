"""T* of the equilibrium beside the inversion of training, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from proplim.dynamics import find_inversion
from proplim.figures._base import Cubes
from proplim.figures._distances import BY_NAME, DISTANCES, D, mean_turn, with_distances
from proplim.figures._slices import at, points
from proplim.query import PRIOR, in_order, parabola_peak
from proplim.schema import AXES, resolved

if TYPE_CHECKING:
    import pandas as pd

_OF_NETWORKS = ("inversion_mse", "inversion_time", "inversion_height")
PAIR = "pair"
"""Dimension of distances of three and more classes: a row for every pair."""
COLUMNS = (
    "quantity", "T_star", "T_star_mse", "T_star_height", "optimizer", "replicas", "turning",
    *(column for name in _OF_NETWORKS for column in (name, f"{name}_sd")),
    "mean_inversion_time", "mean_inversion_mse", "mean_fall",
)  # fmt: skip
"""Of every table, after the coordinates of the grid, the width and alpha."""


def inversion_table(
    cubes: Cubes,
    *,
    approximation: str = "proportional",
    split: str = "train",
    quantities: Sequence[str] = tuple(BY_NAME),
) -> pd.DataFrame:
    """T* of the equilibrium beside the inversion of training, one row a grid point, optimizer and measure of distance.

    Parameters
    ----------
    cubes : mapping of str to xarray.Dataset
        ``theory`` and ``dynamics``.
    approximation : str
        Theory that T* is taken from.
    split : {"train", "test"}
        Inputs whose distance is looked at; errors are training errors for both.
    quantities : sequence of str
        Any of ``centroid_distance_sq`` (D), ``relative_distance`` (D/(R_+^2 + R_-^2)) and
        ``normalized_centroid_distance_sq``; what the cubes lack is left out.

    Returns
    -------
    pandas.DataFrame
        Grid coordinates, width and alpha; ``pair`` where there are three classes and more; ``quantity``;
        ``T_star``, ``T_star_mse`` (training error of the theory at T*,
        interpolated in ln T) and ``T_star_height`` (quantity at T* over that of the prior); ``optimizer``, ``replicas``
        that trained without diverging and ``turning`` of them with an inversion; mean and standard deviation
        over these of ``inversion_mse``, ``inversion_time`` and ``inversion_height`` (quantity at the maximum over
        that at the first time); ``mean_inversion_time``, ``mean_inversion_mse`` and ``mean_fall`` of the mean over
        networks: where it is largest, and the share of its maximum by which it falls after it. NaN where it does not
        turn. A table without rows has these columns too.
    """
    import pandas as pd

    cubes = with_distances({stage: in_order(cubes[stage]) for stage in ("theory", "dynamics")})
    theory, dynamics = cubes["theory"], cubes["dynamics"]
    chosen = [name for name in quantities if name in theory and name in dynamics]
    names = [axis for axis in AXES if axis in dynamics.dims and axis in theory.dims]
    pairs = dynamics[PAIR].values.tolist() if PAIR in dynamics.dims else [None]
    rows: list[dict[str, Any]] = []
    for point in points({"dynamics": dynamics}, names):
        trained, solved = at(dynamics, point), at(theory, point)
        if trained is None or solved is None:
            continue
        known: dict[str, Any] = resolved(point)
        known["alpha"] = known.get("alpha", float(known["n_train"]) / float(known["width"]))
        for pair in pairs:
            of_pair = {PAIR: pair} if pair is not None else {}
            networks, equilibrium = trained.sel(of_pair), solved.sel(of_pair)
            if pair is not None and not bool(np.isfinite(networks[D.name]).any()):
                continue  # a pair of another data set
            for quantity in chosen:
                peak = _equilibrium_peak(equilibrium, quantity, approximation, split)
                shared = {**known, **of_pair, "quantity": quantity, **peak}
                rows += [{**shared, **row} for row in _runs(networks, quantity, split)]
    beside = [*names, "width", "alpha", *([PAIR] if PAIR in dynamics.dims else [])]
    table = pd.DataFrame(rows, columns=list(dict.fromkeys([*beside, *COLUMNS])))
    if table.empty:  # columns of numbers are such without rows too
        words = {"quantity", "optimizer", PAIR, *(name for name in names if AXES[name].kind == "name")}
        table = table.astype({column: float for column in table.columns if column not in words})
    return table


def _runs(trained: xr.Dataset, quantity: str, split: str) -> Iterator[dict[str, Any]]:
    """What the networks of every optimizer did that trained any."""
    for optimizer in trained["optimizer"].values.tolist():
        run = trained.sel(optimizer=optimizer)
        if bool((run["converged"] > 0).any()):
            yield {"optimizer": optimizer, **_inversion(run, quantity, split)}


def _equilibrium_peak(solved: xr.Dataset, quantity: str, approximation: str, split: str) -> dict[str, float]:
    """T*, training error and height there; the temperatures of `solved` ascend."""
    prior = float("nan")
    if PRIOR in solved["approximation"].values:
        prior = float(np.nanmean(solved[quantity].sel(approximation=PRIOR, split=split).values))
    theory = solved.sel(approximation=approximation, drop=True)
    log_t = np.log(theory["temperature"].values)
    error = theory["mse"].sel(split="train").values
    if quantity == D.name:  # found by optimisation
        star = float(theory["peak_temperature"].sel(split=split))
        height = float(theory["peak_height_over_prior"].sel(split=split))
    else:
        star, top = parabola_peak(theory["temperature"].values, theory[quantity].sel(split=split).values)
        height = top / prior
    inside = np.isfinite(star) and log_t[0] <= np.log(star) <= log_t[-1]
    return {
        "T_star": star,
        "T_star_mse": float(np.interp(np.log(star), log_t, error)) if inside else np.nan,
        "T_star_height": height,
    }


def _inversion(run: xr.Dataset, quantity: str, split: str) -> dict[str, float]:
    """Mean and spread of the inversion over the replicas that turned, and the inversion of their mean."""
    good = (run["converged"] > 0).all("time").values
    distance = run[quantity].sel(split=split).transpose("replica", "time").values
    error = run["mse"].sel(split="train").transpose("replica", "time").values
    time = run["time"].values
    if quantity == D.name:
        values = {name: run[name].sel(split=split).values for name in _OF_NETWORKS}
    else:
        single = np.array(
            [find_inversion(*_positive(time, d, e)) for d, e in zip(distance, error, strict=True)]
        )
        values = dict(zip(("inversion_time", "inversion_mse", "inversion_height"), single.T, strict=True))
    values["inversion_height"] = values["inversion_height"] / distance[:, 0]
    turned = good & np.isfinite(values["inversion_height"])
    row: dict[str, float] = {"replicas": int(good.sum()), "turning": int(turned.sum())}
    for name in _OF_NETWORKS:
        value = values[name][turned]
        row[name] = float(value.mean()) if len(value) else np.nan
        row[f"{name}_sd"] = float(value.std(ddof=1)) if len(value) > 1 else np.nan
    mean = distance[good].mean(axis=0) if good.any() else np.full(len(time), np.nan)
    mean_error = error[good].mean(axis=0) if good.any() else np.full(len(time), np.nan)
    at_time, at_error, _ = find_inversion(*_positive(time, mean, mean_error))
    return row | {
        "mean_inversion_time": at_time,
        "mean_inversion_mse": at_error,
        "mean_fall": mean_turn(mean),
    }


def _positive(time: np.ndarray, *curves: np.ndarray) -> tuple[np.ndarray, ...]:
    """Without the start, which has no place on a logarithmic axis."""
    return tuple(values[..., time > 0] for values in (time, *curves))


def falling_quantity(table: pd.DataFrame) -> str | None:
    """The quantity whose mean over networks falls at most points of a table, and of equal ones in most networks."""
    counts = {
        name: (int(np.isfinite(part["mean_fall"]).sum()), int(part["turning"].sum()))
        for name, part in table.groupby("quantity", sort=False)
    }
    order = [distance.name for distance in DISTANCES if distance.name in counts]
    best = max(order, key=lambda name: counts[name], default=None)
    return best if best is not None and counts[best] > (0, 0) else None
