"""Sphinx: builds the documentation by `sphinx-build -W -c docs . outputs/site`."""

from __future__ import annotations

import re
import shutil
from importlib.metadata import version as version_of
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
EMPHASIS = re.compile(r"(?<![*\w`])\*(?=\w)")  # of reStructuredText, where docstrings mean a star: "(N, *shape)"

project = "The bottleneck zoo"
version = release = version_of("bottleneck-zoo")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
root_doc = "docs/index"
include_patterns = ["docs/**", "results/**", "CONTRIBUTING.md", "CHANGELOG.md"]
exclude_patterns = ["results/records"]
html_theme = "furo"
html_title = "The bottleneck zoo"
html_show_copyright = False
default_role = "code"  # docstrings write names in single backticks
myst_heading_anchors = 3
suppress_warnings = ["ref.python"]  # attributes of one name in several classes
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_type_aliases = {"ArrayLike": "ArrayLike", "Kind": "Kind", "Shape": "Shape"}
autodoc_preserve_defaults = True
napoleon_use_ivar = True


def with_equations(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Mark the indented paragraphs of a docstring, which are equations, as literal text, and keep each "*"."""
    found: list[str] = []
    for line in lines:
        line = EMPHASIS.sub(r"\\*", line)
        begins = line.startswith("    ") and found and not found[-1]
        if begins and not (before := next((each for each in reversed(found) if each), "")).startswith(" "):
            found += ["::", ""] * (not before.endswith(":"))
        found.append(line)
    lines[:] = found


def with_pages(app: Sphinx, error: Exception | None) -> None:
    """Add what is no Markdown: index.html, which leads to docs/, the interactive page, and the records it links to."""
    if error is None:
        results = Path(app.outdir, "results")
        shutil.copy(ROOT / "docs" / "redirect.html", Path(app.outdir, "index.html"))
        for folder in ("page", "records"):
            if (ROOT / "results" / folder).is_dir():
                shutil.copytree(ROOT / "results" / folder, results / folder, dirs_exist_ok=True)


def setup(app: Sphinx) -> None:
    """Connect the above."""
    app.connect("autodoc-process-docstring", with_equations, priority=100)
    app.connect("build-finished", with_pages)
