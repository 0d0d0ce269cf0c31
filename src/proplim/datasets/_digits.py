"""scikit-learn's bundled handwritten digits: 1797 images of 8 x 8 pixels, no download."""

from __future__ import annotations

import numpy as np

N_FEATURES = 64


def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """Return all images as rows, shape (1797, 64), and their digit, shape (1797,)."""
    from sklearn.datasets import load_digits as load

    images, digits = load(return_X_y=True)
    return images.astype(np.float64), digits.astype(int)
