"""Figures of three and more classes: what they draw is what the cubes hold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from proplim.cube import assemble_cube, point_table
from proplim.datasets import class_coords, load_dataset
from proplim.figures import draw_figures, inversion_table
from proplim.figures._base import FIGURES
from proplim.figures._classes import AVERAGED, averaged_over_classes
from proplim.figures._style import Style
from proplim.figures.confusion import class_names
from proplim.figures.order_parameter_eigenvalues import VALUES, with_eigenvalues
from proplim.figures.pair_distances import pair_looks
from proplim.theory import solve_grid

CLASSES = (3, 8, 5)
TEMPERATURES = [0.01, 0.1, 1.0, 10.0]
NEW = ("pair_distances", "pair_matrices", "order_parameter_eigenvalues", "confusion")
SPREAD = 1e-3


def study_cubes(classes: tuple[int, ...]) -> dict[str, xr.Dataset]:
    """A theory cube, and one of sampling that holds 1.01 times the theory with a standard error."""
    data = load_dataset("digits", 30, classes=classes, n_test=20)
    theory = solve_grid(data, "erf", temperature=TEMPERATURES, width=[20])
    point = {"dataset": "d", "activation": "erf", "n_train": 30, "lambda0": 1.0, "seed": 0}
    axes = {
        "dataset": ["d"], "activation": ["erf"], "n_train": [30], "width": [20], "temperature": TEMPERATURES,
        "lambda0": [1.0], "lambda1": [1.0], "seed": [0],
    }  # fmt: skip
    coords = class_coords(classes, data.n_outputs)
    own = {"approximation": ["infinite_width", "proportional"]}
    cube = assemble_cube("theory", axes, own, [point_table([(point, theory)], "theory")], coords)
    about = {"datasets": [{"name": "d", "source": "digits", "classes": list(classes)}]}
    cube.attrs["configuration"] = yaml.safe_dump(about)
    mean = 1.01 * cube.drop_vars(["reason", "converged"]).sel(approximation="proportional", drop=True)
    parts = [mean, xr.full_like(mean, SPREAD), xr.full_like(mean, 400.0), xr.full_like(mean, 1.0)]
    sampling = xr.concat(parts, xr.Variable("statistic", ["mean", "mcse", "ess", "rhat"]))
    sampling["converged"] = xr.ones_like(cube["converged"].isel(approximation=0, drop=True))
    return {"theory": cube, "sampling": sampling.assign_attrs(cube.attrs)}


@pytest.fixture(scope="module")
def cubes() -> dict[str, xr.Dataset]:
    return study_cubes(CLASSES)


def canvases(name: str, cubes: dict[str, xr.Dataset]) -> list:
    return [page for _, page in FIGURES.get(name).draw(cubes, Style())]


def test_every_figure_of_equilibrium_is_drawn(cubes, tmp_path):
    drawn = {path.name.split("__")[0] for path in draw_figures(cubes, tmp_path, formats=["png"])}
    assert {
        *NEW,
        "class_distance",
        "gyration_radii",
        "weights",
        "test_error",
        "parity",
        "observables",
    } <= drawn


def test_two_classes_have_no_figure_of_pairs(tmp_path):
    two = study_cubes((3, 8))
    drawn = {path.name.split("__")[0] for path in draw_figures(two, tmp_path, formats=["png"])}
    assert "class_distance" in drawn
    assert not drawn & set(NEW)
    assert averaged_over_classes(two)["theory"] is two["theory"]


def test_figures_of_one_distance_show_the_mean_over_pairs(cubes):
    means = averaged_over_classes(cubes)["theory"]
    assert not {"pair", "output", "output2"} & set(means.dims)
    assert means["label"].size == 3, "few enough for lines of their own"
    expected = cubes["theory"]["centroid_distance_sq"].mean("pair")
    xr.testing.assert_allclose(means["centroid_distance_sq"], expected)
    assert "readout_covariance" not in means
    assert "pairs" in means.attrs[AVERAGED]
    (page,) = canvases("class_distance", averaged_over_classes(cubes))
    lines = [line.get_ydata() for line in page.axes[0].get_lines()]
    train = expected.sel(split="train", approximation="proportional").squeeze()
    assert any(len(y) == 4 and np.allclose(y, train.values) for y in lines)


def test_lines_of_pairs_are_their_distances(cubes):
    (page,) = canvases("pair_distances", cubes)
    first = page.axes[0]
    distances = (
        cubes["theory"]["centroid_distance_sq"].sel(split="train", approximation="proportional").squeeze()
    )
    drawn = [line.get_ydata() for line in first.get_lines() if len(line.get_xdata()) == len(TEMPERATURES)]
    for pair in distances["pair"].values:
        assert any(np.allclose(y, distances.sel(pair=pair)) for y in drawn)
    labels = {text.get_text() for legend in page.legends for text in legend.get_texts()}
    assert labels == {"3 and 8", "3 and 5", "8 and 5"}
    point = {"n_train": 30, "width": 20}
    looks = pair_looks(cubes["theory"].sel(point), None, "train")
    assert len({color for color, _ in looks.values()}) == 3


def test_matrices_hold_theory_below_and_sampling_above_the_diagonal(cubes):
    (page,) = canvases("pair_matrices", cubes)
    images = [ax.get_images()[0].get_array() for ax in page.axes if ax.get_images() and ax.get_visible()]
    shown = cubes["theory"]["centroid_distance_sq"].sel(split="train").squeeze()
    columns = (len(images) + 1) // 2  # below is one matrix less: the prior's change from itself
    prior, low = (np.asarray(images[k].filled(np.nan)) for k in (0, columns - 1))
    expected = shown.sel(approximation="infinite_width", temperature=10.0)
    # Rows and columns are the cube's labels, in the order 3, 8, 5.
    assert prior[1, 0] == pytest.approx(float(expected.sel(pair="3-8")))
    assert prior[0, 1] == prior[1, 0]
    assert prior[2, 1] == pytest.approx(float(expected.sel(pair="8-5")))
    lowest = float(shown.sel(approximation="proportional", temperature=0.01, pair="3-5"))
    assert low[2, 0] == pytest.approx(lowest)
    assert low[0, 2] == pytest.approx(1.01 * lowest)
    assert np.isnan(np.diag(low)).all()


def test_eigenvalues_are_those_of_the_order_parameter(cubes):
    where = {"n_train": 30, "width": 20, "lambda1": 1.0, "approximation": "proportional", "temperature": 0.1}
    here = with_eigenvalues(cubes["theory"].sel(where))[VALUES].squeeze()
    matrix = cubes["theory"]["readout_covariance"].sel(where).squeeze().values
    np.testing.assert_allclose(here, np.linalg.eigvalsh(matrix), rtol=1e-12)
    del where["approximation"]
    sampled = with_eigenvalues(cubes["sampling"].sel(where))[VALUES]
    np.testing.assert_allclose(sampled.sel(statistic="mean").squeeze(), 1.01 * here, rtol=1e-12)
    # Independent entries of one error: sum_ab u_a^2 e^2 u_b^2 = e^2 for a unit vector u.
    np.testing.assert_allclose(sampled.sel(statistic="mcse"), SPREAD, rtol=1e-12)


def test_confusion_names_the_classes_in_the_order_of_the_outputs(cubes):
    theory = cubes["theory"].sortby("label")
    assert class_names(theory, {"dataset": "d"}) == ["3", "8", "5"]
    assert class_names(theory.assign_attrs(configuration=""), {"dataset": "d"}) == ["0", "1", "2"]
    shares = theory["confusion"].sel(approximation="proportional").squeeze()
    np.testing.assert_allclose(shares.sum("output2"), 1.0)
    # Training inputs of equal numbers in every class: the accuracy is the mean of the diagonal.
    diagonal = np.einsum("tcc->t", shares.sel(split="train").transpose("temperature", ...).values) / 3
    accuracy = theory["accuracy"].sel(split="train", approximation="proportional").squeeze()
    np.testing.assert_allclose(diagonal, accuracy, rtol=1e-12)
    (page,) = canvases("confusion", {"theory": theory})
    ticks = [text.get_text() for text in page.axes[0].get_xticklabels()]
    assert ticks == ["3", "8", "5"]


def test_many_pairs_are_told_apart_by_the_prior(tmp_path):
    many = study_cubes(tuple(range(10)))
    looks = pair_looks(many["theory"], None, "train")
    assert len(looks) == 45
    assert sum(label is not None for _, label in looks.values()) == 3
    assert averaged_over_classes(many)["theory"]["gyration_radius_sq"].dims[-1] == "split"
    assert len(draw_figures(many, tmp_path, formats=["png"], names=NEW)) == len(NEW)


def test_the_inversion_table_has_a_row_for_every_pair(cubes):
    """Networks that follow the theory from high T to low T: the row of a pair is the table of that pair alone."""
    theory = cubes["theory"].squeeze(("dataset", "activation", "seed", "lambda0"))
    path = theory.sel(approximation="proportional", drop=True)
    path = path.sortby("temperature", ascending=False).rename(temperature="time")
    dynamics = path.assign_coords(time=[0.1, 1.0, 10.0, 100.0]).expand_dims(
        optimizer=["gradient_flow"], replica=[0, 1]
    )
    for name in ("inversion_time", "inversion_mse", "inversion_height"):
        dynamics[name] = xr.full_like(dynamics["centroid_distance_sq"].isel(time=0, drop=True), np.nan)
    both = {"theory": theory, "dynamics": dynamics}
    table = inversion_table(both)
    assert sorted(set(table["pair"])) == sorted(theory["pair"].values.tolist())
    for pair, rows in table.groupby("pair"):
        alone = inversion_table({stage: cube.sel(pair=pair, drop=True) for stage, cube in both.items()})
        star = (
            both["theory"]["peak_temperature"]
            .sel(approximation="proportional", split="train", pair=pair)
            .squeeze()
        )
        assert rows["T_star"].iloc[0] == pytest.approx(float(star), nan_ok=True)
        pd.testing.assert_frame_equal(rows.drop(columns="pair").reset_index(drop=True), alone)
