"""T*: the temperature of the largest class distance."""

from __future__ import annotations

import numpy as np
import pytest

from proplim.datasets import Dataset
from proplim.theory import build_spectrum, solve_grid, solve_peaks
from proplim.theory._peaks import Points, class_distance


def separated(n_train=24, n_features=12, seed=0) -> Dataset:
    """Two classes whose centroids differ, with labels that no linear function of the inputs fits exactly."""
    rng = np.random.default_rng(seed)
    y = np.where(np.arange(n_train + 20) % 2, 1.0, -1.0)
    x = rng.standard_normal((n_train + 20, n_features)) * np.linspace(2.0, 0.3, n_features)
    x[:, 0] += 0.8 * y
    return Dataset(x[:n_train], y[:n_train], x[n_train:], y[n_train:])


@pytest.mark.parametrize(
    ("approximation", "activation"),
    [
        ("proportional", "erf"),
        pytest.param("proportional", "relu", marks=pytest.mark.slow),
        ("exact", "linear"),
    ],
)
def test_peak_is_where_a_fine_grid_has_it(approximation, activation):
    dataset = separated()
    peaks = solve_peaks(
        dataset, activation, width=[4, 20], lambda1=[0.5, 2.0], approximations=[approximation]
    )
    found = peaks.peak_temperature.sel(approximation=approximation)
    assert np.isfinite(found).any()
    temperature = np.logspace(-4, 3, 281)
    for width in (4, 20):
        for lambda1 in (0.5, 2.0):
            grid = solve_grid(
                dataset,
                activation,
                temperature=temperature,
                width=width,
                lambda1=lambda1,
                approximations=[approximation],
            ).squeeze()
            for split in ("train", "test"):
                d = grid.centroid_distance_sq.sel(split=split).values
                t = float(found.sel(width=width, lambda1=lambda1, split=split))
                top = int(np.argmax(d))
                if np.isnan(t):
                    assert top in (0, 280)
                    continue
                assert abs(np.log(t / temperature[top])) < 2 * np.log(temperature[1] / temperature[0])
                at = solve_grid(
                    dataset,
                    activation,
                    temperature=t,
                    width=width,
                    lambda1=lambda1,
                    approximations=[approximation],
                )
                height = at.centroid_distance_sq.sel(split=split).item()
                assert height >= d.max() * (1 - 1e-12)
                prior = solve_grid(
                    dataset, activation, temperature=1, width=width, approximations=["infinite_width"]
                )
                ratio = peaks.peak_height_over_prior.sel(width=width, lambda1=lambda1, split=split).item()
                assert ratio == pytest.approx(
                    height / prior.centroid_distance_sq.sel(split=split).item(), rel=1e-9
                )
                low = peaks.peak_height_over_low_temperature.sel(
                    width=width, lambda1=lambda1, split=split
                ).item()
                assert low == pytest.approx(height / d[0], rel=1e-2)
                assert low > 1


@pytest.mark.slow
def test_peak_of_the_cavity_is_a_maximum_for_other_draws():
    """A fifth of the labels wrong: D turns. The grid's draws are not those of the peak; seeds are fixed."""
    rng = np.random.default_rng(0)
    y = np.where(np.arange(30) % 2, 1.0, -1.0)
    x = rng.standard_normal((30, 5))
    x[:, 0] += 1.5 * y
    y[rng.permutation(30)[:4]] *= -1
    dataset = Dataset(x, y, x[:0], np.zeros(0))
    peak = solve_peaks(dataset, "erf", width=100, approximations=["cavity"]).squeeze().sel(split="train")
    t, error = float(peak.peak_temperature), float(peak.peak_temperature_mcse)
    assert 0 < error < 0.1 * t
    temperature = t * np.array([0.6, 1.0, 4.0])
    both = ["infinite_width", "cavity"]
    grid = solve_grid(dataset, "erf", temperature=temperature, width=100, approximations=both, peaks=False)
    grid = grid.sel(split="train").squeeze()
    d, own = (grid[f"centroid_distance_sq{s}"].sel(approximation="cavity").values for s in ("", "_mcse"))
    assert d[1] - d[0] > -3 * np.hypot(own[1], own[0])  # flat there, and the branch ends not far below
    assert d[1] - d[2] > 3 * np.hypot(own[1], own[2])
    prior = grid.centroid_distance_sq.sel(approximation="infinite_width").values[0]
    assert float(peak.peak_height_over_prior) == pytest.approx(d[1] / prior, abs=6 * own[1] / prior)
    assert np.isnan(peak.peak_height_over_low_temperature)


def test_total_derivative_along_the_solution():
    """Central differences with h = 1e-5 in ln T: relative error of order 1e-10 + eps/h."""
    dataset = separated()
    spectrum = build_spectrum(dataset, "erf", 1.0)
    h = 1e-5
    for t in (1e-3, 0.1, 3.0):
        points = Points(t * np.exp([-h, 0.0, h]), np.full(3, 7.0), np.full(3, 1.3))
        d = class_distance(spectrum, points)
        np.testing.assert_allclose((d.value[2] - d.value[0]) / (2 * h), d.slope[1], rtol=1e-6)


def test_peak_does_not_depend_on_the_grid_it_is_computed_in():
    dataset = separated()
    whole = solve_peaks(dataset, "erf", width=[2, 5, 30, 200], lambda1=[0.5, 1.0, 2.0])
    one = solve_peaks(dataset, "erf", width=30, lambda1=2.0)
    for name in whole.data_vars:
        assert whole[name].sel(width=[30], lambda1=[2.0]).values.tobytes() == one[name].values.tobytes()
    grid = solve_grid(
        dataset, "erf", temperature=[7.0, 8.0], width=[30], lambda1=[2.0], approximations=["proportional"]
    )
    for name in whole.data_vars:
        assert grid[name].values.tobytes() == one[name].values.tobytes()


def test_search_range_scales_with_the_problem():
    """(T, lambda1, y) -> (c T, lambda1/c, sqrt(c) y) moves T* to c T* and leaves the heights."""
    d = separated()
    c = 1e4
    scaled = Dataset(d.x_train, np.sqrt(c) * d.y_train, d.x_test, np.sqrt(c) * d.y_test)
    a = solve_peaks(d, "erf", width=[4, 20], lambda1=1.0)
    b = solve_peaks(scaled, "erf", width=[4, 20], lambda1=1.0 / c)
    assert np.isfinite(a.peak_temperature).any()
    np.testing.assert_allclose(b.peak_temperature, c * a.peak_temperature, rtol=1e-7)
    np.testing.assert_allclose(b.peak_height_over_prior, a.peak_height_over_prior, rtol=1e-9)


def test_no_peak_is_nan():
    d = separated()
    grid = solve_peaks(d, "erf", width=[10, 1e7], approximations=["infinite_width", "proportional"])
    assert np.isnan(grid.peak_temperature.sel(approximation="infinite_width")).all()
    # zero labels: D only falls as T does
    zero = Dataset(d.x_train, 1e-9 * d.y_train, d.x_test, d.y_test)
    low = solve_grid(
        zero, "erf", temperature=np.logspace(-3, 3, 20), width=10, approximations=["proportional"]
    )
    curve = low.centroid_distance_sq.sel(split="train").values.ravel()
    assert (np.diff(curve) > 0).all()
    assert np.isnan(solve_peaks(zero, "erf", width=10).peak_temperature.sel(split="train")).all()
    nothing = Dataset(np.zeros((4, 3)), [1, -1, 1, -1], np.zeros((0, 3)), np.zeros(0))
    assert np.isnan(solve_peaks(nothing, "erf", width=10).peak_temperature).all()


@pytest.mark.shared
def test_reference_data_peak_between_a_tenth_and_a_thousandth(mnist38, reference):
    """The reference table has D(T=0.01) above D at 0.1 and 0.001: T* lies between."""
    peak = solve_peaks(mnist38, "erf", width=100).sel(split="train").squeeze()
    assert 0.001 < float(peak.peak_temperature) < 0.1
    table = reference["theory_section_3"]
    prior = table["T=1"]["centroid_distance_sq_prior"]
    best = max(v["centroid_distance_sq"] for v in table.values())
    assert best / prior < float(peak.peak_height_over_prior) < 1.01 * best / prior


def test_rounding_at_low_temperature_is_no_peak_of_the_exact_theory():
    """Labels that no mode explains, 100 of them over T = 1e-8: D is monotone, and resolved to its rounding."""
    from proplim.datasets import load_dataset
    from proplim.theory._exact import exact_class_distance

    dataset = load_dataset("gaussian", 120, n_test=0, seed=1, n_features=20)
    peaks = solve_peaks(dataset, "linear", width=[5, 20], approximations=["exact"])
    assert np.isnan(peaks.peak_temperature).all()
    spectrum = build_spectrum(dataset, "linear", 1.0)
    t = 2.0 ** np.arange(-26.0, -18.0)
    d = exact_class_distance(spectrum, Points(t, np.full(t.size, 5.0), np.ones(t.size)))[:, 0]
    slope = np.diff(d) / np.diff(t)  # constant up to order T; rounding of size 1e-15/1.5e-8 is 1e-7 of it
    np.testing.assert_allclose(slope, slope[-1], rtol=1e-4)
