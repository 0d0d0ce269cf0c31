"""explore.html: the data that goes in, and the page in a real browser."""

from __future__ import annotations

import base64
import gzip
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from _browser import MISSING, Browser, browser
from _cubes import all_cubes, sampling_cube, theory_cube
from proplim.errors import InvalidInput
from proplim.explore import explorer_html, write_explorer
from proplim.explore._data import fit, pack_cubes
from proplim.explore._symbols import Symbol, symbol_of
from proplim.figures import approximation_look, optimizer_look
from proplim.observables import OBSERVABLES
from proplim.query import peak_temperature
from proplim.schema import AXES


def unpacked(page: str, element: str) -> str:
    text = re.search(rf'id="{element}">([^<]*)<', page)
    assert text
    return gzip.decompress(base64.b64decode(text.group(1))).decode()


def test_page_holds_the_numbers_and_needs_no_network() -> None:
    cubes = {"theory": theory_cube()}
    page = explorer_html(cubes)
    data = json.loads(unpacked(page, "data"))
    variable = data["stages"]["theory"]["variables"]["centroid_distance_sq"]
    expected = cubes["theory"].centroid_distance_sq
    assert variable["dims"] == list(expected.dims)
    numbers = np.frombuffer(base64.b64decode(data["numbers"]), "<f4")
    got = numbers[variable["start"] : variable["start"] + expected.size].reshape(expected.shape)
    np.testing.assert_allclose(got, expected.values, rtol=1e-6)
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)
    assert "plotly.js v" in unpacked(page, "library")[:200]
    assert len(page) < 2_500_000


def test_equal_cubes_give_equal_pages_and_names_are_escaped(tmp_path: Path) -> None:
    cube = theory_cube()
    cube.attrs["study"] = "<b>&"
    assert explorer_html({"theory": cube}) == explorer_html({"theory": cube})
    text = write_explorer({"theory": cube}, tmp_path / "deep" / "explore.html").read_text()
    assert "<h1>&lt;b&gt;&amp;</h1>" in text
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["explore.html"]


def test_a_large_study_is_thinned_and_says_so() -> None:
    notes: list[str] = []
    cube = theory_cube(temperature=np.logspace(-3, 2, 65))
    small = fit(cube, 5000, "theory", notes)
    assert sum(v.size for v in small.data_vars.values()) <= 5000
    assert small.temperature.values[0] == cube.temperature.values[0]
    assert "free_energy" not in small
    assert any("of 65 values of temperature" in n for n in notes)
    whole: list[str] = []
    assert fit(cube, 10**9, "theory", whole).sizes == cube.sizes
    assert whole == []


def test_statistics_of_sampling_are_reduced_to_what_is_drawn() -> None:
    packed = pack_cubes({"sampling": sampling_cube()}, 10**6)
    assert packed["stages"]["sampling"]["axes"]["statistic"] == ["mean", "mcse"]


def test_the_page_does_not_depend_on_the_order_of_any_axis() -> None:
    cubes = {"theory": theory_cube(["infinite_width", "proportional", "cavity"]), "sampling": sampling_cube()}
    others = {k: c.isel({d: slice(None, None, -1) for d in c.dims}) for k, c in cubes.items()}
    assert pack_cubes(cubes, 10**6) == pack_cubes(others, 10**6)
    assert pack_cubes(cubes, 4000)["stages"] == pack_cubes(others, 4000)["stages"]


def test_what_the_page_knows_of_dimensions_and_looks_comes_from_the_tables() -> None:
    cubes = all_cubes(n_train=[60], width=[60])
    cubes["theory"] = theory_cube(["proportional", "cavity"], n_train=[60], width=[60])
    cubes["theory"] = cubes["theory"].assign_coords(approximation=["proportional", "my_theory"])
    packed = pack_cubes(cubes, 10**6)
    known = {d["name"]: d for d in packed["dimensions"]}
    assert list(known)[:2] == ["dataset", "activation"]
    logarithmic = {name for name, d in known.items() if d["logarithmic"]}
    assert logarithmic == {"temperature", "n_train", "width", "lambda0", "lambda1", "time"}
    assert {n for n, d in known.items() if not d["sliced"]} == {"approximation", "optimizer", "statistic"}
    looks = packed["looks"]
    assert looks["approximation"]["proportional"] == {
        "color": approximation_look("proportional").color, "dash": "solid", "title": "proportional",
    }  # fmt: skip
    assert looks["approximation"]["my_theory"]["title"] == "my theory"
    assert re.fullmatch("#[0-9A-F]{6}", looks["approximation"]["my_theory"]["color"])
    assert looks["optimizer"]["gradient_descent"]["color"] == optimizer_look("gradient_descent").color


def test_equal_values_of_two_cubes_are_equal_in_the_page() -> None:
    theory = theory_cube(temperature=[0.1, 0.3])
    theory = theory.assign_coords(temperature=[0.1, 0.1 + 0.2])
    packed = pack_cubes({"theory": theory, "sampling": sampling_cube(temperature=[0.3])}, 10**6)["stages"]
    assert packed["theory"]["axes"]["temperature"] == [0.1, 0.3]
    assert packed["sampling"]["axes"]["temperature"] == [0.3]


def test_a_variable_of_one_s_own_is_in_the_page_of_a_large_study_too() -> None:
    cube = theory_cube()
    cube["own"] = cube.mse.assign_attrs(long_name="a quantity of one's own", units="1")
    for most in (10**6, 4000):
        variables = pack_cubes({"theory": cube}, most)["stages"]["theory"]["variables"]
        assert variables["own"]["long_name"] == "a quantity of one's own"


def test_nothing_to_explore_is_refused() -> None:
    with pytest.raises(InvalidInput, match="theory"):
        explorer_html({})


# --- symbols


@pytest.mark.parametrize(
    ("latex", "html", "text"),
    [
        (r"\hat{R}_s^2", "<i>R\u0302</i><sub><i>s</i></sub><sup>2</sup>", "R\u0302ₛ²"),
        (r"\langle v\,(w\cdot u)\rangle", "⟨<i>v</i>\u2009(<i>w</i>·<i>u</i>)⟩", "⟨v\u2009(w·u)⟩"),
        (r"T_\mathrm{c}", "<i>T</i><sub>c</sub>", "T_c"),
        (r"\lambda_0", "<i>λ</i><sub>0</sub>", "λ₀"),
        (r"a<b", "<i>a</i>&lt;<i>b</i>", "a<b"),
        (r"\unheard{x", "unheard<i>x</i>", "unheardx"),
    ],
)
def test_symbols_in_latex_are_html_and_text(latex: str, html: str, text: str) -> None:
    assert symbol_of(latex) == Symbol(html, text)


def test_every_symbol_of_the_package_is_understood() -> None:
    """No backslash, brace, index or exponent is left of any symbol that a page may show."""
    for latex in [v.symbol for v in OBSERVABLES.members()] + [a.symbol for a in AXES.values()]:
        symbol = symbol_of(latex)
        assert not set("\\{}^_$") & set(re.sub("</?(i|sub|sup)>", "", symbol.html)), latex
        assert not set("\\{}$") & set(symbol.text), latex
        assert symbol.html.count("<sub>") == latex.count("_")


def test_variables_and_axes_have_the_symbols_of_the_figures() -> None:
    packed = pack_cubes({"theory": theory_cube()}, 10**6)
    variables = packed["stages"]["theory"]["variables"]
    assert variables["normalized_centroid_distance_sq"]["symbol"]["html"] == "<i>D\u0302</i>"
    assert variables["accuracy"]["symbol"] is None
    known = {d["name"]: d for d in packed["dimensions"]}
    assert known["n_train"]["title"] == "training-set size"
    assert known["lambda0"]["symbol"]["html"] == "<i>λ</i><sub>0</sub>"
    assert known["split"]["symbol"] is None


# --- in a browser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if MISSING:
        pytest.skip(MISSING)
    folder = tmp_path_factory.mktemp("explore")
    path = write_explorer(all_cubes(seed=[0, 1]), folder / "explore.html")
    with browser(folder / "profile") as session:
        session.resize(1200, 900)
        session.open(path.as_uri())
        _wait(session)
        session.address = path.as_uri()  # type: ignore[attr-defined]
        session.profile = folder / "profile"  # type: ignore[attr-defined]
        yield session


def _wait(session: Browser) -> None:
    """Until the page has drawn."""
    deadline, state = time.monotonic() + 60, {}
    while time.monotonic() < deadline and not (state.get("ready") or state.get("error")):
        time.sleep(0.1)
        state = session.run("return {...document.body.dataset}")
    assert state.get("ready") == "true", state


CHOOSE = """
const select = document.getElementById('controls').elements.namedItem(arguments[0]);
select.value = arguments[1];
select.dispatchEvent(new Event('change'));
"""
TRACES = """
return document.getElementById('plot').data.filter((t) => t.name !== 'spread').map(
  (t) => ({name: t.name, x: [...t.x], y: [...t.y], error: t.error_y ? [...t.error_y.array] : []}));
"""


def by_name(session: Browser) -> dict[str, dict]:
    return {t["name"]: t for t in session.run(TRACES)}


@pytest.mark.slow
def test_page_draws_theory_and_sampled_points_with_errors(page: Browser) -> None:
    traces = by_name(page)
    assert set(traces) == {"infinite width", "proportional", "sampling", "T*, proportional"}
    where = {"n_train": 60, "width": 60, "split": "train", "lambda0": 1.0, "lambda1": 1.0}
    cubes = all_cubes(seed=[0, 1])
    theory = (
        cubes["theory"].centroid_distance_sq.sel(**where, approximation="proportional").mean("seed").squeeze()
    )
    np.testing.assert_allclose(traces["proportional"]["y"], theory.values, rtol=1e-6)
    sampled = cubes["sampling"].centroid_distance_sq.sel(**where, statistic="mean").squeeze()
    np.testing.assert_allclose(traces["sampling"]["y"], sampled.mean("seed").values, rtol=1e-6)
    np.testing.assert_allclose(traces["sampling"]["error"], sampled.std("seed", ddof=1).values, rtol=1e-3)
    assert page.messages() == []


@pytest.mark.slow
def test_controls_change_the_plot(page: Browser) -> None:
    before = by_name(page)["proportional"]["y"]
    page.run(CHOOSE, "width", "120")
    changed = by_name(page)["proportional"]["y"]
    assert changed != before
    page.run(CHOOSE, "variable", "mse")
    title = page.run("return document.getElementById('plot').layout.yaxis.title.text")
    assert title == "⟨(<i>y</i>−<i>f</i>)<sup>2</sup>⟩"
    page.run(CHOOSE, "colour by", "n_train")
    assert sum(name.startswith("proportional, <i>P</i> = ") for name in by_name(page)) == 3
    page.run(CHOOSE, "show", "training")
    assert page.run("return document.getElementById('plot').layout.xaxis.title.text") == "time <i>t</i>"
    page.run(CHOOSE, "show", "parity")
    page.run(CHOOSE, "colour by", "")
    page.run(CHOOSE, "variable", "centroid_distance_sq")
    parity = by_name(page)
    assert len(parity["proportional"]["x"]) == 3 * 2 * 3 * 2 * 2  # n_train, width, temperature, seed, split
    page.run(CHOOSE, "show", "equilibrium")
    page.run(CHOOSE, "width", "60")
    np.testing.assert_array_equal(by_name(page)["proportional"]["y"], before)
    assert page.messages() == []


@pytest.mark.slow
def test_t_star_is_marked_where_the_theory_has_it(page: Browser) -> None:
    where = {"n_train": 60, "width": 60, "split": "train", "approximation": "proportional"}
    cube = all_cubes(seed=[0, 1])["theory"].sel(**where)
    peak = peak_temperature(cube.centroid_distance_sq.mean("seed")).squeeze()
    mark = by_name(page)["T*, proportional"]
    np.testing.assert_allclose([mark["x"][0], mark["y"][0]], [peak.position, peak.height], rtol=1e-5)
    lines = page.run("return document.getElementById('plot').layout.shapes.map((s) => s.x0)")
    assert lines == mark["x"]
    assert "T* = " in page.run("return document.getElementById('message').textContent")
    page.run(CHOOSE, "seed", "1")  # of one draw the theory's own T*
    assert by_name(page)["T*, proportional"]["x"] == [float(cube.peak_temperature.sel(seed=1).squeeze())]
    page.run(CHOOSE, "variable", "mse")
    assert not any(name.startswith("T*") for name in by_name(page))
    page.run(CHOOSE, "variable", "centroid_distance_sq")
    page.run(CHOOSE, "seed", "mean")
    assert page.messages() == []


@pytest.mark.slow
def test_a_view_is_in_the_address_and_can_be_shared(page: Browser) -> None:
    page.run(CHOOSE, "width", "120")
    page.run(CHOOSE, "variable", "mse")
    page.run(CHOOSE, "colour by", "n_train")
    page.run(CHOOSE, "split", "test")
    shared, drawn = page.run("return location.hash"), by_name(page)
    assert "at.width=120" in shared
    page.open("about:blank")
    page.open(page.address + shared)  # type: ignore[attr-defined]
    _wait(page)
    again = by_name(page)
    assert again.keys() == drawn.keys()
    for name, trace in drawn.items():
        assert again[name] == trace, name
    assert page.run("return location.hash") == shared
    page.run(
        "location.hash = '#view=parity&variable=readout_variance&at.width=60'"
    )  # a link followed in the page
    time.sleep(0.2)
    assert page.run("return [state.view, state.variable, state.slices.width]") == [
        "parity",
        "readout_variance",
        "60",
    ]
    page.run("location.hash = '#view=nothing&variable=unheard&x=of&at.width=7&color=blue'")
    time.sleep(0.2)
    assert page.run("return plotted.rows.length") > 0  # what the study does not have is put right
    page.open("about:blank")
    page.open(page.address)  # type: ignore[attr-defined]
    _wait(page)
    assert page.messages() == []


@pytest.mark.slow
def test_every_value_of_an_axis_has_a_panel(page: Browser) -> None:
    page.run(CHOOSE, "a panel for each", "n_train")
    traces = page.run(
        "return document.getElementById('plot').data.filter((t) => t.name === 'proportional')"
        ".map((t) => ({axis: t.xaxis, y: [...t.y], legend: t.showlegend}))"
    )
    assert [t["axis"] for t in traces] == ["x", "x2", "x3"]
    assert [t["legend"] for t in traces] == [True, False, False]
    theory = all_cubes(seed=[0, 1])["theory"].centroid_distance_sq
    for trace, n_train in zip(traces, [60, 120, 240], strict=True):
        where = {"n_train": n_train, "width": 60, "split": "train", "approximation": "proportional"}
        np.testing.assert_allclose(trace["y"], theory.sel(where).mean("seed").squeeze(), rtol=1e-6)
    titles = page.run("return document.getElementById('plot').layout.annotations.map((a) => a.text)")
    assert titles == [f"<i>P</i> = {n}" for n in (60, 120, 240)]
    assert page.run("return document.getElementById('plot').layout.yaxis3.matches") == "y"
    lines = page.run("return document.getElementById('plot').layout.shapes.map((s) => s.xref)")
    assert lines == ["x", "x2", "x3"]  # T* of each in its own panel
    header, *rows = page.run("return csv()").strip().split("\n")
    assert {row.split(",")[header.split(",").index("n_train")] for row in rows} == {"60", "120", "240"}
    assert "panel=n_train" in page.run("return location.hash")
    page.run(CHOOSE, "horizontal axis", "width")
    page.run(
        CHOOSE, "a panel for each", "temperature"
    )  # 24 of them: a few, even in the logarithm, on a taller page
    values = page.run("return panelValues()")
    assert len(values) == 12
    assert [values[0], values[-1]] == [0.001, 100.0]
    steps = np.diff(np.log(values))
    assert steps.max() < 2.5 * steps.min()
    deadline, drawn = time.monotonic() + 30, 0.0
    while time.monotonic() < deadline and drawn < 819:  # the plot follows the page after a moment
        time.sleep(0.1)
        drawn = page.run("return document.getElementById('plot')._fullLayout.height")
    assert drawn == pytest.approx(
        page.run("return document.getElementById('plot').getBoundingClientRect().height"), abs=1
    )
    assert drawn >= 819
    assert "12 of 2" in page.run("return document.getElementById('message').textContent")
    page.run(CHOOSE, "horizontal axis", "temperature")
    page.run(CHOOSE, "a panel for each", "")
    assert len(by_name(page)) == 4
    assert page.messages() == []


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "start"), [("svg", b"<svg"), ("png", b"\x89PNG")])
def test_the_picture_can_be_downloaded(page: Browser, kind: str, start: bytes) -> None:
    page.run(f"document.getElementById('picture-{kind}').click()")
    file = page.profile / f"invented-equilibrium-centroid_distance_sq.{kind}"  # type: ignore[attr-defined]
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not file.is_file():
        time.sleep(0.1)
    content = file.read_bytes()
    assert content.startswith(start)
    assert len(content) > 5000
    assert page.messages() == []


@pytest.mark.slow
def test_csv_holds_what_is_plotted(page: Browser) -> None:
    lines = page.run("return csv()").strip().split("\n")
    header = lines[0].split(",")
    rows = [dict(zip(header, line.split(","), strict=True)) for line in lines[1:]]
    drawn = by_name(page)["proportional"]["y"]
    got = [float(r["centroid_distance_sq"]) for r in rows if r["theory_or_optimizer"] == "proportional"]
    np.testing.assert_array_equal(got, drawn)
    assert {r["split"] for r in rows} == {"train"}


@pytest.mark.slow
def test_page_fits_a_phone(page: Browser) -> None:
    page.resize(390, 844)
    page.run(CHOOSE, "width", "120")
    time.sleep(0.5)
    wide, window = page.run("return [document.documentElement.scrollWidth, window.innerWidth]")
    assert wide <= window
    plot = page.run("return document.querySelector('#plot .main-svg').getBoundingClientRect().width")
    assert plot <= window
    page.resize(1200, 900)
    assert page.messages() == []
