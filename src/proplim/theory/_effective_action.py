"""The effective action of the order parameter and its global minimum, certified, for all grid points at once.

In the variable theta = Q / (lambda1 T) the spectrum enters the action through two functions that no grid
point changes (docs/theory.md, eqs. 3.3-3.5),

    p(theta) = sum_k theta kappa_k / (1 + theta kappa_k)
    e(theta) = sum_k yt_k^2 theta kappa_k / (1 + theta kappa_k)^2
    dS/du    = Q - 1 + p/N - e/(N T),              u = ln Q.

Both are tabulated once on a fixed mesh of ln theta together with bounds that hold between its nodes. A cell
whose bounds exclude zero holds no stationary point; a cell in which the bounds of the second derivative
have one sign holds at most one; what is neither is subdivided. So all stationary points are found, each
is polished by safeguarded Newton steps on the exact sums, and the minimum of lowest action is taken.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from proplim.theory._blocks import BLOCK, Points, in_blocks
from proplim.theory._response import ModeSums, Response
from proplim.theory._spectrum import Spectrum

EPS = np.finfo(float).eps
MESH = 0.25
"""Width of a cell in ln theta."""
MARGIN = 40.0
"""The mesh reaches this far in ln theta beyond 1/kappa_max and 1/kappa_min; e^-40 < eps."""
SUBDIVISION = 4
"""Parts into which an undecided cell is cut."""
SUBDIVISION_LEVELS = 14
"""An undecided cell narrower than MESH * 4^-14 holds two stationary points that rounding cannot separate."""
SLACK = 1e-12
"""Relative widening of the bounds on dS/du that covers their own rounding."""
NEWTON_STEPS = 100
FOURTH_ROOT = 1e77
"""Numbers below this have a product of four that does not overflow."""
RESIDUAL_TOLERANCE = 64.0
"""Accepted |dS/du| in units of eps times the sum of the magnitudes of its terms."""


class OrderParameter(NamedTuple):
    """Global minimum of the effective action at every grid point, with its evidence; (n,) arrays.

    Parameters
    ----------
    order_parameter : Q
    action : S(Q)
    curvature : d^2S/du^2 at the minimum
    residual : |dS/du| there
    stationary_points : number of stationary points of S in u
    action_gap : S of the second lowest minimum minus S; NaN where there is one minimum only
    first, last : the smallest and the largest stationary Q; outside of them S is monotone
    converged : bool
        All stationary points were separated and the residual is at rounding level.
    """

    order_parameter: np.ndarray
    action: np.ndarray
    curvature: np.ndarray
    residual: np.ndarray
    stationary_points: np.ndarray
    action_gap: np.ndarray
    first: np.ndarray
    last: np.ndarray
    converged: np.ndarray


def effective_action(
    spectrum: Spectrum,
    order_parameter: np.ndarray,
    temperature: np.ndarray,
    width: np.ndarray,
    lambda1: np.ndarray,
) -> np.ndarray:
    """S(Q) of docs/theory.md, eq. 3.2, for arrays of points of one length.

    Parameters
    ----------
    order_parameter, temperature, width, lambda1 : (n,) arrays

    Returns
    -------
    (n,) array
    """

    def block(q: np.ndarray, t: np.ndarray, n: np.ndarray, l1: np.ndarray) -> dict[str, np.ndarray]:
        return {"action": _action(spectrum, q, t, n, l1)}

    return in_blocks(block, order_parameter, temperature, width, lambda1)["action"]


def action_of_modes(spectrum: Spectrum, order_parameter: np.ndarray, points: Points) -> np.ndarray:
    """S(Q) without what does not depend on Q: ln T of every input, and the labels that no mode explains over T.

    At low T the latter is so large that its rounding is more than S varies by: differences of S are taken of this.

    Parameters
    ----------
    order_parameter : (n,) array

    Returns
    -------
    (n,) array
    """

    def block(q: np.ndarray, t: np.ndarray, n: np.ndarray, l1: np.ndarray) -> dict[str, np.ndarray]:
        log_det, energy = _modes(spectrum, q, t, l1)
        return {"action": q - np.log(q) + (log_det + energy / t) / n}

    return in_blocks(block, order_parameter, *points)["action"]


def solve_order_parameter(spectrum: Spectrum, points: Points) -> OrderParameter:
    """Find the global minimum of the effective action at every point (docs/theory.md, section 3.2).

    Parameters
    ----------
    spectrum : Spectrum
    points : Points

    Returns
    -------
    OrderParameter
    """
    table = _table(spectrum)
    roots = _find_roots(spectrum, table, points)
    polished = _polish_roots(spectrum, points, roots)
    return _choose_minimum(points, roots, polished)


def _sums(spectrum: Spectrum, theta: np.ndarray) -> ModeSums:
    return Response.of(spectrum.eigenvalues, theta).sums(spectrum.label_energies)


@dataclass(frozen=True)
class _Table:
    """Node values on the mesh of ln theta and bounds on the cells between them.

    `lower` and `upper` are (4, cells) coefficients whose product with (lambda1 T, 1/N, 1/(N T), 1) bounds
    dS/du on a cell from below and above; `slope_lower` and `slope_upper` do the same for d^2S/du^2.
    """

    theta: np.ndarray
    sums: ModeSums
    lower: np.ndarray
    upper: np.ndarray
    slope_lower: np.ndarray
    slope_upper: np.ndarray


def _bounds(theta: np.ndarray, sums: ModeSums, mesh: float) -> tuple[np.ndarray, ...]:
    """Bounds between neighbouring nodes (docs/theory.md, eq. 3.8).

    e and p' are sums of logistic bells, whose first three derivatives they bound term by term. Neither
    changes by more than a factor exp(mesh) over a cell, so that linear interpolation of e, e' or p' errs
    by at most (mesh^2/8) exp(mesh) times the larger end value of e, or of p'.
    """
    error = mesh**2 / 8.0 * np.exp(mesh)
    left, right = np.s_[..., :-1], np.s_[..., 1:]
    e_max = np.maximum(sums.e[left], sums.e[right])
    e_low = np.minimum(sums.e[left], sums.e[right]) - error * e_max
    e_high = (1.0 + error) * e_max
    de_low = np.minimum(sums.de[left], sums.de[right]) - error * e_max
    de_high = np.maximum(sums.de[left], sums.de[right]) + error * e_max
    dp_max = np.maximum(sums.dp[left], sums.dp[right])
    dp_low = np.minimum(sums.dp[left], sums.dp[right]) - error * dp_max
    dp_high = (1.0 + error) * dp_max
    one, zero = np.ones_like(e_max), np.zeros_like(e_max)
    down, up = 1.0 - SLACK, 1.0 + SLACK
    return (
        np.stack([down * theta[left], down * sums.p[left], -up * e_high, -up * one]),
        np.stack([up * theta[right], up * sums.p[right], -down * e_low, -down * one]),
        np.stack([theta[left], dp_low, -de_high, zero]),
        np.stack([theta[right], dp_high, -de_low, zero]),
    )


_TABLES: weakref.WeakKeyDictionary[Spectrum, _Table] = weakref.WeakKeyDictionary()


def _table(spectrum: Spectrum) -> _Table:
    """The table of a spectrum, made once."""
    if spectrum not in _TABLES:
        _TABLES[spectrum] = _tabulate(spectrum)
    return _TABLES[spectrum]


def _tabulate(spectrum: Spectrum) -> _Table:
    """Tabulate p and e on a mesh of ln theta that depends on the kernel alone."""
    kappa = spectrum.eigenvalues if len(spectrum.eigenvalues) else np.ones(1)
    first = np.floor((-np.log(kappa[-1]) - MARGIN) / MESH)
    last = np.ceil((-np.log(kappa[0]) + MARGIN) / MESH)
    theta = np.exp(MESH * np.arange(first, last + 1.0))
    parts = in_blocks(lambda th: _sums(spectrum, th)._asdict(), theta)
    sums = ModeSums(**parts)
    return _Table(theta, sums, *_bounds(theta, sums, MESH))


class _Roots(NamedTuple):
    """Brackets of all stationary points.

    Parameters
    ----------
    point : (m,) array
        Index of the grid point.
    low, start, high : (m,) arrays
        theta at the ends of the bracket, and where to start between them.
    rising : (m,) array
        1 where dS/du changes from negative to positive (a minimum), else 0.
    undecided : (n,) array of bool
        Grid points with cells that subdivision could not decide.
    """

    point: np.ndarray
    low: np.ndarray
    start: np.ndarray
    high: np.ndarray
    rising: np.ndarray
    undecided: np.ndarray


def _coefficients(points: Points) -> np.ndarray:
    """(n, 4) factors of the bounds."""
    t, n, l1 = points
    return np.stack([l1 * t, 1.0 / n, 1.0 / (n * t), np.ones_like(t)], axis=-1)


def _find_roots(spectrum: Spectrum, table: _Table, points: Points) -> _Roots:
    factors = _coefficients(points)
    found: list[tuple[np.ndarray, ...]] = []
    undecided = np.zeros(points.size, dtype=bool)
    pending_point, pending_cell = _candidate_cells(table, factors)
    level = (
        pending_point,
        np.stack([table.theta[pending_cell], table.theta[pending_cell + 1]], axis=-1),
        _gather(table.sums, pending_cell),
        [b[:, pending_cell] for b in (table.lower, table.upper, table.slope_lower, table.slope_upper)],
    )
    mesh = MESH
    for depth in range(SUBDIVISION_LEVELS + 1):
        point, theta, sums, bounds = level
        if not len(point):
            break
        f = factors[point].T
        lower, upper, slope_lower, slope_upper = ((f * b).sum(0) for b in bounds)
        possible = (lower <= 0.0) & (upper >= 0.0)
        monotone = (slope_lower > 0.0) | (slope_upper < 0.0)
        ends = f[0] * theta.T - f[3] + f[1] * sums.p.T - f[2] * sums.e.T  # dS/du at both ends, (2, m)
        crossing = possible & monotone & ((ends[0] < 0.0) != (ends[1] < 0.0))
        slopes = f[0] * theta.T + f[1] * sums.dp.T - f[2] * sums.de.T
        start = _interpolated_root(theta, ends, slopes, mesh)
        found.append(
            tuple(
                a[crossing] for a in (point, theta[:, 0], start, theta[:, 1], (ends[0] < 0.0).astype(float))
            )
        )
        open_ = possible & ~monotone
        if depth == SUBDIVISION_LEVELS:
            undecided[point[open_]] = True
            break
        mesh /= SUBDIVISION
        level = _subdivide(spectrum, point[open_], theta[open_], mesh)
    found.extend(_outer_roots(table, points, factors))
    point, low, start, high, rising = (np.concatenate(part) for part in zip(*found, strict=True))
    return _Roots(point, low, start, high, rising, undecided)


def _interpolated_root(theta: np.ndarray, ends: np.ndarray, slopes: np.ndarray, mesh: float) -> np.ndarray:
    """Zero of dS/du in a cell by inverse cubic interpolation, the middle of the cell where that leaves it."""
    rise = ends[1] - ends[0]
    usable = (rise != 0.0) & (slopes[0] != 0.0) & (slopes[1] != 0.0)
    s = -ends[0] / np.where(usable, rise, 1.0)
    slope0, slope1 = (rise / np.where(usable, slope, 1.0) for slope in slopes)
    u = s * s * (3.0 - 2.0 * s) * mesh + s * (1.0 - s) * ((1.0 - s) * slope0 - s * slope1)
    u = np.where(usable & (u > 0.0) & (u < mesh), u, 0.5 * mesh)
    # exp(u) as a polynomial: sums and products round alike wherever a point stands in an array
    return theta[:, 0] * (1.0 + u * (1.0 + u / 2.0 * (1.0 + u / 3.0 * (1.0 + u / 4.0))))


def _candidate_cells(table: _Table, factors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (point, cell) whose bounds on dS/du do not exclude zero."""
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    for start in range(0, len(factors), BLOCK):
        block = factors[start : start + BLOCK]
        possible = (block @ table.lower <= 0.0) & (block @ table.upper >= 0.0)
        point, cell = np.nonzero(possible)
        pairs.append((point + start, cell))
    return tuple(np.concatenate(part) for part in zip(*pairs, strict=True))  # type: ignore[return-value]


def _gather(sums: ModeSums, cell: np.ndarray) -> ModeSums:
    return ModeSums(*(np.stack([s[cell], s[cell + 1]], axis=-1) for s in sums))


def _subdivide(spectrum: Spectrum, point: np.ndarray, theta: np.ndarray, mesh: float) -> tuple:
    """Cut cells into SUBDIVISION parts of equal width in ln theta; (m,) and (m, 2) arrays become 4 m long."""
    if not len(point):
        return point, theta, None, None
    nodes = theta[:, :1] * np.exp(mesh * np.arange(SUBDIVISION + 1.0))
    nodes[:, -1] = theta[:, 1]
    parts = in_blocks(lambda th: _sums(spectrum, th)._asdict(), nodes.ravel())
    sums = ModeSums(**{k: v.reshape(nodes.shape) for k, v in parts.items()})
    bounds = [b.reshape(4, -1) for b in _bounds(nodes, sums, mesh)]
    ends = [np.stack([a[:, :-1].ravel(), a[:, 1:].ravel()], axis=-1) for a in (nodes, *sums)]
    return np.repeat(point, SUBDIVISION), ends[0], ModeSums(*ends[1:]), bounds


def _outer_roots(table: _Table, points: Points, factors: np.ndarray) -> list[tuple[np.ndarray, ...]]:
    """Brackets beyond the mesh, where p and e are pure powers of theta and dS/du is monotone.

    All roots lie in 1/(1 + tr K/(lambda1 T N)) <= Q <= 1 + |y|^2/(4 N T) (docs/theory.md, eq. 3.7).
    """
    found: list[tuple[np.ndarray, ...]] = []
    theta, p, e = table.theta[[0, -1], None], table.sums.p[[0, -1], None], table.sums.e[[0, -1], None]
    ends = factors[:, 0] * theta - 1.0 + factors[:, 1] * p - factors[:, 2] * e
    below = np.nonzero(ends[0] >= 0.0)[0]
    # p <= theta tr K with equality as theta -> 0, so that the first node gives tr K
    trace = table.sums.p[0] / table.theta[0]
    low, high = 0.5 / (factors[below, 0] + factors[below, 1] * trace), np.full(len(below), table.theta[0])
    found.append((below, low, np.sqrt(low * high), high, np.ones(len(below))))
    above = np.nonzero(ends[1] < 0.0)[0]
    energy = table.sums.e.max()
    high = 2.0 * (1.0 + factors[above, 2] * energy) / factors[above, 0]
    low = np.full(len(above), table.theta[-1])
    found.append((above, low, np.sqrt(low * high), high, np.ones(len(above))))
    return found


def _polish_roots(spectrum: Spectrum, points: Points, roots: _Roots) -> dict[str, np.ndarray]:
    """Q, S, d^2S/du^2, |dS/du| and its rounding scale at every bracketed stationary point."""
    t, n, l1 = (a[roots.point] for a in points)

    def block(*arrays: np.ndarray) -> dict[str, np.ndarray]:
        return _newton(spectrum, *arrays)

    return in_blocks(block, roots.low, roots.start, roots.high, roots.rising, t, n, l1)


def _stationarity(
    spectrum: Spectrum, q: np.ndarray, t: np.ndarray, n: np.ndarray, l1: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dS/du, d^2S/du^2 and the sum of the magnitudes of the terms of dS/du (docs/theory.md, eqs. 3.5-3.6)."""
    s = _sums(spectrum, q / (l1 * t))
    p, e, dp, de = s.p / n, s.e / (n * t), s.dp / n, s.de / (n * t)
    return q - 1.0 + p - e, q + dp - de, q + 1.0 + p + e


def _newton(
    spectrum: Spectrum,
    low: np.ndarray,
    start: np.ndarray,
    high: np.ndarray,
    rising: np.ndarray,
    t: np.ndarray,
    n: np.ndarray,
    l1: np.ndarray,
) -> dict[str, np.ndarray]:
    """Newton steps in u = ln Q kept inside a bracket that every evaluation narrows."""
    low, q, high = low * (l1 * t), start * (l1 * t), high * (l1 * t)
    names = ("order_parameter", "residual", "curvature", "magnitude")
    best = dict.fromkeys(names, np.full(len(q), np.inf))
    active = np.ones(len(q), dtype=bool)
    for _ in range(NEWTON_STEPS):
        slope, curvature, magnitude = _stationarity(spectrum, q, t, n, l1)
        residual = np.abs(slope)
        better = active & (residual < best["residual"])
        values = zip(names, (q, residual, curvature, magnitude), strict=True)
        best = {name: np.where(better, value, best[name]) for name, value in values}
        go_up = (slope < 0.0) == (rising > 0.0)
        low, high = np.where(active & go_up, q, low), np.where(active & ~go_up, q, high)
        step = -slope / np.where(curvature == 0.0, 1.0, curvature)
        newton = q * np.exp(np.clip(step, -50.0, 50.0))
        inside = (newton > low) & (newton < high) & (curvature != 0.0)
        proposal = np.where(inside, newton, np.sqrt(low) * np.sqrt(high))
        active &= (residual > 2.0 * EPS * magnitude) & (np.abs(proposal / q - 1.0) > EPS)
        if not active.any():
            break
        q = np.where(active, proposal, q)
    best["action"] = _action(spectrum, best["order_parameter"], t, n, l1)
    return best


def _action(spectrum: Spectrum, q: np.ndarray, t: np.ndarray, n: np.ndarray, l1: np.ndarray) -> np.ndarray:
    """S(Q), docs/theory.md, eq. 3.2, the null modes of the kernel included."""
    log_det, energy = _modes(spectrum, q, t, l1)
    log_det = log_det + spectrum.n_train * np.log(t)
    energy = energy + spectrum.null_label_energy
    return q - np.log(q) + (log_det + energy / t) / n


def _modes(spectrum: Spectrum, q: np.ndarray, t: np.ndarray, l1: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """ln det(1 + Q K/(lambda1 T)), and the labels in the range of K weighted by the inverse of that matrix."""
    x = (q / (l1 * t))[:, None] * spectrum.eigenvalues
    x += 1.0
    return _sum_of_logs(x), (spectrum.label_energies / x).sum(-1)


def _sum_of_logs(x: np.ndarray) -> np.ndarray:
    """Sum over the last axis of ln x for (n, r) rows of ascending x >= 1.

    One logarithm for a product of four numbers, where that is finite.
    """
    quarter = x.shape[-1] // 4
    with np.errstate(over="ignore"):
        product = x[:, :quarter] * x[:, quarter : 2 * quarter]
        product *= x[:, 2 * quarter : 3 * quarter]
        product *= x[:, 3 * quarter : 4 * quarter]
    total = np.log(product).sum(-1) + np.log(x[:, 4 * quarter :]).sum(-1)
    for row in np.flatnonzero(x[:, -1:].max(-1, initial=1.0) >= FOURTH_ROOT):
        total[row] = np.log(x[row]).sum()
    return total


def _choose_minimum(points: Points, roots: _Roots, polished: dict[str, np.ndarray]) -> OrderParameter:
    """The stationary point of lowest action at every point, and the gap to the next minimum."""
    n = points.size
    count = np.bincount(roots.point, minlength=n).astype(float)
    minimum = polished["curvature"] > 0.0
    order = np.lexsort((polished["order_parameter"], polished["action"], ~minimum, roots.point))
    first = np.searchsorted(roots.point[order], np.arange(n))
    index = order[np.minimum(first, len(order) - 1)]
    value = {k: v[index] for k, v in polished.items()}
    n_minima = np.bincount(roots.point, weights=minimum, minlength=n)
    second = order[np.minimum(first + 1, len(order) - 1)]
    gap = np.where(n_minima > 1, polished["action"][second] - value["action"], np.nan)
    accepted = value["residual"] <= RESIDUAL_TOLERANCE * EPS * value["magnitude"]
    found = minimum[index] & (roots.point[index] == np.arange(n))
    converged = found & accepted & ~roots.undecided & np.isfinite(value["action"])
    names = ("order_parameter", "action", "curvature", "residual")
    first_q, last_q = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(first_q, roots.point, polished["order_parameter"])
    np.maximum.at(last_q, roots.point, polished["order_parameter"])
    q, action, curvature, residual = (value[name] for name in names)
    return OrderParameter(q, action, curvature, residual, count, gap, first_q, last_q, converged)
