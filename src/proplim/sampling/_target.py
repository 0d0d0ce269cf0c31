"""The posterior of the hidden weights with the readout integrated out (docs/sampler.md, section 1).

Whitened coordinates: the rows of the training inputs span r <= min(P, N0) directions. With the thin singular
value decomposition X = U S V^T, a unit's weights inside the span are w = V z / sqrt(lambda0), z ~ N(0, I_r), and
its preactivations are h = A z with A = U S / sqrt(N0 lambda0). The likelihood does not see the rest of w, which
keeps its prior. For Z = (z_1 ... z_N), Phi = sigma(A Z) of shape (P, N) and c = 1/(N lambda1)

    log p(Z | y) = -|Z|^2 / 2 + l(Z),     l = -(1/2) ln det S - (1/2) y^T S^-1 y,     S = T I + c Phi Phi^T
    dl/dPhi = c (a a^T - S^-1) Phi,       a = S^-1 y

Nothing is differentiated through a factorisation. For P > N the N x N matrix T I + c Phi^T Phi serves instead.

With C outputs, y in R^(P x C), the readouts are independent given w (docs/theory.md, section 10), and each of them
adds its own l with the same S:

    l(Z) = -(C/2) ln det S - (1/2) tr Y^T S^-1 Y,     dl/dPhi = c (A A^T - C S^-1) Phi,     A = S^-1 Y
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from proplim.activations import Activation
from proplim.datasets import Dataset
from proplim.kernels import row_space

Array = Any


MOST_INPUTS = 1.3
"""Training inputs for a direction of their span up to which a product with C = A A^T is cheaper than with A and A^T."""
LARGEST_BLOCK = 64
"""Size up to which a system is inverted as a whole; half of it is faster by a fifth and compiles for seconds."""
NORM = 8
"""Which norm of the mean readouts stands for the largest of them: a smooth maximum, symmetric in the units."""


class Bias(NamedTuple):
    """A spring that holds the heavy readout at a value: log density -(strength/2) (heavy - centre)^2.

    Parameters
    ----------
    strength, centre : scalars
    """

    strength: Array
    centre: Array


class Problem(NamedTuple):
    """Everything the compiled programs need to know of a grid point, as arrays.

    Parameters
    ----------
    inputs_train : (P, r) array, float64
        A: whitened training inputs.
    inputs_test : (P_test, r) array, float32
        Part of the test inputs inside the span of the training inputs, whitened alike.
    outside_test : (P_test, r_out) array, float32
        Square root of the prior covariance of the test preactivations that comes from outside the span.
    y_train, y_test : (P,) and (P_test,) arrays, float64
        Labels; of C outputs the targets, (P, C) and (P_test, C).
    weights_train, weights_test : (C, P) and (C, P_test) arrays
        Averaging vectors of the C classes.
    signal : (r,) or (r, C) array
        w . u = signal . z, of each output.
    temperature, lambda0, readout_scale : scalars
        T, lambda0 and c = 1 / (N lambda1).
    kernel_train : (P, P) array or None
        C = A A^T, where trajectories follow preactivations (:func:`proplim.sampling._kernel.propose`).
    bias : Bias or None
        None: the posterior itself.
    """

    inputs_train: Array
    inputs_test: Array
    outside_test: Array
    y_train: Array
    y_test: Array
    weights_train: Array
    weights_test: Array
    signal: Array
    temperature: Array
    lambda0: Array
    readout_scale: Array
    kernel_train: Array | None = None
    bias: Bias | None = None


@dataclass(frozen=True)
class Whitened:
    """Inputs of a data set in the row space of its training inputs, in units where lambda0 = 1.

    Parameters
    ----------
    basis : (N0, r) array
        V: orthonormal directions of the span.
    train : (P, r) array
        U S / sqrt(N0).
    test : (P_test, r) array
    outside : (P_test, r_out) array
        Root of the covariance that test preactivations have outside the span.
    """

    basis: np.ndarray
    train: np.ndarray
    test: np.ndarray
    outside: np.ndarray


def whiten(dataset: Dataset) -> Whitened:
    """Rotate inputs into the row space of the training inputs."""
    scale = np.sqrt(dataset.n_features)
    space = row_space(dataset.x_train / scale)
    test = dataset.x_test / scale
    return Whitened(space.basis, space.coordinates, space.inside(test), space.outside(test))


def make_problem(
    dataset: Dataset,
    whitened: Whitened,
    direction: np.ndarray,
    *,
    width: int,
    temperature: float,
    lambda0: float,
    lambda1: float,
) -> Problem:
    """Arrays of one grid point; `direction` is the (N0,) signal direction u, of C outputs (N0, C)."""
    scale = 1.0 / np.sqrt(lambda0)
    inputs_train = whitened.train * scale
    n_train, rank = inputs_train.shape
    return Problem(
        inputs_train=inputs_train,
        inputs_test=(whitened.test * scale).astype(np.float32),
        outside_test=(whitened.outside * scale).astype(np.float32),
        y_train=dataset.y_train,
        y_test=dataset.y_test,
        weights_train=dataset.weights_train,
        weights_test=dataset.weights_test,
        signal=(whitened.basis.T @ direction) * scale,
        temperature=np.float64(temperature),
        lambda0=np.float64(lambda0),
        readout_scale=np.float64(1.0 / (width * lambda1)),
        kernel_train=inputs_train @ inputs_train.T if n_train <= MOST_INPUTS * rank else None,
    )


class Factor(NamedTuple):
    """What one factorisation of S gives.

    Parameters
    ----------
    log_likelihood : scalar
        l(Z).
    residual : (P,) or (P, C) array
        a = S^-1 y, so that T a = y - E[f | w].
    root : (min(P, N), max(P, N)) array
        L^-1 Phi for P <= N, else L^-1 Phi^T, with L the Cholesky factor. In both cases
        c |root|^2 = P - T tr S^-1 is the number of directions of the readout that the data fix.
    cholesky : (min(P, N), min(P, N)) array
        L.
    """

    log_likelihood: Array
    residual: Array
    root: Array
    cholesky: Array


def factorise(features: Array, y: Array, temperature: Array, readout_scale: Array) -> Factor:
    """Factorise the smaller of the two systems for features Phi of shape (P, N)."""
    return (_factorise_inputs if features.shape[0] <= features.shape[1] else _factorise_units)(
        features, y, temperature, readout_scale
    )


def _factorise_inputs(features: Array, y: Array, temperature: Array, c: Array) -> Factor:
    import jax.numpy as jnp

    chol = _cholesky(_system(features.T, temperature, c))
    root = solve_lower(chol, features)
    z = solve_lower(chol, _columns(y))
    residual = _like(y, solve_lower(chol, z, transpose=True))
    value = -_times_outputs(y, jnp.log(jnp.diagonal(chol)).sum()) - 0.5 * (z * z).sum()
    return Factor(value, residual, root, chol)


def _factorise_units(features: Array, y: Array, temperature: Array, c: Array) -> Factor:
    import jax.numpy as jnp

    count, width = features.shape
    chol = _cholesky(_system(features, temperature, c))
    root = solve_lower(chol, features.T)
    z = solve_lower(chol, _columns(features.T @ y))
    mean = _like(y, solve_lower(chol, z, transpose=True))
    residual = (y - c * (features @ mean)) / temperature
    # y^T S^-1 y = y . a has no cancellation beyond the one in a itself
    value = (
        -0.5 * _times_outputs(y, (count - width) * jnp.log(temperature))
        - _times_outputs(y, jnp.log(jnp.diagonal(chol)).sum())
        - 0.5 * (y @ residual if y.ndim == 1 else (y * residual).sum())
    )
    return Factor(value, residual, root, chol)


def _columns(y: Array) -> Array:
    """Labels of one output as a matrix of one column; targets of C outputs as they are."""
    return y[:, None] if y.ndim == 1 else y


def _like(y: Array, columns: Array) -> Array:
    """Columns with the axes of y: one column as a vector where y is one."""
    return columns[:, 0] if y.ndim == 1 else columns


def _times_outputs(y: Array, value: Array) -> Array:
    """C times a value, for y of C outputs."""
    return value if y.ndim == 1 else y.shape[1] * value


def feature_gradient(features: Array, factor: Factor, readout_scale: Array) -> Array:
    """dl/dPhi = c (a (a^T Phi) - S^-1 Phi), summed over outputs, shape (P, N)."""
    solved = solve_lower(factor.cholesky, factor.root, transpose=True)
    if features.shape[0] > features.shape[1]:
        solved = solved.T
    return _feature_gradient(features, factor.residual, solved, readout_scale)


def _feature_gradient(features: Array, residual: Array, solved: Array, readout_scale: Array) -> Array:
    """The same from a = S^-1 y and S^-1 Phi."""
    if residual.ndim == 2:
        return readout_scale * (residual @ (residual.T @ features) - residual.shape[1] * solved)
    return readout_scale * (residual[:, None] * (residual @ features)[None, :] - solved)


def likelihood(problem: Problem, activation: Activation, hidden: Array) -> tuple[Array, Array, Factor]:
    """Preactivations A Z, features Phi and the factorisation of S, in float64."""
    preactivation = problem.inputs_train @ hidden
    features = activation.jax_features(preactivation)
    factor = factorise(features, problem.y_train, problem.temperature, problem.readout_scale)
    return preactivation, features, factor


def gradient(problem: Problem, activation: Activation, hidden: Array, dtype: Any) -> Array:
    """dl/dZ = A^T (dl/dPhi * sigma'(A Z)), computed in `dtype`, returned in the type of `hidden`."""
    inputs = problem.inputs_train.astype(dtype)
    slope = preactivation_gradient(problem, activation, inputs @ hidden.astype(dtype))
    return (inputs.T @ slope).astype(hidden.dtype)


def preactivation_gradient(problem: Problem, activation: Activation, preactivation: Array) -> Array:
    """dl/dH = dl/dPhi * sigma'(H) at preactivations H (P, N), in their type."""
    dtype = preactivation.dtype
    features = activation.jax_function(preactivation).astype(dtype)
    scale = problem.readout_scale.astype(dtype)
    solved = _solve_by_inverse(
        features, problem.y_train.astype(dtype), problem.temperature.astype(dtype), scale
    )
    slope = _feature_gradient(features, solved.residual, solved.features, scale)
    if problem.bias is not None:
        slope = slope + _bias_gradient(problem.bias, features, solved, scale)
    return slope * activation.jax_derivative(preactivation).astype(dtype)


class Solved(NamedTuple):
    """What the gradient takes from S.

    Parameters
    ----------
    residual : (P,) or (P, C) array
        a = S^-1 y.
    features : (P, N) array
        S^-1 Phi.
    """

    residual: Array
    features: Array


def _solve_by_inverse(features: Array, y: Array, temperature: Array, c: Array) -> Solved:
    """As :func:`factorise`, by products: a library's triangular solves take twice as long as an inverse in blocks."""
    if features.shape[0] <= features.shape[1]:
        inverse = _inverse(_system(features.T, temperature, c))
        return Solved(inverse @ y, inverse @ features)
    inverse = _inverse(_system(features, temperature, c))
    residual = (y - c * (features @ (inverse @ (features.T @ y)))) / temperature
    return Solved(residual, features @ inverse)


def _system(features: Array, temperature: Array, c: Array) -> Array:
    """T I + c Phi^T Phi."""
    import jax.numpy as jnp

    return c * (features.T @ features) + temperature * jnp.eye(features.shape[1], dtype=features.dtype)


def _inverse(matrix: Array) -> Array:
    """Inverse of a symmetric positive matrix, of which the lower triangle is read.

    In blocks [[A, B^T], [B, D]] with W = B A^-1 and the Schur complement's inverse C = (D - W B^T)^-1, the inverse is
    [[A^-1 + W^T C W, -(C W)^T], [-C W, C]].
    """
    import jax.numpy as jnp

    size = matrix.shape[0]
    if size <= LARGEST_BLOCK:
        lower = solve_lower(_cholesky(matrix), jnp.eye(size, dtype=matrix.dtype))
        return lower.T @ lower
    half = size // 2
    first, below, last = matrix[:half, :half], matrix[half:, :half], matrix[half:, half:]
    inverse = _inverse(first)
    along = below @ inverse
    schur = _inverse(last - along @ below.T)
    off = schur @ along
    return jnp.block([[inverse + along.T @ off, -off.T], [-off, schur]])


def heavy_readout(features: Array, factor: Factor, readout_scale: Array) -> Array:
    """Smooth maximum of |E[v_i | w]| / sqrt(N) = c |Phi^T a|_i over the units: of order one where one is heavy.

    Of C outputs |.| is the norm over outputs.
    """
    if factor.residual.ndim == 2:
        return _norm(_lengths(readout_scale * (factor.residual.T @ features)))
    return _norm(readout_scale * (factor.residual @ features))


def _lengths(means: Array) -> Array:
    """Norm over outputs of mean readouts (C, N), (N,)."""
    import jax.numpy as jnp

    return jnp.sqrt((means * means).sum(0))


def bias_energy(problem: Problem, features: Array, factor: Factor) -> Array:
    """Log density of the bias, zero where there is none."""
    if problem.bias is None:
        return 0.0 * factor.log_likelihood
    heavy = heavy_readout(features, factor, problem.readout_scale)
    return -0.5 * problem.bias.strength * (heavy - problem.bias.centre) ** 2


def _norm(values: Array) -> Array:
    """(sum |x|^NORM)^(1/NORM), scaled so that no power overflows."""
    import jax.numpy as jnp

    largest = jnp.maximum(jnp.abs(values).max(), jnp.finfo(values.dtype).tiny)
    return largest * ((values / largest) ** NORM).sum() ** (1.0 / NORM)


def _bias_gradient(bias: Bias, features: Array, solved: Solved, c: Array) -> Array:
    """Derivative of the bias' log density in Phi.

    With mu = c Phi^T a, q = d heavy / d mu and b = S^-1 Phi q,
    d heavy / d Phi = c (a q^T - b mu^T - c a (Phi^T b)^T), summed over outputs.
    """
    if solved.residual.ndim == 2:
        return _bias_gradient_of_outputs(bias, features, solved, c)
    mean = c * (solved.residual @ features)
    heavy = _norm(mean)
    weight = (mean / heavy) ** (NORM - 1)
    b = solved.features @ weight
    a = solved.residual[:, None]
    slope = c * (a * (weight - c * (b @ features)) - b[:, None] * mean)
    pull = bias.strength * (heavy.astype(bias.centre.dtype) - bias.centre)
    return -pull.astype(features.dtype) * slope


def _bias_gradient_of_outputs(bias: Bias, features: Array, solved: Solved, c: Array) -> Array:
    """The same for C outputs, whose q_ic = mu_ic |mu_i|^(NORM - 2) / heavy^(NORM - 1)."""
    import jax.numpy as jnp

    means = c * (solved.residual.T @ features)
    lengths = jnp.maximum(_lengths(means), jnp.finfo(means.dtype).tiny)
    heavy = _norm(lengths)
    weights = means / lengths * (lengths / heavy) ** (NORM - 1)
    b = solved.features @ weights.T
    slope = c * (solved.residual @ (weights - c * (b.T @ features)) - b @ means)
    pull = bias.strength * (heavy.astype(bias.centre.dtype) - bias.centre)
    return -pull.astype(features.dtype) * slope


def _cholesky(matrix: Array) -> Array:
    import jax

    return jax.lax.linalg.cholesky(matrix, symmetrize_input=False)


def solve_lower(chol: Array, right: Array, transpose: bool = False) -> Array:
    """L^-1 right, or L^-T right."""
    import jax

    return jax.lax.linalg.triangular_solve(chol, right, left_side=True, lower=True, transpose_a=transpose)
