"""The command as a user meets it: what it prints, its exit codes, one-line errors."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from _cubes import all_cubes
from proplim.cli import main

STUDY = """
study: small
datasets:
  - {name: d38, source: digits, classes: [3, 8], n_test: 20}
grid: {n_train: [20, 40], width: [10], temperature: [0.1, 1.0]}
sampling: {enabled: false}
dynamics: {enabled: false}
"""


class Answer:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    def call(*arguments: str) -> Answer:
        with pytest.raises(SystemExit) as stop:
            main([str(a) for a in arguments])
        captured = capsys.readouterr()
        return Answer(int(stop.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of invented cubes, as results/<study>."""
    folder = tmp_path_factory.mktemp("results")
    for stage, cube in all_cubes(n_train=[60, 120], width=[60]).items():
        cube.to_netcdf(folder / f"{stage}.nc")
    return folder


def refused(answer: Answer) -> str:
    """The single line of an error; nothing on standard output, exit code 2."""
    assert answer.code == 2
    assert answer.out == ""
    assert answer.err.count("\n") == 1
    assert answer.err.startswith("proplim: ")
    assert "Traceback" not in answer.err
    return answer.err


# --- the command itself


@pytest.mark.parametrize("name", ["check", "theory", "query", "compare", "figures", "explore", "status"])
def test_help_has_examples(run, name: str) -> None:
    answer = run(name, "--help")
    assert answer.code == 0
    assert "Example" in answer.out
    assert f"proplim {name} " in answer.out.split("Example")[1]
    options = answer.out.split("Options:")[1]
    assert "list[" not in options  # says what to give, not of which Python type it is
    assert "<path>" not in options
    assert "[[" not in answer.out


def test_version_and_bare_command(run) -> None:
    assert run("--version").out.startswith("proplim ")
    bare = run()
    assert bare.code == 0
    assert "theory" in bare.out


def test_unknown_command_and_option_are_one_line(run) -> None:
    assert "No such command" in refused(run("thoery"))
    assert "No such option" in refused(run("theory", "--widht", "3"))
    assert "Missing option" in refused(run("theory", "--dataset", "digits"))


def test_shell_completion_offers_the_subcommands() -> None:
    env = {**os.environ, "_PROPLIM_COMPLETE": "complete_bash", "COMP_WORDS": "proplim ", "COMP_CWORD": "1"}
    code = "import sys; sys.argv[0] = 'proplim'; from proplim.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
    assert {"check", "theory", "query", "figures", "compare", "status"} <= set(done.stdout.split())


# --- check


def test_check_accepts_and_counts_points(run, tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    answer = run("check", path)
    assert answer.code == 0
    assert "ok" in answer.out
    assert "4 grid points" in answer.out


def test_check_reports_every_problem_on_its_own_line(run, tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY.replace("width: [10]", "width: [-1]").replace("n_test: 20", "n_tset: 20"))
    answer = run("check", path)
    assert answer.code == 2
    assert answer.out == ""
    lines = answer.err.strip().split("\n")
    assert len(lines) == 2
    assert any("grid.width" in line for line in lines)
    assert any("n_tset" in line and "n_test" in line for line in lines)
    assert run("check", tmp_path / "absent.yaml").code == 2


# --- theory

DIGITS = ("--dataset", "digits", "--classes", "3", "8")
POINT = ("--n-train", "20", "--width", "10", "--temperature", "0.1")


def test_theory_agrees_with_the_library(run) -> None:
    from proplim.datasets import load_dataset
    from proplim.theory import solve_grid

    dataset = load_dataset("digits", 20, classes=(3, 8))
    expected = solve_grid(dataset, "erf", temperature=0.1, width=10).squeeze()
    got = json.loads(run("theory", *DIGITS, *POINT, "--json").out)
    assert got["alpha"] == 2.0
    for name in ("infinite_width", "proportional"):
        for split in ("train", "test"):
            value = expected.centroid_distance_sq.sel(approximation=name, split=split)
            assert got["approximations"][name][f"centroid_distance_sq [{split}]"] == float(value)
    text = run("theory", *DIGITS, *POINT, "--approximation", "proportional").out
    assert "infinite_width" not in text
    assert "order_parameter" in text


def test_theory_of_a_file_and_of_generated_data(run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "my.npz", x=rng.standard_normal((60, 5)), y=np.where(np.arange(60) % 2, 1, -1))
    file = run("theory", "--dataset", tmp_path / "my.npz", "--n-test", "10", *POINT)
    assert file.code == 0, file.err
    generated = run("theory", "--dataset", "gaussian", "--n-features", "7", *POINT)
    assert "n_features=7" in generated.out


def test_a_load_stands_for_its_width(run) -> None:
    point = ("--n-train", "21", "--temperature", "0.1", "--json")
    by_load = json.loads(run("theory", *DIGITS, *point, "--alpha", "2").out)
    assert by_load == json.loads(run("theory", *DIGITS, *point, "--width", "11").out)
    for sizes in ((), ("--alpha", "2", "--width", "11")):
        assert "either --width or --alpha" in refused(run("theory", *DIGITS, *point, *sizes))
    assert "alpha: -1.0 is not allowed" in refused(run("theory", *DIGITS, *point, "--alpha", "-1"))


# --- sample, train

SAMPLED = {"chains": 2, "target_ess": 20.0, "max_rhat": 2.0, "warmup": 20, "min_draws": 50}
TRAINED = {"replicas": 3, "t_max": 5.0, "n_times": 4}


def as_options(settings: dict) -> list[str]:
    return [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]


def test_sample_gives_means_and_errors_of_the_library(run) -> None:
    from proplim.datasets import load_dataset
    from proplim.sampling import SamplingSettings, sample_posterior

    dataset = load_dataset("digits", 20, classes=(3, 8))
    settings = SamplingSettings(**SAMPLED)
    expected = sample_posterior(dataset, "erf", width=10, temperature=0.1, settings=settings).summary
    answer = run("sample", *DIGITS, *POINT, *as_options(SAMPLED), "--json")
    assert answer.code == 0, answer.err
    got = json.loads(answer.out)
    assert (got["width"], got["temperature"], got["converged"]) == (10, 0.1, True)
    found = got["observables"]["gyration_radius_sq [test, y=+1]"]
    values = expected.gyration_radius_sq.sel(split="test", label=1)
    assert found == {s: float(values.sel(statistic=s)) for s in ("mean", "mcse", "ess", "rhat")}
    assert "observable  " in run("sample", *DIGITS, *POINT, *as_options(SAMPLED)).out


def test_train_gives_means_over_replicas_of_the_library(run) -> None:
    from proplim.datasets import load_dataset
    from proplim.dynamics import DynamicsSettings, train

    dataset = load_dataset("digits", 20, classes=(3, 8))
    expected = train(dataset, "erf", width=10, settings=DynamicsSettings(**TRAINED)).squeeze("optimizer")
    point = ("--n-train", "20", "--width", "10")
    answer = run("train", *DIGITS, *point, *as_options(TRAINED), "--json")
    assert answer.code == 0, answer.err
    got = json.loads(answer.out)
    assert got["times"] == [pytest.approx(1e-3), pytest.approx(5.0)]
    (rows,) = got["optimizers"].values()
    error = expected.mse.sel(split="test")
    found = rows["mse [test]"]
    assert found["replicas"] == 3
    assert found["start"] == pytest.approx(float(error.isel(time=0).mean()), rel=1e-12)
    assert found["end"] == pytest.approx(float(error.isel(time=-1).mean()), rel=1e-12)
    assert found["error"] == pytest.approx(float(error.isel(time=-1).std(ddof=1)) / 3**0.5, rel=1e-12)
    assert rows["inversion_time [train]"]["start"] is None, "it has no time"
    assert "error  replicas" in run("train", *DIGITS, *point, *as_options(TRAINED)).out


def test_three_classes_have_rows_for_pairs_and_outputs(run) -> None:
    """Labels are the classes, also where one of them is called 1."""
    digits = ("--dataset", "digits", "--classes", "3", "1", "5", "--n-train", "12", "--width", "6", "--json")
    sampled = run("sample", *digits, "--temperature", "0.5", *as_options(SAMPLED))
    assert sampled.code == 0, sampled.err
    rows = json.loads(sampled.out)["observables"]
    trained = run("train", *digits, *as_options(TRAINED))
    assert trained.code == 0, trained.err
    (trained_rows,) = json.loads(trained.out)["optimizers"].values()
    for name in (
        "centroid_distance_sq [train, 3-1]",
        "centroid_distance_sq [test, 1-5]",
        "gyration_radius_sq [train, class 1]",
        "signal_variance [output 2]",
        "readout_covariance [output 0, 2]",
    ):
        assert rows[name]["mean"] is not None
        assert trained_rows[name]["end"] is not None


@pytest.mark.parametrize("command", ["sample", "train"])
def test_settings_of_a_point_are_judged_in_a_line(run, command: str) -> None:
    point = POINT if command == "sample" else POINT[:4]
    for word, text in (
        ("chain=3", "unknown key; allowed here:"),
        ("chains", "KEY=VALUE"),
        ("a=[", "a value"),
    ):
        assert text in refused(run(command, *DIGITS, *point, "--set", word))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--dataset", "digit", *POINT), "did you mean 'digits'"),
        (("--dataset", "digits", *POINT), "--classes"),
        (("--dataset", "gaussian", *POINT), "--n-features"),
        (("--dataset", "digits", "--classes", "3", "3", *POINT), "two different classes"),
        (("--dataset", "nowhere.npz", *POINT), "nowhere.npz"),
        ((*DIGITS, *POINT, "--temperature", "-1"), "temperature"),
        ((*DIGITS, *POINT, "--temperature", "nan"), "temperature"),
        ((*DIGITS, *POINT, "--activation", "sine"), "erf"),
        ((*DIGITS, *POINT, "--approximation", "cav"), "cavity"),
        ((*DIGITS, *POINT, "--n-train", "5000"), "n_train"),
        ((*DIGITS, *POINT, "--n-train", "1"), "--n-train"),
        ((*DIGITS, *POINT, "--width", "ten"), "--width"),
    ],
)
def test_theory_refuses_in_one_line(run, arguments: tuple, text: str) -> None:
    assert text in refused(run("theory", *arguments))


def test_theory_says_why_an_approximation_has_no_numbers(run) -> None:
    said = run("theory", *DIGITS, *POINT, "--approximation", "exact", "--approximation", "proportional")
    assert "exact: only the linear network" in said.err
    assert "proportional:" not in said.err


def test_theory_of_one_point_is_fast() -> None:
    """CPU seconds, start-up included, so that a busy machine does not decide (target: 3 s)."""
    before = os.times()
    code = "import sys; from proplim.cli import main; main(sys.argv[1:])"
    point = ("--n-train", "200", "--width", "100", "--temperature", "0.1")
    done = subprocess.run(
        [sys.executable, "-c", code, "theory", *DIGITS, *point], capture_output=True, timeout=120
    )
    after = os.times()
    assert done.returncode == 0
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    assert spent < 4.0, f"{spent:.1f} s"


def test_theory_imports_neither_jax_nor_matplotlib() -> None:
    code = (
        "import sys; from proplim.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('jax', 'matplotlib', 'sklearn', 'snakemake', 'plotly') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "theory", *DIGITS, *POINT], capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip().endswith("[]"), done.stdout[-200:] + done.stderr


# --- query


def test_query_prints_the_cube_s_number(run, study: Path) -> None:
    words = ("--var", "centroid_distance_sq", "width=60", "temperature=0.1", "split=train", "n_train=120")
    with xr.open_dataset(study / "theory.nc") as cube:
        part = cube.centroid_distance_sq.sel(n_train=120, width=60, split="train")
        expected = (
            part.sel(temperature=0.1, method="nearest").squeeze().sel(approximation="proportional").item()
        )
    table = run("query", study / "theory.nc", *words)
    assert f"{expected:.6g}" in table.out
    assert "temperature=0.1" in table.out
    rows = list(csv.DictReader(io.StringIO(run("query", study / "theory.nc", *words, "--csv").out)))
    of = {r["approximation"]: float(r["centroid_distance_sq"]) for r in rows}
    assert of["proportional"] == expected
    as_json = json.loads(run("query", study / "theory.nc", *words, "--json").out)
    assert {r["approximation"]: r["centroid_distance_sq"] for r in as_json} == of


def test_query_lists_axes_and_variables(run, study: Path) -> None:
    text = run("query", study / "sampling.nc", "--list").out
    for word in ("temperature", "0.01, 0.1, 1", "readout_variance", "posterior second moment"):
        assert word in text
    listed = json.loads(run("query", study / "theory.nc", "--list", "--json").out)
    assert listed["axes"]["n_train"] == [60, 120]
    assert "split" in listed["variables"]["mse"]["dims"]


def test_query_limits_a_long_table_and_says_so(run, study: Path) -> None:
    words = (study / "theory.nc", "--var", "mse", "split=train", "approximation=proportional")
    short = run("query", *words, "--limit", "5")
    assert len(short.out.strip().split("\n")) == 5 + 2
    assert "more rows" in short.err
    assert len(run("query", *words, "--limit", "0").out.strip().split("\n")) == 2 * 21 + 2


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--var", "msee"), "did you mean 'mse'"),
        (("width",), "axis=value"),
        (("depth=3",), "depth"),
        (("widht=60",), "did you mean 'width'"),
        (("temperature=0.3", "--exact"), "temperature"),
        (("temperature=hot",), "a number"),
        (("split=training",), "train, test"),
        (("--csv", "--json"), "one of the two"),
    ],
)
def test_query_refuses_in_one_line(run, study: Path, arguments: tuple, text: str) -> None:
    assert text in refused(run("query", study / "theory.nc", *arguments))


def test_query_of_no_cube(run, tmp_path: Path) -> None:
    assert "exists" in refused(run("query", tmp_path / "no.nc"))
    (tmp_path / "bad.nc").write_bytes(b"CDF?")
    assert "readable" in refused(run("query", tmp_path / "bad.nc"))


def test_a_closed_pipe_is_no_error(study: Path) -> None:
    code = "import sys; from proplim.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, "query", str(study / "theory.nc"), "--csv"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    _, err = process.communicate(timeout=120)
    assert err == b""


def test_a_pipe_closed_before_the_last_line_is_no_error(study: Path) -> None:
    """A short table is written when the process ends; that, too, may find nobody who reads it."""
    code = "import sys; from proplim.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, "query", str(study / "theory.nc"), "--list"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate(timeout=120)
    assert err == b""


# --- compare, figures, explore


def test_compare_summarises_and_names_the_worst(run, study: Path) -> None:
    text = run("compare", study, "split=train").out
    assert "proportional" in text
    assert "rms_z" in text
    found = json.loads(run("compare", study, "--json", "--worst", "3", "--var", "readout_variance").out)
    assert {row["variable"] for row in found["summary"]} == {"readout_variance"}
    assert [row["approximation"] for row in found["worst"]] == ["infinite_width"] * 3 + ["proportional"] * 3
    rows = list(csv.DictReader(io.StringIO(run("compare", study, "--csv", "--var", "readout_variance").out)))
    assert len(rows) == 2 * 2 * 3  # approximation, n_train, temperature
    worst = max(rows, key=lambda r: abs(float(r["z"])))
    assert float(worst["z"]) == pytest.approx(max((w["z"] for w in found["worst"]), key=abs))


def test_compare_and_figures_refuse_folders_without_cubes(run, study: Path, tmp_path: Path) -> None:
    assert "theory.nc" in refused(run("compare", tmp_path))
    assert "folder" in refused(run("figures", tmp_path / "absent"))
    assert "choose from bridge, class_distance" in refused(
        run("figures", study, "--only", "nothing", "-o", tmp_path)
    )
    assert "did you mean 'parity'" in refused(run("figures", study, "--only", "parit", "-o", tmp_path))
    assert "svg" in refused(run("figures", study, "--format", "gif", "-o", tmp_path))
    part = ("--only", "test_error", "--select", "split=train")
    assert "holds what test_error shows" in refused(run("figures", study, *part, "-o", tmp_path))
    assert "statistic" in refused(run("figures", study, "--select", "statistic=mean", "-o", tmp_path))
    assert "style" in refused(run("figures", study, "--style", "no-such", "-o", tmp_path))
    assert "positive" in refused(run("figures", study, "--width", "-2", "-o", tmp_path))


def test_figures_redraws_what_is_asked_for(run, study: Path, tmp_path: Path) -> None:
    listed = run("figures", study, "--list").out
    assert "class_distance" in listed
    answer = run(
        "figures", study, "-o", tmp_path, "--only", "test_error", "--format", "svg",
        "--width", "3.4", "--font-size", "7", "--select", "n_train=60",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    (path,) = [Path(line) for line in answer.out.split()]
    assert path == tmp_path / "test_error__digits-3v8__erf.svg"
    head = path.read_text()
    assert 'width="244.8pt"' in head  # 3.4 inches
    assert "α" in head or "alpha" in head or "P=60" in head.replace(" ", "")


def test_figures_show_as_many_slices_as_asked_for(run, study: Path, tmp_path: Path) -> None:
    drawn = {}
    for slices in ("1", "6"):
        only = ("--only", "class_distance", "--format", "svg", "--slices", slices)
        answer = run("figures", study, "-o", tmp_path / slices, *only)
        assert answer.code == 0, answer.err
        drawn[slices] = "".join(Path(line).read_text() for line in answer.out.split()).count("α")
    assert 0 < drawn["1"] < drawn["6"]
    assert "figures.slices" in refused(run("figures", study, "--slices", "0", "-o", tmp_path))


def test_explore_writes_the_page(run, study: Path, tmp_path: Path) -> None:
    answer = run("explore", study, "-o", tmp_path / "page.html")
    assert answer.out.strip() == str(tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size > 10**6


# --- status


@pytest.fixture
def running(tmp_path: Path) -> Path:
    """A study's folder in which one theory job is done and another stage has not begun."""
    (tmp_path / "study.yaml").write_text(STUDY)
    return tmp_path


def _results(folder: Path) -> list[Path]:
    from proplim.config import load_config
    from proplim.study import plan_as_started

    plan = plan_as_started(load_config(folder / "study.yaml", data=False))
    return [folder / plan.result(job) for job in plan.jobs["theory"].values()]


def _status(run, folder: Path) -> dict:
    answer = run("status", folder / "study.yaml", "--directory", folder, "--json")
    assert answer.code == 0, answer.err
    return json.loads(answer.out)


def test_status_follows_a_study_from_waiting_to_done(run, running: Path) -> None:
    assert _status(run, running)["stages"]["theory"]["points"]["waiting"] == 4
    (first, *others) = _results(running)
    mark = (
        running
        / ".snakemake"
        / "incomplete"
        / base64.b64encode(str(first.relative_to(running)).encode()).decode()
    )
    mark.parent.mkdir(parents=True)
    mark.touch()
    assert _status(run, running)["stages"]["theory"]["points"]["running"] == 0  # a mark without a lock is old
    lock = running / ".snakemake" / "locks" / "0.output.lock"
    lock.parent.mkdir()
    lock.touch()
    assert _status(run, running)["stages"]["theory"]["points"]["running"] > 0
    mark.unlink()
    lock.unlink()
    for path in (first, *others):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (running / "results" / "small" / "theory.nc").touch()
    done = _status(run, running)["stages"]["theory"]
    assert done["points"]["done"] == 4
    assert done["cube"] == "done"
    assert "done" in run("status", running / "study.yaml", "--directory", running).out


def test_status_names_what_failed_in_the_latest_run(run, running: Path) -> None:
    first = _results(running)[0].relative_to(running)
    log = running / ".snakemake" / "log" / "2030-01-01T000000.000000.snakemake.log"
    log.parent.mkdir(parents=True)
    log.write_text(f"Error in rule solve_theory:\n    jobid: 1\n    input: a.nc\n    output: {first}\n")
    assert _status(run, running)["stages"]["theory"]["points"]["failed"] > 0
    text = run("status", running / "study.yaml", "--directory", running, "--verbose").out
    assert f"failed: {first}" in text
    time.sleep(0.01)
    later = log.with_name("2030-01-02T000000.000000.snakemake.log")
    later.write_text("Nothing to be done\n")
    assert _status(run, running)["stages"]["theory"]["points"]["failed"] == 0


def test_status_refuses(run, running: Path) -> None:
    assert "folder" in refused(run("status", running / "study.yaml", "--directory", running / "absent"))
    assert "absent.yaml" in refused(run("status", running / "absent.yaml"))
