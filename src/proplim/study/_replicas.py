"""Replicas that are finished, kept while their point is not: a training that is stopped goes on from them."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import numpy as np

from proplim.cube import whole_file

Record = dict[str, Any]
ENDING = ".npz"


class ReplicaFolder(MutableMapping[str, Record]):
    """Records of replicas by name, each a file of one folder; one that was damaged is not there.

    Parameters
    ----------
    folder : Path
        Made with the first record.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __getitem__(self, name: str) -> Record:
        try:
            with np.load(self._file(name), allow_pickle=False) as arrays:
                return {key: _plain(arrays[key]) for key in arrays.files}
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            raise KeyError(name) from None

    def __setitem__(self, name: str, record: Record) -> None:
        with whole_file(self._file(name)) as temporary, open(temporary, "wb") as stream:
            np.savez(stream, **record)

    def __delitem__(self, name: str) -> None:
        self._file(name).unlink()

    def __iter__(self) -> Iterator[str]:
        files = self.folder.glob(f"*{ENDING}")
        return (file.stem for file in files if not file.name.startswith("."))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}{ENDING}"


def _plain(array: np.ndarray) -> np.ndarray | str:
    """Texts as they were given."""
    return str(array) if array.dtype.kind == "U" else array
