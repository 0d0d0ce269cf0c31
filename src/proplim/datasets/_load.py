"""A data set in one call, for notebooks and the command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from proplim.datasets._base import Dataset
from proplim.datasets._prepare import prepare_dataset
from proplim.datasets._source import SOURCES


def load_dataset(
    source: str, n_train: int, *, classes: Sequence[int | str] | None = None, seed: int = 0, **options: Any
) -> Dataset:
    """Prepare a data set by the name of its source.

    Parameters
    ----------
    source : str
        digits, mnist, fashion_mnist, cifar10, gaussian, teacher, file, or one that was registered.
    n_train : int
        Training-set size P.
    classes : sequence of int or str, optional
        Two: first class -> y = -1, second -> +1. Three and more: one output each. Needed by the image collections,
        and by files whose labels are not -1 and +1.
    seed : int
        Draw of the training and test set.
    **options
        The keys of a data set in a configuration: n_test, standardize, targets, flip_fraction, root, n_features,
        n_classes, noise, path, x, y.

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
    chosen = {} if classes is None else {"classes": tuple(classes)}
    return prepare_dataset(SOURCES.get(source).configure(**chosen, **options), n_train, seed)
