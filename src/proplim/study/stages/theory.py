"""The theory stage: all approximations at the points of a kernel, which share one eigendecomposition."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from proplim._cores import LARGE_KERNEL
from proplim.schema import AXES, Size
from proplim.study.stages._base import POINT_FAILURES, Results, Run, Stage, or_reason
from proplim.theory.approximations import APPROXIMATIONS

if TYPE_CHECKING:
    import xarray as xr

    from proplim.config import StudyConfig
    from proplim.datasets import Dataset
    from proplim.study._packing import Block


class Theory(Stage):
    """Theory on the grid (docs/theory.md)."""

    name = "theory"
    title = "Theory of feature learning in one-hidden-layer networks"
    numerics = 3
    whole_axis: ClassVar[str] = "temperature"
    start_seconds, compile_seconds, runtime_margin, base_memory_mb = 2.0, 0.0, 4.0, 700.0

    def settings(self, config: StudyConfig) -> dict[str, Any]:
        """Approximations, and whether T* is searched for."""
        return {"approximations": list(config.theory.approximations), "peaks": config.theory.peaks}

    def own_coords(self, config: StudyConfig) -> dict[str, list]:
        """The approximations."""
        return {"approximation": list(config.theory.approximations)}

    def origins(self, config: StudyConfig) -> list[Path]:
        """The user's files beside: those of approximations."""
        files = (APPROXIMATIONS.origin(name) for name in config.theory.approximations)
        return [*super().origins(config), *(file for file in files if file is not None)]

    def cores(self, config: StudyConfig, size: Size) -> int:
        """One for small kernels; a large one is diagonalised on two, of which a third would have little to do."""
        return 2 if size.n_train >= LARGE_KERNEL else 1

    def point_seconds(self, size: Size, axes: Mapping[str, Sequence], config: StudyConfig) -> np.ndarray:
        """What the approximations say, each with a point's share of the search for T*."""
        share = 1.0 / len(axes[self.whole_axis]) if config.theory.peaks else 0.0
        chosen = [APPROXIMATIONS.get(name) for name in config.theory.approximations]
        seconds = sum(a.point_seconds(size) + share * a.peak_seconds(size) for a in chosen)
        return np.full([1] * len(axes), seconds)

    def compute(self, run: Run, block: Block, dataset: Dataset) -> Results:
        """Solve a block at once; where that fails, piece by piece, so that a failing point leaves the others alone."""
        from proplim.theory import build_spectrum, solve_grid

        kernel = {name: value for name, value in block.point.items() if AXES[name].role == "kernel"}
        solve = partial(solve_grid, dataset, **kernel, **self.settings(run.config))
        whole = or_reason(partial(solve, **block.axes), block.axes)
        if not whole.attrs.get("failed") or _fails(partial(build_spectrum, dataset, **kernel)):
            found = [whole]  # solved, or what all points share fails
        else:
            found = list(_solve_apart(solve, block.axes))
        run.progress.step(_place(block), block.n_points)
        return [(block.point, result) for result in found]


def _place(block: Block) -> str:
    return ", ".join(f"{AXES[name].short} = {value}" for name, value in block.point.items())


def _fails(compute: Callable[[], Any]) -> bool:
    try:
        compute()
    except POINT_FAILURES:
        return True
    return False


def _solve_apart(solve: Callable[..., xr.Dataset], axes: Mapping[str, list]) -> Iterator[xr.Dataset]:
    """Solve a block of points; where that fails, its halves."""
    result = or_reason(partial(solve, **axes), axes)
    longest = max(axes, key=lambda name: len(axes[name]))
    if not result.attrs.get("failed") or len(axes[longest]) == 1:
        yield result
        return
    middle = len(axes[longest]) // 2
    for half in (axes[longest][:middle], axes[longest][middle:]):
        yield from _solve_apart(solve, {**axes, longest: half})


STAGE = Theory()
