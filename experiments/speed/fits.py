"""Parts of the benchmark that fit models: beside other loops, by recipe, to a quality, in a pool, in bf16, on a GPU."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from statistics import mean, stdev

import torch

from experiments.speed.arms import (
    fit_bare,
    fit_pythae,
    fit_seeds,
    fit_zoo,
    load,
    multiply,
    pythae_is_here,
    the_same,
)
from experiments.speed.bench import BF16, FP32, Bench
from experiments.speed.measure import PROCESSES, Findings, Row, Sample, Stopwatch, interleaved, pooled, ratio
from zoo.errors import ZooError
from zoo.options import names
from zoo.runs.job import Job

SAME = "in every arm: the zoo's network, images, batch size, AdamW with one constant rate, and choice of the best epoch"


def loop(bench: Bench) -> Findings:
    """The zoo's fit beside a bare loop, the fit's products alone, and Pythae at the same settings; one thread."""
    found = Findings(notes=[SAME, "one thread"])
    for name, size in bench.sizes.loop.items():
        job = bench.job([*bench.networks[name], *bench.networks.plain], epochs=size.epochs)
        arms = {
            "zoo": partial(bench.ours, fit_zoo, job, size.images),
            "bare loop": partial(bench.ours, fit_bare, job, size.images),
            "products of the fit alone": partial(bench.ours, multiply, job, size.images),
        }
        if pythae_is_here():
            arms["Pythae"] = partial(bench.theirs, fit_pythae, job, size.images, settings=the_same(job))
        rows = interleaved(f"{name}: {size.epochs} x {size.images:,} images", arms, size.repeats)
        found.rows += rows.values()
        found.ratios |= {
            f"{name}: {above} / {below}": ratio(rows[above], rows[below])
            for above, below in (("zoo", "bare loop"), ("zoo", "products of the fit alone"), ("Pythae", "zoo"))
            if above in rows
        }
    found.notes += without_pythae()
    return found


def recipe(bench: Bench) -> Findings:
    """Each recipe's test error after equal time, on one thread, for each network and each data set.

    First every recipe is timed, alone on the machine, by an epoch of few images. Then each is fitted for as many epochs
    as the time of its network holds, several fits at once: all recipes with one seed, and the best with the others. The
    fits are kept in the cache, so that an interrupted search goes on where it stopped.
    """
    size = bench.sizes.recipe
    found = Findings(
        notes=[
            "as many epochs as the seconds hold, by an epoch timed alone before; one thread per fit",
            f"every recipe with one seed; the best {size.finalists} of each comparison with {size.seeds}",
        ]
    )
    timed = bench.memory.cache(seconds_of_epoch, ignore=["bench", "job"])
    arms: dict[str, dict[str, tuple[Job, float, int]]] = {}
    for data, of in size.sets.items():
        for network, about in size.networks.items():
            seconds = about.seconds * of.share
            for name in of.recipes or size.recipes:
                said = [*about.said, *size.recipes[name]]
                once = bench.job(said, data=data, epochs=1)
                epoch = timed(bench, once, once.key, size.images)
                epochs = max(1, round(seconds / epoch)) if epoch else 1
                job = bench.job(said, data=data, epochs=epochs)
                arms.setdefault(f"{data}, {network}: {seconds:g} s", {})[name] = (job, epochs * epoch, epochs)

    def errors_of(pairs: Sequence[tuple[Job, int]]) -> dict[tuple[str, int], float]:
        calls = [(replace(job, seed=seed), job.key, seed) for job, seed in pairs]
        return dict(
            zip([call[1:] for call in calls], pooled(bench.memory.cache(error_of, ignore=["job"]), calls), strict=True)
        )

    errors = errors_of([(job, 0) for each in arms.values() for job, _, _ in each.values()])
    best = {
        comparison: sorted(each.values(), key=lambda arm: errors[arm[0].key, 0])[: size.finalists]
        for comparison, each in arms.items()
    }
    errors |= errors_of([(job, s) for each in best.values() for job, _, _ in each for s in range(1, size.seeds)])
    for comparison, each in arms.items():
        for name, (job, took, epochs) in each.items():
            mine = [errors[job.key, seed] for seed in range(size.seeds) if (job.key, seed) in errors]
            facts = [{"sse": error, "epochs": epochs} for error in mine]
            found.rows.append(Row(comparison, name, [Sample(took, took, fact) for fact in facts]))
    return found


def seconds_of_epoch(bench: Bench, job: Job, key: str, images: int) -> float:
    """Seconds of an epoch over all images, from one over `images` of them; 0 where the fit diverges.

    `key` tells the cache which job it is.
    """
    n = whole(job)
    short = min(images, n)
    try:
        return min(bench.ours(fit_zoo, job, short, seed).seconds for seed in range(2)) * n / short
    except ZooError:
        return 0.0


def error_of(job: Job, key: str, seed: int) -> float:
    """The test error of a fit on all images; `key` and `seed` tell the cache which fit it is."""
    try:
        return fit_zoo(job, whole(job), seed).facts["sse"]
    except ZooError:  # a recipe that diverges is a result
        return math.inf


def quality(bench: Bench) -> Findings:
    """Seconds and test error of whole fits on all cores; Pythae at its own defaults beside the same network."""
    found = Findings(notes=[f"{os.cpu_count()} threads; no fit looks at test images, and each takes all of its epochs"])
    for name, size in bench.sizes.quality.items():
        job = bench.job([*size.said, f"trainer.threads={os.cpu_count()}"], epochs=size.epochs)
        arms = {f"zoo, {size.epochs} epochs": partial(bench.ours, fit_zoo, job, bench.sizes.images)}
        if size.pythae_epochs and pythae_is_here():
            long = bench.job(size.said, epochs=size.pythae_epochs)
            arms[f"Pythae's defaults, {size.pythae_epochs} epochs"] = partial(
                bench.theirs, fit_pythae, long, bench.sizes.images, threads=os.cpu_count()
            )
        found.rows += interleaved(name, arms, size.repeats).values()
    found.notes += without_pythae()
    return found


def sweep(bench: Bench) -> Findings:
    """Several fits: the zoo's pool of single-threaded processes beside Pythae, one after another on all cores."""
    size, networks = bench.sizes.sweep, bench.networks
    jobs = [bench.job([*networks.dense, *networks.plain], epochs=size.epochs, seed=seed) for seed in range(size.runs)]
    pooled(load, [(jobs[0], 10)] * PROCESSES)  # starts the processes, and imports

    def in_a_pool(_: int) -> Sample:
        with Stopwatch() as watch:
            fits = pooled(fit_zoo, [(job, size.images, job.seed) for job in jobs])
        return Sample(watch.seconds, sum(fit.cpu for fit in fits), {"sse": mean(fit.facts["sse"] for fit in fits)})

    def one_after_another(_: int) -> Sample:
        with Stopwatch() as watch:
            settings = the_same(jobs[0])
            fits = [
                bench.theirs(fit_pythae, job, size.images, job.seed, settings, threads=os.cpu_count()) for job in jobs
            ]
        return Sample(watch.seconds, sum(fit.cpu for fit in fits), {"sse": mean(fit.facts["sse"] for fit in fits)})

    arms = {"zoo, in a pool": in_a_pool}
    if pythae_is_here():
        bench.theirs(fit_pythae, jobs[0], 256, 0, the_same(jobs[0]))  # starts its process, and imports
        arms["Pythae, one after another"] = one_after_another
    rows = interleaved(f"{size.runs} fits of {size.epochs} x {size.images:,} images", arms, size.repeats)
    found = Findings(list(rows.values()), notes=[SAME, "reading data is counted, starting processes is not"])
    found.notes += without_pythae()
    if "Pythae, one after another" in rows:
        found.ratios["Pythae / zoo"] = ratio(rows["Pythae, one after another"], rows["zoo, in a pool"])
    return found


def precision(bench: Bench) -> Findings:
    """Test error of variants fitted in bf16 and in fp32, on scikit-learn's digits: on the GPU, if there is one."""
    size, trainer = bench.sizes.precision, "gpu" if torch.cuda.is_available() else "fast"
    found = Findings(notes=[f"trainer={trainer}; runs share the machine, so that times say little"])
    jobs: dict[tuple[str, str], Job] = {}
    for variant in size.variants or names("variant"):
        said = [f"variant={variant}", f"trainer={trainer}", *size.overrides]
        plain, half = (bench.job([*said, *more], data="digits") for more in (FP32, BF16))
        if half.key != plain.key:  # a closed form is the same in both
            jobs |= {(variant, "fp32"): plain, (variant, "bf16"): half}
    calls = [(replace(job, seed=seed), job.key, seed) for job in jobs.values() for seed in range(size.seeds)]
    errors = pooled(bench.memory.cache(error_of, ignore=["job"]), calls)
    fits = {key: errors[i * size.seeds : (i + 1) * size.seeds] for i, key in enumerate(jobs)}
    for variant, arm in jobs:
        if arm == "bf16":
            plain_errors = fits[variant, "fp32"]
            changes = [(b - a) / mean(plain_errors) for a, b in zip(plain_errors, fits[variant, arm], strict=True)]
            spread = stdev(changes) / len(changes) ** 0.5 if len(changes) > 1 else math.nan
            facts = {"sse": mean(fits[variant, arm]), "change": mean(changes), "standard_error": spread}
            found.rows.append(Row(variant, arm, [Sample(math.nan, math.nan, facts)]))
    return found


def gpu(bench: Bench) -> Findings:
    """The zoo's fit on a GPU beside a bare loop and Pythae there: same network, batch, epochs and images."""
    found = Findings(notes=[SAME, "fp32 rounds products to tf32, in the bare loop as in the zoo"])
    seeds = bench.sizes.gpu.seeds
    together = f"zoo, one of {seeds} seeds at once"
    for name, size in bench.sizes.gpu.networks.items():
        said = [*bench.networks[name], *bench.networks.plain, "trainer=gpu"]
        plain, replayed, half = (
            bench.job([*said, *more], epochs=size.epochs) for more in ([*FP32, "trainer.replay=false"], FP32, BF16)
        )
        arms = {
            "zoo": partial(bench.ours, fit_zoo, replayed, size.images),
            "zoo, not replayed": partial(bench.ours, fit_zoo, plain, size.images),
            "zoo, bf16": partial(bench.ours, fit_zoo, half, size.images),
            "bare loop": partial(bench.ours, fit_bare, plain, size.images),
        }
        if size.stacked:
            arms[together] = partial(bench.ours, fit_seeds, replayed, size.images, count=seeds)
        if pythae_is_here():
            settings = the_same(plain) | {"no_cuda": False}
            arms["Pythae"] = partial(bench.theirs, fit_pythae, plain, size.images, settings=settings)
        rows = interleaved(f"{name}: {size.epochs} x {size.images:,} images", arms, size.repeats)
        found.rows += rows.values()
        found.ratios[f"{name}: zoo / bare loop"] = ratio(rows["zoo"], rows["bare loop"])
        if "Pythae" in rows:
            found.ratios[f"{name}: Pythae / zoo"] = ratio(rows["Pythae"], rows["zoo"])
    found.notes += without_pythae()
    return found


def whole(job: Job) -> int:
    """The number of training images, validation images among them."""
    return len(job.make("data").source.train)


def without_pythae() -> list[str]:
    """A note where Pythae takes no part; none where it does."""
    return [] if pythae_is_here() else ["Pythae 0.1.2 took no part: pip install 'bottleneck-zoo[pythae]'"]
