"""The axes of a study's grid: the one table from which everything about an axis is derived.

A grid point is a :class:`Point`; its fields are the axes, and what is known of an axis stands beside its field.
Adding an axis means adding a field here (docs/adding_axis.md).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from proplim.errors import InvalidInput
from proplim.schema._dimensions import DIMENSIONS

STAGES = ("theory", "sampling", "dynamics")
"""Stages of a study, in the order in which they are computed; each has a cube."""
SPLITS = ("train", "test")
"""Kinds of inputs, the `split` axis."""
STATISTICS = ("mean", "mcse", "ess", "rhat")
"""What is kept of a sampled observable, the `statistic` axis."""

SIGNIFICANT_DIGITS = 12
"""Two values of a real axis are one value if they agree to this many significant digits."""

Role = Literal["data", "kernel", "point"]
"""What an axis decides: which data are drawn, which kernel they have, or a point of that kernel."""
Kind = Literal["name", "count", "real"]


@dataclass(frozen=True)
class Replaces:
    """How an axis stands in for one of the point.

    Parameters
    ----------
    axis : str
        The axis in whose place it is given.
    beside : str
        The axis that is needed beside it.
    value : callable
        ``value(of beside, of the axis itself)``: the value of the replaced axis at a point.
    """

    axis: str
    beside: str
    value: Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Axis:
    """What is known of one axis of the grid.

    Parameters
    ----------
    name : str
        Key of a configuration, dimension of the cubes, field of :class:`Point` unless it replaces one.
    description : str
        What its values are, for the configuration reference.
    long_name, symbol : str
        For the cubes and, as LaTeX, for figures.
    role : {"data", "kernel", "point"}
        `data`: it decides which inputs are drawn. `kernel`: beside the data it decides the feature kernel, which
        is diagonalised once. `point`: all its values share a kernel, and so a job.
    kind : {"name", "count", "real"}
        Names, whole numbers, or positive finite numbers.
    letter : str
        Prefix of a value in the names of files and jobs ("P60"); empty for names, which stand for themselves.
    chunk_rank : int
        Order in which the axes fill a chunk of a cube: curves are read along those of the lowest rank.
    minimum, maximum : int
        Bounds of a count.
    default : tuple or None
        Values taken where a configuration gives none; None: the configuration has to give some.
    stages : tuple of str
        Stages whose points have this axis.
    neutral : object
        Value at which an axis says nothing new: points that have it keep the hash and the seed that they had
        before there was the axis. None: every value counts.
    replaces : Replaces or None
        An axis that a user may give in place of one of the point; numbers depend on the latter alone.
    """

    name: str
    description: str
    long_name: str
    symbol: str
    role: Role
    kind: Kind
    letter: str
    chunk_rank: int
    minimum: int = 0
    maximum: int = 2**63 - 1
    default: tuple | None = None
    stages: tuple[str, ...] = STAGES
    neutral: Any = None
    replaces: Replaces | None = None

    def plain(self, value: Any) -> Any:
        """A value as a plain Python object of this axis: str, int or float."""
        if self.kind == "name":
            return str(value)
        return int(value) if self.kind == "count" else float(value)

    def key(self, value: Any) -> Any:
        """What a value is compared by: equal keys are one value, after a trip through text too."""
        if self.kind == "real":
            return real_key(value)
        if self.kind == "count" and not isinstance(value, str) and value != int(value):
            raise ValueError(f"{value} is no whole number")
        return self.plain(value)

    def find(self, values: Sequence | np.ndarray, wanted: Any) -> np.ndarray:
        """Positions in `values` that hold the value `wanted`; of no length where none does."""
        try:
            key = self.key(wanted)
        except (TypeError, ValueError):
            return np.zeros(0, dtype=int)
        return np.array([i for i, value in enumerate(values) if self.key(value) == key], dtype=int)

    @property
    def attributes(self) -> dict[str, str]:
        """Attributes of the coordinate in a cube."""
        return {"long_name": self.long_name} | ({} if self.kind == "name" else {"units": "1"})

    @property
    def short(self) -> str:
        """What messages call the axis: "P", "N", "T", or its name."""
        return self.symbol if self.symbol.isalpha() else self.name

    def text(self, value: Any) -> str:
        """A value as it stands in the names of files and jobs: "P60", "T0.1", "erf"."""
        return f"{self.letter}{value:g}" if self.kind == "real" else f"{self.letter}{value}"

    def check(self, value: Any) -> None:
        """Refuse a value that the axis cannot have.

        Raises
        ------
        InvalidInput
            If a real value is not positive and finite, or a count is no integer within its bounds.
        """
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        if self.kind == "real" and not (number and math.isfinite(value) and value > 0):
            raise InvalidInput(self.name, value, "a finite number > 0")
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if self.kind == "count" and not (whole and self.minimum <= value <= self.maximum):
            raise InvalidInput(self.name, value, f"an integer >= {self.minimum}")


def _axis(**known: Any) -> Any:
    return dataclasses.field(metadata=known)


@dataclass(frozen=True)
class Point:
    """One grid point: a network of one width and prior, a data set, a temperature.

    Its fields are the axes of the grid, in the order of the cubes' dimensions. A field that a stage does not
    have (the temperature of dynamics) is None.
    """

    dataset: str = _axis(
        description="data sets by name", long_name="data set", symbol=r"\mathrm{data}",
        role="data", kind="name", letter="", chunk_rank=10,
    )  # fmt: skip
    activation: str = _axis(
        description="registered activations", long_name="activation function of the hidden units", symbol=r"\sigma",
        role="kernel", kind="name", letter="", chunk_rank=9, default=("erf",),
    )  # fmt: skip
    n_train: int = _axis(
        description="training-set sizes P", long_name="training-set size P", symbol="P",
        role="data", kind="count", letter="P", chunk_rank=6, minimum=2, maximum=100_000,
    )  # fmt: skip
    width: int = _axis(
        description="widths N; these or alpha have to be given", long_name="width N", symbol="N",
        role="point", kind="count", letter="N", chunk_rank=3, minimum=1, maximum=10**9,
    )  # fmt: skip
    temperature: float | None = _axis(
        description="temperatures T", long_name="temperature T", symbol="T",
        role="point", kind="real", letter="T", chunk_rank=1, stages=("theory", "sampling"),
    )  # fmt: skip
    lambda0: float = _axis(
        description="prior precisions of the hidden weights",
        long_name="prior precision of the hidden weights", symbol=r"\lambda_0",
        role="kernel", kind="real", letter="lambda0-", chunk_rank=8, default=(1.0,),
    )  # fmt: skip
    lambda1: float = _axis(
        description="prior precisions of the readout weights",
        long_name="prior precision of the readout weights", symbol=r"\lambda_1",
        role="point", kind="real", letter="lambda1-", chunk_rank=4, default=(1.0,),
    )  # fmt: skip
    seed: int = _axis(
        description="draws of the training set", long_name="draw of the training set", symbol=r"\mathrm{seed}",
        role="data", kind="count", letter="seed", chunk_rank=7, default=(0,),
    )  # fmt: skip

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Point:
        """The point with these coordinates; axes that are not named are None."""
        known: dict[str, Any] = {name: values.get(name) for name in POINT_AXES}
        return cls(**known)

    def coordinates(self) -> dict[str, Any]:
        """Axis name -> value, without the axes that the point does not have."""
        return {name: value for name, value in self._items() if value is not None}

    def identity(self, data: str) -> dict[str, Any]:
        """What the numbers of this point depend on: its data, by what they are, and its other axes.

        Parameters
        ----------
        data : str
            Identity of the data set; it stands for all axes that decide which data are drawn.

        Returns
        -------
        dict
            For seeds and hashes. An axis at its neutral value is left out.
        """
        own = {
            name: value
            for name, value in self._items()
            if value is not None and AXES[name].role != "data" and not _is_neutral(AXES[name], value)
        }
        return {"dataset": data, **own}

    def label(self, names: Sequence[str] | None = None) -> str:
        """Short text for file names: "erf-P60-N120-T0.1-seed0"."""
        chosen = names or [n for n in POINT_AXES if n != "dataset"]
        return "-".join(AXES[n].text(v) for n, v in self._items() if n in chosen and v is not None)

    def _items(self) -> Iterator[tuple[str, Any]]:
        return ((name, getattr(self, name)) for name in POINT_AXES)


POINT_AXES = tuple(field.name for field in dataclasses.fields(Point))
"""Names of the axes on which numbers depend."""


def width_at(n_train: Any, alpha: Any) -> Any:
    """Width of the load alpha = P/N, floor(P/alpha + 1/2) and at least 1; of arrays too, which broadcast."""
    width = np.maximum(np.floor(np.asarray(n_train) / np.asarray(alpha) + 0.5), 1).astype(np.int64)
    return width if width.ndim else int(width)


_IN_PLACE_OF_OTHERS = (
    Axis(
        name="alpha", description="loads alpha = P/N in place of width: N = floor(P/alpha + 1/2), at least 1",
        long_name="load alpha = P/N", symbol=r"\alpha", role="point", kind="real", letter="alpha", chunk_rank=3,
        replaces=Replaces("width", "n_train", width_at),
    ),
)  # fmt: skip

AXES: dict[str, Axis] = {}
"""Axis name -> axis, in the order of the cubes' dimensions; an axis that replaces one comes after it."""
for _field in dataclasses.fields(Point):
    AXES[_field.name] = Axis(name=_field.name, **_field.metadata)
    AXES |= {a.name: a for a in _IN_PLACE_OF_OTHERS if a.replaces and a.replaces.axis == _field.name}

SLICED = tuple(
    axis.name for axis in AXES.values() if axis.kind != "name" and axis.name not in ("temperature", "seed")
)
"""Axes along which a study has slices: of their numbers figures show a few, over temperature and time they show all."""


def alternatives_to(axis: str) -> tuple[Axis, ...]:
    """Axes that may be given in place of one."""
    return tuple(a for a in AXES.values() if a.replaces is not None and a.replaces.axis == axis)


def replacement_of(axis: str, dims: Iterable[Any]) -> Axis | None:
    """The axis among `dims` that stands for another one; None where that one stands for itself."""
    there = set(dims)
    return next((a for a in alternatives_to(axis) if a.name in there), None)


def values_at(axes: Mapping[str, Sequence], axis: str, point: Mapping[str, Any]) -> list:
    """Values of an axis of the point in a grid, at a point: those given, or those that its replacement stands for."""
    found = replacement_of(axis, axes)
    if found is None or found.replaces is None:
        return list(axes[axis])
    rule = found.replaces
    return sorted({rule.value(point[rule.beside], value) for value in axes[found.name]})


def resolved(coordinates: Mapping[str, Any]) -> dict[str, Any]:
    """Coordinates with the axes of the point that replacements among them stand for."""
    known = dict(coordinates)
    for name, value in coordinates.items():
        rule = AXES[name].replaces if name in AXES else None
        if rule is not None and rule.beside in coordinates:
            known[rule.axis] = rule.value(coordinates[rule.beside], value)
    return known


def axes_of(stage: str) -> tuple[Axis, ...]:
    """Axes of a stage's points, in the order of its cube's dimensions; dynamics has no temperature."""
    return tuple(AXES[name] for name in POINT_AXES if stage in AXES[name].stages)


def grid_dims(stage: str) -> tuple[str, ...]:
    """Names of the axes of a stage's points, in the order of its cube's dimensions."""
    return tuple(axis.name for axis in axes_of(stage))


def kernel_axes(stage: str) -> tuple[str, ...]:
    """Axes that single out a kernel, those of the data first: blocks that share data are neighbours."""
    chosen = axes_of(stage)
    return tuple(a.name for role in ("data", "kernel") for a in chosen if a.role == role)


def job_axes(stage: str) -> tuple[str, ...]:
    """Axes whose values share a kernel."""
    return tuple(a.name for a in axes_of(stage) if a.role == "point")


def coded_axes() -> tuple[str, ...]:
    """Axes whose values are names."""
    return tuple(a.name for a in AXES.values() if a.kind == "name")


def dims_in_chunk_order() -> list[str]:
    """Axes and the dimensions between them in the order in which they fill a chunk of a cube."""
    ranks = {axis.name: axis.chunk_rank for axis in AXES.values()}
    ranks |= {d.name: d.chunk_rank for d in DIMENSIONS.values() if d.chunk_rank is not None}
    return sorted(ranks, key=lambda name: ranks[name])


def real_key(value: Any) -> float:
    """What a real number is compared by: itself to :data:`SIGNIFICANT_DIGITS`."""
    return float(f"{float(value):.{SIGNIFICANT_DIGITS}g}")


def key_of(dim: str, value: Any) -> Any:
    """What a value of any dimension of a cube is compared by: the key of its axis; of others number or name."""
    if dim in AXES:
        return AXES[dim].key(value)
    return str(value) if isinstance(value, str) else real_key(value)


def same_value(axis: str, one: Any, other: Any) -> bool:
    """Whether two values of an axis are one value."""
    return bool(AXES[axis].key(one) == AXES[axis].key(other))


def _is_neutral(axis: Axis, value: Any) -> bool:
    return axis.neutral is not None and axis.key(value) == axis.key(axis.neutral)
