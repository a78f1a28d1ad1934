"""A model of binarised images receives binarised images in evaluation."""

import torch

from zoo.data.sources import digits
from zoo.data.splits import Splits
from zoo.evaluation.subject import Subject
from zoo.model.io import build_model


def test_the_encoder_receives_in_evaluation_what_it_was_fitted_on(compose_job):
    data = Splits(digits)
    x = data.test[:]
    for variant, seen in (("bernoulli_vae", (x > 0.5).float()), ("vae", x)):
        model = build_model(compose_job(f"variant={variant}").config, data.shape, seed=0).eval()
        subject = Subject(model, data, {"seconds": 1.0, "epochs": 1})
        with torch.no_grad():
            torch.testing.assert_close(subject.test_codes, model.encode(seen))
        assert torch.equal(subject.x, x), "errors are those of the images as they are"
