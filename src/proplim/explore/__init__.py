"""explore.html: one page, without a network, in which a user turns through a study. See docs/figures.md."""

from proplim.explore._page import explorer_html, write_explorer

__all__ = ["explorer_html", "write_explorer"]
