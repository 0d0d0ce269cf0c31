"""What a user adds is one file: the pages that say how are these files, and a whole study runs with all of them."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml

from _documents import ROOT, titled

pytestmark = pytest.mark.slow

PAGES = {
    "adding_approximation.md": "my_theory.py",
    "adding_dataset.md": "shells.py",
    "adding_optimizer.md": "my_optimizer.py",
    "adding_observable.md": "my_observable.py",
    "activations.md": "my_activation.py",
}
NAMES = {
    "approximation": "first_order",
    "dataset": "two-shells",
    "optimizer": "heavy_ball",
    "activation": "swish",
}
OBSERVABLE = "feature_norm_sq"
STUDY = {
    "study": "plugged",
    "plugins": list(PAGES.values()),
    "datasets": [{"name": NAMES["dataset"], "source": "shells", "n_test": 10}],
    "grid": {
        "n_train": [12],
        "width": [10],
        "temperature": [0.3, 1.0, 10.0],
        "activation": ["erf", NAMES["activation"]],
    },
    "theory": {"approximations": ["infinite_width", "proportional", NAMES["approximation"]]},
    "sampling": {
        "grid": {"temperature": [1.0]},
        "chains": 2,
        "target_ess": 40,
        "max_rhat": 1.5,
        "warmup": 40,
        "min_draws": 100,
    },
    "dynamics": {
        "optimizers": ["gradient_flow", NAMES["optimizer"]],
        "replicas": 2,
        "t_max": 1.0,
        "n_times": 5,
        "heavy_ball_memory": 0.5,
    },
    "figures": {"formats": ["svg", "png"]},
}


def proplim(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, in a process of its own: plugins of other tests are not there."""
    return subprocess.run(
        [sys.executable, "-c", "from proplim.cli import main; main()", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


def unpacked(page: str) -> str:
    """What the page holds in compressed form, as text."""
    packed = re.findall(r"[A-Za-z0-9+/=]{2000,}", page)
    return "".join(gzip.decompress(base64.b64decode(part)).decode() for part in packed)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with the files of the pages and the study, not yet run."""
    folder = tmp_path_factory.mktemp("plug ins")
    for page, name in PAGES.items():
        (folder / name).write_text(titled(ROOT / "docs" / page)[name])
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    return folder


@pytest.fixture(scope="module")
def results(folder) -> Path:
    """Results of the study with one file of each kind."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--cores", "2"),
            *("--directory", str(folder), "--configfile", str(folder / "study.yaml")),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "results" / "plugged"


def test_check_accepts_the_study_and_says_whose_code_it_runs(folder):
    done = proplim(folder, "check", "study.yaml")
    assert done.returncode == 0, done.stderr
    assert all(name in done.stderr for name in PAGES.values())


def test_without_its_file_a_name_is_refused_in_one_line(folder):
    for left_out, name in (("my_theory.py", "first_order"), ("my_optimizer.py", "heavy_ball")):
        plugins = [file for file in STUDY["plugins"] if file != left_out]
        (folder / "without.yaml").write_text(yaml.safe_dump({**STUDY, "plugins": plugins}))
        done = proplim(folder, "check", "without.yaml")
        assert done.returncode != 0
        assert f"{name!r} is not allowed" in done.stdout + done.stderr


def test_every_kind_is_in_the_cubes(results):
    theory, sampling, dynamics = (
        xr.open_dataset(results / f"{s}.nc") for s in ("theory", "sampling", "dynamics")
    )
    with theory, sampling, dynamics:
        assert NAMES["approximation"] in theory.approximation
        assert NAMES["optimizer"] in dynamics.optimizer
        for cube in (theory, sampling, dynamics):
            assert cube.dataset.values.tolist() == [NAMES["dataset"]]
            assert NAMES["activation"] in cube.activation
            assert cube[OBSERVABLE].attrs["long_name"].startswith("mean squared length")
        erf = {"activation": "erf", "temperature": 1.0}
        expected = theory[OBSERVABLE].sel(**erf, approximation="proportional").squeeze()
        mean, error = (sampling[OBSERVABLE].sel(**erf, statistic=s).squeeze() for s in ("mean", "mcse"))
        assert np.isfinite(expected).all()
        # A theory of large N at N = 10: within two per cent, where the prior's value is right to two as well.
        assert (abs(mean - expected) < 5 * error + 0.02 * expected).all()
        assert np.isfinite(theory.mse.sel(activation="erf", approximation=NAMES["approximation"])).any()
        assert np.isnan(theory.mse.sel(activation="swish", approximation=NAMES["approximation"])).all()
        assert np.isfinite(dynamics[OBSERVABLE].sel(optimizer=NAMES["optimizer"])).all()


def test_every_kind_is_in_a_figure(results):
    pictures = {file.name: file.read_text() for file in (results / "figures").glob("*.svg")}
    own = [name for name in pictures if OBSERVABLE in name]
    assert any(name.startswith("observables__") for name in own)
    assert any(name.startswith("observables_in_time__") for name in own)
    assert any(NAMES["dataset"] in name and NAMES["activation"] in name for name in own)
    distance = next(
        text for name, text in pictures.items() if name.startswith("class_distance") and "erf" in name
    )
    training = next(text for name, text in pictures.items() if name.startswith("training") and "erf" in name)
    assert "#999933" in distance  # the colour of the theory's file
    assert "#b2182b" in training  # and of the optimizer's


def test_every_kind_is_in_the_page_to_turn_through_and_in_the_report(results):
    page = unpacked((results / "explore.html").read_text())
    assert not [name for name in (*NAMES.values(), OBSERVABLE) if f'"{name}"' not in page]
    report = (results / "report.html").read_text()
    assert OBSERVABLE in report
    convergence = (results / "summary" / "convergence.html").read_text()
    assert NAMES["approximation"] in convergence
    assert OBSERVABLE in convergence


def test_pictures_and_page_redrawn_by_command_show_them_as_the_study_did(folder, results, tmp_path):
    words = (
        "figures",
        str(results),
        "--only",
        "class_distance,training",
        "--format",
        "svg",
        "--output",
        str(tmp_path),
    )
    done = proplim(tmp_path, *words)  # from another folder than that of the study
    assert done.returncode == 0, done.stderr
    assert "executing" in done.stderr
    assert "my_theory.py" in done.stderr
    drawn = "".join(file.read_text() for file in tmp_path.glob("*erf*.svg"))
    assert "#999933" in drawn  # the colour of the theory's file
    assert "#b2182b" in drawn  # and of the optimizer's
    page = tmp_path / "explore.html"
    done = proplim(tmp_path, "explore", str(results), "--output", str(page))
    assert done.returncode == 0, done.stderr
    assert "#999933" in unpacked(page.read_text())  # the colour of the theory's file


def test_a_plugin_that_is_gone_is_told_and_may_be_named(folder, results, tmp_path):
    copy = tmp_path / "results" / "plugged"
    copy.mkdir(parents=True)
    for stage in ("theory", "dynamics"):
        shutil.copy(results / f"{stage}.nc", copy)
    (tmp_path / "elsewhere").mkdir()
    words = ("figures", str(copy), "--only", "class_distance", "--format", "svg")
    done = proplim(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    assert "my_theory.py, a plugin of this study, is not there: name it with --plugin" in done.stderr
    assert "#999933" not in next((copy / "figures").glob("class_distance*erf*.svg")).read_text()
    done = proplim(tmp_path, *words, "--plugin", str(folder / "my_theory.py"))
    assert done.returncode == 0, done.stderr
    assert "my_theory.py, a plugin of this study, is not there" not in done.stderr
    assert "#999933" in next((copy / "figures").glob("class_distance*erf*.svg")).read_text()


def test_the_command_for_one_point_knows_them(folder):
    words = ["theory", "--dataset", "shells", "--n-train", "12", "--width", "50", "--temperature", "1"]
    words += ["--approximation", NAMES["approximation"], "--json"]
    for name in ("shells.py", "my_theory.py", "my_observable.py"):
        words += ["--plugin", name]
    done = proplim(folder, *words)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["approximations"][NAMES["approximation"]]
    assert found["order_parameter"] > 0
    assert found[f"{OBSERVABLE} [train]"] > 0


def test_a_changed_file_makes_its_results_new_and_leaves_the_others(folder, results):
    plan = "from proplim.config import load_config\n"
    plan += "from proplim.study import plan_study; plan = plan_study(load_config('study.yaml', data=False))\n"
    plan += "import json; print(json.dumps({s: sorted(j) for s, j in plan.jobs.items()}))"

    def jobs() -> dict:
        done = subprocess.run(
            [sys.executable, "-c", plan],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)

    before = jobs()
    file = folder / "my_optimizer.py"
    file.write_text(file.read_text() + "\n# another line\n")
    after = jobs()
    assert not set(before["dynamics"]) & set(after["dynamics"])
    assert before["theory"] == after["theory"]
    assert before["sampling"] == after["sampling"]
