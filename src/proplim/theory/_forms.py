"""What the kernel says about one kind of inputs, prepared once for all grid points.

Psi are the modes of the kernel on the inputs: Psi Psi^T is the part of K that the training inputs explain, all of it
on the training inputs themselves (docs/theory.md, section 3.3).
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import numpy as np

from proplim._cores import cut, side_by_side
from proplim.geometry import contrast
from proplim.theory._blocks import block_for
from proplim.theory._cosine import products_of
from proplim.theory._products import RowProduct, row_product
from proplim.theory._spectrum import Spectrum

ROWS = 512
"""Rows of modes in a part."""


class QuadraticForm(NamedTuple):
    """a^T K a for one vector a on the inputs, or sum_mu u_mu K_mumu - u^T K u for weights u.

    Parameters
    ----------
    prior : float
        Its value in the prior.
    modes : (r,) array
        The share of each mode in it.
    rest : float
        What no mode explains, zero on the training inputs.
    """

    prior: float
    modes: np.ndarray
    rest: float


class ClassForms(NamedTuple):
    """The members of a class in the eigenbasis of the kernel.

    Parameters
    ----------
    members : (m_s,) array of int
    weight : float
        1/m_s; NaN where there are none.
    projections : callable
        (n, m_s) rows a -> a^T Psi, (n, r).
    squares : callable
        (n, m_s) rows a -> sum_mu a_mu Psi_k(x_mu)^2, (n, r).
    """

    members: np.ndarray
    weight: float
    projections: RowProduct
    squares: RowProduct

    @classmethod
    def of(cls, members: np.ndarray, modes: np.ndarray, squares: np.ndarray, block: int) -> ClassForms:
        """From the (m_s, r) modes of the members and their squares; `block` rows go in a product."""
        weight = 1.0 / len(members) if len(members) else np.nan
        return cls(members, weight, row_product(modes.T, block), row_product(squares.T, block))


class InputForms:
    """One kind of inputs (train or test) in the eigenbasis of the kernel.

    Parameters
    ----------
    modes : (m, r) array
        Psi.
    targets : (m,) array
        Labels.
    weights : (C, m) array
        u_s.
    kernel_form : callable
        (m,) vector a -> a^T K a.
    diagonal : (m,) array
        K(x, x).
    kernel_product : callable
        (n, m) rows a -> rows K a.
    complete : bool
        Whether the modes explain all of the kernel: what is left is then rounding, and no number to divide T by.
    block : int
        Rows in a product, :func:`proplim.theory._blocks.block_for`.

    Attributes
    ----------
    mean : callable
        b -> Psi b, the mean predictor.
    squares : callable
        (n, r) rows c -> sum_k Psi_k(x)^2 c_k, (n, m).
    spread : (r,) array
        Mean over inputs of Psi_k^2.
    left : (m,) array
        K(x, x) - sum_k Psi_k^2, what no mode explains.
    residual : float
        Its mean over inputs.
    """

    def __init__(
        self,
        modes: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray,
        kernel_form: Callable[[np.ndarray], float],
        diagonal: np.ndarray,
        kernel_product: RowProduct,
        *,
        complete: bool,
        block: int,
    ) -> None:
        self.targets, self.weights = targets, weights
        # Inputs of a class stand together here, so that its modes are a part of the matrix and no copy.
        self._members = [np.flatnonzero(own > 0.0) for own in weights]
        others = np.flatnonzero(~(weights > 0.0).any(axis=0))
        self._order = np.concatenate([*self._members, others])
        self._modes, self._squares = _rows_and_squares(modes, self._order)
        place = np.argsort(self._order)
        means, squares = row_product(self._modes, block), row_product(self._squares, block)
        self.mean: RowProduct = lambda rows: np.take(means(rows), place, axis=1)
        self.squares: RowProduct = lambda rows: np.take(squares(rows), place, axis=1)
        self.diagonal, self._block = diagonal, block
        self._kernel_form, self._kernel_product, self._complete = kernel_form, kernel_product, complete
        self._known: dict[tuple[str, bytes], QuadraticForm] = {}
        self.spread = self._squares.mean(axis=0)
        left = np.maximum(diagonal - self._squares.sum(axis=1)[place], 0.0)
        self.residual = 0.0 if complete else float(left.mean())
        self.left = np.zeros_like(left) if complete else left

    @cached_property
    def classes(self) -> tuple[ClassForms, ...]:
        """One for every class."""
        stops = np.cumsum([len(members) for members in self._members])
        rows = [slice(stop - len(members), stop) for stop, members in zip(stops, self._members, strict=True)]
        return tuple(
            ClassForms.of(members, self._modes[own], self._squares[own], self._block)
            for members, own in zip(self._members, rows, strict=True)
        )

    def unexplained(self, rows: np.ndarray, projections: np.ndarray) -> np.ndarray:
        """a_s^T (K - Psi Psi^T) a_s' of (C, n, m) vectors with (C, n, r) projections on the modes, (n, C, C)."""
        if self._complete:
            return np.zeros((rows.shape[1], len(rows), len(rows)))
        products = products_of(rows, np.stack([self._kernel_product(row) for row in rows]))
        return 0.5 * (products + products.swapaxes(1, 2)) - products_of(projections, projections)

    def form(self, vector: np.ndarray) -> QuadraticForm:
        """a^T K a of an (m,) vector a; its modes are (a^T Psi_k)^2."""
        return self._once("form", vector, self._form)

    def projection(self, vector: np.ndarray) -> np.ndarray:
        """a^T Psi of an (m,) vector a, (r,)."""
        return vector[self._order] @ self._modes

    def spread_of(self, weights: np.ndarray) -> QuadraticForm:
        """sum_mu u_mu K_mumu - u^T K u of (m,) weights u that sum to one."""
        return self._once("spread", weights, self._spread_of)

    def _form(self, vector: np.ndarray) -> tuple[float, np.ndarray]:
        return max(self._kernel_form(vector), 0.0), self.projection(vector) ** 2

    def _spread_of(self, weights: np.ndarray) -> tuple[float, np.ndarray]:
        prior = float(weights @ self.diagonal) - self._kernel_form(weights)
        modes = weights[self._order] @ self._squares - self.projection(weights) ** 2
        return max(prior, 0.0), np.maximum(modes, 0.0)

    def _once(
        self, kind: str, vector: np.ndarray, find: Callable[[np.ndarray], tuple[float, np.ndarray]]
    ) -> QuadraticForm:
        key = kind, np.ascontiguousarray(vector).tobytes()
        if key not in self._known:
            prior, modes = (
                find(vector) if np.isfinite(vector).all() else (np.nan, np.full_like(self.spread, np.nan))
            )
            rest = 0.0 if self._complete else max(prior - float(modes.sum()), 0.0)
            self._known[key] = QuadraticForm(prior, modes, rest)
        return self._known[key]


def _rows_and_squares(matrix: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a matrix in another order, and the squares of their elements, by all cores."""
    rows, squares = np.empty(matrix.shape), np.empty(matrix.shape)

    def fill(part: slice) -> None:
        rows[part] = matrix[order[part]]
        np.square(rows[part], out=squares[part])

    side_by_side(fill, cut(len(order), ROWS))
    return rows, squares


class Forms(NamedTuple):
    """All that turns an order parameter into observables.

    Parameters
    ----------
    train : InputForms
    test : InputForms or None
        None without test inputs.
    signal, signal_transposed : callable
        b -> R b = (Q/lambda1) B a in an orthonormal basis (docs/theory.md, eq. 3.12), and its transpose.
    trace : (r,) array
        Diagonal of R^T R.
    """

    train: InputForms
    test: InputForms | None
    signal: Callable[[np.ndarray], np.ndarray]
    signal_transposed: Callable[[np.ndarray], np.ndarray]
    trace: np.ndarray

    @property
    def splits(self) -> tuple[InputForms | None, ...]:
        """Forms of each kind of inputs, in the order of the `split` axis."""
        return self.train, self.test


_FORMS: weakref.WeakKeyDictionary[Spectrum, Forms] = weakref.WeakKeyDictionary()


def forms_of(spectrum: Spectrum) -> Forms:
    """The forms of a spectrum, prepared once: O(P^3)."""
    if spectrum not in _FORMS:
        _FORMS[spectrum] = _build_forms(spectrum)
    return _FORMS[spectrum]


def _build_forms(spectrum: Spectrum) -> Forms:
    block = block_for(spectrum.n_train)
    train = InputForms(
        spectrum.eigenvectors * np.sqrt(spectrum.eigenvalues),
        spectrum.dataset.y_train,
        spectrum.class_weights_train,
        spectrum.train_form,
        np.diag(spectrum.kernel),
        spectrum.train_images,
        complete=True,
        block=block,
    )
    test = None
    if spectrum.dataset.n_test:
        test = InputForms(
            spectrum.test_modes,
            spectrum.dataset.y_test,
            spectrum.class_weights_test,
            spectrum.test_form,
            spectrum.kernel_test_diagonal,
            spectrum.test_images,
            complete=False,
            block=block,
        )
    signal = spectrum.signal_modes
    return Forms(
        train, test, row_product(signal, block), row_product(signal.T, block), (signal**2).sum(axis=0)
    )


def prior_class_distance(spectrum: Spectrum) -> np.ndarray:
    """D of the prior kernel on training and test inputs, with the axis `split`; NaN without test inputs."""
    forms = (f for f in forms_of(spectrum).splits)
    return np.array([np.nan if f is None else f.form(contrast(f.weights)).prior for f in forms])
