"""proplim run and proplim init: a study from the installed package, without a checkout."""

# ruff: noqa: B008  (typer reads options from defaults)

from __future__ import annotations

import re
import signal
import subprocess
import sys
from importlib import resources
from pathlib import Path

import typer

from proplim.errors import InvalidInput

RUN_EXAMPLES = """\b
Examples:
  proplim run my.yaml --cores 2
  proplim run my.yaml --cores 8 --directory /scratch/me/study
  proplim run my.yaml --cores 2 -n        (what would be computed)
  proplim run my.yaml --profile slurm     (on a SLURM cluster; needs snakemake-executor-plugin-slurm)
"""
INIT_EXAMPLES = "Example: proplim init my-study"

_CHOOSES_CORES = ("--cores", "-c", "--jobs", "-j", "--profile", "--executor", "-e")
_NAME = r"[A-Za-z0-9][A-Za-z0-9_+.-]*"


def run(
    context: typer.Context,
    configuration: Path = typer.Argument(..., help="Configuration of the study.", metavar="FILE"),
) -> None:
    """Compute a study: cubes, figures and a report.

    Options after FILE are those of snakemake; without --cores all cores are used. Results go to results/<study>/ in the
    working directory. Stopped or failed, the same command goes on from there.
    """
    from proplim.study import snakefile

    if str(configuration).startswith("-"):
        raise InvalidInput(
            "FILE", str(configuration), "the configuration first: proplim run my.yaml [options]"
        )
    if not configuration.is_file():
        raise InvalidInput("FILE", str(configuration), "a configuration that exists; proplim init writes one")
    options = list(_shipped_profiles(context.args, snakefile().parent))
    if not any(option.startswith(_CHOOSES_CORES) for option in options):
        options += ["--cores", "all"]
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile())]
    command += ["--configfile", str(configuration.resolve()), *options]
    raise typer.Exit(_until_it_ends(command))


def _until_it_ends(command: list[str]) -> int:
    """Run a command that stops by itself when the terminal interrupts both of us."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return subprocess.run(command, check=False, preexec_fn=_interruptible).returncode
    finally:
        signal.signal(signal.SIGINT, before)


def _interruptible() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _shipped_profiles(options: list[str], home: Path) -> list[str]:
    """Options with the names of profiles that the workflow brings as their paths."""
    found = {p.parent.name: p.parent for p in home.glob("**/profiles/*/config.yaml")}
    return [
        str(found[word]) if before == "--profile" and word in found else word
        for before, word in zip(["", *options], options, strict=False)
    ]


def init(
    study: str = typer.Argument(..., help="Name of the study; STUDY.yaml is written.", metavar="STUDY"),
) -> None:
    """Write a commented configuration, which runs as it is."""
    path = Path(study if study.endswith((".yaml", ".yml")) else f"{study}.yaml")
    if not re.fullmatch(_NAME, path.stem):
        raise InvalidInput("STUDY", path.stem, "letters, digits, _ + - and single dots inside")
    text = resources.files("proplim.cli").joinpath("study.yaml").read_text(encoding="utf-8")
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text.replace("study: my-study", f"study: {path.stem}"))
    except FileExistsError:
        raise InvalidInput("STUDY", str(path), "a file that does not exist yet") from None
    print(f"{path} is written. Next: proplim check {path}, then proplim run {path}")
