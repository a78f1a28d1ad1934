"""A model of binarised images receives binarised images in evaluation and use."""

import pytest
import torch

from zoo.data.sources import digits
from zoo.data.splits import Splits
from zoo.evaluation.subject import Subject
from zoo.model.io import build_model


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
