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
BYTES = "$bytes"  # the key of a reference to bytes
WORKER = "train_worker"  # not run in the page itself, which hands its text to a worker
OPENING, SAFE = "<", ","  # a digit of base85 that could start a tag, and what stands for it


def assemble(contents: Mapping[str, Any]) -> str:
    """The page with a tab for each of `contents`: its name, of which there is a script, and its data."""
    scripts = [(name, "text/javascript") for name in (*SHARED, *contents)] + [(WORKER, "text/plain")]
    return Template(source("page.html")).substitute(
        style=source("style.css"),
        data="\n".join(
            f'<script type="application/gzip" id="data-{name}">{packed(data)}</script>'
            for name, data in contents.items()
        ),
        scripts="\n".join(
            f'<script type="{kind}" id="{name}">\n{source(f"{name}.js")}</script>' for name, kind in scripts
        ),
    )


def packed(data: object) -> str:
    """Data as text of compressed bytes: four of the length of its JSON, the JSON, and the bytes that it refers to.

    Where the data hold bytes, the JSON has {"$bytes": [start, end]}: text within JSON would be compressed badly.
    """
    beside = bytearray()

    def reference(value: object) -> dict[str, list[int]]:
        if not isinstance(value, bytes):
            raise TypeError(f"{type(value).__name__} has no JSON")
        beside.extend(value)
        return {BYTES: [len(beside) - len(value), len(beside)]}

    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=reference).encode()
    whole = len(text).to_bytes(4, "little") + text + beside
    return as_text(gzip.compress(whole, mtime=0))


def as_text(data: bytes) -> str:
    """Bytes as base85, a quarter longer, where base64 is a third longer: `zoo.bytes` of core.js reads it.

    Five digits hold four bytes, with the alphabet of R. Elz, "A compact representation of IPv6 addresses", RFC 1924,
    but a comma in place of "<".
    """
    return base64.b85encode(data).decode().replace(OPENING, SAFE)


def unpacked(text: str) -> Any:
    """What was `packed`."""
    whole = gzip.decompress(base64.b85decode(text.replace(SAFE, OPENING)))
    start = 4 + int.from_bytes(whole[:4], "little")

    def resolved(value: dict[str, Any]) -> Any:
        return whole[start + value[BYTES][0] : start + value[BYTES][1]] if BYTES in value else value

    return json.loads(whole[4:start], object_hook=resolved)


def data_of(page: str, name: str) -> Any:
    """The data of a tab in a page that `assemble` made; None where it has no such tab."""
    found = re.search(f'<script type="application/gzip" id="data-{name}">(.*?)</script>', page, re.DOTALL)
    return None if found is None else unpacked(found[1])


def source(name: str) -> str:
    """A file of `static/`."""
    return files(__package__).joinpath("static", name).read_text(encoding="utf-8")
