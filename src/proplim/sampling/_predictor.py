"""The posterior predictor in little memory: batch means of E[f | w], and what bias and accuracy need of single draws.

Bias and accuracy are functions of E f, not averages of a function of a draw. To first order in the Monte-Carlo
error of E f they are averages of

    bias_sq_t  = bias_sq - 2 mean_mu (y - E f) (f_t - E f)
    accuracy_t = accuracy + mean_mu y n(y E f / s) (f_t - E f) / s

where of C outputs y f gives way to the margin of the class's own output over the largest other one,

with f_t = E[f | w_t], s the scale of the error of E f at that input and n the normal density (the sign smoothed at
that scale). Their means are the estimates, and error, ESS and R-hat follow as for any other observable. E f is known at
the end only: of each draw the overlap of f_t with the residual y - f_0 of a reference f_0 is kept, and the rest, which
is small, takes the batch mean of f in place of f_t. Memory grows with the number of batches, not of draws.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from proplim.sampling._phases import Partition

SMOOTHING_ESS = 100.0
"""The sign in `accuracy` is smoothed at the error that so many effective draws leave."""
BATCH_DRAWS = 10
"""Draws of a batch to begin with."""
MOST_BATCHES = 100
"""Batches of a chain at which they are merged in pairs."""
BATCHES = 10
"""Groups of batches of a chain from which the error of E f is measured."""


class Targets(NamedTuple):
    """What the predictor of one split is held against; the C outputs of an input stand side by side, k = m C.

    Parameters
    ----------
    y : (k,) array
        Labels, or the targets of C outputs.
    outputs : int
        C.
    classes : (m,) int array or None
        Of several outputs the number of every input's class.
    """

    y: np.ndarray
    outputs: int = 1
    classes: np.ndarray | None = None

    def slope(self, output: np.ndarray) -> np.ndarray:
        """Derivative in its outputs of every input's margin, which is positive where the input is classified well.

        The margin is y f up to a positive factor, or of several outputs that of the class over the largest other one.
        """
        if self.classes is None:
            return np.sign(self.y)
        others = output.reshape(-1, self.outputs).copy()
        rows = np.arange(len(others))
        slope = np.zeros_like(others)
        slope[rows, self.classes] = 1.0
        others[rows, self.classes] = -np.inf
        slope[rows, others.argmax(1)] = -1.0
        return slope.ravel()

    def margin(self, output: np.ndarray, slope: np.ndarray) -> np.ndarray:
        """Margins (..., m) of outputs (..., k), linear with that slope."""
        return np.asarray((slope * output).reshape(*output.shape[:-1], -1, self.outputs).sum(-1))


class Reference(NamedTuple):
    """What draws of one split are overlapped with.

    Parameters
    ----------
    centre : (k,) array
        f_0, the mean predictor of the first draws.
    slopes : (2, k) array
        (y - f_0)/k and, with g the margin, (dg/df) n(g(f_0)/s)/(s m).
    """

    centre: np.ndarray
    slopes: np.ndarray


class Predictor(NamedTuple):
    """Draws of the predictor of one split.

    Parameters
    ----------
    overlaps : (chain, draw, 2) array
        Of every draw with the slopes of the reference.
    sums, counts : (chain, batch, 2, k) and (chain, batch, 2) arrays
        Sum of f and number of draws by batch and phase.
    """

    overlaps: np.ndarray
    sums: np.ndarray
    counts: np.ndarray


def reference_of(predictor: np.ndarray, targets: Targets) -> Reference:
    """Reference from the first draws of f, (chain, draw, k)."""
    centre = predictor.mean((0, 1))
    slope = targets.slope(centre)
    spread = targets.margin(predictor, slope).std((0, 1))
    scale = np.maximum(spread / np.sqrt(SMOOTHING_ESS), 1e-150)
    exponent = np.minimum((targets.margin(centre, slope) / scale) ** 2, 1400.0)
    density = np.exp(-0.5 * exponent) / (np.sqrt(2 * np.pi) * scale)
    of_inputs = np.repeat(density, targets.outputs) * slope / max(len(density), 1)
    return Reference(centre, np.stack([(targets.y - centre) / max(len(targets.y), 1), of_inputs]))


def reduced(predictor: np.ndarray, reference: Reference, heavy: np.ndarray) -> Predictor:
    """Draws of f, (chain, draw, k), whose phases are `heavy`, (chain, draw), in batches of a few draws."""
    masks = np.stack([~heavy, heavy], axis=1).astype(float)
    firsts = np.arange(0, heavy.shape[1], BATCH_DRAWS)
    sums = np.stack(
        [
            np.einsum("cpd,cdm->cpm", masks[..., i : i + BATCH_DRAWS], predictor[:, i : i + BATCH_DRAWS])
            for i in firsts
        ],
        axis=1,
    )
    counts = np.moveaxis(np.add.reduceat(masks, firsts, axis=2), 2, 1)
    return Predictor(predictor @ reference.slopes.T, sums, counts)


def joined(earlier: Predictor | None, later: Predictor) -> Predictor:
    """Both in a row; batches are merged in pairs where they become many."""
    if earlier is None:
        return later
    both = Predictor(*(np.concatenate(pair, axis=1) for pair in zip(earlier, later, strict=True)))
    if both.counts.shape[1] < MOST_BATCHES:
        return both
    firsts = np.arange(0, both.counts.shape[1], 2)
    return both._replace(
        sums=np.add.reduceat(both.sums, firsts, axis=1), counts=np.add.reduceat(both.counts, firsts, axis=1)
    )


def of_one_phase(predictor: Predictor) -> Predictor:
    """The same draws with no distinction of phases: all are of the first."""

    def merged(values: np.ndarray) -> np.ndarray:
        total = values.sum(2, keepdims=True)
        return np.concatenate([total, np.zeros_like(total)], axis=2)

    return predictor._replace(sums=merged(predictor.sums), counts=merged(predictor.counts))


def functionals(
    predictor: Predictor, reference: Reference, targets: Targets, parts: Partition
) -> tuple[np.ndarray, np.ndarray]:
    """Draws of bias_sq and accuracy for one split, each (chain, draw).

    The plug-in bias_sq is too large by the squared error of E f, which batch means measure and which is taken off.
    """
    y = targets.y
    if not len(y):
        return (np.full(parts.heavy.shape, np.nan),) * 2
    if not parts.heavy.any():
        predictor = of_one_phase(predictor)
    weights, counts = parts.weights, predictor.counts.sum((0, 1))
    present = np.maximum(counts, 1.0)
    means = predictor.sums.sum((0, 1)) / present[:, None]
    mean = weights @ means
    error_sq = _error_sq(predictor, means, weights / present) + (
        (means[1] - means[0]) * parts.weight_error
    ) ** 2 * float((counts > 0).all())
    bias = ((y - mean) ** 2).mean() - error_sq.mean()
    # the part of y - E f that the reference does not have, with the batch's mean of f in the draw's phase
    batch = predictor.sums / np.maximum(predictor.counts, 1.0)[..., None]
    rest = (batch - mean) @ (reference.centre - mean) / len(y)
    index = parts.heavy.astype(int)
    of_draw = np.repeat(np.arange(rest.shape[1]), predictor.counts.sum(-1)[0].astype(int))
    rest_of_draw = rest[np.arange(rest.shape[0])[:, None], of_draw[None, :], index]
    overlaps = predictor.overlaps - _weighted_mean(predictor.overlaps, index, weights)
    rest_of_draw = rest_of_draw - _weighted_mean(rest_of_draw[..., None], index, weights)[0]
    accuracy = (targets.margin(mean, targets.slope(mean)) > 0).mean()
    return bias - 2.0 * (overlaps[..., 0] + rest_of_draw), accuracy + overlaps[..., 1]


def _weighted_mean(values: np.ndarray, phase: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean over draws (chain, draw, k) with the weights of their phases, (k,)."""
    means = [values[phase == p].mean(0) if (phase == p).any() else 0.0 * values[0, 0] for p in (0, 1)]
    return np.asarray(weights[0] * means[0] + weights[1] * means[1])


def _error_sq(predictor: Predictor, means: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Squared Monte-Carlo error of the mean predictor at every input, from batch means within chains, (k,)."""
    batches = predictor.sums.shape[1]
    length = max(batches // BATCHES, 1)
    firsts = np.arange(0, batches - batches % length, length)
    sums = np.add.reduceat(predictor.sums[:, : firsts[-1] + length], firsts, axis=1)
    counts = np.add.reduceat(predictor.counts[:, : firsts[-1] + length], firsts, axis=1)
    deviation = np.einsum("p,cbpm->cbm", scale, sums - counts[..., None] * means)
    number = deviation.shape[0] * deviation.shape[1]
    used = counts.sum() / predictor.counts.sum()
    return np.asarray((deviation**2).sum((0, 1)) * number / max(number - 1, 1) / used**2)
