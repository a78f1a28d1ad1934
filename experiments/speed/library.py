"""Parts of the benchmark about the library: growth, PCA, the evaluator and its kernels, throughput."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

import torch
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from experiments.speed.arms import fresh, load, squared_error
from experiments.speed.bench import Bench
from experiments.speed.measure import (
    Arm,
    Findings,
    Row,
    Sample,
    Stopwatch,
    clocked,
    exponent,
    interleaved,
    ratio,
)
from zoo.evaluation.evaluator import evaluate, in_groups
from zoo.evaluation.measures.neighbours import nearest
from zoo.evaluation.metrics.reconstruction import ssim
from zoo.fitting.memory import peak_memory
from zoo.fitting.svd import Svd
from zoo.runs.job import Job

WIDTH = 32
EXACT = ("covariance_eigh", "full", "arpack")


def pca(bench: Bench) -> Findings:
    """PCA of MNIST's training images to 32 components, beside scikit-learn's exact solvers."""
    job = bench.job(["variant=pca", f"width={WIDTH}"])
    data = load(job, bench.sizes.images)

    def solved_by(solver: str, _: int) -> Sample:
        with Stopwatch() as watch:
            x = data.train[:].flatten(1).double().numpy()
            found = PCA(WIDTH, svd_solver=solver, random_state=0).fit(x)
            del x  # to give its memory back takes time, and the zoo's fit does, too

        def reconstruct(images: Tensor) -> Tensor:
            return torch.from_numpy(found.inverse_transform(found.transform(images.flatten(1).double().numpy())))

        return watch.sample(sse=squared_error(reconstruct, data.test))

    def solved_by_zoo(_: int) -> Sample:
        model = fresh(job, data, 0)
        objective = job.make("objective")
        fit: Svd = job.make("fit")
        with Stopwatch() as watch:
            fit(model, data, objective, 0)
        return watch.sample(sse=squared_error(model.reconstruct, data.test))

    arms: dict[str, Callable[[int], Sample]] = {"zoo": solved_by_zoo}
    arms |= {f"scikit-learn, {solver}": partial(solved_by, solver) for solver in EXACT}
    comparison = f"{len(data.train):,} images to {WIDTH}"
    rows = interleaved(comparison, arms, 1)  # for the fastest two, to warm up
    rival = min((row for row in rows.values() if row.arm != "zoo"), key=lambda row: row.samples[0].seconds).arm
    rows |= interleaved(comparison, {arm: arms[arm] for arm in ("zoo", rival)}, bench.sizes.pca.repeats)
    best_error = min(row.fact("sse") for row in rows.values())
    ratios = {
        f"zoo / {rival}, the fastest exact solver": ratio(rows["zoo"], rows[rival]),
        "error of zoo / least error": rows["zoo"].fact("sse") / best_error,
    }
    notes = ["one thread; float64, the conversion counted; validation images are not in the fit"]
    return Findings(list(rows.values()), ratios, notes)


def evaluation(bench: Bench) -> Findings:
    """The evaluator by group, its two costly kernels against other libraries, encoding and decoding."""
    from torchmetrics.functional.image import structural_similarity_index_measure as their_ssim

    job = bench.job(bench.networks.dense, epochs=1)
    data, repeats = load(job, bench.sizes.images), bench.sizes.repeats
    model = fresh(job, data, 0)
    job.make("fit")(model, data, job.make("objective"), 0)
    model.eval()
    found = Findings(notes=["one thread; a group's time holds encoding and decoding, which a whole evaluation shares"])
    about = {"seconds": 0.0, "epochs": 1}
    for group in bench.sizes.evaluation:
        sample = clocked(partial(evaluate, model, data, in_groups([group]), about))
        found.rows.append(Row("evaluation by group", group, [sample]))
    x = data.test[:]
    with torch.no_grad():
        x_hat, codes, points = model.reconstruct(x), model.encode(x), model.encode(data.train[:])

        def throughput(function: Callable[[Tensor], Tensor], given: Tensor) -> Sample:
            with Stopwatch() as watch:
                for part in torch.split(given, 1000):
                    function(part)
            return watch.sample(per_second=len(given) / watch.seconds)

        both = {"encode": lambda _: throughput(model.encode, x), "decode": lambda _: throughput(model.decode, codes)}
        found.rows += interleaved(f"dense network, {len(x):,} images", both, repeats).values()

        results: dict[str, Tensor] = {}

        def keep(name: str, function: Callable[[], Tensor]) -> Sample:
            with Stopwatch() as watch:
                results[name] = function()
            return watch.sample()

        def torchmetrics_ssim() -> Tensor:
            parts = zip(torch.split(x_hat, 256), torch.split(x, 256), strict=True)
            maps = [their_ssim(a, b, data_range=1.0, reduction="none") for a, b in parts]
            return torch.cat([values for values in maps if isinstance(values, Tensor)])

        def sklearn_neighbours() -> Tensor:
            search = NearestNeighbors(n_neighbors=10, algorithm="brute").fit(points.numpy())
            return torch.from_numpy(search.kneighbors(codes.numpy())[0])

        similar = interleaved(
            f"SSIM of {len(x):,} pairs",
            {
                "zoo": lambda _: keep("ssim", lambda: ssim(x, x_hat)),
                "torchmetrics": lambda _: keep("their ssim", torchmetrics_ssim),
            },
            repeats,
        )
        near = interleaved(
            f"10 neighbours of {len(codes):,} among {len(points):,}",
            {
                "zoo": lambda _: keep("near", lambda: nearest(codes, points, 10)[1]),
                "scikit-learn, brute": lambda _: keep("their near", sklearn_neighbours),
            },
            repeats,
        )
    found.rows += [*similar.values(), *near.values()]
    found_there = points.double()[results["near"]]
    distances = (found_there - codes.double()[:, None]).norm(dim=2).sort(1).values
    far = (distances / results["their near"].double() - 1).abs().max().item()
    found.ratios = {
        "SSIM: zoo / torchmetrics": ratio(similar["zoo"], similar["torchmetrics"]),
        "SSIM: largest difference": (results["ssim"] - results["their ssim"]).abs().max().item(),
        "neighbours: zoo / scikit-learn": ratio(near["zoo"], near["scikit-learn, brute"]),
        "neighbours: how much farther than the true ones, at most": far,
    }
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
            seconds = [median(sample.seconds for sample in row.samples) for row in rows]
            found.ratios[f"{what}: exponent over {over}"] = exponent(values, seconds)
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
