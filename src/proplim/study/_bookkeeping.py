"""What a run writes down before its first job: the ledger, without results that are of no use any more."""

from __future__ import annotations

import time
from pathlib import Path

from proplim.study._draws import DRAWS, checkpoint_file
from proplim.study._failures import SUFFIX
from proplim.study._kept import sampled_files
from proplim.study._ledger import Ledger, write_ledger
from proplim.study._manifests import manifest_file
from proplim.study._packing import Block
from proplim.study._plan import Plan
from proplim.study._workspace import ledger_file, result_file

UNFINISHED_SECONDS = 3600.0
"""Age from which a file that was never finished belongs to a job that was killed."""


def save_plan(plan: Plan) -> None:
    """Write the ledger: all jobs of this plan, and finished ones of earlier plans.

    Results of jobs all of whose points failed and are now tried again in another job are deleted.
    """
    workspace = plan.workspace
    _sweep(workspace.root)
    _sweep_checkpoints(plan)
    jobs: dict[str, dict[str, list[Block]]] = {}
    for stage, members in workspace.ledger.jobs.items():
        finished = workspace.finished.get(stage, frozenset())
        jobs[stage] = {name: blocks for name, blocks in members.items() if name in finished}
    for stage, planned in plan.jobs.items():
        jobs.setdefault(stage, {}).update({name: list(job.blocks) for name, job in planned.items()})
    current = {stage: list(planned) for stage, planned in plan.jobs.items()}
    for stage, name in _fruitless(plan):
        result = result_file(workspace.root, stage, name)
        result.unlink(missing_ok=True)
        for note in (result.with_suffix(SUFFIX), manifest_file(result)):
            note.unlink(missing_ok=True)
        jobs.get(stage, {}).pop(name, None)
    ledger = Ledger(plan.granularity(), jobs, current, plan.batches, dict(workspace.digests))
    write_ledger(ledger, ledger_file(workspace.root))


def _sweep(root: Path) -> None:
    """Delete the unfinished files of jobs that were killed; young ones may be under way on a cluster."""
    for file in root.rglob(".*.part"):
        if _is_abandoned(file):
            file.unlink(missing_ok=True)


def _sweep_checkpoints(plan: Plan) -> None:
    """Delete checkpoints that no job goes on from: their point is done, or sampled with other settings now.

    Those of data that are not prepared stay, as the names of their points are not known yet.
    """
    folder = plan.workspace.root / DRAWS
    abandoned = [file for file in folder.rglob("*.checkpoint") if _is_abandoned(file)]
    if not abandoned:
        return
    wanted: set[Path] = set()
    unprepared: set[str] = set()
    for job in plan.jobs.get("sampling", {}).values():
        for block in job.blocks:
            files = sampled_files(plan, block)
            if files is None:
                unprepared.add(str(block.point["dataset"]))
            else:
                wanted.update(checkpoint_file(file) for _, file in files if not file.exists())
    for file in abandoned:
        if file not in wanted and file.parent.name not in unprepared:
            file.unlink(missing_ok=True)


def _is_abandoned(file: Path) -> bool:
    """Whether nobody has written to a file for so long that no job is at it."""
    try:
        return time.time() - file.stat().st_mtime > UNFINISHED_SECONDS
    except OSError:  # deleted or finished just now
        return False


def _fruitless(plan: Plan) -> list[tuple[str, str]]:
    """Finished jobs of the ledger all of whose points failed and are now in another job."""
    known = plan.workspace.ledger.jobs
    return [
        (stage, name)
        for (stage, name), failed in plan.workspace.failures.items()
        if name in known.get(stage, {})
        and name not in plan.jobs.get(stage, {name: None})
        and sum(b.n_points for b in failed) == sum(b.n_points for b in known[stage][name])
    ]
