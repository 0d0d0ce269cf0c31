"""T* of every pair of classes, as for one output (docs/theory.md, section 3.5).

With phi_k = (d^T Psi)_k kappa_k^(-1/2) for d = u_t - u_s, and m = sum_k phi_k c_k Q A_k^-1 y_k the difference of the
class means of the predictor (a vector of C outputs),

    D = D_0 + (1/N) [ lambda1 m^T Q^-1 m - sum_k (d^T Psi)_k^2 sum_j t_kj ].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from proplim.geometry import pair_contrasts
from proplim.theory._forms import InputForms, forms_of
from proplim.theory._peaks import LADDER, SIGNIFICANT, peak_heights
from proplim.theory._spectrum import Spectrum
from proplim.theory.outputs._action import At
from proplim.theory.outputs._minimum import descend, is_stationary
from proplim.theory.outputs._solve import problem_at

LOG_TEMPERATURE = 1e-10
"""ln T* is located to this accuracy."""


class PairForms(NamedTuple):
    """The distances of all pairs of classes on one kind of inputs, in the eigenbasis of the kernel.

    Parameters
    ----------
    prior : (pairs,) array
        D_0.
    modes : (pairs, r) array
        (d^T Psi)_k^2.
    means : (pairs, r) array
        phi.
    """

    prior: np.ndarray
    modes: np.ndarray
    means: np.ndarray


def pair_forms(spectrum: Spectrum, inputs: InputForms) -> PairForms:
    """The forms of one kind of inputs."""
    contrasts = pair_contrasts(inputs.weights)
    forms = [inputs.form(d) for d in contrasts]
    means = np.stack([inputs.projection(d) for d in contrasts]) / np.sqrt(spectrum.eigenvalues)
    return PairForms(np.array([f.prior for f in forms]), np.stack([f.modes for f in forms]), means)


class PairDistances(NamedTuple):
    """D of every pair and its derivative along the temperature; (pairs,) arrays.

    Parameters
    ----------
    value : D
    slope : dD/dlnT along the solution
    magnitude : sum of the magnitudes of the terms of `slope`
    """

    value: np.ndarray
    slope: np.ndarray
    magnitude: np.ndarray


def pair_distances(at: At, forms: PairForms, lambda1: float) -> PairDistances:
    """D of every pair at the solution of one grid point."""
    g, n, change = at.eigenvalues / lambda1, at.problem.width, at.response
    root = np.sqrt(at.eigenvalues)
    pulled = at.learned * at.labels / root
    mean = forms.means @ (at.learned * at.labels)
    # dm_i = sum_k phi_k r_ki w_i^(1/2) [ sum_j E_ij t_kj Z_kj w_j^(-1/2) - t_ki Z_ki w_i^(-1/2) ]
    moved = forms.means @ (at.left * root * (pulled @ change - pulled))
    bell = forms.modes @ (at.learned * at.left)
    whitened = mean / np.sqrt(g)
    terms = (
        2.0 * (mean * moved / g).sum(-1),
        -((whitened @ change) * whitened).sum(-1),
        -(bell * (np.diag(change) - 1.0)).sum(-1),
    )
    value = forms.prior + ((mean**2 / g).sum(-1) - (forms.modes @ at.learned).sum(-1)) / n
    return PairDistances(value, (terms[0] + terms[1] + terms[2]) / n, sum(np.abs(t) for t in terms) / n)


def find_outputs_peaks(spectrum: Spectrum, width: np.ndarray, lambda1: np.ndarray) -> dict[str, np.ndarray]:
    """T* of every pair and its height, (n, splits, pairs) arrays; parameters as for one output.

    Every rung of the ladder starts from the solution of the rung above, and so does every step of a root search.
    """
    curves = [_of_curve(spectrum, float(n), float(l1)) for n, l1 in zip(width, lambda1, strict=True)]
    return {name: np.stack([curve[name] for curve in curves]) for name in curves[0]}


def _of_curve(spectrum: Spectrum, width: float, lambda1: float) -> dict[str, np.ndarray]:
    ladder = np.trace(spectrum.kernel) / spectrum.n_train * LADDER / lambda1
    found: list[At] = []
    for temperature in ladder[::-1]:
        start = found[-1] if found else At.isotropic(problem_at(spectrum, temperature, width, lambda1), 1.0)
        found.append(_following(spectrum, start, temperature, width, lambda1))
    found.reverse()
    parts = []
    for inputs in forms_of(spectrum).splits:
        n_pairs = spectrum.dataset.n_outputs * (spectrum.dataset.n_outputs - 1) // 2
        if inputs is None:
            parts.append(dict.fromkeys(_nothing(n_pairs), np.full(n_pairs, np.nan)))
            continue
        forms = pair_forms(spectrum, inputs)
        curve = [_distances(at, forms, lambda1) for at in found]
        along = PairDistances(*(np.stack(values) for values in zip(*curve, strict=True)))
        parts.append(_highest(spectrum, forms, along, ladder, found, width, lambda1))
    return {name: np.stack([part[name] for part in parts]) for name in parts[0]}


def _nothing(n_pairs: int) -> dict[str, np.ndarray]:
    unknown = np.full(n_pairs, np.nan)
    return peak_heights(unknown, unknown, unknown, unknown)


def _following(spectrum: Spectrum, start: At, temperature: float, width: float, lambda1: float) -> At:
    """The solution at a temperature, from that of a neighbouring one."""
    problem = problem_at(spectrum, temperature, width, lambda1)
    return descend(At(problem, start.eigenvalues, start.basis))


def _distances(at: At, forms: PairForms, lambda1: float) -> PairDistances:
    """D of every pair; NaN where the point has no solution."""
    if is_stationary(at):
        return pair_distances(at, forms, lambda1)
    unknown = np.full(len(forms.prior), np.nan)
    return PairDistances(unknown, unknown, unknown)


def _highest(
    spectrum: Spectrum,
    forms: PairForms,
    along: PairDistances,
    ladder: np.ndarray,
    found: list[At],
    width: float,
    lambda1: float,
) -> dict[str, np.ndarray]:
    """The highest maximum of every pair, where it exceeds both ends of the ladder."""
    sign = np.where(np.abs(along.slope) > SIGNIFICANT * along.magnitude, np.sign(along.slope), 0.0)
    temperature, height = np.full(len(forms.prior), np.nan), along.value.max(axis=0)
    for rung, pair in np.argwhere((sign[:-1] > 0.0) & (sign[1:] < 0.0)):
        own = PairForms(*(part[pair : pair + 1] for part in forms))

        def at(log_t: float, own: PairForms = own, start: At = found[rung]) -> PairDistances:
            return _distances(_following(spectrum, start, np.exp(log_t), width, lambda1), own, lambda1)

        def slope(log_t: float, at: Callable[[float], PairDistances] = at) -> float:
            return float(at(log_t).slope[0])

        top = brentq(slope, np.log(ladder[rung]), np.log(ladder[rung + 1]), xtol=LOG_TEMPERATURE)
        value = float(at(top).value[0])
        if value >= height[pair]:
            temperature[pair], height[pair] = np.exp(top), value
    return peak_heights(temperature, height, forms.prior, along.value[0])
