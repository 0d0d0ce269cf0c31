"""The `proplim` command. Every subcommand has its own file and imports what it needs only when it runs."""

from __future__ import annotations

import os
import sys

from proplim.cli._app import app

__all__ = ["app", "main"]


def main(arguments: list[str] | None = None) -> None:
    """Run the command: what goes wrong is one line on standard error and exit code 2, never a traceback."""
    import typer

    from proplim.errors import ProplimError

    try:
        code = app(arguments, standalone_mode=False) or 0
        sys.stdout.flush()  # here, where a closed pipe is still caught
        sys.exit(code)
    except _click_exception() as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message())  # type: ignore[attr-defined]
            sys.exit(0)
        _fail(_usage(error))
    except ProplimError as error:
        _fail(str(error))
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except BrokenPipeError:
        # The reader of a pipe has seen enough (| head): nothing is wrong, and nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        _fail(f"{error.filename or 'file'}: {error.strerror or error}")


def _click_exception() -> type[Exception]:
    """Base class of usage errors: click's, or that of the copy of click inside newer typer."""
    import typer

    return next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


def _usage(error: object) -> str:
    text = " ".join(error.format_message().split())  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    return f"{text} (see {context.command_path} --help)" if context is not None else text


def _fail(text: str) -> None:
    print("proplim:", text.replace("\n", "; "), file=sys.stderr)
    sys.exit(2)
