"""Parts of the benchmark that fit one model at a time: loops, recipes, time to quality, growth."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import wait
from dataclasses import replace
from functools import partial

from experiments.speed.arms import (
    PYTHAE,
    SMALL_BATCH,
    fit_bare,
    fit_pythae,
    fit_zoo,
    fresh,
    load,
    multiply,
    nothing,
    pythae_is_here,
    time_to,
)
from experiments.speed.bench import BF16, Bench
from experiments.speed.measure import (
    PRODUCTS,
    Arm,
    Findings,
    Goal,
    Row,
    Sample,
    Stopwatch,
    exponent,
    faster_goal,
    interleaved,
    ratio_goal,
)
from zoo.evaluation.evaluator import evaluate
from zoo.fitting.memory import peak_memory
from zoo.runs.job import Job

AGAINST_PYTHAE = {"dense": {"zoo": 2.0, "zoo, bf16": 2.7}, "conv": {"zoo": 1.7}}  # times as fast, at least
DEFAULT_RATE = {"learning_rate": 1e-4}


def loop(bench: Bench) -> Findings:
    """The zoo's fit against a bare loop and against Pythae: same network, batch, epochs and images, one thread."""
    found = Findings(notes=["one thread each; Pythae's rate is 1e-3, as in its README, all else its defaults"])
    wait([worker.submit(nothing) for worker in (bench.ours, bench.theirs)])  # both start at once
    for name, size in bench.sizes.loop.items():
        wanted = AGAINST_PYTHAE.get(name, {})
        ours = {
            arm: bench.job([*bench.networks[name], *more], epochs=size.epochs)
            for arm, more in {"zoo": [], "zoo, bf16": BF16}.items()
            if arm == "zoo" or arm in wanted
        }
        arms = {"bare loop": partial(bench.ours, fit_bare, ours["zoo"], size.images)}
        arms |= {arm: partial(bench.ours, fit_zoo, job, size.images) for arm, job in ours.items()}
        arms |= {PRODUCTS.format(arm): partial(bench.ours, multiply, ours[arm], size.images) for arm in wanted}
        if pythae_is_here():
            arms["Pythae"] = partial(bench.theirs, fit_pythae, ours["zoo"], size.images)
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
        yield faster_goal(name, rows, "Pythae", arm, least)
        error = rows[arm].fact("sse") / rows["Pythae"].fact("sse")
        yield Goal(f"{name}: test error of {arm} / of Pythae", error, 1.01)


def own_network(bench: Bench) -> Iterable[Row]:
    """Pythae's own network for MNIST, 33 million parameters, beside the zoo's convolutional one."""
    n, job = bench.sizes.own_images, bench.job(bench.networks.conv, epochs=1)
    arms = {
        "zoo, its conv network": partial(bench.ours, fit_zoo, job, n),
        "Pythae, its conv network": partial(bench.theirs, fit_pythae, job, n, network="own"),
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


def recipe(bench: Bench) -> Findings:
    """Test error after equal times: batch sizes, each with its rate, and schedules, beside the zoo's own."""
    size, n, found = bench.sizes.recipe, bench.sizes.images, Findings()

    def fitted(said: Sequence[str], epochs: int, seed: int) -> Sample:
        sample = bench.ours(fit_zoo, bench.job([*bench.networks.dense, *said], epochs=epochs), n, seed)
        return replace(sample, facts={**sample.facts, "epochs": float(epochs)})

    arms = {name: partial(fitted, said, 1) for name, said in size.recipes.items()}
    epoch = interleaved("one epoch", arms, size.repeats)
    for name, said in size.recipes.items():
        epochs = max(1, round(size.seconds / epoch[name].seconds))
        samples = [fitted(said, epochs, seed) for seed in range(size.repeats)]
        found.rows.append(Row(f"about {size.seconds} s of {n:,} images", name, samples))
    errors = [row.fact("sse") for row in found.rows]
    found.goals = [Goal("recipe: test error of the zoo's own / least", errors[0] / min(errors), 1.05)]
    found.notes = [f"as many epochs as {size.seconds} s hold, by the median of {size.repeats} timed before; one thread"]
    return found


def growth(bench: Bench) -> Findings:
    """Fit and evaluation over numbers of images and widths of the code."""
    found = Findings(notes=["MNIST's training images, repeated beyond 60,000; the 10,000 test images stay the same"])
    sizes: dict[str, Sequence[int]] = bench.sizes.growth

    def once(function: Callable[[Job, int], Sample], job: Job, images: int) -> Arm:
        return lambda _: bench.ours(function, job, images)

    for over, values in sizes.items():
        for what, function in {"fit": fit_once, "evaluation": evaluate_once}.items():
            arms: dict[str, Arm] = {}
            for value in values:
                images, width = (value, 32) if over == "images" else (bench.sizes.images, value)
                job = bench.job([*bench.networks.dense, f"width={width}"], epochs=1)
                arms[f"{value:,}"] = once(function, job, images)
            rows = list(interleaved(f"{what}, {over}", arms, bench.sizes.repeats).values())
            found.rows += rows
            found.goals.append(Goal(f"exponent: {what} over {over}", exponent(values, [r.seconds for r in rows]), 1.05))
    return found


def fit_once(job: Job, images: int) -> Sample:
    """The zoo's fit, with its peak memory in MiB."""
    data = load(job, images)
    model, objective = fresh(job, data, 0), job.make("objective")
    _ = data.train
    with peak_memory() as memory, Stopwatch() as watch:
        job.make("fit")(model, data, objective, 0)
    return watch.sample(mib=memory() or float("nan"))


def evaluate_once(job: Job, images: int) -> Sample:
    """The evaluation of an unfitted model, with its peak memory in MiB."""
    data = load(job, images)
    model = fresh(job, data, 0)
    _ = data.train
    with peak_memory() as memory, Stopwatch() as watch:
        evaluate(model, data, job.due(None), {"seconds": 0.0, "epochs": 1})
    return watch.sample(mib=memory() or float("nan"))
