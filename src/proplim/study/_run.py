"""What a job does: prepare a data set, compute a set of grid points, collect results into a cube.

Each function takes the plan and the name of a job and writes one file; the workflow's scripts call them.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from proplim.config import resolved_yaml
from proplim.cube import (
    DamagedFile,
    grid_dims,
    point_table,
    provenance,
    read_netcdf,
    write_cube,
    write_netcdf,
    write_table,
)
from proplim.datasets import Dataset, prepare_dataset
from proplim.errors import ProplimError
from proplim.seeds import canonical_json, content_hash
from proplim.study._packing import Block
from proplim.study._plan import NUMERICS, Draw, Job, Plan

FORMAT_NAMES = ("x_train", "y_train", "x_test", "y_test")


def prepare_draw(plan: Plan, draw: Draw, path: str | Path) -> None:
    """Prepare one data set and write it to `path` (x_train, y_train, x_test, y_test as used)."""
    config = plan.config.dataset(draw.dataset)
    dataset = prepare_dataset(config, draw.n_train, draw.seed, folders=plan.folders)
    stored = xr.Dataset(
        {
            "x_train": (
                ("train", "feature"),
                dataset.x_train,
                {"long_name": "training inputs", "units": "1"},
            ),
            "y_train": (("train",), dataset.y_train, {"long_name": "training labels", "units": "1"}),
            "x_test": (("test", "feature"), dataset.x_test, {"long_name": "test inputs", "units": "1"}),
            "y_test": (("test",), dataset.y_test, {"long_name": "test labels", "units": "1"}),
        },
        attrs={
            "title": f"data set {draw.dataset}, P = {draw.n_train}, seed {draw.seed}",
            "identity": dataset.identity,
            "configuration": canonical_json(config.model_dump(mode="json")),
            **provenance(),
        },
    )
    write_netcdf(stored, path)


def load_draw(path: str | Path) -> Dataset:
    """Read a prepared data set.

    Raises
    ------
    DamagedFile
        If the file is not what was written.
    """
    stored = read_netcdf(path)
    return Dataset(*(stored[name].values for name in FORMAT_NAMES), identity=str(stored.attrs["identity"]))


def run_job(plan: Plan, job: Job, path: str | Path, threads: int = 1) -> None:
    """Compute all points of a job and write their table to `path`.

    A point that fails is NaN with converged = 0 and its reason; the others are computed all the same.
    """
    started = time.perf_counter()
    compute = {"theory": _theory, "sampling": _sampling, "dynamics": _dynamics}[job.stage]
    say = _Progress(job)
    results: list[tuple[Mapping[str, Any], xr.Dataset]] = []
    seconds, cpu = [], 0.0
    for file, blocks in itertools.groupby(job.blocks, key=lambda b: plan.draw_of(b).file):
        dataset = _whole_draw(plan, file)
        for block in blocks:
            begun, used = time.perf_counter(), time.process_time()
            results += compute(plan, block, dataset, threads, say)
            seconds.append(round(time.perf_counter() - begun, 4))
            cpu += time.process_time() - used
    table = point_table(results, job.stage)
    table.attrs.update(
        title=f"{job.stage} of {job.n_points} grid points",
        wall_time_seconds=round(time.perf_counter() - started, 3),
        block_seconds=json.dumps(seconds),
        cpu_seconds=round(cpu, 3),
        **provenance(),
    )
    write_table(table, path)


def collect_cube(plan: Plan, stage: str, tables: Sequence[str | Path], path: str | Path) -> None:
    """Put the results of all jobs of a stage into its cube.

    A result that was damaged on the disk since it was computed is computed again.
    """
    jobs = {plan.result(job): job for job in plan.jobs[stage].values()}

    def again(table: Path) -> None:
        _say(f"{table} is missing or damaged: computing it again")
        run_job(plan, jobs[str(table)], table)

    attrs = {
        "title": f"{_TITLES[stage]}, study {plan.config.study}",
        "study": plan.config.study,
        "configuration": resolved_yaml(plan.config),
        **provenance(),
    }
    axes, own = plan.config.axes(stage), plan.own_coords(stage)
    write_cube(path, stage, axes, own, list(map(Path, tables)), attrs, repair=again)


def _whole_draw(plan: Plan, file: str) -> Dataset:
    """A prepared data set; one that was damaged on the disk since is prepared again."""
    try:
        return load_draw(file)
    except (DamagedFile, FileNotFoundError) as error:
        _say(f"{error}: preparing it again")
        prepare_draw(plan, plan.draws[file], file)
        return load_draw(file)


_TITLES = {
    "theory": "Theory of feature learning in one-hidden-layer networks",
    "sampling": "Posterior sampling of finite one-hidden-layer networks",
    "dynamics": "Gradient-descent dynamics of finite one-hidden-layer networks",
}


class _Progress:
    """Says on standard error how far a job is."""

    def __init__(self, job: Job) -> None:
        self.job, self.done, self.started = job, 0, time.perf_counter()

    def __call__(self, what: str, points: int = 1) -> None:
        self.done += points
        left = (time.perf_counter() - self.started) / self.done * (self.job.n_points - self.done)
        _say(
            f"{self.job.stage}: {self.done} of {self.job.n_points} points done ({what}), about {left:.0f} s left"
        )


Results = list[tuple[Mapping[str, Any], xr.Dataset]]


def _theory(plan: Plan, block: Block, dataset: Dataset, threads: int, say: _Progress) -> Results:
    from proplim.theory import solve_grid

    compute = partial(
        solve_grid,
        dataset,
        block.point["activation"],
        temperature=block.axes["temperature"],
        width=block.axes["width"],
        lambda0=block.point["lambda0"],
        lambda1=block.axes["lambda1"],
        approximations=plan.config.theory.approximations,
    )
    return [(block.point, _or_reason(compute, block.axes))]


def _dynamics(plan: Plan, block: Block, dataset: Dataset, threads: int, say: _Progress) -> Results:
    from proplim.dynamics import train

    settings = plan.config.dynamics.settings
    results: Results = []
    for width, lambda1 in itertools.product(block.axes["width"], block.axes["lambda1"]):
        point = {**block.point, "width": width, "lambda1": lambda1}
        network = {"width": width, "lambda0": point["lambda0"], "lambda1": lambda1, "settings": settings}
        run = partial(_train_attributed, plan, point) if settings.stragglers else train
        compute = partial(run, dataset, point["activation"], **network)
        results.append((point, _or_reason(compute, {})))
        say(f"N = {width}, lambda1 = {lambda1:g}")
    return results


def _train_attributed(
    plan: Plan, point: Mapping[str, Any], dataset: Dataset, activation: str, **network: Any
) -> xr.Dataset:
    """Train, and keep under stragglers/ the attribution of the run to single inputs, as table and figure."""
    from proplim.dynamics import train_with_stragglers
    from proplim.figures import draw_stragglers

    result, table = train_with_stragglers(dataset, activation, **network)
    settings = asdict(network["settings"])
    what = {k: v for k, v in point.items() if k != "dataset"}
    digest = content_hash([NUMERICS["dynamics"], dataset.identity, what, settings])
    label = f"{activation}-P{point['n_train']}-N{point['width']}-seed{point['seed']}-{digest}"
    path = Path(plan.root) / "stragglers" / point["dataset"] / f"{label}.nc"
    title = "rise and fall of D attributed to single training inputs, one grid point"
    attributes = {"title": title, "point": canonical_json(dict(point)), "settings": canonical_json(settings)}
    write_netcdf(table.assign_attrs({**attributes, **provenance()}), path)
    draw_stragglers(table, dataset.x_train, path.with_suffix(""), formats=("png",))
    return result


def _sampling(plan: Plan, block: Block, dataset: Dataset, threads: int, say: _Progress) -> Results:
    from proplim.sampling import sample_posterior

    settings = plan.config.sampling.settings
    results: Results = []
    for width, lambda1, temperature in itertools.product(
        *(block.axes[n] for n in ("width", "lambda1", "temperature"))
    ):
        point = {**block.point, "width": width, "temperature": temperature, "lambda1": lambda1}
        draws_file = draws_path(plan, point, dataset)
        summary = _finished(draws_file)
        if summary is None:
            sample = sample_posterior(
                dataset,
                point["activation"],
                width=width,
                temperature=temperature,
                lambda0=point["lambda0"],
                lambda1=lambda1,
                settings=settings,
                threads=threads,
            )
            summary = sample.summary
            _keep(draws_file, point, sample.draws, summary, settings)
        results.append((point, summary))
        say(f"N = {width}, T = {temperature:g}, converged {int(summary['converged'])}")
    return results


def _or_reason(compute: Callable[[], xr.Dataset], axes: Mapping[str, list]) -> xr.Dataset:
    """Result of `compute`, or where it fails a result that holds nothing but converged = 0 and the reason.

    What a retry may mend is let through: too little memory, an unreadable disk, a bug.
    """
    try:
        return compute()
    except (ProplimError, ArithmeticError, np.linalg.LinAlgError, ValueError, RuntimeError) as error:
        if "RESOURCE_EXHAUSTED" in str(error):
            raise
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        _say(f"grid point failed: {reason}")
        converged = xr.DataArray(
            np.zeros([len(v) for v in axes.values()]), coords=dict(axes), dims=list(axes)
        )
        return xr.Dataset({"converged": converged}, attrs={"reason": reason})


def draws_path(plan: Plan, point: Mapping[str, Any], dataset: Dataset) -> Path:
    """File that keeps the draws of one sampled point."""
    settings = asdict(plan.config.sampling.settings)
    what = {k: v for k, v in point.items() if k != "dataset"}
    digest = content_hash([NUMERICS["sampling"], dataset.identity, what, settings])
    label = f"{point['activation']}-P{point['n_train']}-N{point['width']}-T{point['temperature']:g}-seed{point['seed']}"
    return Path(plan.root) / "draws" / point["dataset"] / f"{label}-{digest}.nc"


def _finished(path: Path) -> xr.Dataset | None:
    """Summary of a point that an interrupted job already finished, or None if there is none to trust."""
    try:
        attributes = read_netcdf(path).attrs
        text = str(attributes["summary"])
        if attributes["summary_sha256"] != hashlib.sha256(text.encode()).hexdigest():
            return None
        return xr.Dataset.from_dict(json.loads(text))
    except (FileNotFoundError, DamagedFile, KeyError, ValueError):
        return None


def _keep(
    path: Path, point: Mapping[str, Any], draws: xr.Dataset, summary: xr.Dataset, settings: Any
) -> None:
    text = json.dumps(summary.to_dict())
    kept = draws.assign_attrs(
        {
            **draws.attrs,
            "title": "posterior draws of the observables of one grid point",
            "point": canonical_json(dict(point)),
            "settings": canonical_json(asdict(settings)),
            "summary": text,
            "summary_sha256": hashlib.sha256(text.encode()).hexdigest(),
            **provenance(),
        }
    )
    write_netcdf(kept, path)


def print_convergence(stage: str, path: str | Path) -> None:
    """Say on standard error how many points of a cube fell short, and which."""
    with xr.open_dataset(path) as cube:
        summary = convergence_summary(cube, stage)
    _say(f"{stage}: {summary['converged']} of {summary['points']} grid points converged")
    for point in summary["short"]:
        _say(f"  fell short: {point}")


def convergence_summary(cube: xr.Dataset, stage: str) -> dict[str, Any]:
    """How many points of a cube fell short, which and why, for the end of a run.

    Returns
    -------
    dict
        points, converged, and up to ten of the points that fell short as text.
    """
    dims = [d for d in grid_dims(stage) if d in cube.dims]
    converged = cube["converged"]
    worst = converged.min([d for d in converged.dims if d not in dims])
    short = np.argwhere(worst.values < 1)
    meanings = json.loads(cube["reason"].attrs["meanings"])
    described = []
    for index in short[:10]:
        here = dict(zip(worst.dims, index, strict=True))
        where = ", ".join(f"{d} = {worst[d].values[i]}" for d, i in here.items() if worst.sizes[d] > 1)
        described.append(f"{where}: {meanings[int(cube['reason'].isel(here))]}")
    return {"points": int(worst.size), "converged": int(worst.size - len(short)), "short": described}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
