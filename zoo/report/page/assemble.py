"""The page as one HTML file: the data of its tabs, its style and its scripts, which need no server and no network."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from string import Template
from typing import Any

SHARED = ("core", "shell")
WORKER = "train_worker"  # not run in the page itself, which hands its text to a worker


def assemble(contents: Mapping[str, Any]) -> str:
    """The page with a tab for each of `contents`: its name, of which there is a script, and its data."""
    scripts = [(name, "text/javascript") for name in (*SHARED, *contents)] + [(WORKER, "text/plain")]
    return Template(source("page.html")).substitute(
        style=source("style.css"),
        data="\n".join(
            f'<script type="application/json" id="data-{name}">{embedded(data)}</script>'
            for name, data in contents.items()
        ),
        scripts="\n".join(
            f'<script type="{kind}" id="{name}">\n{source(f"{name}.js")}</script>' for name, kind in scripts
        ),
    )


def embedded(data: object) -> str:
    """Data as JSON that may stand in a script element, which ends at the first closing tag."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("</", r"<\/").replace("<!--", r"<\u0021--")


def data_of(page: str, name: str) -> Any:
    """The data of a tab in a page that `assemble` made; None where it has no such tab."""
    found = re.search(f'<script type="application/json" id="data-{name}">(.*?)</script>', page, re.DOTALL)
    return None if found is None else json.loads(found[1])


def source(name: str) -> str:
    """A file of `static/`."""
    return files(__package__).joinpath("static", name).read_text(encoding="utf-8")
