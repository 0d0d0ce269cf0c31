"""The plan of a study: which files it is made of and which grid points go into which job.

A job's name holds a hash of everything that its numbers depend on and nothing else. So a finished job is
found again whenever the same points are asked for, and a change of figures or of other axes leaves it alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from proplim.config import StudyConfig
from proplim.datasets import resolve_path
from proplim.seeds import content_hash

NUMERICS = {"datasets": 1, "theory": 1, "sampling": 1, "dynamics": 1}
"""Raised by one when a stage's numbers change on purpose, so that results of older code are not reused."""

TEMPERATURES_PER_SAMPLING_JOB = 4
NETWORKS_PER_DYNAMICS_JOB = 4


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
        The result file is ``results/<study>/<stage>/<name>.nc``.
    draw : Draw
    point : mapping
        Grid coordinates common to all points of the job.
    axes : mapping
        Grid coordinates that vary, full product.
    """

    stage: str
    name: str
    draw: Draw
    point: Mapping[str, Any]
    axes: Mapping[str, list]

    @property
    def n_points(self) -> int:
        """Number of grid points."""
        n = 1
        for values in self.axes.values():
            n *= len(values)
        return n


class Plan:
    """All files and jobs of a study.

    Parameters
    ----------
    config : StudyConfig
    folders : sequence of Path
        Where relative paths of the configuration start, first match wins.
    """

    def __init__(self, config: StudyConfig, folders: Sequence[Path] = (Path(),)) -> None:
        self.config = config
        self.folders = list(folders)
        self.root = f"results/{config.study}"

    @cached_property
    def jobs(self) -> dict[str, dict[str, Job]]:
        """Stage -> job name -> job, for every enabled stage."""
        makers = {"theory": self._theory_jobs, "sampling": self._sampling_jobs, "dynamics": self._dynamics_jobs}
        return {stage: {job.name: job for job in makers[stage]()} for stage in self.config.stages()}

    @cached_property
    def draws(self) -> dict[tuple[str, str], Draw]:
        """(data set name, file stem) -> draw, for every prepared data set that a job needs."""
        found = {job.draw for jobs in self.jobs.values() for job in jobs.values()}
        return {(d.dataset, Path(d.file).stem): d for d in sorted(found, key=lambda d: d.file)}

    def result(self, job: Job) -> str:
        """Path of a job's result."""
        return f"{self.root}/{job.stage}/{job.name}.nc"

    def results(self, stage: str) -> list[str]:
        """Paths of the results of all jobs of a stage."""
        return [self.result(job) for job in self.jobs[stage].values()]

    def source_files(self, draw: Draw) -> list[str]:
        """A user's data file that a draw is taken from, or nothing."""
        config = self.config.dataset(draw.dataset)
        return [str(resolve_path(config.path, self.folders))] if config.source == "file" else []

    def memory_mb(self, stage: str, name: str) -> int:
        """Memory that a job needs, from the size of its arrays, with the libraries' own share."""
        draw = self.jobs[stage][name].draw
        return 1500 + int(60 * 8e-6 * draw.n_train**2)

    def runtime_minutes(self, stage: str, name: str) -> int:
        """Generous bound on a job's run time."""
        job = self.jobs[stage][name]
        per_point = {"theory": 0.001, "sampling": 10.0, "dynamics": 10.0}[stage]
        return 10 + int(per_point * job.n_points * max(1.0, job.draw.n_train / 200) ** 2)

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

    def _kernels(self, stage: str) -> Iterator[tuple[Draw, dict[str, Any], dict[str, list]]]:
        """Every kernel of a stage: its data, its coordinates, and the axes that share it."""
        axes = self.config.axes(stage)
        names = ("dataset", "n_train", "seed", "activation", "lambda0")
        for values in itertools.product(*(axes[n] for n in names)):
            point = dict(zip(names, values, strict=True))
            draw = self._draw(point["dataset"], point["n_train"], point["seed"])
            yield draw, point, {n: axes[n] for n in ("width", "temperature", "lambda1") if n in axes}

    def _draw(self, dataset: str, n_train: int, seed: int) -> Draw:
        stem = f"P{n_train}-seed{seed}-{self._data_hash(dataset, n_train, seed)}"
        return Draw(dataset, n_train, seed, f"{self.root}/datasets/{dataset}/{stem}.nc")

    def _data_hash(self, dataset: str, n_train: int, seed: int) -> str:
        what = self.config.dataset(dataset).model_dump(mode="json", exclude={"name"})
        return content_hash([NUMERICS["datasets"], what, n_train, seed])

    def _job(self, stage: str, draw: Draw, point: dict, axes: dict, settings: Any) -> Job:
        data = self._data_hash(draw.dataset, draw.n_train, draw.seed)
        kernel = {k: v for k, v in point.items() if k != "dataset"}
        digest = content_hash([NUMERICS[stage], data, kernel, axes, settings])
        label = f"{point['activation']}-P{draw.n_train}-seed{draw.seed}"
        return Job(stage, f"{draw.dataset}/{label}-{digest}", draw, point, axes)

    def _theory_jobs(self) -> Iterator[Job]:
        for draw, point, axes in self._kernels("theory"):
            yield self._job("theory", draw, point, axes, list(self.config.theory.approximations))

    def _sampling_jobs(self) -> Iterator[Job]:
        settings = _settings_hash(self.config.sampling.settings)
        for draw, point, axes in self._kernels("sampling"):
            for width, lambda1 in itertools.product(axes["width"], axes["lambda1"]):
                for temperatures in batched(axes["temperature"], TEMPERATURES_PER_SAMPLING_JOB):
                    chunk = {"width": [width], "temperature": temperatures, "lambda1": [lambda1]}
                    yield self._job("sampling", draw, point, chunk, settings)

    def _dynamics_jobs(self) -> Iterator[Job]:
        settings = _settings_hash(self.config.dynamics.settings)
        for draw, point, axes in self._kernels("dynamics"):
            for widths in batched(axes["width"], NETWORKS_PER_DYNAMICS_JOB):
                yield self._job("dynamics", draw, point, {"width": widths, "lambda1": axes["lambda1"]}, settings)


def batched(values: list, size: int) -> Iterator[list]:
    """Consecutive runs of at most `size` values."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def _settings_hash(settings: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return {k: v for k, v in sorted(asdict(settings).items())}
