"""What belongs to the replicas together: bias and variance of the predictor, accuracy of its mean."""

from __future__ import annotations

import numpy as np


def ensemble_statistics(output: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """Bias, variance and accuracy over replicas that did not diverge.

    Parameters
    ----------
    output : (optimizers, replicas, times, P) array
        The networks' functions; NaN where a replica diverged.
    y : (P,) array

    Returns
    -------
    dict of (optimizers, replicas, times) arrays
        With f_r the function of a replica and f_-r the mean over the others, averaged over inputs:
        bias_sq = (y - f_r)(y - f_-r) and predictive_variance = (y - f_r)(f_-r - f_r). Both are unbiased for
        the squared bias and the variance of the predictor as independent replicas enter each product, and
        add up to (y - f_r)^2. accuracy is the share of inputs with the sign of the mean over all replicas.
    """
    alive = np.isfinite(output).all(axis=-1, keepdims=True)
    known = np.where(alive, output, 0.0)
    count = alive.sum(axis=1, keepdims=True)
    total = known.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        others = np.where(count > 1, (total - known) / (count - 1), np.nan)
        mean = np.where(count > 0, total / count, np.nan)
    right = np.where(np.isfinite(mean), np.sign(mean) == np.sign(y), np.nan)
    shares = {
        "bias_sq": (y - output) * (y - others),
        "predictive_variance": (y - output) * (others - output),
        "accuracy": np.where(alive, right, np.nan),
    }
    size = max(len(y), 1)
    return {
        name: value.sum(-1) / size if len(y) else np.full(value.shape[:-1], np.nan)
        for name, value in shares.items()
    }
