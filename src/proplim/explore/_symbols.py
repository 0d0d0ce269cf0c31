"""LaTeX symbols of variables and axes in a page: as HTML with sub and sup, and as plain text for menus.

Of LaTeX what symbols are written in: letters, groups, indices and exponents, accents, roots and the names in
:data:`SIGNS`. A name that is not known stands as it is, upright.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

SIGNS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ϵ", "eta": "η", "theta": "θ",
    "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ",
    "chi": "χ", "omega": "ω", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Sigma": "Σ", "Phi": "Φ", "Omega": "Ω",
    "langle": "⟨", "rangle": "⟩", "infty": "∞", "partial": "∂", "sum": "∑", "cdot": "·", "times": "×",
    "to": "→", "star": "⋆", "top": "⊤", "Vert": "‖", "prime": "′", "ell": "ℓ", "pm": "±", "ln": "ln",
    "max": "max", "min": "min", "log": "log",
}  # fmt: skip
"""Commands that are a sign or a word."""
ITALIC = frozenset("αβγδϵηθκλμνρστφχω")
SPACES = {",": "\u2009", ";": " ", ":": " ", "!": "", " ": " ", "quad": " "}
ACCENTS = {"hat": "\u0302", "bar": "\u0304", "tilde": "\u0303", "vec": "\u20d7"}
UPRIGHT = ("mathrm", "text", "operatorname")
RAISED = dict(zip("0123456789+-n*'", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ*′", strict=True)) | {"⋆": "*", "⊤": "ᵀ", "′": "′"}
LOWERED = dict(zip("0123456789aeoxhklmnpstij", "₀₁₂₃₄₅₆₇₈₉ₐₑₒₓₕₖₗₘₙₚₛₜᵢⱼ", strict=True))
_TOKEN = re.compile(r"\\([A-Za-z]+|.)|(\s+)|(.)", re.DOTALL)


@dataclass(frozen=True)
class Symbol:
    """A symbol as HTML and as plain text."""

    html: str
    text: str


def symbol_of(latex: str) -> Symbol:
    """A symbol in LaTeX (math mode) as a page shows it."""
    parts = list(_parts(_tokens(latex)))
    return Symbol("".join(p.html for p in parts), "".join(p.text for p in parts))


def _tokens(latex: str) -> list[str]:
    """Commands with their backslash, single characters; spaces in math mode mean nothing."""
    found = []
    for command, space, character in _TOKEN.findall(latex):
        if command:
            found.append("\\" + command)
        elif not space:
            found.append(character)
    return found


def _parts(tokens: list[str]) -> Iterator[Symbol]:
    while tokens:
        token = tokens.pop(0)
        if token in ("^", "_"):
            yield _raised(_argument(tokens)) if token == "^" else _lowered(_argument(tokens))
        elif token == "{":
            yield _group(_until_brace(tokens))
        elif token.startswith("\\"):
            yield _command(token[1:], tokens)
        else:
            yield _character(token)


def _character(character: str) -> Symbol:
    safe = html.escape("−" if character == "-" else "′" if character == "'" else character)
    return Symbol(f"<i>{safe}</i>" if character.isalpha() else safe, html.unescape(safe))


def _command(name: str, tokens: list[str]) -> Symbol:
    if name in SPACES:
        return Symbol(SPACES[name], SPACES[name])
    if name in ACCENTS:
        inner = _argument(tokens)
        marked = re.sub(r"(\w)", lambda m: m.group(1) + ACCENTS[name], inner.text, count=1)
        return Symbol(f"<i>{html.escape(marked)}</i>", marked)
    if name in UPRIGHT:
        word = "".join(_until_brace(tokens)) if tokens[:1] == ["{"] and tokens.pop(0) else tokens.pop(0)
        return Symbol(html.escape(word), word)
    if name == "sqrt":
        inner = _argument(tokens)
        return Symbol(f"√{inner.html}", f"√{inner.text}")
    sign = SIGNS.get(name, name)
    return Symbol(f"<i>{sign}</i>" if sign in ITALIC else html.escape(sign), sign)


def _argument(tokens: list[str]) -> Symbol:
    """What a command, an index or an exponent is applied to."""
    if not tokens:
        return Symbol("", "")
    first = tokens.pop(0)
    if first == "{":
        return _group(_until_brace(tokens))
    return _command(first[1:], tokens) if first.startswith("\\") else _character(first)


def _until_brace(tokens: list[str]) -> list[str]:
    """Take the tokens of a group whose opening brace is gone, and its closing one."""
    inner, depth = [], 1
    while tokens:
        token = tokens.pop(0)
        depth += {"{": 1, "}": -1}.get(token, 0)
        if depth == 0:
            break
        inner.append(token)
    return inner


def _group(tokens: list[str]) -> Symbol:
    parts = list(_parts(tokens))
    return Symbol("".join(p.html for p in parts), "".join(p.text for p in parts))


def _raised(symbol: Symbol) -> Symbol:
    return Symbol(f"<sup>{symbol.html}</sup>", _in_script(symbol.text, RAISED, "^"))


def _lowered(symbol: Symbol) -> Symbol:
    return Symbol(f"<sub>{symbol.html}</sub>", _in_script(symbol.text, LOWERED, "_"))


def _in_script(text: str, letters: dict[str, str], mark: str) -> str:
    if all(letter in letters for letter in text):
        return "".join(letters[letter] for letter in text)
    return f"{mark}{text}" if len(text) == 1 or text.isalpha() else f"{mark}({text})"
