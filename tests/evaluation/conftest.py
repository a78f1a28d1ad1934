"""A real data set and real small models for the evaluator's tests."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from torch import Tensor, nn

from zoo.autoencoder import Autoencoder
from zoo.bottlenecks.dense import Dense
from zoo.corruption import Clean
from zoo.data.images import Images
from zoo.density import LEARNED
from zoo.evaluation.subject import samples
from zoo.likelihood import Gaussian


@dataclass(frozen=True)
class Splits:
    name: str
    train: Images
    validation: Images
    test: Images
    classes: tuple[str, ...]


def autoencoder(encoder: nn.Module, decoder: nn.Module, width: int) -> Autoencoder:
    return Autoencoder(encoder, Dense(width), decoder, Gaussian(), Clean())


@pytest.fixture(scope="session")
def digits() -> Splits:
    bunch = load_digits()
    order = torch.randperm(1797, generator=torch.Generator().manual_seed(0))  # they come sorted by writer
    pixels = torch.from_numpy(bunch.images).to(torch.uint8)[order, None]
    labels = torch.from_numpy(bunch.target).long()[order]
    train, validation, test = (
        Images(pixels[part], labels[part], 16.0) for part in (slice(0, 1200), slice(1200, 1400), slice(1400, None))
    )
    return Splits("digits", train, validation, test, tuple(map(str, range(10))))


@pytest.fixture(autouse=True)
def short_fits_of_densities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty steps are enough where the question is what becomes of the samples."""
    monkeypatch.setattr(samples, "LEARNED", {name: partial(build, steps=20) for name, build in LEARNED.items()})


@pytest.fixture
def identity_model() -> Callable[[int, int, int], Autoencoder]:
    def build(c: int, h: int, w: int) -> Autoencoder:
        return autoencoder(nn.Flatten(), nn.Unflatten(1, (c, h, w)), c * h * w)

    return build


@pytest.fixture
def small_model() -> Autoencoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Dropout(0.5))
        decoder = nn.Sequential(nn.Linear(16, 64), nn.Unflatten(1, (1, 8, 8)))
    return autoencoder(encoder, decoder, 16)


@pytest.fixture(scope="session")
def pca(digits: Splits) -> Autoencoder:
    """PCA of the digits to 16 components, as a linear autoencoder."""
    fitted = PCA(16).fit(digits.train[:].flatten(1).numpy())
    return linear_model(torch.from_numpy(fitted.components_), torch.from_numpy(fitted.mean_))


def linear_model(axes: Tensor, mean: Tensor) -> Autoencoder:
    """z = A (x - mean), x_hat = A' z + mean on 8x8 images, with rows A: (D, 64)."""
    width = len(axes)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, width))
    decoder = nn.Sequential(nn.Linear(width, 64), nn.Unflatten(1, (1, 8, 8)))
    with torch.no_grad():
        encoder[1].weight.copy_(axes)
        encoder[1].bias.copy_(-axes @ mean)
        decoder[0].weight.copy_(axes.T)
        decoder[0].bias.copy_(mean)
    return autoencoder(encoder, decoder, width)
