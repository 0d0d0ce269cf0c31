"""What jobs ask a scheduler for: memory, time and cores."""

from __future__ import annotations

from typing import Any

import numpy as np

from proplim.schema import Size
from proplim.study._costs import block_seconds, kernel_seconds
from proplim.study._plan import Job, Plan
from proplim.study.stages import stage_of

MARGIN = 1.5
"""How much more memory is asked for than is expected."""
CUBE_MB = (700.0, 1600.0)
"""Megabytes for writing a cube: libraries, and the most that is held of it at a time."""
BYTES = 8e-6
"""Megabytes of a number."""


class Requests:
    """Requests of the jobs of a plan.

    Parameters
    ----------
    plan : Plan
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def seconds(self, stage: str, name: str) -> float:
        """Expected run time of a job on one core (docs/scaling.md)."""
        plan, known = self.plan, stage_of(stage)
        blocks = plan.jobs[stage][name].blocks
        science = sum(
            kernel_seconds(size := plan.size_of(b))
            + float(block_seconds(known, size, b.axes, plan.config).sum())
            for b in blocks
        )
        programs = dict(
            plan.program_of(known, b, k) for b in blocks for k in range(len(b.axes[known.program_axis]))
        )
        return known.start_seconds + science + sum(programs.values())

    def runtime_minutes(self, stage: str, name: str) -> int:
        """Run time to ask for: the expected one, with a margin for slower machines and slower mixing."""
        margin = stage_of(stage).runtime_margin
        return 5 + int(margin * self.seconds(stage, name) / self.threads(stage, name) ** 0.5 / 60)

    def memory_mb(self, stage: str, name: str) -> int:
        """Memory to ask for: what a job needs by measurement (docs/scaling.md), with a margin."""
        known, job = stage_of(stage), self.plan.jobs[stage][name]
        largest = max(_arrays_mb(self.plan.size_of(b)) for b in job.blocks)
        table = BYTES * 3 * known.values_per_point(self.plan.config) * job.n_points
        return int(MARGIN * (known.base_memory_mb + largest + table))

    def cube_memory_mb(self, stage: str) -> int:
        """Memory to ask for to collect a cube, which is written in parts of bounded size."""
        axes, own = self.plan.config.axes(stage), self.plan.own_coords(stage)
        values = np.prod([len(v) for v in (*axes.values(), *own.values())], dtype=float)
        base, most = CUBE_MB
        return int(base + min(BYTES * 70 * values, most))

    def largest(self, stage: str, attribute: str) -> int:
        """The most that any job of a stage asks for; all tasks of a job array share one request."""
        ask: Any = getattr(self, attribute)
        return max((ask(stage, name) for name in self.plan.jobs[stage]), default=0)

    def threads(self, stage: str, name: str) -> int:
        """Cores of a job: as many as its largest block can use."""
        known, blocks = stage_of(stage), self.plan.jobs[stage][name].blocks
        return max(known.cores(self.plan.config, self.plan.size_of(block)) for block in blocks)


def _arrays_mb(size: Size) -> float:
    """Kernels and inputs of a data set."""
    return BYTES * (size.n_train + size.n_test) * (8 * size.n_train + 4 * size.n_features)


__all__ = ["Job", "Requests"]
