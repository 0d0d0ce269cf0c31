"""Loads alpha = P/N in place of widths: the same networks, the same files, cubes with the dimension alpha."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from _cubes import all_cubes, theory_cube
from proplim.cli import main
from proplim.config import ConfigErrors, json_schema, parse_config, resolved_yaml
from proplim.cube import open_netcdf, read_netcdf
from proplim.explore._data import pack_cubes
from proplim.figures import FIGURES, draw_figures, inversion_table
from proplim.figures._style import Style
from proplim.query import differences, select, size_deviations, summarise, to_table
from proplim.schema import resolved, width_at
from proplim.study import (
    collect_cube,
    convergence_summary,
    plan_as_started,
    plan_study,
    prepare_draw,
    run_job,
    save_plan,
)

ALPHAS = [0.4, 0.5, 3.0]
STUDY = {
    "study": "loads",
    "datasets": [{"name": "g", "source": "gaussian", "n_features": 4, "n_test": 4}],
    "grid": {"n_train": [4, 6], "alpha": ALPHAS, "temperature": [0.5, 2.0]},
    "sampling": {
        "grid": {"alpha": [0.5], "temperature": [2.0]},
        **{"chains": 2, "target_ess": 20, "max_rhat": 2.0, "warmup": 20, "min_draws": 50},
    },
    "dynamics": {"grid": {"alpha": [3.0, 40.0]}, "replicas": 1, "t_max": 0.1, "n_times": 3},
}
WIDTHS = {4: [10, 8, 1], 6: [15, 12, 2]}


def changed(part: str, **keys) -> dict:
    return {**STUDY, part: {**STUDY[part], **keys}}


def compute(content: dict) -> tuple[int, dict[str, xr.Dataset]]:
    """What a run of the workflow does: number of points computed, and the cubes."""
    config = parse_config(content)
    save_plan(plan_study(config))
    plan = plan_as_started(config)
    computed, cubes = 0, {}
    for file, draw in plan.draws.items():
        if not Path(file).exists():
            prepare_draw(plan, draw, file)
    for stage, jobs in plan.jobs.items():
        for job in jobs.values():
            if not Path(plan.result(job)).exists():
                run_job(plan, job, plan.result(job))
                computed += job.n_points
        collect_cube(plan, stage, plan.results(stage), f"{plan.root}/{stage}.nc")
        cubes[stage] = read_netcdf(f"{plan.root}/{stage}.nc")
    return computed, cubes


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> dict:
    """A study by load, and the same study by width, run after it in the same folder."""
    folder = tmp_path_factory.mktemp("loads")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        first, by_load = compute(STUDY)
        grid = {**STUDY["grid"], "width": sorted({*WIDTHS[4], *WIDTHS[6]})}
        del grid["alpha"]
        by_width = {
            **STUDY,
            "grid": grid,
            "sampling": {**STUDY["sampling"], "grid": {"width": [8, 12], "temperature": [2.0]}},
            "dynamics": {**STUDY["dynamics"], "grid": {"width": [1, 2]}},
        }
        second, others = compute(by_width)
    return {"folder": folder, "load": by_load, "width": others, "computed": (first, second)}


def test_the_width_of_a_load_is_rounded_and_at_least_one():
    assert [width_at(4, a) for a in ALPHAS] == WIDTHS[4]
    assert [width_at(6, a) for a in ALPHAS] == WIDTHS[6]
    assert width_at(5, 2.0) == 3, "a half is rounded up"
    assert width_at(60, 1e9) == 1
    assert resolved({"n_train": 6, "alpha": 0.5, "seed": 0}) == {
        "n_train": 6,
        "alpha": 0.5,
        "seed": 0,
        "width": 12,
    }


@pytest.mark.slow
def test_cubes_have_the_dimension_alpha_and_width_beside_it(both):
    for stage, cube in both["load"].items():
        assert "width" not in cube.dims
        assert cube.centroid_distance_sq.dims[:4] == ("dataset", "activation", "n_train", "alpha")
        assert cube.width.dims == ("n_train", "alpha")
        assert "width" in cube.coords
        assert "width" in cube.centroid_distance_sq.coords
        assert cube.width.dtype == np.int64
        assert cube.width.attrs["long_name"] == "width N"
        if stage == "theory":
            np.testing.assert_array_equal(cube.width, list(WIDTHS.values()))
        # As xarray writes it, and reads it again.
        cube.to_netcdf(both["folder"] / "copy.nc")
        xr.testing.assert_identical(xr.open_dataset(both["folder"] / "copy.nc").load(), cube)
    open_netcdf(both["folder"] / "results/loads/theory.nc").close()


@pytest.mark.slow
def test_every_value_is_that_of_its_width_to_the_bit(both):
    for stage, cube in both["load"].items():
        other = both["width"][stage]
        for n_train in cube.n_train.values:
            for alpha in cube.alpha.values:
                here = cube.sel(n_train=n_train, alpha=alpha)
                there = other.sel(n_train=n_train, width=int(here.width))
                for name in set(cube.data_vars) - {"reason"}:
                    np.testing.assert_array_equal(here[name].values, there[name].values, err_msg=str(name))
        assert not np.isnan(cube.readout_variance).all()


@pytest.mark.slow
def test_a_study_by_width_shares_what_one_by_load_has_computed(both):
    first, second = both["computed"]
    # theory 2 x 3 x 2; sampling 2; dynamics 2 x 1 width for both loads of P = 4, two for those of P = 6
    assert first == 12 + 2 + (1 + 2)
    # theory: the other widths of each P; sampling: the other one of two; dynamics: width 2 at P = 4
    assert second == (2 * 6 * 2 - 12) + 2 + 1


@pytest.mark.slow
def test_two_loads_of_one_width_have_its_values(both):
    cube = both["load"]["dynamics"].sel(n_train=4)
    assert cube.width.values.tolist() == [1, 1]
    xr.testing.assert_equal(
        cube.centroid_distance_sq.isel(alpha=0, drop=True), cube.centroid_distance_sq.isel(alpha=1, drop=True)
    )
    assert convergence_summary(both["load"]["theory"], "theory")["points"] == 12


@pytest.mark.slow
def test_sampling_aligns_with_theory_and_tables_name_the_width(both):
    load, width = both["load"], both["width"]
    by_load = differences(load["sampling"], load["theory"])
    by_width = differences(width["sampling"], width["theory"])
    assert sorted(summarise(by_load)["rms_z"].dropna()) == pytest.approx(
        sorted(summarise(by_width.sel(width=[8, 12]).where(both_diagonal(by_width)))["rms_z"].dropna())
    )
    part = select(
        load["theory"][["mse"]], {"alpha": "0.5", "n_train": "6", "temperature": "2", "split": "test"}
    )
    row = to_table(part.sel(approximation="proportional")).iloc[0]
    assert (row["width"], row["alpha"], row["n_train"]) == (12, 0.5, 6)
    table = to_table(load["theory"][["order_parameter"]].sel(temperature=2.0, approximation="proportional"))
    assert table[table.n_train == 4].sort_values("alpha")["width"].tolist() == WIDTHS[4]
    deviations = size_deviations(load["sampling"], load["theory"])
    assert set(deviations["alpha"]) == {0.5}
    np.testing.assert_allclose(deviations["inverse_width"], 1.0 / (2 * deviations["n_train"]))


def both_diagonal(cube: xr.Dataset) -> xr.DataArray:
    """The points of a grid of widths that the loads of the sampled points stand for."""
    return cube.width == 2 * cube.n_train


@pytest.mark.slow
def test_the_command_selects_and_compares(both, capsys):
    results = both["folder"] / "results/loads"
    cube = both["folder"] / "by_load.nc"
    both["load"]["theory"].to_netcdf(cube)
    for words in (
        (
            "query",
            str(cube),
            "--var",
            "mse",
            "alpha=0.5",
            "n_train=6",
            "split=test",
            "temperature=2",
            "--json",
        ),
        ("compare", str(results), "--json"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(list(words))
        said = capsys.readouterr()
        assert not stopped.value.code, said.err
        found = json.loads(said.out)
        if words[0] == "query":
            assert {row["width"] for row in found} == {12}


INVENTED = {"n_train": [60, 120, 240], "alpha": [0.5, 1.0, 2.0]}


FIGURES_OF_SIZES = ("class_distance", "weights", "training", "bridge", "heat_map", "inversion", "finite_size")


@pytest.mark.slow
def test_every_figure_of_sizes_is_drawn_for_loads(tmp_path):
    cubes = all_cubes(**INVENTED, temperature=np.logspace(-2, 2, 5))
    written = draw_figures(cubes, tmp_path, formats=["svg"], names=FIGURES_OF_SIZES)
    stems = [p.stem for p in written]
    assert {stem.split("__")[0] for stem in stems} == set(FIGURES_OF_SIZES)
    weights = [stem for stem in stems if stem.startswith("weights__")]
    assert sorted(stem.split("__")[-1] for stem in weights) == ["page-1", "page-2"]


def test_panels_are_titled_by_sizes_and_load():
    theory = theory_cube(n_train=[60, 61], alpha=[2.0])
    ((_, page),) = FIGURES.get("weights").draw({"theory": theory}, Style())
    titles = [ax.get_title() for ax in page.axes if ax.get_title()]
    assert titles == [r"$P=60,\ N=30,\ \alpha=2$", r"$P=61,\ N=31,\ \alpha=2$"]


def test_the_inversion_table_has_both_sizes():
    table = inversion_table(all_cubes(**INVENTED), quantities=["centroid_distance_sq"])
    np.testing.assert_array_equal(table["width"], width_at(table["n_train"], table["alpha"]))
    assert len(table) == 9


def test_the_explorer_has_an_axis_of_loads():
    packed = pack_cubes(all_cubes(**INVENTED), 10**6)
    names = [d["name"] for d in packed["dimensions"]]
    assert "alpha" in names
    assert "width" not in names
    assert packed["stages"]["theory"]["axes"]["alpha"] == [0.5, 1.0, 2.0]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (
            changed("grid", width=[5]),
            "grid.alpha: [0.4, 0.5, 3.0] is not allowed; only one of width and alpha",
        ),
        (
            changed("grid", alpha=None),
            "grid.width: None is not allowed; this key is required, or one in its place: alpha",
        ),
        (changed("grid", alpha=[0.0]), "grid.alpha[0]: 0.0 is not allowed"),
        (changed("grid", alpha=[1e-9]), "grid.width: 4000000000 is not allowed"),
        (changed("grid", alpha=[0.5, 0.5000000000000001]), "every value once"),
        (
            changed("sampling", grid={"width": [5]}),
            "sampling.grid.width: [5] is not allowed; alpha, which `grid` has",
        ),
        (
            {**changed("grid", alpha=None, width=[5]), "sampling": {}},
            "dynamics.grid.alpha: [3.0, 40.0] is not allowed; width, which `grid` has",
        ),
    ],
)
def test_exactly_one_of_both_and_the_same_one_everywhere(content, line):
    with pytest.raises(ConfigErrors) as caught:
        parse_config(content)
    assert line in caught.value.problems[0]


def test_a_configuration_reads_back_and_the_schema_knows_the_choice():
    import yaml

    config = parse_config(STUDY)
    assert parse_config(yaml.safe_load(resolved_yaml(config))) == config
    assert list(config.axes("theory"))[3] == "alpha"
    assert config.axes("dynamics")["alpha"] == [3.0, 40.0]
    assert json_schema()["$defs"]["Grid"]["allOf"] == [
        {"oneOf": [{"required": ["width"]}, {"required": ["alpha"]}]}
    ]
