"""The installed package in any folder: no checkout, spaces and letters of any alphabet in every path."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml

from _documents import ROOT
from proplim.cli import main
from proplim.config import load_config
from proplim.cube import PARTIAL

DYING = """
import os
from pathlib import Path
import proplim.theory

real = proplim.theory.solve_grid


def solve_grid(dataset, *arguments, **keys):
    if dataset.n_train == 8 and not Path("mended").exists():
        os._exit(9)  # as the kernel ends a process that takes too much memory
    return real(dataset, *arguments, **keys)


proplim.theory.solve_grid = solve_grid
"""
STUDY = {
    "study": "anywhere",
    "plugins": ["stört.py"],
    "datasets": [
        {
            "name": "own",
            "source": "file",
            "path": "my data/mine däta.csv",
            "y": "what kind",
            "classes": ["rot", "grün"],
            "n_test": 4,
        }
    ],
    "grid": {"n_train": [6, 8], "alpha": [2.0], "temperature": [0.1, 1.0, 10.0]},
    "sampling": {
        "grid": {"n_train": [6], "temperature": [1.0]},
        **{"chains": 2, "target_ess": 20, "max_rhat": 2.0, "warmup": 20, "min_draws": 50},
    },
    "dynamics": {"enabled": False},
    "figures": {"formats": ["png"], "dpi": 60},
    "jobs": {"points_per_job": 3},
}


@pytest.fixture(scope="module")
def drive(tmp_path_factory) -> Path:
    """A folder with a blank and an accent, and in it an environment into which the wheel is installed."""
    folder = tmp_path_factory.mktemp("any") / "Mein Laufwerk é"
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        str(ROOT),
        "--no-deps",
        "--quiet",
        "-w",
        str(folder / "wheel"),
    ]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    environment = folder / "ein env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    with zipfile.ZipFile(next((folder / "wheel").glob("*.whl"))) as wheel:
        wheel.extractall(packages)
    # All other packages are those of this environment; the wheel comes before them.
    (packages / "others.pth").write_text(sysconfig.get_paths()["purelib"] + "\n", encoding="utf-8")
    return folder


def call(drive: Path, *words: str, folder: Path, check: bool = True, **environment: str):
    """Run Python of that environment, in `folder`."""
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [str(drive / "ein env/bin/python"), *words]
    done = subprocess.run(
        command, cwd=folder, env={**clean, **environment}, capture_output=True, text=True, check=False
    )
    if check:
        assert done.returncode == 0, done.stderr[-3000:]
    return done


def proplim(drive: Path, *words: str, folder: Path, check: bool = True):
    return call(drive, "-c", "from proplim.cli import main; main()", *words, folder=folder, check=check)


def write_study(folder: Path, **changes) -> None:
    (folder / "my data").mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = [
        f"{a!r},{b!r},{['rot', 'grün', 'blau'][k % 3]}"
        for k, (a, b) in enumerate(rng.standard_normal((45, 2)).tolist())
    ]
    (folder / "my data/mine däta.csv").write_text(
        "\n".join(["a,b,what kind", *rows]) + "\n", encoding="utf-8"
    )
    (folder / "stört.py").write_text(DYING, encoding="utf-8")
    text = yaml.safe_dump({**STUDY, **changes}, allow_unicode=True)
    (folder / "die Studie ü.yaml").write_text(text, encoding="utf-8")


def cube(folder: Path, stage: str = "theory") -> xr.Dataset:
    with xr.open_dataset(folder / f"results/anywhere/{stage}.nc") as opened:
        return opened.load()


@pytest.mark.slow
def test_the_wheel_runs_a_study_one_of_whose_jobs_dies_and_completes_it_later(drive):
    folder = drive / "Meine Studien"
    write_study(folder)
    run = ("run", "die Studie ü.yaml", "--cores", "2")
    done = proplim(drive, *run, folder=folder, check=False)
    assert done.returncode != 0
    theory, results = cube(folder), folder / "results/anywhere"
    assert theory.attrs[PARTIAL] == "3 of 6 grid points are not computed"
    assert theory.mse.sel(n_train=8).isnull().all()
    assert not theory.mse.sel(n_train=6).isnull().any()
    sampling = cube(folder, "sampling")
    assert PARTIAL not in sampling.attrs
    assert (sampling.converged == 1).all()
    pictures = {p.name for p in (results / "figures").glob("class_distance*.png")}
    assert pictures
    assert "Partial results." in (results / "summary/convergence.html").read_text(encoding="utf-8")
    assert "<html" in (results / "report.html").read_text(encoding="utf-8")[:2000].lower()
    assert (results / "explore.html").exists()
    said = proplim(drive, "collect", "die Studie ü.yaml", folder=folder).stderr
    assert "theory: 3 of 6 grid points are not computed" in said
    assert "Report: results/anywhere/report.html" in said
    (folder / "mended").touch()
    said = proplim(drive, *run, folder=folder).stderr
    assert "theory: 6 of 6 grid points converged" in said
    assert "Sampling posteriors" not in said, "what was done is not done again"
    whole = cube(folder)
    assert PARTIAL not in whole.attrs
    xr.testing.assert_equal(theory.mse.sel(n_train=6), whole.mse.sel(n_train=6))
    assert not whole.mse.isnull().any()
    assert (results / "figures").stat().st_mtime >= (results / "theory.nc").stat().st_mtime
    assert "Nothing to be done" in proplim(drive, *run, "--nolock", folder=folder).stderr


@pytest.mark.slow
def test_a_checkout_in_such_a_folder_runs_in_another_one(drive):
    checkout, folder = drive / "eine Kopie (2)", drive / "Arbeit ß"
    for part in ("workflow", "profiles", "src"):
        shutil.copytree(ROOT / part, checkout / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", checkout)
    write_study(folder, sampling={"enabled": False}, figures={"enabled": False}, plugins=[])
    words = ("-m", "snakemake", "-s", str(checkout / "Snakefile"), "--directory", str(folder), "--cores", "2")
    config = ("--configfile", str(folder / "die Studie ü.yaml"))
    done = call(drive, *words, *config, folder=Path("/"), PYTHONPATH=str(checkout / "src"))
    assert "theory: 6 of 6 grid points converged" in done.stderr
    assert (folder / "results/anywhere/report.html").exists()


def called(capsys, *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(list(words))
    said = capsys.readouterr()
    return int(stopped.value.code or 0), said.out, said.err


def test_init_writes_a_study_that_is_valid_and_explained(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, out, _ = called(capsys, "init", "my-study")
    assert code == 0
    assert "proplim run my-study.yaml" in out
    config = load_config("my-study.yaml")
    assert config.study == "my-study"
    assert config.stages() == ["theory", "sampling", "dynamics"]
    text = Path("my-study.yaml").read_text(encoding="utf-8")
    assert text.count("#") > 20
    # Keys that are commented out are keys.
    told = "\n".join(
        line.replace("# ", "", 1) for line in text.splitlines() if line.lstrip().startswith("# ")
    )
    assert all(key in told for key in ("lambda0:", "seed:", "enabled:", "path:", "classes:"))
    code, _, err = called(capsys, "init", "my-study")
    assert (code, err) == (
        2,
        "proplim: STUDY: 'my-study.yaml' is not allowed; a file that does not exist yet\n",
    )
    assert Path("my-study.yaml").read_text(encoding="utf-8") == text
    assert called(capsys, "init", "no good")[0] == 2


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("run", "absent.yaml"), "a configuration that exists"),
        (("run", "--cores", "2", "my.yaml"), "the configuration first"),
        (("run",), "Missing argument"),
    ],
)
def test_run_says_in_a_line_what_is_missing(tmp_path, monkeypatch, capsys, words, named):
    monkeypatch.chdir(tmp_path)
    code, _, err = called(capsys, *words)
    assert code == 2
    assert named in err
    assert err.count("\n") == 1


def test_run_hands_options_to_snakemake(tmp_path, monkeypatch, capsys):
    """All cores where none are asked for; a profile that the workflow brings by its name."""
    commands = []
    monkeypatch.setattr("proplim.cli._run._until_it_ends", lambda command: commands.append(command) or 0)
    monkeypatch.chdir(tmp_path)
    Path("my study.yaml").touch()
    for options, expected in (
        ((), ["--cores", "all"]),
        (("-n",), ["-n", "--cores", "all"]),
        (("-c2", "--forceall"), ["-c2", "--forceall"]),
        (("--profile", "slurm"), ["--profile", str(ROOT / "workflow/profiles/slurm")]),
        (("--profile", "mine"), ["--profile", "mine"]),
    ):
        assert called(capsys, "run", "my study.yaml", *options)[0] == 0
        command = commands.pop()
        assert command[:3] == [sys.executable, "-m", "snakemake"]
        place = command.index("--configfile")
        assert command[place + 1] == str(tmp_path / "my study.yaml")
        assert command[place + 2 :] == expected
