"""Which slices of a large study figures show: a few, evenly chosen, and those that a user asks for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from matplotlib.figure import Figure as Canvas

from _cubes import all_cubes, sampling_cube, theory_cube
from proplim.config import parse_config
from proplim.config._problems import ConfigErrors
from proplim.errors import InvalidInput
from proplim.figures import FIGURES, Figure, Style, draw_figures, register_figure
from proplim.figures._thinning import evenly, thinned

WIDTHS = list(range(10, 5001, 10))
FEW = {"temperature": [0.1, 1.0, 10.0]}


def sizes(cube) -> tuple[list, list]:
    return cube["n_train"].values.tolist(), cube["width"].values.tolist()


def test_chosen_values_are_even_in_the_logarithm_and_hold_both_ends():
    chosen = evenly(WIDTHS, 6)
    assert chosen[0] == 10
    assert chosen[-1] == 5000
    ratios = np.diff(np.log(chosen))
    assert ratios.max() / ratios.min() < 1.3
    assert evenly([1, 2, 3], 6) == [1, 2, 3]
    assert evenly(WIDTHS, 1) == [10]


def test_values_that_must_be_there_come_first():
    chosen = evenly(WIDTHS, 4, {70, 100})
    assert {70, 100} <= set(chosen)
    assert {10, 5000} & set(chosen)
    assert evenly(WIDTHS, 2, {20, 30, 40}) == [20, 40]


def test_a_study_of_500_widths_is_thinned_to_six_and_a_small_one_stays_whole():
    large = thinned({"theory": theory_cube(n_train=[60], width=WIDTHS, **FEW)})["theory"]
    assert len(large.width) == 6
    whole = theory_cube(n_train=[30, 60, 120], width=[60, 120], **FEW)
    assert thinned({"theory": whole})["theory"].identical(whole)
    both = thinned({"theory": theory_cube(n_train=[10, 20, 40, 80], width=[10, 20, 40, 80], **FEW)})
    n_trains, widths = sizes(both["theory"])
    assert len(n_trains) * len(widths) == 6


def test_sampled_sizes_are_among_the_chosen():
    cubes = {
        "theory": theory_cube(n_train=[60], width=WIDTHS, **FEW),
        "sampling": sampling_cube(n_train=[60], width=[70, 310], **FEW),
    }
    few = thinned(cubes)
    assert sizes(few["sampling"])[1] == [70, 310]
    assert {70, 310} <= set(sizes(few["theory"])[1])
    assert len(few["theory"].width) == 6


def test_a_user_chooses_how_many_or_which():
    cubes = {"theory": theory_cube(n_train=[60, 120], width=WIDTHS, **FEW)}
    assert len(thinned(cubes, 12)["theory"].width) == 6
    assert sizes(thinned(cubes, {"width": [20, 500]})["theory"]) == ([60, 120], [20, 500])
    assert sizes(thinned(cubes, {"n_train": [120], "width": [500.0]})["theory"]) == ([120], [500])


def test_priors_are_thinned_as_well():
    cube = theory_cube(n_train=[60], width=[60], lambda1=np.logspace(-1, 1, 9), **FEW)
    assert thinned({"theory": cube})["theory"].sizes["lambda1"] == 6


@pytest.mark.parametrize("slices", [0, True, 2.5, {"T": [1.0]}, {"width": []}, {"width": "60"}])
def test_a_bad_choice_is_refused(slices):
    with pytest.raises(InvalidInput, match=r"figures\.slices"):
        Style(slices=slices)


def panels(page: Canvas) -> list[str]:
    return [ax.get_title() for ax in page.axes if ax.get_title()]


def test_figures_of_panels_are_thinned_and_maps_are_not(tmp_path: Path):
    seen: dict[str, int] = {}

    def watch(name: str, *, sliced: bool):
        def draw(cubes, style):
            seen[name] = cubes["theory"].sizes["width"]
            yield from ()

        register_figure(Figure(name, name, "Nothing.", "Nothing.", draw, needs=("theory",), sliced=sliced))

    with FIGURES.temporary():
        watch("few", sliced=True)
        watch("all_of_it", sliced=False)
        cubes = {"theory": theory_cube(n_train=[60], width=WIDTHS[:50], **FEW)}
        draw_figures(cubes, tmp_path, names=["few", "all_of_it"])
        assert seen == {"few": 6, "all_of_it": 50}
        draw_figures(cubes, tmp_path, names=["few"], slices={"width": [20, 30]})
        assert seen["few"] == 2


def test_six_slices_along_one_axis_fill_one_page_of_panels_and_two_of_columns():
    cubes = thinned({"theory": theory_cube(n_train=[60], width=WIDTHS, **FEW)})
    ((_, page),) = FIGURES.get("test_error").draw(cubes, Style())
    assert len(panels(page)) == 6
    drawn = list(FIGURES.get("class_distance").draw(cubes, Style()))
    assert [len(panels(page)) for _, page in drawn] == [3, 3]
    assert len({title for _, page in drawn for title in panels(page)}) == 6


def test_a_large_study_has_few_files(tmp_path: Path):
    """Of every size in each of three stages: at most 30 files in two formats."""
    large = all_cubes(n_train=[60], width=WIDTHS[:40], temperature=[0.01, 0.1, 1.0, 10.0])
    files = draw_figures({"theory": large["theory"]}, tmp_path, formats=["svg", "pdf"])
    assert 10 <= len(files) <= 30


STUDY = """
study: s
datasets: [{{name: d, source: digits, classes: [3, 8], n_test: 50}}]
grid: {{n_train: [60], width: [10, 20, 30], temperature: [0.1, 1.0]}}
figures: {{slices: {slices}}}
"""


@pytest.mark.parametrize(
    ("slices", "expected"),
    [("4", 4), ("{width: [10, 30]}", {"width": [10, 30]}), ("{n_train: 60}", {"n_train": [60]})],
)
def test_a_configuration_chooses_slices(slices, expected):
    assert parse_config(yaml.safe_load(STUDY.format(slices=slices))).figures.chosen_slices == expected


@pytest.mark.parametrize(
    ("slices", "message"),
    [
        ("0", r"^figures.slices: 0 is not allowed"),
        ("many", r"^figures.slices: 'many' is not allowed; must be a number$"),
        ("{width: [10, 77]}", r"^figures.slices.width: 77 is not allowed; values of the grid: 10, 20, 30$"),
        ("{alpha: [1.0]}", r"^figures.slices.alpha: 1.0 is not allowed; an axis of the grid$"),
        ("{widht: [10]}", r"unknown key; .*did you mean 'width'"),
    ],
)
def test_a_wrong_choice_is_one_line_that_says_what_is_allowed(slices, message):
    with pytest.raises(ConfigErrors, match=message) as error:
        parse_config(yaml.safe_load(STUDY.format(slices=slices)))
    assert len(error.value.problems) == 1
