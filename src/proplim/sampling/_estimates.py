"""Means, Monte-Carlo errors, ESS and R-hat from draws, and the functionals that are not means of draws."""

from __future__ import annotations

import warnings

import numpy as np

Draws = dict[str, np.ndarray]
"""Observable name to array (chain, draw, ...)."""


def statistics(values: np.ndarray) -> np.ndarray:
    """Mean, Monte-Carlo standard error, bulk ESS and rank-normalised split R-hat.

    Parameters
    ----------
    values : (chain, draw, ...) array

    Returns
    -------
    (4, ...) array
        In the order of :data:`proplim.schema.STATISTICS`. A quantity that does not vary has mcse 0, the
        number of draws as its ESS and R-hat 1; NaN draws give NaN.
    """
    from arviz_stats.base import array_stats

    shape = values.shape[2:]
    flat = values.reshape(*values.shape[:2], -1)
    result = np.full((4, flat.shape[-1]), np.nan)
    finite = np.isfinite(flat).all((0, 1))
    constant = finite & (np.ptp(flat, axis=(0, 1)) <= 1e-13 * np.abs(flat).max((0, 1), initial=0.0))
    result[0] = flat.mean((0, 1))
    result[1:, constant] = np.array([0.0, flat.shape[0] * flat.shape[1], 1.0])[:, None]
    varying = finite & ~constant
    if varying.any():
        axes = {"chain_axis": 0, "draw_axis": 1}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            chosen = flat[..., varying]
            result[1, varying] = array_stats.mcse(chosen, method="mean", **axes)
            result[2, varying] = array_stats.ess(chosen, method="bulk", **axes)
            result[3, varying] = array_stats.rhat(chosen, method="rank", **axes)
    return result.reshape(4, *shape)


def add_functionals(draws: Draws, y_train: np.ndarray, y_test: np.ndarray) -> Draws:
    """Observables of the posterior predictor, as draws of their linearisation about the posterior mean.

    Bias and accuracy are functions of E f, not averages of a function of a draw. To first order in the Monte-Carlo
    error of E f they are averages of

        bias_sq_t  = bias_sq - 2 mean_mu (y - E f) (f_t - E f)
        accuracy_t = accuracy + mean_mu y n(y E f / s) (f_t - E f) / s

    with f_t = E[f | w_t], s the error of E f at that input and n the normal density (the sign smoothed at the
    scale of its own uncertainty). Their means are the estimates, and error, ESS and R-hat follow as for any
    other observable. The plug-in value of bias_sq is too large by the variance of the estimate of E f, which
    batch means measure and which is taken off. predictive_variance is mse - bias_sq, draw by draw.

    Parameters
    ----------
    draws : dict
        From :func:`proplim.sampling._observables.observables`, with leading (chain, draw) axes.

    Returns
    -------
    dict
        The draws without the per-input predictors, with `bias_sq`, `predictive_variance` and `accuracy`
        (chain, draw, split).
    """
    parts = [
        _predictor_functionals(draws["predictor_train"], y_train),
        _predictor_functionals(draws["predictor_test"], y_test),
    ]
    bias, accuracy = (np.stack([part[i] for part in parts], axis=-1) for i in range(2))
    kept = {name: value for name, value in draws.items() if not name.startswith("predictor_")}
    return kept | {"bias_sq": bias, "predictive_variance": kept["mse"] - bias, "accuracy": accuracy}


def _predictor_functionals(predictor: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draws of bias_sq and accuracy for one split, each (chain, draw)."""
    if not len(y):
        return (np.full(predictor.shape[:2], np.nan),) * 2
    mean = predictor.mean((0, 1))
    deviation = predictor - mean
    error_sq = _variance_of_mean(predictor)
    bias = ((y - mean) ** 2).mean() - error_sq.mean()
    margin = np.sign(y) * mean
    spread = np.sqrt(np.maximum(error_sq, 1e-300))
    density = np.exp(-0.5 * np.minimum((margin / spread) ** 2, 1400.0)) / (np.sqrt(2 * np.pi) * spread)
    return (
        bias - 2.0 * (deviation @ (y - mean)) / len(y),
        (margin > 0).mean() + deviation @ (np.sign(y) * density) / len(y),
    )


def _variance_of_mean(values: np.ndarray, batches: int = 10) -> np.ndarray:
    """Squared Monte-Carlo error of the mean over chains and draws, from batch means within chains."""
    chains, draws = values.shape[:2]
    length = max(draws // batches, 1)
    used = values[:, : (draws // length) * length]
    means = used.reshape(chains, -1, length, *values.shape[2:]).mean(2)
    count = means.shape[0] * means.shape[1]
    return means.reshape(count, *values.shape[2:]).var(0, ddof=1) / count
