"""The proportional limit of an activation that is not odd: two order parameters Q and R (docs/cavity.md, A).

With m = E[sigma] and Kc = K - m m^T = U diag(kappa) U^T, p = 1/(1+R), and theta = Q/(lambda1 T),

    Sigma = T (1 + theta Kc) + (p/lambda1) m m^T                                                      (A.1)
    S     = 1 + Q - Q/p - ln p + (1/N) ln det Sigma + (1/N) y^T Sigma^-1 y                            (A.2)

is maximal in p at fixed Q (R is conjugate to Q) and minimal in Q. In t = p/Q the maximum lies between
1/(1 + E/(4 G N)) and N/(N-1), eq. (A.5), where a safeguarded iteration finds it; what is left is a function
of u = ln Q alone, whose minima are bracketed on a mesh over the interval of eq. (A.6) and bisected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from proplim.kernels import feature_mean, stein_coefficients
from proplim.theory._blocks import Points, in_blocks
from proplim.theory._spectrum import Spectrum

MESH = 240
"""Nodes of the mesh in ln Q on which minima are bracketed."""
BISECTIONS = 60
RESIDUAL_TOLERANCE = 1e-9
"""Accepted residual of either equation, relative to the size of its terms."""
_BLOCK = 32


@dataclass(frozen=True)
class _Basis:
    """The training set in the eigenbasis of Kc: kappa, U, and m and y in that basis, (P,) each."""

    eigenvalues: np.ndarray
    eigenvectors: np.ndarray
    mean: np.ndarray
    labels: np.ndarray


class _State(NamedTuple):
    """Sigma^-1 = diag(1/A) - c' (mt/A)(mt/A)^T and Sigma^-1 y in the eigenbasis, for n points."""

    inverse: np.ndarray  # 1/A, (n, P)
    spike: np.ndarray  # c', (n,)
    residual: np.ndarray  # U^T a, (n, P)


def solve_two_order_parameters(spectrum: Spectrum, points: Points) -> dict[str, np.ndarray]:
    """Proportional limit of an activation that is not odd, at every point (docs/cavity.md, part A).

    Parameters
    ----------
    spectrum : Spectrum
    points : Points

    Returns
    -------
    dict of (n,), (n, 2) or (n, 2, 2) arrays
        The variables of the theory cube; `conjugate_order_parameter` is R, `stationarity_residual` the larger
        of the relative residuals of both equations, `converged` says that both are at rounding level.
    """
    basis = _basis(spectrum)
    forms = _Forms.build(spectrum, basis)

    def block(t: np.ndarray, n: np.ndarray, l1: np.ndarray) -> dict[str, np.ndarray]:
        solution = _solve(basis, t, n, l1)
        return solution | _observables(spectrum, basis, forms, solution, t, n, l1)

    result = in_blocks(block, *points, block=_BLOCK)
    result["converged"] = (result["stationarity_residual"] <= RESIDUAL_TOLERANCE).astype(float)
    return {k: v for k, v in result.items() if k not in ("share", "action")}


def two_order_parameter_residual(spectrum: Spectrum, points: Points) -> np.ndarray:
    """Sigma^-1 y on the training inputs at every point, shape (n, P); NaN where no solution was found."""
    basis = _basis(spectrum)

    def block(t: np.ndarray, n: np.ndarray, l1: np.ndarray) -> dict[str, np.ndarray]:
        s = _solve(basis, t, n, l1)
        state = _state(basis, s["order_parameter"], s["share"], t, l1)
        good = s["stationarity_residual"] <= RESIDUAL_TOLERANCE
        return {"a": np.where(good[:, None], state.residual @ basis.eigenvectors.T, np.nan)}

    return in_blocks(block, *points, block=_BLOCK)["a"]


def find_two_order_parameter_peaks(
    spectrum: Spectrum, width: np.ndarray, lambda1: np.ndarray
) -> dict[str, np.ndarray]:
    """T* of D of (A.9); parameters and result as :func:`proplim.theory._peaks.find_peaks`."""
    from proplim.theory._peaks import maximise

    def distance(points: Points) -> np.ndarray:
        solved = solve_two_order_parameters(spectrum, points)
        return np.where(solved["converged"][:, None] > 0, solved["centroid_distance_sq"], np.nan)

    return maximise(distance, spectrum, width, lambda1)


def _basis(spectrum: Spectrum) -> _Basis:
    mean = feature_mean(spectrum.activation, spectrum.dataset.x_train, spectrum.lambda0)
    eigenvalues, eigenvectors = np.linalg.eigh(spectrum.kernel - np.outer(mean, mean))
    # features without variance along a mode: then Kc and B vanish on it, and so must their rounding errors
    floor = max(len(mean), 10) * np.finfo(float).eps * max(eigenvalues[-1], np.linalg.norm(mean) ** 2)
    return _Basis(
        np.where(eigenvalues > floor, eigenvalues, 0.0),
        eigenvectors,
        eigenvectors.T @ mean,
        eigenvectors.T @ spectrum.dataset.y_train,
    )


def _state(basis: _Basis, q: np.ndarray, p: np.ndarray, t: np.ndarray, l1: np.ndarray) -> _State:
    inverse = 1.0 / (t[:, None] + (q / l1)[:, None] * basis.eigenvalues)
    g = (inverse * basis.mean**2).sum(-1)
    e = (inverse * (basis.mean * basis.labels)).sum(-1)
    spike = (p / l1) / (1.0 + (p / l1) * g)
    return _State(inverse, spike, inverse * (basis.labels - (spike * e)[:, None] * basis.mean))


def _share(
    q: np.ndarray, g: np.ndarray, e2: np.ndarray, n: np.ndarray, iterations: int = 80
) -> tuple[np.ndarray, np.ndarray]:
    """p of eq. (A.4) at given Q, and the residual; G = m^T A^-1 m/lambda1, E = (m^T A^-1 y)^2/lambda1.

    The left side of (A.4) falls from positive to negative over the interval of eq. (A.5).
    """
    n = np.broadcast_to(n, q.shape)
    low = -np.log1p(np.divide(e2, 4.0 * g * n, out=np.zeros_like(q), where=g > 0))
    high = np.where(n > 1, -np.log1p(-1.0 / np.maximum(n, 1.0 + 1e-12)), 30.0)
    x, active = np.zeros_like(q), np.ones(q.shape, dtype=bool)

    def slope(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        p = q * np.exp(x)
        r = 1.0 / (1.0 + p * g)
        value = np.exp(-x) - 1.0 + (p * g * r - p * e2 * r * r) / n
        derivative = -np.exp(-x) + (p * g * r * r - p * e2 * r * r * (2.0 * r - 1.0)) / n
        return value, derivative

    for _ in range(iterations):
        value, derivative = slope(x)
        low, high = np.where(value > 0, x, low), np.where(value > 0, high, x)
        newton = x - value / np.where(derivative < 0, derivative, -1.0)
        inside = (newton > low) & (newton < high) & (derivative < 0)
        step = np.where(inside, newton, 0.5 * (low + high))
        active &= np.abs(step - x) > 1e-16  # each point stops by itself, whatever its neighbours do
        if not active.any():
            break
        x = np.where(active, step, x)
    return q * np.exp(x), slope(x)[0]


def _slope(
    basis: _Basis, q: np.ndarray, t: np.ndarray, n: np.ndarray, l1: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Q dS/dQ at the maximum over p, eq. (A.3), p, the residual of (A.4) and the size of the terms."""
    kappa, m, y = basis.eigenvalues, basis.mean, basis.labels
    inverse = 1.0 / (t[:, None] + (q / l1)[:, None] * kappa)
    g, e = (inverse * m**2).sum(-1), (inverse * (m * y)).sum(-1)
    p, residual = _share(q, g / l1, e * e / l1, n)
    spike = (p / l1) / (1.0 + (p / l1) * g)
    trace = (inverse * kappa).sum(-1) - spike * (inverse**2 * (kappa * m**2)).sum(-1)
    a = inverse * (y - (spike * e)[:, None] * m)
    energy = (kappa * a * a).sum(-1)
    factor = q / (n * l1)
    value = q - q / p + factor * (trace - energy)
    return value, p, residual, 1.0 + q + factor * (trace + energy)


def _action(
    basis: _Basis, q: np.ndarray, p: np.ndarray, t: np.ndarray, n: np.ndarray, l1: np.ndarray
) -> np.ndarray:
    """S of eq. (A.2); the 1 makes it the S(Q) of an odd activation as m -> 0, where p -> Q."""
    a = t[:, None] + (q / l1)[:, None] * basis.eigenvalues
    g = (basis.mean**2 / a).sum(-1)
    e = (basis.mean * basis.labels / a).sum(-1)
    c = p / l1
    log_det = np.log(a).sum(-1) + np.log1p(c * g)
    return (
        1.0
        + q
        - q / p
        - np.log(p)
        + (log_det + (basis.labels**2 / a).sum(-1) - c * e * e / (1.0 + c * g)) / n
    )


def _solve(basis: _Basis, t: np.ndarray, n: np.ndarray, l1: np.ndarray) -> dict[str, np.ndarray]:
    """Bracket every minimum in ln Q on a mesh, bisect, and keep the one of lowest action."""
    label_energy, trace = (basis.labels**2).sum(), basis.eigenvalues.sum()
    low = np.log(0.999 * np.maximum(1.0 - 1.0 / n, 1e-6) / (1.0 + trace / (n * t * l1)))
    high = np.log(
        1.001 * (1.0 + label_energy / (2.0 * n * t)) * np.where(n > 1, n / np.maximum(n - 1, 1e-9), 1e6)
    )
    fractions = np.linspace(0.0, 1.0, MESH)
    mesh = low[:, None] + (high - low)[:, None] * fractions  # (points, MESH)
    value = np.stack([_slope(basis, np.exp(mesh[:, j]), t, n, l1)[0] for j in range(MESH)], axis=1)
    point, cell = np.nonzero((value[:, :-1] < 0.0) & (value[:, 1:] >= 0.0))
    left, right = mesh[point, cell], mesh[point, cell + 1]
    tp, np_, lp = t[point], n[point], l1[point]
    for _ in range(BISECTIONS):
        middle = 0.5 * (left + right)
        falling = _slope(basis, np.exp(middle), tp, np_, lp)[0] < 0.0
        left, right = np.where(falling, middle, left), np.where(falling, right, middle)
    q = np.exp(0.5 * (left + right))
    slope, p, share_residual, size = _slope(basis, q, tp, np_, lp)
    action = _action(basis, q, p, tp, np_, lp)
    residual = np.maximum(np.abs(slope) / size, np.abs(share_residual))

    result = {k: np.full(len(t), np.nan) for k in ("order_parameter", "share", "action")}
    result["stationarity_residual"] = np.full(len(t), np.inf)
    result["stationary_points"] = (np.diff(np.sign(value), axis=1) != 0).sum(axis=1).astype(float)
    for i in np.lexsort((-action, point)):  # the lowest action of a point is written last
        k = point[i]
        result["order_parameter"][k], result["share"][k], result["action"][k] = q[i], p[i], action[i]
        result["stationarity_residual"][k] = residual[i]
    bad = np.isnan(result["order_parameter"])
    result["order_parameter"][bad], result["share"][bad] = (
        1.0,
        1.0,
    )  # keeps what follows finite; not converged
    result["conjugate_order_parameter"] = 1.0 / result["share"] - 1.0
    result["free_energy"] = 0.5 * result["action"]
    return result


@dataclass(frozen=True)
class _Forms:
    """What the observables of one input set need: Kc and m against the training basis, class averages."""

    modes: np.ndarray  # Kc(x, X) U, (n, P)
    mean: np.ndarray  # m(x), (n,)
    centred_diagonal: np.ndarray  # Kc(x, x), (n,)
    targets: np.ndarray
    weights: np.ndarray  # u_s, (2, n)
    class_kernel: np.ndarray  # u_s^T K u_s', (2, 2)

    @staticmethod
    def build(spectrum: Spectrum, basis: _Basis) -> list[_Forms]:
        data, activation, lambda0 = spectrum.dataset, spectrum.activation, spectrum.lambda0
        mean = feature_mean(activation, data.x_train, lambda0)
        weights = spectrum.class_weights_train
        diagonal = np.diag(spectrum.kernel) - mean**2
        forms = [
            _Forms(
                basis.eigenvectors * basis.eigenvalues,
                mean,
                diagonal,
                data.y_train,
                weights,
                weights @ spectrum.kernel @ weights.T,
            )
        ]
        if data.n_test:
            m = feature_mean(activation, data.x_test, lambda0)
            centred = spectrum.kernel_test_train - np.outer(m, mean)
            forms.append(
                _Forms(
                    (centred @ basis.eigenvectors) * (basis.eigenvalues > 0.0),
                    m,
                    spectrum.kernel_test_diagonal - m**2,
                    data.y_test,
                    spectrum.class_weights_test,
                    spectrum.test_class_kernel,
                )
            )
        return forms


def _observables(
    spectrum: Spectrum,
    basis: _Basis,
    forms: list[_Forms],
    solution: dict[str, np.ndarray],
    t: np.ndarray,
    n: np.ndarray,
    l1: np.ndarray,
) -> dict[str, np.ndarray]:
    q, p = solution["order_parameter"], solution["share"]
    state = _state(basis, q, p, t, l1)
    splits = [_split(f, basis, state, q, p, n, l1) for f in forms]
    # on the training inputs y - f = T a and Var f = T - T^2 diag Sigma^-1, written without cancellation
    n_train = spectrum.n_train
    splits[0]["bias_sq"] = ((t[:, None] * state.residual) ** 2).sum(-1) / n_train
    loading = (q / l1)[:, None] * basis.eigenvalues * state.inverse
    spiked = state.spike * (state.inverse**2 * basis.mean**2).sum(-1)
    splits[0]["predictive_variance"] = (t * loading.sum(-1) + t * t * spiked) / n_train
    if len(splits) == 1:
        splits.append({k: np.full_like(v, np.nan) for k, v in splits[0].items()})
    result = {k: np.stack([s[k] for s in splits], axis=1) for k in splits[0]}
    result["mse"] = result["bias_sq"] + result["predictive_variance"]
    result["readout_variance"] = q / l1
    squared_error = n_train * result["mse"][:, 0]
    result["mean_energy"] = squared_error / (2.0 * n)
    # dS/dT at the stationary point is tr Sigma^-1 - |a|^2 over N: (A.10)
    trace = state.inverse.sum(-1) - state.spike * (state.inverse**2 * basis.mean**2).sum(-1)
    result["free_energy_temperature_derivative"] = (trace - (state.residual**2).sum(-1)) / (2.0 * n)
    return result | _hidden_weights(spectrum, basis, state, q / l1, n)


def _split(
    form: _Forms, basis: _Basis, state: _State, q: np.ndarray, p: np.ndarray, n: np.ndarray, l1: np.ndarray
) -> dict[str, np.ndarray]:
    """Predictor, eqs. (A.7), and class geometry, eq. (A.9), on one input set."""
    v, c = q / l1, p / l1
    overlap = (state.residual * basis.mean).sum(-1)  # m . a
    centred = state.residual @ form.modes.T  # Kc(x, X) a, (points, n)
    mean = v[:, None] * centred + (c * overlap)[:, None] * form.mean
    m_inverse = state.inverse * basis.mean
    g = (m_inverse * basis.mean).sum(-1)
    cross = m_inverse @ form.modes.T  # m^T A^-1 Kc(X, x)
    square = state.inverse @ (form.modes**2).T
    spike = state.spike[:, None]
    # k^T Sigma^-1 k for k = (v Kc + c m m^T)(X, x)
    k_m = v[:, None] * cross + (c * g)[:, None] * form.mean
    k_a_k = (
        (v**2)[:, None] * square
        + (2.0 * v * c)[:, None] * cross * form.mean
        + (c**2 * g)[:, None] * form.mean**2
    )
    variance = v[:, None] * form.centred_diagonal + c[:, None] * form.mean**2 - k_a_k + spike * k_m**2

    # K Sigma^-1 K with K = Kc + m m^T, and K a
    full = centred + overlap[:, None] * form.mean
    full_m = cross + g[:, None] * form.mean
    diagonal_inverse = square + 2.0 * cross * form.mean + g[:, None] * form.mean**2 - spike * full_m**2
    class_full, class_full_m = full @ form.weights.T, full_m @ form.weights.T
    class_mean = form.weights @ form.mean
    class_modes = form.weights @ form.modes
    class_cross = m_inverse @ class_modes.T
    pairs = [(0, 0), (1, 1), (0, 1)]
    scale = v / n
    norm = overlap**2 - (g - state.spike * g * g)  # m^T M m
    shift = {}
    for i, j in pairs:
        inverse_ij = state.inverse @ (class_modes[i] * class_modes[j])
        inverse_ij = inverse_ij + class_cross[:, i] * class_mean[j] + class_cross[:, j] * class_mean[i]
        inverse_ij = inverse_ij + g * class_mean[i] * class_mean[j]
        inverse_ij = inverse_ij - state.spike * class_full_m[:, i] * class_full_m[:, j]
        shift[i, j] = scale * (
            class_full[:, i] * class_full[:, j] - inverse_ij - norm * class_mean[i] * class_mean[j]
        )
    diagonal = form.centred_diagonal + form.mean**2
    diagonal = diagonal + scale[:, None] * (full**2 - diagonal_inverse - norm[:, None] * form.mean**2)
    kernel = form.class_kernel
    distance = (
        kernel[1, 1] + kernel[0, 0] - 2.0 * kernel[0, 1] + shift[1, 1] + shift[0, 0] - 2.0 * shift[0, 1]
    )
    radii = diagonal @ form.weights.T - np.stack([kernel[s, s] + shift[s, s] for s in (0, 1)], axis=-1)
    return {
        "bias_sq": ((mean - form.targets) ** 2).mean(-1),
        "predictive_variance": np.maximum(variance, 0.0).mean(-1),
        "accuracy": (mean * form.targets > 0.0).mean(-1),
        "centroid_distance_sq": np.maximum(distance, 0.0),
        "gyration_radius_sq": np.maximum(radii, 0.0),
    }


def _hidden_weights(
    spectrum: Spectrum, basis: _Basis, state: _State, v: np.ndarray, n: np.ndarray
) -> dict[str, np.ndarray]:
    """Moments of a unit's weights, eq. (A.8)."""
    coefficients = stein_coefficients(spectrum.activation, spectrum.dataset.x_train, spectrum.lambda0)
    vectors = spectrum.dataset.x_train.T @ (
        coefficients[:, None] * basis.eigenvectors * (basis.eigenvalues > 0.0)
    )  # B U, (N0, P)
    if vectors.shape[0] > vectors.shape[1]:
        vectors = np.linalg.qr(vectors, mode="r")
    signal = state.residual @ vectors.T
    norm_sq = (signal**2).sum(-1)
    along_mean = (state.inverse * basis.mean) @ vectors.T
    trace = state.inverse @ (vectors**2).sum(0) - state.spike * (along_mean**2).sum(-1)
    back = signal @ vectors
    reduction = (state.inverse * back**2).sum(-1)
    reduction = reduction - state.spike * ((state.inverse * basis.mean) * back).sum(-1) ** 2
    has_signal = norm_sq > 0.0
    variance = norm_sq - reduction / np.where(has_signal, norm_sq, 1.0)
    return {
        "hidden_trace_shift": v / n * (norm_sq - trace),
        "readout_signal_covariance": v * np.sqrt(norm_sq / n),
        "signal_variance": np.where(has_signal, 1.0 / spectrum.lambda0 + v / n * variance, np.nan),
    }
