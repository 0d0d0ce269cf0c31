"""Class-balanced draws: which inputs of a pool train and which test, by seed."""

from __future__ import annotations

import numpy as np

from proplim.errors import InvalidInput
from proplim.seeds import derive_seed


def per_class(n: int) -> tuple[int, int]:
    """Split n inputs over the classes (-1, +1): equal halves, the odd one goes to -1."""
    return n - n // 2, n // 2


def draw_balanced(
    labels: np.ndarray, n_train: int, n_test: int, seed: int, identity: str
) -> tuple[np.ndarray, np.ndarray]:
    """Draw disjoint class-balanced training and test indices from a pool.

    Each class is shuffled once by (identity, seed). The test inputs are taken from the front and the
    training inputs after them, so one seed has the same test inputs at every n_train and its training
    sets are nested.

    Parameters
    ----------
    labels : (M,) array of -1 and +1
    n_train, n_test, seed : int
    identity : str
        What the pool is; part of the seed.

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
    for label, wanted_train, wanted_test in zip((-1, 1), per_class(n_train), per_class(n_test), strict=True):
        members = np.flatnonzero(labels == label)
        if len(members) < wanted_train + wanted_test:
            raise InvalidInput(
                "n_train",
                n_train,
                f"class {label:+d} has {len(members)} inputs, {wanted_test} of them are needed for n_test={n_test}, "
                f"so n_train is at most {2 * max(len(members) - wanted_test, 0)}",
            )
        order = rng.permutation(members)
        test.append(order[:wanted_test])
        train.append(order[wanted_test : wanted_test + wanted_train])
    return _interleave(*train), _interleave(*test)


def flipped_labels(labels: np.ndarray, fraction: float) -> np.ndarray:
    """Labels with a share of those of each class flipped, for inputs in the order in which they were drawn.

    Of the first n inputs of a class, floor(n * fraction) are flipped, spread evenly. As the order is random
    so is the choice, training sets of one seed stay nested, and an even training set stays balanced.
    """
    flipped = labels.copy()
    for label in (-1, 1):
        members = np.flatnonzero(labels == label)
        # Rounding must not take one from a whole number of flips.
        count = np.floor(np.arange(len(members) + 1) * fraction + 1e-9)
        flipped[members[np.diff(count) > 0]] *= -1
    return flipped


def _interleave(minus: np.ndarray, plus: np.ndarray) -> np.ndarray:
    merged = np.empty(len(minus) + len(plus), dtype=int)
    merged[0::2], merged[1::2] = minus, plus
    return merged
