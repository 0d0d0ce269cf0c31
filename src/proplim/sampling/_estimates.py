"""Means, Monte-Carlo errors, ESS and R-hat from draws of one phase or of two with known weights."""

from __future__ import annotations

import warnings

import numpy as np

from proplim.sampling._phases import Partition

Draws = dict[str, np.ndarray]
"""Observable name to array (chain, draw, ...)."""
CONSTANT = 1e-13
"""Relative range below which a quantity does not vary."""


def statistics(values: np.ndarray, parts: Partition | None = None) -> np.ndarray:
    """Mean, Monte-Carlo standard error, bulk ESS and rank-normalised split R-hat.

    Parameters
    ----------
    values : (chain, draw, ...) array
    parts : Partition, optional
        Draws by phase, if there are two.

    Returns
    -------
    (4, ...) array
        In the order of :data:`proplim.schema.STATISTICS`. A quantity that does not vary has mcse 0, the
        number of draws as its ESS and R-hat 1; NaN draws give NaN.

    Notes
    -----
    With phases p of weights w_p the mean is sum_p w_p m_p. Its squared error is that of the draws
    z_t = w_p/(n_p/n) (x_t - m_p), which do not feel how many draws a phase happens to have, and (m_1 - m_0)^2
    times the squared error of a weight. ESS is the variance of the mixture over this squared error; R-hat is that
    of (x_t - m_p)/s_p: whether chains agree within each phase.
    """
    shape = values.shape[2:]
    flat = values.reshape(*values.shape[:2], -1)
    if parts is None or not (parts.heavy.any() and not parts.heavy.all()):
        return _of_one_phase(flat).reshape(4, *shape)
    return _of_two_phases(flat, parts).reshape(4, *shape)


def phase_means(values: np.ndarray, parts: Partition) -> np.ndarray:
    """Mean of each phase, (2, ...); NaN where it has no draws."""
    means = np.full((2, *values.shape[2:]), np.nan)
    for phase, mask in enumerate((~parts.heavy, parts.heavy)):
        if mask.any():
            means[phase] = values[mask].mean(0)
    return means


def error_of_weights(values: np.ndarray, parts: Partition) -> np.ndarray:
    """Error of the mean that comes from the weights of the phases alone, (...)."""
    means = phase_means(values, parts)
    return np.asarray(np.abs(np.nan_to_num(means[1] - means[0])) * parts.weight_error)


def _of_one_phase(flat: np.ndarray) -> np.ndarray:
    from arviz_stats.base import array_stats

    result = np.full((4, flat.shape[-1]), np.nan)
    finite = np.isfinite(flat).all((0, 1))
    constant = finite & (np.ptp(flat, axis=(0, 1)) <= CONSTANT * np.abs(flat).max((0, 1), initial=0.0))
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
    return result


def _of_two_phases(flat: np.ndarray, parts: Partition) -> np.ndarray:
    masks = (~parts.heavy, parts.heavy)
    means = np.stack([flat[mask].mean(0) for mask in masks])
    spreads = np.stack([flat[mask].std(0) for mask in masks])
    weights = parts.weights[:, None]
    mean = (weights * means).sum(0)
    variance = (weights * (spreads**2 + (means - mean) ** 2)).sum(0)
    index = parts.heavy.astype(int)
    centred = flat - means[index]
    share = np.array([mask.mean() for mask in masks])
    within = _of_one_phase(centred * (parts.weights / share)[index][..., None])
    scaled = _of_one_phase(centred / np.maximum(spreads, np.finfo(float).tiny)[index])
    error_sq = within[1] ** 2 + ((means[1] - means[0]) * parts.weight_error) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        ess = np.where(error_sq > 0, variance / error_sq, float(parts.heavy.size))
    return np.stack([mean, np.sqrt(error_sq), ess, scaled[3]])
