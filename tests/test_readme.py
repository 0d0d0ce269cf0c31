"""What README.md and the pages of docs/ tell a user to write works as it stands there.

Python blocks run, in order, in one namespace a page; `proplim` commands are called; YAML blocks that are
configurations are valid. They run in a folder where config.yaml and results/digits are as after `make run`,
with the name and the axes of the default study but fewer and shorter sampled points.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from _documents import ROOT, arguments, blocks, commands, name_of, pages, titled
from proplim.activations import ACTIVATIONS
from proplim.datasets import SOURCES
from proplim.dynamics.optimizers import OPTIMIZERS
from proplim.figures import FIGURES
from proplim.observables import OBSERVABLES
from proplim.theory import APPROXIMATIONS

pytestmark = pytest.mark.slow

PYTHON_PAGES = [p for p in pages() if blocks(p, "python")]
COMMAND_PAGES = [p for p in pages() if commands(p)]
YAML_PAGES = [p for p in pages() if blocks(p, "yaml")]
MUST_RUN = {
    "README.md",
    "docs/quickstart.md",
    "docs/activations.md",
    "docs/adding_dataset.md",
    "docs/adding_observable.md",
    "docs/api/index.md",
}
"""Pages that promise a working example."""
NAN_IS_AN_ANSWER = {"docs/dynamics.md"}
"""Pages whose example may find that D does not turn within the short times of this study."""


def small(default: dict) -> dict:
    """The default study, with its name and axes, on fewer and shorter sampled and trained points."""
    return {
        **default,
        # The condensed theory, which no page asks for, would take minutes.
        "theory": {"approximations": ["infinite_width", "proportional"]},
        "sampling": {
            "grid": {"n_train": [60], "temperature": [0.1, 1.0]},
            "chains": 2,
            "warmup": 60,
            "min_draws": 100,
            "max_draws": 200,
            "target_ess": 20,
            "max_rhat": 1.5,
        },
        "dynamics": {"grid": {"n_train": [60]}, "replicas": 2, "t_max": 3.0, "n_times": 15},
    }


@pytest.fixture(scope="session")
def finished_study(tmp_path_factory) -> Path:
    """Folder with config.yaml and results/digits/*.nc, computed by the functions that the jobs call."""
    from proplim.config import parse_config
    from proplim.study import collect_cube, plan_study, prepare_draw, run_job, save_plan

    folder = tmp_path_factory.mktemp("documents")
    config = small(yaml.safe_load((ROOT / "config.yaml").read_text()))
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        plan = plan_study(parse_config(config))
        save_plan(plan)
        for file, draw in plan.draws.items():
            prepare_draw(plan, draw, file)
        for stage, jobs in plan.jobs.items():
            for job in jobs.values():
                run_job(plan, job, plan.result(job))
            collect_cube(plan, stage, plan.results(stage), f"{plan.root}/{stage}.nc")
    return folder


@pytest.fixture
def workplace(finished_study, tmp_path, monkeypatch) -> Path:
    """A working directory after `make run`, with the files of all pages; what they register is forgotten."""
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_study / "results", "results")
    shutil.copy(finished_study / "config.yaml", "config.yaml")
    for page in pages():
        for name, text in titled(page).items():
            (tmp_path / name).write_text(text)
    _write_flowers(tmp_path / "flowers.csv")
    with ExitStack() as registries:
        for registry in (ACTIVATIONS, SOURCES, APPROXIMATIONS, OBSERVABLES, OPTIMIZERS, FIGURES):
            registries.enter_context(registry.temporary())
        yield tmp_path


def _write_flowers(path: Path) -> None:
    """The table of which docs/adding_dataset.md shows the first lines: scikit-learn's irises."""
    from sklearn.datasets import load_iris

    irises = load_iris(as_frame=True)
    table = irises.data.assign(species=irises.target_names[irises.target])
    table.to_csv(path, index=False)


def test_pages_that_promise_an_example_have_one():
    assert {name_of(p) for p in PYTHON_PAGES} >= MUST_RUN


@pytest.mark.parametrize("page", PYTHON_PAGES, ids=name_of)
def test_python_examples_run(page, workplace, capsys):
    namespace: dict = {"__name__": "__main__"}
    for block in blocks(page, "python"):
        code = "\n" * (block.line - 1) + block.text  # so that a traceback names the page's own line
        exec(compile(code, str(page), "exec"), namespace)
    printed = capsys.readouterr().out.lower().split()
    assert name_of(page) in NAN_IS_AN_ANSWER or "nan" not in printed


@pytest.mark.parametrize("page", COMMAND_PAGES, ids=name_of)
def test_commands_run(page, workplace, capsys):
    from proplim.cli import main

    _write_named_configurations(page, workplace)
    for command in commands(page):
        with pytest.raises(SystemExit) as stopped:
            main(arguments(command))
        assert stopped.value.code in (0, None), (command, capsys.readouterr().err)


def _write_named_configurations(page: Path, folder: Path) -> None:
    """Save a page's first whole configuration as my.yaml, the name under which the pages call it."""
    for block in blocks(page, "yaml"):
        if "study" in (content := yaml.safe_load(block.text)):
            (folder / "my.yaml").write_text(yaml.safe_dump(content))
            return
    shutil.copy(folder / "config.yaml", folder / "my.yaml")


@pytest.mark.parametrize("page", YAML_PAGES, ids=name_of)
def test_configurations_are_valid(page, workplace):
    from proplim.config import parse_config

    whole = [content for b in blocks(page, "yaml") if "study" in (content := yaml.safe_load(b.text))]
    for content in whole:
        parse_config(content, folders=[workplace])
