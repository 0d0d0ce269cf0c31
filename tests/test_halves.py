"""The tridiagonal problem by halves, beside LAPACK on the whole and where the halves know little of each other."""

import numpy as np
import pytest

from proplim._cores import using_cores
from proplim.theory._halves import Halves, of_halves
from proplim.theory._lapack import LapackError, call

SIZE = 301
"""Odd, so that the halves differ."""


def _dense(diagonal: np.ndarray, beside: np.ndarray) -> np.ndarray:
    return np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)


def _random() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal(SIZE), rng.standard_normal(SIZE - 1)


def _uncoupled() -> tuple[np.ndarray, np.ndarray]:
    diagonal, beside = _random()
    beside[SIZE // 2 - 1] = 0.0
    return diagonal, beside


def _barely_coupled() -> tuple[np.ndarray, np.ndarray]:
    diagonal, beside = _random()
    beside[SIZE // 2 - 1] = 1e-9
    return diagonal, beside


def _one_pair() -> tuple[np.ndarray, np.ndarray]:
    """Halves that are diagonal: the dyad mixes the two neighbours of the cut alone."""
    beside = np.zeros(SIZE - 1)
    beside[SIZE // 2 - 1] = -0.3
    return np.linspace(1.0, 2.0, SIZE), beside


def _equal_pair() -> tuple[np.ndarray, np.ndarray]:
    return np.ones(SIZE), _one_pair()[1]


def _graded() -> tuple[np.ndarray, np.ndarray]:
    """Elements over twenty orders of magnitude, as a kernel of smooth inputs has them."""
    scale = np.logspace(5, -15, SIZE)
    return scale, 0.3 * np.sqrt(scale[1:] * scale[:-1])


def _clustered() -> tuple[np.ndarray, np.ndarray]:
    """Wilkinson's matrix: pairs of eigenvalues that agree to the last digit."""
    return np.abs(np.arange(SIZE) - SIZE // 2).astype(float), np.ones(SIZE - 1)


CASES = (_random, _uncoupled, _barely_coupled, _one_pair, _equal_pair, _graded, _clustered)


def _matrix(halves: Halves) -> np.ndarray:
    return np.hstack([halves.vectors(slice(0, 100)), halves.vectors(slice(100, SIZE))])


@pytest.mark.parametrize("case", CASES)
def test_the_vectors_diagonalise(case):
    diagonal, beside = case()
    halves = of_halves(diagonal, beside)
    vectors, size = _matrix(halves), np.abs(halves.values).max()
    assert np.all(np.diff(halves.values) >= 0)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(SIZE), atol=1e-13)
    np.testing.assert_allclose(
        (vectors * halves.values) @ vectors.T, _dense(diagonal, beside), atol=1e-13 * size
    )
    np.testing.assert_allclose(halves.values, np.linalg.eigvalsh(_dense(diagonal, beside)), atol=1e-14 * size)


def test_what_the_halves_share_differs_between_the_cases():
    """The cases cover nothing, a single pair and nearly everything being mixed."""
    mixed = {case.__name__: len(of_halves(*case()).dyad) for case in CASES}
    assert mixed["_uncoupled"] == 0
    assert 1 <= mixed["_equal_pair"] <= 2
    assert mixed["_one_pair"] == 2
    assert 3 < mixed["_barely_coupled"] < mixed["_random"] <= SIZE


def test_bits_do_not_depend_on_the_cores():
    found = []
    for count in (1, 2, 3):
        with using_cores(count):
            halves = of_halves(*_random())
            found.append((halves.values, _matrix(halves)))
    for values, vectors in found[1:]:
        np.testing.assert_array_equal(values, found[0][0])
        np.testing.assert_array_equal(vectors, found[0][1])


def test_numbers_too_small_or_zero_are_no_obstacle():
    diagonal, beside = _random()
    tiny = of_halves(1e-280 * diagonal, 1e-280 * beside)
    np.testing.assert_allclose(
        tiny.values / 1e-280, of_halves(diagonal, beside).values, rtol=1e-10, atol=1e-13
    )
    nothing = of_halves(np.zeros(SIZE), np.zeros(SIZE - 1))
    assert not nothing.values.any()
    np.testing.assert_array_equal(np.abs(_matrix(nothing)).sum(axis=0), np.ones(SIZE))


def test_a_routine_that_fails_says_so():
    with pytest.raises(LapackError, match="dlaed4"):
        # More roots than any iteration finds: the poles are not numbers.
        call("dlaed4", 3, 2, np.full(3, np.nan), np.full(3, np.nan), np.empty(3), 1.0, np.empty(1))


@pytest.mark.parametrize(
    "arguments",
    [
        (3, 2, np.ones(3)),
        (3, 2, *[np.ones(3, np.float32)] * 3, 1.0, np.ones(1)),
        (3.0, 2, *[np.ones(3)] * 3, 1.0, np.ones(1)),
    ],
)
def test_arguments_that_a_routine_does_not_take_are_refused(arguments):
    with pytest.raises(TypeError, match="dlaed4 of LAPACK takes int"):
        call("dlaed4", *arguments)
