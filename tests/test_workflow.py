"""The workflow as a user runs it: one command from a configuration to cubes, figures and a report."""

from __future__ import annotations

import base64
import html
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml

from proplim.figures import figure_of
from proplim.observables import variables_of
from proplim.schema import POINT_AXES

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
STUDY = {
    "study": "named-on-the-command-line",
    "datasets": [
        {"name": "digits-3v8", "source": "digits", "classes": [3, 8], "n_test": 10},
        {"name": "own", "source": "file", "path": "own.npz", "n_test": 6},
    ],
    "grid": {"n_train": [12], "width": [8, 16], "temperature": [0.1, 1.0, 10.0]},
    "sampling": {
        "grid": {"width": [8], "temperature": [1.0]},
        "chains": 2,
        "target_ess": 100,
        "max_rhat": 1.1,
    },
    "dynamics": {"grid": {"width": [8]}, "replicas": 2, "t_max": 1.0, "n_times": 5, "stragglers": True},
    "figures": {"formats": ["png"]},
}
NAME = ("--config", "study=tiny")
"""The study's name comes from the command line, so that all that a run starts has to know of it."""


def snakemake(
    folder: Path, *arguments: str, config: str = "study.yaml", check: bool = True, environment=None
):
    """Run the workflow in `folder` on a configuration there, as from anywhere outside the checkout."""
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--configfile", str(folder / config), "--cores", "2", *arguments]
    environment = environment or {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", env=environment, check=False)
    if check:
        assert done.returncode == 0, done.stderr[-3000:]
    return done


def write_study(folder: Path, **changes) -> None:
    rng = np.random.default_rng(0)
    if not (folder / "own.npz").exists():
        np.savez(folder / "own.npz", x=rng.standard_normal((40, 4)), y=np.where(np.arange(40) % 2, 1, -1))
    (folder / "study.yaml").write_text(yaml.safe_dump({**STUDY, **changes}))


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A folder in which the tiny study has been run."""
    folder = tmp_path_factory.mktemp("study")
    write_study(folder)
    snakemake(folder, *NAME)
    return folder


def cubes(folder: Path) -> dict[str, xr.Dataset]:
    return {
        s: xr.open_dataset(folder / f"results/tiny/{s}.nc").load() for s in ("theory", "sampling", "dynamics")
    }


def test_cubes_hold_what_the_interface_promises(finished):
    for stage, cube in cubes(finished).items():
        dims = [d for d in POINT_AXES if stage != "dynamics" or d != "temperature"]
        assert list(cube.centroid_distance_sq.dims[: len(dims)]) == dims
        for variable in variables_of(stage):
            assert variable.name in cube, (stage, variable.name)
            assert set(variable.dims) <= set(cube[variable.name].dims)
            assert cube[variable.name].attrs["long_name"]
            assert cube[variable.name].attrs["units"]
        for name in ("title", "study", "proplim_version", "git_revision", "configuration", "created"):
            assert cube.attrs[name]
        assert yaml.safe_load(cube.attrs["configuration"])["grid"]["width"] == [8, 16]
        assert (cube.converged == 1).all()
        for name in ("centroid_distance_sq", "mse", "accuracy", "readout_variance"):
            assert not np.isnan(cube[name]).any(), (stage, name)


def test_cubes_align_by_themselves(finished):
    c = cubes(finished)
    mean = c["sampling"].centroid_distance_sq.sel(statistic="mean")
    difference = mean - c["theory"].centroid_distance_sq.sel(approximation="proportional")
    assert dict(difference.sizes)["temperature"] == 1
    assert difference.size == mean.size
    assert float(abs(difference / mean).max()) < 0.5


def test_prepared_data_draws_figures_and_report_are_there(finished):
    results = finished / "results/tiny"
    data = xr.open_dataset(next((results / "datasets/own").glob("*.nc")))
    assert {"x_train", "y_train", "x_test", "y_test"} <= set(data.variables)
    file = next((results / "draws/own").glob("*.nc"))
    draws = xr.open_dataset(file, group="posterior")
    stats = xr.open_dataset(file, group="sample_stats")
    assert {"acceptance_rate", "diverging", "energy", "step_size", "n_steps", "start"} <= set(stats.variables)
    assert xr.open_dataset(file).attrs["acceptance"] > 0
    assert draws.centroid_distance_sq.dims[:2] == ("chain", "draw")
    assert list((results / "figures").glob("*.png"))
    assert (results / "figures/inversion.csv").read_text().count(
        "\n"
    ) == 1 + 2 * 3  # two data sets, three quantities
    assert (results / "explore.html").stat().st_size < 5e6
    assert "<html" in (results / "report.html").read_text()[:2000].lower()


def test_files_of_single_points_are_declared_and_listed(finished):
    """Draws and attributions: the list that the rules declare names what is there, each job its own."""
    results = finished / "results/tiny"
    for folder, stage, count in (("draws", "sampling", 2), ("stragglers", "dynamics", 2)):
        there = sorted(str(p.relative_to(results / folder)) for p in (results / folder).glob("*/*"))
        assert len(there) == count
        assert (results / folder / "index.txt").read_text().split() == there
        of_jobs = [n for p in (results / stage).glob("*/*.files") for n in p.read_text().split()]
        assert sorted(of_jobs) == there
        summary = snakemake(finished, *NAME, "--summary").stdout
        assert f"results/tiny/{folder}/index.txt" in summary
        assert all(str(p.relative_to(finished)) in summary for p in (results / stage).glob("*/*.files"))


def test_the_report_opens_on_the_headline_figure_and_links_the_explorer(finished):
    """On facts and a text with the picture in it; without facts, Snakemake would open on the graph of rules."""
    report = (finished / "results/tiny/report.html").read_text()
    first_page = json.loads(re.search(r"var workflow_desc = (.*);\n", report).group(1))
    assert '<a class="reference external" href="explore.html">' in first_page
    assert "System Message" not in first_page
    path = min((finished / "results/tiny/figures").glob("class_distance__*.png"))
    picture = base64.b64encode(path.read_bytes()).decode()
    assert f'src="data:image/png;base64,{picture}"' in first_page
    facts = json.loads(re.search(r"var metadata = (.*);\n", report).group(1))
    theory = xr.open_dataset(finished / "results/tiny/theory.nc")
    grid = [n for dim, n in theory.converged.sizes.items() if dim != "approximation"]
    assert facts["grid points of theory"] == int(np.prod(grid))


def test_the_report_holds_every_figure_with_its_caption(finished):
    """Those of stragglers too; and it is of this study, which only the command line names."""
    results = finished / "results/tiny"
    report = (results / "report.html").read_text()
    stems = {p.stem for p in (results / "figures").glob("*.png")}
    assert any(stem.startswith("stragglers__digits-3v8__erf__P-12__N-8") for stem in stems)
    for stem in stems:
        assert f"{stem}.png" in report
        figure = figure_of(stem)
        assert figure is not None
        assert html.escape(figure.summary, quote=False) in report, stem
        assert json.dumps(figure.section)[1:-1] in report
    assert "named-on-the-command-line" not in (results / "summary/configuration.html").read_text()


STARTS = """
import os, sys
with open(os.environ["STARTED"], "a") as list:
    print(*sys.orig_argv, file=list)
"""


def test_report_is_written_by_the_run_itself(tmp_path, monkeypatch):
    """One start of Snakemake; asked for single files, the run lets another process see what there is to report."""
    (tmp_path / "sitecustomize.py").write_text(STARTS)
    small = {
        "datasets": STUDY["datasets"][:1],
        "sampling": {"enabled": False},
        "dynamics": {"enabled": False},
    }
    write_study(tmp_path, **small, figures={"enabled": False})
    monkeypatch.setenv("STARTED", str(tmp_path / "started"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(tmp_path)])}

    def starts(*arguments: str) -> int:
        (tmp_path / "started").unlink(missing_ok=True)
        snakemake(tmp_path, *arguments, *NAME, environment=environment)
        return sum("-m snakemake" in line for line in (tmp_path / "started").read_text().splitlines())

    report = tmp_path / "results/tiny/report.html"
    assert starts() == 1
    whole = set(re.findall(r"convergence.html|configuration.html", report.read_text()))
    assert whole == {"convergence.html", "configuration.html"}
    report.unlink()
    assert starts("results/tiny/theory.nc", "--force") == 2
    assert report.exists()


def test_a_second_run_does_nothing_and_says_so(finished):
    before = {p: p.stat().st_mtime_ns for p in (finished / "results").rglob("*.nc")}
    done = snakemake(finished, *NAME)
    assert "Nothing to be done" in done.stderr
    assert before == {p: p.stat().st_mtime_ns for p in (finished / "results").rglob("*.nc")}


def test_a_configuration_stands_alone(finished):
    """Keys left out take the schema's defaults, not those of the default study."""
    assert list(cubes(finished)["theory"].dataset.values) == ["digits-3v8", "own"]
    done = snakemake(finished, "-n", "--config", "study=other")
    assert "digits-3v8" in done.stdout + done.stderr
    assert "P240" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"grid": {**STUDY["grid"], "n_train": [12, 5000]}}, ["grid.n_train", "5000"]),
        ({"sampling": {"chain": 3}}, ["sampling.chain", "did you mean 'chains'"]),
    ],
)
def test_bad_input_stops_before_anything_runs_and_nothing_is_lost(finished, tmp_path, change, named):
    before = {p: p.read_bytes() for p in (finished / "results").rglob("*.nc")}
    (finished / "bad.yaml").write_text(yaml.safe_dump({**STUDY, **change}))
    done = snakemake(finished, config="bad.yaml", check=False)
    assert done.returncode != 0
    for word in named:
        assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert before == {p: p.read_bytes() for p in (finished / "results").rglob("*.nc")}
