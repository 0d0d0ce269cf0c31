"""The sampling stage: posteriors of finite networks, point by point, each with its file of draws."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from proplim.config import resolved_yaml
from proplim.cube import provenance
from proplim.schema import STATISTICS, Point, Size
from proplim.study._draws import (
    DRAWS,
    draws_file,
    finished_summary,
    keep_draws,
    read_checkpoint,
    write_checkpoint,
)
from proplim.study.stages._base import Results, Run, Stage, along, dumped, network_of, or_reason

if TYPE_CHECKING:
    import xarray as xr

    from proplim.config import StudyConfig
    from proplim.datasets import Dataset
    from proplim.sampling import Progress
    from proplim.study._packing import Block

GRADIENT = (3e-5, 3.2e-11, 2e-11)
"""Seconds for a gradient: a, b, c in a + b P N (2 rank + 2 min(P, N) + 2 (C - 1)) + c min(P, N)^3 of C outputs."""

STEPS = (2.0, 0.01)
"""Gradients in a trajectory: a, b in a sqrt(1 + b P/T)."""

DRAW_SECONDS = 5e-4
"""Seconds for the observables of a draw."""

CHECKPOINT_SECONDS = 180.0
"""How often the checkpoint of a point is renewed."""


class Sampling(Stage):
    """Posterior sampling on the grid (docs/sampler.md)."""

    name = "sampling"
    title = "Posterior sampling of finite one-hidden-layer networks"
    numerics = 4
    start_seconds, compile_seconds, runtime_margin, base_memory_mb = 5.0, 6.0, 8.0, 1100.0

    def settings(self, config: StudyConfig) -> dict[str, Any]:
        """All settings of the sampler."""
        return dumped(config.sampling.settings)

    def own_coords(self, config: StudyConfig) -> dict[str, list]:
        """What is kept of every observable."""
        return {"statistic": list(STATISTICS)}

    def seed_rule(self, config: StudyConfig) -> dict[str, Any]:
        """The sampler's own seed."""
        return {"sampling.seed": config.sampling.settings.seed}

    def leaves(self, config: StudyConfig) -> str | None:
        """A file of draws for every point."""
        return DRAWS

    def values_per_point(self, config: StudyConfig) -> int:
        """Summaries alone: draws are in files of their own."""
        return max(210, len(STATISTICS) * self.values_of_observables(config))

    def point_seconds(self, size: Size, axes: Mapping[str, Sequence], config: StudyConfig) -> np.ndarray:
        """Draws x steps of a trajectory x cost of a gradient.

        The stiffest direction of the posterior narrows as T/P, and the step with it.
        """
        settings = config.sampling.settings
        width, temperature = along(axes, "width"), along(axes, "temperature")
        small = np.minimum(size.n_train, width)
        a, b, c = GRADIENT
        inner = 2 * (size.rank + small + size.n_outputs - 1)
        gradient = a + b * size.n_train * width * inner + c * small**3
        steps = STEPS[0] * np.sqrt(1 + STEPS[1] * size.n_train / temperature)
        draws = settings.warmup + 50 + max(settings.min_draws, 3 * settings.target_ess / settings.chains)
        return np.asarray(settings.chains * draws * (steps * gradient + DRAW_SECONDS))

    def compute(self, run: Run, block: Block, dataset: Dataset) -> Results:
        """Sample point by point; a point whose draws are there already is not sampled again."""
        results: Results = []
        for point in block.points():
            file = draws_file(run.root, point, dataset.identity, self, self.settings(run.config))
            summary = finished_summary(file)
            if summary is None:
                summary = or_reason(partial(self._sample, run, file, point, dataset), {})
            if file.exists():
                run.files.append(file)
            results.append((point.coordinates(), summary))
            run.progress.step(f"{point.label(tuple(block.axes))}, converged {int(summary['converged'])}")
        return results

    def _sample(self, run: Run, file: Path, point: Point, dataset: Dataset) -> xr.Dataset:
        """Summary of a sampled point, whose draws are kept in `file` unless sampling failed."""
        from proplim.sampling import sample_posterior

        started = time.perf_counter()
        settings = run.config.sampling.settings
        sample = sample_posterior(
            dataset,
            **network_of(point),
            settings=settings,
            threads=run.threads,
            progress=run.progress.within(point, _chains),
            resume=read_checkpoint(file),
            checkpoint=partial(write_checkpoint, file),
            checkpoint_seconds=CHECKPOINT_SECONDS,
        )
        if not sample.summary.attrs.get("failed"):
            seconds = time.perf_counter() - started
            about = provenance(resolved_yaml(run.config), sample.summary.attrs["seeds"], seconds)
            keep_draws(file, point, sample, self.settings(run.config), about)
        return sample.summary


def _chains(now: Progress) -> str:
    """How far the chains of a point are."""
    check = f", smallest ESS {now.ess:.0f}, largest R-hat {now.rhat:.3f}" if now.ess >= 0 else ""
    return f"{now.draws} draws a chain{check}"


STAGE = Sampling()
