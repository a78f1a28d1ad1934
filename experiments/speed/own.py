"""A part of the benchmark about data of the user's own: the commands as a user types them, their time and memory."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from experiments.speed.bench import Bench
from experiments.speed.measure import Findings, Row, Sample
from zoo.errors import ZooError

SIDES = (90, 400)  # least and largest side of a photograph, in pixels


def own(bench: Bench) -> Findings:
    """A large array, photographs of mixed sizes, and advice for a table: whole commands, with their starts and imports.

    Memory is the largest sum over the command's processes of what is theirs alone (Linux: RssAnon); pages of the mapped
    file are not in it. The array holds random images of rank 8 with noise, in bytes. The photographs are pieces of the
    two that scikit-learn ships.
    """
    size = bench.sizes.own
    found = Findings(notes=["whole commands with their imports; no setting but those that are shown"])
    with TemporaryDirectory() as place:
        folder = Path(place)
        array, photographs = folder / "x.npy", folder / "photographs"
        bytes_of_file = write_array(array, size.images, size.side)
        write_photographs(photographs, size.photographs)
        what = f"a mapped array of {bytes_of_file / 1e9:.2g} GB, {size.images:,} images"
        for variant, more in size.variants.items():
            said = ["run", "data=array", f"data.source.path={array}", f"variant={variant}", *more]
            found.rows.append(Row(what, " ".join([variant, *more]), [command(said, folder)]))
        for variant in ("pca", "conv_ae"):
            said = ["run", "data=folder", f"data.source.path={photographs}", f"variant={variant}"]
            found.rows.append(Row(f"{size.photographs} photographs", variant, [command(said, folder)]))
        said = ["advise", "data=wine", f"minutes={size.minutes}"]
        found.rows.append(Row("advice on wine", f"{size.minutes} minutes", [command(said, folder)]))
    return found


def write_array(path: Path, images: int, side: int) -> int:
    """Images of rank 8 with noise, as bytes in a .npy file, written part by part; returns the file's size."""
    rng = np.random.default_rng(0)
    axes = rng.normal(size=(8, side * side)).astype(np.float32)
    x = np.lib.format.open_memmap(path, "w+", np.uint8, (images, side, side))
    for start in range(0, images, 10_000):
        part = x[start : start + 10_000]
        values = rng.normal(size=(len(part), 8)).astype(np.float32) @ axes * 14 + 128
        part[:] = np.clip(values + rng.normal(0, 8, values.shape), 0, 255).reshape(part.shape)
    del x
    return path.stat().st_size


def write_photographs(folder: Path, count: int) -> None:
    """Pieces of mixed sizes of the photographs in scikit-learn."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    whole, rng = load_sample_images().images, np.random.default_rng(0)
    folder.mkdir()
    for number in range(count):
        photograph = whole[number % len(whole)]
        height, width = rng.integers(SIDES[0], SIDES[1], 2)
        top, left = (
            rng.integers(0, side - part) for side, part in zip(photograph.shape, (height, width), strict=False)
        )
        Image.fromarray(photograph[top : top + height, left : left + width]).save(folder / f"{number:03}.jpg")


def command(said: Sequence[str], home: Path) -> Sample:
    """Run `zoo` with these words; its seconds, memory in MiB, explained variance, and whether it warned.

    Raises:
        ZooError: the command failed.
    """
    environment = os.environ | {"ZOO_HOME": str(home)}
    start, most = time.perf_counter(), 0.0
    with open(home / "said", "w+") as out:
        process = subprocess.Popen([sys.executable, "-m", "zoo.cli", *said], stdout=out, stderr=out, env=environment)
        while process.poll() is None:
            most = max(most, anonymous(process.pid))
            time.sleep(0.1)
        seconds = time.perf_counter() - start
        out.seek(0)
        text = out.read()
    if process.returncode:
        raise ZooError(f"zoo {' '.join(said)}: {text.strip().splitlines()[-1]}")
    facts = {"mib": most, "warned": float("\nwarning explains less" in text)}
    if explained := re.search(r"^  explained_variance +(\S+)", text, flags=re.M):
        facts["explained"] = float(explained[1])
    return Sample(seconds, float("nan"), facts)


def anonymous(pid: int) -> float:
    """Memory in MiB that a process and its children have for themselves; not a number where Linux does not say it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0.0 if Path("/proc/self/status").exists() else float("nan")
    found = re.search(r"^RssAnon:\s+(\d+) kB", status, flags=re.M)
    return (int(found[1]) / 1024 if found else 0.0) + sum(anonymous(int(child)) for child in children)
