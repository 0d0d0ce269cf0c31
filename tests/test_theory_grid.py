"""solve_grid: what a point is does not depend on what else is computed, nor on how many cores there are."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from conftest import gaussian_dataset
from proplim.datasets import Dataset
from proplim.errors import InvalidInput
from proplim.observables import variables_of
from proplim.theory import _products as products
from proplim.theory import solve_grid
from proplim.theory._blocks import BLOCK

TEMPERATURES = np.logspace(-5, 3, 23)
WIDTHS = [3, 17, 100, 5000]
LAMBDAS = [0.3, 1.0, 4.0]


def solve(dataset, activation="erf", **axes) -> xr.Dataset:
    defaults = {"temperature": TEMPERATURES, "width": WIDTHS, "lambda1": LAMBDAS}
    approximations = ["infinite_width", "proportional", *(["exact"] if activation == "linear" else [])]
    return solve_grid(dataset, activation, **(defaults | axes), approximations=approximations)


def assert_same_bits(a: xr.Dataset, b: xr.Dataset) -> None:
    for name in a.data_vars:
        x, y = a[name].values, b[name].values
        assert x.tobytes() == y.tobytes(), f"{name} differs by up to {np.nanmax(np.abs(x - y))}"


@pytest.mark.parametrize(("activation", "n_train"), [("erf", 37), ("erf", 130), ("linear", 11)])
def test_bit_identical_whatever_the_grid(activation, n_train):
    dataset = gaussian_dataset(n_train, 13, 21, seed=1)
    axes = {"temperature": TEMPERATURES[::4], "width": WIDTHS} if activation == "linear" else {}
    whole = solve(dataset, activation, **axes)
    assert whole.sizes["temperature"] * 12 > BLOCK / 4
    rng = np.random.default_rng(0)
    for _ in range(3):  # shuffled and thinned grids: other neighbours, other places in the blocks
        pick = {
            "temperature": rng.permutation(whole.temperature.values)[:5],
            "width": rng.permutation(whole.width.values)[:3],
            "lambda1": rng.permutation(whole.lambda1.values)[:2],
        }
        assert_same_bits(whole.sel(pick), solve(dataset, activation, **pick))
    for _ in range(4):  # single points
        pick = {k: rng.choice(whole[k].values, 1) for k in ("temperature", "width", "lambda1")}
        assert_same_bits(whole.sel(pick), solve(dataset, activation, **pick))


def test_chunks_and_rows_do_not_show(monkeypatch):
    """Chunks of points give the same bits; rows of the test kernel the same sums to rounding."""
    from proplim.theory import _solve, _spectrum

    dataset = gaussian_dataset(20, 8, 23)
    whole = solve(dataset)
    monkeypatch.setattr(_solve, "CHUNK", 37)
    assert_same_bits(whole, solve(dataset))
    monkeypatch.setattr(_spectrum, "TEST_ROWS", 5)
    xr.testing.assert_allclose(whole, solve(dataset), rtol=1e-12)


SCRIPT = """
import hashlib, sys
sys.path.insert(0, {tests!r})
import numpy as np
from conftest import gaussian_dataset
from proplim.theory import solve_grid, signal_direction
d = gaussian_dataset(300, 60, 40, seed=2)
grid = solve_grid(d, "erf", temperature=np.logspace(-4, 2, 30), width=[50, 400], lambda1=[0.5, 1.0])
digest = hashlib.sha256()
for name in sorted(grid.data_vars):
    digest.update(grid[name].values.tobytes())
digest.update(signal_direction(d, "erf", width=50, temperature=0.1).tobytes())
print(digest.hexdigest())
"""


@pytest.mark.slow
def test_bit_identical_whatever_the_number_of_threads():
    digests = set()
    for threads in ("1", "2", "3"):
        environment = {"OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads, "PATH": ""}
        script = SCRIPT.format(tests=str(__file__).rsplit("/", 1)[0])
        run = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        digests.add(run.stdout.strip())
    assert len(digests) == 1


def test_a_library_whose_products_depend_on_position_is_not_used(monkeypatch):
    """Row products fall back to one product a row, with the same values to rounding."""
    matrix = np.random.default_rng(0).standard_normal((30, 17))
    rows = np.random.default_rng(1).standard_normal((BLOCK, 17))
    fast = products.row_product(matrix)(rows)
    with monkeypatch.context() as patch:
        patch.setattr(products.np, "array_equal", lambda *_: False)
        slow = products.row_product(matrix)
    rolled = slow(np.roll(rows, 1, axis=0))
    assert np.array_equal(np.roll(slow(rows), 1, axis=0), rolled)
    np.testing.assert_allclose(slow(rows), fast, rtol=1e-12, atol=1e-12)


def test_every_variable_with_its_dimensions():
    grid = solve(gaussian_dataset(8, 5, 6), temperature=[0.1, 1.0])
    assert set(grid.data_vars) == {v.name for v in variables_of("theory")}
    for variable in variables_of("theory"):
        array = grid[variable.name]
        own = [d for d in ("width", "temperature", "lambda1") if d not in variable.without]
        assert array.dims == ("approximation", *own, *variable.dims)
        assert array.dtype == np.float64
        assert array.attrs["units"] == variable.units
    assert (grid.converged == 1).all()
    table = {
        v.name for v in variables_of("theory") if not v.without and not v.name.startswith(("stat", "action"))
    }
    # No unit is heavy in these theories, and the trace of erf's hidden weights is not known to the proportional one.
    single = {"heavy_unit_share", "readout_participation", "condensed_probability"}
    assert all(np.isnan(grid[name]).all() for name in single)
    shift = grid.hidden_trace_shift
    assert (shift.sel(approximation="infinite_width") == 0).all()
    assert np.isnan(shift.sel(approximation="proportional")).all()
    assert all(np.isfinite(grid[name]).all() for name in table - single - {"hidden_trace_shift"})


def test_no_test_inputs_and_a_missing_class_are_nan_and_not_false_numbers():
    d = gaussian_dataset(8, 5)
    grid = solve(Dataset(d.x_train, d.y_train, d.x_test[:0], d.y_test[:0]), temperature=0.1)
    for name in ("mse", "accuracy", "centroid_distance_sq", "gyration_radius_sq", "peak_temperature"):
        assert np.isnan(grid[name].sel(split="test")).all()
    assert np.isfinite(grid.mse.sel(split="train")).all()
    one_class = solve(Dataset(d.x_train, np.abs(d.y_train), d.x_test, d.y_test), temperature=0.1)
    assert np.isnan(one_class.centroid_distance_sq.sel(split="train")).all()
    assert np.isnan(one_class.gyration_radius_sq.sel(split="train", label=-1)).all()
    assert np.isfinite(one_class.gyration_radius_sq.sel(split="train", label=1)).all()
    assert np.isfinite(one_class.gyration_radius_sq.sel(split="test")).all()
    assert np.isfinite(one_class.mse).all()


def test_an_exact_theory_exists_for_the_linear_network_only():
    grid = solve_grid(
        gaussian_dataset(6, 4), "erf", temperature=1, width=10, approximations=["exact", "proportional"]
    )
    assert grid.converged.values.ravel().tolist() == [0.0, 1.0]
    exact = grid.sel(approximation="exact")
    assert all(np.isnan(exact[name]).all() for name in exact.data_vars if name != "converged")


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"temperature": 0.0}, "temperature"),
        ({"temperature": [0.1, -1.0]}, "temperature"),
        ({"temperature": np.nan}, "temperature"),
        ({"temperature": []}, "temperature"),
        ({"temperature": [[1.0]]}, "temperature"),
        ({"width": [0]}, "width"),
        ({"width": np.inf}, "width"),
        ({"lambda0": -1.0}, "lambda0"),
        ({"lambda1": [1.0, 0.0]}, "lambda1"),
        ({"approximations": ["nngp"]}, "approximations"),
        ({"approximations": []}, "approximations"),
        ({"activation": "erv"}, "activation"),
    ],
)
def test_bad_input_is_named(change, key):
    arguments = {"activation": "erf", "temperature": 1.0, "width": 10, "lambda1": 1.0} | change
    with pytest.raises(InvalidInput) as error:
        solve_grid(gaussian_dataset(4, 3), **arguments)
    assert error.value.key == key


def test_inputs_too_large_for_a_kernel_are_named():
    d = gaussian_dataset(4, 3)
    with pytest.raises(InvalidInput, match="x_train"):
        solve(Dataset(1e200 * d.x_train, d.y_train, d.x_test, d.y_test), "linear")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_temperatures_beyond_double_precision_give_a_finite_free_energy_or_have_not_converged():
    dataset = gaussian_dataset(8, 12, 6)
    grid = solve(
        dataset, temperature=[1e-60, 1e-79, 1e-85, 1e-120, 1e-200, 1e-300], width=[17], lambda1=[1.0]
    )
    grid = grid.isel(width=0, lambda1=0)
    trusted = grid.converged == 1
    assert np.isfinite(grid.free_energy.where(trusted, 0.0)).all()
    # The kernel has full rank: as T -> 0 the action has a limit, reached long before 1e-60.
    cold = grid.free_energy.sel(temperature=[1e-60, 1e-79, 1e-85])
    assert trusted.sel(temperature=[1e-60, 1e-79, 1e-85]).all()
    np.testing.assert_allclose(cold, np.broadcast_to(cold[:, :1], cold.shape), rtol=1e-12)


@pytest.mark.parametrize("activation", ["erf", "relu", "linear"])
def test_tiny_inputs_are_inputs(activation):
    """Tolerances are relative: data in other units are the same data at another lambda0."""
    dataset = gaussian_dataset(8, 12, 6)
    tiny = Dataset(dataset.x_train * 1e-16, dataset.y_train, dataset.x_test * 1e-16, dataset.y_test)
    small = solve_grid(tiny, activation, temperature=1e-2, width=17, lambda0=1.0)
    same = solve_grid(dataset, activation, temperature=1e-2, width=17, lambda0=1e32)
    for name in ("order_parameter", "mse", "centroid_distance_sq", "gyration_radius_sq"):
        np.testing.assert_allclose(small[name], same[name], rtol=1e-9, err_msg=name)
