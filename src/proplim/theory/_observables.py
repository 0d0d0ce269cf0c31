"""Observables of Gaussian-process regression with the prior rescaled by Q, in the eigenbasis of the kernel.

With theta = Q/(lambda1 T), t_k = theta kappa_k/(1 + theta kappa_k) and r_k = 1 - t_k = 1/(1 + theta kappa_k),
every observable of docs/theory.md, section 3.3, is a linear form in t or r, or the square of an image of

    b_k = kappa_k^(-1/2) t_k yt_k,          (Q/lambda1) K^(1/2) a in the eigenbasis,

under a matrix that the grid does not change. Predictor, errors and variances are sums of positive terms,
without cancellation as T -> 0 or T -> infinity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from proplim.theory._blocks import Points, in_product_blocks
from proplim.theory._products import row_product
from proplim.theory._spectrum import Spectrum


@dataclass(frozen=True)
class InputForms:
    """Matrices of the linear forms on one set of inputs (train or test).

    Parameters
    ----------
    mean : callable
        b -> Psi b, the mean predictor; Psi Psi^T is the part of K that the training inputs explain.
    targets : (n,) array
        Labels.
    weights : (2, n) array
        u_s.
    prior_centroid, prior_radius : float, (2,) array
        D and R_s^2 of the prior kernel.
    contrast : (r,) array
        (u_+ - u_-)^T Psi, so that the fall of D with Sigma^-1 is contrast^2 . t / N.
    radius : (2, r) array
        u_s^T diag(Psi Psi^T) - (u_s^T Psi)^2 mode by mode.
    spread : (r,) array
        Mean over inputs of Psi_k^2.
    residual : float
        Mean over inputs of K(x, x) - sum_k Psi_k^2, zero on the training inputs.
    """

    mean: Callable[[np.ndarray], np.ndarray]
    targets: np.ndarray
    weights: np.ndarray
    prior_centroid: float
    prior_radius: np.ndarray
    contrast: np.ndarray
    radius: np.ndarray
    spread: np.ndarray
    residual: float


@dataclass(frozen=True)
class Forms:
    """All matrices that turn an order parameter into observables.

    Parameters
    ----------
    train : InputForms
    test : InputForms or None
        None without test inputs.
    signal, signal_transposed : callable
        b -> R b = (Q/lambda1) B a in an orthonormal basis, and its transpose.
    trace : (r,) array
        Diagonal of R^T R.
    """

    train: InputForms
    test: InputForms | None
    signal: Callable[[np.ndarray], np.ndarray]
    signal_transposed: Callable[[np.ndarray], np.ndarray]
    trace: np.ndarray


def build_forms(spectrum: Spectrum) -> Forms:
    """Prepare the matrices; O(P^3) once for the whole grid."""
    weights = spectrum.class_weights_train
    train = _input_forms(
        spectrum.eigenvectors * np.sqrt(spectrum.eigenvalues),
        spectrum.dataset.y_train,
        weights,
        weights @ spectrum.kernel @ weights.T,
        np.diag(spectrum.kernel),
    )
    test = None
    if spectrum.dataset.n_test:
        test = _input_forms(
            spectrum.test_modes,
            spectrum.dataset.y_test,
            spectrum.class_weights_test,
            spectrum.test_class_kernel,
            spectrum.kernel_test_diagonal,
        )
    signal = spectrum.signal_modes
    return Forms(train, test, row_product(signal), row_product(signal.T), (signal**2).sum(axis=0))


def _input_forms(
    modes: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    class_kernel: np.ndarray,
    diagonal: np.ndarray,
) -> InputForms:
    centroids = weights @ modes
    squares = modes**2
    return InputForms(
        mean=row_product(modes),
        targets=targets,
        weights=weights,
        prior_centroid=float(class_kernel[1, 1] + class_kernel[0, 0] - 2.0 * class_kernel[0, 1]),
        prior_radius=weights @ diagonal - np.diag(class_kernel),
        contrast=centroids[1] - centroids[0],
        radius=weights @ squares - centroids**2,
        spread=squares.mean(axis=0),
        residual=float(np.maximum(diagonal - squares.sum(axis=1), 0.0).mean()),
    )


def predictor_and_weights(
    spectrum: Spectrum, forms: Forms, points: Points, order_parameter: np.ndarray, *, feature_learning: bool
) -> dict[str, np.ndarray]:
    """All observables at given order parameters.

    Parameters
    ----------
    spectrum : Spectrum
    forms : Forms
    points : Points
        n grid points.
    order_parameter : (n,) array
        Q of every point; 1 at infinite width.
    feature_learning : bool
        False at infinite width: the feature kernel and the hidden weights keep their prior.

    Returns
    -------
    dict of arrays
        (n,), (n, 2) with `split`, or (n, 2, 2) with `split, label`.
    """
    inputs = [forms.train] if forms.test is None else [forms.train, forms.test]
    null_bias_sq = spectrum.null_label_energy / spectrum.n_train
    root = np.sqrt(spectrum.eigenvalues)

    def block(t_: np.ndarray, n: np.ndarray, l1: np.ndarray, q: np.ndarray) -> dict[str, np.ndarray]:
        g = q / l1
        x = (g / t_)[:, None] * spectrum.eigenvalues
        r = 1.0 / (1.0 + x)
        t = x * r
        b = t * spectrum.labels / root
        result = {"readout_variance": g}
        splits = [_split(f, t, r, b, g, n, feature_learning) for f in inputs]
        # on the training inputs y - f = U (r yt) and Var f = T t are free of cancellation
        splits[0]["bias_sq"] = ((r * spectrum.labels) ** 2).sum(-1) / spectrum.n_train + null_bias_sq
        splits[0]["predictive_variance"] = t_ * t.sum(-1) / spectrum.n_train
        if len(splits) == 1:
            splits.append({k: np.full_like(v, np.nan) for k, v in splits[0].items()})
        for name in splits[0]:
            result[name] = np.stack([s[name] for s in splits], axis=1)
        result["mse"] = result["bias_sq"] + result["predictive_variance"]
        result |= (
            _hidden_weights(spectrum, forms, t, b, g, n)
            if feature_learning
            else {
                "hidden_trace_shift": np.zeros_like(g),
                "signal_variance": np.full_like(g, 1.0 / spectrum.lambda0),
                "readout_signal_covariance": np.zeros_like(g),
            }
        )
        return result

    return in_product_blocks(block, *points, order_parameter)


def _split(
    forms: InputForms,
    t: np.ndarray,
    r: np.ndarray,
    b: np.ndarray,
    g: np.ndarray,
    n: np.ndarray,
    feature_learning: bool,
) -> dict[str, np.ndarray]:
    """Predictor and class geometry on one input set (docs/theory.md, eqs. 3.9-3.11)."""
    mean = forms.mean(b)
    result = {
        "bias_sq": ((mean - forms.targets) ** 2).mean(-1),
        "predictive_variance": g * ((r * forms.spread).sum(-1) + forms.residual),
        "accuracy": (mean * forms.targets > 0.0).mean(-1),
    }
    if feature_learning:
        centroids = np.stack([(mean * u).sum(-1) for u in forms.weights], axis=-1)
        squares = np.stack([(mean**2 * u).sum(-1) for u in forms.weights], axis=-1)
        shift = (centroids[:, 1] - centroids[:, 0]) ** 2 / g - (t * forms.contrast**2).sum(-1)
        radius = (squares - centroids**2) / g[:, None]
        radius = radius - np.stack([(t * form).sum(-1) for form in forms.radius], axis=-1)
        result["centroid_distance_sq"] = np.maximum(forms.prior_centroid + shift / n, 0.0)
        result["gyration_radius_sq"] = np.maximum(forms.prior_radius + radius / n[:, None], 0.0)
    else:
        result["centroid_distance_sq"] = np.full_like(g, forms.prior_centroid)
        result["gyration_radius_sq"] = np.repeat(np.maximum(forms.prior_radius, 0.0)[None], len(g), axis=0)
    return result


def _hidden_weights(
    spectrum: Spectrum, forms: Forms, t: np.ndarray, b: np.ndarray, g: np.ndarray, n: np.ndarray
) -> dict[str, np.ndarray]:
    """Single-unit moments along and across the signal (docs/theory.md, eqs. 3.12-3.15).

    Without any signal (zero labels) the direction u is undefined, and so is the variance along it.
    """
    vector = forms.signal(b)  # (Q/lambda1) B a in an orthonormal basis
    norm_sq = (vector**2).sum(-1)
    has_signal = norm_sq > 0.0
    back = forms.signal_transposed(vector)
    reduction = (t * back**2).sum(-1) / np.where(has_signal, norm_sq, 1.0)
    variance = 1.0 / spectrum.lambda0 + (norm_sq / g - reduction) / n
    return {
        "hidden_trace_shift": (norm_sq / g - (t * forms.trace).sum(-1)) / n,
        "readout_signal_covariance": np.sqrt(norm_sq / n),
        "signal_variance": np.where(has_signal, variance, np.nan),
    }
