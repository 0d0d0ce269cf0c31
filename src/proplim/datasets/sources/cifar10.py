"""CIFAR-10: 60,000 colour images of ten kinds of things, 3 x 32 x 32 pixels."""

from __future__ import annotations

import io
import pickle
import tarfile
from pathlib import Path

import numpy as np

from proplim.datasets.sources._collection import Collection, CollectionSettings, Part, register_collection
from proplim.errors import InvalidInput

BATCHES = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")
ARCHIVE = "cifar-10-python.tar.gz"


class Cifar10Settings(CollectionSettings):
    """CIFAR-10, 3 x 32 x 32 pixels."""


def batches_or_archive(folder: Path) -> list[Part]:
    """The batches in a folder, or else the archive that holds them all."""
    batches = [_below(folder, name) for name in BATCHES]
    if any(batches):
        return [Part((path,), _read_file) for path in batches if path]
    archive = _below(folder, ARCHIVE)
    return [Part((archive,), _read_archive)] if archive else []


def _below(folder: Path, name: str) -> Path | None:
    found = [p for p in (folder / name, *sorted(folder.rglob(name))) if p.is_file()]
    return found[0] if found else None


def _read_file(path: Path) -> tuple[np.ndarray, np.ndarray]:
    return _read_batch(path.read_bytes(), path)


def _read_archive(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        with tarfile.open(path) as archive:
            parts = []
            for name in BATCHES:
                member = archive.extractfile(f"cifar-10-batches-py/{name}")
                parts.append(_read_batch(member.read() if member else b"", path))
    except (tarfile.TarError, OSError, KeyError, EOFError) as error:
        raise InvalidInput("root", str(path), f"a readable CIFAR-10 archive ({error})") from None
    return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])


class _ArraysOnly(pickle.Unpickler):
    """Unpickler for CIFAR-10's batches that refuses everything but NumPy arrays."""

    _ALLOWED = frozenset({"_reconstruct", "ndarray", "dtype", "encode"})

    def find_class(self, module: str, name: str) -> object:
        if module.split(".")[0] in ("numpy", "_codecs") and name in self._ALLOWED:
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a CIFAR-10 batch")


def _read_batch(raw: bytes, path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        batch = _ArraysOnly(io.BytesIO(raw), encoding="bytes").load()
        return np.asarray(batch[b"data"], dtype=np.uint8), np.asarray(batch[b"labels"], dtype=int)
    except Exception as error:  # a damaged pickle raises almost anything
        raise InvalidInput("root", str(path), f"a readable CIFAR-10 batch ({error})") from None


register_collection(
    Collection(
        name="cifar10",
        title="CIFAR-10",
        base_url="https://www.cs.toronto.edu/~kriz/",
        files={ARCHIVE: "c58f30108f718f92721af3b95e74349a"},
        parts=batches_or_archive,
    ),
    settings=Cifar10Settings,
    n_features=3072,
)
