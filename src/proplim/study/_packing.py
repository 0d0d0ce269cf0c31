"""How grid points are put into jobs: what is in no job yet, cut into pieces of work of about equal cost.

Nothing here knows what a point computes; a point's value never depends on the job it is in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Block:
    """Grid points of one kernel: the full product of `axes`.

    Parameters
    ----------
    kernel : str
        Hash of everything that the numbers depend on beside the axes: data, activation, lambda0, settings.
    point : mapping
        Coordinates common to all points: dataset, n_train, seed, activation, lambda0.
    axes : mapping
        Coordinates that vary: width, temperature (not in dynamics), lambda1.
    """

    kernel: str
    point: Mapping[str, Any]
    axes: Mapping[str, list] = field(default_factory=dict)

    @property
    def n_points(self) -> int:
        """Number of grid points."""
        return int(np.prod([len(values) for values in self.axes.values()], dtype=np.int64))


class Coverage:
    """Which points of a kernel are in no job yet.

    Parameters
    ----------
    wanted : Block
        All points of the kernel in the study.

    Attributes
    ----------
    open : bool array, one axis for each of ``wanted.axes``
    """

    def __init__(self, wanted: Block) -> None:
        self.wanted = wanted
        self.open = np.ones([len(values) for values in wanted.axes.values()], dtype=bool)
        self._index = [{v: i for i, v in enumerate(values)} for values in wanted.axes.values()]

    def count(self, block: Block, failed: Sequence[Block] = ()) -> int:
        """Number of points of `block` that are wanted and in no job yet, those of `failed` left out."""
        where = self._where(block, failed)
        return int(self.open[where].sum()) if where is not None else 0

    def take(self, block: Block, failed: Sequence[Block] = ()) -> None:
        """Note that the points of `block` are in a job, but for those of `failed`."""
        where = self._where(block, failed)
        if where is not None:
            self.open[where] = False

    def _where(self, block: Block, failed: Sequence[Block] = ()) -> Any:
        """Index of the wanted points of `block`, or None."""
        picks = [
            [index[v] for v in block.axes[name] if v in index]
            for name, index in zip(self.wanted.axes, self._index, strict=True)
        ]
        if not all(picks):
            return None
        if not failed:
            return np.ix_(*picks)
        mask = np.zeros_like(self.open)
        mask[np.ix_(*picks)] = True
        for lost in failed:
            where = self._where(lost)
            if where is not None:
                mask[where] = False
        return mask


def pack(
    coverages: Sequence[Coverage],
    *,
    kernel_seconds: Callable[[Block], float],
    point_seconds: Callable[[Block], np.ndarray],
    program: Callable[[Block, int], tuple[Hashable, float]],
    seconds: float,
    most_points: int,
    whole_temperatures: bool,
) -> list[list[Block]]:
    """Distribute the points that are in no job over jobs of about equal cost.

    Parameters
    ----------
    coverages : sequence of Coverage
        In the order in which they are to be computed; neighbours share jobs.
    kernel_seconds : callable
        Cost of a kernel in a job, once, from its block.
    point_seconds : callable
        Cost of every point of a block, in a shape that spreads over its axes.
    program : callable
        What is compiled for a block at the width of that index, and its cost, once in a job.
    seconds : float
        Most that a job should cost. One atom (a point, or a row of temperatures) is never split.
    most_points : int
        No job has more points.
    whole_temperatures : bool
        Whether all temperatures of a width and lambda1 stay together.

    Returns
    -------
    list of list of Block
        One list for each job.
    """
    costs = [
        (kernel_seconds(c.wanted), np.broadcast_to(point_seconds(c.wanted), c.open.shape)) for c in coverages
    ]
    needed = [(c, once, each) for c, (once, each) in zip(coverages, costs, strict=True) if c.open.any()]
    total = sum(once + float(each[c.open].sum()) for c, once, each in needed)
    total += sum(
        dict(
            program(c.wanted, int(w)) for c, _, _ in needed for w in np.unique(np.nonzero(c.open)[0])
        ).values()
    )
    target = total / max(1, math.ceil(total / seconds))
    jobs: list[list[Block]] = []
    members: dict[int, list[np.ndarray]] = {}
    compiled: set[Hashable] = set()
    spent, points = 0.0, 0

    def close() -> None:
        nonlocal spent, points
        if members:
            jobs.append(
                [b for k, c in members.items() for b in products(coverages[k].wanted, np.concatenate(c))]
            )
        members.clear()
        compiled.clear()
        spent, points = 0.0, 0

    for k, coverage in enumerate(coverages):
        once, each = costs[k]
        for cells in _atoms(coverage, most_points, whole_temperatures):
            cost = float(each[tuple(cells.T)].sum())
            key, compiling = program(coverage.wanted, int(cells[0][0]))
            extra = cost + (0.0 if k in members else once) + (0.0 if key in compiled else compiling)
            if members and (points + len(cells) > most_points or spent + extra / 2 > target):
                close()
                extra = cost + once + compiling
            compiled.add(key)
            members.setdefault(k, []).append(cells)
            spent, points = spent + extra, points + len(cells)
    close()
    return jobs


def _atoms(coverage: Coverage, most_points: int, whole_temperatures: bool) -> Iterator[np.ndarray]:
    """Indices (points, axes) of open points that stay together; neighbours share a width."""
    mask = coverage.open
    if mask.ndim == 2:  # no temperature
        yield from np.argwhere(mask)[:, None, :]
        return
    size = most_points if whole_temperatures else 1
    for width, last in np.argwhere(mask.any(axis=1)):
        row = np.flatnonzero(mask[width, :, last])
        cells = np.column_stack([np.full_like(row, width), row, np.full_like(row, last)])
        yield from (cells[start : start + size] for start in range(0, len(cells), size))


def products(wanted: Block, cells: np.ndarray) -> list[Block]:
    """Put indices (points, axes) together to as few products of axes as is easily seen."""
    names, values = list(wanted.axes), list(wanted.axes.values())
    used, inverse = zip(*(np.unique(column, return_inverse=True) for column in cells.T), strict=True)
    mask = np.zeros([len(u) for u in used], dtype=bool)
    mask[inverse] = True
    blocks = []
    for picks in _products(mask):
        axes = {n: [v[u[i]] for i in p] for n, v, u, p in zip(names, values, used, picks, strict=True)}
        blocks.append(Block(wanted.kernel, wanted.point, axes))
    return blocks


def _products(mask: np.ndarray) -> Iterator[list[list[int]]]:
    """Index lists along each axis whose products make up `mask`: equal slabs along the first axis are joined."""
    if mask.ndim == 1:
        yield [np.flatnonzero(mask).tolist()]
        return
    groups: dict[bytes, list[int]] = {}
    for i, slab in enumerate(mask):
        if slab.any():
            groups.setdefault(slab.tobytes(), []).append(i)
    for same in groups.values():
        for rest in _products(mask[same[0]]):
            yield [same, *rest]
