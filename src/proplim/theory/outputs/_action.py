"""The effective action of the matrix order parameter, its gradient and its Hessian (docs/multiclass.md, section 2).

With Q = R diag(w) R^T, c_k = kappa_k/lambda1, A_kj = T + c_k w_j and Z = U^T Y R,

    S = sum_j (w_j - ln w_j) + (1/N) sum_kj ln A_kj + (1/N) sum_kj Z_kj^2 / A_kj,        t = c w/A,  r = T/A.

Derivatives are with respect to the symmetric matrix E of the logarithm relative to Q itself, Q(E) = R W^(1/2) exp(E)
W^(1/2) R^T: for one output E is the change of ln Q. With s_kj = sqrt(c_k w_j) Z_kj/A_kj,

    dS/dE_ij   = delta_ij (w_i - 1 + (1/N) sum_k t_ki) - (1/N) sum_k s_ki s_kj
    d2S[E, E]  = sum_ij E_ij^2 [ (w_i + w_j)/2 + (1/N) sum_k (t_ki r_kj + r_ki t_kj)/2 ]
               + (1/N) sum_ijl E_ij E_jl sum_k s_ki s_kl (t_kj - r_kj)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

SQRT2 = float(np.sqrt(2.0))


@dataclass(frozen=True)
class Problem:
    """One grid point.

    Parameters
    ----------
    couplings : (r,) array
        c_k = kappa_k / lambda1.
    labels : (r, C) array
        U^T Y.
    null_energy : float
        Squared norm of the part of Y outside the range of the kernel.
    n_null : int
        Modes of zero eigenvalue.
    temperature, width : float
        T, N.
    """

    couplings: np.ndarray
    labels: np.ndarray
    null_energy: float
    n_null: int
    temperature: float
    width: float

    @property
    def n_outputs(self) -> int:
        """C."""
        return self.labels.shape[1]

    @cached_property
    def entries(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the independent entries of a symmetric C x C matrix."""
        return np.triu_indices(self.n_outputs)

    @cached_property
    def lengths(self) -> np.ndarray:
        """Norm of each independent entry: off the diagonal it stands twice."""
        rows, columns = self.entries
        return np.where(rows == columns, 1.0, SQRT2)

    def as_vector(self, matrix: np.ndarray) -> np.ndarray:
        """A symmetric matrix as a vector of the same norm, (C (C + 1)/2,)."""
        return matrix[self.entries] * self.lengths

    def as_matrix(self, vector: np.ndarray) -> np.ndarray:
        """The symmetric matrix of a vector."""
        matrix = np.zeros((self.n_outputs, self.n_outputs))
        matrix[self.entries] = vector / self.lengths
        return np.maximum(matrix, matrix.T) + np.minimum(matrix, matrix.T) - np.diag(np.diag(matrix))


@dataclass(frozen=True)
class At:
    """The action at one order parameter Q = R diag(w) R^T.

    Parameters
    ----------
    problem : Problem
    eigenvalues : (C,) array
        w.
    basis : (C, C) array
        R, eigenvectors as columns.
    """

    problem: Problem
    eigenvalues: np.ndarray
    basis: np.ndarray

    @classmethod
    def isotropic(cls, problem: Problem, value: float) -> At:
        """Q = value * I."""
        return cls(problem, np.full(problem.n_outputs, value), np.eye(problem.n_outputs))

    @cached_property
    def labels(self) -> np.ndarray:
        """Z, (r, C)."""
        return self.problem.labels @ self.basis

    @cached_property
    def scaled(self) -> np.ndarray:
        """c_k w_j, (r, C)."""
        return self.problem.couplings[:, None] * self.eigenvalues

    @cached_property
    def spread(self) -> np.ndarray:
        """A, (r, C)."""
        return self.problem.temperature + self.scaled

    @cached_property
    def learned(self) -> np.ndarray:
        """t, (r, C)."""
        return self.scaled / self.spread

    @cached_property
    def left(self) -> np.ndarray:
        """r, (r, C)."""
        return self.problem.temperature / self.spread

    @cached_property
    def pulls(self) -> np.ndarray:
        """s, (r, C)."""
        return np.sqrt(self.scaled) * self.labels / self.spread

    @cached_property
    def action(self) -> float:
        """S, modes of zero eigenvalue included."""
        p, w = self.problem, self.eigenvalues
        log_det = np.log(self.spread).sum() + p.n_null * p.n_outputs * np.log(p.temperature)
        energy = (self.labels**2 / self.spread).sum() + p.null_energy / p.temperature
        return float(w.sum() - np.log(w).sum() + (log_det + energy) / p.width)

    @cached_property
    def gradient(self) -> np.ndarray:
        """dS/dE, (C, C)."""
        matrix = -(self.pulls.T @ self.pulls) / self.problem.width
        return matrix + np.diag(self.eigenvalues - 1.0 + self.learned.sum(0) / self.problem.width)

    @property
    def residual(self) -> float:
        """Largest entry of the gradient."""
        return float(np.abs(self.gradient).max())

    @cached_property
    def magnitude(self) -> float:
        """Size of the terms of which the gradient is the sum.

        A label along an eigenvector is known to the rounding of all labels of its mode.
        """
        n, norms = self.problem.width, np.sqrt((self.problem.labels**2).sum(1, keepdims=True))
        largest = norms * np.sqrt(self.scaled) / self.spread
        diagonal = self.eigenvalues + 1.0 + self.learned.sum(0) / n
        return float((np.diag(diagonal) + largest.T @ np.abs(self.pulls) / n).max())

    @cached_property
    def hessian(self) -> np.ndarray:
        """d2S in the coordinates of :meth:`Problem.as_vector`, (m, m) with m = C (C + 1)/2."""
        p, c = self.problem, self.problem.n_outputs
        mixed = self.learned.T @ self.left
        local = (self.eigenvalues[:, None] + self.eigenvalues) / 2.0 + (mixed + mixed.T) / (2.0 * p.width)
        pairs = (self.pulls[:, :, None] * self.pulls[:, None, :]).reshape(len(self.pulls), c * c)
        through = (pairs.T @ (self.learned - self.left)).reshape(c, c, c) / p.width
        rows, columns = p.entries
        # An entry (i, j) of E stands at (i, j) and at (j, i); on the diagonal both are one.
        weight = np.where(rows == columns, 0.5, 1.0 / SQRT2)
        hessian = np.zeros((len(rows), len(rows)))
        for i, j in ((rows, columns), (columns, rows)):
            for k, m in ((rows, columns), (columns, rows)):
                meet = j[:, None] == k[None, :]
                hessian += np.where(meet, through[i[:, None], m[None, :], j[:, None]], 0.0)
        hessian *= weight[:, None] * weight
        hessian[np.diag_indices(len(rows))] += local[rows, columns]
        return hessian

    def moved(self, change: np.ndarray) -> At:
        """At Q(E) for a symmetric (C, C) matrix E."""
        logarithms, vectors = np.linalg.eigh(change)
        root = np.sqrt(self.eigenvalues)[:, None] * vectors * np.exp(0.5 * logarithms)
        turned, lengths, _ = np.linalg.svd(root)
        return At(self.problem, lengths**2, self.basis @ turned)

    @cached_property
    def temperature_gradient(self) -> np.ndarray:
        """d/dlnT of the gradient at fixed Q, (C, C)."""
        pulled = self.pulls.T @ (self.pulls * self.left)
        change = (pulled + pulled.T) / self.problem.width
        return change - np.diag((self.learned * self.left).sum(0) / self.problem.width)

    @cached_property
    def response(self) -> np.ndarray:
        """dE/dlnT along the solution, (C, C): minus the inverse Hessian times the change of the gradient."""
        p = self.problem
        return -p.as_matrix(np.linalg.solve(self.hessian, p.as_vector(self.temperature_gradient)))
