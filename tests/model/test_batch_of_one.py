"""The last batch of an epoch may hold a single image."""

import torch

from zoo.data.sources import digits
from zoo.data.splits import Splits
from zoo.model.io import build_model


def test_every_variant_trains_on_a_batch_of_one_image(compose_job, variant):
    model, data = build_model(compose_job(f"variant={variant}").config, (1, 8, 8), seed=0), Splits(digits)
    generator = torch.Generator().manual_seed(0)
    for i in range(3):
        step = model(x := data.train[i : i + 1], generator)
        nll = model.likelihood.nll(step.raw, x)
        model.likelihood.observe(step.raw, x)
        losses = torch.stack([nll.mean(), *(penalty.mean() for penalty in step.code.penalties.values())])
        losses.sum().backward()
        assert losses.isfinite().all()
        assert all(w.grad.isfinite().all() for w in model.parameters() if w.grad is not None)
    assert all(buffer.isfinite().all() for buffer in model.buffers() if buffer.is_floating_point())
