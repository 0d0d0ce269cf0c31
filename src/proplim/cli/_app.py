"""The typer application: names and order of the subcommands."""

from __future__ import annotations

import typer

from proplim.cli import _check, _compare, _explore, _figures, _query, _status, _theory
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


app.command("check", epilog=_check.EXAMPLES)(_check.check)
app.command("theory", epilog=_theory.EXAMPLES, cls=SourceCommand)(_theory.theory)
app.command("query", epilog=_query.EXAMPLES)(_query.query)
app.command("compare", epilog=_compare.EXAMPLES)(_compare.compare)
app.command("figures", epilog=_figures.EXAMPLES)(_figures.figures)
app.command("explore", epilog=_explore.EXAMPLES)(_explore.explore)
app.command("status", epilog=_status.EXAMPLES)(_status.status)
