"""What an observable's functions are given: a theory's state, a network, a draw of the posterior.

The names mean the same everywhere, so that one function often serves finite networks of both stages.
Shapes: n grid points, m inputs of a split, N hidden units, C classes.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

Array = Any


class StateInputs(Protocol):
    """What a theory says about one kind of inputs (train or test) at n grid points."""

    @property
    def targets(self) -> np.ndarray:
        """Labels, (m,)."""

    @property
    def class_weights(self) -> np.ndarray:
        """Averaging vectors of the classes, (C, m)."""

    @property
    def mean(self) -> np.ndarray:
        """Mean predictor, (n, m)."""

    @property
    def bias_sq(self) -> np.ndarray:
        """Squared bias of the mean predictor, mean over inputs, (n,)."""

    @property
    def predictive_variance(self) -> np.ndarray:
        """Variance of the predictor, mean over inputs, (n,)."""

    def feature_form(self, vector: np.ndarray) -> np.ndarray:
        """a^T K' a of the posterior feature kernel for an (m,) vector a, (n,)."""

    def feature_spread(self, weights: np.ndarray) -> np.ndarray:
        """Sum_mu u_mu K'_mumu - u^T K' u for (m,) weights u that sum to one, (n,)."""


class State(Protocol):
    """What a theory says at n grid points."""

    @property
    def train(self) -> StateInputs:
        """On the training inputs."""

    @property
    def test(self) -> StateInputs | None:
        """On the test inputs; None where there are none."""

    @property
    def readout_variance(self) -> np.ndarray:
        """<v^2>, (n,)."""

    @property
    def hidden_trace_shift(self) -> np.ndarray:
        """<|w|^2> - N0/lambda0, (n,); NaN where the theory does not know it."""

    @property
    def signal_variance(self) -> np.ndarray:
        """<(w.u)^2>, (n,)."""

    @property
    def readout_signal_covariance(self) -> np.ndarray:
        """<v (w.u)>, (n,)."""


class NetworkInputs(Protocol):
    """One kind of inputs as one network sees them."""

    @property
    def y(self) -> Array:
        """Labels, (m,)."""

    @property
    def class_weights(self) -> Array:
        """Averaging vectors of the classes, (C, m)."""

    @property
    def preactivations(self) -> Array:
        """h = w.x/sqrt(N0), (m, N); of networks in training alone."""

    @property
    def features(self) -> Array:
        """sigma(h), (m, N)."""

    @property
    def output(self) -> Array:
        """f(x), (m,); of a draw of the posterior E[f(x) | w]."""


class Network(Protocol):
    """One network at one time of its training."""

    @property
    def train(self) -> NetworkInputs:
        """On the training inputs."""

    @property
    def test(self) -> NetworkInputs:
        """On the test inputs, of which there may be none."""

    @property
    def readout(self) -> Array:
        """v, (N,); of a draw of the posterior an exact draw of v given w."""

    @property
    def signal_weights(self) -> Array:
        """w.u of every unit, (N,)."""

    @property
    def hidden_trace_shift(self) -> Array:
        """Mean over units of |w|^2 minus its prior value, or what has the same posterior mean."""

    @property
    def tangent_kernel(self) -> Array:
        """Empirical tangent kernel Theta on the training inputs, (P, P); of networks in training alone."""

    @property
    def tangent_kernel_max(self) -> Array:
        """Largest eigenvalue of Theta; of networks in training alone."""


class DrawInputs(NetworkInputs, Protocol):
    """One kind of inputs of a draw, with what is known of the average over the readout."""

    @property
    def output_variance(self) -> Array:
        """Mean over the inputs of Var[f(x) | w]."""


class Draw(Network, Protocol):
    """One draw of the hidden weights of the posterior; given it the readout is Gaussian."""

    @property
    def train(self) -> DrawInputs:
        """On the training inputs."""

    @property
    def test(self) -> DrawInputs:
        """On the test inputs, of which there may be none."""

    @property
    def readout_mean(self) -> Array:
        """E[v | w], (N,)."""

    @property
    def readout_second_moment(self) -> Array:
        """Mean over units of E[v^2 | w]."""
