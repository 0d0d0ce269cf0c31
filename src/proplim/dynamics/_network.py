"""The network being trained, in coordinates where a step costs least.

With h_i(x) = w_i . x / sqrt(N0), a gradient step moves w_i by a combination of training inputs only. What
is integrated is therefore a displacement S from the initial hidden weights, in one of four frames:

dual        w = w0 + X^T S / sqrt(N0), S is (P, N): h = h0 + C S, and S moves by dL/dh itself,
row space   w = w0 + V S, S is (r, N), V an orthonormal basis of the r-dimensional span of the inputs,
full        w = w0 + S, S is (N0, N), for adam, which singles out the coordinate axes,
rotated     w = w0 + (V W) S, S is (N0, N), W an orthonormal basis of the rest, for langevin, whose noise is
            everywhere: the first r rows feel the data, the others do not.

Dual and row space follow the very same trajectory (docs/dynamics.md, section 2).
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

from proplim._jax import jnp
from proplim.activations import Activation
from proplim.datasets import Dataset
from proplim.kernels import row_space
from proplim.schema import Point

Array = Any  # a NumPy array going into a compiled program, a JAX array inside
FrameKind = Literal["inputs", "full", "rotated"]


class Split(NamedTuple):
    """Inputs of one split as the frame sees them."""

    y: Array
    """(P_s,) labels; of C outputs the targets, (P_s, C)."""
    forward: Array
    """(P_s, r): preactivations are h0 + forward @ S."""
    class_weights: Array
    """(C, P_s) averaging vectors of the classes."""


class Problem(NamedTuple):
    """Data of one grid point in a frame of dimension r."""

    train: Split
    test: Split
    backward: Array | None
    """(r, P): S moves by backward @ (-dL/dh); None where that product is the identity (dual frame)."""
    gram: Array
    """(P, P): x_mu . x_nu / N0."""
    signal: Array
    """(r,), of C outputs (r, C): u . (w - w0) = signal @ S."""
    prior_norm_sq: float
    """N0 / lambda0."""
    inside: Array | None = None
    """(P, r): the columns of the training split's `forward` that do not vanish, in the rotated frame alone."""


class Start(NamedTuple):
    """A draw of the network from the prior, in the same frame."""

    h_train: Array
    """(P, N) preactivations."""
    h_test: Array
    """(P_test, N)."""
    overlap: Array
    """(r, N): w0 . (w - w0) = sum_r overlap * S."""
    signal: Array
    """(N,), of C outputs (N, C): u . w0."""
    norm_sq: Array
    """(N,): |w0|^2."""
    readout: Array
    """(N,), of C outputs (N, C): v."""


class Parameters(NamedTuple):
    """Where a trajectory is: displacement of the hidden weights and readout."""

    hidden: Array
    """(r, N): S."""
    readout: Array
    """(N,), of C outputs (N, C): v."""


class Frame(NamedTuple):
    """A problem and the map that takes hidden weights into it."""

    problem: Problem
    basis: np.ndarray
    """(N0, r): w - w0 = basis @ S."""


def build_frame(dataset: Dataset, signal: np.ndarray, lambda0: float, *, kind: FrameKind) -> Frame:
    """Choose the cheapest frame and write the problem in it.

    Parameters
    ----------
    dataset : Dataset
    signal : (N0,) or (N0, C) array
        Unit vector u, of each output.
    lambda0 : float
    kind : {"inputs", "full", "rotated"}
        What the optimizer's steps are made of: combinations of training inputs (the cheaper of dual frame
        and row space is taken), or anything, in the coordinates of the inputs or in rotated ones.

    Notes
    -----
    A step costs 4 P r N operations in the row space and 2 P^2 N in the dual frame.
    """
    x, n_features = dataset.x_train, dataset.n_features
    if kind == "full":
        return _frame_of(dataset, signal, lambda0, np.eye(n_features))
    basis = row_space(x).basis
    rank = basis.shape[1]
    if kind == "rotated":
        return _rotated_frame(dataset, signal, lambda0, basis)
    if dataset.n_train < 2 * rank:
        frame = _frame_of(dataset, signal, lambda0, x.T / np.sqrt(n_features))
        return frame._replace(problem=frame.problem._replace(backward=None))
    return _frame_of(dataset, signal, lambda0, basis)


def _rotated_frame(dataset: Dataset, signal: np.ndarray, lambda0: float, basis: np.ndarray) -> Frame:
    """The frame of all weights, those that the training inputs see first."""
    rank = basis.shape[1]
    rest = np.linalg.qr(basis, mode="complete")[0][:, rank:]
    problem, whole = _frame_of(dataset, signal, lambda0, np.concatenate([basis, rest], axis=1))
    train = np.array(problem.train.forward)
    train[:, rank:] = 0.0  # rounding errors of zero
    inside = np.ascontiguousarray(train[:, :rank])
    seen = problem.train._replace(forward=train)
    return Frame(problem._replace(train=seen, backward=np.ascontiguousarray(inside.T), inside=inside), whole)


def _frame_of(dataset: Dataset, signal: np.ndarray, lambda0: float, basis: np.ndarray) -> Frame:
    """The frame of displacements that are combinations of the columns of an (N0, r) basis."""
    x, n_features = dataset.x_train, dataset.n_features
    train = x @ basis / np.sqrt(n_features)
    problem = Problem(
        train=Split(dataset.y_train, train, dataset.weights_train),
        test=Split(dataset.y_test, dataset.x_test @ basis / np.sqrt(n_features), dataset.weights_test),
        backward=np.ascontiguousarray(train.T),
        gram=x @ x.T / n_features,
        signal=basis.T @ signal,
        prior_norm_sq=n_features / lambda0,
    )
    return Frame(problem, basis)


def draw_start(frame: Frame, dataset: Dataset, signal: np.ndarray, point: Point, *, seed: int) -> Start:
    """Draw w and v from the prior of a grid point (docs/theory.md, section 1), in the full input space, and project."""
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((point.width, dataset.n_features)) / np.sqrt(point.lambda0)
    readout = rng.standard_normal((point.width, *dataset.y_train.shape[1:])) / np.sqrt(point.lambda1)
    scale = np.sqrt(dataset.n_features)
    return Start(
        h_train=dataset.x_train @ hidden.T / scale,
        h_test=dataset.x_test @ hidden.T / scale,
        overlap=frame.basis.T @ hidden.T,
        signal=hidden @ signal,
        norm_sq=(hidden**2).sum(1),
        readout=readout,
    )


def origin(problem: Problem, start: Start) -> Parameters:
    """Parameters before the first step."""
    rank = problem.train.forward.shape[1]
    return Parameters(jnp.zeros((rank, start.readout.shape[0])), jnp.asarray(start.readout))


def descent_direction(
    problem: Problem,
    start: Start,
    parameters: Parameters,
    activation: Activation,
    batch: Array | None = None,
) -> Parameters:
    """Minus the gradient of L = (1/2) sum_mu (y_mu - f(x_mu))^2, summed over outputs, in the frame.

    With residual e = y - f: dv_i = N^(-1/2) sum_mu e_mu sigma(h_i mu), and S moves by
    e_mu . v_i sigma'(h_i mu) / sqrt(N), taken back through the inputs.

    Parameters
    ----------
    batch : (B,) array of integers, optional
        Training inputs from which the sum over mu is estimated without bias, as P / B times the sum over
        them.
    """
    hidden, readout = parameters
    n_train, width = start.h_train.shape
    scale = width**-0.5
    h_start, forward, y, weight = start.h_train, problem.train.forward, problem.train.y, 1.0
    if batch is not None:
        h_start, forward, y, weight = h_start[batch], forward[batch], y[batch], n_train / batch.shape[0]
    h = h_start + forward @ hidden
    features = activation.jax_features(h)
    residual = weight * (y - scale * (features @ readout))
    slope = activation.jax_derivative(h)
    if readout.ndim == 2:
        force = (scale * residual) @ readout.T * slope
        return Parameters(_to_frame(problem, force, batch), scale * (features.T @ residual))
    force = (scale * residual)[:, None] * readout[None, :] * slope
    return Parameters(_to_frame(problem, force, batch), scale * (residual @ features))


def _to_frame(problem: Problem, force: Array, batch: Array | None) -> Array:
    """Move of S that a force -dL/dh on (some of) the training inputs makes."""
    if problem.backward is None:
        return (
            force
            if batch is None
            else jnp.zeros((problem.gram.shape[0], force.shape[1])).at[batch].set(force)
        )
    return (problem.backward if batch is None else problem.train.forward[batch].T) @ force


def pulled_back(problem: Problem, features: Array, slopes: Array, residual: Array) -> Parameters:
    """J^T e, the move of the parameters that residuals e on the training inputs make.

    Parameters
    ----------
    features : (P, N) array
        sigma(h).
    slopes : (P, N) or (P, C, N) array
        v sigma'(h), see :func:`proplim.dynamics._tangent_kernel.slopes_of`.
    residual : (P,) or (P, C) array
    """
    scaled = residual / jnp.sqrt(features.shape[1])
    if residual.ndim == 2:
        force = (scaled[:, :, None] * slopes).sum(1)
        return Parameters(_to_frame(problem, force, None), features.T @ scaled)
    return Parameters(_to_frame(problem, scaled[:, None] * slopes, None), scaled @ features)
