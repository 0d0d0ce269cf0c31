"""Lists of the files of single points that jobs leave beside their results: draws, attributions to inputs.

Snakemake deletes what a rule declares as its output before the job starts (or copies all of it away first, if it is
flagged to be updated). Files of single points have to outlive that, so that a job that was stopped goes on where
it was. What a rule declares is therefore the list of them, which appears, whole, when all of them are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from proplim.cube._files import whole_file

MANIFEST = ".files"
"""Ending of the list that stands beside a job's result."""


def manifest_file(result: str | Path) -> Path:
    """List of the files that a job leaves, from the path of its result."""
    return Path(result).with_suffix(MANIFEST)


def write_manifest(result: str | Path, files: Iterable[Path], folder: Path) -> None:
    """List the files of a job, relative to the folder that they are in; an unchanged list is left as it is."""
    _write(manifest_file(result), sorted(file.relative_to(folder).as_posix() for file in files))


def list_files(manifests: Sequence[str | Path], path: str | Path) -> None:
    """Put the lists of all jobs of a stage into one."""
    lines = {line for file in manifests for line in Path(file).read_text(encoding="utf-8").splitlines()}
    _write(Path(path), sorted(lines))


def _write(path: Path, lines: Sequence[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    with whole_file(path) as temporary:
        Path(temporary).write_text(text, encoding="utf-8")
