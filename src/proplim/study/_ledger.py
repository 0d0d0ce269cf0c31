"""The ledger of a study: which grid points are in which job, kept in results/<study>/jobs.json.

Written by the process that starts a run, before its first job; read by every job, which so finds its own
points, and by the next run, which so finds again what is finished however the grid has grown since.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

from proplim.cube._files import whole_file
from proplim.study._packing import Block

VERSION = 2


@dataclass(frozen=True)
class FileDigest:
    """A user's file: size and time when it was read, and what it held."""

    size: int
    mtime_ns: int
    sha256: str


@dataclass
class Ledger:
    """Jobs of a study.

    Parameters
    ----------
    granularity : dict
        Settings under which jobs that are not finished were cut.
    jobs : dict
        Stage -> job name -> blocks. Holds all jobs of the current plan, and finished ones of earlier plans.
    current : dict
        Stage -> names of the jobs of the current plan.
    batches : list of list of str
        Files of data sets that are prepared together.
    files : dict
        The user's files (data and plugins) -> what they held, so that large ones are read once.
    """

    granularity: dict[str, Any] = field(default_factory=dict)
    jobs: dict[str, dict[str, list[Block]]] = field(default_factory=dict)
    current: dict[str, list[str]] = field(default_factory=dict)
    batches: list[list[str]] = field(default_factory=list)
    files: dict[str, FileDigest] = field(default_factory=dict)


def read_ledger(path: Path) -> Ledger:
    """Read a ledger; an empty one if there is none, or (with a note) if it cannot be understood.

    Without a ledger nothing is lost but the knowledge of how earlier jobs were cut: where the plan comes out
    the same, they are found by name.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["version"] != VERSION:
            raise ValueError("of another version")
        return _decode(content)
    except FileNotFoundError:
        return Ledger()
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        print(f"{path} cannot be read ({error}); jobs are planned afresh", file=sys.stderr)
        return Ledger()


def write_ledger(ledger: Ledger, path: Path) -> None:
    """Write a ledger, whole or not at all; an unchanged one is left as it is."""
    text = json.dumps(_encode(ledger), separators=(",", ":"))
    try:
        if path.read_text(encoding="utf-8") == text:
            return
    except (OSError, UnicodeDecodeError):
        pass
    with whole_file(path) as temporary:
        Path(temporary).write_text(text, encoding="utf-8")


def _encode(ledger: Ledger) -> dict[str, Any]:
    axes: dict[tuple, int] = {}
    points: dict[tuple, int] = {}

    def number(table: dict[tuple, int], key: Iterable) -> int:
        return table.setdefault(tuple(key), len(table))

    jobs = {
        stage: {
            name: [
                [
                    number(points, (b.kernel, *b.point.items())),
                    {k: number(axes, v) for k, v in b.axes.items()},
                ]
                for b in blocks
            ]
            for name, blocks in members.items()
        }
        for stage, members in ledger.jobs.items()
    }
    return {
        "version": VERSION,
        "granularity": ledger.granularity,
        "batches": ledger.batches,
        "axes": [list(values) for values in axes],
        "kernels": [[kernel, dict(items)] for kernel, *items in points],
        "jobs": jobs,
        "current": ledger.current,
        "files": {name: astuple(digest) for name, digest in ledger.files.items()},
    }


def _decode(content: Mapping[str, Any]) -> Ledger:
    axes, kernels = content["axes"], content["kernels"]
    jobs = {
        stage: {
            name: [
                Block(kernels[k][0], kernels[k][1], {d: axes[i] for d, i in own.items()}) for k, own in blocks
            ]
            for name, blocks in members.items()
        }
        for stage, members in content["jobs"].items()
    }
    files = {name: FileDigest(*digest) for name, digest in content["files"].items()}
    return Ledger(content["granularity"], jobs, content["current"], content["batches"], files)
