"""The plan of a study: which files it is made of and which grid points go into which job.

A job is a list of blocks of grid points. Its name holds a hash of everything that its numbers depend on. Jobs
that are finished keep their name and points as long as one of their points is asked for, whatever has been
appended to the grid since (the ledger remembers them); points that are in no such job, and those that failed
there, are packed into new ones.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from proplim.config import StudyConfig
from proplim.seeds import content_hash
from proplim.study import _cost
from proplim.study._failures import SUFFIX, read_failures
from proplim.study._ledger import Ledger, read_ledger, write_ledger
from proplim.study._packing import Block, Coverage, pack

NUMERICS = {"datasets": 1, "theory": 1, "sampling": 2, "dynamics": 2}
"""Raised by one when a stage's numbers change on purpose, so that results of older code are not reused."""

POINTS_PER_JOB = 100_000
"""Bound on the points of a job beside the user's own, so that a job's result stays below a few hundred MB."""

_KERNEL = ("dataset", "n_train", "seed", "activation", "lambda0")


@dataclass(frozen=True)
class Draw:
    """One prepared data set: training and test inputs of one size and seed."""

    dataset: str
    n_train: int
    seed: int
    file: str


@dataclass(frozen=True)
class Job:
    """A set of grid points computed by one process.

    Parameters
    ----------
    stage, name : str
        The result file is ``results/<study>/<stage>/<name>.points``.
    blocks : tuple of Block
    """

    stage: str
    name: str
    blocks: tuple[Block, ...]

    @property
    def n_points(self) -> int:
        """Number of grid points."""
        return sum(block.n_points for block in self.blocks)


class Plan:
    """All files and jobs of a study.

    Parameters
    ----------
    config : StudyConfig
    folders : sequence of Path
        Where relative paths of the configuration start, first match wins.
    as_started : bool
        Take the jobs as the ledger has them (inside a run) instead of planning what is still to do.
    """

    def __init__(
        self, config: StudyConfig, folders: Sequence[Path] = (Path(),), *, as_started: bool = False
    ) -> None:
        self.config = config
        self.folders = list(folders)
        self.root = f"results/{config.study}"
        self.as_started = as_started

    @cached_property
    def _ledger(self) -> Ledger:
        return read_ledger(self.ledger_file)

    @property
    def ledger_file(self) -> Path:
        """Where the jobs of the study are noted."""
        return Path(self.root) / "jobs.json"

    def save(self) -> None:
        """Write the ledger: all jobs of this plan, and finished ones of earlier plans."""
        jobs: dict[str, dict[str, list[Block]]] = {}
        for stage, members in self._ledger.jobs.items():
            finished = self._finished(stage)
            jobs[stage] = {name: blocks for name, blocks in members.items() if name in finished}
        for stage, planned in self.jobs.items():
            jobs.setdefault(stage, {}).update({name: list(job.blocks) for name, job in planned.items()})
        current = {stage: list(planned) for stage, planned in self.jobs.items()}
        for stage, name in self._fruitless():
            result = Path(self.root) / stage / f"{name}.points"
            result.unlink(missing_ok=True)
            result.with_suffix(SUFFIX).unlink(missing_ok=True)
            del jobs[stage][name]
        write_ledger(Ledger(self._granularity(), jobs, current, self.batches), self.ledger_file)

    @cached_property
    def jobs(self) -> dict[str, dict[str, Job]]:
        """Stage -> job name -> job, for every enabled stage."""
        if self.as_started and all(stage in self._ledger.current for stage in self.config.stages()):
            known = self._ledger
            return {
                stage: {
                    name: Job(stage, name, tuple(known.jobs[stage][name])) for name in known.current[stage]
                }
                for stage in self.config.stages()
            }
        return {stage: self._plan_stage(stage) for stage in self.config.stages()}

    def job(self, stage: str, name: str) -> Job:
        """One job by its name, checked against the configuration.

        Raises
        ------
        RuntimeError
            If the configuration was changed after the job was planned.
        """
        job = self.jobs[stage][name]
        for block in job.blocks:
            if block.kernel != self._kernel_hash(stage, block.point):
                raise RuntimeError(
                    f"the configuration has changed since the run was started: {stage} {name} no longer "
                    "belongs to it; start again"
                )
        return job

    @cached_property
    def draws(self) -> dict[str, Draw]:
        """File -> draw, for every prepared data set that a job needs."""
        found = {
            (b.point["dataset"], b.point["n_train"], b.point["seed"])
            for jobs in self.jobs.values()
            for job in jobs.values()
            for b in job.blocks
        }
        draws = [self.draw(*key) for key in sorted(found)]
        return {draw.file: draw for draw in draws}

    @cached_property
    def batches(self) -> list[list[str]]:
        """Files of data sets that do not exist yet and are prepared together, two or more at a time."""
        if self.as_started:
            return self._ledger.batches
        batches = []
        size = max(1, int(self._seconds / _cost.PREPARE_SECONDS))
        missing = (d for d in self.draws.values() if not Path(d.file).exists())
        for _, group in itertools.groupby(missing, key=lambda d: d.dataset):
            files = [draw.file for draw in group]
            batches += [files[i : i + size] for i in range(0, len(files), size)]
        return [batch for batch in batches if len(batch) > 1]

    def inputs(self, stage: str, name: str) -> list[str]:
        """Prepared data sets that a job reads, in the order of its blocks."""
        return list(dict.fromkeys(self.draw_of(block).file for block in self.jobs[stage][name].blocks))

    def result(self, job: Job) -> str:
        """Path of a job's result."""
        return f"{self.root}/{job.stage}/{job.name}.points"

    def results(self, stage: str) -> list[str]:
        """Paths of the results of all jobs of a stage."""
        return [self.result(job) for job in self.jobs[stage].values()]

    def source_files(self, files: Iterable[str]) -> list[str]:
        """A user's data files that prepared data sets are taken from."""
        from proplim.datasets import resolve_path

        configs = [self.config.dataset(name) for name in sorted({self.draws[file].dataset for file in files})]
        return [str(resolve_path(c.path, self.folders)) for c in configs if c.source == "file"]

    def open_points(self) -> int:
        """Number of grid points that a run would compute: those in no finished job, and those that failed there."""
        jobs = (job for members in self.jobs.values() for job in members.values())
        return sum(job.n_points for job in jobs if not Path(self.result(job)).exists())

    def memory_mb(self, stage: str, name: str) -> int:
        """Memory to ask for: what a job needs by measurement (docs/scaling.md), with a margin."""
        job = self.jobs[stage][name]
        return _cost.memory_mb(stage, [(self._size(b), b) for b in job.blocks], self._settings(stage))

    def cube_memory_mb(self, stage: str) -> int:
        """Memory to ask for to collect a cube, which is written in parts of bounded size."""
        axes, own = self.config.axes(stage), self.own_coords(stage)
        values = np.prod([len(v) for v in (*axes.values(), *own.values())], dtype=float)
        return int(700 + min(8e-6 * 70 * values, 1600))

    def seconds(self, stage: str, name: str) -> float:
        """Expected run time of a job on one core (docs/scaling.md)."""
        job = self.jobs[stage][name]
        once, each = self._costs(stage)
        shapes = ([len(values) for values in block.axes.values()] for block in job.blocks)
        science = sum(
            once(b) + float(np.broadcast_to(each(b), shape).sum())
            for b, shape in zip(job.blocks, shapes, strict=True)
        )
        programs = dict(self._program(stage, b, w) for b in job.blocks for w in range(len(b.axes["width"])))
        return _cost.START_SECONDS[stage] + science + sum(programs.values())

    def runtime_minutes(self, stage: str, name: str) -> int:
        """Run time to ask for: the expected one, with a margin for slower machines and slower mixing."""
        margin = _cost.RUNTIME_MARGIN[stage]
        return 5 + int(margin * self.seconds(stage, name) / self.threads(stage) ** 0.5 / 60)

    def largest(self, stage: str, attribute: str) -> int:
        """The most that any job of a stage asks for; all tasks of a job array share one request."""
        ask = getattr(self, attribute)
        return max((ask(stage, name) for name in self.jobs[stage]), default=0)

    def threads(self, stage: str) -> int:
        """Cores of a job."""
        return self.config.jobs.threads if stage == "sampling" else 1

    def cubes(self) -> list[str]:
        """Paths of the cubes."""
        return [f"{self.root}/{stage}.nc" for stage in self.config.stages()]

    def own_coords(self, stage: str) -> dict[str, list]:
        """The dimensions of a stage's cube that are not grid axes, with their coordinates."""
        if stage == "theory":
            return {"approximation": list(self.config.theory.approximations)}
        if stage == "sampling":
            return {"statistic": ["mean", "mcse", "ess", "rhat"]}
        settings = self.config.dynamics.settings
        return {
            "optimizer": list(settings.optimizers),
            "replica": list(range(settings.replicas)),
            "time": settings.times.tolist(),
        }

    def grid_hash(self, stage: str) -> str:
        """Hash of the coordinates of a stage's cube and of what its points depend on."""
        return content_hash([self.config.axes(stage), self.own_coords(stage), self._settings_digest(stage)])

    def draw(self, dataset: str, n_train: int, seed: int) -> Draw:
        """The prepared data set of that name, size and seed."""
        stem = f"P{n_train}-seed{seed}-{self._data_hash(dataset, n_train, seed)}"
        return Draw(dataset, n_train, seed, f"{self.root}/datasets/{dataset}/{stem}.nc")

    def draw_of(self, block: Block) -> Draw:
        """The prepared data set of a block."""
        return self.draw(block.point["dataset"], block.point["n_train"], block.point["seed"])

    def _kernels(self, stage: str) -> Iterator[Block]:
        """Every kernel of a stage with all its points."""
        axes = self.config.axes(stage)
        inner: dict[str, list] = {n: axes[n] for n in ("width", "temperature", "lambda1") if n in axes}
        for values in itertools.product(*(axes[n] for n in _KERNEL)):
            point = dict(zip(_KERNEL, values, strict=True))
            yield Block(self._kernel_hash(stage, point), point, inner)

    def _kernel_hash(self, stage: str, point: Mapping[str, Any]) -> str:
        """Hash of what the numbers of a kernel depend on beside width, temperature and lambda1."""
        key = (stage, *(point[name] for name in _KERNEL))
        if key not in self._hashes:
            data = self._data_hash(point["dataset"], point["n_train"], point["seed"])
            what = [
                NUMERICS[stage],
                data,
                point["activation"],
                point["lambda0"],
                self._settings_digest(stage),
                *self._plugins_digest(point["activation"]),
            ]
            self._hashes[key] = content_hash(what)
        return self._hashes[key]

    def _plugins_digest(self, activation: str) -> list[str]:
        """Content of the user's files that an activation may come from; nothing for the package's own."""
        from proplim.activations import ACTIVATIONS
        from proplim.datasets import resolve_path

        if activation in ACTIVATIONS.built_in():
            return []
        files = [resolve_path(name, self.folders) for name in self.config.plugins]
        return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]

    @cached_property
    def _hashes(self) -> dict[tuple, str]:
        return {}

    @cached_property
    def _data_configs(self) -> dict[str, dict[str, Any]]:
        return {}

    def _data_hash(self, dataset: str, n_train: int, seed: int) -> str:
        key = ("data", dataset, n_train, seed)
        if key not in self._hashes:
            if dataset not in self._data_configs:
                what = self.config.dataset(dataset).model_dump(mode="json", exclude={"name"})
                self._data_configs[dataset] = what
            what = self._data_configs[dataset]
            self._hashes[key] = content_hash([NUMERICS["datasets"], what, n_train, seed])
        return self._hashes[key]

    def _settings(self, stage: str) -> Any:
        if stage == "theory":
            theory = self.config.theory
            return [*theory.approximations, *([] if theory.peaks else [_cost.WITHOUT_PEAKS])]
        return getattr(self.config, stage).settings

    def _settings_digest(self, stage: str) -> str:
        key = ("settings", stage)
        if key not in self._hashes:
            settings = self._settings(stage)
            self._hashes[key] = content_hash(settings if stage == "theory" else asdict(settings), 32)
        return self._hashes[key]

    def _granularity(self) -> dict[str, Any]:
        return {**self.config.jobs.model_dump(mode="json"), "costs": _cost.VERSION}

    @property
    def _seconds(self) -> float:
        return self.config.jobs.seconds_per_job

    def _finished(self, stage: str) -> set[str]:
        """Names of the jobs whose results are on disk; results appear whole or not at all."""
        folder = Path(self.root) / stage
        names = {f"{file.parent.name}/{file.stem}" for file in folder.glob("*/*.points")}
        return {name for name in names if not name.split("/")[1].startswith(".")}

    @cached_property
    def _failures(self) -> dict[tuple[str, str], list[Block]]:
        """(stage, job) -> its points that failed, for finished jobs."""
        found = {}
        for note in Path(self.root).glob(f"*/*/*{SUFFIX}"):
            stage, name = note.parts[-3], f"{note.parent.name}/{note.stem}"
            if not note.name.startswith(".") and note.with_suffix(".points").exists():
                found[stage, name] = read_failures(note.with_suffix(".points"))
        return found

    def _lost(self, stage: str, name: str, block: Block) -> list[Block]:
        """The points of a block of a job that failed."""
        failed = self._failures.get((stage, name), [])
        key = block.kernel, block.point["dataset"]
        return [b for b in failed if (b.kernel, b.point["dataset"]) == key]

    def _fruitless(self) -> list[tuple[str, str]]:
        """Finished jobs of the ledger all of whose points failed and are now tried again in another job."""
        return [
            (stage, name)
            for stage, name in self._failures
            if name in self._ledger.jobs.get(stage, {})
            and name not in self.jobs.get(stage, {name: None})
            and sum(b.n_points for b in self._failures[stage, name])
            == sum(b.n_points for b in self._ledger.jobs[stage][name])
        ]

    def _plan_stage(self, stage: str) -> dict[str, Job]:
        coverages = {(b.kernel, b.point["dataset"]): Coverage(b) for b in self._kernels(stage)}
        kept = self._keep(stage, coverages)
        once, each = self._costs(stage)
        most = min(POINTS_PER_JOB, self.config.jobs.points_per_job or POINTS_PER_JOB)
        jobs = {job.name: job for job in kept}
        for _, group in itertools.groupby(coverages.values(), key=lambda c: c.wanted.point["dataset"]):
            packed = pack(
                list(group),
                kernel_seconds=once,
                point_seconds=each,
                program=partial(self._program, stage),
                seconds=self._seconds,
                most_points=most,
                whole_temperatures=stage == "theory",
            )
            for blocks in packed:
                job = self._job(stage, blocks)
                jobs[job.name] = job
        return jobs

    def _keep(self, stage: str, coverages: Mapping[tuple[str, str], Coverage]) -> Iterator[Job]:
        """Jobs of the ledger that go on: finished ones of use, and ones under way, cut as they would be now."""
        finished = self._finished(stage)
        known = self._ledger.jobs.get(stage, {})
        started = (
            self._ledger.current.get(stage, []) if self._ledger.granularity == self._granularity() else []
        )
        names = [n for n in known if n in finished] + [n for n in started if n not in finished]
        for name in names:
            blocks = known[name]
            members = [
                (coverage, b, self._lost(stage, name, b))
                for b in blocks
                if (coverage := coverages.get((b.kernel, b.point["dataset"])))
            ]
            new = sum(coverage.count(b, lost) for coverage, b, lost in members)
            if new and (name in finished or new == sum(b.n_points for b in blocks)):
                for coverage, block, lost in members:
                    coverage.take(block, lost)
                yield Job(stage, name, tuple(blocks))

    def _job(self, stage: str, blocks: Sequence[Block]) -> Job:
        digest = content_hash([[b.kernel, b.point["dataset"], b.axes] for b in blocks])
        common = [
            f"{prefix}{blocks[0].point[name]}"
            for prefix, name in (("", "activation"), ("P", "n_train"), ("seed", "seed"))
            if len({b.point[name] for b in blocks}) == 1
        ]
        name = f"{blocks[0].point['dataset']}/{'-'.join([*common, digest])}"
        # A finished job is packed again only if its points failed; the new one needs a name of its own.
        known = self._ledger.jobs.get(stage, {})
        names = (name if k == 0 else f"{name}-again{k}" for k in itertools.count())
        return Job(
            stage, next(n for n in names if not (n in known and (stage, n) in self._failures)), tuple(blocks)
        )

    def _size(self, block: Block) -> _cost.Size:
        config = self.config.dataset(block.point["dataset"])
        return _cost.size_of(config, block.point["n_train"])

    def _program(self, stage: str, block: Block, width: int) -> tuple[Hashable, float]:
        """What a job compiles for a block at the width of that index, and the seconds that it takes."""
        key = block.point["activation"], self._size(block), block.axes["width"][width]
        return key, _cost.COMPILE_SECONDS[stage]

    def _costs(self, stage: str) -> tuple[Any, Any]:
        settings = self._settings(stage)
        return (
            lambda block: _cost.kernel_seconds(self._size(block)),
            lambda block: _cost.point_seconds(stage, self._size(block), block.axes, settings),
        )
