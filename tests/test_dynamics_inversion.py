"""The inversion of D(t), the inputs that cause it, and the figures that set it beside equilibrium."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from _cubes import all_cubes
from conftest import gaussian_dataset
from proplim.datasets import Dataset
from proplim.dynamics import (
    DynamicsSettings,
    find_inversion,
    find_turn,
    stragglers,
    train,
    train_with_stragglers,
)
from proplim.figures import draw_figures, draw_stragglers, inversion_table

TIMES = np.geomspace(1e-3, 100, 41)


@pytest.mark.parametrize("center", [0.02, 0.7, 31.0])
def test_the_maximum_is_found_between_recorded_times(center: float) -> None:
    """A bump in ln t on a rising floor that is flat at its top: time within 0.5 %, height within 1e-4."""
    distance = 0.1 + 0.05 * np.exp(-0.5 * (np.log(TIMES / center) / 0.9) ** 2)
    mse = 1.0 / (1.0 + TIMES) ** 2
    time, error, height = find_inversion(TIMES, distance, mse)
    assert time == pytest.approx(center, rel=5e-3)
    assert height == pytest.approx(0.15, rel=1e-4)
    assert error == pytest.approx(1.0 / (1.0 + center) ** 2, rel=5e-3)


@pytest.mark.parametrize(
    "distance",
    [
        0.1 + 0.01 * np.log1p(TIMES),
        0.1 - 0.001 * np.log1p(TIMES),
        0.1 + 0.0 * TIMES,
        0.1 * (1 + 0.1 * TIMES / (1 + TIMES)) - 0.0004 * (TIMES > 50),
        np.where(TIMES > 1, np.nan, 0.1),
    ],
    ids=["rising", "falling", "flat", "falling by less than a per cent", "diverged"],
)
def test_no_inversion_is_nan(distance: np.ndarray) -> None:
    assert find_turn(distance) is None
    assert np.isnan(find_inversion(TIMES, distance, 1 / TIMES)).all()


def test_the_first_maximum_counts_even_if_d_rises_above_it_later() -> None:
    distance = np.array([1.0, 1.5, 2.0, 1.6, 1.4, 1.8, 2.5, 3.0, 2.0])
    assert find_turn(distance) == (2, 4)
    assert find_turn(distance[::-1].copy()) == (1, 8)
    # A dip that is too small to count does not end the rise.
    assert find_turn(np.array([1.0, 2.0, 1.995, 3.0, 2.0, 2.5])) == (3, 4)


def digits_with_flipped_labels(n_train: int = 120) -> Dataset:
    """Digits 3 against 8 with some labels of the training set flipped: inputs that are learned last."""
    from sklearn.datasets import load_digits

    images, targets = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    chosen = np.concatenate([rng.permutation(np.flatnonzero(targets == c))[: n_train // 2] for c in (3, 8)])
    x, y = images[chosen], np.where(targets[chosen] == 3, -1.0, 1.0)
    y[rng.random(n_train) < 0.08] *= -1
    x = (x - x.mean()) / x.std()
    return Dataset(x, y, x[:0], y[:0])


@pytest.fixture(scope="module")
def turning() -> tuple[Dataset, xr.Dataset, xr.Dataset]:
    """One network in which D turns: its cube and the attribution to its inputs."""
    data = digits_with_flipped_labels()
    settings = DynamicsSettings(replicas=1, t_max=30.0, n_times=41)
    return data, *train_with_stragglers(data, "erf", width=20, settings=settings)


def test_d_rises_and_falls_while_the_training_error_goes_on_falling(turning: tuple) -> None:
    """The behaviour reported in arXiv:2303.05161, on digits with a few labels flipped."""
    _, cube, _ = turning
    run = cube.isel(optimizer=0, replica=0).sel(split="train")
    distance, error = run.centroid_distance_sq.values, run.mse.values
    top, end = find_turn(distance)
    assert distance[top] > 1.3 * distance[0]
    assert distance[end] < 0.95 * distance[top]
    assert (np.diff(error) < 0).all()
    assert TIMES[0] < float(run.inversion_time) < 30.0
    assert error[top + 1] < float(run.inversion_mse) < error[top - 1]
    assert float(run.inversion_height) == pytest.approx(distance[top], rel=1e-2)


def test_contributions_of_the_inputs_add_up(turning: tuple) -> None:
    """Own motion without error; the drive within what the trapezoidal rule on 41 times leaves, 5 %."""
    _, cube, table = turning
    distance = cube.centroid_distance_sq.isel(optimizer=0, replica=0).sel(split="train").values
    top, end = find_turn(distance)
    run = table.isel(optimizer=0, replica=0)
    rise, fall = distance[top] - distance[0], distance[end] - distance[top]
    assert float(run.motion_rise.sum()) == pytest.approx(rise, rel=1e-9)
    assert float(run.motion_fall.sum()) == pytest.approx(fall, rel=1e-9)
    assert float(run.drive_rise.sum()) == pytest.approx(rise, rel=0.05)
    assert float(run.drive_fall.sum()) == pytest.approx(fall, rel=0.05)
    assert float(run.inversion_time) == cube.time.values[top]


def test_the_inputs_that_drive_the_fall_are_those_not_yet_learned(turning: tuple) -> None:
    data, cube, table = turning
    run = table.isel(optimizer=0, replica=0)
    strongest = np.argsort(run.drive_fall.values)[:5]
    assert (run.inversion_margin.values[strongest] < 0).all()
    assert (run.inversion_margin.values < 0).sum() < data.n_train / 5
    margin = run.margin.isel(time=-1).values
    error = cube.mse.isel(optimizer=0, replica=0, time=-1).sel(split="train")
    assert np.mean((1 - margin) ** 2) == pytest.approx(float(error), rel=1e-9)
    np.testing.assert_array_equal(table.label, np.sign(data.y_train))


def test_without_a_turn_there_are_margins_only_and_the_cube_is_the_same() -> None:
    settings = DynamicsSettings(replicas=1, t_max=0.01, n_times=4)
    data = gaussian_dataset(8, 4)
    cube, table = train_with_stragglers(data, "erf", width=5, settings=settings)
    xr.testing.assert_identical(cube, train(data, "erf", width=5, settings=settings))
    xr.testing.assert_identical(table, stragglers(data, "erf", width=5, settings=settings))
    for name in (
        "motion_rise",
        "motion_fall",
        "drive_rise",
        "drive_fall",
        "inversion_margin",
        "inversion_time",
    ):
        assert np.isnan(table[name]).all(), name
    assert np.isfinite(table.margin).all()


@pytest.mark.slow
def test_the_straggler_figure_is_written(turning: tuple, tmp_path: Path) -> None:
    data, _, table = turning
    paths = draw_stragglers(table, data.x_train, tmp_path / "stragglers", formats=("png", "pdf"))
    assert [p.name for p in paths] == ["stragglers.png", "stragglers.pdf"]
    assert all(p.stat().st_size > 10_000 for p in paths)
    again = draw_stragglers(table, data.x_train, tmp_path / "again", formats=("pdf",))[0]
    assert again.read_bytes() == paths[1].read_bytes()


@pytest.mark.slow
def test_bridge_and_summary_are_drawn_from_cubes(tmp_path: Path) -> None:
    cubes = all_cubes(dataset=["a", "b"], width=[60], n_train=[60, 120])
    paths = draw_figures(cubes, tmp_path, names=["bridge", "inversion"], formats=["pdf"])
    names = {"bridge__a__erf__N-60.pdf", "bridge__b__erf__N-60.pdf", "inversion__erf.pdf"}
    assert {p.name for p in paths} == names
    for name in ("peak_temperature", "peak_height_over_prior"):
        cubes["theory"][name][...] = np.nan
    assert len(draw_figures(cubes, tmp_path, names=["inversion"], formats=["pdf"])) == 1
    for name in ("theory", "dynamics"):
        rising = 0.1 + 0.0 * cubes[name].mse
        for distance in ("centroid_distance_sq", "normalized_centroid_distance_sq"):
            cubes[name][distance] = rising.transpose(*cubes[name][distance].dims)
        cubes[name]["gyration_radius_sq"][...] = 1.0
    cubes["dynamics"]["inversion_mse"][...] = np.nan
    cubes["dynamics"]["inversion_height"][...] = np.nan
    assert not draw_figures(cubes, tmp_path, names=["inversion"])
    assert not draw_figures({"theory": cubes["theory"]}, tmp_path, names=["bridge", "inversion"])


@pytest.mark.slow
def test_bridge_runs_over_temperature_and_time() -> None:
    """Axes: error on x, D on y; a curve for each theory and the optimizer, sampled points with error bars."""
    from proplim.figures import FIGURES, Style

    cubes = all_cubes(n_train=[60], width=[60])
    ((point, figure),) = FIGURES.get("bridge").draw(cubes, Style())
    axes = figure.axes[0]
    assert point["width"] == 60
    lines = {line.get_label(): line for line in axes.get_lines()}
    theory = cubes["theory"].sel(approximation="proportional", split="train").squeeze(drop=True)
    line = lines["proportional, over $T$"]
    np.testing.assert_allclose(line.get_xdata(), theory.mse)
    np.testing.assert_allclose(line.get_ydata(), theory.centroid_distance_sq)
    dynamics = cubes["dynamics"].sel(split="train").isel(optimizer=0).mean("replica").squeeze(drop=True)
    np.testing.assert_allclose(lines["gradient descent, over $t$"].get_xdata(), dynamics.mse)
    assert axes.xaxis_inverted()


def test_the_table_sets_t_star_beside_the_inversion() -> None:
    """One turning replica of three at one point; the theory's error interpolated in ln T at its T*."""
    cubes = all_cubes(n_train=[60], width=[60])
    dynamics = cubes["dynamics"].copy(deep=True)
    for name, value in (("inversion_mse", 0.2), ("inversion_time", 3.0), ("inversion_height", 0.5)):
        dynamics[name][...] = np.nan
        dynamics[name][{"replica": 1}] = value
    dynamics["converged"][{"replica": 3}] = 0.0
    theory = cubes["theory"].copy(deep=True)
    theory["peak_temperature"][...] = float(theory.temperature[7] * theory.temperature[8]) ** 0.5
    table = inversion_table({"theory": theory, "dynamics": dynamics}, quantities=["centroid_distance_sq"])
    (row,) = table.to_dict("records")
    error = theory.mse.sel(approximation="proportional", split="train").squeeze(drop=True).values
    assert row["T_star_mse"] == pytest.approx(0.5 * (error[7] + error[8]), rel=1e-9)
    assert (row["replicas"], row["turning"], row["alpha"]) == (3, 1, 1.0)
    assert (row["inversion_mse"], row["inversion_time"]) == (0.2, 3.0)
    assert np.isnan(row["inversion_mse_sd"])
    first = dynamics.centroid_distance_sq.sel(split="train").isel(time=0, replica=1).item()
    assert row["inversion_height"] == pytest.approx(0.5 / first)


def networks_whose_relative_distance_falls() -> dict[str, xr.Dataset]:
    """Invented: D of every network rises for ever, its radii grow faster from t = 3 on."""
    cubes = all_cubes(n_train=[60], width=[60])
    dynamics = cubes["dynamics"]
    log_t = np.log(dynamics.time.where(dynamics.time > 0))
    rising = (0.1 + 0.01 * (log_t - np.log(1e-4))).fillna(0.1)
    size = 1.0 + 0.2 * (log_t - np.log(3.0)).clip(min=0.0).fillna(0.0)
    for name, values in (
        ("centroid_distance_sq", rising),
        ("gyration_radius_sq", size),
        ("normalized_centroid_distance_sq", rising),
    ):
        dynamics[name] = (values + 0.0 * dynamics[name]).transpose(*dynamics[name].dims)
    for name in ("inversion_mse", "inversion_time", "inversion_height"):
        dynamics[name][...] = np.nan
    dynamics["converged"][...] = 1.0
    return cubes


def test_the_table_says_in_which_quantity_training_falls() -> None:
    """The first maximum of D/(R_+^2 + R_-^2) stands at t = 3, to the spacing of the recorded times."""
    cubes = networks_whose_relative_distance_falls()
    table = inversion_table(cubes).set_index("quantity")
    assert set(table.index) == {
        "centroid_distance_sq",
        "relative_distance",
        "normalized_centroid_distance_sq",
    }
    replicas = cubes["dynamics"].sizes["replica"]
    assert table.turning.to_dict() == {
        "centroid_distance_sq": 0,
        "relative_distance": replicas,
        "normalized_centroid_distance_sq": 0,
    }
    fallen = table.loc["relative_distance"]
    times = cubes["dynamics"].time.values
    near = times[np.searchsorted(times, 3.0) - 1], times[np.searchsorted(times, 3.0)]
    assert near[0] <= fallen.mean_inversion_time <= near[1]
    ratio = (cubes["dynamics"].centroid_distance_sq / cubes["dynamics"].gyration_radius_sq.sum("label")).sel(
        split="train"
    )
    curve = ratio.isel(optimizer=0, replica=0).squeeze(drop=True).values
    assert fallen.mean_fall == pytest.approx(1.0 - curve[np.argmax(curve) :].min() / curve.max(), rel=1e-9)
    assert np.isnan(table.loc["centroid_distance_sq"].mean_fall)


def test_figures_show_the_quantity_that_falls_and_say_which() -> None:
    from proplim.figures import FIGURES, Style

    cubes = networks_whose_relative_distance_falls()
    symbol = "D/(R_+^2+R_-^2)"
    for name, rows in (("bridge", 2), ("training", 3)):
        ((_, figure),) = FIGURES.get(name).draw(cubes, Style())
        assert len(figure.axes) == rows, name
        assert symbol in figure.axes[1].get_ylabel(), name
        assert f"falls in time is that of ${symbol}$" in figure.get_supxlabel().replace("\n", " "), name

    def marked(name: str) -> list[bool]:
        ((_, figure),) = FIGURES.get(name).draw({"dynamics": cubes["dynamics"]}, Style())
        return ["maximum" in ax.get_legend_handles_labels()[1] for ax in figure.axes[:2]]

    assert marked("training") == marked("bridge") == [False, True]  # the end of a rise is no maximum
    ((_, figure),) = FIGURES.get("inversion").draw(cubes, Style())
    assert symbol in figure.axes[0].get_ylabel()
    # sampled points carry the errors of D and of the radii
    from proplim.figures._distances import with_distances

    sampled = with_distances(cubes)["sampling"].relative_distance.sel(split="train").squeeze(drop=True)
    source = cubes["sampling"].sel(split="train").squeeze(drop=True)
    size = source.gyration_radius_sq.sel(statistic="mean").sum("label")
    mean = source.centroid_distance_sq.sel(statistic="mean") / size
    error = mean * np.hypot(
        source.centroid_distance_sq.sel(statistic="mcse") / source.centroid_distance_sq.sel(statistic="mean"),
        np.sqrt((source.gyration_radius_sq.sel(statistic="mcse") ** 2).sum("label")) / size,
    )
    np.testing.assert_allclose(sampled.sel(statistic="mean"), mean)
    np.testing.assert_allclose(sampled.sel(statistic="mcse"), error)


def test_a_table_without_rows_has_its_columns() -> None:
    """All networks diverged: nothing to report, and the questions one asks of a table can still be asked."""
    cubes = all_cubes(n_train=[60], width=[60])
    full = inversion_table(cubes)
    cubes["dynamics"]["converged"][...] = 0.0
    empty = inversion_table(cubes)
    assert empty.empty
    assert list(empty.columns) == list(full.columns)
    assert not np.isfinite(empty["T_star"]).any()


def test_training_is_shown_not_much_further_than_equilibrium_goes() -> None:
    """Networks fit to rounding, 1e-28: the figure is of the errors at which something happens."""
    from proplim.figures import FIGURES, Style

    cubes = all_cubes(n_train=[60], width=[60])
    dynamics = cubes["dynamics"]
    falling = (dynamics.mse * np.exp(-0.6 * dynamics.time)).clip(min=1e-25)
    dynamics["mse"] = falling.transpose(*dynamics.mse.dims)
    assert dynamics.mse.min() < 1e-20
    ((_, figure),) = FIGURES.get("bridge").draw(cubes, Style())
    lowest = min(float(cubes[stage].mse.sel(split="train").min()) for stage in ("theory",))
    assert min(figure.axes[0].get_xlim()) > 1e-4 * lowest
    ((_, figure),) = FIGURES.get("training").draw(cubes, Style())
    assert figure.axes[-1].get_ylim()[0] == pytest.approx(1e-8)
