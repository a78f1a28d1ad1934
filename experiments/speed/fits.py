"""Parts of the benchmark that fit models: loops, time to quality, sweeps, growth, precision, start-up."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from statistics import mean, stdev
from typing import Any

import joblib
from joblib.externals.loky import get_reusable_executor

from experiments.job import Job
from experiments.models import make
from experiments.speed.arms import PYTHAE, fit_bare, fit_pythae, fit_zoo, fresh, load, pythae_is_here, time_to
from experiments.speed.bench import Bench
from experiments.speed.measure import Findings, Goal, Row, Sample, Stopwatch, exponent, interleaved, ratio_goal
from zoo.data.datamodule import ImageData
from zoo.evaluation.evaluator import evaluate
from zoo.fit.memory import peak_memory

AGAINST_PYTHAE = {"dense": {"zoo": 2.0, "zoo, bf16": 2.7}, "conv": {"zoo": 1.7}}  # times as fast, at least
PROCESSES = 2
SMALL_BATCH = {"per_device_train_batch_size": 64, "per_device_eval_batch_size": 64}  # Pythae's defaults
DEFAULT_RATE = {"learning_rate": 1e-4}


def loop(bench: Bench) -> Findings:
    """The zoo's fit against a bare loop and against Pythae: same network, batch, epochs and images, one thread."""
    found = Findings(notes=["one thread each; Pythae's rate is 1e-3, as in its README, all else its defaults"])
    for name, size in bench.sizes.loop.items():
        job, fast = (bench.job([*bench.networks[name], *more], epochs=size.epochs) for more in ([], ["trainer=fast"]))
        arms = {
            "bare loop": lambda seed, job=job, n=size.images: bench.ours(fit_bare, job, n, seed),
            "zoo": lambda seed, job=job, n=size.images: bench.ours(fit_zoo, job, n, seed),
            "zoo, bf16": lambda seed, job=fast, n=size.images: bench.ours(fit_zoo, job, n, seed),
        }
        if pythae_is_here():
            arms["Pythae"] = lambda seed, job=job, n=size.images: bench.theirs(fit_pythae, job, n, seed)
        rows = interleaved(f"{name}: {size.epochs} x {size.images:,} images", arms, size.repeats)
        found.rows += rows.values()
        found.goals.append(ratio_goal(f"{name}: zoo / bare loop", rows["zoo"], rows["bare loop"], 1.10))
        if "Pythae" in rows:
            found.goals += against_pythae(name, rows)
    if pythae_is_here():
        found.rows += own_network(bench)
    else:
        found.notes.append(PYTHAE)
    return found


def against_pythae(name: str, rows: dict[str, Row]) -> Iterable[Goal]:
    """What is asked of time and test error beside Pythae's."""
    for arm, least in AGAINST_PYTHAE.get(name, {}).items():
        yield ratio_goal(f"{name}: Pythae / {arm}", rows["Pythae"], rows[arm], least, at_most=False)
        error = rows[arm].fact("sse") / rows["Pythae"].fact("sse")
        yield Goal(f"{name}: test error of {arm} / of Pythae", error, 1.01)


def own_network(bench: Bench) -> Iterable[Row]:
    """Pythae's own network for MNIST, 33 million parameters, beside the zoo's convolutional one."""
    n, job = bench.sizes.own_images, bench.job(bench.networks.conv, epochs=1)
    arms = {
        "zoo, its conv network": lambda seed: bench.ours(fit_zoo, job, n, seed),
        "Pythae, its conv network": lambda seed: bench.theirs(fit_pythae, job, n, seed, network="own"),
    }
    return interleaved(f"own networks: 1 x {n:,} images", arms, 1).values()


def quality(bench: Bench) -> Findings:
    """Seconds until a test error on all cores: the zoo and Pythae, each with its own recipe."""
    size, n, found, threads = bench.sizes.quality, bench.sizes.images, Findings(), os.cpu_count()
    classic, best = (
        bench.job([*network, f"trainer.threads={threads}"], epochs=epochs)
        for network, epochs in ((bench.networks.classic, size.epochs), (bench.networks.best, size.best_epochs))
    )
    ours = bench.ours(time_to, classic, n, 0, size.target)
    name = f"classic network to {size.target:g}"
    found.rows.append(Row(name, "zoo", [ours]))
    if pythae_is_here():
        long = bench.job(bench.networks.classic, epochs=100)
        theirs = bench.theirs(
            fit_pythae,
            *(long, n, 0, SMALL_BATCH | DEFAULT_RATE),
            threads=threads,
            target=size.target,
            cap=size.cap * ours.seconds,
        )
        found.rows.append(Row(name, "Pythae", [theirs]))
        found.goals.append(Goal("time to quality: zoo / Pythae", ours.seconds / theirs.seconds, 0.2))
        if not theirs.facts["reached"]:
            found.notes.append(f"Pythae: not reached within {theirs.seconds:.0f} s, so the ratio is an upper bound")
        found.notes.append("Pythae: its default recipe (batch 64, rate 1e-4, up to 100 epochs)")
    else:
        found.notes.append(PYTHAE)
    sharp = bench.ours(time_to, best, n, 0, size.best_target)
    found.rows.append(Row(f"width 30 to {size.best_target:g}", "zoo, conv_ae", [sharp]))
    found.notes.append(
        f"zoo: its default recipe over {size.epochs} ({size.best_epochs}) epochs; all on {threads} threads"
    )
    for sample in (ours, sharp):
        if not sample.facts["reached"]:
            found.goals.append(Goal("time to quality: the zoo did not reach its target; error", sample.facts["sse"], 0))
    return found


def sweep(bench: Bench) -> Findings:
    """Eight fits: the zoo's pool of single-threaded processes against Pythae, one after another on all cores."""
    size, found = bench.sizes.sweep, Findings()
    name, setup, rows = f"{size.runs} fits of {size.epochs} x {size.images:,} images", bench.networks.dense, {}
    for arm, more in {"zoo": [], "zoo, bf16": ["trainer=fast"]}.items():
        jobs = [bench.job([*setup, *more], epochs=size.epochs, seed=seed) for seed in range(size.runs)]
        start = time.perf_counter()
        samples = pooled(fit_zoo, [(job, size.images, job.seed) for job in jobs])
        seconds = time.perf_counter() - start
        rows[arm] = Row(name, arm, [Sample(seconds, sum(s.cpu for s in samples), {"sse": error_of(samples)})])
    found.notes.append("zoo: the first arm's seconds hold the start of its processes")
    if pythae_is_here():
        job, scale, threads = bench.job(setup, epochs=size.epochs), size.runs / size.measured, os.cpu_count()
        for arm, settings in {"Pythae": SMALL_BATCH, "Pythae, the zoo's batch": {}}.items():
            runs = [
                bench.theirs(fit_pythae, job, size.images, seed, settings, threads=threads)
                for seed in range(size.measured)
            ]
            seconds, cpu = scale * sum(r.seconds for r in runs), scale * sum(r.cpu for r in runs)
            rows[arm] = Row(name, arm, [Sample(seconds, cpu, {"sse": error_of(runs)})])
        found.notes.append(
            f"Pythae: {size.measured} fits were run and counted {scale:g} times; {threads} threads, batch 64 by default"
        )
        found.goals = [
            ratio_goal("sweep: Pythae / zoo", rows["Pythae"], rows["zoo"], 3.5, at_most=False),
            ratio_goal(
                "sweep, same batch: Pythae / zoo, bf16",
                *(rows["Pythae, the zoo's batch"], rows["zoo, bf16"], 3.5),
                at_most=False,
            ),
        ]
    else:
        found.notes.append(PYTHAE)
    found.rows = list(rows.values())
    return found


def growth(bench: Bench) -> Findings:
    """Fit and evaluation over numbers of images and widths of the code."""
    found = Findings(notes=["MNIST's training images, repeated beyond 60,000; the 10,000 test images stay the same"])
    sizes: dict[str, Sequence[int]] = bench.sizes.growth
    for over, values in sizes.items():
        times: dict[str, list[float]] = {"fit": [], "evaluation": []}
        for value in values:
            images, width = (value, 32) if over == "images" else (bench.sizes.images, value)
            job = bench.job([*bench.networks.dense, f"width={width}"], epochs=1)
            for what, function in {"fit": fit_once, "evaluation": evaluate_once}.items():
                sample = bench.ours(function, job, images)
                found.rows.append(Row(f"{what}, {over}", f"{value:,}", [sample]))
                times[what].append(sample.seconds)
        limit = 1.05
        found.goals += [Goal(f"exponent: {what} over {over}", exponent(values, t), limit) for what, t in times.items()]
    return found


def fit_once(job: Job, images: int) -> Sample:
    """The zoo's fit, with its peak memory in MiB."""
    data = load(job, images)
    model, objective = fresh(job, data, 0), make(job.axes["objective"])
    _ = data.train
    with peak_memory() as memory, Stopwatch() as watch:
        make(job.axes["fit"])(model, data, objective, 0)
    return watch.sample(mib=memory() or float("nan"))


def evaluate_once(job: Job, images: int) -> Sample:
    """The evaluation of an unfitted model, with its peak memory in MiB."""
    data = load(job, images)
    model = fresh(job, data, 0)
    _ = data.train
    with peak_memory() as memory, Stopwatch() as watch:
        evaluate(model, data, job.groups, {"seconds": 0.0, "epochs": 1})
    return watch.sample(mib=memory() or float("nan"))


def precision(bench: Bench) -> Findings:
    """Test error of variants fitted in bf16 against fp32, on scikit-learn's digits."""
    size, found = bench.sizes.precision, Findings()
    for variant in size.variants:
        rows = {}
        for arm, trainer in {"fp32": "cpu", "bf16": "fast"}.items():
            said = [f"variant={variant}", f"trainer={trainer}", *size.overrides]
            jobs = [bench.job(said, data="digits", seed=seed) for seed in range(size.seeds)]
            rows[arm] = Row(variant, arm, pooled(fit_whole, [(job,) for job in jobs]))
        found.rows += rows.values()
        change = rows["bf16"].fact("sse") / rows["fp32"].fact("sse") - 1
        found.goals.append(Goal(f"bf16: change of {variant}'s test error", abs(change), 0.01))
        before, after = ([sample.facts["sse"] for sample in rows[arm].samples] for arm in ("fp32", "bf16"))
        if len(before) > 1:
            pairs = [b - a for a, b in zip(before, after, strict=True)]
            error = stdev(pairs) / len(pairs) ** 0.5 / mean(before)
            found.notes.append(f"{variant}: {change:+.2%} with bf16, standard error {error:.2%}, {len(pairs)} seeds")
    return found


def fit_whole(job: Job) -> Sample:
    """The zoo's fit on all of its data."""
    return fit_zoo(job, len(ImageData(**make(job.axes["data"])).source.train), job.seed)


def startup(bench: Bench) -> Findings:
    """What a run in a fresh pool costs beside its own work: processes, imports, handing over."""
    runs = bench.sizes.startup.runs
    get_reusable_executor().shutdown()  # of an earlier part
    with tempfile.TemporaryDirectory() as folder:
        said = ["variant=deep_ae", f"paths.results={folder}", f"paths.models={folder}"]
        jobs = [bench.job(said, data="digits", epochs=5, seed=seed) for seed in range(runs)]
        start = time.perf_counter()
        work = pooled(run_in_pool, [(job,) for job in jobs])
        whole = time.perf_counter() - start
    beside = PROCESSES * whole / runs - mean(sample.seconds for sample in work)
    rows = [Row(f"{runs} runs on digits", "a run's own work", work)]
    return Findings(rows, [Goal("seconds of start-up of a run in a pool", beside, 3.0)])


def run_in_pool(job: Job) -> Sample:
    """One run of the zoo; imports are not counted."""
    from experiments.single import run_one

    with Stopwatch() as watch:
        run_one(job)
    return watch.sample()


def pooled(function: Callable[..., Sample], calls: Sequence[tuple[Any, ...]]) -> list[Sample]:
    """The calls on as many single-threaded processes as a study uses on two cores."""
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        samples: list[Sample] = joblib.Parallel(n_jobs=PROCESSES)(joblib.delayed(function)(*call) for call in calls)
    return samples


def error_of(samples: Sequence[Sample]) -> float:
    """Mean test error of several fits."""
    return mean(sample.facts["sse"] for sample in samples)
