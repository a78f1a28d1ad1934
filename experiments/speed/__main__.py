"""Measure how fast the zoo is: `python -m experiments.speed`, a quarter of an hour on two cores.

`parts=[recipe,quality,own,growth,precision]` measures what takes hours more; `quick=true` checks within a minute that
all works; what has been measured is kept, unless `force=true`. Each part leaves results/speed/<part>.json; README.md is
written from all. Nothing else should run on the machine. Pythae takes part where it is installed:
pip install 'bottleneck-zoo[pythae]'.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from zoo.errors import ZooError
from zoo.files import write_atomically

MODULES = {
    "fits": ("loop", "recipe", "quality", "sweep", "precision", "gpu"),
    "library": ("growth", "pca", "evaluation"),
    "own": ("own",),
}
PARTS = {part: f"experiments.speed.{module}" for module, parts in MODULES.items() for part in parts}


def main(overrides: Sequence[str] | None = None) -> None:
    """Measure the parts that are asked for and not there yet, then write table and figure."""
    try:
        cfg = settings(sys.argv[1:] if overrides is None else overrides)
        if unknown := [part for part in cfg.parts if part not in PARTS]:
            raise ZooError(f"parts={unknown}: no such part of the benchmark; choose of {', '.join(PARTS)}")
        folder = Path(cfg.paths.results) / "speed" / ("quick" if cfg.quick else "")
        measure_parts(cfg, folder)
    except ZooError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def settings(overrides: Sequence[str]) -> DictConfig:
    """sizes.yaml under overrides such as quick=true or parts=[loop,pca].

    Raises:
        ZooError: an override names no setting.
    """
    cfg = OmegaConf.load(Path(__file__).with_name("sizes.yaml"))
    assert isinstance(cfg, DictConfig)
    OmegaConf.set_struct(cfg, True)
    try:
        cfg.merge_with_dotlist(list(overrides))
    except OmegaConfBaseException as error:
        raise ZooError(f"{' '.join(overrides)}: {str(error).splitlines()[0]}") from error
    return cfg


def measure_parts(cfg: DictConfig, folder: Path) -> None:
    """One file per part, each written as soon as it is measured."""
    import torch

    from experiments.speed.bench import Bench
    from experiments.speed.report import tell
    from zoo.runs.single import environment  # torch and Lightning take seconds to import

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
