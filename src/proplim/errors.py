"""Errors a user can mend: each names the key, the value found and what is allowed."""

from __future__ import annotations


class ProplimError(Exception):
    """Base class of every error that proplim raises on purpose."""


class InvalidInput(ProplimError, ValueError):
    """A value given by the user is outside what is allowed.

    Parameters
    ----------
    key : str
        Name of the argument or dotted path of the configuration key.
    value : object
        What was found there.
    allowed : str
        What would have been accepted, in words.
    """

    def __init__(self, key: str, value: object, allowed: str) -> None:
        self.key, self.value, self.allowed = key, value, allowed
        super().__init__(f"{key}: {_short(value)} is not allowed; {allowed}")


class NumericalFailure(ProplimError, ArithmeticError):
    """A computation that was set up as it should be does not arrive at a number; the message says why."""


def _short(value: object, limit: int = 120) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
