"""Measure how fast the zoo is: `python -m experiments.speed`, a quarter of an hour on two cores.

`parts=[recipe,quality,growth,precision]` measures what takes another hour; `quick=true` checks within a minute that all
works; what has been measured is kept, unless `force=true`. Each part leaves results/speed/<part>.json; README.md and
benchmark.png are written from all. Nothing else should run on the machine. Pythae takes part where it is installed:
pip install 'bottleneck-zoo[pythae]'.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from pathlib import Path

import hydra
from omegaconf import DictConfig
from rich.console import Console

from zoo.errors import ZooError
from zoo.records import write_atomically

MODULES = {
    "fits": ("loop", "recipe", "quality", "growth"),
    "pools": ("startup", "sweep", "precision"),
    "library": ("pca", "evaluation"),
    "gpu": ("gpu",),
}
PARTS = {part: f"experiments.speed.{module}" for module, parts in MODULES.items() for part in parts}


@hydra.main(version_base="1.3", config_path="../../conf", config_name="speed")
def main(cfg: DictConfig) -> None:
    """Measure the parts that are asked for and not there yet, then write table and figure."""
    try:
        if unknown := [part for part in cfg.parts if part not in PARTS]:
            raise ZooError(f"parts {unknown} do not exist; choose of {', '.join(PARTS)}")
        folder = Path(cfg.paths.results) / "speed" / ("quick" if cfg.quick else "")
        measure_parts(cfg, folder)
    except ZooError as error:
        sys.exit(f"error: {error}")


def measure_parts(cfg: DictConfig, folder: Path) -> None:
    """One file per part, each written as soon as it is measured."""
    import torch

    from experiments.single import environment  # torch and Lightning take seconds to import
    from experiments.speed.bench import Bench
    from experiments.speed.report import tell

    torch.set_num_threads(1)
    console = Console(highlight=False)
    with Bench.of(cfg) as bench:
        for part in cfg.parts:
            path = folder / f"{part}.json"
            if path.exists() and not cfg.force:
                console.print(f"{part}: measured before (force=true measures again)")
                continue
            if part == "gpu" and not torch.cuda.is_available():
                console.print("gpu: there is none here")
                continue
            start = time.perf_counter()
            with console.status(part):
                found = getattr(import_module(PARTS[part]), part)(bench).as_json()
            seconds = time.perf_counter() - start
            content = {"part": part, "quick": cfg.quick, "took_seconds": seconds, **found, "environment": environment()}
            write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())
            console.print(f"{part}: {seconds:.0f} s")
    tell([folder / f"{part}.json" for part in PARTS], folder)


if __name__ == "__main__":
    main()
