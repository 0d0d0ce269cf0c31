"""The state of Gaussian-process regression of C outputs with the prior Q (x) K/lambda1 (docs/multiclass.md, section 4).

In the eigenbasis of Q the outputs are independent, with g_j = w_j/lambda1, t_kj = g_j kappa_k/(T + g_j kappa_k),
r = 1 - t, Z = U^T Y R and

    b_kj = kappa_k^(-1/2) t_kj Z_kj.

Whatever belongs to one output is found there as for a single one, and turned back by R. Infinite width is Q = I and
1/N = 0.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from proplim.observables import ClassKernel
from proplim.theory._blocks import Points
from proplim.theory._cosine import LabelledInputs, scaled_class_kernel
from proplim.theory._forms import Forms, InputForms, forms_of
from proplim.theory._spectrum import Spectrum
from proplim.theory._states import States

POINTS_AT_ONCE = 32
"""Points in a block; each has C modes for one of a single output."""


class OutputModes:
    """What the modes of the kernel learn of every eigenvector of Q at n grid points.

    Parameters
    ----------
    spectrum : Spectrum
    points : Points
    eigenvalues : (n, C) array
        w.
    basis : (n, C, C) array
        R, eigenvectors as columns.

    Attributes
    ----------
    g : (n, C) array
        w/lambda1.
    t, r : (n, C, r) arrays
    learned : (n, C, r) array
        b.
    """

    def __init__(
        self, spectrum: Spectrum, points: Points, eigenvalues: np.ndarray, basis: np.ndarray
    ) -> None:
        self.spectrum, self.points, self.basis = spectrum, points, basis
        self.g = eigenvalues / points.lambda1[:, None]
        theta = (self.g / points.temperature[:, None])[:, :, None] * spectrum.eigenvalues
        self.r = 1.0 / (1.0 + theta)
        self.t = theta * self.r
        self.labels = np.matmul(np.swapaxes(basis, 1, 2), spectrum.labels.T)
        self.learned = self.t * (self.labels / np.sqrt(spectrum.eigenvalues))

    @property
    def n_outputs(self) -> int:
        """C."""
        return self.g.shape[1]

    def of_outputs(self, along: np.ndarray) -> np.ndarray:
        """(n, C, m) values along the eigenvectors of Q as (n, m, C) values of the outputs."""
        return np.matmul(np.swapaxes(along, 1, 2), np.swapaxes(self.basis, 1, 2))

    def variances_of_outputs(self, along: np.ndarray) -> np.ndarray:
        """(n, C) variances of independent values along the eigenvectors as those of the outputs."""
        return (self.basis**2 * along[:, None, :]).sum(-1)


class OutputsRescaledState:
    """n grid points at given order parameters; a :class:`proplim.observables.OutputsState`."""

    def __init__(self, forms: Forms, modes: OutputModes) -> None:
        self.modes, self.forms = modes, forms
        self.train = OutputsTrainingInputs(modes, forms.train)
        self.test = None if forms.test is None else OutputsInputs(modes, forms.test)

    @property
    def readout_variance(self) -> np.ndarray:
        """Mean over outputs of <v_c^2> = Q_cc/lambda1, (n,)."""
        return self.modes.g.mean(-1)

    @property
    def readout_covariance(self) -> np.ndarray:
        """<v_c v_c'> = Q_cc'/lambda1, (n, C, C)."""
        scaled = self.modes.basis * self.modes.g[:, None, :]
        return np.matmul(scaled, np.swapaxes(self.modes.basis, 1, 2))

    @cached_property
    def _signals(self) -> np.ndarray:
        """g_j B a_j in an orthonormal basis, along the eigenvectors of Q, (n, C, d)."""
        return _rows(self.forms.signal, self.modes.learned)

    @cached_property
    def _directions(self) -> np.ndarray:
        """u_c = B a_c/|B a_c| of every output in the same basis, (n, C, d); NaN where B a_c = 0."""
        residuals = self._signals / self.modes.g[:, :, None]
        vectors = np.matmul(self.modes.basis, residuals)
        largest = np.abs(vectors).max(-1, keepdims=True)
        scaled = vectors / np.where(largest > 0.0, largest, 1.0)
        norm = np.sqrt((scaled**2).sum(-1, keepdims=True))
        return np.where(largest > 0.0, scaled / np.where(norm > 0.0, norm, 1.0), np.nan)

    @property
    def readout_signal_covariance(self) -> np.ndarray:
        """<v_c (w.u_c)>, (n, C); zero where there is no direction."""
        own = np.matmul(self.modes.basis, self._signals)
        covariance = (own * self._directions).sum(-1) / np.sqrt(self.modes.points.width)[:, None]
        return np.where(np.isfinite(covariance), covariance, 0.0)

    @property
    def signal_variance(self) -> np.ndarray:
        """<(w.u_c)^2>, (n, C); NaN where the targets of an output single out no direction."""
        width = self.modes.points.width[:, None]
        along = np.matmul(self._directions, np.swapaxes(self._signals, 1, 2))
        back = _rows(self.forms.signal_transposed, self._directions)
        gain = (along**2 / self.modes.g[:, None, :]).sum(-1)
        lost = (back**2 * self.modes.t.sum(1)[:, None, :]).sum(-1)
        prior = 1.0 / self.modes.spectrum.lambda0
        return np.where(np.isinf(width), prior, prior + (gain - lost) / width)

    @property
    def hidden_trace_shift(self) -> np.ndarray:
        """tr<w w^T> - N0/lambda0, (n,); NaN for a nonlinear activation as for one output, zero at infinite width."""
        gain = ((self._signals**2).sum(-1) / self.modes.g).sum(-1)
        lost = (self.modes.t.sum(1) * self.forms.trace).sum(-1)
        infinite = np.isinf(self.modes.points.width)
        shift = (gain - lost) / self.modes.points.width
        return shift if self.modes.spectrum.linear else np.where(infinite, 0.0, np.nan)


class OutputsInputs(LabelledInputs):
    """What the modes say about one kind of inputs; a :class:`proplim.observables.StateInputs` of C outputs."""

    _forms: InputForms

    def __init__(self, modes: OutputModes, forms: InputForms) -> None:
        self._modes, self._forms = modes, forms

    @cached_property
    def _along(self) -> np.ndarray:
        """Mean predictor along the eigenvectors of Q, (n, C, m)."""
        return _rows(self._forms.mean, self._modes.learned)

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean predictor, (n, m, C)."""
        return self._modes.of_outputs(self._along)

    @cached_property
    def bias_sq(self) -> np.ndarray:
        """Squared bias of the mean predictor, mean over inputs and outputs, (n,)."""
        return ((self.mean - self.targets) ** 2).mean((1, 2))

    @cached_property
    def predictive_variance(self) -> np.ndarray:
        """Variance of the predictor, mean over inputs and outputs, (n,)."""
        free = (self._modes.r * self._forms.spread).sum(-1) + self._forms.residual
        return (self._modes.g * free).mean(-1)

    def feature_form(self, vector: np.ndarray) -> np.ndarray:
        """a^T K' a, (n,)."""
        form = self._forms.form(vector)
        rise = (self._along * vector).sum(-1) ** 2 / self._modes.g
        return self._shifted(form.prior, form.rest, form.modes, rise)

    def feature_spread(self, weights: np.ndarray) -> np.ndarray:
        """sum_mu u_mu K'_mumu - u^T K' u, (n,)."""
        form = self._forms.spread_of(weights)
        centre = (self._along * weights).sum(-1)
        rise = ((self._along - centre[:, :, None]) ** 2 * weights).sum(-1) / self._modes.g
        return self._shifted(form.prior, form.rest, form.modes, rise)

    @cached_property
    def _kept(self) -> np.ndarray:
        """1 - C/N + sum_j r_j/N, what K' keeps of every mode's part of K beside the rises, (n, r)."""
        n = self._modes.points.width[:, None]
        return (1.0 - self._modes.n_outputs / n) + self._modes.r.sum(1) / n

    @property
    def _weights(self) -> np.ndarray:
        """N g_j, by which the squares of the mean predictors are divided, (n, C)."""
        return self._modes.g * self._modes.points.width[:, None]

    @property
    def feature_lengths_sq(self) -> np.ndarray:
        """K'(x, x), (n, m)."""
        rise = (self._along**2 / self._weights[:, :, None]).sum(1)
        return self._forms.left + self._forms.squares(self._kept) + rise

    def scaled_class_kernel(self, scale: np.ndarray) -> ClassKernel:
        """As of one output, the predictor of each eigenvector of Q apart."""
        rises = [(self._along[:, j], self._weights[:, j]) for j in range(self._modes.n_outputs)]
        return scaled_class_kernel(self._forms, self._kept, rises, scale)

    def _shifted(self, prior: float, rest: float, modes: np.ndarray, rise: np.ndarray) -> np.ndarray:
        """Prior (1 - C/N) + (1/N) sum_j (part of the prior that eigenvector j leaves free + rise)."""
        n = self._modes.points.width
        free = rest + (self._modes.r * modes).sum(-1)
        return prior * (1.0 - self._modes.n_outputs / n) + (free + rise).sum(-1) / n


class OutputsTrainingInputs(OutputsInputs):
    """On the training inputs, mode by mode and free of cancellation."""

    @cached_property
    def bias_sq(self) -> np.ndarray:
        """Squared bias of the mean predictor, (n,)."""
        spectrum = self._modes.spectrum
        missed = ((self._modes.r * self._modes.labels) ** 2).sum((1, 2)) + spectrum.null_label_energy
        return missed / (spectrum.n_train * self._modes.n_outputs)

    @cached_property
    def predictive_variance(self) -> np.ndarray:
        """Variance of the predictor, (n,)."""
        learned = self._modes.t.sum((1, 2))
        return (
            self._modes.points.temperature * learned / (self._modes.spectrum.n_train * self._modes.n_outputs)
        )


def _rows(product: Callable[[np.ndarray], np.ndarray], along: np.ndarray) -> np.ndarray:
    """A product of rows applied to (n, C, r) values, (n, C, m)."""
    n, c, r = along.shape
    return np.asarray(product(along.reshape(n * c, r))).reshape(n, c, -1)


def outputs_states(spectrum: Spectrum, points: Points, eigenvalues: np.ndarray, basis: np.ndarray) -> States:
    """States of n grid points at order parameters R diag(w) R^T.

    Parameters
    ----------
    spectrum : Spectrum
    points : Points
        Of infinite width where features and hidden weights keep their prior.
    eigenvalues : (n, C) array
    basis : (n, C, C) array
    """
    forms = forms_of(spectrum)

    def state(
        t: np.ndarray, n: np.ndarray, l1: np.ndarray, w: np.ndarray, basis: np.ndarray
    ) -> OutputsRescaledState:
        return OutputsRescaledState(forms, OutputModes(spectrum, Points(t, n, l1), w, basis))

    return States(state, (*points, eigenvalues, basis), block=POINTS_AT_ONCE)
