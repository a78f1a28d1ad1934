import torch

from zoo.evaluation.metrics.code import active_units


def test_active_units_are_those_that_vary():
    g = torch.Generator().manual_seed(0)
    std = torch.tensor([0.0, 0.05, 0.2, 3.0])  # variances 0, 0.0025, 0.04, 9 around the threshold 0.01
    codes = 100 + std * torch.randn(4000, 4, generator=g)
    assert active_units(codes) == 2
