"""The proportional limit of an activation that is not odd: two order parameters Q and R (docs/cavity.md, A).

With m = E[sigma] and Kc = K - m m^T = U diag(kappa) U^T, p = 1/(1+R), and theta = Q/(lambda1 T),

    Sigma = T (1 + theta Kc) + (p/lambda1) m m^T                                                      (A.1)
    S     = 1 + Q - Q/p - ln p + (1/N) ln det Sigma + (1/N) y^T Sigma^-1 y                            (A.2)

is maximal in p at fixed Q (R is conjugate to Q) and minimal in Q. In t = p/Q the maximum lies between
1/(1 + E/(4 G N)) and N/(N-1), eq. (A.5), where a safeguarded iteration finds it; what is left is a function
of u = ln Q alone, whose minima are bracketed on a mesh over the interval of eq. (A.6) and bisected.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from proplim.kernels import feature_mean, stein_coefficients
from proplim.observables import ClassKernel
from proplim.theory._blocks import Points, in_blocks, in_product_blocks
from proplim.theory._cosine import LabelledInputs, products_of
from proplim.theory._products import RowProduct, row_product
from proplim.theory._response import Response
from proplim.theory._spectrum import Spectrum, rounding_floor
from proplim.theory._states import Solution, States

MESH = 240
"""Nodes of the mesh in ln Q on which minima are bracketed."""
WIDENED = 1e-3
"""The mesh reaches this fraction beyond the interval of eq. (A.6)."""
LEAST_FACTOR = 1e-6
"""Stands for 1 - 1/N in the interval of eq. (A.6) at N = 1, where that is zero."""
BISECTIONS = 60
"""Halvings of a cell of the mesh; each minimum takes as many, so that it does not depend on its neighbours."""
SHARE_STEPS = 80
"""Most steps of the iteration for p."""
LARGEST_SHARE = 30.0
"""ln(p/Q) is cut here at N = 1, where the interval (A.5) is unbounded."""
RESIDUAL_TOLERANCE = 1e-9
"""Accepted residual of either equation, relative to the size of its terms."""
BLOCK = 32
"""Points worked on at once: each has MESH nodes of P modes."""


class Basis(NamedTuple):
    """The training set in the eigenbasis of Kc: kappa, U, and m and y in that basis.

    Parameters
    ----------
    eigenvalues : (P,) array
        Exact zeros where the features have no variance.
    eigenvectors : (P, P) array
    mean, labels : (P,) arrays
    """

    eigenvalues: np.ndarray
    eigenvectors: np.ndarray
    mean: np.ndarray
    labels: np.ndarray


class Inverse(NamedTuple):
    """Sigma^-1 = diag(1/A) - c' (mt/A)(mt/A)^T and a = Sigma^-1 y in the eigenbasis, for n points.

    Written so that nothing cancels where p is large, as it is at N = 1.

    Parameters
    ----------
    diagonal : (n, P) array
        1/A.
    g : (n,) array
        m^T A^-1 m.
    share : (n,) array
        1/(1 + c g) with c = p/lambda1.
    spike : (n,) array
        c' = c/(1 + c g).
    spiked_label : (n,) array
        c m.a = c' m^T A^-1 y.
    overlap : (n,) array
        m.a.
    residual : (n, P) array
        U^T a.
    """

    diagonal: np.ndarray
    g: np.ndarray
    share: np.ndarray
    spike: np.ndarray
    spiked_label: np.ndarray
    overlap: np.ndarray
    residual: np.ndarray


def solve_two_order_parameters(spectrum: Spectrum, points: Points) -> Solution:
    """Proportional limit of an activation that is not odd, at every point (docs/cavity.md, part A).

    Parameters
    ----------
    spectrum : Spectrum
    points : Points

    Returns
    -------
    Solution
        `conjugate_order_parameter` is R, `stationarity_residual` the larger of the relative residuals of both
        equations, `converged` says that both are at rounding level.
    """
    basis = _basis(spectrum)

    def block(t: np.ndarray, n: np.ndarray, l1: np.ndarray) -> dict[str, np.ndarray]:
        return _solve(basis, t, n, l1)

    values = in_blocks(block, *points, block=BLOCK)
    share = values.pop("share")
    values["conjugate_order_parameter"] = 1.0 / share - 1.0
    small = values["stationarity_residual"] <= RESIDUAL_TOLERANCE
    values["converged"] = (small & np.isfinite(values["free_energy"])).astype(float)
    forms = _forms_of(spectrum)

    def state(
        t: np.ndarray, n: np.ndarray, l1: np.ndarray, q: np.ndarray, p: np.ndarray
    ) -> TwoParameterState:
        return TwoParameterState(spectrum, forms, Points(t, n, l1), q, p)

    fields = (*points, values["order_parameter"], share)
    return Solution(values, (States(state, fields, block=BLOCK, report=TwoParameterState.energies),))


def two_order_parameter_residual(spectrum: Spectrum, points: Points) -> np.ndarray:
    """Sigma^-1 y on the training inputs at every point, shape (n, P); NaN where no solution was found."""
    basis = _basis(spectrum)

    def block(t: np.ndarray, n: np.ndarray, l1: np.ndarray) -> dict[str, np.ndarray]:
        s = _solve(basis, t, n, l1)
        inverse = _inverse(basis, s["order_parameter"], s["share"], t, l1)
        good = s["stationarity_residual"] <= RESIDUAL_TOLERANCE
        return {"a": np.where(good[:, None], inverse.residual @ basis.eigenvectors.T, np.nan)}

    return in_blocks(block, *points, block=BLOCK)["a"]


def find_two_order_parameter_peaks(
    spectrum: Spectrum, width: np.ndarray, lambda1: np.ndarray
) -> dict[str, np.ndarray]:
    """T* of D of (A.9); parameters and result as :func:`proplim.theory._peaks.find_peaks`."""
    from proplim.theory._peaks import maximise
    from proplim.theory._states import values_of

    def distance(points: Points) -> np.ndarray:
        solved = values_of(solve_two_order_parameters(spectrum, points), points.size)
        return np.where(solved["converged"][:, None] > 0, solved["centroid_distance_sq"], np.nan)

    return maximise(distance, spectrum, width, lambda1)


def _basis(spectrum: Spectrum) -> Basis:
    mean = feature_mean(spectrum.activation, spectrum.dataset.x_train, spectrum.lambda0)
    eigenvalues, eigenvectors = np.linalg.eigh(spectrum.kernel - np.outer(mean, mean))
    # features without variance along a mode: then Kc and B vanish on it, and so must their rounding errors
    floor = rounding_floor(eigenvalues, float(mean @ mean))
    return Basis(
        np.where(eigenvalues > floor, eigenvalues, 0.0),
        eigenvectors,
        eigenvectors.T @ mean,
        eigenvectors.T @ spectrum.dataset.y_train,
    )


def _inverse(basis: Basis, q: np.ndarray, p: np.ndarray, t: np.ndarray, l1: np.ndarray) -> Inverse:
    diagonal = Response.of(basis.eigenvalues, q / (l1 * t)).r / t[:, None]
    g = (diagonal * basis.mean**2).sum(-1)
    e = (diagonal * (basis.mean * basis.labels)).sum(-1)
    share = 1.0 / (1.0 + (p / l1) * g)
    spike = (p / l1) * share
    residual = diagonal * (basis.labels - (spike * e)[:, None] * basis.mean)
    return Inverse(diagonal, g, share, spike, spike * e, share * e, residual)


def _share(q: np.ndarray, g: np.ndarray, e2: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """p of eq. (A.4) at given Q, and the residual; G = m^T A^-1 m/lambda1, E = (m^T A^-1 y)^2/lambda1.

    The left side of (A.4) falls from positive to negative over the interval of eq. (A.5).
    """
    n = np.broadcast_to(n, q.shape)
    low = -np.log1p(np.divide(e2, 4.0 * g * n, out=np.zeros_like(q), where=g > 0))
    high = np.where(n > 1, -np.log1p(-1.0 / np.maximum(n, 1.0 + 1e-12)), LARGEST_SHARE)
    x, active = np.zeros_like(q), np.ones(q.shape, dtype=bool)

    def slope(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        p = q * np.exp(x)
        r = 1.0 / (1.0 + p * g)
        value = np.exp(-x) - 1.0 + (p * g * r - p * e2 * r * r) / n
        derivative = -np.exp(-x) + (p * g * r * r - p * e2 * r * r * (2.0 * r - 1.0)) / n
        return value, derivative

    for _ in range(SHARE_STEPS):
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
    basis: Basis, q: np.ndarray, t: np.ndarray, n: np.ndarray, l1: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Q dS/dQ at the maximum over p, eq. (A.3), p, the residual of (A.4) and the size of the terms."""
    kappa, m, y = basis.eigenvalues, basis.mean, basis.labels
    inverse = Response.of(kappa, q / (l1 * t)).r / t[:, None]
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
    basis: Basis, q: np.ndarray, p: np.ndarray, t: np.ndarray, n: np.ndarray, l1: np.ndarray
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


def _mesh(basis: Basis, t: np.ndarray, n: np.ndarray, l1: np.ndarray) -> np.ndarray:
    """Nodes of ln Q over the interval of eq. (A.6), a little widened, (n, MESH)."""
    label_energy, trace = (basis.labels**2).sum(), basis.eigenvalues.sum()
    least = np.maximum(1.0 - 1.0 / n, LEAST_FACTOR) / (1.0 + trace / (n * t * l1))
    most = (1.0 + label_energy / (2.0 * n * t)) / np.maximum(1.0 - 1.0 / n, LEAST_FACTOR)
    low, high = np.log((1.0 - WIDENED) * least), np.log((1.0 + WIDENED) * most)
    return low[:, None] + (high - low)[:, None] * np.linspace(0.0, 1.0, MESH)


def _bisect(
    basis: Basis, left: np.ndarray, right: np.ndarray, t: np.ndarray, n: np.ndarray, l1: np.ndarray
) -> dict[str, np.ndarray]:
    """The minimum between two values of ln Q for each of m brackets, with its action and residual."""
    for _ in range(BISECTIONS):
        middle = 0.5 * (left + right)
        falling = _slope(basis, np.exp(middle), t, n, l1)[0] < 0.0
        left, right = np.where(falling, middle, left), np.where(falling, right, middle)
    q = np.exp(0.5 * (left + right))
    slope, p, share_residual, size = _slope(basis, q, t, n, l1)
    residual = np.maximum(np.abs(slope) / size, np.abs(share_residual))
    action = _action(basis, q, p, t, n, l1)
    return {"order_parameter": q, "share": p, "action": action, "stationarity_residual": residual}


def _solve(basis: Basis, t: np.ndarray, n: np.ndarray, l1: np.ndarray) -> dict[str, np.ndarray]:
    """Bracket every minimum in ln Q on a mesh, bisect, and keep the one of lowest action."""
    mesh = _mesh(basis, t, n, l1)
    value = np.stack([_slope(basis, np.exp(mesh[:, j]), t, n, l1)[0] for j in range(MESH)], axis=1)
    point, cell = np.nonzero((value[:, :-1] < 0.0) & (value[:, 1:] >= 0.0))
    # what is no number yet keeps what follows finite and has not converged
    result = {"order_parameter": np.ones(len(t)), "share": np.ones(len(t)), "action": np.full(len(t), np.nan)}
    result["stationarity_residual"] = np.full(len(t), np.inf)
    result["stationary_points"] = (np.diff(np.sign(value), axis=1) != 0).sum(axis=1).astype(float)
    if len(point):
        brackets = mesh[point, cell], mesh[point, cell + 1], t[point], n[point], l1[point]
        minima = in_product_blocks(lambda *a: _bisect(basis, *a), *brackets, block=BLOCK)
        for i in np.lexsort((-minima["action"], point)):  # the lowest action of a point is written last
            for name, found in minima.items():
                result[name][point[i]] = found[i]
    result["free_energy"] = 0.5 * result.pop("action")
    return result


@dataclass(frozen=True)
class _InputForms:
    """What the observables of one kind of inputs need.

    Parameters
    ----------
    modes : (m, P) array
        Kc(x, X) U.
    product, square_product, projections : callable
        (n, P) rows -> (n, m), times the transpose of the modes and of their squares.
    mean : (m,) array
        m(x).
    centred_diagonal : (m,) array
        Kc(x, x).
    targets : (m,) array
    weights : (C, m) array
        u_s.
    kernel_form : callable
        (m,) vector a -> a^T K a of the prior.
    kernel_images : callable
        (n, m) rows a -> K a of the prior.
    """

    modes: np.ndarray
    product: Callable[[np.ndarray], np.ndarray]
    square_product: Callable[[np.ndarray], np.ndarray]
    projections: RowProduct
    mean: np.ndarray
    centred_diagonal: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    kernel_form: Callable[[np.ndarray], float]
    kernel_images: RowProduct

    @classmethod
    def of(cls, modes: np.ndarray, *rest: Any) -> _InputForms:
        """From the modes and the fields after the products."""
        product, square_product, projections = (
            row_product(matrix, BLOCK) for matrix in (modes, modes**2, modes.T)
        )
        return cls(modes, product, square_product, projections, *rest)


class _Forms(NamedTuple):
    """Forms of both kinds of inputs; (n, P) rows -> their image under B U in an orthonormal basis, and back."""

    basis: Basis
    train: _InputForms
    test: _InputForms | None
    signal: Callable[[np.ndarray], np.ndarray]
    signal_transposed: Callable[[np.ndarray], np.ndarray]


_FORMS: weakref.WeakKeyDictionary[Spectrum, _Forms] = weakref.WeakKeyDictionary()


def _forms_of(spectrum: Spectrum) -> _Forms:
    """The forms of a spectrum, prepared once."""
    if spectrum not in _FORMS:
        _FORMS[spectrum] = _build_forms(spectrum, _basis(spectrum))
    return _FORMS[spectrum]


def _build_forms(spectrum: Spectrum, basis: Basis) -> _Forms:
    data, activation, lambda0 = spectrum.dataset, spectrum.activation, spectrum.lambda0
    mean = feature_mean(activation, data.x_train, lambda0)
    train = _InputForms.of(
        basis.eigenvectors * basis.eigenvalues,
        mean,
        np.diag(spectrum.kernel) - mean**2,
        data.y_train,
        spectrum.class_weights_train,
        spectrum.train_form,
        spectrum.train_images,
    )
    test = None
    if data.n_test:
        m = feature_mean(activation, data.x_test, lambda0)
        centred = spectrum.kernel_test_train - np.outer(m, mean)
        test = _InputForms.of(
            (centred @ basis.eigenvectors) * (basis.eigenvalues > 0.0),
            m,
            spectrum.kernel_test_diagonal - m**2,
            data.y_test,
            spectrum.class_weights_test,
            spectrum.test_form,
            spectrum.test_images,
        )
    slopes = stein_coefficients(activation, data.x_train, lambda0)
    signal = data.x_train.T @ (slopes[:, None] * basis.eigenvectors * (basis.eigenvalues > 0.0))
    if signal.shape[0] > signal.shape[1]:
        signal = np.linalg.qr(signal, mode="r")
    return _Forms(basis, train, test, row_product(signal, BLOCK), row_product(signal.T, BLOCK))


class _Field:
    """Sigma^-1 and a at n grid points, with what observables need of them."""

    def __init__(
        self, spectrum: Spectrum, basis: Basis, points: Points, q: np.ndarray, p: np.ndarray
    ) -> None:
        self.spectrum, self.basis, self.points = spectrum, basis, points
        self.v = q / points.lambda1
        self.inverse = _inverse(basis, q, p, points.temperature, points.lambda1)

    @cached_property
    def spiked(self) -> np.ndarray:
        """U^T A^-1 m, (n, P)."""
        return self.inverse.diagonal * self.basis.mean

    @cached_property
    def spike_sq(self) -> np.ndarray:
        """What the rank-one part takes from tr Sigma^-1, (n,)."""
        return self.inverse.spike * (self.spiked**2).sum(-1)


class TwoParameterState:
    """n grid points at given Q and p = 1/(1+R); a :class:`proplim.observables.State` (docs/cavity.md, A.3)."""

    def __init__(
        self, spectrum: Spectrum, forms: _Forms, points: Points, q: np.ndarray, p: np.ndarray
    ) -> None:
        self.field = _Field(spectrum, forms.basis, points, q, p)
        self.forms = forms
        self.train = _TrainingInputs(self.field, forms.train)
        self.test = None if forms.test is None else _Inputs(self.field, forms.test)

    @property
    def readout_variance(self) -> np.ndarray:
        """<v^2> = Q/lambda1, (n,)."""
        return self.field.v

    @property
    def hidden_trace_shift(self) -> np.ndarray:
        """NaN: the trace of (A.8) misses non-Gaussian terms as large as itself (docs/cavity.md, A.4)."""
        return np.full_like(self.field.v, np.nan)

    @cached_property
    def _moved(self) -> np.ndarray:
        """B a in an orthonormal basis, (n, min(N0, P))."""
        return self.forms.signal(self.field.inverse.residual)

    @property
    def readout_signal_covariance(self) -> np.ndarray:
        """<v (w.u)> of (A.8), (n,)."""
        return self.field.v * np.sqrt((self._moved**2).sum(-1) / self.field.points.width)

    @property
    def signal_variance(self) -> np.ndarray:
        """<(w.u)^2> of (A.8), (n,); NaN where the labels single out no direction."""
        norm_sq = (self._moved**2).sum(-1)
        back = self.forms.signal_transposed(self._moved)
        reduction = (self.field.inverse.diagonal * back**2).sum(-1)
        reduction = reduction - self.field.inverse.spike * (self.field.spiked * back).sum(-1) ** 2
        has_signal = norm_sq > 0.0
        shift = norm_sq - reduction / np.where(has_signal, norm_sq, 1.0)
        variance = 1.0 / self.field.spectrum.lambda0 + self.field.v / self.field.points.width * shift
        return np.where(has_signal, variance, np.nan)

    def energies(self) -> dict[str, np.ndarray]:
        """Mean energy, and the slope of the free energy with temperature (A.10), per unit."""
        n, size = self.field.points.width, self.field.spectrum.n_train
        squared_error = size * (self.train.bias_sq + self.train.predictive_variance)
        trace = self.field.inverse.diagonal.sum(-1) - self.field.spike_sq
        return {
            "mean_energy": squared_error / (2.0 * n),
            "free_energy_temperature_derivative": (trace - (self.field.inverse.residual**2).sum(-1))
            / (2.0 * n),
        }


class _Inputs(LabelledInputs):
    """Predictor (A.7) and feature kernel (A.9) on one kind of inputs."""

    _forms: _InputForms

    def __init__(self, field: _Field, forms: _InputForms) -> None:
        self._field, self._forms = field, forms

    @cached_property
    def _centred(self) -> np.ndarray:
        """Kc(x, X) a, (n, m)."""
        return self._forms.product(self._field.inverse.residual)

    @cached_property
    def _cross(self) -> np.ndarray:
        """m^T A^-1 Kc(X, x), (n, m)."""
        return self._forms.product(self._field.spiked)

    @cached_property
    def _square(self) -> np.ndarray:
        """Kc(x, X) A^-1 Kc(X, x), (n, m)."""
        return self._forms.square_product(self._field.inverse.diagonal)

    @cached_property
    def _full(self) -> np.ndarray:
        """K(x, X) a, (n, m)."""
        return self._centred + self._field.inverse.overlap[:, None] * self._forms.mean

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean predictor, (n, m)."""
        along_mean = self._field.inverse.spiked_label[:, None] * self._forms.mean
        return self._field.v[:, None] * self._centred + along_mean

    @cached_property
    def bias_sq(self) -> np.ndarray:
        """Squared bias of the mean predictor, (n,)."""
        return ((self.mean - self.targets) ** 2).mean(-1)

    @cached_property
    def predictive_variance(self) -> np.ndarray:
        """Variance of the predictor, (n,).

        k(x, x) - k^T Sigma^-1 k of (A.7) with the terms of the order of p collected: none of them cancels.
        """
        v, m = self._field.v[:, None], self._forms.mean
        free = v * self._forms.centred_diagonal - v**2 * self._square
        variance = free + self._field.inverse.spike[:, None] * (m - v * self._cross) ** 2
        return np.maximum(variance, 0.0).mean(-1)

    def feature_form(self, vector: np.ndarray) -> np.ndarray:
        """a^T K' a of (A.9), (n,)."""
        return np.maximum(self._forms.kernel_form(vector) + self._form_shift(vector), 0.0)

    def feature_spread(self, weights: np.ndarray) -> np.ndarray:
        """sum_mu u_mu K'_mumu - u^T K' u, (n,)."""
        form = self._forms.kernel_form(weights) + self._form_shift(weights)
        return np.maximum((self._diagonal * weights).sum(-1) - form, 0.0)

    @property
    def feature_lengths_sq(self) -> np.ndarray:
        """K'(x, x) of (A.9), (n, m)."""
        return np.maximum(self._diagonal, 0.0)

    def scaled_class_kernel(self, scale: np.ndarray) -> ClassKernel:
        """Class averages of (A.9) of features times (n, m) factors."""
        rows = self._forms.weights[:, None, :] * scale
        between = self._products(rows)
        lengths_sq = (self._diagonal * scale**2) @ self._forms.weights.T
        return ClassKernel(between, np.maximum(lengths_sq - np.diagonal(between, axis1=1, axis2=2), 0.0))

    def _products(self, rows: np.ndarray) -> np.ndarray:
        """a_s^T K' a_s' of (A.9) for (C, n, m) vectors, (n, C, C)."""
        inverse = self._field.inverse
        prior = products_of(rows, np.stack([self._forms.kernel_images(row) for row in rows]))
        modes = np.stack([self._forms.projections(row) for row in rows])
        mean, cross, full = (
            (a * b).sum(-1).T
            for a, b in ((rows, self._forms.mean), (modes, self._field.spiked), (rows, self._full))
        )
        scale, spike, share, g, mean_norm = (
            a[:, None, None] for a in (self._scale, inverse.spike, inverse.share, inverse.g, self._mean_norm)
        )
        mixed = _outer(cross, mean)
        norm = products_of(modes * inverse.diagonal[None], modes) - spike * _outer(cross, cross)
        norm = norm + share * (mixed + mixed.swapaxes(1, 2) + g * _outer(mean, mean))
        shift = _outer(full, full) - norm - mean_norm * _outer(mean, mean)
        return 0.5 * (prior + prior.swapaxes(1, 2)) + scale * shift

    @cached_property
    def _scale(self) -> np.ndarray:
        return self._field.v / self._field.points.width

    @cached_property
    def _mean_norm(self) -> np.ndarray:
        """m^T M m, (n,)."""
        inverse = self._field.inverse
        return inverse.overlap**2 - inverse.share * inverse.g

    @cached_property
    def _diagonal(self) -> np.ndarray:
        """K'(x, x), (n, m)."""
        inverse, m = self._field.inverse, self._forms.mean
        along_mean = 2.0 * self._cross * m + inverse.g[:, None] * m**2
        norm = self._square - inverse.spike[:, None] * self._cross**2 + inverse.share[:, None] * along_mean
        shift = self._full**2 - norm - self._mean_norm[:, None] * m**2
        return self._forms.centred_diagonal + m**2 + self._scale[:, None] * shift

    def _form_shift(self, vector: np.ndarray) -> np.ndarray:
        """a^T (K' - K) a, (n,)."""
        inverse = self._field.inverse
        modes, mean = vector @ self._forms.modes, vector @ self._forms.mean
        cross = (self._field.spiked * modes).sum(-1)
        norm = (inverse.diagonal * modes**2).sum(-1) - inverse.spike * cross**2
        norm = norm + inverse.share * (2.0 * cross * mean + inverse.g * mean**2)
        return self._scale * ((self._full * vector).sum(-1) ** 2 - norm - self._mean_norm * mean**2)


def _outer(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return left[:, :, None] * right[:, None, :]


class _TrainingInputs(_Inputs):
    """On the training inputs y - f = T a and Var f = T - T^2 diag Sigma^-1, written without cancellation."""

    @cached_property
    def bias_sq(self) -> np.ndarray:
        """Squared bias of the mean predictor, (n,)."""
        missed = (self._field.points.temperature[:, None] * self._field.inverse.residual) ** 2
        return missed.sum(-1) / self._field.spectrum.n_train

    @cached_property
    def predictive_variance(self) -> np.ndarray:
        """Variance of the predictor, (n,)."""
        field, t = self._field, self._field.points.temperature
        loading = (field.v[:, None] * field.basis.eigenvalues * field.inverse.diagonal).sum(-1)
        return (t * loading + t * t * field.spike_sq) / field.spectrum.n_train
