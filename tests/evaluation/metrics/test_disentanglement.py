"""Metrics of disentanglement on codes whose right answers are known."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import mutual_info_score
from torch import nn

from tests.evaluation.conftest import autoencoder, measured
from zoo.data.sources import sprites
from zoo.data.splits import Splits
from zoo.evaluation.evaluator import evaluate
from zoo.evaluation.measures.factor_scores import (
    BATCH,
    concentration,
    gap,
    importances,
    mutual_information,
    shuffled,
    standardised,
    votes,
)
from zoo.evaluation.metrics.disentanglement import (
    dci_completeness,
    dci_disentanglement,
    dci_informativeness,
    factor_vae_score,
    mig,
    of_units,
    sap,
)
from zoo.evaluation.subject import Subject, factored
from zoo.model.autoencoder import Autoencoder
from zoo.model.bottlenecks.diagonal_posterior import DiagonalPosterior
from zoo.model.corruptions import NoCorruption
from zoo.model.likelihoods import GaussianLikelihood
from zoo.model.priors.standard import NormalPrior

VALUES = (3, 5, 8)
NAMES = ("shape", "scale", "x")
GROUP = ("mig", "sap", "factor_vae_score", "dci_disentanglement", "dci_completeness", "dci_informativeness")
N = 3000


@pytest.fixture(scope="module")
def factors():
    """Independent factors of training and test samples."""
    generator = torch.Generator().manual_seed(0)
    return [torch.stack([torch.randint(k, (n,), generator=generator) for k in VALUES], 1) for n in (N, 2000)]


def scores(codes, factors, floor=True):
    """Every metric of codes: {name: Curve}; without `floor`, forests of shuffled codes are left out."""
    (train, test), (train_factors, test_factors) = codes, factors
    found = importances(train, train_factors, test, test_factors)
    chance = importances(shuffled(train), train_factors, shuffled(test), test_factors) if floor else found
    return {
        "mig": mig(test, test_factors, NAMES),
        "sap": sap(train, train_factors, test, test_factors, NAMES),
        "factor_vae_score": factor_vae_score(train, train_factors, test, test_factors, NAMES),
        "dci_disentanglement": dci_disentanglement(found, chance),
        "dci_completeness": dci_completeness(found, chance, NAMES),
        "dci_informativeness": dci_informativeness(found, chance, NAMES),
    }


def values(codes, factors):
    return {name: curve.value for name, curve in scores(codes, factors, floor=False).items()}


def noise(widths=(4,), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, *widths, generator=generator) for n in (N, 2000)]


@pytest.fixture(scope="module")
def rotated(factors):
    """Standardised factors, each spread evenly over two of three units, and a little over the third."""
    turn = torch.eye(3) - 2 / 3
    return [part.float() @ turn for part in standardised(*factors)]


@pytest.fixture(scope="module")
def noisy(factors):
    """Factors with noise, in units that are a little mixed."""
    mixing = torch.eye(3) + torch.tensor([[0.0, 0.1, 0.2], [0.3, 0, 0.1], [0.2, 0.4, 0]])
    parts = zip(standardised(*factors), noise((3,)), strict=True)
    return [part.float() @ mixing + 0.2 * more for part, more in parts]


def test_factors_as_codes_reach_one_far_from_what_shuffled_codes_reach(factors):
    found = scores([part.float() for part in factors], factors)
    for name, curve in found.items():
        assert curve.value == pytest.approx(1, abs=0.03), name
        value, floor = curve.table["all"]
        assert value == curve.value
        assert floor < 0.5, name


def test_noise_is_at_the_floor(factors):
    found = scores(noise(), factors)
    for name, curve in found.items():
        value, floor = curve.table["all"]
        assert value == pytest.approx(floor, abs=0.06), name
    chance = {"mig": 0, "sap": 0, "factor_vae_score": 1 / 3, "dci_disentanglement": 0, "dci_completeness": 0}
    for name, expected in chance.items():
        assert found[name].value == pytest.approx(expected, abs=0.06), name
    assert found["dci_informativeness"].value == pytest.approx(np.mean([1 / k for k in VALUES]), abs=0.04)


def test_each_factor_twice_leaves_no_gap_and_halves_completeness(factors):
    found = values([part.float().repeat(1, 2) for part in factors], factors)
    assert found["mig"] == pytest.approx(0, abs=1e-12)
    assert found["sap"] == 0
    for name in ("factor_vae_score", "dci_disentanglement", "dci_informativeness"):
        assert found[name] == pytest.approx(1, abs=0.03), name
    assert found["dci_completeness"] == pytest.approx(1 - math.log(2) / math.log(6), abs=0.1)


def test_two_factors_in_one_unit_lower_disentanglement_and_not_completeness(factors):
    codes = [torch.stack([part[:, 0] * 5 + part[:, 1], part[:, 2]], 1).float() for part in factors]
    found = values(codes, factors)
    assert found["dci_completeness"] > 0.95
    # shares of the joint unit: 1/2, 1/2, 0, and it has two thirds of all importance
    assert found["dci_disentanglement"] == pytest.approx(1 - 2 / 3 * math.log(2) / math.log(3), abs=0.03)
    assert found["factor_vae_score"] < 0.8


def test_a_rotated_code_is_worse_in_each(factors, rotated):
    found = values(rotated, factors)
    plain = values([part.float() for part in factors], factors)
    for name in ("mig", "sap", "factor_vae_score", "dci_disentanglement", "dci_completeness"):
        assert found[name] < 0.75 * plain[name], name
    assert found["dci_informativeness"] == pytest.approx(1, abs=0.05), "the information is all there"


def test_scale_sign_origin_and_order_of_units_change_nothing(factors, noisy):
    one = values(noisy, factors)
    scale, order = torch.tensor([-1e-3, 50.0, 4.0]), [2, 0, 1]
    other = values([(part * scale + 3)[:, order] for part in noisy], factors)
    for name, value in one.items():
        assert other[name] == pytest.approx(value, abs=0.02), name


def test_constant_units_change_nothing_but_the_number_of_units(factors, noisy):
    """Also where a constant is known up to rounding."""
    wide = [torch.cat([part, 7 + 1e-6 * more], 1) for part, more in zip(noisy, noise((2,)), strict=True)]
    one, other = values(noisy, factors), values(wide, factors)
    for name in set(GROUP) - {"dci_completeness"}:
        assert other[name] == pytest.approx(one[name], abs=0.02), name


def test_a_code_that_is_constant_says_nothing(factors):
    found = values([torch.full((len(part), 2), 0.3) for part in factors], factors)
    assert [found[name] for name in GROUP[:5]] == [0, 0, 0, 0, 0]
    assert found["dci_informativeness"] == pytest.approx(np.mean([1 / k for k in VALUES]), abs=0.04)


def test_mig_by_hand():
    """u1 is the factor; u2 shares 3/4 ln(4/3) + ... with it: I = H(v) + H(u2) - H(u2, v) from quarters."""
    factor = torch.tensor([0, 0, 1, 1])
    codes = torch.stack([factor, torch.tensor([0, 1, 1, 1])], 1).float()
    h = math.log(2)
    second = h + (-0.25 * math.log(0.25) - 0.75 * math.log(0.75)) - (0.5 * math.log(4) + 0.5 * math.log(2))
    assert mig(codes, factor[:, None], ["v"]).value == pytest.approx((h - second) / h, rel=1e-12)
    assert mig(codes[:, :1], factor[:, None], ["v"]).value == pytest.approx(1)


def test_information_is_scikit_learns_of_numpys_histogram(factors, noisy):
    information, entropies = mutual_information(noisy[1], factors[1])
    for unit, z in enumerate(noisy[1].double().numpy().T):
        binned = np.digitize(z, np.histogram(z, 20)[1][:-1])
        for k, factor in enumerate(factors[1].T.numpy()):
            assert information[unit, k].item() == pytest.approx(mutual_info_score(factor, binned), abs=1e-9)
            assert entropies[k].item() == pytest.approx(mutual_info_score(factor, factor))


def test_gaps_and_concentrations_by_hand():
    assert gap(torch.tensor([[0.2, 0.9], [0.7, 0.8], [0.1, 0.0]])).tolist() == pytest.approx([0.5, 0.1])
    assert gap(torch.tensor([[0.2, 0.9]])).tolist() == pytest.approx([0.2, 0.9])
    rows = torch.tensor([[0.0, 5, 0, 0], [1, 1, 1, 1], [3, 3, 0, 0], [0, 0, 0, 0]]).double()
    assert concentration(rows, 1).tolist() == pytest.approx([1, 0, 0.5, 0])
    assert of_units(rows) == pytest.approx((5 * 1 + 4 * 0 + 6 * 0.5) / 15)
    assert of_units(torch.zeros(3, 3).double()) == 0


def test_the_unit_of_the_factor_that_is_held_varies_least(factors):
    codes = torch.cat([standardised(factors[0])[0], torch.zeros(N, 1)], 1)
    found = votes(codes, factors[0], 500, seed=0)
    assert found.sum() == 500
    assert torch.equal(found[:3], found[:3].diagonal().diag()), "each unit votes for its own factor, a constant never"
    assert found.diagonal().min() > 100
    assert not torch.equal(found, votes(codes, factors[0], 500, seed=1))
    assert BATCH == 64


def test_units_that_vary_equally_little_share_the_vote(factors):
    """Of a sparse code, many units are 0 in all samples of a batch; the first of them had the whole vote."""
    generator = torch.Generator().manual_seed(0)
    mixed = factors[0].double() @ torch.randn(factors[0].shape[1], 16, generator=generator).double()
    code = mixed.where(mixed >= mixed.topk(2, 1).values[:, -1:], 0).clamp(min=0)
    (code,) = standardised(code)
    found = votes(code, factors[0], 500, seed=0)
    assert found.sum() == pytest.approx(500)
    order = torch.randperm(16, generator=generator)
    torch.testing.assert_close(votes(code[:, order], factors[0], 500, seed=0), found[order])


@pytest.fixture(scope="module")
def small():
    return Splits(sprites(side=8, scales=2, rotations=2, positions=6, test_fraction=0.4))


@pytest.fixture
def averages():
    """A code of the means of 4x4 blocks of 8x8 images."""
    encoder = nn.Sequential(nn.AvgPool2d(2), nn.Flatten())
    return autoencoder(encoder, nn.Sequential(nn.Unflatten(1, (1, 4, 4)), nn.Upsample(scale_factor=2)), 16)


def test_a_model_of_sprites_is_measured_factor_by_factor(averages, small):
    found = measured(averages, small, ["disentanglement"])
    assert set(found) == set(GROUP)
    for name, entry in found.items():
        assert 0 <= entry["value"] <= 1
        assert entry["n"] == len(small.test)
        assert entry["curve"]["codes"] == ["measured", "shuffled"]
        assert entry["curve"]["all"][0] == entry["value"]
        if name != "dci_disentanglement":
            assert list(entry["curve"])[2:] == list(small.factors)
            by_factor = [entry["curve"][factor][0] for factor in small.factors]
            assert np.mean(by_factor) == pytest.approx(entry["value"])
    known, chance = found["dci_informativeness"]["curve"]["x"]
    assert known > 0.9
    assert chance < 0.4
    again = evaluate(averages, small, ["factor_vae_score", "dci_completeness"], {})
    assert again == {name: found[name] for name in again}


def places(small, noise):
    """A VAE of sprites with three units that hold x, y and y: their means have std 1, 1 and 0.001; and their noise."""
    one, two = (torch.linspace(-1, 1, 8).expand(8, 8) for _ in range(2))
    rows = torch.stack([one, two.T, 1e-3 * two.T]).flatten(1)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 6))
    x = small.train[:].flatten(1)
    with torch.no_grad():
        encoder[1].weight.copy_(torch.cat([rows / (x @ rows[:2].T).std(), torch.zeros(3, 64)]))
        encoder[1].bias.copy_(torch.cat([torch.zeros(3), torch.tensor(noise).square().log()]))
    decoder = nn.Sequential(nn.Linear(3, 64), nn.Unflatten(1, (1, 8, 8)))
    bottleneck = DiagonalPosterior(3, prior=NormalPrior)
    return Autoencoder(encoder, bottleneck, decoder, GaussianLikelihood(), NoCorruption()).eval()


def test_units_that_hardly_vary_beside_their_noise_are_not_in_use(small):
    """Such a unit had a vote like any other, and a copy of y in it halved the gaps of y."""
    quiet, noisy = places(small, [0.1, 0.1, 1e-4]), places(small, [0.1, 0.1, 1.0])
    assert Subject(quiet, small, {}).used_units.tolist() == [True, True, True]
    assert Subject(noisy, small, {}).used_units.tolist() == [True, True, False]
    copied, single = (measured(model, small, ["disentanglement"]) for model in (quiet, noisy))
    for name in ("mig", "sap"):
        assert copied[name]["curve"]["y"][0] == pytest.approx(0, abs=0.02)
        assert single[name]["curve"]["y"][0] > 0.5
        assert single[name]["curve"]["x"] == pytest.approx(copied[name]["curve"]["x"], abs=0.05)


def test_a_code_without_posteriors_has_all_its_units_in_use(averages, small):
    assert Subject(averages, small, {}).used_units.all()


def test_data_without_factors_or_with_one_that_is_constant_say_so(averages, digits, small, monkeypatch):
    def reasons(data):
        return {name: entry["reason"] for name, entry in measured(averages, data, ["disentanglement"]).items()}

    unknown = "the factors of variation of the data set digits are not known"
    assert reasons(digits) == dict.fromkeys(GROUP, unknown)
    parts = {
        part: replace(images, factors=torch.zeros_like(images.factors))
        for part, images in (("train", small.source.train), ("test", small.source.test))
    }
    constant = "one of the factors has the same value in all samples"
    assert reasons(Splits(replace(small.source, **parts))) == dict.fromkeys(GROUP, constant)
    monkeypatch.setattr(factored, "WIDEST", 15)
    found = measured(averages, small, ["disentanglement"])
    assert [name for name, entry in found.items() if entry["value"] is None] == list(GROUP[3:])
    assert found["dci_completeness"]["reason"].startswith("forests on 16 units take long")


def test_the_gap_of_units_that_predict_worse_than_chance_is_not_clipped():
    assert gap(torch.tensor([[0.4], [-0.2], [-0.1]])).item() == pytest.approx(0.5)
    assert gap(torch.tensor([[0.4]])).item() == pytest.approx(0.4)
