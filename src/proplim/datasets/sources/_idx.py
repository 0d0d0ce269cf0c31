"""IDX files, the format of MNIST and its relatives."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from proplim.datasets.sources._collection import Part, first_file
from proplim.errors import InvalidInput


def idx_parts(folder: Path) -> list[Part]:
    """The pairs of images and labels in a folder: train before t10k."""
    parts = []
    for split in ("train", "t10k"):
        images = first_file(folder, f"{split}-images-idx3-ubyte", f"{split}-images.idx3-ubyte")
        labels = first_file(folder, f"{split}-labels-idx1-ubyte", f"{split}-labels.idx1-ubyte")
        if images and labels:
            parts.append(Part((images, labels), _read_pair))
    return parts


def _read_pair(images_path: Path, labels_path: Path) -> tuple[np.ndarray, np.ndarray]:
    images, labels = _read_idx(images_path), _read_idx(labels_path)
    if images.ndim != 3 or labels.shape != images.shape[:1]:
        raise InvalidInput(
            "root",
            str(images_path),
            f"images (M, 28, 28) and labels (M,); found {images.shape} and {labels.shape}",
        )
    return images.reshape(len(images), -1), labels.astype(int)


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
