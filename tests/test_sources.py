"""A source of data that a user's file registers is as good as one of the package; the file is that of the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from _documents import ROOT, blocks, titled
from proplim.cli import main
from proplim.config import ConfigErrors, check_data, json_schema, parse_config, run_plugin
from proplim.config._reference import reference_page
from proplim.datasets import SOURCES, features_of, load_dataset
from proplim.errors import InvalidInput
from proplim.study import plan_study

PAGE = ROOT / "docs" / "adding_dataset.md"
POINT = ("--n-train", "20", "--width", "10", "--temperature", "0.1")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A working directory with the page's file and its study; what is registered is forgotten."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shells.py").write_text(titled(PAGE)["shells.py"])
    (study,) = (b.text for b in blocks(PAGE, "yaml") if "plugins" in b.text)
    (tmp_path / "my.yaml").write_text(study)
    with SOURCES.temporary():
        yield tmp_path


def study(**changes) -> dict:
    return {**yaml.safe_load(Path("my.yaml").read_text()), **changes}


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    out, err = capsys.readouterr()
    return int(stopped.value.code or 0), out, err


def plan_names(content: dict) -> dict[str, list[str]]:
    plan = plan_study(parse_config(content))
    return {stage: list(jobs) for stage, jobs in plan.jobs.items()}


def test_schema_reference_and_messages_know_it(folder):
    config = parse_config(study())
    assert config.datasets[0].ratio == 1.5
    assert config.datasets[0].n_features == 12
    assert json_schema()["$defs"]["ShellsConfig"]["properties"]["ratio"]["exclusiveMaximum"] == 100
    assert "| `ratio` | `2.0` | number > 1, < 100 | radius of class +1" in reference_page()
    wrong = [{"name": "d", "source": "shells", "ratio": 0.5, "ratoi": 2}, {"name": "e", "source": "shels"}]
    with pytest.raises(ConfigErrors) as caught:
        parse_config(study(datasets=wrong))
    ratio, unknown, source = caught.value.problems
    assert ratio.startswith("datasets[0].ratio: 0.5 is not allowed")
    assert "did you mean 'ratio'" in unknown
    assert "did you mean 'shells'" in source


def test_the_number_of_features_is_known_without_the_data(folder):
    run_plugin(folder / "shells.py")
    entry = {"name": "d", "source": "shells", "n_features": 7}
    assert features_of(entry) == 7
    assert features_of({"name": "d", "source": "digits", "classes": [3, 8]}) == 64
    unknown = [{"name": "d", "source": "file", "path": "x.npz"}, {"source": "no such"}, {"source": "digits"}]
    assert [features_of(e) for e in unknown] == [None] * 3


def test_draws_are_those_of_any_pool(folder):
    run_plugin(folder / "shells.py")
    small, large = (load_dataset("shells", n, n_test=30, standardize=False) for n in (20, 40))
    assert small.y_train.sum() == large.y_train.sum() == small.y_test.sum() == 0
    np.testing.assert_array_equal(small.x_test, large.x_test)
    np.testing.assert_array_equal(large.x_train[:20], small.x_train)
    lengths = np.linalg.norm(large.x_train, axis=1)
    np.testing.assert_allclose(lengths, np.where(large.y_train > 0, 2.0, 1.0))
    other = load_dataset("shells", 20, n_test=30, standardize=False, ratio=3.0)
    assert other.identity != small.identity
    with pytest.raises(InvalidInput, match="ratio: 'x'"):
        load_dataset("shells", 20, ratio="x")


def test_check_counts_its_inputs_and_names_the_file_that_it_executes(folder, capsys):
    code, out, err = run(capsys, "check", "my.yaml")
    assert code == 0
    assert "36 grid points" in out
    assert err == f"executing {folder / 'shells.py'}, a plugin that my.yaml names\n"
    (folder / "my.yaml").write_text(yaml.safe_dump(study(grid={**study()["grid"], "n_train": [961]})))
    code, _, err = run(capsys, "check", "my.yaml")
    assert code == 2
    assert (
        "grid.n_train: 961 is not allowed; data set 'near' has inputs for at most 960 beside n_test = 40"
        in err
    )
    assert run(capsys, "status", "my.yaml")[2].startswith(f"executing {folder / 'shells.py'}")


def test_the_command_has_its_options(folder, capsys):
    code, out, err = run(
        capsys, "theory", "--plugin", "shells.py", "--dataset", "shells", "--ratio", "3", *POINT
    )
    assert code == 0, err
    assert "n_features=12" in out
    assert "--ratio X" in run(capsys, "theory", "--plugin", "shells.py", "--help")[1]
    _, _, err = run(capsys, "theory", "--plugin", "shells.py", "--dataset", "shells", "--ratio", "1", *POINT)
    assert err == "proplim: --ratio: 1 is not allowed; must be greater than 1\n"


def test_an_option_of_another_source_is_refused(capsys):
    _, _, err = run(capsys, "theory", "--dataset", "digits", "--classes", "3", "8", "--noise", "1", *POINT)
    assert err.startswith("proplim: --noise: '1' is not allowed; digits has --n-test")


def test_results_follow_what_the_file_says_and_not_where_it_lies(folder):
    names = plan_names(study())
    (folder / "elsewhere").mkdir()
    (folder / "shells.py").rename(folder / "elsewhere" / "moved.py")
    with SOURCES.temporary():
        SOURCES._members.pop("shells")
        SOURCES._origins.pop("shells")
        assert plan_names(study(plugins=["elsewhere/moved.py"])) == names
    text = (folder / "elsewhere" / "moved.py").read_text()
    (folder / "shells.py").write_text(text.replace("default_rng(1)", "default_rng(2)"))
    assert plan_names(study()) != names


@pytest.mark.parametrize("source", ["file", "mnist"])
def test_jobs_follow_the_content_of_data_files_and_not_their_path(folder, source):
    """Moved, the same jobs; one number changed, others; and every file is one that the workflow tracks."""
    from test_datasets import make_mnist

    def content(where: str) -> dict:
        keys = {"file": {"path": f"{where}/d.npz"}, "mnist": {"classes": [3, 8], "root": where}}[source]
        entry = {"name": "d", "source": source, "n_test": 2, **keys}
        return study(plugins=[], datasets=[entry], grid={**study()["grid"], "n_train": [4]})

    def write(shift: float) -> None:
        rng = np.random.default_rng(0)
        np.savez("one/d.npz", x=rng.standard_normal((40, 3)) + shift, y=np.where(np.arange(40) % 2, 1, -1))
        make_mnist(Path("one"), "t10k" if shift == 0 else "train", 40)

    Path("one").mkdir()
    write(0.0)
    names = plan_names(content("one"))
    Path("one").rename("two")
    assert plan_names(content("two")) == names
    plan = plan_study(parse_config(content("two")))
    tracked = {Path(file) for file in plan.source_files(plan.draws)}
    assert {file.parent for file in tracked} == {Path("two").resolve()}
    assert len(tracked) == {"file": 1, "mnist": 2}[source]
    Path("two").rename("one")
    write(1.0)
    assert plan_names(content("one")) != names


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import absent_module", "ModuleNotFoundError: No module named 'absent_module'"),
        ("def f(:", "SyntaxError"),
        ("raise ValueError('two\\nlines')", "ValueError: two lines"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        (
            "from proplim.datasets import *\nregister_source(Pool(name='digits', load=None))",
            "proplim's own table has this source",
        ),
        (
            "from proplim.datasets import *\nregister_source(Pool(name='x', load=None, settings=dict))",
            "a subclass of SourceSettings",
        ),
    ],
)
def test_a_plugin_that_fails_is_one_line(folder, text, reason):
    (folder / "bad.py").write_text(text)
    with pytest.raises(ConfigErrors) as caught:
        parse_config(study(plugins=["bad.py", "shells.py"]))
    (line,) = caught.value.problems
    assert line.startswith("plugins[0]: 'bad.py' is not allowed; a file that loads; it fails with ")
    assert reason in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("load", "reason"),
    [
        ("lambda s: 1 / 0", "datasets[0].source: 'odd' fails with ZeroDivisionError"),
        ("lambda s: (np.ones((4, 2)), np.ones(3))", "found shapes (4, 2) and (3,)"),
        ("lambda s: (np.ones((4, 2)), np.arange(4))", "labels -1 and +1"),
        ("lambda s: (np.ones((40, 2)), np.ones(40))", "class -1 has no inputs"),
    ],
)
def test_a_source_that_gives_no_data_is_one_line_of_check(folder, load, reason):
    register = f"register_source(Pool(name='odd', load={load}))"
    (folder / "odd.py").write_text(f"import numpy as np\nfrom proplim.datasets import *\n{register}\n")
    config = parse_config(study(plugins=["odd.py"], datasets=[{"name": "d", "source": "odd"}]))
    with pytest.raises(ConfigErrors) as caught:
        check_data(config)
    (line,) = caught.value.problems
    assert reason in line
