"""Closed forms on images at the edge: a right answer, or a sentence."""

import numpy as np
import pytest
import torch

from zoo.data.images import Images, Source
from zoo.data.splits import Splits
from zoo.errors import ZooError
from zoo.model.io import build_model

SIDE, RANK = 4, 3
PIXELS = SIDE * SIDE
CLOSED = ("svd", "pca", "ppca", "factor_analysis", "streaming_pca", "ica", "nmf")
APPROXIMATE = {"nmf": 2e-3, "factor_analysis": 1e-3, "ppca": 1e-3}  # largest mean squared error of images of low rank


def images_of(name):
    """(N, 16) images in [0, 1]; those of rank 3 are sums of three images, and their mean is one of these sums."""
    rng = np.random.default_rng(0)
    return {
        "equal": np.tile(rng.random(PIXELS), (20, 1)),
        "black": np.zeros((20, PIXELS)),
        "rank": rng.random((60, RANK)) @ rng.random((RANK, PIXELS)) / RANK,
        "few": rng.random((5, PIXELS)),
        "two": rng.random((2, PIXELS)),
        "one": rng.random((1, PIXELS)),
        "one pixel": rng.random((40, 1)) * np.eye(PIXELS)[0],
    }[name]


def data_of(name):
    x = torch.from_numpy(images_of(name)).float().view(-1, 1, SIDE, SIDE)
    images = Images(x, torch.zeros(len(x), dtype=torch.int64), scale=1.0)
    return Splits(Source(name, images, images), validation_fraction=None)


def fitted(compose_job, variant, data, width):
    job = compose_job(f"variant={variant}", f"width={width}")
    model = build_model(job.config, data.shape, seed=0)
    job.make("fit")(model, data, job.make("objective"), 0)
    return model.eval()


@pytest.mark.filterwarnings("ignore:FastICA did not converge:UserWarning")  # so it is with few images, and is said
@pytest.mark.parametrize("width", [RANK, 8, PIXELS])
@pytest.mark.parametrize("name", ["equal", "black", "rank", "few", "two", "one", "one pixel"])
@pytest.mark.parametrize("variant", CLOSED)
def test_images_at_the_edge(compose_job, variant, name, width):
    """Images of a rank up to the width come back; where that fails, one sentence names the fit and a way out."""
    data = data_of(name)
    x = data.train[:]
    try:
        model = fitted(compose_job, variant, data, width)
    except ZooError as error:
        assert len(x) < width
        message = str(error)
        assert len(message.splitlines()) == 1
        assert "=" in message
        return
    with torch.no_grad():
        z, x_hat = model.encode(x), model.reconstruct(x)
    assert all(value.isfinite().all() for value in (*model.state_dict().values(), z, x_hat))
    error = (x_hat - x).square().mean().item()
    rank = np.linalg.matrix_rank(images_of(name))
    if rank <= width and (variant, name) != ("factor_analysis", "one pixel"):  # noise of that pixel explains it, too
        assert error < APPROXIMATE.get(variant, 1e-9)
    assert error <= (x - x.mean(0)).square().mean().item() + 1e-6 or variant in ("svd", "nmf")
