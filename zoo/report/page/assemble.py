"""The page as one HTML file: the data of its tabs, its style and its scripts, which need no server and no network."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Mapping
from importlib.resources import files
from string import Template
from typing import Any

SHARED = ("core", "shell")
PACKED = ("words", "compare", "claims")  # data with much text, which gzip shortens, unlike weights
WORKER = "train_worker"  # not run in the page itself, which hands its text to a worker


def assemble(contents: Mapping[str, Any]) -> str:
    """The page with a tab for each of `contents`: its name, of which there is a script, and its data."""
    scripts = [(name, "text/javascript") for name in (*SHARED, *contents)] + [(WORKER, "text/plain")]
    return Template(source("page.html")).substitute(
        style=source("style.css"),
        data="\n".join(
            f'<script type="application/{"gzip" if name in PACKED else "json"}" id="data-{name}">'
            f"{packed(data) if name in PACKED else embedded(data)}</script>"
            for name, data in contents.items()
        ),
        scripts="\n".join(
            f'<script type="{kind}" id="{name}">\n{source(f"{name}.js")}</script>' for name, kind in scripts
        ),
    )


def embedded(data: object) -> str:
    """Data as JSON that may stand in a script element, which ends at the first closing tag."""
    return as_json(data).replace("</", r"<\/").replace("<!--", r"<\u0021--")


def packed(data: object) -> str:
    """Data as compressed JSON in base64."""
    return base64.b64encode(gzip.compress(as_json(data).encode(), mtime=0)).decode()


def as_json(data: object) -> str:
    """Data as JSON without spaces."""
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def data_of(page: str, name: str) -> Any:
    """The data of a tab in a page that `assemble` made; None where it has no such tab."""
    found = re.search(f'<script type="application/(json|gzip)" id="data-{name}">(.*?)</script>', page, re.DOTALL)
    if found is None:
        return None
    kind, text = found.groups()
    return json.loads(text if kind == "json" else gzip.decompress(base64.b64decode(text)))


def source(name: str) -> str:
    """A file of `static/`."""
    return files(__package__).joinpath("static", name).read_text(encoding="utf-8")
