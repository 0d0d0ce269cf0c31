"""Proofs that a stationary order parameter is the global minimum (docs/multiclass.md, section 3).

**Convexity.** As a function of the matrix Q itself tr Q and the data term are convex, and c_k (T + c_k Q)^-1 <= Q^-1
gives

    d2(-ln det Q + (1/N) sum_k ln det(T + c_k Q))[E, E] >= (1 - r/N) tr(Q^-1 E Q^-1 E).

With no more modes than hidden units, r <= N, the action has a single stationary point.

**A lower bound for more modes.** In the eigenbasis of Q the action is a sum over j of h(w_j) + v_j^T M(w_j) v_j/N,

    h(w) = w - ln w + (1/N) sum_k ln(T + c_k w),      M(w) = sum_k y_k y_k^T/(T + c_k w),

for the eigenvector v_j (y_k is row k of U^T Y). If a symmetric matrix B obeys h(w) I + M(w)/N >= B for every w > 0,
then S >= sum_j v_j^T B v_j = tr B whatever Q is. At a stationary Q the columns B v_j = [h(w_j) I + M(w_j)/N] v_j make
up a symmetric matrix with tr B = S, so that all is proved by the least eigenvalue of a C x C matrix along one variable,
which bounds between nodes make rigorous: in u = ln w the second derivative of h + v^T M v/N is at most

    w + (1/N) sum_k t r + (1/(N T)) v^T [sum_k y_k y_k^T t r] v,

the bells t r change by a factor exp(width) at most over a cell, and linear interpolation from its ends errs by at most
width^2/8 times that.
"""

from __future__ import annotations

import numpy as np

from proplim.theory.outputs._action import At

CELL = 0.25
"""Width in ln w of the cells that are tried first."""
SUBDIVISION = 4
LEVELS = 12
"""Times that a cell is cut into SUBDIVISION."""
MOST_CELLS = 20_000
"""Cells at one level beyond which there is no proof."""
SLACK = 1e-6
"""It is proved that no action is lower by more than C times this (and the rounding of B)."""
ROUNDING = 1e3 * float(np.finfo(float).eps)
"""Rounding of B, relative to its largest entry."""
REACH = 1.5
"""Factor by which the range of ln w is widened until the bound holds at its ends."""


def is_proved_global(at: At) -> bool:
    """Whether it is proved that no order parameter has a lower action than a stationary one."""
    return len(at.problem.couplings) <= at.problem.width or _bounded_below(at)


def _bounded_below(at: At) -> bool:
    """Whether the matrix B of a stationary point bounds the action from below, in the eigenbasis of Q."""
    bound = _Bound(at)
    ends = bound.range()
    if ends is None:
        return False
    nodes = np.linspace(ends[0], ends[1], int(np.ceil((ends[1] - ends[0]) / CELL)) + 1)[None]
    for _ in range(LEVELS + 1):
        open_ = bound.open_cells(nodes)
        if open_ is None or SUBDIVISION * len(open_) > MOST_CELLS:
            return False
        if not len(open_):
            return True
        nodes = open_[:, :1] + (open_[:, 1:] - open_[:, :1]) * np.linspace(0.0, 1.0, SUBDIVISION + 1)
    return False


class _Bound:
    """h(w) I + M(w)/N - B as a function of u = ln w, in the eigenbasis of Q."""

    def __init__(self, at: At) -> None:
        self.at, p = at, at.problem
        self._couplings, self._temperature, self._width = p.couplings[:, None], p.temperature, p.width
        rows, columns = p.entries
        self._pairs = np.ascontiguousarray((at.labels[:, rows] * at.labels[:, columns]).T)
        columns_of_b = at.labels.T @ (at.labels / at.spread) / p.width
        self._bound = 0.5 * (columns_of_b + columns_of_b.T)
        self._bound[np.diag_indices(p.n_outputs)] += self.height(np.log(at.eigenvalues))
        self.slack = SLACK + ROUNDING * float(np.abs(self._bound).max())

    def height(self, u: np.ndarray) -> np.ndarray:
        """h at (n,) values of ln w."""
        w = np.exp(u)
        return np.asarray(w - u + np.log(self._temperature + self._couplings * w).sum(0) / self._width)

    def range(self) -> tuple[float, float] | None:
        """ln w beyond which h alone, convex in ln w, exceeds the largest eigenvalue of B; None where none is found."""
        largest = float(np.linalg.eigvalsh(self._bound)[-1])
        low, high = (float(f(np.log(self.at.eigenvalues))) for f in (np.min, np.max))
        for _ in range(60):
            grown = (self.height(np.array([low, high])) < largest).tolist()
            if not any(grown):
                return low, high
            low = low - REACH if grown[0] else low
            high = high + REACH if grown[1] else high
        return None

    def open_cells(self, nodes: np.ndarray) -> np.ndarray | None:
        """Cells between the nodes of (m, n) rows over which nothing is proved yet, (open, 2); None: B is no bound."""
        flat = nodes.ravel()
        data, curvature = self._at(flat)
        shape = (*nodes.shape, *data.shape[1:])
        data, curvature = data.reshape(shape), curvature.reshape(shape)
        width = np.diff(nodes, axis=1)[..., None, None]
        growth = width**2 / 8.0 * np.exp(width)
        left = data[:, :-1] - growth * curvature[:, :-1]
        right = data[:, 1:] - growth * curvature[:, 1:]
        safe = np.minimum(np.linalg.eigvalsh(left)[..., 0], np.linalg.eigvalsh(right)[..., 0]) >= -self.slack
        row, cell = np.nonzero(~safe)
        if len(row) and np.linalg.eigvalsh(data[row, cell])[:, 0].min() < -self.slack:
            return None
        return np.stack([nodes[row, cell], nodes[row, cell + 1]], axis=1)

    def _at(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """h I + M/N - B, and the bound of its second derivative, at (n,) values of ln w; (n, C, C) arrays."""
        scaled = self._couplings * np.exp(u)
        spread = self._temperature + scaled
        bells = scaled * self._temperature / spread**2
        diagonal = np.arange(self.at.problem.n_outputs)
        data = self._matrices(1.0 / spread) / self._width - self._bound
        data[:, diagonal, diagonal] += self.height(u)[:, None]
        curvature = self._matrices(bells) / (self._width * self._temperature)
        curvature[:, diagonal, diagonal] += (np.exp(u) + bells.sum(0) / self._width)[:, None]
        return data, curvature

    def _matrices(self, weights: np.ndarray) -> np.ndarray:
        """Sum_k weights_kn Z_k Z_k^T for (r, n) weights, (n, C, C)."""
        p = self.at.problem
        rows, columns = p.entries
        found = (self._pairs @ weights).T
        matrices = np.empty((weights.shape[1], p.n_outputs, p.n_outputs))
        matrices[:, rows, columns] = found
        matrices[:, columns, rows] = found
        return matrices
