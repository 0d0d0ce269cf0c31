"""What a job does: prepare a data set, compute a set of grid points, collect results into a cube.

Each function takes the plan and the name of a job and writes one file; the workflow's scripts call them.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from proplim._jax import compilation_seconds
from proplim.config import resolved_yaml
from proplim.cube import (
    DamagedFile,
    point_table,
    provenance,
    read_netcdf,
    write_cube,
    write_netcdf,
    write_table,
)
from proplim.datasets import Dataset, prepare_dataset
from proplim.errors import InvalidInput, ProplimError
from proplim.schema import grid_dims
from proplim.seeds import canonical_json, content_hash
from proplim.study._failures import note_failures
from proplim.study._packing import Block
from proplim.study._plan import NUMERICS, Draw, Job, Plan, plain_settings


def prepare_draw(plan: Plan, draw: Draw, path: str | Path) -> None:
    """Prepare one data set and write it to `path` (x_train, y_train, x_test, y_test as used)."""
    started = time.perf_counter()
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
            **provenance(
                canonical_json(config.model_dump(mode="json")),
                canonical_json({"seed": draw.seed}),
                time.perf_counter() - started,
            ),
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
    x_train, y_train, x_test, y_test = (stored[n].values for n in ("x_train", "y_train", "x_test", "y_test"))
    return Dataset(x_train, y_train, x_test, y_test, str(stored.attrs["identity"]))


def run_job(plan: Plan, job: Job, path: str | Path, threads: int = 1) -> None:
    """Compute all points of a job and write their table to `path`.

    A point that fails is NaN with converged = 0 and its reason; the others are computed all the same, and the
    next run tries it again.
    """
    started = time.perf_counter()
    compute = {"theory": _theory, "sampling": _sampling, "dynamics": _dynamics}[job.stage]
    say = _Progress(job)
    results: Results = []
    failed: list[Block] = []
    seconds, cpu = [], 0.0
    for file, blocks in itertools.groupby(job.blocks, key=lambda b: plan.draw_of(b).file):
        dataset = _whole_draw(plan, file)
        for block in blocks:
            begun, used = time.perf_counter(), time.process_time()
            found = compute(plan, block, dataset, threads, say)
            results += found
            failed += [_part(block, point, result) for point, result in found if result.attrs.get("failed")]
            seconds.append(round(time.perf_counter() - begun, 4))
            cpu += time.process_time() - used
    for block in failed:
        _say(f"{block.n_points} grid point(s) failed and are tried again by the next run: {_place(block)}")
    table = point_table(results, job.stage)
    table.attrs.update(
        title=f"{job.stage} of {job.n_points} grid points",
        block_seconds=json.dumps(seconds),
        cpu_seconds=round(cpu, 3),
        compile_seconds=round(compilation_seconds(), 3),
        **provenance(
            resolved_yaml(plan.config),
            _seeds(plan, job.stage, (block.point["seed"] for block in job.blocks)),
            time.perf_counter() - started,
        ),
    )
    note_failures(Path(path), failed)
    write_table(table, path)


def _seeds(plan: Plan, stage: str, draws: Iterable[int]) -> str:
    """What the seeds of a stage are derived from; every point's own parameters come on top."""
    rule = "proplim.seeds.derive_seed of the stage and the point's parameters"
    own = {"sampling.seed": plan.config.sampling.settings.seed} if stage == "sampling" else {}
    return canonical_json({"rule": rule, "seed": sorted({*draws}), **own})


def _part(block: Block, point: Mapping[str, Any], result: xr.Dataset) -> Block:
    """The points of a block that a result is about."""
    axes = {d: result[d].values.tolist() if d in result.dims else [point[d]] for d in block.axes}
    return Block(block.kernel, block.point, axes)


def _place(block: Block) -> str:
    where = {
        **block.point,
        **{d: v[0] if len(v) == 1 else f"{v[0]} to {v[-1]}" for d, v in block.axes.items()},
    }
    return ", ".join(f"{name} = {value}" for name, value in where.items())


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
        **provenance(resolved_yaml(plan.config), _seeds(plan, stage, plan.config.axes(stage)["seed"]), 0.0),
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


SILENCE = 30.0
"""Seconds after which a sampled point that is not done says how far it is."""


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

    def within(self, point: Mapping[str, Any]) -> Callable[[Any], None]:
        """Callback for a sampled point that takes long: says now and then how far it is."""
        last = time.perf_counter()

        def report(now: Any) -> None:
            nonlocal last
            if time.perf_counter() - last > SILENCE:
                last = time.perf_counter()
                check = f", smallest ESS {now.ess:.0f}, largest R-hat {now.rhat:.3f}" if now.ess >= 0 else ""
                left = f", about {now.seconds_left:.0f} s left for it" if now.seconds_left >= 0 else ""
                _say(
                    f"sampling: N = {point['width']}, T = {point['temperature']:g}: "
                    f"{now.draws} draws a chain{check}{left}"
                )

        return report


Results = list[tuple[Mapping[str, Any], xr.Dataset]]


def _theory(plan: Plan, block: Block, dataset: Dataset, threads: int, say: _Progress) -> Results:
    from proplim.activations import get_activation
    from proplim.theory import build_spectrum, solve_grid

    activation, lambda0 = block.point["activation"], block.point["lambda0"]
    theory = plan.config.theory
    settings = {"lambda0": lambda0, "approximations": theory.approximations, "peaks": theory.peaks}
    solve = partial(solve_grid, dataset, activation, **settings)
    kernel = partial(build_spectrum, dataset, get_activation(activation), lambda0)
    whole = _or_reason(partial(solve, **block.axes), block.axes)
    if not whole.attrs.get("failed") or isinstance(_or_reason(kernel, {}), xr.Dataset):
        return [(block.point, whole)]  # solved, or what all points share fails
    return [(block.point, result) for result in _solve_apart(solve, block.axes)]


def _solve_apart(solve: Callable[..., xr.Dataset], axes: Mapping[str, list]) -> Iterator[xr.Dataset]:
    """Solve a block of points; where that fails, its halves, so that a point that fails leaves the others alone."""
    result = _or_reason(partial(solve, **axes), axes)
    longest = max(axes, key=lambda name: len(axes[name]))
    if not result.attrs.get("failed") or len(axes[longest]) == 1:
        yield result
        return
    middle = len(axes[longest]) // 2
    for half in (axes[longest][:middle], axes[longest][middle:]):
        yield from _solve_apart(solve, {**axes, longest: half})


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

    started = time.perf_counter()
    result, table = train_with_stragglers(dataset, activation, **network)
    settings = plain_settings(network["settings"])
    what = {k: v for k, v in point.items() if k != "dataset"}
    digest = content_hash([NUMERICS["dynamics"], dataset.identity, what, settings])
    label = f"{activation}-P{point['n_train']}-N{point['width']}-seed{point['seed']}-{digest}"
    path = Path(plan.root) / "stragglers" / point["dataset"] / f"{label}.nc"
    title = "rise and fall of D attributed to single training inputs, one grid point"
    attributes: dict[str, str | float] = {"title": title, "point": canonical_json(dict(point))}
    attributes["settings"] = canonical_json(settings)
    seeds, seconds = _seeds(plan, "dynamics", [point["seed"]]), time.perf_counter() - started
    attributes |= provenance(resolved_yaml(plan.config), seeds, seconds)
    write_netcdf(table.assign_attrs(attributes), path)
    draw_stragglers(table, dataset.x_train, path.with_suffix(""), formats=("png",))
    return result


def _sampling(plan: Plan, block: Block, dataset: Dataset, threads: int, say: _Progress) -> Results:
    results: Results = []
    for width, lambda1, temperature in itertools.product(
        *(block.axes[n] for n in ("width", "lambda1", "temperature"))
    ):
        point = {**block.point, "width": width, "temperature": temperature, "lambda1": lambda1}
        draws_file = draws_path(plan, point, dataset.identity)
        summary = _finished(draws_file)
        if summary is None:
            compute = partial(_sample, plan, draws_file, point, dataset, threads, say.within(point))
            summary = _or_reason(compute, {})
        results.append((point, summary))
        say(f"N = {width}, T = {temperature:g}, converged {int(summary['converged'])}")
    return results


def _sample(
    plan: Plan,
    file: Path,
    point: Mapping[str, Any],
    dataset: Dataset,
    threads: int,
    progress: Callable[[Any], None],
) -> xr.Dataset:
    """Summary of a sampled point, whose draws are kept in `file` unless sampling failed."""
    from proplim.sampling import sample_posterior

    settings = plan.config.sampling.settings
    network = {name: point[name] for name in ("width", "temperature", "lambda0", "lambda1")}
    started = time.perf_counter()
    sample = sample_posterior(
        dataset, point["activation"], **network, settings=settings, threads=threads, progress=progress
    )
    if not sample.summary.attrs.get("failed"):
        seconds = time.perf_counter() - started
        about = provenance(resolved_yaml(plan.config), sample.summary.attrs["seeds"], seconds)
        _keep(file, point, sample.draws, sample.summary, settings, about)
    return sample.summary


def _or_reason(compute: Callable[[], Any], axes: Mapping[str, list]) -> Any:
    """Result of `compute`, or where it fails a result that holds nothing but converged = 0 and the reason.

    What another attempt of the job may mend is let through: too little memory, an unreadable disk. So is a bug.
    An input outside what is allowed has its answer; other failures are tried again by the next run.
    """
    try:
        return compute()
    except (ProplimError, ArithmeticError, np.linalg.LinAlgError, ValueError, RuntimeError) as error:
        if "RESOURCE_EXHAUSTED" in str(error):
            raise
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        converged = xr.DataArray(
            np.zeros([len(v) for v in axes.values()]), coords=dict(axes), dims=list(axes)
        )
        failed = int(not isinstance(error, InvalidInput))
        return xr.Dataset({"converged": converged}, attrs={"reason": reason, "failed": failed})


def kept_points(plan: Plan, job: Job) -> int:
    """Number of points of a sampling job whose files are there already: what a resumed job need not sample again."""
    import netCDF4

    kept = 0
    for block in job.blocks:
        try:
            with netCDF4.Dataset(plan.draw_of(block).file) as prepared:
                identity = str(prepared.identity)
        except (OSError, AttributeError):  # not prepared yet, so nothing is sampled
            continue
        for values in itertools.product(*block.axes.values()):
            point = {**block.point, **dict(zip(block.axes, values, strict=True))}
            kept += draws_path(plan, point, identity).exists()
    return kept


def draws_path(plan: Plan, point: Mapping[str, Any], identity: str) -> Path:
    """File that keeps the draws of one sampled point of the data set with that identity."""
    settings = plain_settings(plan.config.sampling.settings)
    what = {k: v for k, v in point.items() if k != "dataset"}
    digest = content_hash([NUMERICS["sampling"], identity, what, settings])
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
    path: Path,
    point: Mapping[str, Any],
    draws: xr.Dataset,
    summary: xr.Dataset,
    settings: Any,
    about: Mapping[str, str | float],
) -> None:
    text = json.dumps(summary.to_dict())
    kept = draws.assign_attrs(
        {
            **draws.attrs,
            "title": "posterior draws of the observables of one grid point",
            "point": canonical_json(dict(point)),
            "settings": canonical_json(plain_settings(settings)),
            "summary": text,
            "summary_sha256": hashlib.sha256(text.encode()).hexdigest(),
            **about,
        }
    )
    write_netcdf(kept, path)


def print_convergence(stage: str, path: str | Path) -> None:
    """Say on standard error how many points of a cube fell short, and which."""
    with xr.open_dataset(path) as cube:
        summary = convergence_summary(cube, stage)
    short = summary["points"] - summary["converged"]
    _say(f"{stage}: {summary['converged']} of {summary['points']} grid points converged")
    for point in summary["short"]:
        _say(f"  fell short: {point}")
    if short > len(summary["short"]):
        _say(f"  and {short - len(summary['short'])} more: `converged` and `reason` in {path}")


def convergence_summary(cube: xr.Dataset, stage: str) -> dict[str, Any]:
    """How many points of a cube fell short, which and why, for the end of a run.

    Returns
    -------
    dict
        points, converged, and up to ten of the points that fell short as text.
    """
    dims = [d for d in grid_dims(stage) if d in cube.dims]
    converged = _where_defined(cube["converged"])
    worst = converged.min([d for d in converged.dims if d not in dims])
    short = np.argwhere(worst.values < 1)
    meanings = json.loads(cube["reason"].attrs["meanings"])
    described = []
    for index in short[:10]:
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


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
