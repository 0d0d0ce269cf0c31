"""Equations of the site: typeset without a script, numbered, reached by every text and docstring that cites them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from _browser import MISSING, browser
from _documents import ROOT, site_module
from test_docs import site  # noqa: F401  a fixture

NUMBER = r"[A-Z]?\.?\d+(?:\.\d+)?[a-z]?"
CITED = re.compile(
    rf"docs/(?P<page>\w+)\.md,\s+eqs?\.\s+(?P<numbers>{NUMBER}(?:(?:\s+and\s+|,\s+|-){NUMBER})*)(?!\d)"
)
SECTION = re.compile(r"docs/(?P<page>\w+)\.md,\s+sections?\s+(?P<number>[A-Z]?\.?\d+(?:\.\d+)?)")
ASCII_EQUATION = re.compile(rf"^ {{4,}}.*\s\({NUMBER}\)$", re.MULTILINE)
# Where the browser draws text as it stands: neither a script nor a style, nor code, whose dollars are the code's own.
VERBATIM = re.compile(r"<(script|style|pre|code|title)\b.*?</\1>|<[^>]+>", re.DOTALL)


@pytest.fixture(scope="module")
def equations():
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: make env-docs")
    return site_module("equations")


def numbers_of(page: Path) -> list[str]:
    return re.findall(r"\\tag\{([^}]+)\}", page.read_text(encoding="utf-8"))


def sources() -> list[Path]:
    return [p for folder in ("src", "tests", "benchmarks") for p in sorted((ROOT / folder).rglob("*.py"))]


def test_numbers_are_unique_on_a_page():
    counted = 0
    for page in (ROOT / "docs").glob("*.md"):
        numbers = numbers_of(page)
        assert len(numbers) == len(set(numbers)), page
        counted += len(numbers)
    assert counted > 80


def test_no_equation_is_left_as_text():
    for page in (ROOT / "docs").glob("*.md"):
        assert not ASCII_EQUATION.findall(page.read_text(encoding="utf-8")), page


def test_docstrings_cite_equations_and_sections_that_are_there():
    found = 0
    for path in sources():
        text = re.sub(r"\s+", " ", path.read_text(encoding="utf-8"))
        for match in CITED.finditer(text):
            known = numbers_of(ROOT / "docs" / f"{match['page']}.md")
            for number in re.findall(NUMBER, match["numbers"]):
                assert number in known, (path, match[0])
                found += 1
        for match in SECTION.finditer(text):
            page = (ROOT / "docs" / f"{match['page']}.md").read_text(encoding="utf-8")
            assert re.search(rf"^#+ {re.escape(match['number'])}\b", page, re.MULTILINE), (path, match[0])
    assert found > 40


@pytest.mark.slow
def test_no_raw_formula_is_left_in_the_site(site):  # noqa: F811
    for page in site.rglob("*.html"):
        text = VERBATIM.sub(" ", page.read_text(encoding="utf-8"))
        assert "$" not in text, page
        assert not re.findall(r"\\[A-Za-z]+", text), page


@pytest.mark.slow
def test_every_link_to_an_equation_resolves(site):  # noqa: F811
    links = 0
    for page in site.rglob("*.html"):
        for target, anchor in re.findall(
            r'href="?([^"#\s>]*)#(eq-[^"\s>]+)', page.read_text(encoding="utf-8")
        ):
            file = (page.parent / target).resolve() if target else page
            assert re.search(rf'id="?{re.escape(anchor)}["\s>]', file.read_text(encoding="utf-8")), (
                page,
                anchor,
            )
            links += 1
    assert links > 150


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason=MISSING)
@pytest.mark.parametrize("width", [1280, 1000])
def test_no_page_scrolls_sideways(site, tmp_path, width):  # noqa: F811
    wide = (
        "return [...document.querySelectorAll('.formula > div, pre > code, .md-typeset__scrollwrap, html')]"
        ".filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent.trim().slice(0, 80))"
    )
    with browser(tmp_path) as window:
        window.resize(width, 900)
        for page in sorted(site.glob("*.html")):
            window.open(page.as_uri())
            assert window.run(wide) == [], page.name
            drawn = window.run("return document.fonts.ready.then(f => [...f].map(x => [x.family, x.status]))")
            if window.run("return document.querySelectorAll('math').length"):
                assert ["Formulas", "loaded"] in drawn, page.name


def test_limits_primes_and_names_are_mathml(equations):
    text = equations.mathml(r"\sum_k\ln x'_\mu", block=True)
    assert "<munder><mo" in text
    assert '<mi>ln</mi><mspace width="0.167em" />' in text
    assert '<msub><mrow><mi>x</mi><mo lspace="0" rspace="0">′</mo></mrow>' in text


def test_aligned_rows_become_a_table(equations):
    text = equations.mathml(r"\begin{aligned} a &= b \\ c &= -d \end{aligned}", block=True)
    assert text.count("<mtr>") == 2
    assert text.count('<mtd class="right">') == text.count('<mtd class="left">') == 2
    assert "&amp;" not in text


@pytest.mark.parametrize("latex", [r"\nosuchcommand x", r"\mathcal Q", "2mm'"])
def test_what_would_be_drawn_wrongly_is_refused(equations, latex):
    from mkdocs.exceptions import PluginError

    with pytest.raises(PluginError):
        equations.mathml(latex)
