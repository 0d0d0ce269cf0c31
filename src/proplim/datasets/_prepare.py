"""From a data set's configuration to the arrays every later stage uses."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from proplim.datasets._base import Dataset
from proplim.datasets._draw import draw_balanced, flipped_labels
from proplim.datasets._file import file_hash, load_file
from proplim.datasets._images import load_images
from proplim.datasets._synthetic import draw_gaussian, draw_teacher
from proplim.errors import InvalidInput
from proplim.seeds import canonical_json

if TYPE_CHECKING:
    from proplim.config import DatasetConfig
    from proplim.config._datasets import PooledConfig


def prepare_dataset(
    config: DatasetConfig, n_train: int, seed: int = 0, *, folders: Sequence[Path] = (Path(),)
) -> Dataset:
    """Draw and standardise one training and one test set.

    Parameters
    ----------
    config : DatasetConfig
        One entry of `datasets` of a configuration.
    n_train : int
        Training-set size P.
    seed : int
        Draw of the training and test set.
    folders : sequence of Path
        Where relative paths of the configuration start, first match wins.

    Returns
    -------
    Dataset
        Standardised (if the configuration says so) with one scalar mean and standard deviation, both of
        the training inputs.

    Raises
    ------
    InvalidInput
        If a class has too few inputs, or the file or folder does not hold what it should.
    ProplimError
        If a download is needed and fails.
    """
    arrays: tuple[np.ndarray, ...]
    if config.source == "gaussian":
        arrays = draw_gaussian(n_train, config.n_test, config.n_features, seed)
        what: dict = {"source": "gaussian", "n_features": config.n_features}
    elif config.source == "teacher":
        arrays = draw_teacher(n_train, config.n_test, config.n_features, config.noise, seed)
        what = {"source": "teacher", "n_features": config.n_features, "noise": config.noise}
    elif config.source == "file" and "x_train" in (given := _file_arrays(resolve_path(config.path, folders))):
        arrays = tuple(given[name] for name in ("x_train", "y_train", "x_test", "y_test"))
        if len(arrays[0]) != n_train:
            raise InvalidInput(
                "n_train", n_train, f"x_train of {config.path} has exactly {len(arrays[0])} rows"
            )
        what = {"source": "file", "content": file_hash(resolve_path(config.path, folders))}
    else:
        x, y, what = load_pool(config, folders)
        train, test = draw_balanced(y, n_train, config.n_test, seed, canonical_json(what))
        labels = y[train]
        if config.source != "file" and config.flip_fraction:
            labels = flipped_labels(labels, config.flip_fraction)
            # Not a part of `what` before the draw: the same inputs with and without flips, and clean data
            # keep the identity that they had before there were flips.
            what = {**what, "flip_fraction": config.flip_fraction}
        arrays = (x[train], labels, x[test], y[test])
    if config.standardize:
        arrays = _standardize(config.name, *arrays)
    identity = canonical_json(
        {
            **what,
            "n_train": n_train,
            "n_test": len(arrays[3]),
            "seed": seed,
            "standardize": config.standardize,
        }
    )
    x_train, y_train, x_test, y_test = arrays
    return Dataset(x_train, y_train, x_test, y_test, identity)


def load_pool(config: PooledConfig, folders: Sequence[Path]) -> tuple[np.ndarray, np.ndarray, dict]:
    """All inputs of the two classes of a pooled source, their labels, and what they are (for seeds)."""
    if config.source == "file":
        path = resolve_path(config.path, folders)
        arrays = _file_arrays(path)
        return (
            arrays["x"].reshape(len(arrays["x"]), -1),
            arrays["y"],
            {"source": "file", "content": file_hash(path)},
        )
    if config.source == "digits":
        from proplim.datasets._digits import load_digits

        images, classes = load_digits()
    else:
        root = resolve_path(config.root, folders) if config.root is not None else None
        images, classes = _images(config.source, root)
    minus, plus = config.classes
    chosen = np.flatnonzero(np.isin(classes, config.classes))
    x, y = images[chosen], np.where(classes[chosen] == plus, 1.0, -1.0)
    content = hashlib.sha256(x.tobytes() + y.tobytes()).hexdigest()[:16]
    return x, y, {"source": config.source, "classes": [minus, plus], "content": content}


@functools.lru_cache(maxsize=2)
def _images(source: str, root: Path | None) -> tuple[np.ndarray, np.ndarray]:
    return load_images(source, root)


@functools.lru_cache(maxsize=2)
def _file_arrays(path: Path) -> dict[str, np.ndarray]:
    return load_file(path)


def resolve_path(path: str, folders: Sequence[Path]) -> Path:
    """Absolute path of a file or folder of the configuration: the first of `folders` that has it wins."""
    candidates = [folder / Path(path).expanduser() for folder in folders]
    return next((c for c in candidates if c.exists()), candidates[0]).resolve()


def _standardize(
    name: str, x_train: np.ndarray, y_train: np.ndarray, x_test: np.ndarray, y_test: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    mean, std = x_train.mean(), x_train.std()
    if not std > 0:
        raise InvalidInput(
            "standardize", True, f"the training inputs of {name} are all equal; use standardize: false"
        )
    return (x_train - mean) / std, y_train, (x_test - mean) / std, y_test
