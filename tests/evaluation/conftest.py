"""A real data set and real small models for the evaluator's tests."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from torch import Tensor, nn

from zoo.data.images import Images
from zoo.evaluation.evaluator import evaluate, in_groups
from zoo.model.autoencoder import Autoencoder
from zoo.model.bottlenecks.pointwise import Pointwise
from zoo.model.corruptions import NoCorruption
from zoo.model.likelihoods import GaussianLikelihood
from zoo.samples import Form

# Short fits of small networks where a test is about what becomes of the samples
SHORT = {
    **{name: {"option": name} for name in ("standard_normal", "gaussian", "mixture", "kernel")},
    **{name: {"option": name, "steps": 20, "hidden": 16} for name in ("flow", "flow_matching", "two_stage_vae")},
    "autoregressive": {"option": "autoregressive", "steps": 20, "units": 16},
}


@dataclass(frozen=True)
class FixedSplits:
    """What the evaluator reads of `zoo.data.splits.Splits`, with parts of the test's own choice."""

    name: str
    train: Images
    validation: Images
    test: Images
    classes: tuple[str, ...]
    kind: str = "image"
    atoms: Tensor | None = None
    left_out: Images | None = None
    form: Form = field(default_factory=lambda: Form("vector", (1,)))  # without names of features

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.train.shape

    def bounded(self) -> "FixedSplits":
        """All of them are few."""
        return self


def autoencoder(encoder: nn.Module, decoder: nn.Module, width: int) -> Autoencoder:
    return Autoencoder(encoder, Pointwise(width), decoder, GaussianLikelihood(), NoCorruption())


def measured(
    model: Autoencoder, data: FixedSplits, groups: Sequence[str], fit: Mapping[str, Any] | None = None
) -> dict[str, dict[str, Any]]:
    """The entries of all metrics of some groups."""
    return evaluate(model, data, in_groups(groups), fit or {}, densities=SHORT)


@pytest.fixture(scope="session")
def digits() -> FixedSplits:
    bunch = load_digits()
    order = torch.randperm(1797, generator=torch.Generator().manual_seed(0))  # they come sorted by writer
    pixels = torch.from_numpy(bunch.images).to(torch.uint8)[order, None]
    labels = torch.from_numpy(bunch.target).long()[order]
    train, validation, test = (
        Images(pixels[part], labels[part], 16.0) for part in (slice(0, 1200), slice(1200, 1400), slice(1400, None))
    )
    return FixedSplits("digits", train, validation, test, tuple(map(str, range(10))))


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
def pca(digits: FixedSplits) -> Autoencoder:
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
