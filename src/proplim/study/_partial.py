"""Cubes of what is there now: while a study runs, after it was killed, or after some of its jobs failed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import xarray as xr

from proplim.config import StudyConfig
from proplim.cube import PARTIAL, DamagedFile, Table, read_table
from proplim.study._collect import print_convergence, write_stage_cube
from proplim.study._kept import kept_table
from proplim.study._packing import Block
from proplim.study._pictures import draw_study
from proplim.study._plan import Plan
from proplim.study._progress import say
from proplim.study._summary import write_pages
from proplim.study._workflow import plan_study
from proplim.study._workspace import result_file
from proplim.study.stages import stage_of


def publish(config: StudyConfig, folders: Sequence[Path] = (Path(),)) -> bool:
    """Write cubes, figures, explorer and summary of what is there, in place of older ones.

    Points that are in no result are NaN with ``converged`` = 0 and the reason "not computed", and their cube has the
    global attribute ``partial``. When the workflow goes on it makes whole ones of them: they are older than any result.

    Parameters
    ----------
    config : StudyConfig
    folders : sequence of Path
        Where relative paths of the configuration start, first match wins.

    Returns
    -------
    bool
        Whether there was anything.
    """
    plan = plan_study(config, folders)
    found = {stage: list(tables_here(plan, stage)) for stage in config.stages()}
    if not any(found.values()):
        say(f"{plan.root}: no result is there yet")
        return False
    cubes = dict(zip(config.stages(), plan.cubes(), strict=True))
    for stage, path in cubes.items():
        write_stage_cube(plan, stage, found[stage], path)
        with xr.open_dataset(path) as cube:
            missing = cube.attrs.get(PARTIAL)
        if missing is None:
            print_convergence(stage, path)
        else:
            say(f"{stage}: {missing}")
            _set_back(Path(path), [t for t in found[stage] if isinstance(t, Path)])
    write_pages(plan, cubes)
    if config.figures.enabled:
        _draw_whole(config, cubes, Path(plan.root, "figures"))
    return True


def _draw_whole(config: StudyConfig, cubes: Mapping[str, str], folder: Path) -> None:
    """Draw figures in place of older ones, all or none: a folder with a part of them would pass for finished."""
    unfinished = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    chosen = config.figures
    try:
        draw_study(cubes, unfinished, formats=chosen.formats, dpi=chosen.dpi, slices=chosen.chosen_slices)
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def tables_here(plan: Plan, stage: str) -> Iterator[Path | Table]:
    """Whole results of finished jobs that belong to the study, and points that unfinished jobs have kept.

    Jobs of earlier plans count too: one all of whose points failed is in no plan, but knows why they did.
    """
    known = plan.workspace.ledger.jobs.get(stage, {})
    finished = plan.workspace.finished[stage]
    blocks = {**known, **{name: list(job.blocks) for name, job in plan.jobs[stage].items()}}
    for name, members in blocks.items():
        file = result_file(plan.workspace.root, stage, name)
        if name in finished and _belong(plan, stage, members) and _is_whole(file):
            yield file
    for job in plan.jobs[stage].values():
        if job.name not in finished and (table := kept_table(plan, job)) is not None:
            yield table


def _belong(plan: Plan, stage: str, blocks: Sequence[Block]) -> bool:
    """Whether the numbers of a job are those that the study asks for, as far as it asks for its points."""
    axes = plan.config.axes(stage)
    asked = [b for b in blocks if all(b.point[n] in axes[n] for n in b.point if n in axes)]
    return bool(asked) and all(b.kernel == plan.kernel_hash(stage_of(stage), b.point) for b in asked)


def _is_whole(file: Path) -> bool:
    try:
        read_table(file)
    except (DamagedFile, FileNotFoundError):
        return False
    return True


def _set_back(cube: Path, results: Sequence[Path]) -> None:
    """Make a cube older than any result that is in it, so that the workflow puts a whole one in its place."""
    if results:
        oldest = min(result.stat().st_mtime for result in results) - 1.0
        os.utime(cube, (oldest, oldest))
