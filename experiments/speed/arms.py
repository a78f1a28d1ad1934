"""The same network fitted in three ways: by the zoo, by a bare PyTorch loop, by Pythae.

Each function runs in a worker process, on a job of the zoo: its data, network, likelihood, batch size and epochs. All
hold out the zoo's validation images, score them once an epoch and keep the best weights.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from importlib.util import find_spec
from io import StringIO
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from experiments.speed.measure import Sample, Stopwatch
from zoo.arithmetic import arithmetic
from zoo.data.images import Images, Source
from zoo.data.splits import Splits
from zoo.evaluation.metrics.reconstruction import sse
from zoo.fitting.gradient import Gradient, initialise_from_data
from zoo.fitting.optimizers import parameter_groups
from zoo.memory import keep_freed_memory
from zoo.model.autoencoder import Autoencoder
from zoo.model.bottlenecks.diagonal_posterior import DiagonalPosterior
from zoo.model.io import build_model
from zoo.runs.job import Job

Layer = nn.Linear | nn.Conv2d | nn.ConvTranspose2d
CHUNK = 1000


def pythae_is_here() -> bool:
    """Can Pythae be imported?"""
    return find_spec("pythae") is not None


def load(job: Job, images: int) -> Splits:
    """The job's data with that many training images: the first ones, or all of them again and again.

    And with all test images, or as many of them as training images.
    """
    data: Splits = job.make("data")
    whole = data.source
    train = whole.train.subset(torch.arange(images) % len(whole.train))
    source = Source(whole.name, train, whole.test.subset(torch.arange(len(whole.test))[:images]), whole.classes)
    return Splits(source, validation_fraction=data.validation_fraction, split_seed=data.split_seed)


def fresh(job: Job, data: Splits, seed: int) -> Autoencoder:
    """The job's model before its fit."""
    return build_model(job.config, data.shape, seed)


@torch.no_grad()
def squared_error(reconstruct: Callable[[Tensor], Tensor], images: Images) -> float:
    """Mean over images of the squared error summed over pixels."""
    errors = [sse(x, reconstruct(x).reshape(x.shape)) for x in images.batches(CHUNK)]
    return torch.cat(errors).mean().item()


def fit_zoo(job: Job, images: int, seed: int) -> Sample:
    """The zoo's own fit."""
    data = load(job, images)
    model = fresh(job, data, seed)
    fit, objective = job.make("fit"), job.make("objective")
    _ = data.train  # cut before the clock starts
    with Stopwatch() as watch:
        fit(model, data, objective, seed)
    return watch.sample(sse=squared_error(model.eval().reconstruct, data.test))


def fit_bare(job: Job, images: int, seed: int) -> Sample:
    """A loop written by hand, with its own loss, and the network, optimiser and schedule of the zoo."""
    data = load(job, images)
    model = fresh(job, data, seed)
    initialise_from_data(model, data)
    encoder, decoder, std = model.encoder, model.decoder, float(job.axes["likelihood"]["std"])
    variational = isinstance(model.bottleneck, DiagonalPosterior)
    settings: Gradient = job.make("fit")
    device = torch.device("cuda" if settings.accelerator == "gpu" else "cpu")
    train, validation, size = data.train.to(device), data.validation.to(device), settings.batch_size

    def squared(x_hat: Tensor, x: Tensor) -> Tensor:
        return (x_hat - x).square().sum() / len(x) / (2 * std**2)

    def loss_of(x: Tensor) -> Tensor:
        h: Tensor = encoder(x)
        if not variational:
            return squared(decoder(h), x)
        mean, log_variance = h.chunk(2, 1)
        z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum() / len(x)
        return squared(decoder(z), x) + kl

    def decode(x: Tensor) -> Tensor:
        h = encoder(x)
        reconstruction: Tensor = decoder(h.chunk(2, 1)[0] if variational else h)
        return reconstruction

    keep_freed_memory()
    with arithmetic(settings.matmul, settings.threads), Stopwatch() as watch:
        torch.manual_seed(seed)
        both = nn.ModuleList([encoder, decoder]).to(device)
        optimizer = settings.optimizer(parameter_groups(both))
        schedule = settings.schedule(optimizer, settings.epochs * -(-len(train) // size))
        best = float("inf")
        for _ in range(settings.epochs):
            order = torch.randperm(len(train)).to(device)
            for start in range(0, len(train), size):
                loss = loss_of(train.pixels.index_select(0, order[start : start + size]) / train.scale)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
            with torch.no_grad():
                total = sum(loss_of(x) * len(x) for x in validation.batches(size))
            if float(total) < best:
                best, weights = float(total), copy.deepcopy(both.state_dict())
        both.load_state_dict(weights)
        both.cpu()
    return watch.sample(sse=squared_error(decode, data.test))


def multiply(job: Job, images: int, seed: int) -> Sample:
    """No fit: only the products of one, which no loop saves.

    At each step and layer these are the output, the gradient of the weights and that of the input; on numbers that are
    in the fit's precision already.
    """
    data = load(job, images)
    model = fresh(job, data, seed)
    settings: Gradient = job.make("fit")
    rows, size = len(data.train), settings.batch_size
    calls = layer_calls(model, data.train[:size])
    for layer, _ in calls:
        layer.bias = None
    dtype = torch.bfloat16 if settings.precision == "bf16-mixed" else torch.float32
    ends = [(layer.to(dtype), x.to(dtype), layer(x.to(dtype)).detach()) for layer, x in calls]
    keep_freed_memory()
    with arithmetic(settings.matmul, settings.threads), Stopwatch() as watch:
        for _ in range(settings.epochs):
            for start in range(0, rows, size):
                n = min(size, rows - start)
                for layer, x, gradient in ends:
                    layer.weight.grad = None
                    given = x[:n].requires_grad_(layer is not calls[0][0])  # the gradient of the images is not needed
                    layer(given).backward(gradient[:n])
    return watch.sample()


def layer_calls(model: Autoencoder, x: Tensor) -> list[tuple[Layer, Tensor]]:
    """The dense and convolutional layers of a model, in the order in which a step calls them, with their inputs."""
    calls: list[tuple[Layer, Tensor]] = []
    hooks = [
        layer.register_forward_pre_hook(lambda layer, given: calls.append((layer, given[0])))
        for layer in model.modules()
        if isinstance(layer, Layer)
    ]
    with torch.no_grad():
        model(x)
    for hook in hooks:
        hook.remove()
    return calls


def fit_pythae(job: Job, images: int, seed: int, settings: Mapping[str, Any] | None = None) -> Sample:
    """Pythae's trainer on the job's network as the zoo starts it, its data and epochs, otherwise at its defaults.

    Args:
        job: gives data, network and epochs.
        images: training images.
        seed: determines the outcome.
        settings: of Pythae's trainer, over its defaults.
    """
    from pythae.data.datasets import BaseDataset
    from pythae.models import AE, VAE, AEConfig, VAEConfig
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    data = load(job, images)
    ours = fresh(job, data, seed)
    initialise_from_data(ours, data)
    variational = isinstance(ours.bottleneck, DiagonalPosterior)
    config = (VAEConfig if variational else AEConfig)(input_dim=data.shape, latent_dim=ours.bottleneck.out_features)
    model = (VAE if variational else AE)(config, *adapted(ours, variational))
    sets = [BaseDataset(part[:], torch.zeros(len(part))) for part in (data.train, data.validation)]
    given = {"num_epochs": job.axes["fit"]["epochs"], "seed": seed, "no_cuda": True} | dict(settings or {})
    with TemporaryDirectory() as folder, redirect_stdout(StringIO()):
        trainer = BaseTrainer(model, *sets, BaseTrainerConfig(output_dir=folder, **given))
        with Stopwatch() as watch:
            trainer.train()
    best = trainer._best_model.cpu().eval()
    return watch.sample(sse=squared_error(lambda x: best.decoder(best.encoder(x).embedding).reconstruction, data.test))


def the_same(job: Job) -> dict[str, Any]:
    """Settings of Pythae's trainer that give it the job's batch size, optimiser and rate, which stays constant."""
    fit = job.axes["fit"]
    optimizer = fit["optimizer"]
    return {
        "per_device_train_batch_size": fit["batch_size"],
        "per_device_eval_batch_size": fit["batch_size"],
        "optimizer_cls": "AdamW",
        "learning_rate": optimizer["lr"],
        "optimizer_params": {"weight_decay": optimizer["weight_decay"]},
    }


def adapted(ours: Autoencoder, variational: bool) -> tuple[nn.Module, nn.Module]:
    """The zoo's encoder and decoder, answering as Pythae's do."""
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    class Encoder(BaseEncoder):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.layers = ours.encoder

        def forward(self, x: Tensor) -> Any:
            h = self.layers(x)
            if not variational:
                return ModelOutput(embedding=h)
            mean, log_variance = h.chunk(2, 1)
            return ModelOutput(embedding=mean, log_covariance=log_variance)

    class Decoder(BaseDecoder):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.layers = ours.decoder

        def forward(self, z: Tensor) -> Any:
            return ModelOutput(reconstruction=self.layers(z))

    return Encoder(), Decoder()
