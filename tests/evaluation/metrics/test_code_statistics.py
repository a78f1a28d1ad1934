import math

import pytest
import torch

from tests.evaluation.conftest import measured
from zoo.evaluation.metrics.code_statistics import (
    ROWS,
    UNITS,
    active_units,
    codebook_perplexity,
    codebook_use,
    dead_fraction,
    effective_rank,
    firing_frequency,
    l0,
    participation_ratio,
    unit_variance,
)
from zoo.evaluation.registry import NotApplicable
from zoo.model.bottlenecks.topk import TopK


@pytest.fixture
def normal():
    return torch.randn(4000, 4, generator=torch.Generator().manual_seed(0))


def test_active_units_are_those_that_vary(normal):
    std = torch.tensor([0.0, 0.05, 0.2, 3.0])  # variances 0, 0.0025, 0.04, 9 around the threshold 0.01
    assert active_units(100 + std * normal) == 2


def test_unit_variance(normal):
    curve = unit_variance(torch.tensor([0.0, 1.0, 2.0, 3.0]) * normal)
    assert curve.value == pytest.approx((0 + 1 + 4 + 9) / 4, rel=0.1)
    assert curve.table["variance"] == sorted(curve.table["variance"])
    assert curve.table["variance"][0] == 0
    assert curve.table["variance"][-1] == pytest.approx(9, rel=0.1)


def codes_with(variances):
    """Codes whose covariance has exactly these eigenvalues: two points on each axis."""
    axes = torch.diag(torch.tensor(variances).mul(len(variances)).sqrt())
    return torch.cat([axes, -axes]) + 3


def test_dimensions_of_known_spectra():
    flat = codes_with([2.0, 2.0, 2.0, 0.0, 0.0])
    assert effective_rank(flat) == pytest.approx(3, rel=1e-3)
    assert participation_ratio(flat) == pytest.approx(3)
    one = codes_with([5.0, 0.0, 0.0])
    assert effective_rank(one) == pytest.approx(1, abs=1e-2)
    assert participation_ratio(one) == pytest.approx(1)
    uneven = codes_with([9.0, 1.0])  # singular values 3 : 1
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert effective_rank(uneven) == pytest.approx(math.exp(entropy))
    assert participation_ratio(uneven) == pytest.approx(100 / 82)


def test_spectrum_of_an_identity_model_is_that_of_the_pixels(identity_model, digits):
    records = measured(identity_model(1, 8, 8), digits, ["code"], {})
    spectrum = torch.linalg.eigvalsh(digits.test[:].flatten(1).double().T.cov(correction=0))
    expected = spectrum.sum() ** 2 / spectrum.square().sum()
    assert records["participation_ratio"]["value"] == pytest.approx(expected.item(), rel=1e-5)
    assert records["codebook_use"]["reason"] == "the code is not discrete: it has no codebook"


def test_sparse_codes_by_hand():
    codes = torch.zeros(1000, 4)
    codes[:, 0] = 1  # always on
    codes[:50, 1] = -2  # 5 % of images
    codes[0, 2] = 1e-30  # once
    assert l0(codes).sum() == 1051
    assert l0(codes)[0] == 3
    assert dead_fraction(codes[:, :, None], codes[:, :, None]).value == 0.25
    maps = codes.view(-1, 2, 2)  # two maps of two places: each is active somewhere
    assert dead_fraction(maps, maps).value == 0
    maps = torch.cat([codes, 0 * codes], 1).view(-1, 2, 4)
    assert dead_fraction(maps, maps).value == 0.5
    few = dead_fraction(
        codes[:, :, None], codes[500:, :, None]
    )  # a unit that fires on one sample in twenty is not dead
    assert few.table == {"samples": ["training", "test"], "dead": [0.25, 0.75]}
    curve = firing_frequency(codes)
    assert curve.value == pytest.approx(1051 / 4000)
    assert dict(zip(curve.table["frequency up to"], curve.table["units"], strict=True)) == {
        0.0: 1,
        1e-4: 0,
        1e-3: 1,
        1e-2: 0,
        0.1: 1,
        0.5: 0,
        1.0: 1,
    }


def test_dense_codes_are_not_sparse(normal):
    maps = normal[:, :, None]
    for sparse, codes in ((l0, [normal]), (dead_fraction, [maps, maps]), (firing_frequency, [normal])):
        with pytest.raises(NotApplicable, match="the code is not sparse"):
            sparse(*codes)


def test_top_k_has_at_most_k(digits):
    codes = TopK(64, 5)(digits.test[:].flatten(1)).point
    assert l0(codes).max() == 5


def test_codebook():
    indices = torch.tensor([[0, 1], [1, 0], [3, 3]])
    assert codebook_use(indices, 4, 1) == 0.75
    assert codebook_perplexity(indices, 4, 1) == pytest.approx(3)
    assert codebook_perplexity(torch.full((9, 2), 2), 4, 1) == pytest.approx(1)


def test_positions_with_codebooks_of_their_own_are_not_pooled():
    """Position m always has entry m: pooled, all entries would be in use."""
    indices = torch.arange(4).repeat(9, 1)
    assert codebook_use(indices, 4, 1) == 1
    assert codebook_use(indices, 4, 4) == 0.25
    assert codebook_perplexity(indices, 4, 1) == pytest.approx(4)
    assert codebook_perplexity(indices, 4, 4) == pytest.approx(1)
    stages = torch.tensor([[0, 1, 2, 1], [3, 1, 0, 1]])  # two positions of two stages: the second has one entry
    assert codebook_use(stages, 4, 2) == (0.75 + 0.25) / 2


def test_collapsed_codes_have_no_spectrum(small_model, digits):
    torch.nn.init.zeros_(small_model.encoder[1].weight)
    records = measured(small_model, digits, ["code"], {})
    assert records["effective_rank"]["reason"] == "the codes of all test images are equal"
    assert records["active_units"]["value"] == 0


@pytest.mark.parametrize(
    "statistic", [active_units, unit_variance, l0, firing_frequency, dead_fraction, participation_ratio]
)
def test_statistics_of_wide_codes_take_little_memory(statistic, allocated):
    """PyTorch copies zeros and ones as 64-bit numbers before it sums them: twice the memory of the codes."""
    codes = torch.zeros(8 * ROWS, 8 * UNITS)
    codes[::3, ::2] = 1
    arguments = [codes[..., None]] * 2 if statistic is dead_fraction else [codes]
    assert 0 < allocated(lambda: statistic(*arguments)) < codes.nbytes / 2
