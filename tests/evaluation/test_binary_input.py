"""A model of binarised images receives binarised images in evaluation and use."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from zoo.data.sources import digits
from zoo.data.splits import Splits
from zoo.evaluation.measures.bounds import importance_bounds
from zoo.evaluation.subject import Subject
from zoo.model.corruptions import NoCorruption
from zoo.model.io import build_model


def test_bounds_and_posteriors_are_of_what_the_encoder_was_fitted_on(compose_job):
    """Grey pixels under a Gaussian likelihood, shown to the encoder as black and white."""
    data = Splits(digits)
    model = build_model(compose_job("variant=vae", "corruption=binarise").config, data.shape, seed=0).eval()
    subject = Subject(model, data, {"seconds": 1.0, "epochs": 1})
    x = data.test[:]
    with torch.no_grad():
        h = model.encoder((x > 0.5).float())
        torch.testing.assert_close(subject.hidden(x), h)
        posterior = model.bottleneck.posterior(model.encoder((subject.target > 0.5).float()))
        kl = kl_divergence(posterior, Normal(0.0, 1.0))
        torch.testing.assert_close(subject.posterior_kl, kl)
        seen = importance_bounds(model, model.bottleneck, x[:32], 2, 0)
        model.corruption = NoCorruption()
        assert not torch.allclose(seen.kl, importance_bounds(model, model.bottleneck, x[:32], 2, 0).kl)


@pytest.mark.parametrize(("variant", "rounds"), [("bernoulli_vae", True), ("vae", False)])
def test_the_encoder_receives_in_evaluation_what_it_was_fitted_on(compose_job, variant, rounds):
    data = Splits(digits)
    x = data.test[:]
    model = build_model(compose_job(f"variant={variant}").config, data.shape, seed=0).eval()
    subject = Subject(model, data, {"seconds": 1.0, "epochs": 1})
    with torch.no_grad():
        seen = (x > 0.5).float() if rounds else x
        expected = model.bottleneck.point(model.encoder(seen))
        torch.testing.assert_close(model.encode(x), expected)
        torch.testing.assert_close(subject.test_codes, expected)
    assert torch.equal(subject.x, x), "errors are those of the images as they are"
