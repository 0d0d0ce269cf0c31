"""The typer application: names and order of the subcommands."""

from __future__ import annotations

import typer

from proplim.cli import (
    _check,
    _collect,
    _compare,
    _explore,
    _figures,
    _query,
    _run,
    _sample,
    _status,
    _theory,
    _train,
)
from proplim.cli._source_options import SourceCommand

app = typer.Typer(
    name="proplim",
    help="Feature learning in Bayesian one-hidden-layer networks: theory, posterior sampling, dynamics.",
    epilog="Every command has examples: proplim theory --help",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rich takes a quarter of a second to import
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from proplim import __version__

        typer.echo(f"proplim {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    pass


_ANY_OPTIONS = {"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}
"""Options after the first argument are those of another command."""

app.command("init", epilog=_run.INIT_EXAMPLES)(_run.init)
app.command("check", epilog=_check.EXAMPLES)(_check.check)
app.command("run", epilog=_run.RUN_EXAMPLES, context_settings=_ANY_OPTIONS)(_run.run)
app.command("status", epilog=_status.EXAMPLES)(_status.status)
app.command("collect", epilog=_collect.EXAMPLES)(_collect.collect)
app.command("theory", epilog=_theory.EXAMPLES, cls=SourceCommand)(_theory.theory)
app.command("sample", epilog=_sample.EXAMPLES, cls=SourceCommand)(_sample.sample)
app.command("train", epilog=_train.EXAMPLES, cls=SourceCommand)(_train.train)
app.command("query", epilog=_query.EXAMPLES)(_query.query)
app.command("compare", epilog=_compare.EXAMPLES)(_compare.compare)
app.command("figures", epilog=_figures.EXAMPLES)(_figures.figures)
app.command("explore", epilog=_explore.EXAMPLES)(_explore.explore)
