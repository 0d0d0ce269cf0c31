"""Synthetic data: iid Gaussian inputs with random labels or with the labels of a linear teacher."""

from __future__ import annotations

import numpy as np

from proplim.datasets._draw import _interleave, per_class
from proplim.seeds import derive_seed


def draw_gaussian(
    n_train: int, n_test: int, n_features: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Draw inputs x ~ N(0, 1) iid with balanced labels that carry no information about the inputs.

    Returns
    -------
    x_train (n_train, n_features), y_train (n_train,), x_test (n_test, n_features), y_test (n_test,)

    Training sets of one seed are nested and its test set is the same at every n_train.
    """
    parameters = {"source": "gaussian", "n_features": n_features, "seed": seed}
    arrays = []
    for split, n in (("train", n_train), ("test", n_test)):
        rng = np.random.default_rng(derive_seed(f"dataset-{split}", parameters))
        x = rng.standard_normal((n, n_features))
        arrays += [x, _interleave(*(np.full(k, s) for s, k in zip((-1.0, 1.0), per_class(n), strict=True)))]
    return arrays[0], arrays[1], arrays[2], arrays[3]


def draw_teacher(
    n_train: int, n_test: int, n_features: int, noise: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Draw inputs x ~ N(0, 1) iid with labels sign(t . x / sqrt(N0) + noise * xi), xi ~ N(0, 1).

    The teacher t ~ N(0, 1) is drawn by seed and shared by training and test inputs. Inputs are drawn in
    order and kept until each class is full, so classes are balanced, training sets of one seed are nested
    and its test set is the same at every n_train.
    """
    parameters = {"source": "teacher", "n_features": n_features, "noise": noise, "seed": seed}
    teacher = np.random.default_rng(derive_seed("teacher", parameters)).standard_normal(n_features)
    arrays = []
    for split, n in (("train", n_train), ("test", n_test)):
        rng = np.random.default_rng(derive_seed(f"dataset-{split}", parameters))
        members: dict[int, list[np.ndarray]] = {-1: [], 1: []}
        wanted = dict(zip((-1, 1), per_class(n), strict=True))
        while any(len(members[s]) < wanted[s] for s in wanted):
            x = rng.standard_normal(n_features)
            field = x @ teacher / np.sqrt(n_features) + noise * rng.standard_normal()
            members[1 if field > 0 else -1].append(x)
        rows = [np.array(members[s][: wanted[s]]).reshape(wanted[s], n_features) for s in (-1, 1)]
        x = np.empty((n, n_features))
        x[0::2], x[1::2] = rows
        y = np.empty(n)
        y[0::2], y[1::2] = -1.0, 1.0
        arrays += [x, y]
    return arrays[0], arrays[1], arrays[2], arrays[3]
