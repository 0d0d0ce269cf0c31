"""Figures from cubes alone: what is drawn, what is left out, and that equal cubes give equal files."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import warnings
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr

from _cubes import all_cubes, dynamics_cube, sampling_cube, theory_cube
from proplim.errors import InvalidInput
from proplim.figures import FIGURES, Figure, Style, draw_figures, figure_of, inversion_table, register_figure
from proplim.figures._slices import at, dynamics_curve, sampling_curve, shared_seeds, theory_curve
from proplim.figures._unit_weights import weight_histograms
from proplim.observables import OBSERVABLES

ONE = {"n_train": [60], "width": [60]}
POINT = {
    "dataset": "digits-3v8",
    "activation": "erf",
    "lambda0": 1.0,
    "lambda1": 1.0,
    "n_train": 60,
    "width": 60,
}


def only_figure(name: str, cubes: dict[str, xr.Dataset], *folder: Path):
    """The figures of one name, undrawn."""
    return list(FIGURES.get(name).draw(cubes, Style(), *folder))


def texts(figure) -> str:
    import matplotlib.text

    return " ".join(t.get_text() for t in figure.findobj(matplotlib.text.Text))


# --- curves


def test_curves_average_over_draws_with_their_spread() -> None:
    theory, sampling = theory_cube(seed=[0, 1, 2], **ONE), sampling_cube(seed=[0, 1, 2], **ONE)
    curve = theory_curve(at(theory, POINT), "centroid_distance_sq", "proportional", split="train")
    values = theory.centroid_distance_sq.sel(approximation="proportional", split="train").squeeze()
    np.testing.assert_allclose(curve.y, values.mean("seed"), rtol=1e-13)
    np.testing.assert_allclose(curve.spread, values.std("seed", ddof=1), rtol=1e-10)
    points = sampling_curve(at(sampling, POINT), "readout_variance")
    means = sampling.readout_variance.sel(statistic="mean").squeeze()
    np.testing.assert_allclose(points.spread, means.std("seed", ddof=1), rtol=1e-10)


def test_error_bar_of_one_draw_is_its_standard_error() -> None:
    sampling = sampling_cube(**ONE)
    points = sampling_curve(at(sampling, POINT), "readout_variance")
    np.testing.assert_array_equal(points.spread, sampling.readout_variance.sel(statistic="mcse").squeeze())
    assert points.solid.all()


def test_missing_and_unconverged_points_are_hollow_or_absent() -> None:
    sampling = sampling_cube(seed=[0, 1], **ONE)
    sampling["converged"][{"temperature": 0, "seed": 1}] = 0.0
    for name in sampling.data_vars:
        sampling[name][{"temperature": 1, "seed": 0}] = np.nan
        sampling[name][{"temperature": 2}] = np.nan
    points = sampling_curve(at(sampling, POINT), "mse", split="test")
    assert points.x.tolist() == [0.01, 0.1]
    assert points.solid.tolist() == [False, False]
    assert np.isfinite(points.y).all()


def test_a_diverged_replica_is_not_averaged_in() -> None:
    cube = dynamics_cube(replicas=3, **ONE)
    cube["converged"][{"replica": 2}] = 0.0
    cube["mse"][{"replica": 2}] = 1e9
    curve = dynamics_curve(at(cube, POINT), "mse", "gradient_descent", split="train")
    kept = cube.mse.isel(replica=[0, 1]).sel(split="train", optimizer="gradient_descent").squeeze()
    np.testing.assert_allclose(curve.y, kept.mean("replica"), rtol=1e-12)


def test_only_draws_that_both_cubes_have_are_averaged() -> None:
    both = shared_seeds(
        {"theory": theory_cube(seed=[0, 1, 2], **ONE), "sampling": sampling_cube(seed=[1, 5], **ONE)}
    )
    assert both["theory"].seed.values.tolist() == both["sampling"].seed.values.tolist() == [1]
    apart = {"theory": theory_cube(seed=[0], **ONE), "sampling": sampling_cube(seed=[1], **ONE)}
    assert shared_seeds(apart)["theory"].seed.values.tolist() == [0]


# --- what a figure shows


def test_class_distance_marks_t_star_and_states_parameters() -> None:
    cubes = {"theory": theory_cube(seed=[0, 1], **ONE), "sampling": sampling_cube(seed=[0, 1], **ONE)}
    drawn = only_figure("class_distance", cubes)
    ((_, figure),) = drawn
    rows = [ax.get_ylabel() for ax in figure.axes]
    assert [row.split("\n")[-1] for row in rows] == ["training inputs", "test inputs"] * 2
    text = texts(figure)
    for word in (
        "digits-3v8",
        "erf",
        "N_0=64",
        r"\lambda_0=1",
        "2 training-set draws",
        "temperature",
        r"\alpha=1",
    ):
        assert word in text, word
    assert text.count("T^*") >= 1
    markers = [line for line in figure.axes[0].lines if line.get_marker() == "v"]
    peak = cubes["theory"].proplim.at(approximation="proportional", split="train").mean("seed").proplim.peak()
    assert markers[0].get_xdata()[0] == pytest.approx(float(peak.position.squeeze()))


def test_a_theory_without_any_number_is_not_in_the_legend() -> None:
    theory = theory_cube(approximations=["proportional", "exact"], **ONE)
    linear = only_figure("class_distance", {"theory": theory})[0][1]
    assert "exact" in texts(linear)
    other = theory.where(theory["approximation"] != "exact").assign(converged=theory["converged"])
    for name in ("class_distance", "gyration_radii", "weights", "test_error"):
        assert "exact" not in texts(only_figure(name, {"theory": other})[0][1]), name


def test_unconverged_points_are_drawn_hollow() -> None:
    sampling = sampling_cube(**ONE)
    sampling["converged"][{"temperature": 0}] = 0.0
    (_, figure), *_ = only_figure("class_distance", {"theory": theory_cube(**ONE), "sampling": sampling})
    assert "not converged" in texts(figure)
    faces = [line.get_markerfacecolor() for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert "white" in faces


@pytest.mark.slow
def test_every_figure_draws_from_any_single_cube_or_stays_away(tmp_path: Path) -> None:
    small = all_cubes(n_train=[60], width=[60], temperature=[0.1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for stage, cube in small.items():
            for path in draw_figures({stage: cube}, tmp_path / stage, formats=["png"], dpi=40):
                assert path.stat().st_size > 1000
    assert list((tmp_path / "sampling").glob("class_distance*"))
    assert not list((tmp_path / "sampling").glob("training*"))
    assert not list((tmp_path / "theory").glob("heat_map*"))  # one temperature makes no map
    assert draw_figures({}, tmp_path / "none") == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "drawn", "left_out"),
    [
        ({"split": ["train"]}, {"class_distance", "training"}, "test_error"),
        ({"split": ["test"]}, {"class_distance", "test_error"}, "training"),
        ({"label": [1]}, {"gyration_radii", "bridge"}, ""),
        ({"approximation": ["proportional"]}, {"class_distance", "parity"}, ""),
    ],
)
def test_a_part_of_a_study_draws_what_it_holds(tmp_path: Path, part: dict, drawn: set, left_out: str) -> None:
    """As after ``proplim figures --select``: what a part lacks is left out, whatever else it is."""
    cubes = all_cubes(n_train=[60], width=[60], temperature=[0.1, 1.0])
    cubes = {k: c.sel({d: v for d, v in part.items() if d in c.dims}) for k, c in cubes.items()}
    names = {path.name.split("__")[0] for path in draw_figures(cubes, tmp_path, formats=["svg"])}
    assert drawn <= names
    assert left_out not in names
    pages = {p.name.split("__")[0]: p.read_text() for p in tmp_path.glob("*.svg")}
    for split, words in {"train": "training inputs", "test": "test inputs"}.items():
        if split not in part.get("split", ["train", "test"]):
            assert words not in pages["class_distance"]


def test_a_study_without_any_number_draws_nothing(tmp_path: Path) -> None:
    cube = theory_cube(**ONE)
    empty = cube.where(cube["converged"] > 1)
    assert draw_figures({"theory": empty}, tmp_path, formats=["png"]) == []


def test_heat_map_is_percent_over_prior_with_the_peak_line() -> None:
    cube = theory_cube(n_train=[30, 60, 120], width=[60])
    ((_, figure),) = only_figure("heat_map", {"theory": cube})
    (mesh,) = figure.axes[0].collections[:1]
    d = cube.centroid_distance_sq.sel(split="train").squeeze()
    expected = 100 * (d.sel(approximation="proportional") / d.sel(approximation="infinite_width") - 1)
    np.testing.assert_allclose(np.asarray(mesh.get_array()).ravel(), expected.values.ravel(), rtol=1e-10)
    line = next(line for line in figure.axes[0].lines if line.get_label().startswith("$T^*"))
    np.testing.assert_allclose(line.get_ydata(), [0.5, 1.0, 2.0])


def test_parity_shows_z_scores() -> None:
    cubes = {"theory": theory_cube(**ONE), "sampling": sampling_cube(**ONE)}
    ((_, figure),) = only_figure("parity", cubes)
    z = cubes["sampling"].proplim.z_scores(cubes["theory"]).readout_variance.sel(approximation="proportional")
    below = next(ax for ax in figure.axes if ax.get_subplotspec().rowspan.start == 1)
    assert below.get_ylabel() == "$z$"
    bottoms = [ax for ax in figure.axes if ax.get_subplotspec().rowspan.start == 1]
    shown = [np.sort(line.get_ydata()) for ax in bottoms for line in ax.lines if line.get_marker() == "s"]
    assert any(s.size == z.size and np.allclose(s, np.sort(z.values.ravel())) for s in shown)


def test_finite_size_shows_deviations_and_their_limit() -> None:
    sizes = {"n_train": [20, 40, 80, 160], "width": [20, 40, 80, 160], "temperature": [1.0]}
    theory, sampling = theory_cube(**sizes), sampling_cube(noise=1e-6, **sizes)
    exact = sampling.centroid_distance_sq
    exact[{"statistic": 0}] = theory.centroid_distance_sq.sel(approximation="proportional").values
    exact[{"statistic": 0}] *= 1 / (1.02 + 0.5 / exact.width)  # so theory/sampling - 1 = 2 % + 0.5/N
    ((key, figure),) = only_figure("finite_size", {"theory": theory, "sampling": sampling})
    assert "temperature" not in key
    tops = [ax for ax in figure.axes if ax.get_subplotspec().rowspan.start == 0]
    assert [ax.get_title() for ax in tops] == [rf"$\alpha={a}$" for a in ("0.5", "1", "2")]
    shown = [np.asarray(line.get_xydata()) for line in tops[1].lines if line.get_marker() == "s"]
    points, limit = (p for p in shown if p.size)
    np.testing.assert_allclose(points[:, 0], [1 / 20, 1 / 40, 1 / 80, 1 / 160])
    np.testing.assert_allclose(points[:, 1], 2 + 50 * points[:, 0], rtol=1e-9)
    np.testing.assert_allclose(limit, [[0.0, 2.0]], atol=1e-9)
    assert "T=1" in texts(figure)


def test_two_sizes_are_no_finite_size_figure() -> None:
    cubes = {"theory": theory_cube(), "sampling": sampling_cube()}  # P in 60, 120, 240 and N in 60, 120
    assert only_figure("finite_size", cubes) == []


def kept_draws(folder: Path, sampling: xr.Dataset, count: int = 40000, **change: float) -> None:
    """Files of draws as a study with histograms leaves them, weights Gaussian with the moments of the cube."""
    rng = np.random.default_rng(3)
    for temperature in sampling.temperature.values:
        here = sampling.sel(temperature=temperature).squeeze()
        point = {d: sampling[d].values[0].item() for d in sampling.dims if d in POINT or d == "seed"}
        point["temperature"] = float(temperature)
        moments = {k: float(here[k].sel(statistic="mean")) for k in ("readout_variance", "signal_variance")}
        draws = xr.Dataset(
            {
                f"unit_{kind}": (
                    ("chain", "draw", "unit"),
                    rng.normal(0, moments[name] ** 0.5, (2, count // 20, 10)),
                )
                for kind, name in (("readout", "readout_variance"), ("signal", "signal_variance"))
            }
        )
        told = {k: {"dims": ["statistic"], "data": [v + change.get(k, 0.0)]} for k, v in moments.items()}
        summary = {"coords": {"statistic": {"dims": ["statistic"], "data": ["mean"]}}, "data_vars": told}
        summary |= {"dims": {"statistic": 1}, "attrs": {}}
        draws.attrs = {"point": json.dumps(point), "summary": json.dumps(summary)}
        (folder / "digits-3v8").mkdir(parents=True, exist_ok=True)
        draws.to_netcdf(folder / "digits-3v8" / f"T{temperature:g}.nc")


def keeping_units(sampling: xr.Dataset) -> xr.Dataset:
    text = sampling.attrs["configuration"] + "sampling: {histograms: true}\n"
    return sampling.assign_attrs(configuration=text)


@pytest.mark.slow
def test_histograms_lie_on_the_gaussians_they_were_drawn_from(tmp_path: Path) -> None:
    sampling = keeping_units(sampling_cube(**ONE))
    kept_draws(tmp_path, sampling)
    counted = weight_histograms(sampling, tmp_path)
    assert counted is not None
    middle = counted["bin"].values
    for name, moment in (("unit_readout", "readout_variance"), ("unit_signal", "signal_variance")):
        for temperature in sampling.temperature.values:
            density = counted[name].sel(temperature=temperature).squeeze().values
            variance = float(sampling[moment].sel(statistic="mean", temperature=temperature).squeeze())
            width = middle[1] - middle[0]
            expected = np.exp(-0.5 * middle**2 / variance) / np.sqrt(2 * np.pi * variance)
            assert density.sum() * width == pytest.approx(1.0)
            # 40 000 values, a fixed seed: five standard errors of a bin, and the curvature of the Gaussian in it
            tolerance = 5 * np.sqrt(expected / (40000 * width)) + 0.1 * width**2
            assert (abs(density - expected) < tolerance + 5 / (40000 * width)).all()
    cubes = {"theory": theory_cube(**ONE, temperature=[0.01, 0.1, 1.0]), "sampling": sampling}
    ((key, figure),) = only_figure("histograms", cubes, tmp_path)
    assert (key["n_train"], key["width"]) == (60, 60)
    assert [ax.get_title() for ax in figure.axes[:3]] == ["$T=0.01$", "$T=0.1$", "$T=1$"]
    line = next(line for line in figure.axes[0].lines if line.get_label() == "proportional")
    variance = cubes["theory"].readout_variance.sel(approximation="proportional").isel(temperature=0).item()
    assert max(line.get_ydata()) == pytest.approx(1 / np.sqrt(2 * np.pi * variance), rel=1e-3)
    written = draw_figures(
        cubes, tmp_path / "out", formats=["png"], names=["histograms"], dpi=40, draws=tmp_path
    )
    assert [p.name for p in written] == ["histograms__digits-3v8__erf__P-60__N-60.png"]


def test_histograms_pass_over_draws_of_another_study(tmp_path: Path) -> None:
    sampling = keeping_units(sampling_cube(**ONE))
    kept_draws(tmp_path, sampling, count=200, signal_variance=1e-9)
    assert weight_histograms(sampling, tmp_path) is None
    kept_draws(tmp_path, sampling, count=200)
    assert weight_histograms(sampling, tmp_path) is not None
    assert weight_histograms(sampling_cube(**ONE), tmp_path) is None  # a study without histograms
    assert weight_histograms(sampling, tmp_path / "nowhere") is None


def test_training_figure_marks_the_maximum_and_the_prior() -> None:
    ((_, figure),) = only_figure("training", {"theory": theory_cube(**ONE), "dynamics": dynamics_cube(**ONE)})
    labels = {line.get_label() for line in figure.axes[0].lines}
    assert {"maximum", "prior"} <= labels
    assert "4 initialisations" in texts(figure)
    prior = next(line for line in figure.axes[0].lines if line.get_label() == "prior")
    assert prior.get_ydata()[0] == pytest.approx(0.1)


# --- files


def test_equal_cubes_give_equal_files_in_every_format(tmp_path: Path) -> None:
    cubes = {"theory": theory_cube(**ONE)}
    for folder in ("a", "b"):
        draw_figures(cubes, tmp_path / folder, formats=["png", "pdf", "svg"], names=["test_error"])
    names = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert [Path(n).suffix for n in names] == [".pdf", ".png", ".svg"]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


@pytest.mark.slow
def test_file_names_are_safe(tmp_path: Path) -> None:
    cube = theory_cube(dataset=["a b/../c"], **ONE)
    names = ["weights", "class_distance"]
    written = draw_figures({"theory": cube}, tmp_path, formats=["png"], names=names, dpi=40)
    stems = [
        "weights__a-b-..-c__erf",
        "class_distance__a-b-..-c__erf",
    ]
    assert [p.relative_to(tmp_path).stem for p in written] == stems


def test_several_priors_give_a_file_each(tmp_path: Path) -> None:
    cube = theory_cube(lambda1=[0.5, 1.0], **ONE)
    written = draw_figures({"theory": cube}, tmp_path, formats=["png"], names=["test_error"], dpi=40)
    assert [p.name for p in written] == [
        f"test_error__digits-3v8__erf__lambda1-{v}.png" for v in ("0.5", "1")
    ]


def test_too_many_figures_are_cut_with_a_warning(tmp_path: Path) -> None:
    cube = theory_cube(lambda1=[0.5, 1.0], **ONE)
    with pytest.warns(UserWarning, match="only the first 1"):
        written = draw_figures(
            {"theory": cube}, tmp_path, formats=["png"], names=["test_error"], limit=1, dpi=40
        )
    assert len(written) == 1


def test_size_and_style_are_the_user_s_and_leave_no_trace(tmp_path: Path) -> None:
    from PIL import Image

    before = dict(mpl.rcParams)
    own = tmp_path / "own.mplstyle"
    own.write_text("savefig.facecolor: 00ff00\n")
    (path,) = draw_figures(
        {"theory": theory_cube(**ONE)}, tmp_path, formats=["png"], names=["test_error"],
        width=3.0, height=2.0, dpi=50, style=str(own),
    )  # fmt: skip
    with Image.open(path) as image:
        assert image.size == (150, 100)
        assert image.convert("RGB").getpixel((0, 0)) == (0, 255, 0)
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize(
    "options",
    [{"formats": ["gif"]}, {"names": ["nothing"]}, {"width": -1.0}, {"dpi": 0}, {"style": "no-such-style"}],
)
def test_bad_options_are_refused(tmp_path: Path, options: dict) -> None:
    with pytest.raises(InvalidInput):
        draw_figures({"theory": theory_cube(**ONE)}, tmp_path, **options)


def test_pages_are_even_and_titles_state_alpha() -> None:
    drawn = only_figure("weights", {"theory": theory_cube(n_train=[10, 20, 30, 40, 50], width=[20])})
    titles = [[ax.get_title() for ax in figure.axes if ax.get_title()] for _, figure in drawn]
    assert [key["page"] for key, _ in drawn] == [1, 2]
    assert [len(t) for t in titles] == [3, 2]
    assert titles[0][0] == r"$P=10,\ N=20,\ \alpha=0.5$"


DOCS = Path(__file__).resolve().parents[1] / "docs"


def test_every_figure_is_in_the_documentation_and_says_how_to_read_it() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", (DOCS / "figures.md").read_text(), flags=re.M)
    assert listed == [figure.name for figure in FIGURES.members() if figure.name in FIGURES.built_in()]
    for figure in FIGURES.members():
        assert figure.summary.endswith("."), figure.name
        assert len(figure.caption.split()) >= 10, figure.name
        assert re.fullmatch(r"[1-8] \w.*", figure.section), figure.name
    assert figure_of("parity__digits__erf") is FIGURES.get("parity")
    assert figure_of("other__x") is None


def test_captions_are_restructured_text() -> None:
    from docutils.core import publish_parts

    for figure in FIGURES.members():
        text = f"**{figure.summary}** {figure.caption}"
        strict = {"report_level": 2, "halt_level": 2}
        assert "<strong>" in publish_parts(text, writer="html", settings_overrides=strict)["body"]


def test_a_figure_of_one_s_own_is_drawn_with_the_others(tmp_path: Path) -> None:
    def draw(cubes, style):
        from matplotlib.figure import Figure as Canvas

        yield {"dataset": "digits-3v8"}, Canvas(figsize=(1, 1))

    with FIGURES.temporary():
        register_figure(Figure("mine", "mine", "One sees nothing.", "It is empty.", draw, needs=("theory",)))
        (path,) = draw_figures({"theory": theory_cube(**ONE)}, tmp_path, formats=["png"], names=["mine"])
        assert path.name == "mine__digits-3v8.png"
        assert draw_figures({"sampling": sampling_cube(**ONE)}, tmp_path, names=["mine"]) == []
        with pytest.raises(InvalidInput, match="a name of your own"):
            register_figure(Figure("parity", "", "", "", draw))
    assert "mine" not in FIGURES


# --- what has no figure of its own


def with_variable(cube: xr.Dataset, values: xr.DataArray) -> xr.Dataset:
    return cube.assign(own=values.assign_attrs(long_name="a quantity of one's own (in words)", units="1"))


def variables(ax) -> list[str]:
    """Variables of the row that begins with these axes."""
    return ax.get_label().split()


def rows_of(page, name: str) -> list:
    """First panels of the rows that show a variable: training inputs, then test inputs."""
    return [ax for ax in page.axes if name in variables(ax)]


def test_a_variable_that_no_figure_knows_is_drawn_against_temperature_and_time() -> None:
    """As after a user's observable, of any dimensions, from a study whose own files are not at hand."""
    classes = xr.DataArray([1.0, 2.0, 4.0], dims="kind", coords={"kind": ["a", "b", "c"]})
    cubes = all_cubes(**ONE, temperature=[0.1, 1.0, 10.0])
    cubes = {k: with_variable(c[["mse", "converged"]], c.mse * classes) for k, c in cubes.items()}
    cubes["theory"]["own"] = cubes["theory"].own.where(cubes["theory"].approximation != "infinite_width")
    ((_, page),) = only_figure("observables", cubes)
    train, test = rows_of(page, "own")
    lines = {line.get_label(): line for line in train.lines}
    for kind, factor in zip("abc", classes.values, strict=True):
        line = lines[f"proportional, $kind$: {kind}"]
        expected = cubes["theory"].mse.sel(approximation="proportional", split="train").squeeze() * factor
        np.testing.assert_allclose(line.get_ydata(), expected, rtol=1e-12)
    assert len({line.get_linestyle() for name, line in lines.items() if name.startswith("prop")}) == 3
    assert not any(name.startswith("infinite width") for name in lines)
    assert test.get_ylabel() == "a quantity of one's own\ntest inputs"
    ((_, page),) = only_figure("observables_in_time", cubes)
    train, _ = rows_of(page, "own")
    line = next(x for x in train.lines if x.get_label() == "gradient descent, $kind$: c")
    expected = 4 * cubes["dynamics"].mse.sel(split="train", optimizer="gradient_descent").squeeze()
    np.testing.assert_allclose(line.get_ydata(), expected.mean("replica"), rtol=1e-12)


def test_every_variable_of_the_cubes_but_evidence_and_diagnostics_is_in_some_figure() -> None:
    cubes = all_cubes(n_train=[60], width=[60], temperature=[0.1, 1.0])
    shown = {name for figure in FIGURES.members() for name in figure.shows}
    for name in ("observables", "observables_in_time"):
        shown |= {name for _, page in only_figure(name, cubes) for ax in page.axes for name in variables(ax)}
    for cube in cubes.values():
        left = {str(n) for n, v in cube.data_vars.items() if {"temperature", "time"} & set(v.dims)} - shown
        assert left == {v.name for v in OBSERVABLES.members() if not v.drawn and v.name in left} | {
            "converged"
        }


# --- no answer depends on the order of an axis


def mixed(cubes: dict[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    """The cubes with the values of every axis but time in another order."""
    return {
        k: c.isel({d: np.roll(np.arange(n)[::-1], 1) for d, n in c.sizes.items() if d != "time"})
        for k, c in cubes.items()
    }


@pytest.mark.slow
def test_figures_and_tables_do_not_depend_on_the_order_of_any_axis(tmp_path: Path) -> None:
    axes = {"n_train": [40, 80, 160], "width": [40, 80, 160], "seed": [0, 1, 2]}
    axes |= {"temperature": [0.01, 0.1, 1.0, 10.0]}
    cubes = all_cubes(**axes)
    cubes["sampling"] = cubes["sampling"].sel(temperature=[0.1])
    cubes["theory"] = theory_cube(["infinite_width", "proportional", "cavity"], **axes)
    cubes["theory"]["peak_temperature"][:] = 0.3  # inside the axis, where the training error is interpolated
    cubes["dynamics"] = dynamics_cube(2, ["gradient_descent", "sgd"], **axes)
    others = mixed(cubes)
    table, again = inversion_table(cubes), inversion_table(others)
    assert np.isfinite(table[table.quantity == "centroid_distance_sq"].T_star_mse).all()
    assert table.equals(again)
    drawn = {"finite_size": {}, "inversion": {}, "class_distance": {"split": ["train"], "width": [80]}}
    drawn |= {"bridge": {"width": [80], "n_train": [40, 80]}}
    for name, part in drawn.items():
        for folder, given in (("a", cubes), ("b", others)):
            some = {k: c.sel({d: v for d, v in part.items() if d in c.dims}) for k, c in given.items()}
            draw_figures(some, tmp_path / folder, formats=["svg"], names=[name])
    files = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert [f.split("__")[0] for f in files] == sorted(drawn)
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_t_star_s_training_error_is_interpolated_in_ln_t() -> None:
    """By hand, on an axis that descends: T* half-way in ln T between two temperatures."""
    axes = {"temperature": [10.0, 1.0, 0.1], **ONE}
    theory, dynamics = theory_cube(**axes), dynamics_cube(**ONE)
    theory["peak_temperature"][:] = 10**-0.5
    error = theory.mse.sel(approximation="proportional", split="train").squeeze()
    by_hand = 0.5 * float(error.sel(temperature=1.0) + error.sel(temperature=0.1))
    only = ["centroid_distance_sq"]
    (found,) = inversion_table({"theory": theory, "dynamics": dynamics}, quantities=only).T_star_mse
    assert found == pytest.approx(by_hand, rel=1e-12)


def test_importing_figures_is_light() -> None:
    code = "import sys, proplim.figures; print('matplotlib' in sys.modules or 'jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "False", done.stderr
