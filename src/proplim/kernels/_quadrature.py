"""Gaussian averages of an activation without closed forms: E[sigma], E[sigma'] and E[sigma sigma'].

With h = s z and h' = s' z', where z and z' are standard normal of correlation rho, Mehler's formula turns the
two-dimensional integral of every pair of inputs into one-dimensional ones of every input,

    E[sigma(s z) sigma(s' z')] = sum_n rho^n a_n(s) a_n(s'),   a_n(s) = E[sigma(s z) He_n(z)] / sqrt(n!)   (1)

and because sum_n a_n(s)^2 = E[sigma(s z)^2], Cauchy-Schwarz bounds what is left out after n terms by

    |rho|^(n+1) sqrt(t_n(s) t_n(s')),   t_n(s) = E[sigma(s z)^2] - sum_{k<=n} a_k(s)^2                     (2)

a bound that costs nothing and is checked for every pair. The pairs that miss it after the last term (nearly
parallel inputs under an activation with a kink, or with s much larger than the scale of sigma) are integrated
one by one in polar coordinates, where a kink at zero lies on the edges of four smooth sectors. Exactly
parallel inputs are one-dimensional. docs/activations.md reports measured errors and times.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from proplim.activations import Activation
from proplim.errors import InvalidInput

TOLERANCE = 2e-14
"""Relative truncation error of the Mehler sum that is accepted, in units of sqrt(K(x,x) K(x',x'))."""

_RANGE = 14.0  # exp(-14^2 / 4) = 5e-22: nothing beyond, even for an activation growing like exp(h)
_NODES = 16  # Gauss-Legendre nodes a panel
_FIRST_PANELS, _MOST_PANELS = 56, 56 * 32
_MOST_TERMS = 640
_BLOCK = 1 << 16  # entries of a kernel worked on at once: fits a core's cache
_PARALLEL = 8 * np.finfo(float).eps


def gaussian_kernel(activation: Activation, c12: np.ndarray, c11: np.ndarray, c22: np.ndarray) -> np.ndarray:
    """E[sigma(h) sigma(h')] for centred Gaussians of covariance [[c11, c12], [c12, c22]], eq. (1) above.

    Parameters
    ----------
    activation : Activation
    c12, c11, c22 : arrays that broadcast together
        (P1, P2), (P1, 1) and (1, P2) for a kernel of all pairs: then one integral a row and a column.

    Returns
    -------
    array of the broadcast shape

    Raises
    ------
    InvalidInput
        If the activation has no finite second moment under these Gaussians.
    """
    c12, c11, c22 = (np.asarray(c, dtype=float) for c in (c12, c11, c22))
    s1, s2 = np.sqrt(np.maximum(c11, 0.0)), np.sqrt(np.maximum(c22, 0.0))
    scale = s1 * s2
    rho = np.clip(np.divide(c12, scale, out=np.zeros(np.broadcast(c12, scale).shape), where=scale > 0), -1, 1)
    first = _hermite_series(activation, s1)
    second = first if np.array_equal(s1.ravel(), s2.ravel()) else _hermite_series(activation, s2)
    second = _Series(
        second.coefficients.reshape(-1, *s2.shape), second.tails.reshape(-1, *s2.shape), second.step
    )
    result, unfinished = _mehler_sum(rho, first, second)
    if unfinished.any():
        s1, s2 = np.broadcast_to(s1, rho.shape), np.broadcast_to(s2, rho.shape)
        result[unfinished] = _one_by_one(activation, rho[unfinished], s1[unfinished], s2[unfinished])
    return result


def gaussian_mean(activation: Activation, c11: np.ndarray) -> np.ndarray:
    """E[sigma(h)] for h of variance `c11`; error near 1e-15, see :func:`gaussian_kernel`."""
    c11 = np.asarray(c11, dtype=float)
    if activation.odd:
        return np.zeros_like(c11)
    values, weights, _ = _sampled(activation, np.sqrt(c11).ravel())
    return (values.sum(axis=0) * weights).sum(axis=-1).reshape(c11.shape)


def gaussian_mean_derivative(activation: Activation, c11: np.ndarray) -> np.ndarray:
    """E[sigma'(h)] = E[sigma(s z) z] / s by partial integration (Stein), which also counts jumps of sigma."""
    c11 = np.asarray(c11, dtype=float)
    # Below 1e-6 the quotient loses digits faster than E[sigma'] changes with s; at s = 0 it is the mean of
    # the slopes on both sides.
    s = np.maximum(np.sqrt(c11).ravel(), 1e-6)
    values, weights, nodes = _sampled(activation, s)
    return (((values[0] - values[1]) * nodes * weights).sum(axis=-1) / s).reshape(c11.shape)


@dataclass(frozen=True)
class _Series:
    """Hermite coefficients of sigma(s z) for many s: `coefficients` (n, ...) and the tails t_n of eq. (2).

    The n-th entry belongs to the polynomial of degree n, or 2n + 1 where only odd ones occur (`step` 2).
    """

    coefficients: np.ndarray
    tails: np.ndarray
    step: int


def _panels(edges: np.ndarray, n_nodes: int = _NODES) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes and weights of consecutive panels; the last axis of `edges` counts edges."""
    x, w = np.polynomial.legendre.leggauss(n_nodes)
    middle, half = 0.5 * (edges[..., 1:] + edges[..., :-1]), 0.5 * np.diff(edges, axis=-1)
    shape = (*edges.shape[:-1], -1)
    nodes = (middle[..., None] + half[..., None] * x).reshape(shape)
    return nodes, (half[..., None] * w).reshape(shape)


def _grid(activation: Activation, s: np.ndarray, n_panels: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes on the positive half line, (M,), or (len(s), M) where kinks move with s; weights with density."""
    edges = np.linspace(0.0, _RANGE, n_panels + 1)
    kinks = np.array([abs(k) for k in activation.kinks if k != 0.0])
    if kinks.size:
        cuts = np.minimum(kinks / np.maximum(s, 1e-300)[:, None], _RANGE)
        edges = np.sort(np.concatenate([np.broadcast_to(edges, (len(s), len(edges))), cuts], axis=1), axis=1)
    nodes, weights = _panels(edges)
    return nodes, weights * np.exp(-0.5 * nodes * nodes) / np.sqrt(2.0 * np.pi)


def _values(activation: Activation, s: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """sigma at s z and at -s z, shape (2, len(s), M)."""
    h = s[:, None] * nodes
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.stack([activation.function(h), activation.function(-h)])
    if not np.isfinite(values).all():
        raise InvalidInput(
            "activation",
            activation.name,
            f"it must be finite on the real line, but is not within |h| = {float(np.abs(h).max()):.3g}",
        )
    return values


def _sampled(activation: Activation, s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values (2, len(s), M), weights and nodes on a grid fine enough for the largest s.

    The panels are halved until the moments E[sigma], E[sigma z] and E[sigma^2] of the largest s stand still;
    smaller ones are smoother in z.
    """
    largest = np.array([s.max(initial=0.0)])
    n_panels, previous = _FIRST_PANELS, None
    while True:
        nodes, weights = _grid(activation, largest, n_panels)
        plus, minus = _values(activation, largest, nodes)
        moments = np.array(
            [((plus + minus) * weights).sum(), ((plus - minus) * nodes * weights).sum(),
             ((plus**2 + minus**2) * weights).sum()]
        )  # fmt: skip
        size = max(np.sqrt(moments[2]), 1e-150)
        change = np.inf if previous is None else np.abs((moments - previous) / [size, size, size**2]).max()
        if change < 1e-14 or n_panels >= _MOST_PANELS:
            break
        previous, n_panels = moments, 2 * n_panels
    if previous is not None:
        n_panels = max(_FIRST_PANELS, n_panels // 2)  # the coarser of the two that agree
    nodes, weights = _grid(activation, s, n_panels)
    return _values(activation, s, nodes), weights, nodes


def _hermite_series(activation: Activation, s: np.ndarray) -> _Series:
    """Coefficients a_n(s) of eq. (1) for every s, up to `_MOST_TERMS` or until every tail has vanished.

    The even and the odd part of sigma are projected separately, so that the coefficients which vanish by
    symmetry vanish exactly and small kernel entries keep their relative accuracy.
    """
    shape, s = s.shape, s.ravel()
    (plus, minus), weights, nodes = _sampled(activation, s)
    step = 2 if activation.odd else 1
    parts = ((plus + minus) * weights, (plus - minus) * weights)  # even and odd, both halves of the line
    per_row = nodes.ndim == 2
    second_moment = ((plus**2 + minus**2) * weights).sum(axis=-1)
    coefficients, tails, tail = [], [], second_moment.copy()
    before, polynomial = np.zeros_like(nodes), np.ones_like(nodes)  # He_n / sqrt(n!)
    for n in range(_MOST_TERMS):
        if step == 1 or n % 2:
            part = parts[n % 2]
            # einsum, not a BLAS product: the order of the sum must not depend on the number of threads
            a = np.einsum("ij,ij->i" if per_row else "ij,j->i", part, polynomial)
            tail = np.maximum(tail - a * a, 0.0)
            coefficients.append(a)
            tails.append(tail)
            if n > 8 and (tail <= 1e-2 * TOLERANCE * second_moment).all():
                break
        before, polynomial = polynomial, (nodes * polynomial - np.sqrt(n) * before) / np.sqrt(n + 1.0)
    return _Series(np.array(coefficients).reshape(-1, *shape), np.array(tails).reshape(-1, *shape), step)


def _mehler_sum(rho: np.ndarray, first: _Series, second: _Series) -> tuple[np.ndarray, np.ndarray]:
    """Sum eq. (1) over all entries of `rho`, and mark the entries whose bound (2) is still too large."""
    result, unfinished = np.empty(rho.shape), np.zeros(rho.shape, dtype=bool)
    rows = rho.shape[0] if rho.ndim else 1
    if rho.ndim == 0:
        rho, result, unfinished = rho[None], result[None], unfinished[None]
    chunk = max(1, _BLOCK // max(1, rho[0].size))
    for start in range(0, rows, chunk):
        part = slice(start, start + chunk)
        a1, t1 = _rows(first.coefficients, rho.ndim, part), _rows(first.tails, rho.ndim, part)
        a2, t2 = _rows(second.coefficients, rho.ndim, part), _rows(second.tails, rho.ndim, part)
        result[part], unfinished[part] = _mehler_block(rho[part], a1, a2, t1, t2, first.step)
    return (result, unfinished) if rho.ndim else (result[0], unfinished[0])


def _rows(array: np.ndarray, ndim: int, part: slice) -> np.ndarray:
    """The rows `part` of an array (n, ...) that broadcasts against `ndim` axes; rows of length one stay."""
    array = array.reshape(array.shape[0], *(1,) * (ndim + 1 - array.ndim), *array.shape[1:])
    return array if array.shape[1] == 1 else array[:, part]


def _mehler_block(
    rho: np.ndarray, a1: np.ndarray, a2: np.ndarray, t1: np.ndarray, t2: np.ndarray, step: int
) -> tuple[np.ndarray, np.ndarray]:
    n_terms = min(len(a1), len(a2))
    size = np.sqrt((t1[0] + a1[0] ** 2) * (t2[0] + a2[0] ** 2))
    total = np.zeros(rho.shape)
    power = rho.copy() if step == 2 else np.ones(rho.shape)
    factor = rho * rho if step == 2 else rho
    # Where a pair would need a one-by-one integral anyway it must not keep all the others waiting.
    for n in range(n_terms):
        total += a1[n] * a2[n] * power
        power *= factor
        if n % 8 == 7 or n == n_terms - 1:
            left = np.abs(power) * np.sqrt(t1[n] * t2[n])
            unfinished = left > TOLERANCE * size
            if not unfinished.any():
                break
    return total, unfinished


def _one_by_one(activation: Activation, rho: np.ndarray, s1: np.ndarray, s2: np.ndarray) -> np.ndarray:
    """Integrate each pair of a list, shape (n,): in one dimension if parallel, else in polar coordinates."""
    result = np.empty(len(rho))
    parallel = 1.0 - np.abs(rho) <= _PARALLEL
    if parallel.any():
        result[parallel] = _parallel_pairs(activation, np.sign(rho[parallel]), s1[parallel], s2[parallel])
    rest = np.flatnonzero(~parallel)
    levels = np.maximum(2, np.ceil(np.log2(4.0 * np.maximum(s1, s2).clip(1e-300)))).astype(int)
    for level in np.unique(levels[rest]):
        members = rest[levels[rest] == level]
        n_radii, n_angles = len(_radii(level)[0]), 4 * len(_angles(level)[0])
        chunk = max(1, (1 << 22) // (n_radii * n_angles))
        for start in range(0, len(members), chunk):
            i = members[start : start + chunk]
            result[i] = _polar_pairs(activation, rho[i], s1[i], s2[i], int(level))
    return result


def _parallel_pairs(activation: Activation, sign: np.ndarray, s1: np.ndarray, s2: np.ndarray) -> np.ndarray:
    """E[sigma(s1 z) sigma(sign s2 z)], pair by pair."""
    (plus1, minus1), weights, nodes = _sampled(activation, np.maximum(s1, s2))
    if np.array_equal(s1, s2):
        plus2, minus2 = plus1, minus1
    else:
        plus1, minus1 = _values(activation, s1, nodes)
        plus2, minus2 = _values(activation, s2, nodes)
    same, opposite = plus1 * plus2 + minus1 * minus2, plus1 * minus2 + minus1 * plus2
    return (np.where(sign[:, None] > 0, same, opposite) * weights).sum(axis=-1)


def _radii(level: int) -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = _panels(np.linspace(0.0, 10.0, 1 + 10 * 2 ** max(0, level - 2)), 10)
    return nodes, weights * nodes * np.exp(-0.5 * nodes * nodes) / (2.0 * np.pi)


def _angles(level: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes on (0, 1), graded towards both ends, where sigma(s r sin) varies within an angle of 1/(s r)."""
    towards_zero = 0.5 ** np.arange(level + 1, 0, -1)
    return _panels(np.concatenate([[0.0], towards_zero, 1.0 - towards_zero[-2::-1], [1.0]]), 12)


def _polar_pairs(
    activation: Activation, rho: np.ndarray, s1: np.ndarray, s2: np.ndarray, level: int
) -> np.ndarray:
    """E[sigma(s1 r cos t) sigma(s2 r cos(t - t0))], cos t0 = rho, by sectors between zeros of the cosines."""
    t0 = np.arctan2(np.sqrt((1.0 - rho) * (1.0 + rho)), rho)
    starts = np.stack(
        [t0 - np.pi / 2, np.full_like(t0, np.pi / 2), t0 + np.pi / 2, np.full_like(t0, 1.5 * np.pi)]
    )
    lengths = np.stack([np.pi - t0, t0, np.pi - t0, t0])
    u, w = _angles(level)
    radii, radial_weights = _radii(level)
    angles = (starts[..., None] + lengths[..., None] * u).transpose(1, 0, 2).reshape(len(rho), -1)
    weights = (lengths[..., None] * w).transpose(1, 0, 2).reshape(len(rho), -1)
    # cos(t - t0) is taken from the angle itself: the sum formula would lose the small sectors' digits
    first = activation.function((s1[:, None] * np.cos(angles))[..., None] * radii)
    second = activation.function((s2[:, None] * np.cos(angles - t0[:, None]))[..., None] * radii)
    return ((first * second) @ radial_weights * weights).sum(axis=-1)
