"""How grid points are put into jobs: what is in no job yet, cut into pieces of work of about equal cost.

Nothing here knows what a point computes; a point's value never depends on the job it is in.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from proplim.schema import Point


@dataclass(frozen=True)
class Block:
    """Grid points of one kernel: the full product of `axes`.

    Parameters
    ----------
    kernel : str
        Hash of everything that the numbers depend on beside `axes`.
    point : mapping
        Coordinates common to all points: the axes that decide data and kernel.
    axes : mapping
        Coordinates that vary: the axes whose values share a kernel.
    """

    kernel: str
    point: Mapping[str, Any]
    axes: Mapping[str, list] = field(default_factory=dict)

    @property
    def n_points(self) -> int:
        """Number of grid points."""
        return int(np.prod([len(values) for values in self.axes.values()], dtype=np.int64))

    def points(self) -> Iterator[Point]:
        """The grid points one by one."""
        for values in itertools.product(*self.axes.values()):
            yield Point.of({**self.point, **dict(zip(self.axes, values, strict=True))})


class Prices(NamedTuple):
    """What work costs, in seconds on one core.

    Parameters
    ----------
    kernel : callable
        Of a kernel in a job, once, from its block.
    points : callable
        Of every point of a block, an array with its axes.
    program : callable
        What is compiled for a block at the value of that index along the program axis, and its cost, once in a
        job.
    """

    kernel: Callable[[Block], float]
    points: Callable[[Block], np.ndarray]
    program: Callable[[Block, int], tuple[Hashable, float]]


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
    prices: Prices,
    *,
    seconds: float,
    most_points: int,
    program_axis: str,
    whole_axis: str | None,
) -> list[list[Block]]:
    """Distribute the points that are in no job over jobs of about equal cost.

    Parameters
    ----------
    coverages : sequence of Coverage
        In the order in which they are to be computed; neighbours share jobs.
    prices : Prices
    seconds : float
        Most that a job should cost. One atom (a point, or all values of `whole_axis`) is never split.
    most_points : int
        No job has more points.
    program_axis : str
        Axis whose values need a compiled program each.
    whole_axis : str or None
        Axis whose values stay together.

    Returns
    -------
    list of list of Block
        One list for each job.
    """
    costs = [(prices.kernel(c.wanted), prices.points(c.wanted)) for c in coverages]
    total = sum(
        once + float(each[c.open].sum())
        for c, (once, each) in zip(coverages, costs, strict=True)
        if c.open.any()
    )
    total += sum(
        dict(prices.program(c.wanted, k) for c in coverages for k in _used(c, program_axis)).values()
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
        along_program = list(coverage.wanted.axes).index(program_axis)
        for cells in _atoms(coverage, most_points, program_axis, whole_axis):
            cost = float(each[tuple(cells.T)].sum())
            key, compiling = prices.program(coverage.wanted, int(cells[0][along_program]))
            extra = cost + (0.0 if k in members else once) + (0.0 if key in compiled else compiling)
            if members and (points + len(cells) > most_points or spent + extra / 2 > target):
                close()
                extra = cost + once + compiling
            compiled.add(key)
            members.setdefault(k, []).append(cells)
            spent, points = spent + extra, points + len(cells)
    close()
    return jobs


def _used(coverage: Coverage, axis: str) -> np.ndarray:
    """Indices along an axis at which a point is open."""
    return np.unique(np.nonzero(coverage.open)[list(coverage.wanted.axes).index(axis)])


def _atoms(
    coverage: Coverage, most_points: int, program_axis: str, whole_axis: str | None
) -> Iterator[np.ndarray]:
    """Indices (points, axes) of open points that stay together; neighbours share a value of the program axis."""
    names = list(coverage.wanted.axes)
    order = sorted(names, key=lambda name: (name != program_axis, name == whole_axis))
    cells = np.argwhere(coverage.open.transpose([names.index(name) for name in order]))
    back = [order.index(name) for name in names]
    if whole_axis is None:
        yield from cells[:, None, back]
        return
    starts = np.flatnonzero(np.any(np.diff(cells[:, :-1], axis=0) != 0, axis=1)) + 1
    for row in np.split(cells, starts) if len(cells) else []:
        yield from (row[start : start + most_points, back] for start in range(0, len(row), most_points))


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
