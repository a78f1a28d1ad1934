"""Skip-gram with negative sampling: its gradient, its optimum, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from torch.nn import functional as F

from zoo.data.sources.contexts import words
from zoo.data.splits import Splits
from zoo.errors import ZooError
from zoo.fitting.skip_gram import SkipGram, loss_and_gradients
from zoo.model.autoencoder import build
from zoo.model.bottlenecks.pointwise import Pointwise
from zoo.model.corruptions import NoCorruption
from zoo.model.likelihoods import GaussianLikelihood
from zoo.model.networks.linear import linear
from zoo.objective.objective import Objective


@pytest.fixture
def source(tmp_path):
    """Words of two subjects, each of which occurs among its own."""
    rng = np.random.default_rng(0)
    subjects = (["cat", "dog", "hat", "mouse"], ["star", "moon", "sun", "comet"])
    lines = [" ".join(rng.choice(subjects[i % 2], 12)) for i in range(200)]
    (path := tmp_path / "text.txt").write_text("\n".join(lines))
    return words("", str(path), vocabulary=8, window=2, vectors="one_hot")


def fitted(source, width=3, seed=0, **settings):
    data = Splits(source)
    model = build(data.shape, linear, lambda: Pointwise(width), GaussianLikelihood(), NoCorruption(), 0)
    report = SkipGram(**settings)(model, data, Objective(), seed)
    return model.eval(), report


def test_the_gradient_is_that_of_autograd():
    generator = torch.Generator().manual_seed(0)
    v, u = (torch.randn(n, 3, generator=generator, dtype=torch.float64, requires_grad=True) for n in (4, 5))
    near, far = (torch.rand(4, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    expected = (near * F.softplus(-v @ u.T) + far * F.softplus(v @ u.T)).sum()
    expected.backward()
    loss, of_v, of_u = loss_and_gradients(v.detach(), u.detach(), near, far)
    assert loss == pytest.approx(expected.item())
    torch.testing.assert_close(of_v, v.grad)
    torch.testing.assert_close(of_u, u.grad)


@torch.no_grad()
def test_the_optimum_is_the_mutual_information_less_the_log_of_the_negatives(source):
    rng = np.random.default_rng(1)
    pairs = rng.integers(5, 20, (8, 8))
    pairs = csr_matrix((pairs + pairs.T).astype(float))
    settings = {"epochs": 600, "groups": 2, "negatives": 2.0, "rate": 0.02}
    model, _ = fitted(replace(source, pairs=pairs), width=8, **settings)
    scores = model.encode(source.train[:]) @ model.decoder[0].weight.T
    dense = pairs.toarray()
    noise = dense.sum(0) ** 0.75
    expected = np.log(dense / (dense.sum(1, keepdims=True) * noise / noise.sum())) - np.log(2)
    torch.testing.assert_close(scores.double(), torch.from_numpy(expected), atol=0.02, rtol=0)


@torch.no_grad()
def test_words_of_one_subject_have_codes_of_one_direction(source):
    model, report = fitted(source, epochs=30)
    codes = F.normalize(model.encode(source.train[:]), dim=1)
    first = torch.tensor([word in ("cat", "dog", "hat", "mouse") for word in source.form.features])
    cosines = codes @ codes.T
    assert cosines[first][:, first].min() > cosines[first][:, ~first].max() + 0.3
    losses = report.history["train_total"]
    assert len(losses) == report.epochs == 30
    assert losses[-1] < losses[0]


def test_what_it_is_not_for_is_told_in_a_sentence(source, compose_job, fit_job):
    told = r"it needs words in one-hot vectors; choose data=words data\.source\.vectors=one_hot$"
    for changed in (replace(source, pairs=None), replace(source, train=replace(source.train, shift=0.5))):
        with pytest.raises(ZooError, match=rf"^fit=skip_gram on words: {told}"):
            fitted(changed)
    with pytest.raises(ZooError, match=told):
        fit_job(compose_job("variant=skip_gram", "data.source.vectors=ppmi"))
    with pytest.raises(ZooError, match=r"^epoch 1: the loss is not a finite number; lower fit\.rate"):
        fitted(source, rate=1e18, epochs=2)
