"""Every file says how it was made: configuration, versions, revision, seeds, wall time; and not where."""

from __future__ import annotations

import base64
import getpass
import gzip
import json
import os
import platform
import re
from pathlib import Path

import pytest
import xarray as xr
import yaml

from proplim.config import parse_config
from proplim.cube import read_table
from proplim.cube._provenance import git_revision, package_versions
from proplim.seeds import derive_seed
from proplim.study import collect_cube, plan_study, prepare_draw, run_job

pytestmark = pytest.mark.slow

STUDY = {
    "study": "about",
    "datasets": [{"name": "g", "source": "gaussian", "n_features": 3, "n_test": 4}],
    "grid": {"n_train": [6], "width": [4], "temperature": [1.0], "seed": [7]},
    "sampling": {"chains": 2, "target_ess": 20, "max_rhat": 3.0, "warmup": 20, "min_draws": 50, "seed": 5},
    "dynamics": {"replicas": 1, "t_max": 0.1, "n_times": 12, "stragglers": True},
}
EVERYWHERE = {
    "configuration",
    "seeds",
    "wall_time_seconds",
    "proplim_version",
    "git_revision",
    "package_versions",
    "created",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, dict]:
    """Kind of file -> its attributes, for one of each kind that a study writes."""
    folder, before = tmp_path_factory.mktemp("about"), Path.cwd()
    os.chdir(folder)
    try:
        plan = plan_study(parse_config(STUDY))
        for file, draw in plan.draws.items():
            prepare_draw(plan, draw, file)
        found = {}
        for stage, jobs in plan.jobs.items():
            for job in jobs.values():
                run_job(plan, job, plan.result(job))
                found[f"{stage} table"] = read_table(plan.result(job)).about
            collect_cube(plan, stage, plan.results(stage), f"{plan.root}/{stage}.nc")
        for file in folder.glob("results/about/**/*.nc"):
            with xr.open_dataset(file) as stored:
                found[str(file.relative_to(folder / "results/about")).split("/")[0]] = dict(stored.attrs)
        return found
    finally:
        os.chdir(before)


def test_all_kinds_of_files_are_looked_at(files):
    assert set(files) == {
        *("theory table", "sampling table", "dynamics table", "theory.nc", "sampling.nc", "dynamics.nc"),
        *("datasets", "draws", "stragglers"),
    }


def test_every_file_says_how_it_was_made(files):
    for kind, about in files.items():
        assert set(about) >= EVERYWHERE, kind
        assert about["git_revision"] == git_revision()
        assert about["package_versions"] == package_versions()
        assert float(about["wall_time_seconds"]) >= 0
        assert about["title"], kind


def test_the_configuration_is_that_of_the_study(files):
    for kind, about in files.items():
        stored = yaml.safe_load(about["configuration"])
        if kind == "datasets":  # does not depend on the rest, and is used by other studies too
            assert stored["n_features"] == 3
        else:
            assert parse_config(stored) == parse_config(STUDY), kind


def test_seeds_are_those_that_were_used(files):
    assert json.loads(files["datasets"]["seeds"]) == {"seed": 7}
    assert json.loads(files["sampling.nc"]["seeds"])["sampling.seed"] == 5
    for kind in ("theory table", "dynamics table", "stragglers", "theory.nc"):
        assert json.loads(files[kind]["seeds"])["seed"] == [7]
    point = {"activation": "erf", "width": 4, "temperature": 1.0, "lambda0": 1.0, "lambda1": 1.0}
    given = {**point, "dataset": files["datasets"]["identity"], "seed": 5}
    expected = [derive_seed("sampling", {**given, "chain": chain}) for chain in range(2)]
    assert json.loads(files["draws"]["seeds"])["chains"] == expected


def test_a_cube_adds_up_the_time_of_its_jobs(files):
    for stage in ("theory", "sampling", "dynamics"):
        spent = files[f"{stage} table"]["wall_time_seconds"]
        assert float(files[f"{stage}.nc"]["wall_time_seconds"]) == pytest.approx(spent, abs=2e-3)
        assert spent > 0


def test_no_file_names_the_machine_its_user_or_its_folders(files):
    words = {platform.node(), str(Path.cwd()), str(Path.home()), "/tmp/"} - {""}
    user = getpass.getuser()
    for kind, about in files.items():
        text = json.dumps(about, default=str)
        assert not [word for word in words if len(word) > 3 and word in text], kind
        assert user == "root" or user not in text, kind


def test_without_git_the_revision_is_unknown(monkeypatch, tmp_path):
    from proplim.cube import _provenance

    monkeypatch.setattr(_provenance.proplim, "__file__", str(tmp_path / "a/b/__init__.py"))
    assert git_revision.__wrapped__() == "unknown"
    (tmp_path / ".git").mkdir()  # not a repository
    assert git_revision.__wrapped__() == "unknown"


@pytest.mark.parametrize("form", ["png", "pdf", "svg"])
def test_a_figure_says_how_its_cubes_were_made(files, tmp_path, form):
    from matplotlib.figure import Figure

    from proplim.figures._save import origin, save

    about = origin({"theory": xr.Dataset(attrs=files["theory.nc"])})
    stored = json.loads(about)["theory"]
    assert parse_config(yaml.safe_load(stored["configuration"])) == parse_config(STUDY)
    assert stored["git_revision"] == git_revision()
    raw = save(Figure(), tmp_path / f"figure.{form}", form, about).read_bytes()
    for word in (b"git_revision", b"package_versions", b"seeds", b"n_features"):
        assert word in raw


def test_the_page_to_turn_through_a_study_says_how_it_was_made(files):
    from _cubes import theory_cube
    from proplim.explore import explorer_html

    page = explorer_html({"theory": theory_cube().assign_attrs(files["theory.nc"])})
    data = re.search(r'id="data">([^<]+)<', page).group(1)
    made = json.loads(gzip.decompress(base64.b64decode(data)))["made"]["theory"]
    assert made["git_revision"] == git_revision()
    assert set(made) >= EVERYWHERE
