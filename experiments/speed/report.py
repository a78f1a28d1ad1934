"""From the measured parts to a page."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from zoo.files import write_atomically

PACKAGE = "bottleneck-zoo"
HEADINGS = {
    "loop": "A fit beside a bare loop, its products alone, and Pythae",
    "gpu": "The same on a GPU",
    "recipe": "Recipes: test error after about equal time",
    "quality": "Time to quality",
    "defaults": "The zoo and Pythae, each with its own defaults",
    "growth": "Your own large arrays",
    "memory": "Memory of every method on large arrays",
    "words": "Word embeddings",
}
FACTS = {
    "sse": "test error per image",
    "mib": "peak MiB",
    "grown": "MiB more than with half of the images",
    "explained": "explained variance",
    "epochs": "epochs",
}


def tell(paths: Sequence[Path], folder: Path) -> None:
    """Write the page of the parts that are there, and print where it is."""
    parts = [json.loads(path.read_text()) for path in paths if path.exists()]
    write_atomically(folder / "README.md", markdown(parts).encode())
    for part in parts:
        for name, value in part["ratios"].items():
            print(f"{number(value):>8}  {name}")
    print(folder / "README.md")


def markdown(parts: Sequence[Mapping[str, Any]]) -> str:
    """The page: for each part its ratios, its times, and how and where they were measured."""
    text = [
        "# Speed",
        "Written by `python -m experiments.speed`. Seconds are medians over runs in turn; of recipes, those of an "
        "epoch that was timed before, times the epochs. CPU seconds are of all threads together, test errors are "
        "squared errors per image, means over the runs with their range. Ratios are medians of paired ratios, so they "
        "may differ from ratios of medians.",
    ]
    for part in parts:
        text.append(f"## {HEADINGS[part['part']]}")
        text += [f"- {name}: **{number(value)}**" for name, value in part["ratios"].items()]
        text.append(table([cells(row) for row in part["rows"]]))
        machine, versions = part["environment"]["machine"], part["environment"]["versions"]
        packages = ", ".join(f"{name} {version}" for name, version in versions.items())
        device = f"{machine['gpu']}, " if part["part"] == "gpu" else ""
        if (earlier := versions.get(PACKAGE, version(PACKAGE))) != version(PACKAGE):
            packages += f"; not measured again since version {earlier}"
        where = f"measured on {device}{machine['processor']}, {machine['cpu']}; {packages}"
        text.append("\n".join(f"- {note}" for note in [*part["notes"], where]))
    page = "\n\n".join(text) + "\n"
    return page.replace("**\n\n- ", "**\n- ")  # one list of ratios


def cells(row: Mapping[str, Any]) -> dict[str, str]:
    """One line of a part's table."""
    facts = {text: spread(row["all_facts"][name]) for name, text in FACTS.items() if name in row["facts"]}
    return {
        "comparison": row["comparison"],
        "arm": row["arm"],
        "runs": str(len(row["all_seconds"])),
        "seconds": number(row["seconds"]),
        "CPU seconds": number(row["cpu_seconds"]),
    } | facts


def spread(values: Sequence[float]) -> str:
    """The mean, and the range where the values differ: "2.51 (2.48 to 2.55)"."""
    mean, low, high = number(sum(values) / len(values)), number(min(values)), number(max(values))
    return mean if low == high else f"{mean} ({low} to {high})"


def number(value: float) -> str:
    """Three digits; whole numbers from a thousand on; nothing for what was not measured."""
    if math.isnan(value):
        return ""
    return f"{value:,.0f}" if 1000 <= abs(value) < math.inf else f"{value:.3g}"


def table(lines: Sequence[Mapping[str, str]]) -> str:
    """Markdown; columns that hold nothing are left out."""
    frame = pd.DataFrame(lines).fillna("")
    shown = frame.loc[:, (frame != "").any()]
    alignment = ["left" if name in ("comparison", "arm") else "right" for name in shown.columns]
    return shown.to_markdown(index=False, disable_numparse=True, colalign=alignment)
