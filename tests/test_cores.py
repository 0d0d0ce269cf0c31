"""Work shared by cores: the same bits on any number of them, and which jobs ask for more than one."""

import subprocess
import sys
import threading

import numpy as np
import pytest
import xarray as xr
from threadpoolctl import threadpool_limits

from proplim._cores import LARGE_KERNEL, cores, cut, side_by_side, using_cores
from proplim.datasets import Dataset
from proplim.theory import build_spectrum, solve_grid
from proplim.theory._blocks import BLOCK_OF_LARGE
from proplim.theory._eigen import eigen, product


@pytest.fixture(autouse=True)
def _one_thread_a_call():
    """As the theory sets it: cores are given to parts, and not to single calls of a linear-algebra library."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield


def _kernel(size: int, rank: int = 40) -> np.ndarray:
    x = np.random.default_rng(3).standard_normal((size, rank)) * np.arange(1, rank + 1) ** -0.7
    return x @ x.T / rank + 0.1 * np.eye(size)


def test_parts_run_in_as_many_threads_as_there_are_cores_and_keep_their_order():
    together = threading.Barrier(2, timeout=20)

    def work(part: int) -> int:
        together.wait()  # passes only where two parts run at the same time
        return part * part

    with using_cores(2):
        assert side_by_side(work, range(4)) == [0, 1, 4, 9]
    together = threading.Barrier(2, timeout=0.1)
    with using_cores(1), pytest.raises(threading.BrokenBarrierError):
        side_by_side(work, range(2))


def test_a_part_has_one_core_to_itself():
    with using_cores(2):
        assert side_by_side(lambda _: cores(), range(3)) == [1, 1, 1]
        assert cores() == 2


def test_cores_of_a_context_end_with_it():
    outside = cores()
    with using_cores(3):
        assert cores() == 3
    assert cores() == outside >= 1


@pytest.mark.parametrize(("length", "size"), [(10, 3), (9, 3), (2, 3), (0, 3)])
def test_slices_cover_the_length_once(length, size):
    covered = [i for part in cut(length, size) for i in range(length)[part]]
    assert covered == list(range(length))


def test_a_large_matrix_is_diagonalised():
    matrix = _kernel(LARGE_KERNEL + 37)
    values, vectors = eigen(matrix)
    assert np.all(np.diff(values) >= 0)
    np.testing.assert_allclose((vectors * values) @ vectors.T, matrix, atol=1e-12)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(len(matrix)), atol=1e-12)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(matrix), rtol=1e-11)


def test_bits_do_not_depend_on_the_cores():
    matrix = _kernel(LARGE_KERNEL + 37)
    found = []
    for count in (1, 2, 3, 5):
        with using_cores(count):
            found.append((*eigen(matrix), product(matrix[:50], matrix)))
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_spectrum_of_a_large_kernel_has_the_same_bits_on_two_cores():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((LARGE_KERNEL + 60, 30))
    y = np.where(x[:, 0] > 0, 1.0, -1.0)
    data = Dataset(x[:-60], y[:-60], x[-60:], y[-60:])
    spectra = []
    for count in (1, 2):
        with using_cores(count):
            spectra.append(build_spectrum(data, "erf", 1.0))
            spectra[-1].test_modes, spectra[-1].signal_modes
    for name in ("kernel", "eigenvalues", "eigenvectors", "labels", "test_modes", "signal_modes"):
        np.testing.assert_array_equal(getattr(spectra[0], name), getattr(spectra[1], name))


def test_a_point_of_a_large_kernel_has_its_bits_in_any_grid():
    rng = np.random.default_rng(4)
    x = rng.standard_normal((LARGE_KERNEL + 50, 30)) * np.arange(1, 31) ** -0.5
    y = np.where(x[:, 0] + 0.3 * x[:, 1] > 0, 1.0, -1.0)
    data = Dataset(x[:LARGE_KERNEL], y[:LARGE_KERNEL], x[LARGE_KERNEL:], y[LARGE_KERNEL:])
    settings = {"lambda0": 1.0, "lambda1": [1.0], "approximations": ["infinite_width", "proportional"]}
    temperatures = np.geomspace(0.01, 10.0, BLOCK_OF_LARGE // 2 + 3)
    widths = [200, 900]  # more than a block of points
    whole = solve_grid(data, "erf", width=widths, temperature=temperatures, **settings)
    alone = solve_grid(data, "erf", width=widths[1:], temperature=temperatures[-2:-1], **settings)
    xr.testing.assert_identical(
        whole.sel(width=alone.width, temperature=alone.temperature).drop_attrs(), alone.drop_attrs()
    )


_SOLVE = """
import sys
import numpy as np
from proplim._cores import LARGE_KERNEL, using_cores
from proplim.datasets import Dataset
from proplim.theory import solve_grid

rng = np.random.default_rng(5)
x = rng.standard_normal((LARGE_KERNEL + 251, 30)) * np.arange(1, 31) ** -0.5
y = np.where(x[:, 0] + 0.3 * x[:, 1] > 0, 1.0, -1.0)
data = Dataset(x[:-200], y[:-200], x[-200:], y[-200:])
with using_cores(int(sys.argv[1])):
    grid = solve_grid(data, "erf", lambda0=1.0, lambda1=[1.0], width=[700], temperature=[0.01, 1.0],
                      approximations=["proportional"])
sys.stdout.buffer.write(b"".join(np.ascontiguousarray(v.values).tobytes() for v in grid.data_vars.values()))
"""


@pytest.mark.slow
def test_a_large_theory_has_the_same_bits_in_processes_of_one_two_and_three_cores():
    found = [
        subprocess.run([sys.executable, "-c", _SOLVE, str(count)], capture_output=True, check=True).stdout
        for count in (1, 2, 3)
    ]
    assert len(found[0]) > 500
    assert found[0] == found[1] == found[2]
