"""Results of a point as labelled data sets, laid out as ArviZ does."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

from proplim.datasets import Dataset, class_coords
from proplim.observables import Observable, variable, variables_of
from proplim.sampling._chains import Outcome
from proplim.sampling._draw import UNITS
from proplim.sampling._task import Task
from proplim.schema import SPLITS, STATISTICS

_STATS = {
    "acceptance": ("acceptance_rate", "acceptance probability of the trajectory"),
    "energy": ("energy", "Hamiltonian where the chain is after the trajectory"),
    "step_size": ("step_size", "step size"),
    "gradients": ("n_steps", "gradients of the trajectory"),
    "diverged": ("diverging", "whether the energy error of the trajectory was beyond all bounds"),
    "log_likelihood": ("log_likelihood_hidden", "log density of the labels given the hidden weights"),
    "heavy": ("heavy_readout", "smooth maximum over units of |E[v | w]| / sqrt(N)"),
}
"""Report of a trajectory -> name in `sample_stats`, ArviZ's where it has one, and long name."""
PHASES = ("without", "with")
"""The `phase` axis: without and with a heavy unit."""


class PosteriorSample(NamedTuple):
    """Result of sampling one grid point.

    Parameters
    ----------
    summary : Dataset
        Dimensions `statistic` (mean, mcse, ess, rhat), `split`, `label`, and of three and more classes `pair`, `output`
        and `output2`: every sampling variable of the cube, and
        `converged`. Attributes: `reason` (empty where converged), draws and warm-up per chain, gradients, step
        size, acceptance; where chains were in two phases, `phases` (JSON) with their weights.
    draws : Dataset
        Dimensions `chain`, `draw`, and those of the summary but `statistic`: the same observables draw by draw.
    sample_stats : Dataset
        Dimensions `chain`, `draw`: acceptance_rate, energy, step_size, n_steps, diverging and the heavy readout of
        every draw, and `start` and `draw_weight`: the kind of start of every chain, and the weight of every draw.
    phases : Dataset
        Dimension `phase`: mean of every observable in each of two phases; empty where there is one.
    """

    summary: xr.Dataset
    draws: xr.Dataset
    sample_stats: xr.Dataset
    phases: xr.Dataset

    def groups(self) -> dict[str, xr.Dataset]:
        """Groups of the file of draws: `posterior`, `sample_stats`, and `phases` where there are two."""
        found = {"posterior": self.draws, "sample_stats": self.sample_stats, "phases": self.phases}
        return {name: group for name, group in found.items() if group.data_vars}


def _coordinates(dataset: Dataset) -> dict[str, list]:
    return {"split": list(SPLITS), **class_coords(dataset.labels, dataset.n_outputs)}


def _estimated_variables(dataset: Dataset) -> list[Observable]:
    return [v for v in variables_of("sampling", dataset.n_outputs) if v.name != "converged"]


def package(outcome: Outcome, task: Task) -> PosteriorSample:
    """Summary, draws and what is known of them, of a point that was sampled."""
    coords = _coordinates(task.dataset)
    summary = xr.Dataset(
        coords={"statistic": list(STATISTICS)} | coords,
        attrs={"reason": outcome.reason} | outcome.attributes,
    )
    phases = xr.Dataset(coords={"phase": list(PHASES)} | coords)
    for v in _estimated_variables(task.dataset):
        summary[v.name] = (("statistic", *v.dims), outcome.table[v.name], v.attributes)
        if v.name in outcome.phase_means:
            phases[v.name] = (("phase", *v.dims), outcome.phase_means[v.name], v.attributes)
    summary["converged"] = ((), float(outcome.converged), variable("converged").attributes)
    if phases.data_vars:
        about = {"long_name": "posterior weight of the phase", "units": "1"}
        phases["weight"] = (("phase",), outcome.parts.weights, about)
    draws = (
        _draws(outcome, task.dataset, coords)
        if task.settings.keep_draws
        else xr.Dataset(attrs=dict(outcome.attributes))
    )
    return PosteriorSample(summary, _with_units(draws, outcome), _stats(outcome), phases)


def _draws(outcome: Outcome, dataset: Dataset, coords: dict[str, list]) -> xr.Dataset:
    draws = xr.Dataset(attrs=dict(outcome.attributes))
    for v in _estimated_variables(dataset):
        draws[v.name] = (("chain", "draw", *v.dims), outcome.draws[v.name], v.attributes)
    draws["equipartition_defect"] = (
        ("chain", "draw"),
        outcome.draws["equipartition_defect"],
        {"long_name": "violation of equipartition by a draw, of mean zero", "units": "1"},
    )
    return draws.assign_coords(_numbers(outcome) | coords)


def _with_units(draws: xr.Dataset, outcome: Outcome) -> xr.Dataset:
    for name, long_name in UNITS.items():
        if name in outcome.draws:
            attributes = {"long_name": long_name, "units": "1"}
            values = outcome.draws[name].astype(np.float32)
            dims = ("chain", "draw", "unit", "output")[: values.ndim]
            draws[name] = (dims, values, attributes)
    return draws


def _numbers(outcome: Outcome) -> dict[str, np.ndarray]:
    return {"chain": np.arange(outcome.parts.heavy.shape[0]), "draw": np.arange(outcome.parts.heavy.shape[1])}


def _stats(outcome: Outcome) -> xr.Dataset:
    stats = xr.Dataset(coords=_numbers(outcome))
    for report, (name, long_name) in _STATS.items():
        attributes = {"long_name": long_name, "units": "1"}
        stats[name] = (("chain", "draw"), outcome.reports[report], attributes)
    stats["start"] = (("chain",), np.array(outcome.starts, dtype=str), {"long_name": "kind of start"})
    index = outcome.parts.heavy.astype(int)
    share = np.array([1.0 - index.mean(), index.mean()])
    stats["draw_weight"] = (
        ("chain", "draw"),
        (outcome.parts.weights / np.maximum(share, np.finfo(float).tiny))[index],
        {"long_name": "weight of the draw in averages; 1 where there is one phase", "units": "1"},
    )
    return stats


def failed(reason: str, dataset: Dataset) -> PosteriorSample:
    """A point that could not be sampled: NaN with its reason."""
    coords = {"statistic": list(STATISTICS)} | _coordinates(dataset)
    summary = xr.Dataset(coords=coords, attrs={"reason": reason, "failed": 1})
    for v in _estimated_variables(dataset):
        dims = ("statistic", *v.dims)
        summary[v.name] = (dims, np.full([len(coords[d]) for d in dims], np.nan), v.attributes)
    summary["converged"] = ((), 0.0, variable("converged").attributes)
    return PosteriorSample(summary, xr.Dataset(attrs={"reason": reason}), xr.Dataset(), xr.Dataset())
