"""What of a study is on disk: its ledger, finished jobs, points that failed, prepared data, the user's files.

Read once, before a plan is made: the plan itself looks at nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from proplim.datasets import resolve_path
from proplim.study._failures import SUFFIX, read_failures
from proplim.study._ledger import FileDigest, Ledger, read_ledger
from proplim.study._packing import Block
from proplim.study._sources import source_files

if TYPE_CHECKING:
    from proplim.config import StudyConfig

_ABSENT = FileDigest(-1, 0, "absent")

RESULT = ".points"
"""Ending of a job's result."""


@dataclass(frozen=True)
class Workspace:
    """A study's folder as it is found.

    Parameters
    ----------
    root : Path
        ``results/<study>``, relative to the working directory.
    folders : tuple of Path
        Where relative paths of the configuration start, first match wins.
    ledger : Ledger
    finished : mapping
        Stage -> names of the jobs whose results are there; results appear whole or not at all.
    failures : mapping
        (stage, job) -> points of a finished job that failed.
    digests : mapping
        The user's files (data and plugins) -> what they hold, by content.
    sources : mapping
        Data set -> files that it is read from.
    prepared : frozenset of str
        Prepared data sets that are there.
    """

    root: Path
    folders: tuple[Path, ...]
    ledger: Ledger = field(default_factory=Ledger)
    finished: Mapping[str, frozenset[str]] = field(default_factory=dict)
    failures: Mapping[tuple[str, str], list[Block]] = field(default_factory=dict)
    digests: Mapping[str, FileDigest] = field(default_factory=dict)
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    prepared: frozenset[str] = frozenset()

    def content(self, files: Sequence[str | Path]) -> list[str]:
        """Digests of some of the user's files."""
        return [self.digests[str(file)].sha256 for file in files]


def read_workspace(config: StudyConfig, folders: Sequence[Path] = (Path(),)) -> Workspace:
    """Look at a study's folder below the working directory, and at the user's files."""
    noted = _noted(config, folders)
    return replace(
        noted,
        finished={stage: _finished(noted.root / stage) for stage in config.stages()},
        failures=_failures(noted.root),
        prepared=frozenset(str(file) for file in (noted.root / "datasets").glob("*/*.nc")),
    )


def read_started(config: StudyConfig, folders: Sequence[Path] = (Path(),)) -> Workspace:
    """What a job of a run needs: the ledger has its points, so that the folder is not listed by every job.

    Where the ledger does not know the stages, the folder is looked at as by the process that starts a run.
    """
    noted = _noted(config, folders)
    known = all(stage in noted.ledger.current for stage in config.stages())
    return noted if known else read_workspace(config, folders)


def _noted(config: StudyConfig, folders: Sequence[Path]) -> Workspace:
    """The ledger, and what the user's files hold."""
    root = Path("results") / config.study
    ledger = read_ledger(ledger_file(root))
    sources = {d.name: tuple(str(f) for f in source_files(d, folders)) for d in config.datasets}
    plugins = [str(resolve_path(name, folders)) for name in config.plugins]
    files = sorted({*plugins, *(file for members in sources.values() for file in members)})
    return Workspace(
        root=root,
        folders=tuple(folders),
        ledger=ledger,
        digests={file: _digest(file, ledger.files.get(file)) for file in files},
        sources=sources,
    )


def ledger_file(root: Path) -> Path:
    """Where the jobs of a study are noted."""
    return root / "jobs.json"


def result_file(root: Path, stage: str, name: str) -> Path:
    """Path of a job's result."""
    return root / stage / f"{name}{RESULT}"


def _finished(folder: Path) -> frozenset[str]:
    files = (file for file in folder.glob(f"*/*{RESULT}") if not file.name.startswith("."))
    return frozenset(f"{file.parent.name}/{file.stem}" for file in files)


def _failures(root: Path) -> dict[tuple[str, str], list[Block]]:
    found = {}
    for note in root.glob(f"*/*/*{SUFFIX}"):
        result = note.with_suffix(RESULT)
        if not note.name.startswith(".") and result.exists():
            found[note.parts[-3], f"{note.parent.name}/{note.stem}"] = read_failures(result)
    return found


def _digest(file: str, known: FileDigest | None) -> FileDigest:
    """Content of a file; one that has size and time of the last look is not read again."""
    try:
        state = Path(file).stat()
    except OSError:  # the data are judged elsewhere, with a message that says what to do
        return _ABSENT
    if known is not None and (known.size, known.mtime_ns) == (state.st_size, state.st_mtime_ns):
        return known
    with open(file, "rb") as stream:
        return FileDigest(state.st_size, state.st_mtime_ns, hashlib.file_digest(stream, "sha256").hexdigest())
