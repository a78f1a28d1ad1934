import math

import numpy as np
import pytest
import torch
from torch import nn

from tests.evaluation.conftest import autoencoder, linear_model, measured
from zoo.density.feasible import feasible
from zoo.evaluation.measures.codecs import codec_curve, compressed, jpeg_scan_bytes
from zoo.evaluation.measures.rate_distortion import (
    RateDistortion,
    bd_rate,
    bits_at,
    code_lengths,
    common_quality,
    grid,
    hull,
    principal_rate_distortion,
    rate_distortion,
)
from zoo.evaluation.metrics.bits import bd_rate_against_pca, bits_against_pca, chosen
from zoo.evaluation.registry import NotApplicable
from zoo.evaluation.subject import Subject
from zoo.model.bottlenecks.topk import TopK


def normal(n, d=4, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def total_length(train, test):
    bits, entropy = code_lengths(train, test)
    return bits.sum().item(), entropy.sum().item()


def test_rate_of_a_gaussian_code_is_its_entropy():
    """h(z) - log2(step) bits per unit, h = 1/2 log2(2 pi e s^2), for steps small against s."""
    std = torch.tensor([1.0, 2.0, 3.0, 4.0])
    train, test = normal(60_000) * std, normal(20_000, seed=1) * std
    curve = rate_distortion(train, test, test[:, None, None], lambda z: z[:, None, None])
    for step, bits, entropy in zip(curve.step, curve.bits, curve.entropy, strict=True):
        if step < 0.5:
            expected = (0.5 * torch.log2(2 * math.pi * math.e * std**2) - math.log2(step)).sum().item()
            assert bits == pytest.approx(expected, rel=0.01)
            assert entropy == pytest.approx(expected, rel=0.01)
    assert sum(step < 0.5 for step in curve.step) >= 3


def test_distortion_of_a_fine_grid_is_a_twelfth_of_its_square():
    z = normal(50_000)
    curve = rate_distortion(z, z, z[:, None, None], lambda z: z[:, None, None])
    assert curve.mse[-1] == pytest.approx(curve.step[-1] ** 2 / 12, rel=0.01)
    assert curve.mse == sorted(curve.mse, reverse=True)
    assert curve.bits == sorted(curve.bits)


def test_code_length_by_hand():
    train = torch.tensor([[0], [0], [0], [2]])  # values 0, 1, 2 and one escape: total 4 + 4 / 2
    bits, entropy = total_length(train, torch.tensor([[0], [1]]))
    assert bits == pytest.approx((-math.log2(3.5 / 6) - math.log2(0.5 / 6)) / 2)
    assert entropy == pytest.approx(1)
    escaped, _ = total_length(train, torch.tensor([[7]]))
    assert escaped == pytest.approx(32 - math.log2(0.5 / 6))


def test_code_length_adds_up_over_columns_and_shows_the_gap():
    train = torch.stack([torch.arange(8000) % 4, torch.arange(8000) % 2], 1)
    bits, entropy = total_length(train, train)
    assert bits == pytest.approx(2 + 1, abs=1e-3)
    assert entropy == pytest.approx(3)
    skewed = torch.where(torch.arange(8000) % 8 == 0, 0, 1)  # frequencies 1/8, 7/8 coded as if 1/2, 1/2
    bits, entropy = total_length(train[:, 1:], skewed[:, None])
    divergence = sum(p * math.log2(p / 0.5) for p in (1 / 8, 7 / 8))
    assert bits - entropy == pytest.approx(divergence, abs=1e-3)


def test_a_sparse_code_pays_for_which_units_are_active():
    """16 of 256 units active at one level: about 256 H(1/16) bits, as each unit is coded by itself."""
    h = normal(20_000, 256)
    z = (TopK(256, 16)(h).z > 0).float()
    bits, _ = total_length(z.long(), z.long())
    p = 1 / 16
    expected = -256 * (p * math.log2(p) + (1 - p) * math.log2(1 - p))
    assert bits == pytest.approx(expected, rel=0.01)


def curve(bits, psnr):
    return RateDistortion([0.0] * len(bits), bits, bits, [10 ** (-q / 10) for q in psnr], 1)


def test_bd_rate_by_hand():
    reference = curve([10.0, 20.0, 40.0, 80.0], [10.0, 15.0, 20.0, 25.0])
    half = curve([5.0, 10.0, 20.0, 40.0], [10.0, 15.0, 20.0, 25.0])
    assert bd_rate(half, reference) == pytest.approx(-50)
    assert bd_rate(reference, half) == pytest.approx(100)
    assert bd_rate(reference, reference) == pytest.approx(0)
    # on half of the range half of the bits, found by qualities both reach
    short = curve([10.0, 20.0], [15.0, 20.0])
    assert bd_rate(short, reference) == pytest.approx(-50)
    assert common_quality(short, reference) == pytest.approx((15, 20))
    # a point that costs more and shows less changes nothing, nor one that costs nothing
    wasteful = curve([0.0, 5.0, 10.0, 15.0, 20.0, 40.0], [2.0, 10.0, 15.0, 12.0, 20.0, 25.0])
    assert bd_rate(wasteful, reference) == pytest.approx(-50)
    assert bd_rate(curve([5.0, 10.0], [30.0, 40.0]), reference) is None
    assert bd_rate(curve([5.0], [20.0]), reference) is None
    assert bd_rate(curve([5.0, 6.0], [20.0, 21.5]), reference) is None, "1.5 dB in common are too few"


def test_more_points_never_make_a_curve_worse():
    """A point above the chord of its neighbours, which PCHIP would follow, is left out; one below it helps."""
    plain = curve([10.0, 40.0], [10.0, 20.0])
    assert hull(curve([10.0, 30.0, 40.0], [10.0, 15.0, 20.0])) == [0, 2]
    assert bd_rate(curve([10.0, 30.0, 40.0], [10.0, 15.0, 20.0]), plain) == pytest.approx(0)
    assert bd_rate(curve([10.0, 20.0, 40.0], [10.0, 15.0, 20.0]), plain) < -5
    rng = np.random.default_rng(0)
    for _ in range(50):
        bits, quality = rng.uniform(1, 50, 12), rng.uniform(5, 30, 12)
        whole, part = curve(bits.tolist(), quality.tolist()), curve(bits[:6].tolist(), quality[:6].tolist())
        ends = [quality[place] for place in hull(part)]
        q = np.linspace(min(ends), max(ends), 20)
        assert (bits_at(whole, q) <= bits_at(part, q) + 1e-9).all()


def test_the_chosen_step_is_the_cheapest_that_is_good_enough():
    assert chosen(curve([1.0, 2.0, 4.0, 8.0], [10.0, 19.9, 19.95, 20.0])) == 1


def test_pca_against_itself(pca, digits):
    """Never better than PCA with the number of components that is best, and not much worse."""
    records = measured(pca, digits, ["rate"], {})
    assert 0 <= records["bd_rate_against_pca"]["value"] < 20  # one width, beside all of them
    assert records["bd_rate_span"]["value"] > 5
    assert records["bits_against_pca"]["reason"].startswith("the code is not discrete")
    bits, entropy, gap = (records[name]["value"] for name in ("code_bits", "code_entropy", "code_gap"))
    assert gap == pytest.approx(bits - entropy)
    assert gap > 0
    assert records["bd_rate_against_jpeg"]["value"] < 0  # which spends a byte on the mean of 8x8 pixels alone
    assert records["code_bits"]["n"] == len(digits.test)


def test_principal_points_are_those_of_decoding(pca, digits):
    """Each point of the front is one that quantising and decoding the first units gives."""
    x = digits.test[:]
    subject = Subject(pca, digits, {})
    with torch.no_grad():
        train, test, decode = subject.train_codes, subject.test_codes, pca.decode
        lost = (x - subject.x_hat).square().flatten(1).sum(1).mean().item()
        found = principal_rate_distortion(train, test, lost, 64)
        exact = []
        for k in range(1, 17):
            for step in grid(train):
                coded = torch.zeros_like(test)
                coded[:, :k] = (test[:, :k] / step).round() * step
                bits = total_length((train[:, :k] / step).round().long(), (test[:, :k] / step).round().long())[0]
                exact.append((bits, (decode(coded) - x).square().mean(dtype=torch.float64).item()))
    bits, mse = map(np.array, zip(*exact, strict=True))
    for point in zip(found.bits, found.mse, strict=True):
        assert (np.isclose(bits, point[0], rtol=1e-6) & np.isclose(mse, point[1], rtol=1e-4)).any()
    assert found.bits == sorted(found.bits)
    assert found.mse == sorted(found.mse, reverse=True)
    quality = -10 * np.log10(mse)
    inside = (bits >= 1) & (quality >= min(found.psnr())) & (quality <= max(found.psnr()))
    assert (bits_at(found, quality[inside]) <= 1.01 * bits[inside]).all()


def against_pca(model, digits):
    subject = Subject(model, digits, {})
    with torch.no_grad():
        return bd_rate_against_pca(subject.rate_curve, subject.pca_curve)


def test_what_the_decoder_undoes_costs_nothing(pca, digits):
    """A rotation, a constant and a scale of units change no reconstruction: nor do they change the rate."""
    plain = against_pca(pca, digits).value
    axes, mean = pca.encoder[1].weight.detach(), pca.decoder[0].bias.detach()
    rotated = linear_model(torch.linalg.qr(normal(16, 16)).Q @ axes, mean)
    moved = linear_model(axes, mean)
    with torch.no_grad():
        moved.encoder[1].bias += 0.7
        moved.decoder[0].bias -= moved.decoder[0].weight.sum(1) * 0.7
        scaled, whitened = linear_model(axes, mean), linear_model(axes, mean)
        std = Subject(pca, digits, {}).train_codes.std(0)
        for model, scale in ((scaled, torch.tensor([0.01] + 15 * [1.0])), (whitened, 1 / std)):
            model.encoder[1].weight.mul_(scale[:, None])
            model.encoder[1].bias.mul_(scale)
            model.decoder[0].weight.div_(scale)
    for same in (rotated, moved, scaled, whitened):
        assert against_pca(same, digits).value == pytest.approx(plain, abs=0.2)


def test_a_unit_that_never_varies_changes_no_rate():
    """Its zeros make no sparse code: the others are turned to their principal axes."""
    turn = torch.linalg.qr(normal(4, 4, seed=2)).Q
    codes = normal(2000) * torch.tensor([1.0, 0.5, 0.2, 0.1]) @ turn
    images = codes[:, None, None]
    plain = rate_distortion(codes, codes, images, lambda z: z[:, None, None])
    for constant in (0.0, 0.3):
        more = torch.cat([codes, torch.full((2000, 1), constant)], 1)
        found = rate_distortion(more, more, images, lambda z: z[:, None, None, :4])
        assert found.bits == pytest.approx(plain.bits, rel=0.01)
        assert found.mse == pytest.approx(plain.mse, rel=0.01)


def test_a_dense_code_may_hold_a_zero():
    """A black image has the code zero under a linear code without a mean: one in 2,000 makes no sparse code."""
    turn = torch.linalg.qr(normal(4, 4, seed=2)).Q
    codes = (normal(2000) * torch.tensor([1.0, 0.5, 0.2, 0.1]) + 1) @ turn
    plain = rate_distortion(codes, codes, codes[:, None, None], lambda z: z[:, None, None])
    codes = torch.cat([codes[1:], torch.zeros(1, 4)])
    found = rate_distortion(codes, codes, codes[:, None, None], lambda z: z[:, None, None])
    assert found.bits[2] == pytest.approx(plain.bits[2], rel=0.02)
    assert torch.equal(feasible(normal(20, seed=3), codes, None), normal(20, seed=3))
    positive = torch.cat([codes.abs(), torch.zeros(2000, 1)], 1)  # one zero in 2,000, and a dead unit
    moved = feasible(normal(20, 5, seed=3), positive, None)
    assert torch.equal(moved[:, :4], normal(20, 5, seed=3)[:, :4].clamp(min=0))
    assert not moved[:, 4].any()


def test_sparse_codes_keep_their_zeros():
    """They are quantised as they are: neither moved to their mean nor turned to their principal axes."""
    codes, decoded = normal(200, 8) * (normal(200, 8, seed=1) > 1), []

    def decode(z):
        decoded.append(z)
        return z[:, None, None]

    curve = rate_distortion(codes, codes, codes[:, None, None], decode)
    for step, z in zip(curve.step, decoded, strict=True):
        assert torch.equal(z, (codes / step).round() * step)
        assert not z[codes == 0].any()


def test_a_discrete_code_is_compared_at_its_own_quality():
    reference = curve([10.0, 20.0, 40.0, 80.0], [10.0, 15.0, 20.0, 25.0])
    assert bits_against_pca(curve([15.0], [15.0]), reference).value == pytest.approx(-25)
    assert bits_against_pca(curve([30.0], [17.5]), reference).value == pytest.approx(0)
    with pytest.raises(NotApplicable, match=r"PCA has 10.0 to 25.0 dB"):
        bits_against_pca(curve([30.0], [27.5]), reference)
    assert bd_rate_against_pca(curve([15.0], [15.0]), reference).reason.startswith("a discrete code has one rate")


def test_a_model_that_is_never_as_good_as_pca(digits):
    encoder, decoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), nn.Linear(2, 64)
    with torch.no_grad():
        decoder.bias.fill_(9.0)
    model = autoencoder(encoder, nn.Sequential(decoder, nn.Unflatten(1, (1, 8, 8))), 2)
    found = against_pca(model, digits)
    assert found.value is None
    assert found.reason.startswith("the ranges of quality share less than 2 dB: the code has -")
    assert found.table["bits"] == Subject(model, digits, {}).pca_curve.bits


@pytest.mark.parametrize("name", ["JPEG", "WEBP"])
@pytest.mark.parametrize("channels", [1, 3])
def test_codecs(name, channels):
    from sklearn.datasets import load_sample_image

    photo = torch.from_numpy(load_sample_image("china.jpg").copy()).permute(2, 0, 1)[:channels] / 255
    x = torch.stack([photo[:, i * 32 : i * 32 + 32, 100:132] for i in range(8)])
    found = codec_curve(x, name, (5, 50, 95))
    assert found.bits == sorted(found.bits)
    assert found.mse == sorted(found.mse, reverse=True)
    assert found.psnr()[-1] > 30 if name == "JPEG" and channels == 1 else found.psnr()[-1] > 24
    assert 0.1 < found.bits[1] / (32 * 32) < 4 * channels


def test_jpeg_of_an_even_image_is_a_few_bits():
    """One 8x8 block of one grey: 2 bits say that its mean is that of before, 4 that nothing else follows."""
    from PIL import Image

    assert jpeg_scan_bytes(compressed(Image.new("L", (8, 8), 128), "JPEG", 50)) == 1


def test_codes_of_less_than_one_bit_share_no_quality_with_others():
    poor = RateDistortion([1.0, 0.5], [0.2, 0.9], [0.2, 0.9], [0.1, 0.09], 10)
    rich = RateDistortion([1.0, 0.5], [5.0, 50.0], [5.0, 50.0], [0.1, 0.001], 10)
    assert bd_rate(poor, rich) is None
    assert bd_rate(rich, poor) is None
