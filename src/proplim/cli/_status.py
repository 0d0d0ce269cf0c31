"""proplim status: what of a study is done, running, failed."""

# ruff: noqa: B008  (typer reads options from defaults)

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import re
from pathlib import Path

import typer

EXAMPLES = """\b
Examples:
  proplim status config.yaml
  proplim status my.yaml --directory /scratch/me/study --verbose
"""
STATES = ("done", "running", "failed", "waiting")


def status(
    configuration: Path = typer.Argument(..., help="Configuration of the study.", metavar="FILE"),
    directory: Path = typer.Option(
        Path(), help="Where the study runs (snakemake --directory).", metavar="FOLDER"
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Name the files that are running or failed."),
) -> None:
    """Say what is done, running, failed.

    Counts grid points by stage, as the study's folder shows them now; nothing is started or changed. Sampled
    points count as done one by one, all others when their job is done. Python files that `plugins` of the
    configuration names are executed, and named before they are.
    """
    from proplim.cli._output import say_plugins
    from proplim.config import load_config
    from proplim.errors import InvalidInput
    from proplim.study import kept_points, plan_as_started

    say_plugins(configuration)
    config = load_config(configuration, data=False)
    if not directory.is_dir():
        raise InvalidInput("--directory", str(directory), "a folder that exists")
    configured = configuration.resolve().parent
    with contextlib.chdir(directory):
        plan = plan_as_started(config, [Path.cwd(), configured])
        started, failing = files_in_progress(Path(".snakemake")), failed_files(Path(".snakemake"))
        rows, named = [], []
        for stage, jobs in plan.jobs.items():
            points = dict.fromkeys(STATES, 0)
            for job in jobs.values():
                file = plan.result(job)
                state = state_of(file, started, failing)
                kept = kept_points(plan, job) if stage == "sampling" and state != "done" else 0
                points["done"] += kept
                points[state] += job.n_points - kept
                if state in ("running", "failed"):
                    named.append((state, file))
            cube = f"{plan.root}/{stage}.nc"
            rows.append((stage, points, len(jobs), state_of(cube, started, failing)))
        figures = state_of(f"{plan.root}/figures", started, failing) if config.figures.enabled else "off"
    if as_json:
        stages = {s: {"points": p, "jobs": n, "cube": c} for s, p, n, c in rows}
        print(json.dumps({"study": config.study, "stages": stages, "figures": figures}, indent=1))
        return
    from proplim.cli._output import print_table

    print(f"study {config.study} in {directory.resolve() / plan.root}\n")
    print_table(
        ["stage", "points", *STATES, "jobs", "cube"],
        [[s, sum(p.values()), *(p[k] for k in STATES), n, c] for s, p, n, c in rows],
    )
    print(f"\nfigures: {figures}")
    if named and verbose:
        print("\n".join(f"{state}: {file}" for state, file in named))
    elif any(state == "failed" for state, _ in named):
        print("some jobs have failed: --verbose names them, and running snakemake again tries them again")


def state_of(file: str, started: set[str], failing: set[str]) -> str:
    """Where one file of a study stands. A started file counts as running even if an older one is there."""
    if file in started:
        return "running"
    if Path(file).exists():
        return "done"
    return "failed" if file in failing else "waiting"


def files_in_progress(snakemake: Path) -> set[str]:
    """Files that a run which holds the folder's lock has begun.

    Snakemake marks a file it begins by an empty file whose name is the path in base64, and keeps a lock as
    long as it runs. Marks without a lock are left over from a run that was killed.
    """
    if not any((snakemake / "locks").glob("*.lock")):
        return set()
    return {name for mark in (snakemake / "incomplete").rglob("*") if (name := _decoded(mark.name))}


def _decoded(name: str) -> str:
    try:
        return base64.b64decode(name, altchars=b"-_", validate=False).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def failed_files(snakemake: Path) -> set[str]:
    """Outputs of jobs that the latest run reports as failed."""
    logs = sorted((snakemake / "log").glob("*.snakemake.log"))
    if not logs:
        return set()
    text = logs[-1].read_text(encoding="utf-8", errors="replace")
    found: set[str] = set()
    for block in re.findall(r"^Error in rule .*?^ +output: ([^\n]*)", text, flags=re.M | re.S):
        found.update(part.strip() for part in block.split(","))
    return found
