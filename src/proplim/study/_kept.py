"""How far a job that is not finished has come."""

from __future__ import annotations

from proplim.study._draws import draws_file
from proplim.study._plan import Job, Plan
from proplim.study.stages import stage_of


def kept_points(plan: Plan, job: Job) -> int:
    """Number of points of a sampling job whose files are there already: what a resumed job need not sample again."""
    import netCDF4

    stage = stage_of("sampling")
    settings = stage.settings(plan.config)
    kept = 0
    for block in job.blocks:
        try:
            with netCDF4.Dataset(plan.draw_of(block).file) as prepared:
                identity = str(prepared.identity)
        except (OSError, AttributeError):  # not prepared yet, so nothing is sampled
            continue
        files = (
            draws_file(plan.workspace.root, point, identity, stage, settings) for point in block.points()
        )
        kept += sum(file.exists() for file in files)
    return kept
