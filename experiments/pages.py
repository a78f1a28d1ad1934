"""Write docs/methods.md and docs/metrics.md from option files and docstrings: `python -m experiments.pages`."""

import inspect
import re
from pathlib import Path

import zoo.evaluation.metrics  # noqa: F401 (registers every metric)
from zoo.catalogue import variants
from zoo.evaluation.registry import METRICS, Metric
from zoo.samples import KINDS

DOCS = Path(__file__).parents[1] / "docs"
METHODS_HEAD = """# Methods

x is an image, x_hat its reconstruction, h the encoder's output, z the code, D its width, f an encoder and g a decoder.
sigma is 0.2 of the pixel range. Written by `python -m experiments.pages` from the files in `conf/variant/`; how each
method performs is in `results/`.
"""
METRICS_HEAD = """# Metrics

x is a test sample, x_hat its reconstruction from the deterministic code, z a code; N samples, D units of the code; C, H
and W are the channels, height and width of images. Written by `python -m experiments.pages` from the docstrings in
`zoo/evaluation/metrics/`.

`zoo evaluate run=<records> evaluation.groups=[<group>]` measures a group on saved models.
"""
ARROWS = {"lower": "lower is better", "higher": "higher is better", "none": "no direction"}
SECTIONS = re.compile(r"^(?:Args|Returns|Raises):$", re.M)
MISLEADS = "Misleads: "


def methods() -> str:
    """The page of methods: one table, and one paragraph for each method."""
    found = variants()
    rows = [f"| [`{v.name}`](#{v.name}) | {v.family} | {v.method} | {v.source} |" for v in found]
    table = ["| variant | family | method | source |", "| --- | --- | --- | --- |", *rows]
    paragraphs = [
        f"## {v.name}\n\n{v.method}{f' ({v.source})' if v.source else ''}.\n\n    {v.equation}\n\n"
        f"Limitations: {v.limitations}\n" + (f"\nDiffers from the source: {v.differs}\n" if v.source else "")
        for v in found
    ]
    return "\n".join([METHODS_HEAD, *table, "", *paragraphs])


def metrics() -> str:
    """The page of metrics: one section for each group, with a table and one paragraph for each metric."""
    parts = [METRICS_HEAD]
    for group in dict.fromkeys(metric.group for metric in METRICS.values()):
        found = [metric for metric in METRICS.values() if metric.group == group]
        rows = [f"| [`{m.name}`](#{m.name}) | {m.unit} | {ARROWS[m.direction]} |" for m in found]
        parts += [f"## {group.replace('_', ' ').capitalize()}\n", f"Group `{group}`.\n"]
        parts += ["| metric | unit | direction |", "| --- | --- | --- |", *rows, ""]
        parts += map(described, found)
    return "\n".join(parts)


def described(metric: Metric) -> str:
    """A metric: unit and direction, its docstring up to the arguments, and when it misleads."""
    *about, misleads = paragraphs(metric)
    kinds = "" if metric.kinds == KINDS else f"; for samples of kind {' or '.join(metric.kinds)}"
    measured = "; differs from run to run" if metric.measured else ""
    head = f"*{metric.unit}; {ARROWS[metric.direction]}{kinds}{measured}; version {metric.version}*"
    warning = misleads.removeprefix(MISLEADS)
    last = f"**When it misleads.** {warning[0].upper()}{warning[1:]}\n"
    return "\n\n".join([f"### {metric.name}", head, *about, last])


def paragraphs(metric: Metric) -> list[str]:
    """The paragraphs of a metric's docstring up to the arguments, each as one line; the last says when it misleads.

    An indented paragraph is an equation, whose lines stay.
    """
    text = SECTIONS.split(inspect.getdoc(metric.function) or "")[0]
    found = [part if part.startswith(" ") else " ".join(part.split()) for part in text.strip().split("\n\n")]
    return sorted(found, key=lambda part: part.startswith(MISLEADS))


def write() -> None:
    """Write both pages."""
    for name, text in (("methods", methods()), ("metrics", metrics())):
        (DOCS / f"{name}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
