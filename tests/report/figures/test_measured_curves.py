from dataclasses import replace

import pytest

from zoo.report.figures.measured_curves import CORRUPTIONS, rate_distortion, robustness_curves
from zoo.report.figures.style import look
from zoo.runs.records import read_records

METHODS = ("pca", "linear_ae", "deep_ae", "conv_ae", "denoising_ae", "topk", "vae", "vq_vae")


@pytest.fixture(scope="module")
def records(repository):
    """Committed records of the digits: fewer methods than figures label, with every group of metrics but bits_back."""
    found = [record for record in read_records(repository / "results", "digits") if record.width == 8]
    return without([record for record in found if record.name in METHODS], "bits_back")


def without(records, *metrics):
    return [replace(r, metrics={k: v for k, v in r.metrics.items() if k not in metrics}) for r in records]


def drawn(figure):
    """Every line of more than one point, as points."""
    lines = [line.get_xydata().tolist() for panel in figure.axes[1:] for line in panel.lines]
    return [line for line in lines if len(line) > 1]


def names(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_rate_distortion_draws_what_the_records_hold(records):
    figure = rate_distortion(records)
    curve = next(r for r in records if r.name == "pca" and r.seed == 0).metrics["code_bits"]["curve"]
    points = sorted([b, e] for b, e in zip(curve["bits"], curve["mse"], strict=True) if b >= 1)
    assert points in drawn(figure)
    assert {r.name for r in records} | {"JPEG", "WebP"} == set(names(figure)[2:])


def test_variational_methods_have_a_star_at_the_rate_of_bits_back_coding(records):
    point = {"curve": {"step": [0.0], "bits": [20.5], "mse": [0.03]}}
    starred = [replace(r, metrics=r.metrics | {"bits_back": point}) if r.name == "vae" else r for r in records]

    def stars(figure):
        return [line for panel in figure.axes[1:] for line in panel.lines if line.get_marker() == "*"]

    (star,) = stars(rate_distortion(starred))
    assert star.get_xydata().tolist() == [[20.5, 0.03]]
    assert star.get_color() == look("vae")[0]
    assert any("star" in text for text in names(rate_distortion(starred)))
    assert stars(rate_distortion(records)) == []
    assert not any("star" in text for text in names(rate_distortion(records)))


def test_robustness_curves_draw_what_the_records_hold(records):
    figure = robustness_curves(records)
    assert len(figure.axes) == 1 + len(CORRUPTIONS)
    curve = next(r for r in records if r.name == "vae" and r.seed == 0).metrics["denoising_gaussian_mse"]["curve"]
    for key in ("model", "corrupted", "median filter"):
        assert [list(point) for point in zip(curve["std"], curve[key], strict=True)] in drawn(figure)
    assert {r.name for r in records} <= set(names(figure))


def test_an_error_of_zero_lies_below_the_logarithmic_axis(records):
    """Pixelation leaves images as they are that consist of such blocks."""
    name = "depixelation_mse"

    def with_zero(record):
        entry = record.metrics[name]
        curve = entry["curve"] | {"corrupted": [0.0, *entry["curve"]["corrupted"][1:]]}
        return replace(record, metrics=record.metrics | {name: entry | {"curve": curve}})

    figure = robustness_curves([with_zero(record) for record in records])
    assert all(panel.get_ylim()[0] > 0 for panel in figure.axes[1:])


def test_nothing_is_drawn_of_what_was_not_measured(records):
    assert rate_distortion(without(records, "code_bits")) is None
    assert robustness_curves(without(records, *CORRUPTIONS)) is None
    assert len(robustness_curves(without(records, "depixelation_mse")).axes) == len(CORRUPTIONS)
