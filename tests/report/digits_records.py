"""Genuine records: models of the zoo, fitted on scikit-learn's digits and scored by the zoo's own metrics."""

import time
from collections.abc import Callable
from functools import cache, partial
from itertools import pairwise

import torch
from sklearn.decomposition import PCA, TruncatedSVD
from torch import nn

from zoo.data.sources.scans import digits as digits_source
from zoo.data.splits import Splits
from zoo.evaluation.evaluator import measure
from zoo.evaluation.registry import METRICS
from zoo.evaluation.subject import Subject
from zoo.model.autoencoder import Autoencoder
from zoo.model.bottlenecks.pointwise import Pointwise
from zoo.model.corruptions import GaussianNoise, NoCorruption
from zoo.model.likelihoods import GaussianLikelihood
from zoo.objective.objective import Objective
from zoo.runs.identity import digest
from zoo.runs.records import Record
from zoo.runs.strips import encode_strip
from zoo.types import Corruption

REPORTED = ("sse", "mse", "psnr", "ssim", "parameters", "macs", "fit_seconds", "epochs")
EPOCHS = 12

Fitted = tuple[Autoencoder, dict]


@cache
def digits() -> Splits:
    return Splits(digits_source)


def half_of_train(seed: int) -> torch.Tensor:
    """A seed's own half of the training images, so that seeds differ even for a closed form."""
    x = digits().train[:]
    return x[torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[: len(x) // 2]]


def autoencoder(hidden: tuple[int, ...], width: int, seed: int, corruption: Corruption) -> Autoencoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        sizes = (64, *hidden, width)
        encoder, decoder = [nn.Flatten()], []
        for a, b in pairwise(sizes):
            encoder += [nn.Linear(a, b), nn.GELU()]
            decoder = [nn.Linear(b, a), nn.GELU(), *decoder]
        return Autoencoder(
            nn.Sequential(*encoder[:-1]),
            Pointwise(width),
            nn.Sequential(*decoder[:-1], nn.Unflatten(1, (1, 8, 8))),
            GaussianLikelihood(0.1),
            corruption,
        )


def fit_linear(centre: bool, width: int, seed: int) -> Fitted:
    model, x = autoencoder((), width, seed, NoCorruption()), half_of_train(seed).flatten(1)
    start = time.perf_counter()
    solver = PCA(width) if centre else TruncatedSVD(width, algorithm="arpack", random_state=seed)
    components = torch.from_numpy(solver.fit(x.numpy()).components_.copy())
    mean = x.mean(0) if centre else torch.zeros(64)
    with torch.no_grad():
        model.encoder[1].weight.copy_(components)
        model.encoder[1].bias.copy_(-components @ mean)
        model.decoder[0].weight.copy_(components.T)
        model.decoder[0].bias.copy_(mean)
    return model, {"seconds": time.perf_counter() - start, "epochs": 0, "best_epoch": 1, "history": {}}


def fit_by_gradient(hidden: tuple[int, ...], corruption: Corruption, width: int, seed: int) -> Fitted:
    model, x, held_out = (
        autoencoder(hidden, width, seed, corruption),
        half_of_train(seed),
        digits().validation[:],
    )
    objective, generator = Objective(), torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    history: dict[str, list[float]] = {"epoch": [], "train_total": [], "validation_total": []}
    start = time.perf_counter()
    for epoch in range(1, EPOCHS + 1):
        for batch in x[torch.randperm(len(x), generator=generator)].split(64):
            total = objective(model, batch, model(batch, generator))["total"]
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
        with torch.no_grad():
            validation = objective(model, held_out, model(held_out, generator))["total"]
        for name, value in zip(history, (epoch, total.detach(), validation), strict=True):
            history[name].append(float(value))
    fit = {"seconds": time.perf_counter() - start, "epochs": EPOCHS, "best_epoch": EPOCHS, "history": history}
    return model, fit


VARIANTS: dict[str, Callable[[int, int], Fitted]] = {
    "pca": partial(fit_linear, True),
    "svd": partial(fit_linear, False),
    "deep_ae": partial(fit_by_gradient, (48, 32), NoCorruption()),
    "deep_ae corruption=gaussian": partial(fit_by_gradient, (48, 32), GaussianNoise(0.3)),
}


@cache
def digits_record(name: str, width: int, seed: int) -> Record:
    model, fit = VARIANTS[name](width, seed)
    model.eval()
    subject = Subject(model, digits(), fit)
    x = digits().test[:16]
    with torch.no_grad():
        metrics = {
            metric.name: {
                "group": metric.group,
                "unit": metric.unit,
                "direction": metric.direction,
                "measured": metric.measured,
                "definition": metric.definition,
                "version": metric.version,
                **measure(metric, subject),
            }
            for metric in map(METRICS.__getitem__, REPORTED)
        }
        # codes drawn from the Gaussian that fits the training codes
        codes = model.encode(digits().train[:])
        drawn = torch.distributions.MultivariateNormal(codes.mean(0), torch.cov(codes.T) + 1e-6 * torch.eye(width))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            images = {
                "original": x,
                "reconstruction": model.reconstruct(x),
                "samples": model.decode(drawn.sample((16,))),
            }
        seen, hidden = model.corruption(x, torch.Generator().manual_seed(0))
        if hidden is not None:
            images |= {"corrupted": seen, "restored": model.reconstruct(seen)}
    config = {"bottleneck": {"option": "identity", "width": width, "name": name}}
    return Record(
        name=name,
        variant=name.split()[0],
        data="digits",
        width=width,
        seed=seed,
        hash=digest(config),
        config=config,
        code="0123456789",
        fit=fit,
        metrics=metrics,
        images={strip: encode_strip(batch) for strip, batch in images.items()},
    )


def table_records() -> list[Record]:
    """Every variant at one width under three seeds."""
    return [digits_record(name, 8, seed) for name in VARIANTS for seed in range(3)]


def sweep_records() -> list[Record]:
    """Every variant at two other widths under two seeds."""
    return [digits_record(name, width, seed) for name in VARIANTS for width in (2, 16) for seed in range(2)]
