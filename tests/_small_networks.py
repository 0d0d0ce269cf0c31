"""Exact posterior averages of small finite networks by weighting draws of the hidden layer from its prior."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from proplim.datasets import Dataset
from proplim.geometry import class_weights

STEP = 1e-5
"""Relative step of differences."""


def weighted_prior(
    dataset: Dataset,
    function: Callable[[np.ndarray], np.ndarray],
    width: int,
    temperature: float,
    draws: int,
    seed: int = 0,
    batches: int = 20,
) -> dict[str, tuple[float, float]]:
    """Mean and standard error over batches; the readout is integrated out in closed form (docs/theory.md, eq. 10.3).

    Returns
    -------
    dict
        readout_variance, centroid_distance_sq (training), mse (training), mean_test (mean of y f on test inputs),
        hidden_trace_shift (lambda0 = 1) and effective_fraction.

    Notes
    -----
    Partial integration of the Gaussian prior of w gives <|w|^2> - N0 = <h . d ln p(y|w)/dh> for every unit, with
    d ln p(y|w)/ds = (1/N)(a a^T - Sigma^-1) s: numbers of order one instead of |w|^2.
    """
    rng = np.random.default_rng(seed)
    x = np.concatenate([dataset.x_train, dataset.x_test])
    root = np.linalg.svd(x, full_matrices=False)
    root = (root[0] * root[1]) / np.sqrt(x.shape[1])
    y, p = dataset.y_train, dataset.n_train
    difference = class_weights(y)[1] - class_weights(y)[0]
    rows = []
    for _ in range(batches):
        n = draws // batches
        h = np.einsum("pr,drn->dpn", root, rng.standard_normal((n, root.shape[1], width)))
        s = function(h)
        radial = (function(h[:, :p] * (1 + STEP)) - function(h[:, :p] * (1 - STEP))) / (
            2 * STEP
        )  # h sigma'(h)
        phi = s / np.sqrt(width)
        train, test = phi[:, :p], phi[:, p:]
        sigma = train @ train.transpose(0, 2, 1) + temperature * np.eye(p)
        inverse = np.linalg.inv(sigma)
        a = inverse @ y
        log_weight = -0.5 * np.linalg.slogdet(sigma)[1] - 0.5 * a @ y
        weight = np.exp(log_weight - log_weight.max())
        v = np.einsum("dpn,dp->dn", train, a)  # readout given the hidden layer: mean, unit prior precision
        trace = width - np.einsum("dpq,dqp->d", inverse, sigma - temperature * np.eye(p))
        field = a[:, :, None] * v[:, None, :] * np.sqrt(width) - inverse @ s[:, :p]  # N d ln p(y|w)/ds
        values = {
            "hidden_trace_shift": (radial * field).sum(1).mean(-1) / width,
            "readout_variance": ((v**2).sum(-1) + trace) / width,
            "centroid_distance_sq": (np.einsum("p,dpn->dn", difference, s[:, :p]) ** 2).mean(-1),
            "mse": (temperature**2 * (a**2).sum(-1) + p * temperature
                    - temperature**2 * np.einsum("dpp->d", inverse)) / p,
            "mean_test": (np.einsum("dpn,dn->dp", test, v) * dataset.y_test).mean(-1),
        }  # fmt: skip
        row = {k: (weight * q).sum() / weight.sum() for k, q in values.items()}
        rows.append(row | {"effective_fraction": weight.sum() ** 2 / (weight**2).sum() / n})
    return {
        k: (np.mean([r[k] for r in rows]), np.std([r[k] for r in rows], ddof=1) / np.sqrt(batches))
        for k in rows[0]
    }
