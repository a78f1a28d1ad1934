"""The part of the benchmark for one GPU: replayed steps, bf16, several seeds at once."""

from __future__ import annotations

from functools import partial
from statistics import mean

from experiments.speed.arms import PYTHAE, fit_bare, fit_pythae, fit_zoo, fresh, load, pythae_is_here, squared_error
from experiments.speed.bench import BF16, FP32, Bench
from experiments.speed.measure import Findings, Goal, Sample, Stopwatch, interleaved, ratio, ratio_goal
from zoo.fitting.stacked import fit_stacked
from zoo.runs.job import Job


def gpu(bench: Bench) -> Findings:
    """The zoo's fit on a GPU against a bare loop and against Pythae there: same network, batch, epochs and images."""
    found = Findings(notes=["fp32 rounds products to tf32, in the bare loop as in the zoo; Pythae as in the part loop"])
    seeds = bench.sizes.gpu.seeds
    for name, size in bench.sizes.gpu.networks.items():
        plain, replayed, half = (
            bench.job([*bench.networks[name], "trainer=gpu", *more], epochs=size.epochs)
            for more in ([*FP32, "trainer.replay=false"], FP32, BF16)
        )
        arms = {
            "bare loop": partial(bench.ours, fit_bare, plain, size.images),
            "zoo, not replayed": partial(bench.ours, fit_zoo, plain, size.images),
            "zoo": partial(bench.ours, fit_zoo, replayed, size.images),
            "zoo, bf16": partial(bench.ours, fit_zoo, half, size.images),
        }
        together = f"zoo, one of {seeds} seeds at once"
        if size.stacked:
            arms[together] = partial(bench.ours, fit_seeds, replayed, size.images, count=seeds)
        if pythae_is_here():
            arms["Pythae"] = partial(bench.theirs, fit_pythae, plain, size.images, settings={"no_cuda": False})
        rows = interleaved(f"{name}: {size.epochs} x {size.images:,} images", arms, size.repeats)
        found.rows += rows.values()
        found.goals.append(ratio_goal(f"GPU, {name}: zoo / bare loop", rows["zoo"], rows["bare loop"], 1.10))
        if "Pythae" in rows:
            found.goals.append(
                ratio_goal(f"GPU, {name}: Pythae / zoo", rows["Pythae"], rows["zoo"], 2.0, at_most=False)
            )
        if size.stacked:
            share = ratio(rows[together], rows["zoo"])
            found.goals.append(Goal(f"GPU, {name}: one of {seeds} seeds at once / alone", share, 0.5))
    if not pythae_is_here():
        found.notes.append(PYTHAE)
    return found


def fit_seeds(job: Job, images: int, seed: int, count: int) -> Sample:
    """The zoo's fit of several seeds at once, its time divided by their number."""
    data = load(job, images)
    seeds = range(seed * count, (seed + 1) * count)
    models = [fresh(job, data, each) for each in seeds]
    _ = data.train
    with Stopwatch() as watch:
        fit_stacked(job.make("fit"), models, data, job.make("objective"), seeds)
    errors = [squared_error(model.eval().reconstruct, data.test) for model in models]
    return Sample(watch.seconds / count, watch.cpu / count, {"sse": mean(errors)})
