"""iid Gaussian inputs with the labels of a linear teacher."""

from __future__ import annotations

import numpy as np

from proplim.datasets._classes import task_labels
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

    Three and more classes have a teacher t_c and a noise xi_c each: the class is that of the largest field. The
    teachers t ~ N(0, 1) are drawn by seed and shared by training and test inputs. Inputs are drawn in
    order and kept until each class is full, so classes are balanced, training sets of one seed are nested
    and its test set is the same at every n_train.
    """
    n_features, noise, n_classes = settings.n_features, settings.noise, settings.n_classes
    labels = task_labels(n_classes)
    two = labels == LABELS
    parameters = {"source": "teacher", "n_features": n_features, "noise": noise, "seed": seed}
    parameters |= {} if two else {"n_classes": n_classes}
    shape = (n_features,) if two else (n_features, n_classes)
    teacher = np.random.default_rng(derive_seed("teacher", parameters)).standard_normal(shape)
    label_of = _sign if two else _largest
    arrays = []
    for split, n in (("train", n_train), ("test", settings.n_test)):
        rng = np.random.default_rng(derive_seed(f"dataset-{split}", parameters))
        wanted = dict(zip(labels, per_class(n, n_classes), strict=True))
        members: dict[int, list[np.ndarray]] = {label: [] for label in labels}
        while any(len(members[label]) < wanted[label] for label in labels):
            x = rng.standard_normal(n_features)
            field = x @ teacher / np.sqrt(n_features) + noise * rng.standard_normal(shape[1:])
            members[label_of(field)].append(x)
        rows = [np.array(members[s][: wanted[s]]).reshape(wanted[s], n_features) for s in labels]
        arrays += [interleave(rows), balanced_labels(n, n_classes)]
    return arrays[0], arrays[1], arrays[2], arrays[3]


def _sign(field: np.ndarray) -> int:
    """Label of one field."""
    minus, plus = LABELS
    return plus if field > 0 else minus


def _largest(fields: np.ndarray) -> int:
    """Class of the largest of many fields."""
    return int(np.argmax(fields))


register_source(
    Generator(
        name="teacher",
        settings=TeacherSettings,
        n_features=lambda settings: settings.n_features,
        generate=draw_teacher,
    )
)
