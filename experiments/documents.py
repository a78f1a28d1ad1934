"""Clean printed pages of folds, creases, coffee and bad light: `python -m experiments.documents`.

Fits `variant=document_ae` on coloured patches of `data=documents`, unless that model is saved already, and judges it on
whole pages in fonts and words that it never saw: results/documents/. `--clean photo.jpg` cleans a page of one's own.
Overrides of the configuration may follow, as those of `zoo run`: `budget.epochs=2`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from scipy import ndimage
from torch import Tensor

from zoo.data.sources.printed import FONTS, Part, printed_pages
from zoo.errors import ZooError
from zoo.files import write_atomically
from zoo.model.autoencoder import Autoencoder
from zoo.model.corruptions import Paper
from zoo.model.io import build_model, load_model, save_model
from zoo.report.figures.style import save
from zoo.report.figures.whole_pages import pages as draw_pages
from zoo.runs.compose import composed, composing
from zoo.runs.job import Job
from zoo.types import Shape

SETTING = ("data=documents", "variant=document_ae", "data.source.colour=true", "trainer.precision=bf16-mixed")
PAGES, SEED = 12, 1_000  # that are judged, and what they and their damage are drawn from; training pages have seed 0
WHOLE: dict[str, Any] = {"folds": 2, "creases": 8, "rings": 2, "chance": 1.0}  # a page is 75 patches large
KINDS: dict[str, set[str]] = {
    "none": set(),
    "folds": {"folds"},
    "creases": {"creases"},
    "coffee": {"rings"},
    "light": {"light", "age"},
    "ink": {"wear"},
}
NOTHING: dict[str, Any] = {"folds": 0, "creases": 0, "rings": 0, "light": 0.0, "age": 0.0, "wear": 0.0, "noise": 0.0}
SHOWN, CORNER = 2, (268, 270)  # page in the figure, and its detail


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit, judge, draw; or clean one page."""
    parser = argparse.ArgumentParser(prog="python -m experiments.documents", description=__doc__)
    parser.add_argument("--clean", type=Path, metavar="IMAGE", help="write IMAGE-clean.png, and nothing else")
    parser.add_argument("overrides", nargs="*", help="of the configuration")
    asked = parser.parse_intermixed_args(arguments)
    try:
        with composing([*SETTING, *asked.overrides]) as given:
            job = Job.of(composed("config", given))
        torch.set_num_threads(job.threads)
        if asked.clean is not None:
            page = read(asked.clean)
            to = asked.clean.with_name(f"{asked.clean.stem}-clean.png")
            pixels = clean(fitted(job), job.config, page[None])[0].mul(255).round().byte()
            Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(to)
            print(to)
        else:
            report(job, fitted(job))
    except ZooError as error:
        sys.exit(f"error: {error}")


def fitted(job: Job) -> Autoencoder:
    """The model of `job`, from its file, or fitted and saved there."""
    if not job.model_path.exists() or job.force:
        data = job.make("data")
        model = build_model(job.config, data.shape, job.seed)
        fit = job.make("fit")(model, data, job.make("objective"), job.seed)
        save_model(job.model_path, model, job.config, data.form, job.seed)
        write_json(job.model_path.with_suffix(".json"), asdict(fit))
    return load_model(job.model_path)


@torch.inference_mode()
def clean(model: Autoencoder, config: dict[str, Any], pages: Tensor) -> Tensor:
    """Pages of any size as the model makes them out: (N, 3, H, W) in [0, 1] -> the same.

    The model is built anew for the page's size, with as many units to a pixel, and takes the fitted weights.

    Raises:
        ZooError: the model's network is not fully convolutional.
    """
    *_, height, width = pages.shape
    side = config["data"]["source"]["size"]
    cells = (-(-height // side), -(-width // side))
    shape: Shape = (pages.shape[1], cells[0] * side, cells[1] * side)
    units = config["bottleneck"]["width"] * cells[0] * cells[1]
    large = build_model(config | {"bottleneck": config["bottleneck"] | {"width": units}}, shape, 0).eval()
    try:
        large.load_state_dict(model.state_dict())
    except RuntimeError as error:
        raise ZooError(
            f"network={config['network']['option']}: its weights fit patches of {side}x{side} alone; a page needs "
            "network=fully_conv"
        ) from error
    padded = torch.nn.functional.pad(pages, (0, shape[2] - width, 0, shape[1] - height), "replicate")
    return torch.cat([large.reconstruct(page[None]) for page in padded])[..., :height, :width].clamp(0, 1)


def median(page: Tensor) -> Tensor:
    """The median of 3x3 pixels, channel by channel: (C, H, W) -> (C, H, W)."""
    return torch.from_numpy(ndimage.median_filter(page.numpy(), size=(1, 3, 3)))


def flattened(page: Tensor) -> Tensor:
    """The page divided by its background, the grey closing over 15x15 pixels, smoothed: (C, H, W) -> (C, H, W)."""
    background = ndimage.gaussian_filter(ndimage.grey_closing(page.numpy(), size=(1, 15, 15)), sigma=(0, 3, 3))
    return (page / torch.from_numpy(background).clamp_min(0.05)).clamp(0, 1)


def report(job: Job, model: Autoencoder) -> None:
    """Judge the model on whole pages and write results/documents/."""
    corruption = job.make("corruption")
    if not isinstance(corruption, Paper):
        raise ZooError(f"corruption={type(corruption).__name__}: pages are damaged by corruption=paper alone")
    whole = replace(corruption, **WHOLE)

    def damaged(true: Tensor, paper: Paper) -> Tensor:
        return paper(true, torch.Generator().manual_seed(SEED))[0]

    def each(repair: Callable[[Tensor], Tensor], dirty: Tensor) -> Tensor:
        return torch.stack([repair(page) for page in dirty])

    errors: dict[str, dict[str, float]] = {}
    parts: tuple[tuple[str, Part], ...] = (("new fonts and words", "test"), ("fonts and words of training", "train"))
    for name, part in parts:
        true = printed_pages(part, PAGES, SEED).float().div(255).repeat(1, 3, 1, 1)
        dirty = damaged(true, whole)
        repaired = {
            "damaged page": dirty,
            "white sheet": torch.ones_like(true),
            "median filter": each(median, dirty),
            "divided by its background": each(flattened, dirty),
            "document_ae": clean(model, job.config, dirty),
        }
        errors[name] = {way: error(page, true) for way, page in repaired.items()}
        if part == "test":
            shown = {
                "damaged": dirty[SHOWN],
                "cleaned by document_ae": repaired["document_ae"][SHOWN],
                "as printed": true[SHOWN],
            }
            kinds = {}
            for kind, kept in KINDS.items():
                alone = damaged(true, replace(whole, **{k: v for k, v in NOTHING.items() if k not in kept}))
                kinds[kind] = {"damaged": error(alone, true), "cleaned": error(clean(model, job.config, alone), true)}
    folder = job.results / "documents"
    said = {
        "command": "python -m experiments.documents",
        "model": {
            "hash": job.key,
            "seed": job.seed,
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
        },
        "pages": {"n": PAGES, "seed": SEED, "damage": asdict(whole), "fonts": FONTS},
        "mse": errors,
        "mse_by_kind_of_damage": kinds,
    }
    write_json(folder / "documents.json", said)
    ways = errors["new fonts and words"]
    subtitle = f"fonts and words not in training; mse over {PAGES} pages: {ways['damaged page']:.4f} damaged"
    subtitle += f", {ways['document_ae']:.4f} cleaned"
    save(draw_pages(shown, CORNER, "A page, and what passes the bottleneck", subtitle), folder / "pages.png")
    write_atomically(folder / "README.md", markdown(said).encode())
    for name, row in errors.items():
        print(name, *(f"{way} {value:.5f}" for way, value in row.items()), sep="\n  ")
    print(folder / "README.md")


def error(pages: Tensor, true: Tensor) -> float:
    """Mean squared error per pixel and channel, to four digits."""
    return float(f"{(pages - true).square().mean().item():.4g}")


def markdown(said: dict[str, Any]) -> str:
    """The page that tells what the JSON says."""
    new, old = said["mse"].values()
    rows = [
        f"| {way} | {value:.5f} | {value / new['damaged page']:.2f} | {old[way]:.5f} |" for way, value in new.items()
    ]
    kinds = [
        f"| {kind} | {row['damaged']:.5f} | {row['cleaned']:.5f} |"
        for kind, row in said["mse_by_kind_of_damage"].items()
    ]
    return "\n".join(
        [
            "# Printed pages, cleaned",
            "",
            f"Written by `{said['command']}`; the numbers stand in [documents.json](documents.json).",
            "",
            "![A damaged page, the cleaned page, the true page](pages.png)",
            "",
            f"A fully convolutional denoising autoencoder, {said['model']['parameters']:,} parameters, fitted on "
            f"damaged patches. It is judged on {said['pages']['n']} whole pages in fonts and words that it never saw. "
            "Pages and damage are drawn by code; photographs of real pages are another matter.",
            "",
            "| page | mse, new fonts and words | of the damaged page's | mse, fonts and words of training |",
            "|:--|--:|--:|--:|",
            *rows,
            "",
            "One kind of damage alone. Even a clean page loses "
            f"{said['mse_by_kind_of_damage']['none']['cleaned']:.5f}, the sharpness of its letters, in a code of a "
            "twelfth as many numbers as the page has: one with little damage is better left alone.",
            "",
            "| damage | mse, damaged | mse, cleaned |",
            "|:--|--:|--:|",
            *kinds,
            "",
        ]
    )


def read(path: Path) -> Tensor:
    """An image file as (3, H, W) in [0, 1]."""
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError) as error:
        raise ZooError(f"{path}: no image that Pillow can read ({error}); give a PNG or JPEG file") from error
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float().div(255)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write `content`, whole or not at all."""
    write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
