"""Selection, comparison and helpers against numbers worked out by hand on invented cubes."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from _cubes import all_cubes, dynamics_cube, sampling_cube, theory_cube
from proplim.errors import InvalidInput
from proplim.query import (
    differences,
    fit_sizes,
    in_order,
    open_cube,
    parabola_peak,
    parse_selection,
    peak_temperature,
    pick_variables,
    ratio_to_prior,
    relative_distance,
    select,
    size_deviations,
    summarise,
    to_table,
    worst_points,
)


@pytest.fixture(scope="module")
def cubes() -> dict[str, xr.Dataset]:
    return all_cubes(seed=[0, 1])


# --- peak


def test_peak_of_a_parabola_in_log_t_is_exact_between_grid_points() -> None:
    t = np.logspace(-3, 2, 11)
    values = 0.13 - 0.004 * (np.log(t) - np.log(0.07)) ** 2
    position, height = parabola_peak(t, values)
    assert position == pytest.approx(0.07, rel=1e-10)
    assert height == pytest.approx(0.13, rel=1e-12)


def test_peak_is_nan_where_monotone_constant_or_short() -> None:
    t = np.logspace(-3, 2, 11)
    assert np.isnan(parabola_peak(t, t)).all()
    assert np.isnan(parabola_peak(t, -t)).all()
    assert np.isnan(parabola_peak(t, np.ones(11))).all()
    assert np.isnan(parabola_peak(t[:2], t[:2])).all()
    assert np.isnan(parabola_peak(t, np.full(11, np.nan))).all()


def test_peak_ignores_missing_points_and_order_of_the_axis() -> None:
    t = np.logspace(-3, 2, 12)
    values = -((np.log(t) - 0.3) ** 2)
    values[2] = np.nan
    array = xr.DataArray(values, dims="temperature", coords={"temperature": t}, name="D")
    shuffled = array.isel(temperature=np.random.default_rng(0).permutation(12))
    assert float(peak_temperature(shuffled)["position"]) == pytest.approx(np.exp(0.3))


def test_peak_over_a_cube_keeps_the_other_axes(cubes: dict[str, xr.Dataset]) -> None:
    peak = peak_temperature(cubes["theory"]["centroid_distance_sq"])
    assert "temperature" not in peak.dims
    assert peak.sizes["split"] == 2
    assert np.isnan(peak["position"].sel(approximation="infinite_width")).all()
    assert np.isfinite(peak["position"].sel(approximation="proportional")).all()


def test_peak_refuses_a_missing_axis(cubes: dict[str, xr.Dataset]) -> None:
    with pytest.raises(InvalidInput, match="time"):
        peak_temperature(cubes["theory"]["centroid_distance_sq"], "time")


# --- selection


def test_parse_selection_forms() -> None:
    got = parse_selection(["width=60", "temperature=0.1:10", "n_train=60,120", "lambda1=:2"])
    assert got == {
        "width": "60",
        "temperature": ("0.1", "10"),
        "n_train": ["60", "120"],
        "lambda1": (None, "2"),
    }


@pytest.mark.parametrize("words", [["width"], ["=3"], ["width="], ["width=3", "width=4"]])
def test_parse_selection_refuses(words: list[str]) -> None:
    with pytest.raises(InvalidInput):
        parse_selection(words)


def test_nearest_is_near_in_ratio_on_a_logarithmic_axis() -> None:
    cube = theory_cube(temperature=[0.01, 1.0])
    # 0.09 is closer to 0.01 by difference but less than a factor of 11.1 from 1: the ratio decides.
    assert float(select(cube, {"temperature": 0.11})["temperature"]) == 1.0
    assert float(select(cube, {"temperature": 0.09})["temperature"]) == 0.01


def test_exact_refuses_what_is_not_on_the_axis_and_forgives_rounding(cubes: dict[str, xr.Dataset]) -> None:
    cube = theory_cube(temperature=[0.1 + 1e-17, 0.3])
    assert float(select(cube, {"temperature": "0.30000000000000004"}, method="exact")["temperature"]) == 0.3
    with pytest.raises(InvalidInput, match=r"0\.1, 0\.3"):
        select(cube, {"temperature": 0.2}, method="exact")


def test_a_count_between_two_is_on_no_axis() -> None:
    with pytest.raises(InvalidInput, match=r"60, 120"):
        select(theory_cube(), {"width": 60.5}, method="exact")
    assert int(select(theory_cube(), {"width": "60.0"}, method="exact")["width"]) == 60


def test_ranges_are_closed_and_open_ends_work(cubes: dict[str, xr.Dataset]) -> None:
    cube = theory_cube(temperature=[0.01, 0.1, 1.0, 10.0])
    assert select(cube, parse_selection(["temperature=0.1:1"]))["temperature"].values.tolist() == [0.1, 1.0]
    assert select(cube, parse_selection(["temperature=1:"]))["temperature"].values.tolist() == [1.0, 10.0]
    with pytest.raises(InvalidInput, match=r"runs from 0\.01 to 10"):
        select(cube, parse_selection(["temperature=20:30"]))


@pytest.mark.parametrize(
    ("selection", "text"),
    [
        ({"widht": 60}, "widht"),
        ({"width": "wide"}, "a number"),
        ({"width": "nan"}, "finite"),
        ({"dataset": "mnist"}, "digits-3v8"),
        ({"dataset": ("a", "b")}, "numbers"),
    ],
)
def test_select_refuses(cubes: dict[str, xr.Dataset], selection: dict, text: str) -> None:
    with pytest.raises(InvalidInput, match=text):
        select(cubes["theory"], selection)
    with pytest.raises(InvalidInput, match="method"):
        select(cubes["theory"], {}, method="closest")


def test_table_has_a_row_for_every_point_and_the_cube_s_numbers(cubes: dict[str, xr.Dataset]) -> None:
    part = select(
        cubes["theory"][["centroid_distance_sq"]], {"width": 60, "split": "train", "temperature": 1.0}
    )
    table = to_table(part)
    assert len(table) == 3 * 2 * 2  # n_train, seed, approximation
    row = table[(table.n_train == 120) & (table.seed == 1) & (table.approximation == "proportional")]
    expected = cubes["theory"].centroid_distance_sq.sel(
        n_train=120, seed=1, approximation="proportional", split="train", width=60
    )
    assert float(row["centroid_distance_sq"].iloc[0]) == float(
        expected.sel(temperature=1.0, method="nearest").squeeze()
    )


def test_table_of_a_single_point() -> None:
    cube = theory_cube().isel(dict.fromkeys(theory_cube().dims, 0))
    assert len(to_table(cube[["mse"]])) == 1


def test_unknown_variable_names_the_nearest(cubes: dict[str, xr.Dataset]) -> None:
    with pytest.raises(InvalidInput, match="did you mean 'centroid_distance_sq'"):
        pick_variables(cubes["theory"], ["centroid_distance"])


def test_open_cube_refuses_what_is_no_cube(tmp_path) -> None:
    with pytest.raises(InvalidInput, match="exists"):
        open_cube(tmp_path / "absent.nc")
    (tmp_path / "text.nc").write_text("no cube")
    with pytest.raises(InvalidInput, match="readable"):
        open_cube(tmp_path / "text.nc")


# --- helpers and accessor


def test_ratio_to_prior_is_one_at_infinite_width(cubes: dict[str, xr.Dataset]) -> None:
    theory = cubes["theory"]
    ratio = ratio_to_prior(theory)
    np.testing.assert_allclose(ratio.sel(approximation="infinite_width"), 1.0, rtol=1e-14)
    by_hand = theory.centroid_distance_sq.sel(approximation="proportional") / theory.centroid_distance_sq.sel(
        approximation="infinite_width"
    )
    np.testing.assert_array_equal(ratio.sel(approximation="proportional").transpose(*by_hand.dims), by_hand)


def test_ratio_to_prior_of_sampling_and_dynamics_need_a_theory(cubes: dict[str, xr.Dataset]) -> None:
    ratio = cubes["sampling"].proplim.ratio_to_prior(cubes["theory"])
    assert "statistic" not in ratio.dims
    # temperature 0.01, 0.1, 1 lie on the theory's axis, so nothing is missing
    assert np.isfinite(ratio).all()
    assert np.isfinite(cubes["dynamics"].proplim.ratio_to_prior(cubes["theory"])).all()
    with pytest.raises(InvalidInput, match="infinite_width"):
        ratio_to_prior(cubes["sampling"])
    with pytest.raises(InvalidInput, match="infinite_width"):
        ratio_to_prior(theory_cube(approximations=["proportional"]))


def test_relative_distance_by_hand(cubes: dict[str, xr.Dataset]) -> None:
    cube = cubes["theory"]
    radii = cube.gyration_radius_sq
    by_hand = cube.centroid_distance_sq / (radii.sel(label=1) + radii.sel(label=-1))
    xr.testing.assert_allclose(relative_distance(cube), by_hand.rename("relative_distance"))
    assert "statistic" not in cubes["sampling"].proplim.relative_distance().dims


def test_accessor_slices_and_finds_peaks(cubes: dict[str, xr.Dataset]) -> None:
    assert int(cubes["theory"].proplim.at(width=61)["width"]) == 60
    assert "temperature" not in cubes["theory"].proplim.peak().dims
    assert "time" not in cubes["dynamics"].proplim.peak().dims


# --- comparison


def test_z_scores_are_theory_minus_sampling_in_standard_errors() -> None:
    theory, sampling = theory_cube(), sampling_cube()
    z = sampling.proplim.z_scores(theory)
    relative = sampling.proplim.relative_errors(theory)
    point = {"n_train": 120, "width": 60, "dataset": "digits-3v8", "activation": "erf", "seed": 0}
    point |= {"lambda0": 1.0, "lambda1": 1.0}
    s = sampling.readout_variance.sel({**point, "temperature": 0.1})
    t = theory.readout_variance.sel({**point, "approximation": "proportional"}).sel(
        temperature=0.1, method="nearest"
    )
    here = {**point, "temperature": 0.1, "approximation": "proportional"}
    difference = float(t - s.sel(statistic="mean"))
    assert float(z.readout_variance.sel(here)) == pytest.approx(difference / float(s.sel(statistic="mcse")))
    assert float(relative.readout_variance.sel(here)) == pytest.approx(
        difference / abs(float(s.sel(statistic="mean")))
    )


def test_z_scores_of_the_truth_are_standard_normal() -> None:
    # The invented sampling cube scatters around the cavity's numbers with the stated standard error: 324
    # independent values, those without split or label repeated in the mean, whose standard deviation is then
    # 0.087. False-alarm rate 0.4 %, and the seed is fixed.
    theory = theory_cube(approximations=["cavity", "proportional"])
    z = sampling_cube(rng_seed=3).proplim.z_scores(theory)
    square = {a: np.nanmean(z.sel(approximation=a).to_array() ** 2) for a in ("cavity", "proportional")}
    assert 0.75 < square["cavity"] < 1.25
    assert square["proportional"] > 10


def test_points_without_theory_or_convergence_are_missing_not_wrong() -> None:
    theory, sampling = theory_cube(temperature=[0.01, 0.1]), sampling_cube()
    sampling["converged"][{"temperature": 0}] = 0.0
    compared = differences(sampling, theory, ["mse"])
    assert np.isnan(compared.mse_z.sel(temperature=1.0)).all()
    assert np.isnan(compared.mse_z.sel(temperature=0.01)).all()
    assert np.isfinite(compared.mse_z.sel(temperature=0.1)).all()
    assert np.isfinite(
        differences(sampling, theory, ["mse"], all_points=True).mse_z.sel(temperature=0.01)
    ).all()


def test_coordinates_match_up_to_rounding() -> None:
    theory = theory_cube()
    theory = theory.assign_coords(temperature=theory.temperature.values * (1 + 1e-13))
    assert np.isfinite(sampling_cube().proplim.z_scores(theory, ["mse"]).mse).all()


def test_comparison_does_not_depend_on_the_order_of_any_axis() -> None:
    theory, sampling = theory_cube(), sampling_cube()
    turned = [c.isel({d: slice(None, None, -1) for d in c.dims}) for c in (sampling, theory)]
    there, again = differences(sampling, theory), differences(*turned)
    for name in there.data_vars:
        same = again[name].reindex_like(there[name]).transpose(*there[name].dims)
        np.testing.assert_array_equal(same.values, there[name].values)
    ordered = in_order(turned[1])
    xr.testing.assert_identical(ordered, in_order(theory))
    assert ordered.approximation.values.tolist() == ["infinite_width", "proportional"]
    assert in_order(ordered) is ordered


def test_a_variable_of_one_s_own_is_compared_and_in_tables() -> None:
    """Of any dimensions, and without its observable being registered here."""
    kinds = xr.DataArray([1.0, 3.0], dims="kind", coords={"kind": ["a", "b"]})
    theory, sampling = theory_cube(), sampling_cube()
    theory["own"], sampling["own"] = theory.mse * kinds, sampling.mse * kinds
    summary = summarise(differences(sampling, theory)).set_index(["approximation", "variable"])
    one, other = (summary.loc[("proportional", name)] for name in ("own", "mse"))
    assert one.points == 2 * other.points
    assert one.max_abs_z == pytest.approx(other.max_abs_z)
    part = select(
        theory[["own"]], {"kind": "b", "width": 60, "n_train": 60, "split": "test", "temperature": 1}
    )
    np.testing.assert_array_equal(to_table(part)["own"], part["own"].values.ravel())


def test_summary_and_worst_points_find_a_planted_outlier() -> None:
    theory, sampling = theory_cube(approximations=["cavity"]), sampling_cube(seed=[0, 5])
    theory = theory_cube(approximations=["cavity"], seed=[0, 5])
    where = {"n_train": 2, "width": 1, "temperature": 1, "seed": 1}
    sampling["readout_variance"][{**where, "statistic": 0}] += 1.0
    compared = differences(sampling, theory)
    summary = summarise(compared).set_index("variable")
    assert summary["max_abs_z"].idxmax() == "readout_variance"
    expected = "n_train=240 width=120 temperature=0.1 seed=5"
    assert summary.loc["readout_variance", "worst"] == expected
    worst = worst_points(compared, 3)
    assert worst.loc[0, "point"] == expected
    assert worst.loc[0, "z"] == pytest.approx(-summary.loc["readout_variance", "max_abs_z"])
    assert worst["z"].abs().is_monotonic_decreasing


def test_accuracy_is_compared_only_when_asked_for() -> None:
    assert "accuracy_z" in differences(sampling_cube(), theory_cube(), ["accuracy"])
    compared = differences(sampling_cube(), theory_cube())
    assert "mse_z" in compared
    assert not [name for name in compared.data_vars if str(name).startswith("accuracy")]


def test_compare_refuses_the_wrong_cube() -> None:
    with pytest.raises(InvalidInput, match="sampling"):
        differences(dynamics_cube(), theory_cube())
    with pytest.raises(InvalidInput, match="theory"):
        differences(sampling_cube(), sampling_cube())
    with pytest.raises(InvalidInput, match="free_energy"):
        differences(sampling_cube(), theory_cube(), ["free_energy"])


def test_size_deviations_are_taken_draw_by_draw() -> None:
    axes = {"n_train": [50, 100], "width": [50, 100], "temperature": [1.0], "seed": [0, 1, 2]}
    theory, sampling = theory_cube(**axes), sampling_cube(**axes)
    sampling["converged"][{"seed": 2, "n_train": 1}] = 0.0
    table = size_deviations(sampling, theory, "readout_variance")
    assert set(table["alpha"]) == {0.5, 1.0, 2.0}
    row = table.query("approximation == 'proportional' and width == 100 and n_train == 100").iloc[0]
    assert row["draws"] == 2
    here = {"width": 100, "n_train": 100, "seed": [0, 1]}
    mean, error = (sampling.readout_variance.sel(statistic=s, **here).squeeze() for s in ("mean", "mcse"))
    ratio = theory.readout_variance.sel(approximation="proportional", **here).squeeze() / mean - 1
    assert row["deviation"] == pytest.approx(float(ratio.mean()))
    expected = max(float(ratio.var("seed", ddof=1)), float(((error / mean) ** 2).mean())) / 2
    assert row["error"] == pytest.approx(expected**0.5)


def test_fit_in_inverse_width_covers_its_limit() -> None:
    rng, x = np.random.default_rng(0), np.array([0.04, 0.02, 0.01, 0.005])
    error = np.array([0.4, 0.3, 0.3, 0.6])
    fits = [fit_sizes(x, -2.0 + 30.0 * x + error * rng.standard_normal(4), error) for _ in range(400)]
    inside = sum(abs(f.limit + 2.0) < f.limit_error for f in fits if f)
    # Errors are widened where a line fits badly by chance, so they cover more than 68 %: 73 % of 20 000 fits. The
    # number inside is binomial; the bounds are 4.5 of its standard deviations away (false alarms 7e-6).
    assert 0.63 < inside / 400 < 0.83
    assert fit_sizes(x[:2], x[:2], error[:2]) is None
