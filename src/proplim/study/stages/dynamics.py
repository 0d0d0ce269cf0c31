"""The dynamics stage: networks trained from the prior, point by point."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from proplim.config import resolved_yaml
from proplim.cube import provenance, write_netcdf
from proplim.dynamics import OPTIMIZERS
from proplim.schema import Point, Size
from proplim.seeds import canonical_json
from proplim.study._identity import point_hash, seeds_text
from proplim.study._replicas import ReplicaFolder
from proplim.study.stages._base import Results, Run, Stage, along, dumped, network_of, or_reason

if TYPE_CHECKING:
    import xarray as xr

    from proplim.config import StudyConfig
    from proplim.datasets import Dataset
    from proplim.dynamics import Progress
    from proplim.study._packing import Block

RECORD = (1.7e-3, 1e-6, 2.5e-9)
"""Seconds for a recorded time: a, b, c in a + b n^2 + c n^3 with n = P times the number of outputs."""

STRAGGLERS = "stragglers"
"""Folder of the study with the attributions of training to single inputs."""


REPLICAS = "replicas"
"""Folder of replicas that are finished, of points that are not."""


class Dynamics(Stage):
    """Training dynamics on the grid (docs/dynamics.md)."""

    name = "dynamics"
    title = "Gradient-descent dynamics of finite one-hidden-layer networks"
    numerics = 3
    start_seconds, compile_seconds, runtime_margin, base_memory_mb = 6.0, 5.0, 6.0, 950.0

    def settings(self, config: StudyConfig) -> dict[str, Any]:
        """The common settings of the training, and those of the optimizers that are used."""
        written = dumped(config.dynamics.settings)
        unused = (m for m in OPTIMIZERS.members() if m.name not in config.dynamics.settings.optimizers)
        foreign = {key for optimizer in unused for key in optimizer.settings_type.model_fields}
        return {key: value for key, value in written.items() if key not in foreign}

    def origins(self, config: StudyConfig) -> list[Path]:
        """The user's files beside: those of optimizers."""
        files = (OPTIMIZERS.origin(name) for name in config.dynamics.settings.optimizers)
        return [*super().origins(config), *(file for file in files if file is not None)]

    def own_coords(self, config: StudyConfig) -> dict[str, list]:
        """Optimizers, replicas and recorded times."""
        settings = config.dynamics.settings
        return {
            "optimizer": list(settings.optimizers),
            "replica": list(range(settings.replicas)),
            "time": settings.times.tolist(),
        }

    def leaves(self, config: StudyConfig) -> str | None:
        """A table for every point, where rise and fall of D are attributed to single inputs."""
        return STRAGGLERS if config.dynamics.settings.stragglers else None

    def point_seconds(self, size: Size, axes: Mapping[str, Sequence], config: StudyConfig) -> np.ndarray:
        """What the optimizers ask for, and the tangent kernel at every recorded time."""
        settings = config.dynamics.settings
        a, b, c = RECORD
        values = size.n_train * size.n_outputs
        record = a + b * values**2 + c * values**3
        width = along(axes, "width")
        paths = sum(OPTIMIZERS.get(n).seconds(size, width, settings) for n in settings.optimizers)
        return np.asarray(settings.replicas * (paths + len(settings.optimizers) * record * settings.n_times))

    def compute(self, run: Run, block: Block, dataset: Dataset) -> Results:
        """Train point by point."""
        train = self._train_attributed if run.config.dynamics.settings.stragglers else self._train
        results: Results = []
        for point in block.points():
            results.append((point.coordinates(), or_reason(partial(train, run, point, dataset), {})))
            run.progress.step(point.label(tuple(block.axes)))
        return results

    def _train(self, run: Run, point: Point, dataset: Dataset) -> xr.Dataset:
        from proplim.dynamics import train

        return train(dataset, **network_of(point), **self._how(run, point, dataset))

    def _how(self, run: Run, point: Point, dataset: Dataset) -> dict[str, Any]:
        """Settings, cores and progress of a training; its replicas are kept until the job is done."""
        digest = point_hash(self, point, dataset.identity, self.settings(run.config))
        folder = run.root / REPLICAS / point.dataset / f"{point.label()}-{digest}"
        run.scratch.append(folder)
        return {
            "settings": run.config.dynamics.settings,
            "threads": run.threads,
            "progress": run.progress.within(point, _replicas),
            "kept": ReplicaFolder(folder),
        }

    def _train_attributed(self, run: Run, point: Point, dataset: Dataset) -> xr.Dataset:
        """Train, and keep under stragglers/ the attribution of the run to single inputs."""
        from proplim.dynamics import train_with_stragglers

        started = time.perf_counter()
        result, table = train_with_stragglers(dataset, **network_of(point), **self._how(run, point, dataset))
        digest = point_hash(self, point, dataset.identity, self.settings(run.config))
        path = run.root / STRAGGLERS / point.dataset / f"{point.label()}-{digest}.nc"
        attributes: dict[str, str | float] = {
            "title": "rise and fall of D attributed to single training inputs, one grid point",
            "point": canonical_json(point.coordinates()),
            "identity": dataset.identity,
            "settings": canonical_json(self.settings(run.config)),
            **provenance(
                resolved_yaml(run.config),
                seeds_text(self, run.config, [point.seed]),
                time.perf_counter() - started,
            ),
        }
        write_netcdf(table.assign_attrs(attributes), path)
        run.files.append(path)
        return result


def _replicas(now: Progress) -> str:
    """How far the replicas of a point are."""
    return f"{now.optimizer}, replica {now.replica} at t = {now.time:.3g}, {100 * now.done:.0f} % of all"


STAGE = Dynamics()
