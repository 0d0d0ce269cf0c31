"""What every stage answers: settings, coordinates, costs, and the computation of a block of grid points."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from proplim.datasets import class_coords_of
from proplim.errors import InvalidInput, ProplimError
from proplim.observables import OBSERVABLES, variables_of
from proplim.schema import SPLITS, Point, Settings, Size

if TYPE_CHECKING:
    import xarray as xr

    from proplim.config import StudyConfig
    from proplim.datasets import Dataset
    from proplim.study._packing import Block
    from proplim.study._progress import Progress

Results = list[tuple[Mapping[str, Any], "xr.Dataset"]]
"""(coordinates that all points share, values of the points)."""


POINT_FAILURES = (ProplimError, ArithmeticError, np.linalg.LinAlgError)
"""What is a point's own failure: numerical trouble, and input outside of what is allowed."""


@dataclass(frozen=True)
class Run:
    """What the computation of a block is given beside the block and its data.

    Parameters
    ----------
    config : StudyConfig
    root : Path
        Folder of the study's results.
    threads : int
        Cores to use.
    progress : Progress
    files : list of Path
        Files of single points that are there, in the folder that the stage :meth:`~Stage.leaves`; computing adds to it.
    scratch : list of Path
        Folders that are of no use once the job's result is written; computing adds to it.
    """

    config: StudyConfig
    root: Path
    threads: int
    progress: Progress
    files: list[Path] = field(default_factory=list)
    scratch: list[Path] = field(default_factory=list)


class Stage(ABC):
    """One stage of a study."""

    name: ClassVar[str]
    title: ClassVar[str]
    """Title of its cube."""
    numerics: ClassVar[int]
    """Raised by one when its numbers change on purpose, so that results of older code are not reused."""
    program_axis: ClassVar[str] = "width"
    """Axis of a kernel whose values need a compiled program each."""
    whole_axis: ClassVar[str | None] = None
    """Axis whose values stay together in a job, as they share work."""
    start_seconds: ClassVar[float]
    """Interpreter, imports, reading the data, and for JAX reading compiled programs."""
    compile_seconds: ClassVar[float]
    """Compilation for a P, N and activation that the machine has not met before; a sixth of it where it has."""
    runtime_margin: ClassVar[float]
    """How much longer than expected a job may run before a scheduler ends it."""
    base_memory_mb: ClassVar[float]
    """Libraries, and Snakemake's own two processes of a cluster job."""

    def cores(self, config: StudyConfig, size: Size) -> int:
        """Cores of a job with data sets of that size; what a point is made of (chains, replicas) runs side by side."""
        return config.jobs.threads

    @abstractmethod
    def settings(self, config: StudyConfig) -> dict[str, Any]:
        """What the numbers depend on beside the point, as plain values: part of every hash."""

    @abstractmethod
    def own_coords(self, config: StudyConfig) -> dict[str, list]:
        """Dimensions of the cube that are no grid axes, with their coordinates."""

    @abstractmethod
    def point_seconds(self, size: Size, axes: Mapping[str, Sequence], config: StudyConfig) -> np.ndarray:
        """Seconds on one core for the points of a block, in a shape that spreads over `axes`."""

    @abstractmethod
    def compute(self, run: Run, block: Block, dataset: Dataset) -> Results:
        """Compute all points of a block; one that fails is NaN with its reason and does not stop the others."""

    def values_per_point(self, config: StudyConfig) -> int:
        """Numbers that a table holds for a point, for estimates of memory."""
        sizes = [len(values) for values in self.own_coords(config).values()]
        return max(70, self.values_of_observables(config)) * int(np.prod(sizes, dtype=np.int64))

    def values_of_observables(self, config: StudyConfig) -> int:
        """Numbers of all observables at a point, over splits, classes, their pairs and outputs."""
        coords = {"split": list(SPLITS), **class_coords_of(config.datasets)}
        shapes = [[len(coords.get(d, ())) for d in v.dims] for v in variables_of(self.name, config.n_outputs)]
        return int(sum(np.prod(shape, dtype=np.int64) for shape in shapes))

    def leaves(self, config: StudyConfig) -> str | None:
        """Folder of the study with files of single points beside the tables of jobs; None where there are none."""
        return None

    def seed_rule(self, config: StudyConfig) -> dict[str, Any]:
        """Settings of the seeds, for provenance."""
        return {}

    def origins(self, config: StudyConfig) -> list[Path]:
        """The user's files that the numbers depend on beside those of activation and source."""
        files = (OBSERVABLES.origin(v.name) for v in variables_of(self.name))
        return [file for file in files if file is not None]


def along(axes: Mapping[str, Sequence], name: str) -> np.ndarray:
    """Values of one axis as an array that spreads over all axes of a block."""
    return np.asarray(axes[name], dtype=float).reshape([-1 if axis == name else 1 for axis in axes])


def dumped(settings: Settings) -> dict[str, Any]:
    """Settings of a stage as plain values."""
    return settings.model_dump(mode="json")


def network_of(point: Point) -> dict[str, Any]:
    """Arguments of the stages' functions for a point: its axes but those that decide which data are drawn."""
    return {name: value for name, value in point.identity("").items() if name != "dataset"}


def or_reason(compute: Callable[[], xr.Dataset], axes: Mapping[str, Sequence]) -> xr.Dataset:
    """Result of `compute`, or where it fails one that holds nothing but converged = 0 and the reason.

    Only numerical failure and input outside of what is allowed are a point's own failure. What another attempt
    of the job may mend is let through (too little memory, an unreadable disk), and so is a bug.
    """
    try:
        return compute()
    except POINT_FAILURES as error:
        return failed_result(error, axes)


def failed_result(error: Exception, axes: Mapping[str, Sequence]) -> xr.Dataset:
    """A result without values for the points of `axes`; the next run tries them again, but for invalid input."""
    import xarray as xr

    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    converged = xr.DataArray(np.zeros([len(v) for v in axes.values()]), coords=dict(axes), dims=list(axes))
    failed = int(not isinstance(error, InvalidInput))
    return xr.Dataset({"converged": converged}, attrs={"reason": reason, "failed": failed})
