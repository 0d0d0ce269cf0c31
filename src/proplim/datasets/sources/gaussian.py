"""iid Gaussian inputs with random labels."""

from __future__ import annotations

import numpy as np

from proplim.datasets._source import Generator, register_source
from proplim.datasets.sources._synthetic import SyntheticSettings, balanced_labels
from proplim.seeds import derive_seed


class GaussianSettings(SyntheticSettings):
    """iid Gaussian inputs, random labels."""


def draw_gaussian(
    settings: GaussianSettings, n_train: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Draw inputs x ~ N(0, 1) iid with balanced labels that carry no information about the inputs.

    Training sets of one seed are nested and its test set is the same at every n_train.
    """
    parameters = {"source": "gaussian", "n_features": settings.n_features, "seed": seed}
    arrays = []
    for split, n in (("train", n_train), ("test", settings.n_test)):
        rng = np.random.default_rng(derive_seed(f"dataset-{split}", parameters))
        arrays += [rng.standard_normal((n, settings.n_features)), balanced_labels(n, settings.n_classes)]
    return arrays[0], arrays[1], arrays[2], arrays[3]


register_source(
    Generator(
        name="gaussian",
        settings=GaussianSettings,
        n_features=lambda settings: settings.n_features,
        generate=draw_gaussian,
        idle_keys=("noise",),
    )
)
