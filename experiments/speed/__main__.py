"""Measure how fast the zoo is: `python -m experiments.speed`, half an hour on two cores.

The parts recipe, defaults, growth and memory take hours, `parts=[gpu]` a GPU. Each part leaves
results/speed/<part>.json, and README.md is written from all; a part whose file is there is not measured again. Nothing
else should run on the machine.
Pythae takes part where it is installed: pip install 'bottleneck-zoo[pythae]'.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from experiments.speed import parts
from experiments.speed.bench import Bench
from experiments.speed.growth import growth, memory, words
from experiments.speed.report import tell
from zoo.errors import ZooError
from zoo.files import write_atomically
from zoo.runs.single import environment

PARTS = {
    "loop": parts.loop,
    "gpu": parts.gpu,
    "recipe": parts.recipe,
    "quality": parts.quality,
    "defaults": parts.defaults,
    "growth": growth,
    "memory": memory,
    "words": words,
}


def main(overrides: Sequence[str] | None = None) -> None:
    """Measure the parts that are asked for and not there yet, then write the page."""
    try:
        measure_parts(settings(sys.argv[1:] if overrides is None else overrides))
    except ZooError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def settings(overrides: Sequence[str]) -> DictConfig:
    """sizes.yaml under overrides such as parts=[loop,growth].

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
    if unknown := [part for part in cfg.parts if part not in PARTS]:
        raise ZooError(f"parts={unknown}: no such part of the benchmark; choose of {', '.join(PARTS)}")
    return cfg


def measure_parts(cfg: DictConfig) -> None:
    """One file per part, each written as soon as it is measured."""
    folder, console = Path(cfg.paths.results) / "speed", Console(highlight=False)
    with Bench.of(cfg) as bench:
        for part in cfg.parts:
            path, start = folder / f"{part}.json", time.perf_counter()
            if path.exists():
                console.print(f"{part}: measured before (delete {path} to measure again)")
                continue
            with console.status(part):
                found = PARTS[part](bench).as_json()
            write_atomically(
                path, (json.dumps({"part": part, **found, "environment": environment()}, indent=1) + "\n").encode()
            )
            console.print(f"{part}: {time.perf_counter() - start:.0f} s")
    tell([folder / f"{part}.json" for part in PARTS], folder)


if __name__ == "__main__":
    main()
