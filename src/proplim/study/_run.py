"""What a job does: prepare a data set, compute a set of grid points, collect results into a cube.

Each function takes the plan and the name of a job and writes one file; the workflow's scripts call them.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from proplim.config import resolved_yaml
from proplim.cube import DamagedFile, assemble_cube, grid_dims, point_table, provenance, read_netcdf, write_netcdf
from proplim.datasets import Dataset, prepare_dataset
from proplim.seeds import canonical_json, content_hash
from proplim.study._plan import NUMERICS, Draw, Job, Plan

FORMAT_NAMES = ("x_train", "y_train", "x_test", "y_test")


def prepare_draw(plan: Plan, draw: Draw, path: str | Path) -> None:
    """Prepare one data set and write it to `path` (x_train, y_train, x_test, y_test as used)."""
    config = plan.config.dataset(draw.dataset)
    dataset = prepare_dataset(config, draw.n_train, draw.seed, folders=plan.folders)
    stored = xr.Dataset(
        {
            "x_train": (("train", "feature"), dataset.x_train, {"long_name": "training inputs", "units": "1"}),
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


def run_job(plan: Plan, job: Job, dataset_file: str | Path, path: str | Path, threads: int = 1) -> None:
    """Compute all points of a job and write their table to `path`."""
    started = time.perf_counter()
    dataset = load_draw(dataset_file)
    compute = {"theory": _theory, "sampling": _sampling, "dynamics": _dynamics}[job.stage]
    blocks = compute(plan, job, dataset, threads)
    table = point_table(blocks, job.stage)
    table.attrs.update(
        title=f"{job.stage} of {job.n_points} grid points",
        data_identity=dataset.identity,
        wall_time_seconds=round(time.perf_counter() - started, 3),
        **provenance(),
    )
    write_netcdf(table, path)


def collect_cube(plan: Plan, stage: str, tables: Sequence[str | Path], path: str | Path) -> None:
    """Put the results of all jobs of a stage into its cube."""
    cube = assemble_cube(stage, plan.config.axes(stage), plan.own_coords(stage), map(Path, tables))
    cube.attrs = {
        "title": f"{_TITLES[stage]}, study {plan.config.study}",
        "study": plan.config.study,
        "configuration": resolved_yaml(plan.config),
        **provenance(),
    }
    write_netcdf(cube, path)


_TITLES = {
    "theory": "Theory of feature learning in one-hidden-layer networks",
    "sampling": "Posterior sampling of finite one-hidden-layer networks",
    "dynamics": "Gradient-descent dynamics of finite one-hidden-layer networks",
}


def _theory(plan: Plan, job: Job, dataset: Dataset, threads: int) -> list[tuple[Mapping[str, Any], xr.Dataset]]:
    from proplim.theory import solve_grid

    result = solve_grid(
        dataset,
        job.point["activation"],
        temperature=job.axes["temperature"],
        width=job.axes["width"],
        lambda0=job.point["lambda0"],
        lambda1=job.axes["lambda1"],
        approximations=plan.config.theory.approximations,
    )
    return [(job.point, result)]


def _dynamics(plan: Plan, job: Job, dataset: Dataset, threads: int) -> list[tuple[Mapping[str, Any], xr.Dataset]]:
    from proplim.dynamics import train

    blocks = []
    for width, lambda1 in itertools.product(job.axes["width"], job.axes["lambda1"]):
        result = train(
            dataset,
            job.point["activation"],
            width=width,
            lambda0=job.point["lambda0"],
            lambda1=lambda1,
            settings=plan.config.dynamics.settings,
        )
        blocks.append(({**job.point, "width": width, "lambda1": lambda1}, result))
        _say(f"dynamics: {len(blocks)} of {job.n_points} networks done (N = {width}, lambda1 = {lambda1:g})")
    return blocks


def _sampling(plan: Plan, job: Job, dataset: Dataset, threads: int) -> list[tuple[Mapping[str, Any], xr.Dataset]]:
    from proplim.sampling import sample_posterior

    settings = plan.config.sampling.settings
    blocks = []
    started = time.perf_counter()
    for width, temperature, lambda1 in itertools.product(*(job.axes[n] for n in ("width", "temperature", "lambda1"))):
        point = {**job.point, "width": width, "temperature": temperature, "lambda1": lambda1}
        draws_file = draws_path(plan, job, point, dataset)
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
        blocks.append((point, summary))
        left = (time.perf_counter() - started) / len(blocks) * (job.n_points - len(blocks))
        _say(
            f"sampling: {len(blocks)} of {job.n_points} points done (N = {width}, T = {temperature:g}, "
            f"converged {int(summary['converged'])}), about {left:.0f} s left"
        )
    return blocks


def draws_path(plan: Plan, job: Job, point: Mapping[str, Any], dataset: Dataset) -> Path:
    """File that keeps the draws of one sampled point."""
    settings = asdict(plan.config.sampling.settings)
    what = {k: v for k, v in point.items() if k != "dataset"}
    digest = content_hash([NUMERICS["sampling"], dataset.identity, what, settings])
    label = (
        f"{point['activation']}-P{point['n_train']}-N{point['width']}-T{point['temperature']:g}-seed{point['seed']}"
    )
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


def _keep(path: Path, point: Mapping[str, Any], draws: xr.Dataset, summary: xr.Dataset, settings: Any) -> None:
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
    """How many points of a cube fell short, and which, for the end of a run.

    Returns
    -------
    dict
        points, converged, and up to ten of the points that fell short as text.
    """
    dims = [d for d in grid_dims(stage) if d in cube.dims]
    converged = cube["converged"]
    worst = converged.min([d for d in converged.dims if d not in dims])
    short = np.argwhere(worst.values < 1)
    described = [
        ", ".join(f"{d} = {worst[d].values[i]}" for d, i in zip(worst.dims, index, strict=True) if worst.sizes[d] > 1)
        for index in short[:10]
    ]
    return {"points": int(worst.size), "converged": int(worst.size - len(short)), "short": described}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
