"""Clean pages of coffee, folds, footprints and wrinkles: `python -m experiments.documents`.

Fits `variant=document_ae` on real pages, `data=pages`, unless that model is saved already; judges it on pages whose
text it never saw, and writes numbers, a figure and the model to results/documents/. Overrides of the configuration may
follow, as those of `zoo run`. `--clean photo.jpg` cleans your own picture with the model in results/documents/.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image, ImageOps
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from zoo.data.sources.page_pairs import Pair, black_pages, divided_pairs, grey_pair, paired
from zoo.errors import ZooError
from zoo.files import write_atomically
from zoo.model.autoencoder import Autoencoder
from zoo.model.corruptions import Paper
from zoo.model.io import Saved, build_model, load_model, read_model, save_model
from zoo.options import Node
from zoo.report.figures.style import save
from zoo.report.figures.whole_pages import pages as draw_pages
from zoo.runs.compose import composed, composing
from zoo.runs.job import Job
from zoo.types import Shape

SETTING = (
    "data=pages",
    "variant=document_ae",
    "corruption=dirt",
    "width=3072",  # of a patch of 4,096 pixels
    "network.filters=[64]",
    "network.dilations=[1,2,4,8]",
    "data.source.n_train=8000",
    "budget.batch_size=8",
    "budget.epochs=10",
    "optimizer=muon",
    "trainer.precision=bf16-mixed",
    "trainer.threads=2",
)
MODEL = Path(__file__).parents[1] / "results" / "documents" / "cleaner.safetensors"
PAGES = Path("data/NoisyOffice")
ADDRESS = "https://archive.ics.uci.edu/dataset/318/noisyoffice"
KINDS = ("coffee", "folds", "footprints", "wrinkles")  # the order in which NoisyOffice lists the copies of a page
DRAWN, SEED = 3, 1_000  # drawn pages that are judged, and what they and their damage are drawn from
WHOLE = Paper(folds=2, creases=8, rings=2, chance=1.0)  # a page is 75 patches large
CROP = (140, 400)  # height and width, in the figure
STRIP, EDGE = 1024, 96  # rows of a large page that are cleaned at once, and rows around them that they depend on
DETAIL = (0, 100)  # row and column of the detail
Way = Callable[[Tensor], Tensor]
Pages = tuple[list[Tensor], list[Tensor]]  # dirty and clean, each (1, H, W)


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit, judge, draw; or clean one picture."""
    parser = argparse.ArgumentParser(prog="python -m experiments.documents", description=__doc__)
    parser.add_argument("--clean", type=Path, metavar="IMAGE", help="write IMAGE-clean.png, and nothing else")
    parser.add_argument("--model", type=Path, default=MODEL, help="that cleans the image (default: %(default)s)")
    parser.add_argument(
        "--pages", type=Path, default=PAGES, help="folder with dirty/ and clean/ (default: %(default)s)"
    )
    parser.add_argument("overrides", nargs="*", help="of the configuration of the fit")
    asked = parser.parse_intermixed_args(arguments)
    try:
        if asked.clean is not None:
            print(clean_picture(asked.clean, asked.model))
        else:
            if not asked.pages.is_dir():
                raise ZooError(f"{asked.pages}: no such folder; give --pages, or unpack NoisyOffice there: {ADDRESS}")
            job = job_of(asked.pages, asked.overrides)
            torch.set_num_threads(job.threads)
            report(job, asked.pages, fitted(job))
    except ZooError as error:
        sys.exit(f"error: {error}")


def job_of(folder: Path | str, overrides: Sequence[str] = ()) -> Job:
    """The fit on the pages of a folder."""
    places = [f"data.source.path={folder}", f"corruption.path={folder}"]
    with composing([*SETTING, *places, *overrides]) as given:
        return Job.of(composed("config", given))


def fitted(job: Job) -> Autoencoder:
    """The model of `job`, from its file, or fitted and saved there."""
    if not job.model_path.exists() or job.force:
        data = job.make("data")
        model = build_model(job.config, data.shape, job.seed)
        fit = job.make("fit")(model, data, job.make("objective"), job.seed)
        save_model(job.model_path, model, job.config, data.form, job.seed)
        write_json(job.model_path.with_suffix(".json"), asdict(fit))
    return load_model(job.model_path)


def clean_picture(path: Path, model: Path) -> Path:
    """Clean a picture, channel by channel where it is coloured, and write it beside it; return where.

    Raises:
        ZooError: no picture, or no model that cleans pages.
    """
    page = read(path)
    saved: Saved = read_model(model)
    if saved.form.kind != "image" or saved.form.inner_shape[0] != 1:
        raise ZooError(f"{model}: a model of {saved.form.kind} {saved.form.inner_shape}; pages need one of grey images")
    cleaned = clean(saved.model, saved.config, page[:, None])[:, 0]
    to = path.with_name(f"{path.stem}-clean.png")
    Image.fromarray(cleaned.mul(255).round().byte().movedim(0, -1).squeeze(-1).numpy()).save(to)
    return to


@torch.inference_mode()
def clean(model: Autoencoder, config: dict[str, Node], pages: Tensor) -> Tensor:
    """Pages of any size, reconstructed: (N, C, H, W) in [0, 1] -> the same.

    Large pages are cleaned in strips, each with the rows around it that its pixels depend on.

    Raises:
        ZooError: the model's network is not fully convolutional.
    """
    strips = []
    for top in range(0, pages.shape[2], STRIP):
        start = max(0, top - EDGE)
        rows = _reconstructed(model, config, pages[:, :, start : top + STRIP + EDGE])
        strips.append(rows[:, :, top - start : top - start + STRIP])
    return torch.cat(strips, 2)


def _reconstructed(model: Autoencoder, config: dict[str, Node], pages: Tensor) -> Tensor:
    """`clean` in one piece, by the model built anew for the page's size, with as many units per pixel."""
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
    padded = F.pad(pages, (0, shape[2] - width, 0, shape[1] - height), "replicate")
    return torch.cat([large.reconstruct(page[None]) for page in padded])[..., :height, :width].clamp(0, 1)


def median(page: Tensor) -> Tensor:
    """The median of 3x3 pixels, channel by channel: (C, H, W) -> (C, H, W)."""
    return torch.from_numpy(ndimage.median_filter(page.numpy(), size=(1, 3, 3)))


def flattened(page: Tensor) -> Tensor:
    """The page divided by its background, the grey closing over 15x15 pixels, smoothed: (C, H, W) -> (C, H, W)."""
    background = ndimage.gaussian_filter(ndimage.grey_closing(page.numpy(), size=(1, 15, 15)), sigma=(0, 3, 3))
    return (page / torch.from_numpy(background).clamp_min(0.05)).clamp(0, 1)


def report(job: Job, folder: Path, model: Autoencoder) -> None:
    """Judge the model on test pages of a folder and on drawn pages, and write results/documents/."""
    data = job.config["data"]["source"]
    train, test = divided_pairs(paired(folder), data["test_fraction"], data["split_seed"])
    ways: dict[str, Way] = {
        "as they are": lambda page: page,
        "median filter": median,
        "divided by their background": flattened,
        "document_ae": lambda page: clean(model, job.config, page[None])[0],
    }
    sets = {"test pages": judged_pages(test), "drawn pages": drawn_pages()}
    errors = {
        name: {
            way: {kind: error(map(repair, dirty), true) for kind, (dirty, true) in kinds.items()}
            for way, repair in ways.items()
        }
        for name, kinds in sets.items()
    }
    to = job.results / "documents"
    found = {
        "command": f"python -m experiments.documents --pages {folder.name}",
        "model": {
            "hash": job.key,
            "seed": job.seed,
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "units_per_pixel": model.bottleneck.out_features / data["size"] ** 2,
            "threads": job.threads,
            "fit_seconds": json.loads(job.model_path.with_suffix(".json").read_text())["seconds"],
        },
        "pages": {"train": clean_pages(train), "test": clean_pages(test)},
        "rmse": errors,
    }
    write_json(to / "documents.json", found)
    save(figure(sets["test pages"], ways, found), to / "pages.png")
    write_atomically(to / "README.md", markdown(found).encode())
    write_atomically(to / MODEL.name, job.model_path.read_bytes())
    print(markdown(found))
    print(to / "README.md")


def judged_pages(pairs: Sequence[Pair]) -> dict[str, Pages]:
    """{kind of dirt: (dirty, clean)}, "all" of them, and the clean pages as if they were dirty."""
    copies: dict[Path, list[Pair]] = defaultdict(list)
    for pair in pairs:
        copies[pair.clean].append(pair)
    named = all(len(pages) == len(KINDS) for pages in copies.values())
    found: dict[str, Pages] = defaultdict(lambda: ([], []))
    for pages in copies.values():
        for place, pair in enumerate(pages):
            dirty, true = (torch.from_numpy(page / np.float32(255))[None] for page in grey_pair(pair))
            for kind in ("all", *([KINDS[place]] if named else [])):
                found[kind][0].append(dirty)
                found[kind][1].append(true)
        found["clean"][0].append(true)
        found["clean"][1].append(true)
    return {kind: found[kind] for kind in ("all", *KINDS, "clean") if kind in found}


def drawn_pages() -> dict[str, Pages]:
    """Drawn pages with drawn damage, in fonts and words that are not in training, and the same without damage."""
    true = black_pages("test", DRAWN, SEED).float().div(255)
    dirty, _ = WHOLE(true, torch.Generator().manual_seed(SEED))
    return {"all": (list(dirty), list(true)), "clean": (list(true), list(true))}


def clean_pages(pairs: Sequence[Pair]) -> list[str]:
    """Names of the clean pages, each once."""
    return list(dict.fromkeys(pair.clean.name for pair in pairs))


def error(pages: Iterable[Tensor], true: Iterable[Tensor]) -> float:
    """Root mean squared error over all pixels of pages (C, H, W), to four digits."""
    squares = [(page - other).square().flatten() for page, other in zip(pages, true, strict=True)]
    return float(f"{torch.cat(squares).mean().sqrt().item():.4g}")


def figure(kinds: dict[str, Pages], ways: dict[str, Way], found: dict[str, Any]) -> Figure:
    """A part of a test page with each kind of dirt, one below the other, cleaned by each way."""
    shown = [kind for kind in kinds if kind in KINDS] or ["all"]
    height, width = CROP

    def crops(repair: Way, side: int) -> Tensor:
        whole = [repair(kinds[kind][side][0]) for kind in shown]
        return torch.cat([page[:, -height:, :width] for page in whole], 1)

    columns = {
        "dirty": crops(ways["as they are"], 0),
        "divided by its background": crops(ways["divided by their background"], 0),
        "cleaned by document_ae": crops(ways["document_ae"], 0),
        "clean": crops(ways["as they are"], 1),
    }
    ours = found["rmse"]["test pages"]
    subtitle = f"a page whose text is not in training; root mean squared error over {len(kinds['all'][0])} such pages: "
    subtitle += ", ".join(f"{way} {row['all']:.3f}" for way, row in ours.items())
    return draw_pages(columns, DETAIL, "Dirty pages, cleaned by an autoencoder", subtitle)


def markdown(found: dict[str, Any]) -> str:
    """The page that shows what the JSON holds."""
    tables = []
    for name, errors in found["rmse"].items():
        kinds = list(next(iter(errors.values())))
        tables += [
            f"| {name} | "
            + " | ".join({"clean": "clean pages", "all": "all dirt"}.get(kind, kind) for kind in kinds)
            + " |",
            "|:--|" + "--:|" * len(kinds),
            *(f"| {way} | " + " | ".join(f"{row[kind]:.4f}" for kind in kinds) + " |" for way, row in errors.items()),
            "",
        ]
    model, pages = found["model"], found["pages"]
    return "\n".join(
        [
            "# Dirty pages, cleaned",
            "",
            f"Written by `{found['command']}`; the numbers are in [documents.json](documents.json).",
            "",
            "![Dirty pages, cleaned pages, clean pages](pages.png)",
            "",
            f"A fully convolutional denoising autoencoder, {model['parameters']:,} parameters, fitted in "
            f"{model['fit_seconds'] / 60:.0f} minutes on {model['threads']} threads to patches of "
            f"{len(pages['train'])} clean pages of NoisyOffice and of drawn pages. Real dirt of the training pages and "
            "drawn dirt were put on them. It is judged on all copies of the "
            f"{len(pages['test'])} clean pages that are not in training. The code has {model['units_per_pixel']:g} "
            f"numbers per pixel. The model is [cleaner.safetensors]({MODEL.name}); "
            "`python -m experiments.documents --clean photo.jpg` cleans a picture with it.",
            "",
            'Root mean squared error, of the pixel range; lower is better. "Clean pages": pages without dirt.',
            "",
            *tables,
            "Limitations: NoisyOffice has the same few photographs of dirt under many texts, so that the texts of the "
            "test pages are new, and their dirt is not. Drawn pages have fonts and words that are not in training, and "
            "drawn damage of the kinds in training. Letters should be 10 to 40 pixels high. Pictures and large black "
            "areas were not in training.",
            "",
            f"NoisyOffice: M. Castro-Bleda, S. España-Boquera, J. Pastor-Pellicer, F. Zamora-Martínez, {ADDRESS} "
            "(CC BY 4.0).",
            "",
        ]
    )


def read(path: Path) -> Tensor:
    """An image file, upright and on white: (C, H, W) in [0, 1], one channel where it is grey.

    Raises:
        ZooError: no image that can be read.
    """
    try:
        with Image.open(path) as image:
            if image.mode[0] in "IF":
                raise ZooError(f"{path}: {image.mode} pixels, and a page has 8 bits per channel; convert it")
            upright = ImageOps.exif_transpose(image).convert("RGBA")
            pixels = np.asarray(Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright))[..., :3]
    except ZooError:
        raise
    except Exception as error:  # what Pillow raises depends on the format, and on how the file is broken
        raise ZooError(f"{path}: no image that Pillow can read ({error}); give a PNG or JPEG file") from error
    page = torch.from_numpy(pixels.copy()).permute(2, 0, 1).float().div(255)
    return page[:1] if (page == page[:1]).all() else page


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write `content`, whole or not at all."""
    write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
