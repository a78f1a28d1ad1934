from dataclasses import replace

import pytest
import torch

from zoo.evaluation.references import References, references
from zoo.evaluation.registry import NotApplicable


def test_one_per_data_set(digits):
    first = references(digits, None)
    same = replace(digits, train=replace(digits.train, pixels=digits.train.pixels.clone()))
    assert references(same, None) is first
    for other in (
        replace(digits, classes=()),
        replace(digits, name="others"),
        replace(digits, train=replace(digits.train, labels=digits.train.labels.flip(0))),
        replace(digits, test=replace(digits.test, pixels=digits.test.pixels.flip(0))),
    ):
        assert references(other, None) is not references(digits, None)


def test_pca_with_all_components_ends_at_no_error(digits):
    curve = references(digits, None).pca_curve
    assert curve.mse[-1] < 1e-4
    assert curve.bits == sorted(curve.bits)


def test_the_cache_keeps_results_for_other_processes(digits, tmp_path):
    names = ("pca_curve", "jpeg_curve", "webp_curve", "pixel_probe")
    first, other = (references(replace(digits, name=name), tmp_path) for name in ("a", "b"))
    computed = [getattr(first, name) for name in names]
    written = sorted(tmp_path.iterdir())
    again = References(digits, tmp_path, first.key)
    for name, expected in zip(names, computed, strict=True):
        found = getattr(again, name)
        assert torch.equal(found, expected) if isinstance(found, torch.Tensor) else found == expected
    assert sorted(tmp_path.iterdir()) == written
    assert len(written) == len(names)
    _ = other.pca_curve  # of other data: a file of its own
    assert len(list(tmp_path.iterdir())) == len(names) + 1


def test_no_labels(digits):
    unlabelled = references(replace(digits, classes=()), None)
    for name in ("network", "test_logits", "train_features", "pixel_probe"):
        with pytest.raises(NotApplicable, match="the data set digits has no labels"):
            getattr(unlabelled, name)


def test_images_that_codecs_cannot_hold(digits):
    images = replace(digits.test, pixels=torch.rand(20, 2, 8, 8), scale=1.0)
    with pytest.raises(NotApplicable, match="JPEG stores grey and RGB images"):
        _ = references(replace(digits, test=images), None).jpeg_curve
