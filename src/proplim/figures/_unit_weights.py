"""Distributions of the weights of single units, counted from the files of draws of a study.

The cubes hold moments only. With ``sampling: {histograms: true}`` the files of draws beside them also hold the weights
of single units.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from proplim.cube import open_draws
from proplim.figures._files import files_of_study
from proplim.figures._panels import configuration_of
from proplim.figures._slices import matches
from proplim.schema import AXES

WEIGHTS = (
    ("unit_readout", "readout_variance", "lambda1", r"\sqrt{\lambda_1}\,v"),
    ("unit_signal", "signal_variance", "lambda0", r"\sqrt{\lambda_0}\,w\cdot u"),
)
"""Weight, variable with its second moment, precision of its prior and symbol in units of the prior's s.d."""

REACH, BINS = 12.0, 241
"""Half-width of the histograms in units of the largest standard deviation in the study, and their bins."""


def weight_histograms(sampling: xr.Dataset, folder: Path) -> xr.Dataset | None:
    """Histograms of the weights of single units at every point of a sampling cube.

    Parameters
    ----------
    sampling : xarray.Dataset
        Sampling cube.
    folder : Path
        Folder with the files of draws of its study, ``results/<study>/draws``.

    Returns
    -------
    xarray.Dataset or None
        ``unit_readout`` and ``unit_signal`` over the grid and ``bin``: probability density of
        lambda1^(1/2) v and lambda0^(1/2) w.u, units of the prior's standard deviation, pooled over chains,
        draws and units; NaN where the files hold none. The coordinate ``bin`` is the middle of a bin. None if
        the study has not kept single units.

    Notes
    -----
    A file belongs to a point if its own summary repeats the cube's numbers: files of a study that was changed
    since stay in the folder and are passed over.
    """
    if not configuration_of(sampling).get("sampling", {}).get("histograms"):
        return None
    edges = _edges(sampling)
    grid = {d: sampling[d].values for d in AXES if d in sampling.dims}
    shape = (*map(len, grid.values()), BINS)
    densities = {name: np.full(shape, np.nan) for name, *_ in WEIGHTS}
    for index, draws in _files(sampling, folder):
        for name, _, prior, _ in WEIGHTS:
            scaled = np.sqrt(float(draws.attrs[prior])) * draws[name].values
            densities[name][index] = np.histogram(scaled, edges)[0] / scaled.size / np.diff(edges)
    if not any(np.isfinite(d).any() for d in densities.values()):
        return None
    dims = (*grid, "bin")
    coords = {**grid, "bin": 0.5 * (edges[1:] + edges[:-1])}
    return xr.Dataset({k: (dims, v) for k, v in densities.items()}, coords, attrs=dict(sampling.attrs))


def _edges(sampling: xr.Dataset) -> np.ndarray:
    """Edges of the bins, the same for all points, symmetric about zero."""
    scaled = [sampling[moment].sel(statistic="mean") * sampling[prior] for _, moment, prior, _ in WEIGHTS]
    largest = np.nanmax([float(np.sqrt(s.max())) for s in scaled])
    return np.linspace(-REACH * largest, REACH * largest, BINS + 1)


def _files(sampling: xr.Dataset, folder: Path) -> Iterator[tuple[tuple[int, ...], xr.Dataset]]:
    """Position in the grid, and draws of single units, of every file that belongs to the cube."""
    grid = _grid_of(sampling)
    for path in files_of_study(folder):
        with open_draws(path) as draws:
            point = json.loads(draws.attrs.get("point", "{}"))
            if any(name not in draws for name, *_ in WEIGHTS):
                continue
            for index in _places(sampling, point):
                if _repeats(draws.attrs, sampling.isel(dict(zip(grid, index, strict=True)))):
                    single = draws[[name for name, *_ in WEIGHTS]].load()
                    yield index, single.assign_attrs({prior: point[prior] for _, _, prior, _ in WEIGHTS})


def _grid_of(sampling: xr.Dataset) -> list[str]:
    return [d for d in AXES if d in sampling.dims]


def _places(sampling: xr.Dataset, point: Mapping[str, Any]) -> Iterator[tuple[int, ...]]:
    """Positions of a point in the grid of the cube: several where several loads stand for its width."""
    found = [_along(sampling, dim, point) for dim in _grid_of(sampling)]
    yield from itertools.product(*(positions.tolist() for positions in found))


def _along(sampling: xr.Dataset, dim: str, point: Mapping[str, Any]) -> np.ndarray:
    rule = AXES[dim].replaces
    if rule is not None and {rule.axis, rule.beside} <= set(point):
        return np.flatnonzero(rule.value(point[rule.beside], sampling[dim].values) == point[rule.axis])
    return matches(sampling, dim, point[dim]) if dim in point else np.zeros(0, dtype=int)


def _repeats(attributes: Mapping[str, Any], here: xr.Dataset) -> bool:
    """Whether the summary in a file of draws holds the numbers of the cube at this point, bit for bit."""
    moments = [moment for _, moment, *_ in WEIGHTS]
    summary = xr.Dataset.from_dict(json.loads(attributes["summary"]))
    return all(
        float(summary[m].sel(statistic="mean")) == float(here[m].sel(statistic="mean")) for m in moments
    )
