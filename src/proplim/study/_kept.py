"""How far a job that is not finished has come."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from proplim.cube import Table, as_table, point_table
from proplim.schema import Point
from proplim.study._draws import draws_file, finished_summary
from proplim.study._packing import Block
from proplim.study._plan import Job, Plan
from proplim.study.stages import stage_of


def kept_points(plan: Plan, job: Job) -> int:
    """Number of points of a sampling job whose files are there already: what a resumed job need not sample again."""
    return sum(file.exists() for _, file in _files(plan, job))


def kept_table(plan: Plan, job: Job) -> Table | None:
    """The points that an unfinished job has kept one by one, as it would have them in its result; None without any."""
    if job.stage != "sampling":
        return None
    kept = ((point, finished_summary(file)) for point, file in _files(plan, job) if file.exists())
    results = [(point.coordinates(), summary) for point, summary in kept if summary is not None]
    return as_table(point_table(results, job.stage)) if results else None


def _files(plan: Plan, job: Job) -> Iterator[tuple[Point, Path]]:
    """Points of a sampling job and the files of their draws, as far as their data are prepared."""
    for block in job.blocks:
        yield from sampled_files(plan, block) or ()


def sampled_files(plan: Plan, block: Block) -> list[tuple[Point, Path]] | None:
    """Points of a block of sampling and the files of their draws; None where their data are not prepared yet."""
    import netCDF4

    stage = stage_of("sampling")
    settings = stage.settings(plan.config)
    try:
        with netCDF4.Dataset(plan.draw_of(block).file) as prepared:
            identity = str(prepared.identity)
    except (OSError, AttributeError):
        return None
    return [
        (point, draws_file(plan.workspace.root, point, identity, stage, settings)) for point in block.points()
    ]
