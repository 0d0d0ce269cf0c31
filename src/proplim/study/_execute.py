"""What a job does: prepare a data set, or compute a set of grid points.

Each function takes the plan and writes one file; the workflow's scripts call them.
"""

from __future__ import annotations

import itertools
import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proplim._cores import using_cores
from proplim._jax import compilation_seconds
from proplim.config import resolved_yaml
from proplim.cube import DamagedFile, point_table, provenance, read_netcdf, write_arrays, write_table
from proplim.datasets import Dataset, prepare_dataset
from proplim.schema import AXES
from proplim.seeds import canonical_json
from proplim.study._failures import note_failures
from proplim.study._identity import seeds_text
from proplim.study._manifests import write_manifest
from proplim.study._packing import Block
from proplim.study._plan import Draw, Job, Plan
from proplim.study._process import peak_memory_mb
from proplim.study._progress import Progress, say
from proplim.study.stages import Results, Run, stage_of

if TYPE_CHECKING:
    import xarray as xr

ARRAYS = {
    "x_train": (("train", "feature"), "training inputs"),
    "y_train": (("train",), "training labels"),
    "x_test": (("test", "feature"), "test inputs"),
    "y_test": (("test",), "test labels"),
}
"""Arrays of a prepared data set: dimensions and meaning."""
OUTPUT = "output"
CLASSES = "classes"
"""Attribute of a prepared data set of many outputs: what its classes are called, as JSON."""
CLASS_ARRAYS = {
    "class_train": (("train",), "number of the class of a training input, an index into `classes`"),
    "class_test": (("test",), "number of the class of a test input, an index into `classes`"),
}
"""Its arrays beside those above."""


def prepare_draw(plan: Plan, draw: Draw, path: str | Path) -> None:
    """Prepare one data set and write it to `path` (x_train, y_train, x_test, y_test as used)."""
    started = time.perf_counter()
    config = plan.config.dataset(draw.dataset)
    own = {name: value for name, value in draw.point.items() if name != "dataset"}
    dataset = prepare_dataset(config, **own, folders=plan.folders)
    attrs = {
        "title": f"data set {draw.dataset}, {_place(own)}",
        "identity": dataset.identity,
        **({} if dataset.n_outputs == 1 else {CLASSES: json.dumps(dataset.classes)}),
        **provenance(
            canonical_json(config.model_dump(mode="json")),
            canonical_json({"seed": own["seed"]}),
            time.perf_counter() - started,
        ),
    }
    write_arrays(_stored_arrays(dataset), attrs, path)


def _stored_arrays(dataset: Dataset) -> dict[str, tuple]:
    """Arrays of a data set with dimensions and attributes; targets of many outputs have an axis of outputs."""
    many = dataset.n_outputs > 1
    arrays = {
        name: ((*dims, OUTPUT) if many and name[0] == "y" else dims, meaning)
        for name, (dims, meaning) in (ARRAYS | CLASS_ARRAYS if many else ARRAYS).items()
    }
    return {
        name: (dims, getattr(dataset, name), {"long_name": meaning, "units": "1"})
        for name, (dims, meaning) in arrays.items()
    }


def load_draw(path: str | Path) -> Dataset:
    """Read a prepared data set.

    Raises
    ------
    DamagedFile
        If the file is not what was written.
    """
    stored = read_netcdf(path)
    names = [name for name in (*ARRAYS, *CLASS_ARRAYS) if name in stored]
    classes = tuple(json.loads(stored.attrs.get(CLASSES, "[]")))
    arrays = {name: stored[name].values for name in names}
    return Dataset(**arrays, identity=str(stored.attrs["identity"]), classes=classes)


def run_job(plan: Plan, job: Job, path: str | Path, threads: int = 1) -> None:
    """Compute all points of a job and write their table to `path`, beside it the list of files that points leave.

    A point that fails is NaN with converged = 0 and its reason; the others are computed all the same, and the
    next run tries it again.
    """
    started = time.perf_counter()
    stage = stage_of(job.stage)
    run = Run(plan.config, plan.workspace.root, threads, Progress(job.stage, job.n_points))
    results: Results = []
    failed: list[Block] = []
    seconds, cpu = [], 0.0
    for file, blocks in itertools.groupby(job.blocks, key=lambda b: plan.draw_of(b).file):
        dataset = _whole_draw(plan, file)
        for block in blocks:
            begun, used = time.perf_counter(), time.process_time()
            with using_cores(threads):
                found = stage.compute(run, block, dataset)
            results += found
            failed += [_part(block, point, result) for point, result in found if result.attrs.get("failed")]
            seconds.append(round(time.perf_counter() - begun, 4))
            cpu += time.process_time() - used
    for block in failed:
        axes = {d: v[0] if len(v) == 1 else f"{v[0]} to {v[-1]}" for d, v in block.axes.items()}
        place = _place({**block.point, **axes})
        say(f"{block.n_points} grid point(s) failed and are tried again by the next run: {place}")
    table = point_table(results, job.stage)
    table.attrs.update(
        title=f"{job.stage} of {job.n_points} grid points",
        block_seconds=json.dumps(seconds),
        cpu_seconds=round(cpu, 3),
        compile_seconds=round(compilation_seconds(), 3),
        peak_memory_mb=round(peak_memory_mb(), 1),
        **provenance(
            resolved_yaml(plan.config),
            seeds_text(stage, plan.config, (block.point["seed"] for block in job.blocks)),
            time.perf_counter() - started,
        ),
    )
    note_failures(Path(path), failed)
    if folder := stage.leaves(plan.config):
        write_manifest(path, run.files, plan.workspace.root / folder)
    write_table(table, path)
    for unfinished in run.scratch:
        shutil.rmtree(unfinished, ignore_errors=True)


def _part(block: Block, point: Mapping[str, Any], result: xr.Dataset) -> Block:
    """The points of a block that a result is about."""
    axes = {d: result[d].values.tolist() if d in result.dims else [point[d]] for d in block.axes}
    return Block(block.kernel, block.point, axes)


def _place(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{AXES[name].short} = {value}" for name, value in values.items())


def _whole_draw(plan: Plan, file: str) -> Dataset:
    """A prepared data set; one that was damaged on the disk since is prepared again."""
    try:
        return load_draw(file)
    except (DamagedFile, FileNotFoundError) as error:
        say(f"{error}: preparing it again")
        prepare_draw(plan, plan.draws[file], file)
        return load_draw(file)
