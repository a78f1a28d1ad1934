"""From the measured parts to a table and a figure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from zoo.files import write_atomically
from zoo.report.figures.style import (
    HEAD,
    INK,
    MARGIN,
    MUTED,
    NORMAL,
    SMALL,
    look,
    place,
    save,
    sheet,
    styled,
    text_width,
)

LINE = 0.19  # inches between rows
WIDE = 3.2  # inches of the panel


def tell(paths: Sequence[Path], folder: Path) -> None:
    """Write and print what the parts that are there say."""
    parts = [json.loads(path.read_text()) for path in paths if path.exists()]
    goals = [goal for part in parts for goal in part["goals"]]
    write_atomically(folder / "README.md", markdown(parts).encode())
    files = [folder / "README.md"]
    if goals:
        save(goals_figure(goals), folder / "benchmark.png")
        files.append(folder / "benchmark.png")
    for goal in goals:
        print(f"{'holds' if goal['holds'] else 'FAILS':<6} {said(goal):<28} {goal['name']}")
    for file in files:
        print(file)


def markdown(parts: Sequence[Mapping[str, Any]]) -> str:
    """The page: goals first, then each part's times."""
    quick = "**Quick sizes: these numbers say nothing.** " if any(part["quick"] for part in parts) else ""
    text = [
        "# Speed",
        f"{quick}Seconds are medians over interleaved runs; CPU time is of all threads together. "
        "Of products alone: what would be measured, did a fit take only as long as its products and convolutions.",
    ]
    goals = [
        {
            "": "✓" if goal["holds"] else "✗",
            "goal": goal["name"],
            "measured": number(goal["value"]),
            "in CPU time": number(goal["cpu_value"]),
            "of products alone": number(goal.get("bound")),
            "wanted": f"{SIGN[goal['sense']]} {goal['goal']:g}",
        }
        for part in parts
        for goal in part["goals"]
    ]
    if goals:
        text.append(table(goals))
    for part in parts:
        text += [
            f"## {HEADINGS.get(part['part'], part['part'].capitalize())}",
            table([cells(row) for row in part["rows"]]),
        ]
        text += ["\n".join(f"- {note}" for note in part["notes"])] if part["notes"] else []
    measured: dict[str, list[str]] = {}
    for part in parts:
        machine, versions = part["environment"]["machine"], part["environment"]["versions"]
        packages = ", ".join(f"{name} {version}" for name, version in versions.items())
        device = f"{machine['gpu']}, " if part["part"] == "gpu" else ""
        measured.setdefault(f"{device}{machine['processor']}, {machine['cpu']}; {packages}", []).append(part["part"])
    text += [f"{', '.join(names)}: measured on {where}." for where, names in measured.items()]
    return "\n\n".join([*text, "Written by `python -m experiments.speed`."]) + "\n"


HEADINGS = {"gpu": "GPU", "pca": "PCA"}
SIGN = {"at most": "≤", "at least": "≥"}
FACTS = {
    "sse": "test error per image",
    "change": "change",
    "standard_error": "its standard error",
    "per_second": "images per second",
    "mib": "peak MiB",
    "epochs": "epochs",
}


def cells(row: Mapping[str, Any]) -> dict[str, str]:
    """One line of a part's table."""
    low, high = row["range"]
    line = {
        "comparison": row["comparison"],
        "arm": row["arm"],
        "runs": str(row["runs"]),
        "seconds": number(row["seconds"]),
        "range": f"{number(low)} to {number(high)}" if row["runs"] > 1 else "",
        "CPU seconds": number(row["cpu_seconds"]),
    }
    return line | {text: number(row["facts"].get(name)) for name, text in FACTS.items()}


def number(value: float | None) -> str:
    """Three digits; whole numbers from a thousand on; nothing for what was not measured."""
    if value is None or math.isnan(value):
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def table(lines: Sequence[Mapping[str, str]]) -> str:
    """Markdown; columns that hold nothing are left out."""
    frame = pd.DataFrame(lines).fillna("")
    shown = frame.loc[:, (frame != "").any()]
    alignment = ["left" if name in ("", "goal", "comparison", "arm") else "right" for name in shown.columns]
    return shown.to_markdown(index=False, disable_numparse=True, colalign=alignment)


def said(goal: Mapping[str, Any]) -> str:
    """Measured and wanted: "1.04 (≤ 1.1)"."""
    return f"{number(goal['value'])} ({SIGN[goal['sense']]} {goal['goal']:g})"


def margin(goal: Mapping[str, Any]) -> float:
    """How many times better than wanted: above 1 the goal holds."""
    value = max(abs(goal["value"]), 1e-12)
    return float(value / goal["goal"] if goal["sense"] == "at least" else goal["goal"] / value)


def on_the_panel(times: float) -> float:
    """The margin, or the end of the axis that is nearer."""
    return min(max(times, 0.2), 20.0)


@styled
def goals_figure(goals: Sequence[Mapping[str, Any]]) -> Figure:
    """Each goal as a dot: to the right of the line it holds, and by how much."""
    left = MARGIN + max(text_width(goal["name"], SMALL) for goal in goals) + 0.1
    right = max(text_width(said(goal), SMALL) for goal in goals) + 2 * MARGIN
    high = LINE * len(goals)
    figure, _ = sheet(
        left + WIDE + right,
        HEAD + high + 0.5,
        "Speed",
        "times better than the goal: to the right of the line it holds; |: with no more than a fit's products",
    )
    panel = place(figure, left, HEAD, WIDE, high)
    shown = [on_the_panel(margin(goal)) for goal in goals]
    panel.set(xscale="log", xlim=(0.18, 22), ylim=(len(goals) - 0.5, -0.5))
    panel.axvline(1, color=MUTED, linewidth=0.8)
    for place_, (goal, value) in enumerate(zip(goals, shown, strict=True)):
        colour = look("zoo")[0] if goal["holds"] else "#b3261e"
        panel.plot([1, value], [place_, place_], color=colour, linewidth=1)
        panel.plot(value, place_, "o" if goal["holds"] else "X", color=colour)
        if goal.get("bound"):
            bound = on_the_panel(margin({**goal, "value": goal["bound"]}))
            panel.plot(bound, place_, "|", color=MUTED, markersize=9)
        panel.text(24, place_, said(goal), size=SMALL, va="center", color=INK)
    panel.set_yticks(range(len(goals)), [goal["name"] for goal in goals], size=SMALL, color=INK)
    panel.set_xticks([0.2, 0.5, 1, 2, 5, 10, 20])
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xlabel("times better than the goal", size=NORMAL)
    panel.tick_params(left=False)
    panel.spines["left"].set_visible(False)
    return figure
