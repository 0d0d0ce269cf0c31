"""A data set in one call, for notebooks and the command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from proplim.datasets._base import Dataset
from proplim.datasets._prepare import prepare_dataset
from proplim.errors import InvalidInput


def load_dataset(
    source: str, n_train: int, *, classes: Sequence[int] | None = None, seed: int = 0, **options: Any
) -> Dataset:
    """Prepare a data set by the name of its source.

    Parameters
    ----------
    source : str
        digits, mnist, fashion_mnist, cifar10, gaussian, teacher or file.
    n_train : int
        Training-set size P.
    classes : pair of int, optional
        First class -> y = -1, second -> +1; needed by the image collections.
    seed : int
        Draw of the training and test set.
    **options
        The keys of a data set in a configuration: n_test, standardize, flip_fraction, root, n_features, noise, path.

    Returns
    -------
    Dataset

    Raises
    ------
    InvalidInput
        If an option is missing, unknown or outside its range, or the source has too few inputs.

    Examples
    --------
    >>> load_dataset("digits", 100, classes=(3, 8)).x_train.shape
    (100, 64)
    """
    from pydantic import TypeAdapter, ValidationError

    from proplim._registry import did_you_mean
    from proplim.config import SOURCES, DatasetConfig

    keys = {"name": source, "source": source, **options}
    if classes is not None:
        keys["classes"] = list(classes)
    if source not in SOURCES:
        raise InvalidInput(
            "source", source, f"choose from {', '.join(SOURCES)}{did_you_mean(source, SOURCES)}"
        )
    try:
        config = TypeAdapter(DatasetConfig).validate_python(keys)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"] if part != source)
        if first["type"] == "missing":
            raise InvalidInput(key, None, f"{source} needs this option") from None
        allowed = (
            "unknown option"
            if first["type"] == "extra_forbidden"
            else first["msg"].removeprefix("Value error, ")
        )
        raise InvalidInput(key, first.get("input"), allowed) from None
    return prepare_dataset(config, n_train, seed)
