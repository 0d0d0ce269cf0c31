r"""Formulas of the site: $...$ and $$...$$ become MathML when it is built, numbered where they have a \tag.

Every current browser draws MathML by itself, without a script or a network; the font STIX Two Math, which ziamath
brings, is copied into the site, so that formulas look alike where a reader has no mathematical font. An equation
with \tag{3.4} gets the anchor eq-3.4; "(3.4)" in the text of the same page leads there, and so does "docs/theory.md,
eq. 3.4" in a docstring.
"""

from __future__ import annotations

import html
import importlib.resources
import re
import xml.etree.ElementTree as ET
from typing import Any

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File
from mkdocs.utils import get_relative_url

_FORMULA = re.compile(r'<(span|div) class="arithmatex">(.*?)</\1>', re.DOTALL)
_ALIGNED = re.compile(r"\\begin\{aligned\}(.*)\\end\{aligned\}", re.DOTALL)
_TAG = re.compile(r"\\tag\{([\w.]+)\}")
_NUMBER = r"[A-Z]?\.?\d+(?:\.\d+)?[a-z]?"
_TAG_IN_PAGE = re.compile(rf"\\tag\{{({_NUMBER})\}}")
_REFERENCE = re.compile(rf"\(({_NUMBER})\)")
_VERBATIM = re.compile(
    r"(<pre\b.*?</pre>|<code\b.*?</code>|<a\b.*?</a>|<math\b.*?</math>|<h\d\b.*?</h\d>|<[^>]+>)", re.DOTALL
)
_WITH_PUNCTUATION = re.compile(r"(\(?<math>(?:(?!</math>).)*</math>[.,;:)]*)", re.DOTALL)
_CITATION = re.compile(
    rf"docs/(?P<page>\w+)\.md(?:,\s+(?P<kind>eqs?\.\s+|\(?(?=[A-Z]\.\d)))?(?P<number>{_NUMBER}(?![\w.]*\d))?"
)

_FUNCTIONS = {
    "ln",
    "exp",
    "erf",
    "tr",
    "arcsin",
    "arctan",
    "det",
    "var",
    "cov",
    "Var",
    "max",
    "min",
    "tanh",
    "sign",
}
_LIMITS = {"∑", "∏", "min", "max"}
_SCRIPTS = {"msub", "msup", "msubsup"}
_PRIMES = {"′", "″", "‴"}
_LETTERS_AS_OPERATORS = {"∞", "∂"}
_BRACKETS = {"⟨": "prefix", "⟩": "postfix"}
_OPENING = {"(", "[", "{"}
_CLOSES_A_NAME = _OPENING | {")", ",", "⟩", "]", "="}
_UNSPACED = {"|", "‖", "/"}
_BEFORE_A_SIGN = _OPENING | {"=", ",", "⟨", "≤", "∝", "|"}
_LETTERS = {
    ("double-struck", "R"): "ℝ",
    ("double-struck", "E"): "𝔼",
    ("script", "N"): "𝒩",
    ("script", "U"): "𝒰",
    ("script", "S"): "𝒮",
}
"""Alphabets that MathML Core has as characters and not as an attribute."""

_FONT = "STIXTwoMath-Regular.ttf"

_tags: dict[str, set[str]] = {}


def on_files(files: Any, *, config: Any, **_: Any) -> None:
    """Note the numbers of the equations of every page, before any page is written that links to them."""
    font = importlib.resources.files("ziamath.fonts") / _FONT
    files.append(File.generated(config, f"_site/{_FONT}", content=font.read_bytes()))
    _tags.clear()
    for file in files.documentation_pages():
        _tags[file.src_uri] = set(_TAG_IN_PAGE.findall(file.content_string))


def on_page_content(content: str, *, page: Any, files: Any, **_: Any) -> str:
    """Replace formulas by MathML, and numbers of equations by links."""
    known = _tags.get(page.file.src_uri, set())
    page.present_anchor_ids = (page.present_anchor_ids or set()) | {f"eq-{number}" for number in known}
    content = _FORMULA.sub(_formula, content)

    def link(text: str) -> str:
        text = _REFERENCE.sub(lambda m: _link("", m[1], m[0]) if m[1] in known else m[0], text)
        return _CITATION.sub(lambda m: _cite(m, page, files), text)

    parts = _VERBATIM.split(content)
    parts[::2] = [link(text) for text in parts[::2]]
    return _WITH_PUNCTUATION.sub(r'<span class="together">\1</span>', "".join(parts))


def _link(page: str, number: str, text: str) -> str:
    return f'<a class="equation" href="{page}#eq-{number}">{text}</a>'


def _cite(match: re.Match[str], page: Any, files: Any) -> str:
    """A docstring's "docs/theory.md, eq. 3.4" as a link; without an equation, to the page."""
    target = files.get_file_from_path(f"{match['page']}.md")
    if target is None:
        return match[0]
    url = get_relative_url(target.url, page.url)
    number = match["number"]
    if match["kind"] is None or number is None:
        return f'<a href="{url}">{match[0]}</a>'
    if number not in _tags[target.src_uri]:
        if match["kind"].startswith("eq"):
            raise PluginError(f"{page.file.src_uri}: {match[0]} is cited, and the page has no such equation")
        return f'<a href="{url}">{match[0]}</a>'  # a section
    return _link(url, number, match[0])


def _formula(match: re.Match[str]) -> str:
    block = match[1] == "div"
    latex = html.unescape(match[2]).strip()
    latex = latex.removeprefix("\\[" if block else "\\(").removesuffix("\\]" if block else "\\)").strip()
    if not block:
        return mathml(latex)
    tag = _TAG.search(latex)
    formula = mathml(_TAG.sub("", latex).strip(), block=True)
    if tag is None:
        return f'<div class="formula"><div>{formula}</div></div>'
    number = f'<a class="number" href="#eq-{tag[1]}">({tag[1]})</a>'
    return f'<div class="formula" id="eq-{tag[1]}"><div>{formula}</div>{number}</div>'


def mathml(latex: str, *, block: bool = False) -> str:
    """LaTeX as MathML Core, the part of MathML that browsers draw alike.

    Raises
    ------
    PluginError
        Where a command is not known, or would be drawn as something else.
    """
    math = ET.Element("math", {"display": "block"} if block else {})
    aligned = _ALIGNED.search(latex)
    if aligned is None:
        math.append(_row(latex))
    else:
        for side in (latex[: aligned.start()], None, latex[aligned.end() :]):
            if side is None:
                math.append(_table(aligned[1]))
            elif side.strip():
                math.append(_row(side))
    for element in math.iter():
        if "\\" in (element.text or "") or element.get("mathvariant", "normal") != "normal":
            raise PluginError(f"cannot be drawn: {element.text} in {latex}")
        letters = sum(map(str.isalpha, _text(element)))
        if letters > 1 - (element.tag == "mn") and element.tag in ("mi", "mn") and not _named(element):
            raise PluginError(f"taken for a name or a unit of length: {element.text} in {latex}")
    return ET.tostring(math, encoding="unicode")


def _table(rows: str) -> ET.Element:
    """Rows parted by a double backslash, cells by &: right- and left-aligned in turn, as LaTeX does."""
    table = ET.Element("mtable", {"displaystyle": "true"})
    for text in re.split(r"\\\\(?:\[[^\]]*\])?", rows):
        if not text.strip():
            continue
        row = ET.SubElement(table, "mtr")
        for i, cell in enumerate(text.split("&")):
            entry = ET.SubElement(row, "mtd", {"class": "left" if i % 2 else "right"})
            content = _row(cell) if cell.strip() else ET.Element("mrow")
            if i % 2 and len(content) and content[0].tag == "mo":
                content[0].set("form", "infix")
            entry.extend(content)
    return table


def _row(latex: str) -> ET.Element:
    text = convert(latex.replace(r"\tfrac", r"\frac"), display="block")
    row = ET.fromstring(text.replace(' xmlns="http://www.w3.org/1998/Math/MathML"', ""))[0]
    for parent in list(row.iter()):
        _mend(parent)
    return row


def _mend(parent: ET.Element) -> None:
    """What the converter writes otherwise than browsers expect, of the children of an element."""
    children: list[ET.Element] = []
    for i, child in enumerate(parent):
        before = parent[i - 1] if i else None
        after = parent[i + 1] if i + 1 < len(parent) else None
        base = child[0] if child.tag in _SCRIPTS and len(child) else None
        _character(child, before)
        if base is not None:
            _script(child, base)
        named = child if base is None else base
        if _text(named) not in _FUNCTIONS or named.tag not in ("mi", "mo", "mtext"):
            children.append(child)
            continue
        named.tag = "mi"
        if base is None or child.tag.startswith("ms"):
            named.attrib.clear()
        if before is not None and before.tag not in ("mo", "mspace") and _text(before) not in _FUNCTIONS:
            children.append(_thin_space())
        children.append(child)
        if after is not None and _text(after) not in _CLOSES_A_NAME:
            children.append(_thin_space())
    if parent.tag in ("mrow", "mtd", "mstyle", "math"):
        for child in list(parent):
            parent.remove(child)
        parent.extend(children)


def _named(element: ET.Element) -> bool:
    return element.get("mathvariant") == "normal" or _text(element) in _FUNCTIONS


def _text(element: ET.Element) -> str:
    return (element.text or "").strip()


def _thin_space() -> ET.Element:
    return ET.Element("mspace", {"width": "0.167em"})


def _character(element: ET.Element, before: ET.Element | None) -> None:
    """Alphabet, spacing and role of a single character."""
    text = _text(element)
    if (letter := _LETTERS.get((element.get("mathvariant", ""), text))) is not None:
        element.text = letter
        del element.attrib["mathvariant"]
    if text in _LETTERS_AS_OPERATORS:
        element.tag = "mi"
        element.attrib.clear()
    if element.tag == "mi" and len(text) == 1 and "Α" <= text <= "Ω":
        element.set("mathvariant", "normal")
    if text in _BRACKETS and element.tag in ("mi", "mo") and element.get("stretchy") is None:
        element.tag = "mo"
        element.attrib.update({"form": _BRACKETS[text], "stretchy": "false"})
    if text == "~":
        element.tag, element.text = "mo", "∼"
        element.attrib.update({"lspace": "0.278em", "rspace": "0.278em"})
    if element.tag != "mo":
        return
    if text in _UNSPACED and element.get("fence") is None:
        element.attrib.update({"lspace": "0", "rspace": "0"})
    if text in ("−", "-", "+") and before is not None and _text(before) in _BEFORE_A_SIGN:
        element.set("form", "prefix")


def _script(element: ET.Element, base: ET.Element) -> None:
    """Limits of sums, bars and primes that carry a script."""
    upper = element[-1] if element.tag != "msub" else None
    if _text(base) in _LIMITS:
        element.tag = {"msub": "munder", "msup": "mover", "msubsup": "munderover"}[element.tag]
        base.tag = "mo"
        base.set("movablelimits", "true")
    elif _text(base) in _UNSPACED:
        base.attrib.update({"lspace": "0", "rspace": "0", "stretchy": "false"})
    elif upper is not None and _text(upper) == "*":
        upper.text = "∗"
    elif upper is not None and _text(upper) and set(_text(upper)) <= _PRIMES:
        # fonts have primes at their height already, and a superscript would lift them further
        prime = ET.Element("mo", {"lspace": "0", "rspace": "0"})
        prime.text = _text(upper)
        element.remove(upper)
        if element.tag == "msup":
            element.tag = "mrow"
            element.append(prime)
        else:
            element.tag = "msub"
            primed = ET.Element("mrow")
            element.remove(base)
            primed.extend([base, prime])
            element.insert(0, primed)
