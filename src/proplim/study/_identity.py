"""What a number depends on, as hashes: the names of jobs and files, and what tells that a result is out of date."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from proplim.schema import AXES, Point
from proplim.seeds import canonical_json, content_hash

if TYPE_CHECKING:
    from proplim.config import StudyConfig
    from proplim.study.stages import Stage

DATA_NUMERICS = 1
"""Raised by one when prepared data change on purpose, so that files of older code are not reused."""

SETTINGS_DIGITS = 32
"""Digits of the digest that stands for the settings of a stage."""


def data_hash(source: Mapping[str, Any], content: list[str], point: Mapping[str, Any]) -> str:
    """Hash of a prepared data set.

    Parameters
    ----------
    source : mapping
        The data set's settings that its arrays depend on.
    content : list of str
        Digests of the files that it is read from.
    point : mapping
        Has the axes that decide which data are drawn.
    """
    drawn = [point[name] for name, axis in AXES.items() if axis.role == "data" and name != "dataset"]
    return content_hash([DATA_NUMERICS, dict(source), content, *drawn])


def kernel_hash(stage: Stage, data: str, point: Mapping[str, Any], settings: str, plugins: list[str]) -> str:
    """Hash of what the numbers of a kernel depend on, beside the axes whose values share it.

    Parameters
    ----------
    data : str
        From :func:`data_hash`.
    point : mapping
        Has the axes that decide the kernel.
    settings : str
        Digest of the stage's settings.
    plugins : list of str
        Digests of the user's files that the numbers depend on.
    """
    known = Point.of(point).identity(data)
    own = {name: value for name, value in known.items() if name == "dataset" or AXES[name].role == "kernel"}
    return content_hash([stage.name, stage.numerics, own, settings, *plugins])


def point_hash(stage: Stage, point: Point, data: str, settings: Mapping[str, Any]) -> str:
    """Hash of everything that the numbers of one grid point depend on; `data` is the identity of its data set."""
    drawn = {n: v for n, v in point.coordinates().items() if AXES[n].role == "data" and n != "dataset"}
    return content_hash([stage.name, stage.numerics, point.identity(data), drawn, dict(settings)])


def settings_digest(settings: Mapping[str, Any]) -> str:
    """Digest of the settings of a stage."""
    return content_hash(dict(settings), SETTINGS_DIGITS)


def seeds_text(stage: Stage, config: StudyConfig, draws: Iterable[int]) -> str:
    """What the seeds of a stage are derived from; every point's own parameters come on top."""
    rule = "proplim.seeds.derive_seed of the stage and the point's parameters"
    return canonical_json({"rule": rule, "seed": sorted({*draws}), **stage.seed_rule(config)})
