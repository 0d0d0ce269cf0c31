"""What belongs to the replicas together: bias and variance of the predictor, accuracy of its mean."""

from __future__ import annotations

import numpy as np


def ensemble_statistics(
    output: np.ndarray, y: np.ndarray, classes: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Bias, variance and accuracy over replicas that did not diverge.

    Parameters
    ----------
    output : (optimizers, replicas, times, P) array
        The networks' functions; NaN where a replica diverged. Of C outputs with a last axis of them.
    y : (P,) or (P, C) array
    classes : (P,) int array, optional
        Of C outputs the number of every input's class.

    Returns
    -------
    dict of (optimizers, replicas, times) arrays
        With f_r the function of a replica and f_-r the mean over the others, averaged over inputs and outputs:
        bias_sq = (y - f_r)(y - f_-r) and predictive_variance = (y - f_r)(f_-r - f_r). Both are unbiased for
        the squared bias and the variance of the predictor as independent replicas enter each product, and
        add up to (y - f_r)^2. accuracy is the share of inputs with the sign of the mean over all replicas, of C
        outputs with its largest output.
    """
    inside = tuple(range(-y.ndim, 0))
    alive = np.isfinite(output).all(axis=inside, keepdims=True)
    known = np.where(alive, output, 0.0)
    count = alive.sum(axis=1, keepdims=True)
    total = known.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        others = np.where(count > 1, (total - known) / (count - 1), np.nan)
        mean = np.where(count > 0, total / count, np.nan)
    if classes is None:
        right = np.where(np.isfinite(mean), np.sign(mean) == np.sign(y), np.nan)
        right = np.where(alive, right, np.nan)
    else:
        known = np.isfinite(mean).all(-1) & alive[..., 0]
        right = np.where(known, np.nan_to_num(mean).argmax(-1) == classes, np.nan)
    shares = {
        "bias_sq": ((y - output) * (y - others), inside),
        "predictive_variance": ((y - output) * (others - output), inside),
        "accuracy": (right, (-1,)),
    }
    return {
        name: value.sum(axes) / np.prod([value.shape[a] for a in axes])
        if len(y)
        else np.full(output.shape[:3], np.nan)
        for name, (value, axes) in shares.items()
    }
