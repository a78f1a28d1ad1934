import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from tests.evaluation.conftest import autoencoder, measured
from zoo.evaluation.metrics.cost import macs, parameters
from zoo.model.io import build_model
from zoo.model.networks.linear import linear


def test_linear_counts_by_hand(digits):
    encoder, decoder = linear((1, 8, 8), 5, 5, 1)
    records = measured(autoencoder(encoder, decoder, 5), digits, ["cost"], {"seconds": 0.25, "epochs": 7})
    assert records["parameters"]["value"] == (64 * 5 + 5) + (5 * 64 + 64)
    assert records["macs"]["value"] == 64 * 5 + 5 * 64
    assert records["code_width"]["value"] == 5
    assert records["epochs"]["value"] == 7
    assert records["macs"]["n"] == 1


def test_what_the_fit_reports(digits, small_model):
    reported = measured(small_model, digits, ["cost"], {"seconds": 1.0, "epochs": 2, "peak_memory": 321.5})
    assert reported["fit_peak_memory"]["value"] == 321.5
    silent = measured(small_model, digits, ["cost"], {"seconds": 1.0, "epochs": 2})
    assert silent["fit_peak_memory"]["value"] is None
    assert silent["fit_peak_memory"]["reason"] == "the fit did not report its peak memory"


def test_tied_weights_are_counted_once():
    encoder, decoder = linear((1, 8, 8), 5, 5, 1, tied=True)
    assert parameters(autoencoder(encoder, decoder, 5)) == 64 * 5 + 5 + 64


def test_convolutions_by_hand():
    encoder = nn.Sequential(nn.Conv2d(3, 4, 5, stride=2, padding=2), nn.Flatten(), nn.Linear(4 * 6 * 6, 2))
    decoder = nn.Sequential(nn.Linear(2, 4 * 6 * 6), nn.Unflatten(1, (4, 6, 6)), nn.Conv2d(4, 3, 3, padding=1))
    model = autoencoder(encoder, decoder, 2)
    with torch.no_grad():
        count = macs(model, torch.zeros(1, 3, 12, 12))
    assert count == (6 * 6 * 4 * 5 * 5 * 3) + (144 * 2) + (2 * 144) + (6 * 6 * 3 * 3 * 3 * 4)


def test_throughput_is_that_of_the_model(digits):
    """A model that sleeps for 10 ms a batch encodes 397 images in a little more than 10 ms."""
    import time

    class Slow(nn.Flatten):
        def forward(self, x):
            time.sleep(0.01)
            return super().forward(x)

    model = autoencoder(Slow(), nn.Unflatten(1, (1, 8, 8)), 64)
    records = measured(model, digits, ["throughput"], {"seconds": 0.0, "epochs": 1})
    assert 0.3 * 397 / 0.01 < records["encode_images_per_second"]["value"] < 397 / 0.01
    assert records["decode_images_per_second"]["value"] > 397 / 0.01
    assert records["encode_images_per_second"]["value"] == pytest.approx(397 / 0.0101, rel=0.7)


@pytest.mark.parametrize("variant", ["deep_ae", "conv_ae", "mae", "matching_pursuit", "winner_take_all"])
def test_operations_are_counted_as_torchs_own_counter_does(compose_job, variant):
    model = build_model(compose_job(f"variant={variant}").config, (1, 8, 8), seed=0).eval()
    image = torch.rand(1, 1, 8, 8)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.reconstruct(image)
    with torch.no_grad():
        assert macs(model, image) == counter.get_total_flops() // 2 > 0
