"""Observables of Gaussian-process regression with the prior rescaled by Q, in the eigenbasis of the kernel.

With theta = Q/(lambda1 T), t_k = theta kappa_k/(1 + theta kappa_k) and r_k = 1 - t_k = 1/(1 + theta kappa_k),
every observable of docs/theory.md, section 3.3, is a linear form in t or r, or the square of an image of

    b_k = kappa_k^(-1/2) t_k yt_k,          (Q/lambda1) K^(1/2) a in the eigenbasis,

under a matrix that the grid does not change. Predictor, errors and variances are sums of positive terms,
without cancellation as T -> 0 or T -> infinity.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace

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
        (u_+ - u_-)^T Psi; its square is the share of the modes in the prior D.
    radius : (2, r) array
        u_s^T diag(Psi Psi^T) - (u_s^T Psi)^2, the share of the modes in the prior R_s^2.
    centroid_rest, radius_rest : float, (2,) array
        What no mode explains of the prior D and R_s^2, zero on the training inputs.
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
    centroid_rest: float
    radius_rest: np.ndarray
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


_FORMS: weakref.WeakKeyDictionary[Spectrum, Forms] = weakref.WeakKeyDictionary()


def forms_of(spectrum: Spectrum) -> Forms:
    """The matrices of a spectrum, prepared once: O(P^3)."""
    if spectrum not in _FORMS:
        _FORMS[spectrum] = _build_forms(spectrum)
    return _FORMS[spectrum]


def _build_forms(spectrum: Spectrum) -> Forms:
    weights = spectrum.class_weights_train
    train = _input_forms(
        spectrum.eigenvectors * np.sqrt(spectrum.eigenvalues),
        spectrum.dataset.y_train,
        weights,
        weights @ spectrum.kernel @ weights.T,
        np.diag(spectrum.kernel),
    )
    # the modes explain all of the training kernel: what is left is rounding, and no number to divide T by
    train = replace(train, residual=0.0, centroid_rest=0.0, radius_rest=np.zeros(2))
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
    contrast = centroids[1] - centroids[0]
    squares = modes**2
    radius = np.maximum(weights @ squares - centroids**2, 0.0)
    prior_centroid = class_kernel[1, 1] + class_kernel[0, 0] - 2.0 * class_kernel[0, 1]
    prior_centroid = float(np.maximum(prior_centroid, 0.0))
    prior_radius = np.maximum(weights @ diagonal - np.diag(class_kernel), 0.0)
    return InputForms(
        mean=row_product(modes),
        targets=targets,
        weights=weights,
        prior_centroid=prior_centroid,
        prior_radius=prior_radius,
        contrast=contrast,
        radius=radius,
        centroid_rest=float(np.maximum(prior_centroid - (contrast**2).sum(), 0.0)),
        radius_rest=np.maximum(prior_radius - radius.sum(axis=1), 0.0),
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
        # prior (1 - 1/N) + (1/N) (part of the prior that the data leave free + rise): all terms positive
        centroids = [(mean * u).sum(-1) for u in forms.weights]
        free = forms.centroid_rest + (r * forms.contrast**2).sum(-1)
        rise = (centroids[1] - centroids[0]) ** 2 / g
        result["centroid_distance_sq"] = forms.prior_centroid * (1.0 - 1.0 / n) + (free + rise) / n
        radii = []
        for s, (u, c) in enumerate(zip(forms.weights, centroids, strict=True)):
            free = forms.radius_rest[s] + (r * forms.radius[s]).sum(-1)
            rise = ((mean - c[:, None]) ** 2 * u).sum(-1) / g
            radii.append(forms.prior_radius[s] * (1.0 - 1.0 / n) + (free + rise) / n)
        result["gyration_radius_sq"] = np.stack(radii, axis=-1)
    else:
        result["centroid_distance_sq"] = np.full_like(g, forms.prior_centroid)
        result["gyration_radius_sq"] = np.repeat(forms.prior_radius[None], len(g), axis=0)
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
