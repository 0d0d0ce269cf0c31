"""Cubes that were written of what was there: a run has to ask for what they lack."""

from __future__ import annotations

from pathlib import Path

from proplim.study._plan import Plan


def results_of_partial_cubes(plan: Plan) -> list[str]:
    """Results that a run has to ask for itself, as a partial cube looks finished to Snakemake.

    Only the process that starts a run asks; its jobs have the plan.
    """
    if plan.as_started:
        return []
    stages = zip(plan.config.stages(), plan.cubes(), strict=True)
    return [result for stage, cube in stages if _is_partial(Path(cube)) for result in plan.results(stage)]


def _is_partial(cube: Path) -> bool:
    if not cube.exists():
        return False
    import netCDF4

    from proplim.cube import PARTIAL

    try:
        with netCDF4.Dataset(cube) as file:
            return PARTIAL in file.ncattrs()
    except OSError:  # damaged, which the job that reads it finds
        return False
