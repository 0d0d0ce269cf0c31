"""What the features of the others, which are not Gaussian, add to the energy of the explicit units (eq. C.7).

Integrating the others out exactly would leave exp(-F(y', V)), a function of the labels y' = y - f that the explicit
units leave and of the bound V, the smallest explicit |v|; eq. (C.1) has the F of Gaussian features. The slopes of the
difference dF are those of the two cavities, of true and of Gaussian features:

    d dF/dy' = da = a[sigma] - a[Gauss],      d dF/dV = -n ( rho[sigma](V) - rho[Gauss](V) ),

rho(V) the density of another readout at +V or -V, below which it lies. They are known at two shares t = f.y/|y|^2 of
the labels, at the mean contribution f(t) and the mean bound V(t) there, and rho at every V with the fields of V(t).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from proplim.theory.condensed._gaussian import Gaussian, Setting, readout_log_density
from proplim.theory.condensed._others import Cavity

REACH = 1.0
"""Distance from the middle of the two shares up to which the reaction is linear, in units of their distance: two
deviations of the share, whose ends weigh most where it is broad."""
MESH, TABLE = 97, 33
"""Readouts at which the densities are taken, and bounds at which W is kept."""
LOWEST, HIGHEST = 2.0, 1.0
"""How far below and above V(t), in standard deviations of the bound, W is taken; it is constant beyond. Far above V(t)
single draws have the density of a readout."""
TINY = 1e-300
ROWS = 1024
"""Draws of a unit that are taken at a time, which stay in the cache."""


class Reaction(NamedTuple):
    """Eq. (C.7): with W(V; t) the integral of d dF/dV from V(t) to V,

        dU = F(t) - da(t).(f - f(t)) + W(V; t),     dF/dt = -da(t).f'(t) + (d dF/dV) V'(t)

    where da, V(t) and W as a function of V - V(t) are linear in the share up to REACH and constant beyond.

    Parameters
    ----------
    share : (m,) array
        U^T y/|y|^2: t is its product with U^T f.
    centre, slope : (m,) arrays
        f0 and the slope, in the eigenbasis of K.
    nodes : (2,) array
        The two shares, ascending; t0 is their middle.
    fields : (2, m) array
        da there.
    falls : (2,) array
        -dF/dt there.
    bounds : (2,) array
        V(t) there.
    ends : (2,) array
        The first and the last V - V(t) of the mesh, beyond which W is constant.
    energies, slopes : (2, M) arrays
        W and its slope in V on equal steps of V - V(t).
    """

    share: np.ndarray
    centre: np.ndarray
    slope: np.ndarray
    nodes: np.ndarray
    fields: np.ndarray
    falls: np.ndarray
    bounds: np.ndarray
    ends: np.ndarray
    energies: np.ndarray
    slopes: np.ndarray

    def __call__(self, f: np.ndarray, bound: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """dU, -d(dU)/df and d(dU)/dV of contributions (S, m) and bounds (S,)."""
        share, centre, slope, fields = (
            x.astype(f.dtype, copy=False) for x in (self.share, self.centre, self.slope, self.fields)
        )
        low, high = self.nodes
        middle, width = 0.5 * (low + high), high - low
        away = (f @ share).astype(float) - middle
        x = np.clip(away / width, -REACH, REACH)  # position, 1/2 at the nodes
        beyond = away - width * x
        change = fields[1] - fields[0]
        field = np.multiply.outer(x.astype(f.dtype), change)
        field += 0.5 * (fields[0] + fields[1])
        off = f - centre
        off -= np.multiply.outer(away.astype(f.dtype), slope)
        fall, steeper = 0.5 * (self.falls[0] + self.falls[1]), self.falls[1] - self.falls[0]
        potential = -(fall * width * x + 0.5 * steeper * width * x * x) - beyond * (fall + steeper * x)
        rise = self.bounds[1] - self.bounds[0]
        below, d_below = _cubic(
            self.energies, self.slopes, self.ends, bound - 0.5 * self.bounds.sum() - rise * x
        )
        pressure = _between(d_below, x)
        energy = potential - np.einsum("sk,sk->s", field, off) + _between(below, x)
        # da in F(t) is along f'(t), and so is what the other fields change there
        along0, along1 = field @ slope, off @ change - (below[1] - below[0]) + pressure * rise
        inside = (np.abs(away) < REACH * width) / width
        along = fall + steeper * x - along0 + inside * along1
        field += np.multiply.outer(along.astype(f.dtype), share)
        return energy, field, pressure

    def less(self, other: Reaction, part: float) -> Reaction:
        """`part` of what this one has more than the other, on the same mesh and at the same shares."""
        return self._replace(
            fields=part * (self.fields - other.fields),
            falls=part * (self.falls - other.falls),
            energies=part * (self.energies - other.energies),
            slopes=part * (self.slopes - other.slopes),
        )


def _cubic(
    values: np.ndarray, slopes: np.ndarray, ends: np.ndarray, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Cubics that keep values and slopes (..., M) on equal steps between the ends, and their slopes, at x (S,).

    They are constant beyond.
    """
    steps = values.shape[-1] - 1
    step = (ends[1] - ends[0]) / steps
    place = np.clip((x - ends[0]) / step, 0.0, float(steps))
    index = np.minimum(np.nan_to_num(place).astype(int), steps - 1)  # lost chains have no bound
    s = place - index
    before, after = values[..., index], values[..., index + 1]
    rise0, rise1 = step * slopes[..., index], step * slopes[..., index + 1]
    square, cube = 3.0 * (after - before) - 2.0 * rise0 - rise1, 2.0 * (before - after) + rise0 + rise1
    value = before + s * (rise0 + s * (square + s * cube))
    slope = (rise0 + s * (2.0 * square + 3.0 * s * cube)) / step
    return value, np.where((place > 0.0) & (place < steps), slope, 0.0)


def _between(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Of (2, S) values at the two shares, at positions x."""
    return np.asarray((0.5 - x) * values[0] + (0.5 + x) * values[1])


def react(
    share: np.ndarray,
    centre: np.ndarray,
    slope: np.ndarray,
    nodes: np.ndarray,
    spread: float,
    settings: list[Setting],
    gaussians: list[Gaussian],
    cavities: list[Cavity],
) -> Reaction:
    """The reaction from both cavities of the others at the two shares `nodes`.

    `spread` is the standard deviation of the bound at a share, and the rest that of :class:`Reaction`.
    """
    bounds = np.array([setting.bound for setting in settings])
    ends = np.array([-min(LOWEST * spread, float(bounds.min())), HIGHEST * spread])
    at_shares = list(zip(settings, gaussians, cavities, strict=True))
    mesh = np.linspace(ends[0], ends[1], TABLE)
    found = [_crowding(*x, mesh) for x in at_shares]
    energies, slopes = (np.stack(x) for x in zip(*found, strict=True))
    fields = np.array([cavity.a - gaussian.a for _, gaussian, cavity in at_shares])
    pressure = np.array(
        [_cubic(e, s, ends, np.zeros(1))[1][0] for e, s in zip(energies, slopes, strict=True)]
    )
    falls = fields @ slope - pressure * (bounds[1] - bounds[0]) / (nodes[1] - nodes[0])
    return Reaction(share, centre, slope, nodes, fields, falls, bounds, ends, energies, slopes)


def _crowding(
    setting: Setting, gaussian: Gaussian, cavity: Cavity, away: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """W and its slope at V = V(t) + `away`: -n ln of the probability that a readout lies below V, less that at V(t)."""
    from scipy.integrate import cumulative_simpson

    v = np.linspace(0.0, setting.bound + away[-1], MESH)
    others = setting.part * setting.width
    logs, slopes = [], []
    for log_density in (_log_density(cavity, v), readout_log_density(setting, gaussian, v)):
        density = np.exp(log_density - log_density[0])
        below = cumulative_simpson(density, x=v, initial=0.0)
        below[0], density[0] = 1.0, 0.0  # at V = 0 the ratio of both probabilities is that of the densities
        logs.append(np.log(below))
        logs[-1][0] = 0.0
        slopes.append(density / below)
    energy, slope = others * (logs[1] - logs[0]), others * (slopes[1] - slopes[0])
    at_bounds = np.append(setting.bound + away, setting.bound)
    ends = np.array([0.0, v[-1]])
    energy = _cubic(energy, slope, ends, at_bounds)[0]
    return energy[:-1] - energy[-1], _cubic(slope, np.gradient(slope, v), ends, at_bounds)[0][:-1]


def _log_density(cavity: Cavity, v: np.ndarray) -> np.ndarray:
    """ln of the density of a readout at +-v, not normalised, with the fields of the solution."""
    q, precision, log_ratio = (
        np.asarray(x, dtype=np.float32) for x in (cavity.q, cavity.precision, cavity.draws.log_ratio)
    )
    log_ratio = log_ratio - np.max(log_ratio + 0.5 * q**2 / precision)  # its largest exponential is one
    v = v.astype(np.float32)
    total = np.full(len(v), TINY)
    for start in range(0, len(q), ROWS):
        rows = slice(start, start + ROWS)
        fall = log_ratio[rows, None] - 0.5 * precision[rows, None] * v**2
        rise = np.abs(q[rows, None]) * v
        total += np.exp(fall + rise + np.log1p(np.exp(-2.0 * rise))).sum(axis=0, dtype=float)
    return np.asarray(np.log(total))
