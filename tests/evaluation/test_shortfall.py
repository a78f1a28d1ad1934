"""The warning about models that explain less than the mean image or than PCA."""

from dataclasses import replace

import pytest
import torch

from zoo.data.sources import digits
from zoo.data.splits import Splits
from zoo.evaluation.shortfall import shortfall
from zoo.fitting.svd import Svd
from zoo.model.autoencoder import build
from zoo.model.bottlenecks.pointwise import Pointwise
from zoo.model.bottlenecks.topk import TopK
from zoo.model.corruptions import GaussianNoise, NoCorruption
from zoo.model.likelihoods import GaussianLikelihood
from zoo.model.networks.linear import linear
from zoo.objective.objective import Objective


@pytest.fixture(scope="module")
def data():
    return Splits(digits)


def model(width, corruption=NoCorruption(), bottleneck=Pointwise):  # noqa: B008 (it is frozen)
    return build((1, 8, 8), linear, lambda: bottleneck(width), GaussianLikelihood(), corruption, seed=0)


def pca(data, width, units):
    """PCA of `width` components in a code of more units, the others of which hold noise that is not decoded."""
    fitted, narrow = model(units), model(width)
    Svd()(narrow, data, Objective(), 0)
    with torch.no_grad():
        fitted.encoder[1].weight[:width] = narrow.encoder[1].weight
        fitted.encoder[1].bias[:width] = narrow.encoder[1].bias
        fitted.decoder[0].weight.zero_()[:, :width] = narrow.decoder[0].weight
        fitted.decoder[0].bias.copy_(narrow.decoder[0].bias)
    return fitted


def test_an_untrained_model_explains_less_than_the_mean_image(data):
    said = shortfall(model(4), data)
    assert said.startswith("explains less of the test samples than the mean image (explained variance -")
    assert "budget.epochs=" in said


def test_three_components_explain_less_than_pca_with_eight(data):
    said = shortfall(pca(data, 3, 8), data)
    x, mean = data.test[:], data.train[:].mean(0)
    spread = (x - mean).square().sum()
    reached = []
    for width in (3, 8):
        with torch.no_grad():
            reached.append(1 - (pca(data, width, width).reconstruct(x) - x).square().sum() / spread)
    assert f"than PCA of the same width ({reached[0]:.2f} against {reached[1]:.2f} of the variance)" in said


@pytest.mark.parametrize("width", [1, 8, 32])
def test_pca_itself_falls_short_of_nothing(data, width):
    assert shortfall(pca(data, width, width), data) is None


def test_a_code_wider_than_the_number_of_images_is_compared_with_all_components_there_are(data):
    few = Splits(replace(data.source, train=data.source.train.subset(torch.arange(20))))
    assert len(few.train) < 20
    said = shortfall(pca(data, 3, 32), few)
    assert f"than PCA with only {len(few.train) - 1} components (" in said


def test_widths_that_cannot_be_compared_are_not(data):
    assert shortfall(pca(data, 3, 64), data) is None, "as wide as the image"
    noisy = pca(data, 3, 8)
    noisy.corruption = GaussianNoise()
    assert shortfall(noisy, data) is None, "fitted to corrupted images"
    sparse = pca(data, 3, 8)
    sparse.bottleneck = TopK(8, 3)
    assert "PCA" not in (shortfall(sparse, data) or "")


def test_the_model_keeps_its_mode(data):
    fitted = pca(data, 3, 8).train()
    shortfall(fitted, data)
    assert fitted.training
