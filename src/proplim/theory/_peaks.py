"""T*: the temperature at which the class distance is largest, by continuous optimisation.

D is followed along a ladder of temperatures that the kernel and lambda1 fix, whatever the user's grid.
Between two rungs where its total derivative dD/dlnT (docs/theory.md, eq. 3.20) changes from positive to
negative the zero is found by a bracketing root finder, every evaluation a full certified solve.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.optimize import elementwise as solvers

from proplim.geometry import contrast
from proplim.theory._blocks import Points, elementwise, in_blocks
from proplim.theory._effective_action import solve_order_parameter
from proplim.theory._forms import InputForms, QuadraticForm, forms_of
from proplim.theory._response import Response
from proplim.theory._spectrum import Spectrum

LADDER = np.logspace(-8, 6, 14 * 6 + 1)
"""Temperatures searched, in units of tr K / (P lambda1)."""
CURVES = 256
"""Curves D(T) followed at once."""
LOG_TEMPERATURE = 1e-13
"""ln T* is located to this accuracy where the derivative of D is known."""
SIGNIFICANT_HEIGHT = 1e-9
"""Without a derivative, a peak counts when it exceeds both ends of the ladder by this fraction."""
SIGNIFICANT = 1e-11
"""A derivative counts when it exceeds this fraction of the sum of the magnitudes of its terms."""


class ClassDistance(NamedTuple):
    """D and its derivative along the temperature; (n, splits) arrays.

    Parameters
    ----------
    value : D
    slope : dD/dlnT along the solution Q(T)
    magnitude : sum of the magnitudes of the terms of `slope`
    """

    value: np.ndarray
    slope: np.ndarray
    magnitude: np.ndarray


class Separation(NamedTuple):
    """The class distance of one kind of inputs in the eigenbasis of the kernel.

    Parameters
    ----------
    form : d^T K d with d = u_+ - u_-
    means : (r,) array
        mu of docs/theory.md, eq. 3.19: the difference of the class means of the predictor is sum_k mu_k t_k.
    """

    form: QuadraticForm
    means: np.ndarray


def separations(spectrum: Spectrum) -> list[Separation | None]:
    """The class distance of every kind of inputs, in the order of the `split` axis; None without test inputs."""
    scaled = spectrum.labels / np.sqrt(spectrum.eigenvalues)

    def of(inputs: InputForms) -> Separation:
        difference = contrast(inputs.weights)
        return Separation(inputs.form(difference), inputs.projection(difference) * scaled)

    return [None if inputs is None else of(inputs) for inputs in forms_of(spectrum).splits]


def prior_distances(spectrum: Spectrum) -> np.ndarray:
    """D of the prior, (splits,); NaN without test inputs."""
    return np.array([np.nan if s is None else s.form.prior for s in separations(spectrum)])


def class_distance(spectrum: Spectrum, points: Points) -> ClassDistance:
    """D of the proportional theory and dD/dlnT at n points (docs/theory.md, eqs. 3.19 and 3.20)."""
    solution = solve_order_parameter(spectrum, points)
    splits = separations(spectrum)

    def block(
        t_: np.ndarray, n: np.ndarray, l1: np.ndarray, q: np.ndarray, curvature: np.ndarray
    ) -> dict[str, np.ndarray]:
        response = Response.of(spectrum.eigenvalues, q / (l1 * t_))
        t, r = response
        tr = t * r
        energy = tr * spectrum.label_energies
        # d ln Q / d ln T and d ln theta / d ln T; their difference is one
        log_q = (tr.sum(-1) / n - 2.0 * (energy * r).sum(-1) / (n * t_)) / curvature
        log_theta = -(q + energy.sum(-1) / (n * t_)) / curvature
        parts = [_along_temperature(s, response, q / l1, n, log_q, log_theta) for s in splits]
        return {name: np.stack([p[name] for p in parts], axis=-1) for name in ClassDistance._fields}

    values = in_blocks(block, *points, solution.order_parameter, solution.curvature)
    bad = ~solution.converged[:, None]
    return ClassDistance(*(np.where(bad, np.nan, values[name]) for name in ClassDistance._fields))


def _along_temperature(
    separation: Separation | None,
    response: Response,
    g: np.ndarray,
    n: np.ndarray,
    log_q: np.ndarray,
    log_theta: np.ndarray,
) -> dict[str, np.ndarray]:
    if separation is None:
        return dict.fromkeys(ClassDistance._fields, np.full_like(g, np.nan))
    (t, r), (form, means) = response, separation
    m, dm = (t * means).sum(-1), (t * r * means).sum(-1)
    free, dfall = form.rest + (r * form.modes).sum(-1), (t * r * form.modes).sum(-1)
    terms = np.stack([-(m**2) / g * log_q, log_theta * 2.0 * m * dm / g, -log_theta * dfall]) / n
    return {
        "value": form.prior * (1.0 - 1.0 / n) + (free + m**2 / g) / n,
        "slope": terms[0] + terms[1] + terms[2],
        "magnitude": np.abs(terms[0]) + np.abs(terms[1]) + np.abs(terms[2]),
    }


def find_peaks(spectrum: Spectrum, width: np.ndarray, lambda1: np.ndarray) -> dict[str, np.ndarray]:
    """T* of the proportional theory of an odd activation and its height (docs/theory.md, section 3.5).

    Parameters
    ----------
    spectrum : Spectrum
    width, lambda1 : (n,) arrays

    Returns
    -------
    dict of (n, splits) arrays
        `peak_temperature`, `peak_height_over_prior`, `peak_height_over_low_temperature` with dims (n, split).
        NaN where D is largest at an end of the ladder, and without test inputs.
    """
    parts = [
        _find_peaks(spectrum, width[start : start + CURVES], lambda1[start : start + CURVES])
        for start in range(0, len(width), CURVES)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _find_peaks(spectrum: Spectrum, width: np.ndarray, lambda1: np.ndarray) -> dict[str, np.ndarray]:
    prior = prior_distances(spectrum)
    n, rungs, splits = len(width), LADDER.size, len(prior)
    scale = np.trace(spectrum.kernel) / spectrum.n_train
    temperature = np.full((n, splits), np.nan)
    if not scale > 0.0:
        return peak_heights(temperature, temperature, prior, temperature)
    ladder = scale * LADDER / lambda1[:, None]
    flat = Points(ladder.ravel(), np.repeat(width, rungs), np.repeat(lambda1, rungs))
    along = ClassDistance(*(a.reshape(n, rungs, splits) for a in class_distance(spectrum, flat)))
    sign = np.where(np.abs(along.slope) > SIGNIFICANT * along.magnitude, np.sign(along.slope), 0.0)
    point, rung, split = np.nonzero((sign[:, :-1] > 0.0) & (sign[:, 1:] < 0.0))
    height = along.value.max(axis=1)
    if len(point):

        def derivative(log_t: np.ndarray, n: np.ndarray, l1: np.ndarray, split: np.ndarray) -> np.ndarray:
            points = Points(elementwise(np.exp, log_t), n, l1)
            return _column(class_distance(spectrum, points).slope, split)

        bracket = tuple(elementwise(np.log, ladder[point, rung + i]) for i in (0, 1))
        args = (width[point], lambda1[point], split)
        root = solvers.find_root(
            derivative, bracket, args=args, tolerances={"xatol": LOG_TEMPERATURE, "fatol": 0.0}
        )
        t = elementwise(np.exp, root.x)
        value = _column(class_distance(spectrum, Points(t, *args[:2])).value, split)
        for i in np.argsort(value, kind="stable"):  # of several peaks of a curve the highest is written last
            if value[i] >= height[point[i], split[i]]:
                temperature[point[i], split[i]], height[point[i], split[i]] = t[i], value[i]
    return peak_heights(temperature, height, prior, along.value[:, 0])


def _column(values: np.ndarray, column: np.ndarray) -> np.ndarray:
    """One entry of every row."""
    return np.take_along_axis(values, column[:, None], axis=1)[:, 0]


def maximise(
    distance: Callable[[Points], np.ndarray], spectrum: Spectrum, width: np.ndarray, lambda1: np.ndarray
) -> dict[str, np.ndarray]:
    """Peaks of a class distance whose derivative is not at hand; result as :func:`find_peaks`.

    The highest rung of the ladder and its neighbours bracket the maximum, and a bracketing minimiser of -D
    (Chandrupatla) finds it, to about the square root of the rounding error of D.

    Parameters
    ----------
    distance : callable
        Points -> D, (n, splits); NaN where unknown.
    spectrum : Spectrum
    width, lambda1 : (n,) arrays
    """
    prior = prior_distances(spectrum)
    scale = np.trace(spectrum.kernel) / spectrum.n_train
    n, rungs, splits = len(width), LADDER.size, len(prior)
    temperature = np.full((n, splits), np.nan)
    if not scale > 0.0:
        return peak_heights(temperature, temperature, prior, temperature)
    ladder = scale * LADDER / lambda1[:, None]
    flat = Points(ladder.ravel(), np.repeat(width, rungs), np.repeat(lambda1, rungs))
    d = distance(flat).reshape(n, rungs, splits)
    top = np.argmax(np.nan_to_num(d, nan=-np.inf), axis=1)
    height = np.take_along_axis(d, top[:, None], axis=1)[:, 0]
    least = np.maximum(d[:, 0], d[:, -1]) * (1.0 + SIGNIFICANT_HEIGHT)
    point, split = np.nonzero((top > 0) & (top < rungs - 1) & (height > least))
    if len(point):

        def below(log_t: np.ndarray, n: np.ndarray, l1: np.ndarray, split: np.ndarray) -> np.ndarray:
            return -_column(distance(Points(elementwise(np.exp, log_t), n, l1)), split)

        args = (width[point], lambda1[point], split)
        rung = top[point, split]
        bracket = tuple(elementwise(np.log, ladder[point, rung + i]) for i in (-1, 0, 1))
        found = solvers.find_minimum(below, bracket, args=args)
        temperature[point, split], height[point, split] = elementwise(np.exp, found.x), -found.f_x
    return peak_heights(temperature, height, prior, d[:, 0])


def peak_heights(
    temperature: np.ndarray, height: np.ndarray, prior: np.ndarray, low_temperature: np.ndarray
) -> dict[str, np.ndarray]:
    """The three peak variables; ratios are NaN where there is no peak or the reference is zero."""
    found = np.isfinite(temperature)

    def ratio(reference: np.ndarray) -> np.ndarray:
        usable = found & (reference > 0.0)
        return np.where(usable, height / np.where(usable, reference, 1.0), np.nan)

    return {
        "peak_temperature": temperature,
        "peak_height_over_prior": ratio(prior),
        "peak_height_over_low_temperature": ratio(low_temperature),
    }
