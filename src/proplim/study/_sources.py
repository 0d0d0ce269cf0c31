"""What a study has to know of a data set without loading it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from proplim.datasets import resolve_path

_PIXELS = {"digits": 64, "mnist": 784, "fashion_mnist": 784, "cifar10": 3072}
_UNKNOWN_FEATURES = 1000


def source_files(dataset: Any, folders: Sequence[Path]) -> list[Path]:
    """A user's files that a data set is read from."""
    return [resolve_path(dataset.path, folders)] if dataset.source == "file" else []


def data_settings(dataset: Any) -> dict[str, Any]:
    """Settings that the arrays of a data set depend on; what its files hold counts by their content."""
    written: dict[str, Any] = dataset.model_dump(mode="json", exclude={"name", "path", "root"})
    return written


def features_expected(dataset: Any) -> int:
    """Number of features N0 for estimates of costs (that of a file is not looked up)."""
    return int(getattr(dataset, "n_features", None) or _PIXELS.get(dataset.source, _UNKNOWN_FEATURES))
