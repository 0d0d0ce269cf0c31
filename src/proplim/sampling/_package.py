"""Results of a point as labelled data sets."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

from proplim.geometry import LABELS
from proplim.observables import Observable, variable, variables_of
from proplim.sampling._chains import Outcome
from proplim.sampling._draw import UNITS
from proplim.schema import SPLITS, STATISTICS


class PosteriorSample(NamedTuple):
    """Result of sampling one grid point.

    Parameters
    ----------
    summary : Dataset
        Dimensions `statistic` (mean, mcse, ess, rhat), `split`, `label`: every sampling variable of the cube, and
        `converged`. Attributes: `reason` (empty where converged), draws and warm-up per chain, gradients, step
        size, acceptance.
    draws : Dataset
        Dimensions `chain`, `draw`, `split`, `label`: the same observables draw by draw.
    """

    summary: xr.Dataset
    draws: xr.Dataset


def _coordinates() -> dict[str, list]:
    return {"split": list(SPLITS), "label": list(LABELS)}


def _estimated_variables() -> list[Observable]:
    return [v for v in variables_of("sampling") if v.name != "converged"]


def package(outcome: Outcome, keep_draws: bool) -> PosteriorSample:
    """Summary and draws of a point that was sampled."""
    summary = xr.Dataset(
        coords={"statistic": list(STATISTICS)} | _coordinates(),
        attrs={"reason": outcome.reason} | outcome.attributes,
    )
    for v in _estimated_variables():
        summary[v.name] = (("statistic", *v.dims), outcome.table[v.name], v.attributes)
    summary["converged"] = ((), float(outcome.converged), variable("converged").attributes)
    return PosteriorSample(summary, _draws(outcome, keep_draws))


def _draws(outcome: Outcome, keep_draws: bool) -> xr.Dataset:
    draws = xr.Dataset(attrs=dict(outcome.attributes))
    if keep_draws:
        for v in _estimated_variables():
            draws[v.name] = (("chain", "draw", *v.dims), outcome.draws[v.name], v.attributes)
        draws["equipartition_defect"] = (
            ("chain", "draw"),
            outcome.draws["equipartition_defect"],
            {"long_name": "violation of equipartition by a draw, of mean zero", "units": "1"},
        )
        sizes = {name: np.arange(draws.sizes[name]) for name in ("chain", "draw")}
        draws = draws.assign_coords(sizes | _coordinates())
    for name, long_name in UNITS.items():
        if name in outcome.draws:
            attributes = {"long_name": long_name, "units": "1"}
            draws[name] = (("chain", "draw", "unit"), outcome.draws[name].astype(np.float32), attributes)
    return draws


def failed(reason: str) -> PosteriorSample:
    """A point that could not be sampled: NaN with its reason."""
    coords = {"statistic": list(STATISTICS)} | _coordinates()
    summary = xr.Dataset(coords=coords, attrs={"reason": reason, "failed": 1})
    for v in _estimated_variables():
        dims = ("statistic", *v.dims)
        summary[v.name] = (dims, np.full([len(coords[d]) for d in dims], np.nan), v.attributes)
    summary["converged"] = ((), 0.0, variable("converged").attributes)
    return PosteriorSample(summary, xr.Dataset(attrs={"reason": reason}))
