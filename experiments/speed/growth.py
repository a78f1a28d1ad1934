"""The part of the benchmark about your own large arrays: time and memory of whole commands, as a user types them."""

from __future__ import annotations

import math
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from experiments.speed.bench import Bench
from experiments.speed.measure import Findings, Row, Sample, exponent
from zoo.errors import ZooError
from zoo.options import content, names

ROWS = 10_000  # images that are made at a time


def growth(bench: Bench) -> Findings:
    """`zoo run` on mapped arrays of growing length: fit, evaluation, start and imports.

    Memory is the largest sum over the command's processes of what is theirs alone (Linux: RssAnon); pages of the mapped
    file are not in it. The arrays hold random images of rank 8 with noise, in bytes. CPU seconds are those of all its
    processes, and show how the work grows, whatever else the machine does. Runs are cached, so that an interrupted
    measurement goes on.
    """
    size = bench.sizes.growth
    found = Findings(notes=["whole commands with their imports; no setting but those that are shown"])
    samples: dict[str, list[Sample]] = {}
    ran = bench.memory.cache(on_array, ignore=["array"])
    for images in size.images:
        with TemporaryDirectory() as place:
            array = Path(place) / "x.npy"
            write_array(array, images, size.side)
            for variant, more in size.variants.items():
                sample = ran([f"variant={variant}", *more], images, size.side, array)
                arm = " ".join([variant, *more])
                found.rows.append(Row(f"{images:,} images, {array.stat().st_size / 1e9:.2g} GB", arm, [sample]))
                samples.setdefault(variant, []).append(sample)
    for variant, each in samples.items() if len(size.images) > 1 else ():
        found.ratios[f"{variant}: exponent of the CPU seconds"] = exponent(size.images, [one.cpu for one in each])
        found.ratios[f"{variant}: most memory over least"] = each[-1].facts["mib"] / each[0].facts["mib"]
    return found


def memory(bench: Bench) -> Findings:
    """The memory of `zoo run` with every method, as in `growth`, on two mapped arrays, one twice as long as the other.

    What does not grow is the same on both. Memory does not depend on what else the machine does, and seconds, which do,
    are left out.
    """
    size = bench.sizes.memory
    found = Findings(notes=["fit, evaluation, start and imports", f"`{' '.join(size.said)}`, and what is shown"])
    ran = bench.memory.cache(on_array, ignore=["array"])
    comparison = " and ".join(f"{images:,}" for images in size.images) + f" images of {size.side}x{size.side} bytes"
    with TemporaryDirectory() as place:
        for images in size.images:
            write_array(Path(place) / f"{images}.npy", images, size.side)
        # a method that names its own data takes no arrays
        for variant in size.variants or [name for name in names("variant") if "data" not in content("variant", name)]:
            more = list(size.more.get(variant, []))
            said = [f"variant={variant}", *size.said, *more]
            samples = [ran(said, images, size.side, Path(place) / f"{images}.npy") for images in size.images]
            peaks = [sample.facts["mib"] for sample in samples]
            facts = {"mib": peaks[-1], "grown": peaks[-1] - peaks[0]}
            sample = replace(samples[-1], seconds=math.nan, cpu=math.nan, facts=facts)
            found.rows.append(Row(comparison, " ".join([variant, *more]), [sample]))
    return found


def words(bench: Bench) -> Findings:
    """`zoo run` on the words of 20 Newsgroups: imports, the corpus, fit and evaluation, with its memory."""
    size = bench.sizes.words
    found = Findings(notes=["whole commands: imports, reading and counting the corpus, fit, evaluation=words"])
    for variant, more in size.variants.items():
        said = [f"variant={variant}", *size.said, *more]
        with TemporaryDirectory() as home:
            sample = command(["run", *said, f"paths.data={Path(bench.sizes.paths.data).absolute()}"], Path(home))
        facts = {"mib": sample.facts["mib"]}
        found.rows.append(Row("20,000 words, width 100", " ".join(said), [replace(sample, facts=facts)]))
    return found


def on_array(said: Sequence[str], images: int, side: int, array: Path) -> Sample:
    """A run on an array of so many images with so many pixels on a side."""
    with TemporaryDirectory() as home:
        return command(["run", "data=array", f"data.source.path={array}", *said], Path(home))


def write_array(path: Path, images: int, side: int) -> None:
    """Images of rank 8 with noise, as bytes in a .npy file, written part by part."""
    rng = np.random.default_rng(0)
    axes = rng.normal(size=(8, side * side)).astype(np.float32)
    x = np.lib.format.open_memmap(path, "w+", np.uint8, (images, side, side))
    for start in range(0, images, ROWS):
        part = x[start : start + ROWS]
        values = rng.normal(size=(len(part), 8)).astype(np.float32) @ axes * 14 + 128
        part[:] = np.clip(values + rng.normal(0, 8, values.shape), 0, 255).reshape(part.shape)


def command(said: Sequence[str], home: Path) -> Sample:
    """Run `zoo` with these words; its seconds, CPU seconds, memory in MiB, and explained variance.

    Raises:
        ZooError: the command failed.
    """
    environment = os.environ | {"ZOO_HOME": str(home)}
    start, before, most = time.perf_counter(), cpu_of_children(), 0.0
    with open(home / "said", "w+") as out:
        process = subprocess.Popen([sys.executable, "-m", "zoo.cli", *said], stdout=out, stderr=out, env=environment)
        while process.poll() is None:
            most = max(most, anonymous(process.pid))
            time.sleep(0.1)
        seconds, cpu = time.perf_counter() - start, cpu_of_children() - before
        out.seek(0)
        text = out.read()
    if process.returncode:
        raise ZooError(f"zoo {' '.join(said)}: {text.strip().splitlines()[-1]}")
    explained = re.search(r"^  explained_variance +(\S+)", text, flags=re.M)
    return Sample(seconds, cpu, {"mib": most, "explained": float(explained[1]) if explained else float("nan")})


def cpu_of_children() -> float:
    """CPU seconds of all processes that this one has started and that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def anonymous(pid: int) -> float:
    """Memory in MiB that a process and its children have for themselves; not a number where Linux does not say it.

    A child that is about to become another program has its parent's memory and command line, and is left out.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0.0 if Path("/proc/self/status").exists() else float("nan")
    found = re.search(r"^RssAnon:\s+(\d+) kB", status, flags=re.M)
    others = [int(child) for child in children if command_line(int(child)) != command_line(pid)]
    return (int(found[1]) / 1024 if found else 0.0) + sum(map(anonymous, others))


def command_line(pid: int) -> bytes:
    """Of a process; nothing where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
