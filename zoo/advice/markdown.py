"""Advice as a page: Markdown, pictures, and a text for the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from zoo.advice.verdict import TASKS, Advice, Answer
from zoo.files import write_atomically
from zoo.report.figures.style import HEAD, INK, MARGIN, MUTED, look, place, save, sheet, styled

COLUMNS = 80
SHOWN, FEATURES, ROWS = 10, 6, 3  # images in a row; features and samples of a table
SIDE, GAP, LABEL = 0.6, 0.04, 1.75  # inches
METHOD = """## How this was measured

One sample in five of each class was held out before anything was fitted. All numbers are measured on these samples.
Methods were fitted by successive halving (Jamieson and Talwalkar 2016): all for a ninth of the epochs, the best of
every task for a third, the best of these for all. Methods with fewer epochs may be better than they look here.

- **Error** is {error}, per sample.
- **Intervals** come from 1,000 paired resamples of the held-out samples. The same samples chose the methods, and each
  method was fitted with one seed, so the intervals are somewhat too narrow. Differences below 2 % (or one percentage
  point) do not count.
- **Simplest**: of methods that are not clearly worse than the best, the one advised is PCA, then probabilistic PCA,
  factor analysis, then the one with the fewest parameters.
- **Other codes**: those of `topk` (active units of a large dictionary) and `vq_vae` (symbols) are left out of
  reconstruction and sampling, which compare codes with the same number of values.
"""
ERRORS = {
    "image": "the sum of squared differences of pixels, scaled to [0, 1]",
    "vector": "the sum of squared differences of standardised features",
    "counts": "the squared Hellinger distance of the proportions",
}


def as_text(advice: Advice) -> str:
    """The summary and the answers, in 80 columns."""
    parts = [filled(" ".join(advice.summary))]
    for answer in advice.answers.values():
        head = f"{TASKS[answer.task].aim}: {answer.variant}, width {answer.width}"
        parts.append("\n".join([head, filled(sentence(answer), "  "), filled(f"Cost: {answer.cost}.", "  ")]))
    return "\n\n".join(parts)


def filled(text: str, indent: str = "") -> str:
    """A text broken into lines of 80 columns."""
    return textwrap.fill(text, COLUMNS, initial_indent=indent, subsequent_indent=indent, break_long_words=False)


def sentence(answer: Answer) -> str:
    """The value of an answer, how certain it is, and what it means."""
    said = f"{answer.unit[0].upper()}{answer.unit[1:]} {answer.value:.4g}: {answer.sure}."
    return f"{said} {answer.note}".strip()


def write_page(advice: Advice, folder: Path, content: str) -> list[Path]:
    """README.md, advice.json and pictures; returns their paths."""
    figures = {"error_against_width.png": width_curve(advice)}
    if advice.held.form.kind == "image" and advice.answers:
        figures["pictures.png"] = pictures(advice)
    for name, figure in figures.items():
        save(figure, folder / name)
    write_atomically(folder / "advice.json", content.encode())
    write_atomically(folder / "README.md", page(advice, list(figures)).encode())
    return [folder / name for name in ("README.md", "advice.json", *figures)]


def page(advice: Advice, figures: Sequence[str]) -> str:
    """The page in Markdown."""
    answers = advice.answers.values()
    summary = [
        [
            TASKS[a.task].aim,
            f"`{a.variant}`",
            str(a.width),
            f"{a.value:.4g}",
            f"{a.unit}, {'lower' if TASKS[a.task].lower else 'higher'} is better",
            a.short,
        ]
        for a in answers
    ]
    parts = [
        "# Which autoencoder for these samples",
        textwrap.fill(" ".join(advice.summary), 120),
        markdown(["for", "use", "width", "value", "of", "how sure"], summary),
        "![Error against width](error_against_width.png)",
    ]
    if "pictures.png" in figures:
        parts.append("![Held-out images and their reconstructions by the advised models](pictures.png)")
    elif advice.answers:
        parts += ["Held-out samples and their reconstructions:", example(advice)]
    if advice.answers:
        parts.append("In the lines of Python, `x` is the array of samples, and `labels` are their classes.")
    for answer in answers:
        parts += [
            f"## {TASKS[answer.task].aim}: `{answer.variant}`, width {answer.width}",
            textwrap.fill(sentence(answer), 120),
            f"Cost: {answer.cost}.",
            f"```sh\n{answer.command}\n```",
            f"```python\n{answer.python}\n```",
        ]
    parts += ["## All fits", fits_table(advice), METHOD.format(error=ERRORS[advice.held.form.kind])]
    return "\n\n".join(parts)


def fits_table(advice: Advice) -> str:
    """Every trial, by width and error."""
    keys = [
        k
        for k in ("compression", "probing", "adjusted_rand_index", "sampling", "outliers")
        if any(r.get(k) is not None for r in advice.table)
    ]
    names = {
        "compression": "bits",
        "probing": "probe accuracy",
        "adjusted_rand_index": "clusters (Rand index)",
        "sampling": "samples (F1)",
        "outliers": "outliers (AUC)",
    }
    head = ["method", "width", "epochs", "error", *(names[k] for k in keys), "parameters", "fit (s)"]
    rows = []
    for r in sorted(advice.table, key=lambda r: (r["width"], r["error"])):
        own = ["" if r.get(k) is None else f"{r[k]:.0f}" if k == "compression" else f"{r[k]:.3f}" for k in keys]
        rows.append(
            [
                f"`{r['variant']}`",
                str(r["width"]),
                str(r["epochs"] or "closed form"),
                f"{r['error']:.4g}",
                *own,
                f"{r['parameters']:,}",
                f"{r['fit_seconds']:.1f}",
            ]
        )
    return markdown(head, rows) + "\n\nBits are empty where a code cannot reach the target error."


def example(advice: Advice) -> str:
    """A few held-out vectors beside their reconstructions."""
    answer = next(iter(advice.answers.values()))
    x = advice.held.validation[:ROWS]
    back = answer.model.reconstruct(x)
    names = advice.held.form.features or tuple(f"feature {k + 1}" for k in range(x.shape[1]))
    rows = []
    for number, (own, ours) in enumerate(zip(x, back, strict=True), 1):
        for what, values in ((f"sample {number}", own), (f"`{answer.variant}`, width {answer.width}", ours)):
            rows.append([what, *(f"{value:.4g}" for value in values[:FEATURES])])
    return markdown(["", *names[:FEATURES]], rows)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; all columns but the first are aligned to the right."""
    lines = [head, [":---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


@styled
def width_curve(advice: Advice) -> Figure:
    """Error against width: PCA's whole curve, and each method where it was fitted longest."""
    wide, high = 4.6, 3.0
    most = max((t.epochs for t in advice.trials), default=0)
    figure, _ = sheet(
        MARGIN + 0.65 + wide + 1.6,
        HEAD + high + 0.6,
        "Error against width",
        f"{advice.held.total:,} samples, judged by the {len(advice.held.validation):,} held out"
        + ("; open markers: fewer epochs" if any(0 < t.epochs < most for t in advice.trials) else ""),
    )
    ax = place(figure, MARGIN + 0.65, HEAD, wide, high)
    curve = advice.curve
    ax.plot(curve.widths, curve.errors, color=INK, label="pca")
    ax.axvline(curve.knee, color=MUTED, lw=0.6, ls=":", label=f"bend, {curve.knee}")
    for variant in dict.fromkeys(t.candidate.variant for t in advice.trials if "reconstruction" in t.scores):
        found = sorted((t for t in advice.trials if t.candidate.variant == variant), key=lambda t: t.candidate.width)
        if variant in ("pca", "ppca"):  # the same reconstructions, or nearly so
            continue
        colour, marker = look(variant)
        full = [t for t in found if t.epochs in (0, most)]
        for some, filled_in in ((full, True), ([t for t in found if t not in full], False)):
            points = [t.candidate.width for t in some], [t.more["error"] for t in some]
            label = variant if some and (filled_in or not full) else None
            ax.plot(
                *points,
                marker,
                ls="-" if filled_in else "",
                color=colour,
                mfc=colour if filled_in else "none",
                label=label,
            )
    # linear axes, on which PCA's curve bends at its knee
    ax.set(xlabel="width of the code", ylabel="error per sample")
    drawn = [t.more["error"] for t in advice.trials if "reconstruction" in t.scores]
    ax.set_ylim(0, max([*drawn, curve.errors[0]]) * 1.05)
    ax.set_xlim(0, min(curve.widths[-1], 4 * curve.knee + 4))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(True)
    ax.legend(loc="upper left", bbox_to_anchor=(1.02, 1), frameon=False)
    return figure


@styled
def pictures(advice: Advice) -> Figure:
    """Held-out images, their reconstructions by the advised model and by PCA of the same width, and new samples."""
    x, form = advice.held.validation[:SHOWN], advice.held.form
    rows: list[tuple[str, NDArray[Any]]] = [("held-out images", x)]
    answer = advice.answers.get("reconstruction")
    if answer is not None:
        if answer.variant != "pca":
            rows.append((f"{answer.variant}, width {answer.width}", answer.model.reconstruct(x)))
        same = [t for t in advice.trials if t.candidate.variant == "pca" and t.candidate.width == answer.width]
        rows += [(t.candidate.name, t.model.reconstruct(x)) for t in same]
    if (drawn := advice.answers.get("sampling")) is not None:
        trial = next(t for t in advice.trials if t.model is drawn.model)
        new = drawn.model.sample(SHOWN, 0, trial.more["density"])
        rows.append((f"new: {drawn.variant}, width {drawn.width}", new))
    low, high = float(advice.held.train.min()), float(advice.held.train.max())
    figure, ax = sheet(
        MARGIN + LABEL + SHOWN * (SIDE + GAP) + MARGIN,
        HEAD + len(rows) * (SIDE + GAP) + MARGIN,
        "What the advised models do",
        "on the first held-out images",
    )
    for line, (name, images) in enumerate(rows):
        top = HEAD + line * (SIDE + GAP)
        ax.text(MARGIN, top + SIDE / 2, name, va="center")
        inner = form.arranged(images).numpy().transpose(0, 2, 3, 1).astype(float)
        scaled = np.clip((inner - low) / max(high - low, 1e-12), 0, 1)
        for column, image in enumerate(scaled):
            spot = place(figure, MARGIN + LABEL + column * (SIDE + GAP), top, SIDE, SIDE)
            spot.imshow(
                image[..., :3] if image.shape[2] >= 3 else image[..., 0],
                cmap="gray",
                vmin=0,
                vmax=1,
                interpolation="nearest",
            )
            spot.axis("off")
    return figure
