"""From the results of jobs to a cube, and what a cube says of points that fell short."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from proplim.config import resolved_yaml
from proplim.cube import Table, provenance, write_cube
from proplim.datasets import class_coords_of
from proplim.schema import AXES
from proplim.study._execute import run_job
from proplim.study._identity import seeds_text
from proplim.study._plan import Plan
from proplim.study._progress import say
from proplim.study.stages import stage_of

if TYPE_CHECKING:
    import xarray as xr

NAMED = 10
"""Points that fell short and are named at the end of a run."""


def collect_cube(plan: Plan, stage: str, tables: Sequence[str | Path], path: str | Path) -> None:
    """Put the results of all jobs of a stage into its cube.

    A result that was damaged on the disk since it was computed is computed again.
    """
    jobs = {plan.result(job): job for job in plan.jobs[stage].values()}

    def again(table: Path) -> None:
        say(f"{table} is missing or damaged: computing it again")
        run_job(plan, jobs[str(table)], table)

    write_stage_cube(plan, stage, list(map(Path, tables)), path, repair=again)


def write_stage_cube(
    plan: Plan,
    stage: str,
    tables: Sequence[Path | Table],
    path: str | Path,
    repair: Callable[[Path], None] | None = None,
) -> None:
    """Write the cube of a stage from tables of points; `repair` makes one again that is missing or damaged."""
    axes, own, known = plan.config.axes(stage), plan.own_coords(stage), stage_of(stage)
    attrs = {
        "title": f"{known.title}, study {plan.config.study}",
        "study": plan.config.study,
        **provenance(resolved_yaml(plan.config), seeds_text(known, plan.config, axes["seed"]), 0.0),
    }
    classes = class_coords_of(plan.config.datasets)
    write_cube(path, stage, axes, own, tables, attrs, class_coords=classes, repair=repair)


def print_convergence(stage: str, path: str | Path) -> None:
    """Say on standard error how many points of a cube fell short, and which."""
    import xarray as xr

    with xr.open_dataset(path) as cube:
        summary = convergence_summary(cube, stage)
    short = summary["points"] - summary["converged"]
    say(f"{stage}: {summary['converged']} of {summary['points']} grid points converged")
    for point in summary["short"]:
        say(f"  fell short: {point}")
    if short > len(summary["short"]):
        say(f"  and {short - len(summary['short'])} more: `converged` and `reason` in {path}")


def convergence_summary(cube: xr.Dataset, stage: str) -> dict[str, Any]:
    """How many points of a cube fell short, which and why, for the end of a run.

    Returns
    -------
    dict
        points, converged, and some of the points that fell short as text.
    """
    dims = [d for d in AXES if d in cube.dims]
    converged = _where_defined(cube["converged"])
    worst = converged.min([d for d in converged.dims if d not in dims])
    short = np.argwhere(worst.values < 1)
    meanings = json.loads(cube["reason"].attrs["meanings"])
    described = []
    for index in short[:NAMED]:
        here = dict(zip(worst.dims, index, strict=True))
        where = ", ".join(f"{d} = {worst[d].values[i]}" for d, i in here.items() if worst.sizes[d] > 1)
        if "approximation" in converged.dims and (some := converged.isel(here) < 1).any() and not some.all():
            where += f" ({', '.join(some['approximation'].values[some.values])})"
        described.append(f"{where}: {meanings[int(cube['reason'].isel(here))]}")
    return {"points": int(worst.size), "converged": int(worst.size - len(short)), "short": described}


def _where_defined(converged: xr.DataArray) -> xr.DataArray:
    """Without `exact` of networks that are not linear: it is NaN there by definition and falls short of nothing."""
    if converged.sizes.get("approximation", 1) == 1 or "exact" not in converged["approximation"].values:
        return converged
    defined = (converged["approximation"] != "exact") | (converged["activation"] == "linear")
    return converged.where(defined, 1)
