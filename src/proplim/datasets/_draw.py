"""Class-balanced draws: which inputs of a pool train and which test, by seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from proplim.errors import InvalidInput
from proplim.geometry import LABELS
from proplim.seeds import derive_seed


def class_text(name: int | str, n_classes: int) -> str:
    """A class in a message: -1 and +1 of two, else what the user calls it."""
    return f"{name:+d}" if n_classes == len(LABELS) else str(name)


def per_class(n: int, n_classes: int = len(LABELS)) -> list[int]:
    """Split n inputs over the classes: equal shares, the odd ones go to the first classes."""
    share, odd = divmod(n, n_classes)
    return [share + (k < odd) for k in range(n_classes)]


def draw_balanced(
    y: np.ndarray,
    n_train: int,
    n_test: int,
    seed: int,
    identity: str,
    labels: Sequence[int] = LABELS,
    names: Sequence[int | str] = (),
) -> tuple[np.ndarray, np.ndarray]:
    """Draw disjoint class-balanced training and test indices from a pool.

    Each class is shuffled once by (identity, seed). The test inputs are taken from the front and the
    training inputs after them, so one seed has the same test inputs at every n_train and its training
    sets are nested.

    Parameters
    ----------
    y : (M,) array
        Label of every input.
    n_train, n_test, seed : int
    identity : str
        What the pool is; part of the seed.
    labels : sequence of int
        The classes' labels, in order.
    names : sequence of int or str
        What messages call the classes; by default their labels.

    Returns
    -------
    train, test : (n_train,) and (n_test,) arrays of indices, classes interleaved

    Raises
    ------
    InvalidInput
        If a class has fewer members than asked for.
    """
    rng = np.random.default_rng(derive_seed("dataset", {"identity": identity, "seed": seed}))
    train, test = [], []
    shares = zip(
        labels,
        names or labels,
        per_class(n_train, len(labels)),
        per_class(n_test, len(labels)),
        strict=True,
    )
    for label, name, wanted_train, wanted_test in shares:
        members = np.flatnonzero(y == label)
        if len(members) < wanted_train + wanted_test:
            raise InvalidInput(
                "n_train",
                n_train,
                f"class {class_text(name, len(labels))} has {len(members)} inputs, {wanted_test} of them are needed "
                f"for n_test={n_test}, "
                f"so n_train is at most {len(labels) * max(len(members) - wanted_test, 0)}",
            )
        order = rng.permutation(members)
        test.append(order[:wanted_test])
        train.append(order[wanted_test : wanted_test + wanted_train])
    return interleave(train), interleave(test)


def largest_balanced(sizes: Sequence[int], n_test: int) -> int:
    """Largest class-balanced training set beside n_test test inputs, for classes of these sizes."""
    left = [size - tests for size, tests in zip(sizes, per_class(n_test, len(sizes)), strict=True)]
    # The k-th class has at most `left` training inputs up to n = C left + k, see `per_class`.
    return min(len(left) * members + k for k, members in enumerate(left))


def flipped_labels(y: np.ndarray, fraction: float, labels: Sequence[int] = LABELS) -> np.ndarray:
    """Labels with a share of those of each class flipped, for inputs in the order in which they were drawn.

    Of the first n inputs of a class, floor(n * fraction) are flipped, spread evenly, to the other classes in turn.
    As the order is random so is the choice, training sets of one seed stay nested, and an even training set of two
    classes stays balanced.
    """
    flipped = y.copy()
    for k, label in enumerate(labels):
        members = np.flatnonzero(y == label)
        # Rounding must not take one from a whole number of flips.
        count = np.floor(np.arange(len(members) + 1) * fraction + 1e-9)
        chosen = members[np.diff(count) > 0]
        others = np.roll(np.asarray(labels, dtype=y.dtype), -k)[1:]
        flipped[chosen] = others[np.arange(len(chosen)) % len(others)]
    return flipped


def interleave(members: Sequence[np.ndarray]) -> np.ndarray:
    """Rows of the classes in turn, for shares as of `per_class`."""
    merged = np.empty((sum(map(len, members)), *members[0].shape[1:]), dtype=members[0].dtype)
    for k, rows in enumerate(members):
        merged[k :: len(members)] = rows
    return merged
