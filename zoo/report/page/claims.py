"""The tab Claims: each claim with its figure, numbers and verdict, read from `results/claims/*.json`."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from zoo.errors import ZooError

NEEDED = ("title", "claim", "verdict")


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
        png = base64.b64encode((path.parent / figure).read_bytes()).decode() if figure else None
    except (ValueError, AttributeError, OSError) as error:
        raise ZooError(f"{path}: not a claim ({error}); write it again") from error
    return {"name": path.stem, **found, "figure": png and f"data:image/png;base64,{png}"}
