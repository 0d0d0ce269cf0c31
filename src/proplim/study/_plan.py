"""The plan of a study: which files it is made of and which grid points go into which job.

A job is a list of blocks of grid points. Its name holds a hash of everything that its numbers depend on. Jobs
that are finished keep their name and points as long as one of their points is asked for, whatever has been
appended to the grid since (the ledger remembers them); points that are in no such job, and those that failed
there, are packed into new ones.

A plan is a function of the configuration and of what :mod:`proplim.study._workspace` found; it looks at no file.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from proplim._layout import INDEX
from proplim.activations import ACTIVATIONS
from proplim.config import StudyConfig
from proplim.datasets import n_classes_of, outputs_of
from proplim.schema import AXES, Size, job_axes, kernel_axes, values_at
from proplim.seeds import content_hash
from proplim.study._costs import COSTS_VERSION, PREPARE_SECONDS, block_seconds, kernel_seconds
from proplim.study._identity import data_hash, kernel_hash, settings_digest
from proplim.study._manifests import manifest_file
from proplim.study._packing import Block, Coverage, Prices, pack
from proplim.study._sources import data_settings, features_expected
from proplim.study._workspace import Workspace, result_file
from proplim.study.stages import Stage, stage_of

POINTS_PER_JOB = 100_000
"""Bound on the points of a job beside the user's own, so that a job's result stays below a few hundred MB."""

DATA_AXES = tuple(name for name, axis in AXES.items() if axis.role == "data")


@dataclass(frozen=True)
class Draw:
    """One prepared data set: training and test inputs of one draw.

    Parameters
    ----------
    point : mapping
        The axes that decide which data are drawn.
    file : str
    """

    point: Mapping[str, Any]
    file: str

    @property
    def dataset(self) -> str:
        """Name of the data set."""
        return str(self.point["dataset"])


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
    workspace : Workspace
        What is there already.
    as_started : bool
        Take the jobs as the ledger has them (inside a run) instead of planning what is still to do.
    """

    def __init__(self, config: StudyConfig, workspace: Workspace, *, as_started: bool = False) -> None:
        self.config = config
        self.workspace = workspace
        self.root = str(workspace.root)
        self.as_started = as_started

    @property
    def folders(self) -> list[Path]:
        """Where relative paths of the configuration start."""
        return list(self.workspace.folders)

    @cached_property
    def jobs(self) -> dict[str, dict[str, Job]]:
        """Stage -> job name -> job, for every enabled stage."""
        ledger, stages = self.workspace.ledger, self.config.stages()
        if self.as_started and all(stage in ledger.current for stage in stages):
            return {
                stage: {n: Job(stage, n, tuple(ledger.jobs[stage][n])) for n in ledger.current[stage]}
                for stage in stages
            }
        return {stage: self._plan_stage(stage_of(stage)) for stage in stages}

    def job(self, stage: str, name: str) -> Job:
        """One job by its name, checked against the configuration.

        Raises
        ------
        RuntimeError
            If the configuration was changed after the job was planned.
        """
        job = self.jobs[stage][name]
        for block in job.blocks:
            if block.kernel != self.kernel_hash(stage_of(stage), block.point):
                raise RuntimeError(
                    f"the configuration has changed since the run was started: {stage} {name} no longer "
                    "belongs to it; start again"
                )
        return job

    @cached_property
    def draws(self) -> dict[str, Draw]:
        """File -> draw, for every prepared data set that a job needs."""
        jobs = (job for members in self.jobs.values() for job in members.values())
        found = {tuple(b.point[n] for n in DATA_AXES): b for job in jobs for b in job.blocks}
        draws = [self.draw_of(found[key]) for key in sorted(found)]
        return {draw.file: draw for draw in draws}

    @cached_property
    def batches(self) -> list[list[str]]:
        """Files of data sets that were not there and are prepared together, two or more at a time."""
        if self.as_started:
            return self.workspace.ledger.batches
        batches = []
        size = max(1, int(self._seconds_per_job / PREPARE_SECONDS))
        missing = (d for d in self.draws.values() if d.file not in self.workspace.prepared)
        for _, group in itertools.groupby(missing, key=lambda d: d.dataset):
            files = [draw.file for draw in group]
            batches += [files[i : i + size] for i in range(0, len(files), size)]
        return [batch for batch in batches if len(batch) > 1]

    def inputs(self, stage: str, name: str) -> list[str]:
        """Prepared data sets that a job reads, in the order of its blocks."""
        return list(dict.fromkeys(self.draw_of(block).file for block in self.jobs[stage][name].blocks))

    def result(self, job: Job) -> str:
        """Path of a job's result."""
        return str(result_file(self.workspace.root, job.stage, job.name))

    def results(self, stage: str) -> list[str]:
        """Paths of the results of all jobs of a stage."""
        return [self.result(job) for job in self.jobs[stage].values()]

    def outputs(self, stage: str) -> list[str]:
        """What a job of a stage leaves, with ``{dataset}`` and ``{job}`` for its name."""
        result = result_file(self.workspace.root, stage, "{dataset}/{job}")
        leaves = stage_of(stage).leaves(self.config) if stage in self.config.stages() else None
        return [str(result), *([str(manifest_file(result))] if leaves else [])]

    def manifests(self, stage: str) -> list[str]:
        """Lists of the files that the jobs of a stage leave beside their results."""
        return [str(manifest_file(result)) for result in self.results(stage)]

    def indexes(self) -> dict[str, str]:
        """List of all files of single points in a folder of the study -> stage that leaves them."""
        folders = {stage: stage_of(stage).leaves(self.config) for stage in self.config.stages()}
        return {f"{self.root}/{folder}/{INDEX}": stage for stage, folder in folders.items() if folder}

    def cubes(self) -> list[str]:
        """Paths of the cubes."""
        return [f"{self.root}/{stage}.nc" for stage in self.config.stages()]

    def explorer(self) -> list[str]:
        """Path of the page in which a user turns through the study; none where no figures are wanted."""
        return [f"{self.root}/explore.html"] if self.config.figures.enabled else []

    def source_files(self, files: Iterable[str]) -> list[str]:
        """A user's data files that prepared data sets are taken from."""
        names = sorted({self.draws[file].dataset for file in files})
        return [file for name in names for file in self.workspace.sources[name]]

    def open_points(self) -> int:
        """Number of points that a run would compute: those in no finished job, and those that failed there."""
        return sum(
            job.n_points
            for stage, members in self.jobs.items()
            for job in members.values()
            if job.name not in self.workspace.finished[stage]
        )

    def own_coords(self, stage: str) -> dict[str, list]:
        """The dimensions of a stage's cube that are not grid axes, with their coordinates."""
        return stage_of(stage).own_coords(self.config)

    def grid_hash(self, stage: str) -> str:
        """Hash of the coordinates of a stage's cube and of what its points depend on."""
        return content_hash(
            [self.config.axes(stage), self.own_coords(stage), self._settings_digest(stage_of(stage))]
        )

    def draw_of(self, block: Block) -> Draw:
        """The prepared data set of a block."""
        point = {name: block.point[name] for name in DATA_AXES}
        parts = [AXES[n].text(v) for n, v in point.items() if n != "dataset"]
        stem = "-".join([*parts, self._data_hash(point)])
        return Draw(point, f"{self.root}/datasets/{point['dataset']}/{stem}.nc")

    def size_of(self, block: Block) -> Size:
        """Sizes of the data of a block, known without reading them."""
        config = self.config.dataset(block.point["dataset"])
        return Size(
            block.point["n_train"], config.n_test, features_expected(config), outputs_of(n_classes_of(config))
        )

    def kernel_hash(self, stage: Stage, point: Mapping[str, Any]) -> str:
        """Hash of what the numbers of a kernel depend on beside the axes whose values share it."""
        key = (stage.name, *(point[name] for name in kernel_axes(stage.name)))
        if key not in self._hashes:
            plugins = self.workspace.content(self._plugins(stage, point))
            data, settings = self._data_hash(point), self._settings_digest(stage)
            self._hashes[key] = kernel_hash(stage, data, point, settings, plugins)
        return self._hashes[key]

    def program_of(self, stage: Stage, block: Block, value: int) -> tuple[Hashable, float]:
        """What a job compiles for a block at one value of the program axis, and the seconds that it takes."""
        key = block.point["activation"], self.size_of(block), block.axes[stage.program_axis][value]
        return key, stage.compile_seconds

    def granularity(self) -> dict[str, Any]:
        """Settings under which jobs that are not finished are cut."""
        return {**self.config.jobs.model_dump(mode="json"), "costs": COSTS_VERSION}

    def _plugins(self, stage: Stage, point: Mapping[str, Any]) -> list[str]:
        """The user's files that the numbers of a kernel depend on."""
        activation = ACTIVATIONS.origin(point["activation"])
        found = [*([activation] if activation else []), *stage.origins(self.config)]
        return sorted({str(file) for file in found})

    def _kernels(self, stage: Stage) -> Iterator[Block]:
        """Every kernel of a stage with all its points."""
        axes = self.config.axes(stage.name)
        outer = kernel_axes(stage.name)
        for values in itertools.product(*(axes[n] for n in outer)):
            point = dict(zip(outer, values, strict=True))
            inner = {name: values_at(axes, name, point) for name in job_axes(stage.name)}
            yield Block(self.kernel_hash(stage, point), point, inner)

    @cached_property
    def _hashes(self) -> dict[tuple, str]:
        return {}

    def _data_hash(self, point: Mapping[str, Any]) -> str:
        key = ("data", *(point[name] for name in DATA_AXES))
        if key not in self._hashes:
            name = point["dataset"]
            content = self.workspace.content(self.workspace.sources[name])
            self._hashes[key] = data_hash(self._data_settings[name], content, point)
        return self._hashes[key]

    @cached_property
    def _data_settings(self) -> dict[str, dict[str, Any]]:
        return {d.name: data_settings(d) for d in self.config.datasets}

    def _settings_digest(self, stage: Stage) -> str:
        key = ("settings", stage.name)
        if key not in self._hashes:
            self._hashes[key] = settings_digest(stage.settings(self.config))
        return self._hashes[key]

    @property
    def _seconds_per_job(self) -> float:
        return self.config.jobs.seconds_per_job

    def _lost(self, stage: str, name: str, block: Block) -> list[Block]:
        """The points of a block of a job that failed."""
        failed = self.workspace.failures.get((stage, name), [])
        key = block.kernel, block.point["dataset"]
        return [b for b in failed if (b.kernel, b.point["dataset"]) == key]

    def _plan_stage(self, stage: Stage) -> dict[str, Job]:
        coverages = {(b.kernel, b.point["dataset"]): Coverage(b) for b in self._kernels(stage)}
        jobs = {job.name: job for job in self._keep(stage.name, coverages)}
        prices = Prices(
            kernel=lambda block: kernel_seconds(self.size_of(block)),
            points=lambda block: block_seconds(stage, self.size_of(block), block.axes, self.config),
            program=lambda block, value: self.program_of(stage, block, value),
        )
        most = min(POINTS_PER_JOB, self.config.jobs.points_per_job or POINTS_PER_JOB)
        for _, group in itertools.groupby(coverages.values(), key=lambda c: c.wanted.point["dataset"]):
            packed = pack(
                list(group),
                prices,
                seconds=self._seconds_per_job,
                most_points=most,
                program_axis=stage.program_axis,
                whole_axis=stage.whole_axis,
            )
            for blocks in packed:
                job = self._job(stage.name, blocks)
                jobs[job.name] = job
        return jobs

    def _keep(self, stage: str, coverages: Mapping[tuple[str, str], Coverage]) -> Iterator[Job]:
        """Jobs of the ledger that go on: finished ones of use, and ones under way, cut as they would be now."""
        ledger, finished = self.workspace.ledger, self.workspace.finished[stage]
        known = ledger.jobs.get(stage, {})
        started = ledger.current.get(stage, []) if ledger.granularity == self.granularity() else []
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
        named = [n for n in kernel_axes(stage) if n != "dataset" and AXES[n].kind != "real"]
        common = [AXES[n].text(blocks[0].point[n]) for n in named if len({b.point[n] for b in blocks}) == 1]
        name = f"{blocks[0].point['dataset']}/{'-'.join([*common, digest])}"
        # A finished job is packed again only if its points failed; the new one needs a name of its own.
        known, failures = self.workspace.ledger.jobs.get(stage, {}), self.workspace.failures
        names = (name if k == 0 else f"{name}-again{k}" for k in itertools.count())
        return Job(
            stage, next(n for n in names if not (n in known and (stage, n) in failures)), tuple(blocks)
        )
