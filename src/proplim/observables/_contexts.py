"""What an observable's functions are given: a theory's state, a network, a draw of the posterior.

The names mean the same everywhere, so that one function often serves finite networks of both stages.
Shapes: n grid points, m inputs of a split, N hidden units, C classes.

Two classes have one output, and the shapes are as written. Where there are three and more classes, with one output
each, C outputs are the last axis of whatever belongs to an output: labels are targets (m, C), the mean predictor and
f(x) are (n, m, C) and (m, C), readout weights v and the weights w.u_c along the signals (N, C); means over inputs
become means over inputs and outputs, means over units of a squared readout weight means over units and outputs.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

Array = Any


class ClassKernel(NamedTuple):
    """A kernel averaged over classes at n grid points, in which distances and radii of the classes are linear.

    Parameters
    ----------
    between : (n, C, C) array
        u_s^T G u_s', the scalar products of the centroids.
    spread : (n, C) array
        u_s . diag(G) - u_s^T G u_s, free of cancellation where a theory can say it.
    """

    between: np.ndarray
    spread: np.ndarray


class StateInputs(Protocol):
    """What a theory says about one kind of inputs (train or test) at n grid points."""

    @property
    def targets(self) -> np.ndarray:
        """Labels, (m,); of C outputs the targets, (m, C)."""

    @property
    def class_weights(self) -> np.ndarray:
        """Averaging vectors of the classes, (C, m)."""

    @property
    def mean(self) -> np.ndarray:
        """Mean predictor, (n, m); of C outputs (n, m, C)."""

    @property
    def bias_sq(self) -> np.ndarray:
        """Squared bias of the mean predictor, mean over inputs (and outputs), (n,)."""

    @property
    def predictive_variance(self) -> np.ndarray:
        """Variance of the predictor, mean over inputs (and outputs), (n,)."""

    def feature_form(self, vector: np.ndarray) -> np.ndarray:
        """a^T K' a of the posterior feature kernel for an (m,) vector a, (n,)."""

    def feature_spread(self, weights: np.ndarray) -> np.ndarray:
        """Sum_mu u_mu K'_mumu - u^T K' u for (m,) weights u that sum to one, (n,)."""

    @property
    def normalized_class_kernel(self) -> ClassKernel:
        """Class averages of the cosine kernel K'_ij/sqrt(K'_ii K'_jj).

        May be left out by a theory of one's own: the normalised geometry is then NaN.
        """


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
        """<v^2>, (n,); of C outputs their mean."""

    @property
    def hidden_trace_shift(self) -> np.ndarray:
        """<|w|^2> - N0/lambda0, (n,); NaN where the theory does not know it."""

    @property
    def signal_variance(self) -> np.ndarray:
        """<(w.u)^2>, (n,); of C outputs <(w.u_c)^2>, (n, C)."""

    @property
    def readout_signal_covariance(self) -> np.ndarray:
        """<v (w.u)>, (n,); of C outputs <v_c (w.u_c)>, (n, C)."""


class OutputsState(State, Protocol):
    """What a theory says at n grid points of C outputs."""

    @property
    def readout_covariance(self) -> np.ndarray:
        """<v_c v_c'>, (n, C, C)."""


class NetworkInputs(Protocol):
    """One kind of inputs as one network sees them."""

    @property
    def y(self) -> Array:
        """Labels, (m,); of C outputs the targets, (m, C)."""

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
        """f(x), (m,) or (m, C); of a draw of the posterior E[f(x) | w]."""


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
        """v, (N,) or (N, C); of a draw of the posterior an exact draw of v given w."""

    @property
    def signal_weights(self) -> Array:
        """w.u of every unit, (N,); of C outputs w.u_c along the signal of each, (N, C)."""

    @property
    def hidden_trace_shift(self) -> Array:
        """Mean over units of |w|^2 minus its prior value, or what has the same posterior mean."""

    @property
    def tangent_kernel(self) -> Array:
        """Empirical tangent kernel Theta on the training inputs, (P, P); of networks in training alone.

        Of C outputs (P C, P C), outputs of an input side by side as in the targets (P, C) flattened.
        """

    @property
    def tangent_kernel_max(self) -> Array:
        """Largest eigenvalue of Theta; of networks in training alone."""


class DrawInputs(NetworkInputs, Protocol):
    """One kind of inputs of a draw, with what is known of the average over the readout."""

    @property
    def output_variance(self) -> Array:
        """Mean over the inputs (and outputs) of Var[f(x) | w]."""


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
        """E[v | w], (N,) or (N, C)."""

    @property
    def readout_second_moment(self) -> Array:
        """Mean over units (and outputs) of E[v^2 | w]."""


class OutputsDraw(Draw, Protocol):
    """One draw of the hidden weights of the posterior of C outputs."""

    @property
    def readout_second_moments(self) -> Array:
        """Mean over units of E[v_c v_c' | w], (C, C)."""
