"""iid Gaussian inputs with the labels of a linear teacher."""

from __future__ import annotations

import numpy as np

from proplim.datasets._draw import interleave, per_class
from proplim.datasets._source import Generator, register_source
from proplim.datasets.sources._synthetic import SyntheticSettings, balanced_labels
from proplim.geometry import LABELS
from proplim.seeds import derive_seed


class TeacherSettings(SyntheticSettings):
    """iid Gaussian inputs, labels from a random linear teacher."""


def draw_teacher(
    settings: TeacherSettings, n_train: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Draw inputs x ~ N(0, 1) iid with labels sign(t . x / sqrt(N0) + noise * xi), xi ~ N(0, 1).

    The teacher t ~ N(0, 1) is drawn by seed and shared by training and test inputs. Inputs are drawn in
    order and kept until each class is full, so classes are balanced, training sets of one seed are nested
    and its test set is the same at every n_train.
    """
    n_features, noise = settings.n_features, settings.noise
    parameters = {"source": "teacher", "n_features": n_features, "noise": noise, "seed": seed}
    teacher = np.random.default_rng(derive_seed("teacher", parameters)).standard_normal(n_features)
    minus, plus = LABELS
    arrays = []
    for split, n in (("train", n_train), ("test", settings.n_test)):
        rng = np.random.default_rng(derive_seed(f"dataset-{split}", parameters))
        wanted = dict(zip(LABELS, per_class(n), strict=True))
        members: dict[int, list[np.ndarray]] = {label: [] for label in LABELS}
        while any(len(members[label]) < wanted[label] for label in LABELS):
            x = rng.standard_normal(n_features)
            field = x @ teacher / np.sqrt(n_features) + noise * rng.standard_normal()
            members[plus if field > 0 else minus].append(x)
        rows = [np.array(members[s][: wanted[s]]).reshape(wanted[s], n_features) for s in LABELS]
        arrays += [interleave(rows), balanced_labels(n)]
    return arrays[0], arrays[1], arrays[2], arrays[3]


register_source(
    Generator(
        name="teacher",
        settings=TeacherSettings,
        n_features=lambda settings: settings.n_features,
        generate=draw_teacher,
    )
)
