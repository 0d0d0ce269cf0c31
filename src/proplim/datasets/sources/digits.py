"""scikit-learn's bundled handwritten digits: 1797 images of 8 x 8 pixels, no download."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from proplim.datasets._settings import ClassSettings
from proplim.datasets._source import Pool, register_source


class DigitsSettings(ClassSettings):
    """scikit-learn's bundled digits, 8 x 8 pixels."""


def load_digits(settings: DigitsSettings) -> tuple[np.ndarray, np.ndarray]:
    """Return all images as rows, shape (1797, 64), and their digit, shape (1797,).

    Notes
    -----
    The table is read from where scikit-learn keeps it: importing ``sklearn.datasets`` for it would take most
    of the time of ``proplim theory``. A scikit-learn that keeps it elsewhere is asked by import.
    """
    table = _bundled_table()
    if table is None:
        from sklearn.datasets import load_digits as load

        images, digits = load(return_X_y=True)
        return images, digits.astype(int)
    values = np.loadtxt(table, delimiter=",")
    return values[:, :-1], values[:, -1].astype(int)


def _bundled_table() -> Path | None:
    found = importlib.util.find_spec("sklearn")
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz"
    return path if path.is_file() else None


register_source(Pool(name="digits", settings=DigitsSettings, n_features=64, load=load_digits))
