"""Parts of the benchmark that fit many models, on a pool of processes as a study does: sweeps, precision, start-up."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from statistics import mean, stdev
from typing import Any

import joblib
import torch
from joblib.externals.loky import get_reusable_executor

from experiments.speed.arms import PYTHAE, SMALL_BATCH, fit_pythae, fit_zoo, multiply, nothing, pythae_is_here
from experiments.speed.bench import BF16, FP32, Bench
from experiments.speed.measure import PRODUCTS, Arm, Findings, Goal, Row, Sample, Stopwatch, faster_goal, interleaved
from zoo.options import names
from zoo.runs.job import Job

PROCESSES = os.cpu_count() or 1  # as in a study


def sweep(bench: Bench) -> Findings:
    """Eight fits: the zoo's pool of single-threaded processes against Pythae, one after another on all cores."""
    size, setup = bench.sizes.sweep, bench.networks.dense
    pooled(nothing, [()] * PROCESSES)
    arms: dict[str, Arm] = {}
    for arm, more in {"zoo": [], "zoo, bf16": BF16}.items():
        jobs = [bench.job([*setup, *more], epochs=size.epochs, seed=seed) for seed in range(size.runs)]
        calls = [(job, size.images, job.seed) for job in jobs]
        arms |= {arm: partial(swept, fit_zoo, calls), PRODUCTS.format(arm): partial(swept, multiply, calls)}
    found = Findings(
        notes=["in every arm's seconds: reading data, fit, test error; in none's: processes that start, and imports"]
    )
    if pythae_is_here():
        job = bench.job(setup, epochs=size.epochs)
        bench.theirs(fit_pythae, job, bench.sizes.own_images, 0)  # starts its process, and imports Pythae

        def one_after_another(settings: dict[str, int], seed: int) -> Sample:
            with Stopwatch() as watch:
                fitted = bench.theirs(fit_pythae, job, size.images, seed, settings, threads=PROCESSES)
            return replace(fitted, seconds=size.runs * watch.seconds, cpu=size.runs * fitted.cpu)

        batches = {"Pythae": SMALL_BATCH, "Pythae, the zoo's batch": {}}
        arms |= {arm: partial(one_after_another, settings) for arm, settings in batches.items()}
        found.notes.append(
            f"Pythae: one fit is run each time, and counted {size.runs} times; {PROCESSES} threads, batch 64 by default"
        )
    else:
        found.notes.append(PYTHAE)
    rows = interleaved(f"{size.runs} fits of {size.epochs} x {size.images:,} images", arms, size.repeats)
    found.rows = list(rows.values())
    if "Pythae" in rows:
        pairs = {"sweep": ("Pythae", "zoo"), "sweep, same batch": ("Pythae, the zoo's batch", "zoo, bf16")}
        found.goals = [faster_goal(name, rows, theirs, ours, 3.5) for name, (theirs, ours) in pairs.items()]
    return found


def swept(function: Callable[..., Sample], calls: Sequence[tuple[Any, ...]], _: int) -> Sample:
    """All calls in the pool as one sample: the seconds of the whole, and the mean of each fact."""
    with Stopwatch() as watch:
        samples = pooled(function, calls)
    facts = {name: mean(sample.facts[name] for sample in samples) for name in samples[0].facts}
    return Sample(watch.seconds, sum(sample.cpu for sample in samples), facts)


def precision(bench: Bench) -> Findings:
    """Test error of variants fitted in bf16 against fp32, on scikit-learn's digits: on the GPU, if there is one.

    Those for which it is off, in their yaml, are measured too, but no goal is theirs. Fits are kept in the cache, so
    that what was broken off goes on.
    """
    size, trainer = bench.sizes.precision, "gpu" if torch.cuda.is_available() else "fast"
    found = Findings(notes=[f"trainer={trainer}, {size.seeds} seeds; runs share the machine, so that times say little"])
    jobs: dict[tuple[str, str], Job] = {}
    off = []
    for variant in size.variants or names("variant"):
        said = [f"variant={variant}", f"trainer={trainer}", *size.overrides]
        default, plain, half = (bench.job([*said, *more], data="digits") for more in ([], FP32, BF16))
        if half.key != plain.key:  # a closed form is the same in both
            jobs |= {(variant, "fp32"): plain, (variant, "bf16"): half}
            if default.key == plain.key:
                off.append(variant)
    calls = [(replace(job, seed=seed), job.key, seed) for seed in range(size.seeds) for job in jobs.values()]
    samples = pooled(bench.memory.cache(fit_whole, ignore=["job"]), calls)
    rows = {key: Row(*key, samples[i :: len(jobs)]) for i, key in enumerate(jobs)}
    for (variant, arm), row in rows.items():
        found.rows.append(compared(rows[variant, "fp32"], row) if arm == "bf16" else row)
    if off:
        found.notes.append(f"bf16 is off, in their yaml, for {', '.join(off)}")
    changes = {row.comparison: abs(row.fact("change")) for row in found.rows if row.arm == "bf16"}
    on = [variant for variant in changes if variant not in off]
    if on:
        worst = max(on, key=changes.__getitem__)
        found.goals.append(Goal(f"bf16: largest change of a test error ({worst})", changes[worst], 0.01))
    return found


def compared(plain: Row, half: Row) -> Row:
    """The row of bf16 with the relative change of its mean test error, and with that change's standard error."""
    mean_error = plain.fact("sse")
    changes = [(b.facts["sse"] - a.facts["sse"]) / mean_error for a, b in zip(plain.samples, half.samples, strict=True)]
    spread = stdev(changes) / len(changes) ** 0.5 if len(changes) > 1 else float("nan")
    facts = {"change": mean(changes), "standard_error": spread}
    return replace(half, samples=[replace(sample, facts={**sample.facts, **facts}) for sample in half.samples])


def fit_whole(job: Job, key: str, seed: int) -> Sample:
    """The zoo's fit on all of its data; `key` and `seed` tell the cache which fit it is."""
    return fit_zoo(job, len(job.make("data").source.train), seed)


def startup(bench: Bench) -> Findings:
    """What a run in a fresh pool costs beside its own work: processes, imports, handing over."""
    runs = bench.sizes.startup.runs
    get_reusable_executor().shutdown()  # of an earlier part
    with tempfile.TemporaryDirectory() as folder:
        said = ["variant=deep_ae", f"paths.results={folder}", f"paths.models={folder}"]
        jobs = [bench.job(said, data="digits", epochs=5, seed=seed) for seed in range(runs)]
        with Stopwatch() as watch:
            work = pooled(run_in_pool, [(job,) for job in jobs])
    beside = PROCESSES * watch.seconds / runs - mean(sample.seconds for sample in work)
    rows = [Row(f"{runs} runs on digits", "a run's own work", work)]
    return Findings(rows, [Goal("seconds of start-up of a run in a pool", beside, 3.0)])


def run_in_pool(job: Job) -> Sample:
    """One run of the zoo; imports are not counted."""
    from zoo.runs.single import run_one

    with Stopwatch() as watch:
        run_one(job)
    return watch.sample()


def pooled(function: Callable[..., Sample], calls: Sequence[tuple[Any, ...]]) -> list[Sample]:
    """The calls on as many single-threaded processes as a study uses."""
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        samples: list[Sample] = joblib.Parallel(n_jobs=PROCESSES)(joblib.delayed(function)(*call) for call in calls)
    return samples
