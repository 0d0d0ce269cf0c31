"""How the modes of the kernel respond to the labels: t, r and their sums (docs/theory.md, section 3.2)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class ModeSums(NamedTuple):
    """p and e of docs/theory.md, eqs. 3.3 and 3.4, and their derivatives with ln theta; (n,) arrays.

    Parameters
    ----------
    p : sum_k t_k
    e : sum_k yt_k^2 t_k r_k
    dp : sum_k t_k r_k
    de : sum_k yt_k^2 t_k r_k (r_k - t_k)
    """

    p: np.ndarray
    e: np.ndarray
    dp: np.ndarray
    de: np.ndarray


class Response(NamedTuple):
    """Response of every mode at n values of theta = Q/(lambda1 T); (n, r) arrays.

    Parameters
    ----------
    t : theta kappa_k/(1 + theta kappa_k), the part of its label that a mode learns
    r : 1/(1 + theta kappa_k), the part that it leaves
    """

    t: np.ndarray
    r: np.ndarray

    @classmethod
    def of(cls, eigenvalues: np.ndarray, theta: np.ndarray) -> Response:
        """Response at (n,) values of theta of modes with (r,) eigenvalues kappa."""
        t = theta[:, None] * eigenvalues
        r = 1.0 + t
        np.divide(1.0, r, out=r)
        t *= r
        return cls(t, r)

    def sums(self, label_energies: np.ndarray) -> ModeSums:
        """Sums over modes with the (r,) squared labels in the eigenbasis."""
        bell = self.t * self.r
        p, dp = self.t.sum(-1), bell.sum(-1)
        bell *= label_energies
        e = bell.sum(-1)
        bell *= self.r - self.t
        return ModeSums(p, e, dp, bell.sum(-1))

    def learned(self, labels: np.ndarray, eigenvalues: np.ndarray) -> np.ndarray:
        """b_k = kappa_k^(-1/2) t_k yt_k (docs/theory.md, eq. 3.9), (n, r)."""
        return self.t * (labels / np.sqrt(eigenvalues))
