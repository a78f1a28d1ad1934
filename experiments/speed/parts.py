"""Parts of the benchmark that fit models: beside other loops, by recipe, to a quality, on a GPU."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from statistics import median

import torch

from experiments.speed.arms import fit_bare, fit_pythae, fit_zoo, multiply, pythae_is_here, the_same
from experiments.speed.bench import Bench
from experiments.speed.measure import Findings, Row, Sample, interleaved, pooled, ratio
from zoo.errors import ZooError
from zoo.runs.job import Job

SAME = "in every arm: the zoo's network, images, batch size, AdamW with one constant rate, and choice of the best epoch"


def loop(bench: Bench) -> Findings:
    """The zoo's fit beside a bare loop, the fit's products alone, and Pythae at the same settings; one thread."""
    found = Findings(notes=[SAME, "one thread"])
    for name, size in bench.sizes.loop.items():
        job = bench.job([*bench.sizes.networks[name], *bench.sizes.plain], epochs=size.epochs)
        arms = {
            "zoo": partial(bench.ours, fit_zoo, job, size.images),
            "bare loop": partial(bench.ours, fit_bare, job, size.images),
            "products of the fit alone": partial(bench.ours, multiply, job, size.images),
        }
        if pythae_is_here():
            arms["Pythae"] = partial(bench.theirs, fit_pythae, job, size.images, settings=the_same(job))
        compare(found, f"{name}: {size.epochs} x {size.images:,} images", arms, size.repeats)
    return found


def gpu(bench: Bench) -> Findings:
    """The same on a GPU, with recorded steps, with plain ones, and in bf16."""
    if not torch.cuda.is_available():
        raise ZooError("parts=[gpu]: this machine has no GPU")
    found = Findings(notes=[SAME, "fp32 rounds products to tf32, in the bare loop as in the zoo"])
    for name, size in bench.sizes.gpu.items():
        said = [*bench.sizes.networks[name], *bench.sizes.plain, "trainer=gpu", "trainer.precision=32-true"]
        recorded, plain, half = (
            bench.job([*said, *more], epochs=size.epochs)
            for more in ([], ["trainer.replay=false"], ["trainer.precision=bf16-mixed"])
        )
        arms = {
            "zoo": partial(bench.ours, fit_zoo, recorded, size.images),
            "zoo, steps not recorded": partial(bench.ours, fit_zoo, plain, size.images),
            "zoo, bf16": partial(bench.ours, fit_zoo, half, size.images),
            "bare loop": partial(bench.ours, fit_bare, plain, size.images),
        }
        if pythae_is_here():
            settings = the_same(plain) | {"no_cuda": False}
            arms["Pythae"] = partial(bench.theirs, fit_pythae, plain, size.images, settings=settings)
        compare(found, f"{name}: {size.epochs} x {size.images:,} images", arms, size.repeats)
    return found


def compare(found: Findings, comparison: str, arms: dict[str, partial[Sample]], repeats: int) -> None:
    """Run the arms in turn, and add their rows and the ratios of their seconds."""
    rows = interleaved(comparison, arms, repeats)
    found.rows += rows.values()
    for above, below in (("zoo", "bare loop"), ("zoo", "products of the fit alone"), ("Pythae", "zoo")):
        if above in rows and below in rows:
            found.ratios[f"{comparison.partition(':')[0]}: {above} / {below}"] = ratio(rows[above], rows[below])


def recipe(bench: Bench) -> Findings:
    """Each recipe's test error after equal time, on one thread, for each network and each data set.

    Time is CPU time of one thread, which other work on the machine changes little. First every recipe is timed, by an
    epoch of few images. Then each is fitted for as many epochs as the time of its network holds, several fits at once:
    all recipes with one seed, and the best with the others. Training sets are cut, so that an epoch is short against
    that time; test images are all used. The fits are kept in the cache, so that an interrupted search resumes.
    """
    size = bench.sizes.recipe
    known = {**size.recipes, **size.more}
    found = Findings(
        notes=[
            "as many epochs as the CPU seconds allow, by an epoch that was timed before; one thread per fit",
            f"the first {size.images:,} training images, or all of a smaller set; all test images",
            f"every recipe with one seed; the best {size.finalists} of each comparison with {size.seeds}",
            "in all recipes, output biases start at the data's mean, and weight matrices alone decay",
            "Muon leaves the matrices of dictionaries to AdamW, so these have AdamW's rows alone",
            *(
                f"{data}: {of.batch_size} images per step, unless a recipe says how many"
                for data, of in size.sets.items()
            ),
            *(f"{name}: `{' '.join(said)}`" for name, said in known.items()),
        ]
    )
    timed = bench.memory.cache(seconds_of_epoch, ignore=["bench", "job"])
    fitted = bench.memory.cache(error_of, ignore=["job"])
    arms: dict[str, dict[str, tuple[Job, float, int]]] = {}
    for data, of in size.sets.items():
        for network, about in size.networks.items():
            seconds = about.seconds * of.share
            for name in of.recipes or size.recipes:
                if about.get("without") in known[name]:
                    continue
                said = [*about.said, f"budget.batch_size={of.batch_size}", *known[name]]
                once = bench.job(said, data=data, epochs=1)
                epoch = timed(bench, once, once.key, size.timed, size.images)
                epochs = max(1, round(seconds / epoch)) if epoch else 1
                job = bench.job(said, data=data, epochs=epochs)
                arms.setdefault(f"{data}, {network}: {seconds:g} s", {})[name] = (job, epochs * epoch, epochs)

    def errors_of(pairs: Sequence[tuple[Job, int]]) -> dict[tuple[str, int], float]:
        calls = [(replace(job, seed=seed), job.key, seed, size.images) for job, seed in pairs]
        return dict(zip([call[1:3] for call in calls], pooled(fitted, calls), strict=True))

    errors = errors_of([(job, 0) for each in arms.values() for job, _, _ in each.values()])
    best = [sorted(each.values(), key=lambda arm: errors[arm[0].key, 0])[: size.finalists] for each in arms.values()]
    errors |= errors_of([(job, seed) for each in best for job, _, _ in each for seed in range(1, size.seeds)])
    for comparison, each in arms.items():
        for name, (job, took, epochs) in each.items():
            mine = [errors[job.key, seed] for seed in range(size.seeds) if (job.key, seed) in errors]
            found.rows.append(Row(comparison, name, [Sample(took, took, {"sse": e, "epochs": epochs}) for e in mine]))
    return found


def seconds_of_epoch(bench: Bench, job: Job, key: str, timed: int, images: int) -> float:
    """CPU seconds of an epoch over `images` images, or all of a smaller set; 0 where the fit diverges.

    It is inferred from epochs over `timed` of them. `key` tells the cache which job it is.
    """
    n = min(whole(job), images)
    short = min(timed, n)
    try:
        return median(bench.ours(fit_zoo, job, short, seed).cpu for seed in range(3)) * n / short
    except ZooError:
        return 0.0


def error_of(job: Job, key: str, seed: int, images: int) -> float:
    """The test error of a fit on `images` images, or all of a smaller set.

    `key` and `seed` tell the cache which fit it is.
    """
    try:
        return fit_zoo(job, min(whole(job), images), seed).facts["sse"]
    except ZooError:  # a recipe that diverges is a result
        return math.inf


def quality(bench: Bench) -> Findings:
    """Seconds and test error of whole fits on all cores."""
    cores = os.cpu_count() or 1
    chosen = "rates, schedules and numbers of epochs were chosen by earlier trials, which looked at test errors, too"
    found = Findings(notes=[f"{cores} threads; no fit looks at test images, and each takes all of its epochs", chosen])
    for name, size in bench.sizes.quality.items():
        job = bench.job([*size.said, f"trainer.threads={cores}"], epochs=size.epochs)
        arms = {f"{size.epochs} epochs": partial(bench.ours, fit_zoo, job, whole(job))}
        found.rows += interleaved(name, arms, size.runs).values()
        found.notes.append(f"{name}: `{' '.join(size.said)} budget.epochs={size.epochs}`")
    return found


def defaults(bench: Bench) -> Findings:
    """The zoo and Pythae on one network, each with its own optimiser, rate, batch size and number of epochs."""
    found = Findings(notes=["one thread; compare CPU seconds: other work may have run beside a long fit"])
    for name, size in bench.sizes.defaults.items():
        job = bench.job(bench.sizes.networks[name])
        long = bench.job(bench.sizes.networks[name], epochs=size.pythae_epochs)
        arms = {
            f"zoo, {job.axes['fit']['epochs']} epochs": partial(bench.ours, fit_zoo, job, whole(job)),
            f"Pythae, {size.pythae_epochs} epochs": partial(bench.theirs, fit_pythae, long, whole(job)),
        }
        found.rows += interleaved(name, arms, size.repeats).values()
    return found


def whole(job: Job) -> int:
    """The number of training images, validation images among them."""
    return len(job.make("data").source.train)
