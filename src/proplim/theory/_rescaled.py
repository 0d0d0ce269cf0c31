"""The state of Gaussian-process regression with the prior rescaled by Q, in the eigenbasis of the kernel.

With theta = Q/(lambda1 T), t_k = theta kappa_k/(1 + theta kappa_k) and r_k = 1 - t_k, whatever docs/theory.md,
section 3.3, says of a grid point is a linear form in t or r, or the square of an image of

    b_k = kappa_k^(-1/2) t_k yt_k,          (Q/lambda1) K^(1/2) a in the eigenbasis,

under a matrix that the grid does not change. Predictor, errors and variances are sums of positive terms,
without cancellation as T -> 0 or T -> infinity. Infinite width is Q = 1 and 1/N = 0.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from proplim.observables import ClassKernel
from proplim.theory._blocks import Points, block_for
from proplim.theory._cosine import LabelledInputs, scaled_class_kernel
from proplim.theory._forms import Forms, InputForms, forms_of
from proplim.theory._response import Response
from proplim.theory._spectrum import Spectrum
from proplim.theory._states import States


class LearnedModes:
    """The modes of the kernel at n grid points: what they learn at given order parameters.

    Parameters
    ----------
    spectrum : Spectrum
    points : Points
    order_parameter : (n,) array
        Q.

    Attributes
    ----------
    g : (n,) array
        Q/lambda1.
    response : Response
    learned : (n, r) array
        b of docs/theory.md, eq. 3.9.
    """

    def __init__(self, spectrum: Spectrum, points: Points, order_parameter: np.ndarray) -> None:
        self.spectrum, self.points = spectrum, points
        self.g = order_parameter / points.lambda1
        self.response = Response.of(spectrum.eigenvalues, self.g / points.temperature)
        self.learned = self.response.learned(spectrum.labels, spectrum.eigenvalues)


class RescaledState:
    """n grid points at given order parameters; a :class:`proplim.observables.State`.

    Parameters
    ----------
    spectrum : Spectrum
    forms : Forms
    points : Points
    order_parameter : (n,) array
        Q.
    """

    def __init__(self, spectrum: Spectrum, forms: Forms, points: Points, order_parameter: np.ndarray) -> None:
        self.modes, self.forms = LearnedModes(spectrum, points, order_parameter), forms
        self.train = TrainingInputs(self.modes, forms.train)
        self.test = None if forms.test is None else RescaledInputs(self.modes, forms.test)

    @property
    def readout_variance(self) -> np.ndarray:
        """<v^2> = Q/lambda1, (n,)."""
        return self.modes.g

    @cached_property
    def _signal(self) -> np.ndarray:
        """R b, the vector (Q/lambda1) B a in an orthonormal basis (docs/theory.md, eq. 3.12)."""
        return self.forms.signal(self.modes.learned)

    @cached_property
    def _signal_sq(self) -> np.ndarray:
        return (self._signal**2).sum(-1)

    @property
    def readout_signal_covariance(self) -> np.ndarray:
        """<v (w.u)> of docs/theory.md, eq. 3.14, (n,)."""
        return np.sqrt(self._signal_sq / self.modes.points.width)

    @property
    def signal_variance(self) -> np.ndarray:
        """<(w.u)^2> of docs/theory.md, eq. 3.15, (n,); NaN where the labels single out no direction."""
        norm_sq = self._signal_sq
        has_signal = norm_sq > 0.0
        back = self.forms.signal_transposed(self._signal)
        reduction = (self.modes.response.t * back**2).sum(-1) / np.where(has_signal, norm_sq, 1.0)
        variance = (
            1.0 / self.modes.spectrum.lambda0 + (norm_sq / self.modes.g - reduction) / self.modes.points.width
        )
        return np.where(has_signal | np.isinf(self.modes.points.width), variance, np.nan)

    @property
    def hidden_trace_shift(self) -> np.ndarray:
        """tr<w w^T> - N0/lambda0 of docs/theory.md, eq. 3.14, (n,).

        NaN for a nonlinear activation: the non-Gaussian part of sigma(h) moves each of the N0 directions by O(1/N)
        and their sum as much as (3.14) does. Zero at infinite width.
        """
        shift = (
            self._signal_sq / self.modes.g - (self.modes.response.t * self.forms.trace).sum(-1)
        ) / self.modes.points.width
        return (
            shift if self.modes.spectrum.linear else np.where(np.isinf(self.modes.points.width), 0.0, np.nan)
        )


class RescaledInputs(LabelledInputs):
    """What the modes say about one kind of inputs; a :class:`proplim.observables.StateInputs`."""

    _forms: InputForms

    def __init__(self, modes: LearnedModes, forms: InputForms) -> None:
        self._modes, self._forms = modes, forms

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean predictor Psi b, (n, m)."""
        return self._forms.mean(self._modes.learned)

    @cached_property
    def bias_sq(self) -> np.ndarray:
        """Squared bias of the mean predictor, (n,)."""
        return ((self.mean - self.targets) ** 2).mean(-1)

    @cached_property
    def predictive_variance(self) -> np.ndarray:
        """Variance of the predictor, (n,)."""
        free = (self._modes.response.r * self._forms.spread).sum(-1) + self._forms.residual
        return self._modes.g * free

    def feature_form(self, vector: np.ndarray) -> np.ndarray:
        """a^T K' a, (n,): prior (1 - 1/N) + (1/N)(part of the prior that the data leave free + rise), eq. 3.10."""
        form = self._forms.form(vector)
        rise = (self.mean * vector).sum(-1) ** 2 / self._modes.g
        return self._shifted(form.prior, form.rest, form.modes, rise)

    def feature_spread(self, weights: np.ndarray) -> np.ndarray:
        """sum_mu u_mu K'_mumu - u^T K' u, (n,), of docs/theory.md, eq. 3.11."""
        form = self._forms.spread_of(weights)
        centre = (self.mean * weights).sum(-1)
        rise = ((self.mean - centre[:, None]) ** 2 * weights).sum(-1) / self._modes.g
        return self._shifted(form.prior, form.rest, form.modes, rise)

    @cached_property
    def _kept(self) -> np.ndarray:
        """1 - 1/N + r/N, what K' keeps of every mode's part of K beside the rise, (n, r)."""
        n = self._modes.points.width[:, None]
        return (1.0 - 1.0 / n) + self._modes.response.r / n

    @property
    def feature_lengths_sq(self) -> np.ndarray:
        """K'(x, x) of docs/theory.md, eq. 3.10, (n, m)."""
        rise = self.mean**2 / (self._modes.g * self._modes.points.width)[:, None]
        return self._forms.left + self._forms.squares(self._kept) + rise

    def scaled_class_kernel(self, scale: np.ndarray) -> ClassKernel:
        """Of docs/theory.md, eq. 3.10 and 3.11, mode by mode, for (n, m) factors."""
        rises = [(self.mean, self._modes.g * self._modes.points.width)]
        return scaled_class_kernel(self._forms, self._kept, rises, scale)

    def _shifted(self, prior: float, rest: float, modes: np.ndarray, rise: np.ndarray) -> np.ndarray:
        n = self._modes.points.width
        free = rest + (self._modes.response.r * modes).sum(-1)
        return prior * (1.0 - 1.0 / n) + (free + rise) / n


class TrainingInputs(RescaledInputs):
    """On the training inputs y - f = U (r yt) and Var f = T t mode by mode, free of cancellation."""

    @cached_property
    def bias_sq(self) -> np.ndarray:
        """Squared bias of the mean predictor, (n,)."""
        spectrum = self._modes.spectrum
        missed = ((self._modes.response.r * spectrum.labels) ** 2).sum(-1)
        return missed / spectrum.n_train + spectrum.null_label_energy / spectrum.n_train

    @cached_property
    def predictive_variance(self) -> np.ndarray:
        """Variance of the predictor, (n,)."""
        learned = self._modes.response.t.sum(-1)
        return self._modes.points.temperature * learned / self._modes.spectrum.n_train


def rescaled_states(spectrum: Spectrum, points: Points, order_parameter: np.ndarray) -> States:
    """States of n grid points at given order parameters Q.

    Parameters
    ----------
    spectrum : Spectrum
    points : Points
        Of infinite width where features and hidden weights keep their prior.
    order_parameter : (n,) array
    """
    forms = forms_of(spectrum)

    def state(t: np.ndarray, n: np.ndarray, l1: np.ndarray, q: np.ndarray) -> RescaledState:
        return RescaledState(spectrum, forms, Points(t, n, l1), q)

    return States(state, (*points, order_parameter), block=block_for(spectrum.n_train))
