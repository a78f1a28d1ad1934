"""The tab Claims: each claim with its figure, numbers and verdict, read from `results/claims/*.json`."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

from PIL import Image

from zoo.errors import ZooError

NEEDED = ("title", "claim", "verdict", "cases", "numbers")
COLOURS = 64


def content(folder: Path) -> list[dict[str, Any]]:
    """The claims of a folder in the order of their files' names, their figures inside; none where it is not there.

    Raises:
        ZooError: a file that is no claim, or a figure that is missing.
    """
    return [claim(path) for path in sorted(folder.glob("*.json"))]


def claim(path: Path) -> dict[str, Any]:
    """One claim with its figure as a data address."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if lacking := [key for key in NEEDED if not found.get(key)]:
            raise ValueError(f"it has no {lacking[0]}")
        figure = found.get("figure")
        address = reduced(path.parent / figure) if figure else None
    except (ValueError, AttributeError, OSError) as error:
        raise ZooError(f"{path}: not a claim ({error}); write it again") from error
    return {"name": path.stem, **found, "figure": address}


def reduced(path: Path) -> str:
    """A figure in 64 colours, as a data address: the page holds many."""
    png = io.BytesIO()
    with Image.open(path) as figure:
        figure.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(png, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}"
