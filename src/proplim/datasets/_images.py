"""MNIST, Fashion-MNIST and CIFAR-10: from a user's folder first, otherwise downloaded once.

Files are recognised by their published names, plain or compressed, in the folder itself or anywhere
below it (as other libraries lay them out).
"""

from __future__ import annotations

import gzip
import io
import os
import pickle
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from proplim.errors import InvalidInput, ProplimError


@dataclass(frozen=True)
class ImageSource:
    """Where a collection's files come from and how many features an image has."""

    title: str
    n_features: int
    base_url: str
    files: dict[str, str]  # name -> published MD5 checksum


IMAGE_SOURCES = {
    "mnist": ImageSource(
        "MNIST",
        784,
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        {
            "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
        },
    ),
    "fashion_mnist": ImageSource(
        "Fashion-MNIST",
        784,
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        {
            "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        },
    ),
    "cifar10": ImageSource(
        "CIFAR-10",
        3072,
        "https://www.cs.toronto.edu/~kriz/",
        {"cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a"},
    ),
}

_CIFAR_BATCHES = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")


def load_images(source: str, root: Path | None, *, download: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Return all images as rows, shape (M, N0), raw pixel values, and their class, shape (M,).

    Parameters
    ----------
    source : {"mnist", "fashion_mnist", "cifar10"}
    root : Path or None
        Folder of already downloaded files, used before any download. MNIST's train and t10k files are
        pooled in this order; either alone will do.
    download : bool
        Whether files may be fetched (with checksums verified) when `root` is None.

    Raises
    ------
    InvalidInput
        If `root` holds no such files or a damaged one.
    ProplimError
        If a download is needed and fails or is not allowed.
    """
    if root is not None:
        if not root.is_dir():
            raise InvalidInput("root", str(root), f"a folder with the files of {IMAGE_SOURCES[source].title}")
        found = _find_cifar(root) if source == "cifar10" else _find_idx(root)
        if not found:
            names = ", ".join(IMAGE_SOURCES[source].files)
            raise InvalidInput(
                "root", str(root), f"a folder holding files of {IMAGE_SOURCES[source].title}: {names}"
            )
        return _read(found)
    return _read(_download(source, download))


def _read(found: list) -> tuple[np.ndarray, np.ndarray]:
    images, labels = zip(*(part() for part in found), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def _find_idx(root: Path) -> list:
    parts = []
    for split in ("train", "t10k"):
        images = _first(root, f"{split}-images-idx3-ubyte", f"{split}-images.idx3-ubyte")
        labels = _first(root, f"{split}-labels-idx1-ubyte", f"{split}-labels.idx1-ubyte")
        if images and labels:
            parts.append(lambda images=images, labels=labels: _read_idx_pair(images, labels))
    return parts


def _first(root: Path, *stems: str) -> Path | None:
    for stem in stems:
        for name in (stem, f"{stem}.gz"):
            if (root / name).is_file():
                return root / name
            below = sorted(p for p in root.rglob(name) if p.is_file())
            if below:
                return below[0]
    return None


def _read_idx_pair(images_path: Path, labels_path: Path) -> tuple[np.ndarray, np.ndarray]:
    images, labels = _read_idx(images_path), _read_idx(labels_path)
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise InvalidInput(
            "root",
            str(images_path),
            f"images (M, 28, 28) and labels (M,); found {images.shape} and {labels.shape}",
        )
    return images.reshape(len(images), -1).astype(np.float64), labels.astype(int)


def _read_idx(path: Path) -> np.ndarray:
    """Parse an IDX file: two zero bytes, type 8 (unsigned byte), number of axes, big-endian lengths, data."""
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        axes = raw[3]
        shape = tuple(int(n) for n in np.frombuffer(raw, ">u4", axes, 4))
        if raw[:3] != b"\0\0\x08" or len(raw) != 4 + 4 * axes + int(np.prod(shape)):
            raise ValueError("not an IDX file of unsigned bytes, or cut short")
        return np.frombuffer(raw, np.uint8, offset=4 + 4 * axes).reshape(shape)
    except (OSError, EOFError, ValueError, IndexError) as error:
        raise InvalidInput("root", str(path), f"a readable IDX file ({error})") from None


def _find_cifar(root: Path) -> list:
    batches = [_first(root, name) for name in _CIFAR_BATCHES]
    if any(batches):
        return [lambda path=path: _read_cifar_batch(path.read_bytes(), path) for path in batches if path]
    archives = [
        p
        for p in (root / "cifar-10-python.tar.gz", *sorted(root.rglob("cifar-10-python.tar.gz")))
        if p.is_file()
    ]
    return [lambda: _read_cifar_archive(archives[0])] if archives else []


def _read_cifar_archive(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        with tarfile.open(path) as archive:
            parts = []
            for name in _CIFAR_BATCHES:
                member = archive.extractfile(f"cifar-10-batches-py/{name}")
                parts.append(_read_cifar_batch(member.read() if member else b"", path))
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


def _read_cifar_batch(raw: bytes, path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        batch = _ArraysOnly(io.BytesIO(raw), encoding="bytes").load()
        return np.asarray(batch[b"data"], dtype=np.float64), np.asarray(batch[b"labels"], dtype=int)
    except Exception as error:  # a damaged pickle raises almost anything
        raise InvalidInput("root", str(path), f"a readable CIFAR-10 batch ({error})") from None


def cache_folder() -> Path:
    """Folder for downloads: PROPLIM_DATA if set, else the user's cache directory."""
    import pooch

    return Path(os.environ.get("PROPLIM_DATA") or pooch.os_cache("proplim"))


def _download(source: str, allowed: bool) -> list:
    import pooch

    spec = IMAGE_SOURCES[source]
    folder = cache_folder() / source
    if not allowed and not all((folder / name).is_file() for name in spec.files):
        raise ProplimError(f"{spec.title} is not on this machine yet")
    try:
        for name, md5 in spec.files.items():
            pooch.retrieve(spec.base_url + name, f"md5:{md5}", fname=name, path=folder, progressbar=False)
    except Exception as error:  # requests, urllib3 and pooch each raise their own kinds
        raise ProplimError(
            f"{spec.title} could not be downloaded ({type(error).__name__}). Without a network, put its files "
            f"({', '.join(spec.files)}) into a folder and name it in the data set: `root: FOLDER`"
        ) from None
    return _find_cifar(folder) if source == "cifar10" else _find_idx(folder)
