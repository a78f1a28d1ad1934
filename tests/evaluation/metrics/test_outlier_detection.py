"""Known answers of the detection of outliers by a model's scores."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.evaluation.conftest import SHORT, autoencoder, linear_model
from zoo.data.images import Images, Source
from zoo.data.left_out import leaving_out
from zoo.data.sources import digits as digits_source
from zoo.data.splits import Splits
from zoo.errors import ZooError
from zoo.evaluation.chosen_densities import ChosenDensities
from zoo.evaluation.evaluator import check_shapes, due, evaluate, in_groups
from zoo.evaluation.measures.corruption_series import SERIES
from zoo.evaluation.measures.detection import auroc
from zoo.evaluation.outlier_sets import OutlierSets
from zoo.evaluation.registry import METRICS, NotApplicable
from zoo.evaluation.subject import Subject
from zoo.model.autoencoder import Autoencoder
from zoo.model.bottlenecks.diagonal_posterior import DiagonalPosterior
from zoo.model.corruptions import NoCorruption
from zoo.model.likelihoods import GaussianLikelihood
from zoo.model.priors.standard import NormalPrior

OWN = ["reconstruction error", "likelihood bound", "code density"]
PIXELS = ["isolation forest", "local outlier factor", "kernel density", "nearest neighbours"]
PIXELS += ["mean value", "compressed length"]
NAMES = in_groups(["outliers"])


def noise(n, shape=(1, 8, 8)):
    return Images(torch.rand(n, *shape, generator=torch.Generator().manual_seed(0)), torch.zeros(n).long(), scale=1.0)


def found(model, data, outside=None, names=NAMES):
    return evaluate(model, data, names, {}, densities=SHORT, outside=outside or {})


@pytest.fixture(scope="module")
def nines():
    """The digits without nines."""
    return Splits(leaving_out(digits_source(), 9))


@pytest.fixture(scope="module")
def entries(pca, nines):
    return found(pca, nines, {"noise": noise(300)})


@pytest.fixture(scope="module")
def variational():
    """PCA's axes as the means of posteriors of std 0.1, with a standard normal prior."""
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 8))
    decoder = nn.Sequential(nn.Linear(4, 64), nn.Unflatten(1, (1, 8, 8)))
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        axes = torch.linalg.qr(torch.randn(64, 4)).Q
        encoder[1].weight.copy_(torch.cat([axes.T, torch.zeros(4, 64)]))
        encoder[1].bias.copy_(torch.cat([torch.zeros(4), torch.full((4,), -4.6)]))
        decoder[0].weight.copy_(axes)
        decoder[0].bias.zero_()
    bottleneck = DiagonalPosterior(4, prior=NormalPrior)
    return Autoencoder(encoder, bottleneck, decoder, GaussianLikelihood(), NoCorruption()).eval()


# Sets of outliers


def test_every_set_has_as_many_inliers_as_outliers_in_equal_shares(nines):
    sets = OutlierSets(nines, {"noise": noise(40), "more": noise(60)})
    for name, parts in (("other", 2), ("left_out", 1), ("corrupted", 6)):
        some = sets.named(name)
        assert len(some.inliers) == len(some.outliers) == len(some.inliers.unique())
        assert len(some.kinds) == parts
        assert torch.equal(torch.cat(list(some.kinds.values())), torch.arange(len(some.outliers)))
        assert len({len(index) for index in some.kinds.values()}) == 1
    assert len(sets.named("other").outliers) == 80
    assert len(sets.named("left_out").outliers) == len(nines.left_out)


def test_corrupted_images_are_at_the_weakest_strengths_and_of_other_images_than_the_inliers(nines):
    assert torch.equal(OutlierSets(nines, {}).inliers, nines.test[:][::2])
    assert [next(iter(series.levels)) for series in SERIES.values()] == [0.1, 0.05, 2, 0.25, 0.1, 2]
    rest = nines.test[:][1::2]
    blocks = OutlierSets(nines, {}).corrupted()["pixelation"]
    means = nn.functional.avg_pool2d(rest[2::6], 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.equal(blocks, (16 * means).round() / 16)


def test_corrupted_images_are_stored_as_the_others_and_differ_from_the_clean_ones(nines):
    """An outlier that is a clean image, or has values that no image has, says nothing of a score."""
    rest = nines.test[:][1::2]
    for place, (name, found) in enumerate(OutlierSets(nines, {}).corrupted().items()):
        assert 0 <= found.min() <= found.max() <= 1
        assert torch.equal(16 * found, (16 * found).round()), name
        clean = rest[place :: len(SERIES)]
        assert not any(torch.equal(x, y) for x in found for y in clean), name
    black = Images(torch.zeros(300, 1, 8, 8, dtype=torch.uint8), torch.zeros(300).long(), scale=16.0)
    assert "masked block" not in OutlierSets(Splits(Source("black", black, black)), {}).corrupted()


def test_what_takes_long_is_kept(nines):
    """The scores of pixels come from the cache, and the detectors are not fitted again."""
    cache = {}

    def kept(name, compute):
        if name not in cache:
            cache[name] = compute()
        return cache[name]

    first = OutlierSets(nines, {}, kept)
    scores = first.inlier_scores, first.outlier_scores("corrupted", first.named("corrupted").outliers)
    again = OutlierSets(nines, {}, kept)
    same = again.inlier_scores, again.outlier_scores("corrupted", again.named("corrupted").outliers)
    assert len(cache) == 2
    assert "detectors" not in vars(again)
    for one, other in zip(scores, same, strict=True):
        assert list(one) == PIXELS
        assert all(torch.equal(one[name], other[name]) for name in PIXELS)


# Metrics


def test_entries_hold_every_score_and_intervals(entries, nines):
    for name, n in (("other", 324), ("left_out", 72), ("corrupted", 300)):
        entry = entries[f"outlier_auroc_{name}"]
        curve = entry["curve"]
        assert curve["score"] == [OWN[0], OWN[2], *PIXELS]
        assert entry["value"] == curve["AUROC"][0]
        assert entries[f"outlier_auroc_{name}_by_density"]["value"] == curve["AUROC"][1]
        assert entries[f"outlier_auroc_{name}_of_pixels"]["value"] == max(curve["AUROC"][2:])
        assert entries[f"outlier_precision_{name}"]["value"] == curve["average precision"][0]
        assert entries[f"outlier_precision_{name}_by_density"]["value"] == curve["average precision"][1]
        assert entries[f"outlier_precision_{name}_of_pixels"]["value"] == max(curve["average precision"][2:])
        bounds = [f"outlier_{measure}_{name}_by_bound" for measure in ("auroc", "precision")]
        for bound in bounds:
            assert entries[bound]["reason"].startswith("the model is not variational")
        for metric in (m for m in entries if f"_{name}" in m and m not in bounds):
            low, high = entries[metric]["interval"]
            assert low <= entries[metric]["value"] <= high
            assert entries[metric]["n"] == n
    assert list(entries["outlier_auroc_corrupted"]["curve"])[3:] == list(SERIES)


def test_how_many_outliers_there_are_of_a_kind_is_no_chance(pca, nines):
    """Kinds that a score finds without fail, and always misses: the AUROC is 0.5 whichever outliers are drawn."""
    subject = Subject(pca, nines, {}, chosen=ChosenDensities(SHORT))
    with torch.no_grad():
        seen = subject.corrupted_outliers
    method, half = OWN[0], len(seen.usual[OWN[0]]) // 2
    usual = torch.linspace(0, 1, 2 * half)
    unusual = torch.cat([usual.new_full((half,), -1.0), usual.new_full((half,), 2.0)])
    kinds = {"missed": torch.arange(half), "found": torch.arange(half, 2 * half)}
    known = replace(seen, usual={method: usual}, unusual={method: unusual}, kinds=kinds)
    curve = METRICS["outlier_auroc_corrupted"].function(known)
    assert curve.value == 0.5
    assert curve.influence[1].abs().max() < 1e-12, "resampled, the mean moved by 0.05 and more"


def test_average_precision_falls_with_the_share_of_outliers():
    """The numbers of the docstring: normal scores 1.8 standard deviations apart."""
    normal = torch.distributions.Normal(0, 1)
    levels = torch.linspace(-6, 9, 200_001, dtype=torch.float64)
    found, false = 1 - normal.cdf(levels - 1.8), 1 - normal.cdf(levels)
    area = torch.trapezoid(found.flip(0), false.flip(0))
    document = METRICS["outlier_precision_other"].function.__doc__
    assert f"the AUROC is {area:.2f}" in document
    precision = []
    for share in (0.5, 0.09, 0.01):
        of_found = share * found / (share * found + (1 - share) * false).clamp(min=1e-300)
        precision.append(torch.trapezoid(of_found.flip(0), found.flip(0)))
    assert "precision {:.2f}, {:.2f} and {:.2f} where 50, 9 and 1 % are".format(*precision) in document


def test_noise_is_no_digit_by_any_score(entries):
    assert min(entries["outlier_auroc_other"]["curve"]["AUROC"]) > 0.98
    assert min(entries["outlier_auroc_other"]["curve"]["average precision"]) > 0.98


def test_outliers_that_are_test_images_are_not_found(pca, nines):
    table = found(pca, nines, {"itself": nines.test}, ["outlier_auroc_other"])["outlier_auroc_other"]["curve"]
    for area in table["AUROC"]:
        assert area == pytest.approx(0.5, abs=0.1)  # three standard errors


def test_a_score_that_is_the_label_and_one_that_is_constant(identity_model, digits):
    """The identity has no error at all; decoding black, the error is the image's power, which is 0 for black ones."""
    black = Images(torch.zeros(300, 1, 8, 8), torch.zeros(300).long(), scale=1.0)
    names = ["outlier_auroc_other"]
    assert found(identity_model(1, 8, 8), digits, {"black": black}, names)["outlier_auroc_other"]["value"] == 0.5
    nothing = linear_model(torch.zeros(2, 64), torch.zeros(64))
    white = replace(black, pixels=torch.ones(300, 1, 8, 8))
    assert found(nothing, digits, {"white": white}, names)["outlier_auroc_other"]["value"] == 1
    assert found(nothing, digits, {"black": black}, names)["outlier_auroc_other"]["value"] == 0


def test_two_other_data_sets_count_equally(pca, digits):
    both = {"noise": noise(300), "itself": digits.test}
    curve = found(pca, digits, both, ["outlier_auroc_other"])["outlier_auroc_other"]["curve"]
    for area, far, near in zip(curve["AUROC"], curve["noise"], curve["itself"], strict=True):
        assert area == pytest.approx((far + near) / 2)


def test_the_bound_of_a_variational_model_is_a_score(variational, digits):
    """Posteriors of one std: half the squared norm of the code, and the error over twice the variance of pixels."""
    subject = Subject(variational, digits, {}, chosen=ChosenDensities(SHORT), outside={"noise": noise(300)})
    with torch.no_grad():
        seen = subject.other_outliers
        assert list(seen.usual) == [*OWN, *PIXELS]
        x = subject.outlier_sets.inliers
        error, norm = seen.usual[OWN[0]].double(), subject.encode(x).square().sum(1).double()
        bound = seen.usual[OWN[1]][:, None]
        columns = torch.stack([error, norm, torch.ones_like(error)], 1)
        weights = torch.linalg.lstsq(columns, bound).solution
    assert (columns @ weights - bound).std() < 0.35 * bound.std()  # of draws, and of grey levels
    assert weights[1].item() == pytest.approx(0.5, rel=0.2)
    assert weights[0].item() == pytest.approx(0.5 / subject.likelihood.std**2, rel=0.1)
    assert auroc(*seen.by(OWN[1])).value > 0.9
    (name,) = names = ["outlier_auroc_other_by_bound"]
    entry = found(variational, digits, {"noise": noise(300)}, names)[name]
    assert entry["value"] == auroc(*seen.by(OWN[1])).value


# What is missing, and what has to be measured


def test_reasons_why_there_is_no_value(pca, digits):
    entries = found(pca, digits)
    assert entries["outlier_auroc_other"]["reason"] == "no other data set was given: evaluation.outliers=<data set>"
    assert (
        entries["outlier_auroc_left_out"]["reason"] == "no class was left out of training: data.source.without=<class>"
    )
    few = replace(digits, test=digits.test.subset(torch.arange(6)))
    reason = "6 test samples are too few to make inliers and outliers of"
    assert found(pca, few)["outlier_auroc_corrupted"]["reason"] == reason
    with torch.no_grad(), pytest.raises(NotApplicable, match=r"^the model is not variational"):
        Subject(pca, digits, {}).corrupted_outliers.by("likelihood bound")


def test_a_model_without_a_density_of_codes_has_the_other_scores(digits):
    """All codes are equal."""
    constant = linear_model(torch.zeros(2, 64), torch.full((64,), 0.3))
    entries = found(constant, digits)
    assert "equal" in entries["outlier_auroc_corrupted_by_density"]["reason"]
    assert entries["outlier_auroc_corrupted"]["curve"]["score"] == [OWN[0], *PIXELS]
    chosen = {"gaussian": {"option": "gaussian"}}
    without = evaluate(constant, digits, ["outlier_auroc_corrupted_by_density"], {}, densities=chosen)
    assert without["outlier_auroc_corrupted_by_density"]["reason"] == "the density mixture is not among those chosen"


def test_codes_that_are_not_finite_have_no_scores(digits):
    broken = autoencoder(nn.Flatten(), nn.Unflatten(1, (1, 8, 8)), 64)
    outside = {"huge": replace(noise(300), pixels=torch.full((300, 1, 8, 8), torch.inf))}
    entry = found(broken, digits, outside, ["outlier_auroc_other"])["outlier_auroc_other"]
    assert entry["reason"] == "the model's codes are not finite"


def test_images_of_another_shape_are_refused(pca, digits):
    told = r"^evaluation\.outliers=big: its samples are 3x9x9, and those of digits 1x8x8; choose a data set of the same"
    with pytest.raises(ZooError, match=told):
        found(pca, digits, {"big": noise(5, (3, 9, 9))}, ["sse"])
    check_shapes({"same": noise(5)}, digits)


def test_outliers_of_another_data_set_are_measured_again(pca, digits):
    entries = found(pca, digits, {"noise": noise(300)})
    other = [name for name in NAMES if "_other" in name]
    assert all(entries[name]["settings"]["outside"] == ["noise"] for name in other)
    assert not any("outside" in entries[name].get("settings", {}) for name in NAMES if name not in other)
    assert due(entries, ["outliers"], SHORT, outside=["noise"]) == []
    assert due(entries, ["outliers"], SHORT, outside=["mnist"]) == other
    assert due(entries, ["outliers"], SHORT) == [], "what is there stays, where none is asked for"
    assert due(found(pca, digits), ["outliers"], SHORT, outside=["noise"]) == other
    more = SHORT | {"mixture": {"option": "mixture", "components": 2}}
    assert due(entries, ["outliers"], more, outside=["noise"]) == NAMES


def test_references_are_of_no_direction(entries):
    for name in NAMES:
        assert METRICS[name].direction == ("none" if name.endswith("of_pixels") else "higher")
        bound = name.endswith("by_bound")  # PCA has none
        assert ("resampled" in entries[name]) == (not name.endswith("of_pixels") and not bound)
