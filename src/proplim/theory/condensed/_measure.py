"""The measure of k explicit units among Gaussian others (docs/condensed.md, eq. C.1).

The k units (z_j, v_j), h_j = L z_j with L L^T = C, are kept as they are; the other n = N - k are Gaussian, with
readouts of squared norm n Q/lambda1, and see the labels that the explicit ones leave:

    U = sum_j (|z_j|^2 + lambda1 v_j^2)/2 + (n/2) (Q - u) + (1/2) sum_k [ ln D_k + r_k^2/D_k ],     Q = exp(u) (C.1)
    D_k = T + g kappa_k,    g = (Q/lambda1) (n/N),    r = U^T (y - f),    f = N^(-1/2) sum_j v_j sigma(h_j)

exp(-U) is the density in (z, v, u). Everything here works on many states side by side, a row each, and in the precision
of the coordinates: single precision moves U by less than 1e-4 and takes a third of the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.special import gammaln

from proplim.theory._cavity_draws import Problem
from proplim.theory.condensed._crowd import others_below
from proplim.theory.condensed._reaction import Reaction
from proplim.theory.condensed._slopes import features_and_slopes


class States(NamedTuple):
    """States of the explicit units and of the order parameter of the others, one a row.

    Parameters
    ----------
    z : (S, k, r) array
        Whitened hidden weights in the row space of the training inputs.
    v : (S, k) array
        Readouts.
    u : (S,) array
        ln Q.
    """

    z: np.ndarray
    v: np.ndarray
    u: np.ndarray


class Terms(NamedTuple):
    """What the states leave for the other units, in the eigenbasis of K."""

    features: np.ndarray  # sigma(h), (S, k, P)
    slopes: np.ndarray  # sigma'(h), (S, k, P)
    contribution: np.ndarray  # U^T f, (S, m)
    labels: np.ndarray  # r, (S, m)
    widths: np.ndarray  # D, (S, m)
    prior: np.ndarray  # g, (S,)


class _Arrays(NamedTuple):
    """Of the problem, in one precision."""

    root: np.ndarray  # L, (P, r)
    basis: np.ndarray  # U, (P, m)
    kappa: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True, eq=False)
class Measure:
    """Eq. (C.1) at one point.

    Parameters
    ----------
    problem : Problem
        Data set, activation and lambda0: kernel spectrum and root of C.
    temperature, width, lambda1 : float
        T, N and the precision of a readout's prior.
    units : int
        k.
    reaction : Reaction or None
        Added to U in :meth:`largest`.
    """

    problem: Problem
    temperature: float
    width: float
    lambda1: float
    units: int = 1
    reaction: Reaction | None = None

    @property
    def others(self) -> float:
        """n = N - k."""
        return self.width - self.units

    @property
    def rank(self) -> int:
        """r."""
        return int(self.problem.root.shape[1])

    @property
    def dimension(self) -> int:
        """k (r + 1) + 1."""
        return self.units * (self.rank + 1) + 1

    @cached_property
    def constant(self) -> float:
        """What normalised priors, and modes on which K vanishes, add to U."""
        spectrum, n = self.problem.spectrum, self.others
        order_parameter = gammaln(0.5 * n) + 0.5 * n * np.log(2.0 / n)
        gaussian = 0.5 * self.units * ((self.rank + 1) * np.log(2.0 * np.pi) - np.log(self.lambda1))
        null = 0.5 * spectrum.n_null * np.log(self.temperature)
        null += 0.5 * spectrum.null_label_energy / self.temperature
        return float(order_parameter + gaussian + null)

    @cached_property
    def _double(self) -> _Arrays:
        spectrum = self.problem.spectrum
        return _Arrays(self.problem.root, spectrum.eigenvectors, spectrum.eigenvalues, spectrum.labels)

    @cached_property
    def _single(self) -> _Arrays:
        return _Arrays(*(np.ascontiguousarray(x, dtype=np.float32) for x in self._double))

    def _arrays(self, states: States) -> _Arrays:
        return self._single if states.z.dtype == np.float32 else self._double

    def pack(self, states: States) -> np.ndarray:
        """Rows of coordinates (S, dimension)."""
        return np.concatenate([states.z.reshape(len(states.u), -1), states.v, states.u[:, None]], axis=1)

    def unpack(self, x: np.ndarray) -> States:
        """Inverse of :meth:`pack`."""
        split = self.units * self.rank
        return States(x[:, :split].reshape(len(x), self.units, self.rank), x[:, split:-1], x[:, -1])

    def terms(self, states: States) -> Terms:
        """Features of the explicit units and what they leave."""
        root, basis, kappa, labels = self._arrays(states)
        count = len(states.u)
        h = states.z.reshape(count * self.units, -1) @ root.T
        shape = (count, self.units, -1)
        features, slopes = (x.reshape(shape) for x in features_and_slopes(self.problem.activation, h))
        output = np.einsum("sk,skp->sp", states.v, features)
        contribution = (output @ basis) * root.dtype.type(1.0 / np.sqrt(self.width))
        prior = np.exp(states.u) * root.dtype.type(self.others / (self.width * self.lambda1))
        widths = root.dtype.type(self.temperature) + prior[:, None] * kappa
        return Terms(features, slopes, contribution, labels - contribution, widths, prior)

    def plain(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """U of eq. (C.1) and its gradient, (S,) and (S, dimension)."""
        states = self.unpack(x)
        terms = self.terms(states)
        response = terms.labels / terms.widths
        return self._energy_and_gradient(states, terms, response, response)

    def largest(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """U of the units with the largest |v|, with the reaction of the others, and its gradient.

        The readouts of the others, of mean square Q/lambda1, all lie below the smallest explicit one, which adds
        -ln P_n(min |v| sqrt(lambda1/Q)) (docs/condensed.md, eq. C.2).
        """
        energy, gradient = self.free(x)
        below, d_v, d_u = self._others_below(self.unpack(x.astype(float)))
        gradient[:, -1 - self.units : -1] += d_v
        gradient[:, -1] += d_u
        return energy + below, gradient

    def free(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """U of eq. (C.1) with the reaction of the others, of units of any readout, and its gradient."""
        states = self.unpack(x)
        terms = self.terms(states)
        response = terms.labels / terms.widths
        if self.reaction is None:
            return self._energy_and_gradient(states, terms, response, response)
        size = np.abs(states.v)
        smallest = size.argmin(axis=1)
        rows = np.arange(len(size))
        extra, push, d_smallest = self.reaction(terms.contribution, size[rows, smallest])
        energy, gradient = self._energy_and_gradient(states, terms, response, response + push)
        sign = np.sign(states.v[rows, smallest])
        gradient[rows, self.units * self.rank + smallest] += d_smallest * sign
        return energy + extra, gradient

    def _energy_and_gradient(
        self, states: States, terms: Terms, response: np.ndarray, pull: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """`response` is D^-1 r; `pull`, minus the derivative of U by f, has the reaction in it."""
        root, basis, _, _ = self._arrays(states)
        n, u = self.others, states.u.astype(float)
        q = np.exp(u)
        energy = 0.5 * (
            _dot(states.z, states.z)
            + self.lambda1 * _dot(states.v, states.v)
            + n * (q - u)
            + np.log(terms.widths).sum(axis=1)
            + _dot(terms.labels, response)
        )
        back = (pull @ basis.T) * root.dtype.type(1.0 / np.sqrt(self.width))
        d_v = self.lambda1 * states.v - np.einsum("skp,sp->sk", terms.features, back)
        along = terms.slopes * back[:, None, :]
        along *= states.v[:, :, None]
        d_z = states.z - (along.reshape(-1, back.shape[1]) @ root).reshape(states.z.shape)
        # the sum over k of (g kappa/D) (1 - r^2/D), with g kappa = D - T
        loss = _dot(terms.labels, response) - self.temperature * _dot(response, response)
        loading = (terms.widths - self.temperature) / terms.widths
        d_u = 0.5 * (n * (q - 1.0) + loading.sum(axis=1) - loss)
        return energy, self.pack(States(d_z, d_v, d_u.astype(root.dtype)))

    def _others_below(self, states: States) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """-ln P(all others' |v| < the smallest explicit one), and its derivatives in v and u."""
        size = np.abs(states.v)
        smallest = size.argmin(axis=1)
        rows = np.arange(len(size))
        scale = np.sqrt(self.lambda1) * np.exp(-0.5 * states.u)
        x = size[rows, smallest] * scale
        below = others_below(x, self.others)
        d_v = np.zeros_like(states.v)
        d_v[rows, smallest] = -below.slope * scale * np.sign(states.v[rows, smallest])
        return -below.log, d_v, 0.5 * below.slope * x


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Product of two arrays summed over all axes but the first."""
    return np.einsum("si,si->s", a.reshape(len(a), -1), b.reshape(len(b), -1))
