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
WIDEST, QUALITY = 950, 60  # pixels across, and of 100


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
    """A figure as a data address, compressed: the page holds many, and may not grow beyond 8 MB."""
    webp = io.BytesIO()
    with Image.open(path) as figure:
        whole = figure.convert("RGB")
        whole.thumbnail((WIDEST, whole.height))
        whole.save(webp, "WEBP", quality=QUALITY, method=6)
    return f"data:image/webp;base64,{base64.b64encode(webp.getvalue()).decode()}"
