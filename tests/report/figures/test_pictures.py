from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from tests.report.digits_records import VARIANTS, digits_record, table_records
from zoo.errors import ZooError
from zoo.report.figures import FIGURES
from zoo.report.figures.pictures import (
    LEAST_WIDTH,
    Row,
    atoms,
    overview,
    picture,
    restorations,
    samples,
    signed,
    traversals,
)
from zoo.report.figures.style import DPI, MARGIN, save
from zoo.report.statistics import by_name, cells
from zoo.runs.records import Record
from zoo.runs.strips import STEPS, decode_strip, encode_strip


def rows(ax: Axes) -> list[list[np.ndarray]]:
    """The images drawn, as rows from top to bottom of images from left to right, of one column."""
    found: dict[float, list[tuple[float, np.ndarray]]] = {}
    for image in ax.images:
        left, _, _, top = image.get_extent()
        found.setdefault(round(top, 4), []).append((left, np.asarray(image.get_array())))
    return [[pixels for _, pixels in sorted(row, key=lambda item: item[0])] for _, row in sorted(found.items())]


def assert_row(row: list[np.ndarray], strip: str) -> None:
    expected = decode_strip(strip).expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()
    assert 0 < len(row) <= len(expected)
    assert all(np.array_equal(drawn, image) for drawn, image in zip(row, expected, strict=False))


def labels(figure: Figure) -> list[str]:
    return [text.get_text().replace("\n", " ") for text in figure.axes[0].texts]


def test_reconstructions_are_below_the_originals_in_order_of_error() -> None:
    records = table_records()
    figure = overview(records)
    assert figure is not None
    first, *others = rows(figure.axes[0])
    assert_row(first, digits_record("pca", 8, 0).images["original"])
    names = list(by_name(records))
    assert len(others) == len(names)
    for row, name in zip(others, names, strict=True):
        assert_row(row, digits_record(name, 8, 0).images["reconstruction"])


def test_pixels_of_the_file_are_pixels_of_the_images(tmp_path: Path) -> None:
    figure = overview(table_records())
    assert figure is not None
    save(figure, tmp_path / "figure.png")
    with Image.open(tmp_path / "figure.png") as file:
        drawn = np.asarray(file)
    for image in figure.axes[0].images:
        left, right, bottom, top = (round(inches * DPI) for inches in image.get_extent())
        pixels = np.asarray(image.get_array())
        scale = (bottom - top) // len(pixels)
        assert (bottom - top, right - left) == (scale * len(pixels), scale * pixels.shape[1])
        wanted = np.round(255 * pixels).repeat(scale, 0).repeat(scale, 1)
        assert np.array_equal(drawn[top:bottom, left:right], wanted)


def test_overview_draws_bars_of_error_to_one_scale() -> None:
    records = table_records()
    figure = overview(records)
    assert figure is not None
    mse = cells(by_name(records), "mse")
    lengths = [patch.get_width() for patch in figure.axes[0].patches]
    assert np.allclose(np.array(lengths) / lengths[0], [cell.mean / mse["pca"].mean for cell in mse.values()])
    assert all(str(cell) in labels(figure) for cell in mse.values())


def test_restorations_show_input_above_output() -> None:
    figure = restorations(table_records())
    assert figure is not None
    original, corrupted, restored = rows(figure.axes[0])
    images = digits_record("deep_ae corruption=gaussian", 8, 0).images
    assert_row(original, images["original"])
    assert_row(corrupted, images["corrupted"])
    assert_row(restored, images["restored"])
    assert [text for text in labels(figure) if text in ("input", "output")] == ["input", "output"]


def test_samples_of_few_variants_take_as_many_rows_as_there_are_whole_ones() -> None:
    record = digits_record("pca", 8, 0)
    twice = torch.cat([decode_strip(record.images["samples"])] * 2)[:25]
    figure = samples([replace(record, images={"samples": encode_strip(twice)})])
    assert figure is not None
    drawn = rows(figure.axes[0])
    assert [len(row) for row in drawn] == [10, 10]
    assert_row([image for row in drawn for image in row], encode_strip(twice))


def dictionary(name: str, count: int, *, channels: int = 1, planted: bool = False) -> tuple[Record, torch.Tensor]:
    """A record with atoms of its own, and what these are: (M, C, 8, 8) in whole steps of 1/255."""
    generator = torch.Generator().manual_seed(len(name) + count)
    strip = torch.randint(0, 256, (count, channels, 8, 8), generator=generator) / 255
    images = {"atoms": encode_strip(strip)} | ({"planted": encode_strip(strip.flip(0))} if planted else {})
    return replace(digits_record(name, 8, 0), images=images), strip


def test_atoms_are_drawn_in_two_rows_blue_below_zero_and_red_above() -> None:
    (pca, of_pca), (deep, of_deep) = dictionary("pca", 20), dictionary("deep_ae corruption=gaussian", 13)
    figure = atoms([pca, deep, digits_record("svd", 8, 0)])
    assert figure is not None
    drawn = rows(figure.axes[0])
    assert [len(row) for row in drawn] == [10, 10, 10, 10], "svd has no atoms in its record"
    best_first = (of_deep, of_pca) if deep.metrics["mse"]["value"] < pca.metrics["mse"]["value"] else (of_pca, of_deep)
    for pair, strip in zip((drawn[0] + drawn[1], drawn[2] + drawn[3]), best_first, strict=True):
        colours = signed(2 * strip - 1).permute(0, 2, 3, 1).numpy()
        assert np.allclose(np.stack(pair)[: len(strip)], colours)
        assert all((image == 1).all() for image in pair[len(strip) :]), "empty places are white"
        value = (2 * strip - 1)[:, 0].numpy()
        red, blue = colours[..., 0], colours[..., 2]
        assert (red[value > 0.2] > blue[value > 0.2]).all()
        assert (red[value < -0.2] < blue[value < -0.2]).all()
    assert {"pca", "deep_ae", "gaussian"} <= set(labels(figure))
    few = atoms([dictionary("pca", 4)[0]])
    assert few is not None
    assert [len(row) for row in rows(few.axes[0])] == [10]


def test_atoms_of_a_control_are_left_out() -> None:
    deep = dictionary("pca", 4)[0]
    control = replace(deep, name="overcomplete_ae", variant="overcomplete_ae", hash="other")
    figure = atoms([control, deep])
    assert figure is not None
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert "overcomplete_ae" not in texts
    assert any(text.endswith("; without overcomplete_ae (control)") for text in texts)


def test_planted_atoms_are_above_all_others() -> None:
    record, strip = dictionary("pca", 20, planted=True)
    figure = atoms([record])
    assert figure is not None
    drawn = rows(figure.axes[0])
    assert np.allclose(np.stack(drawn[0] + drawn[1]), signed(2 * strip.flip(0) - 1).permute(0, 2, 3, 1).numpy())
    assert labels(figure)[2] == "planted"


def test_at_most_a_dozen_dictionaries_are_drawn_and_coloured_ones_about_grey() -> None:
    record, strip = dictionary("pca", 20, channels=3)
    figure = atoms([replace(record, name=f"a copy={k:02}", hash=f"{k}") for k in range(15)])
    assert figure is not None
    assert len(figure.axes[0].images) == 12 * 20
    assert any("12 of 15 methods" in label and "grey at 0" in label for label in labels(figure))
    colours = np.asarray(figure.axes[0].images[0].get_array())
    assert np.allclose(colours, signed(2 * strip[:1] - 1)[0].permute(1, 2, 0).numpy())


def test_traversals_are_a_row_for_each_unit_and_stay_with_their_variant() -> None:
    record = digits_record("pca", 8, 0)
    strip = encode_strip(torch.rand(5 * STEPS, 1, 8, 8, generator=torch.Generator().manual_seed(0)))
    figure = traversals(
        [replace(record, name=f"copy={k}", hash=f"{k}", images={"traversals": strip}) for k in range(8)]
    )
    assert figure is not None
    drawn = rows(figure.axes[0])
    assert [len(row) for row in drawn] == [2 * STEPS] * 4 * 5, "two columns of four variants"
    assert_row([image for row in drawn[:5] for image in row[:STEPS]], strip)
    assert [text for text in labels(figure) if text.startswith("copy=")] == [f"copy={k}" for k in range(8)]


def test_of_many_rows_a_dozen_are_shown_the_best_of_each_family_first() -> None:
    several = [
        replace(record, name=f"{record.name} copy={k}", hash=f"{record.hash}{k}")
        for record in (digits_record(name, 8, 0) for name in VARIANTS)
        for k in range(10)
    ]
    for draw, heads in ((overview, 1), (samples, 0)):
        figure = draw(several)
        assert figure is not None
        assert len(rows(figure.axes[0])) == heads + 12
        every = sum("samples" in record.images or draw is overview for record in several)
        assert f"12 of {every} methods, the best of each family; " in " ".join(labels(figure))
    record = digits_record("deep_ae corruption=gaussian", 8, 0)
    pairs = restorations([replace(record, name=f"a copy={k}", hash=f"{k}") for k in range(13)])
    assert pairs is not None
    assert len(rows(pairs.axes[0])) == 1 + 2 * 12


def test_records_of_different_test_images_are_refused() -> None:
    pca, svd = digits_record("pca", 8, 0), digits_record("svd", 8, 0)
    other = replace(svd, images=svd.images | {"original": svd.images["reconstruction"]})
    with pytest.raises(ZooError, match=r"show different test images; .*force=true"):
        overview([pca, other])


def test_colour_and_larger_images_are_drawn() -> None:
    record = digits_record("pca", 8, 0)
    generator = torch.Generator().manual_seed(0)
    strip = encode_strip(torch.rand(4, 3, 96, 96, generator=generator))
    figure = overview([replace(record, images={"original": strip, "reconstruction": strip})])
    assert figure is not None
    assert_row(rows(figure.axes[0])[1], strip)
    left, right, *_ = figure.axes[0].images[0].get_extent()
    assert right - left == pytest.approx(0.42, abs=1 / DPI)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_without_anything_to_draw_is_none(name: str) -> None:
    record = replace(digits_record("pca", 8, 0), images={}, metrics={})
    assert FIGURES[name]([record]) is None


@pytest.mark.parametrize(("shape", "drawn"), [((4, 10), 2.5), ((10, 4), 0.4), ((1, 1000), None)])
def test_images_keep_their_proportions(shape: tuple[int, int], drawn: float | None) -> None:
    strip = encode_strip(torch.rand(5, 3, *shape, generator=torch.Generator().manual_seed(0)))
    record = replace(digits_record("pca", 8, 0), images={"original": strip, "reconstruction": strip})
    figure = overview([record])
    assert figure is not None
    for row in rows(figure.axes[0]):
        assert_row(row, strip)
    left, right, bottom, top = figure.axes[0].images[0].get_extent()
    if drawn is None:
        assert (bottom - top) * DPI == pytest.approx(1), "no image is too flat to be seen"
    else:
        assert (right - left) / (bottom - top) == pytest.approx(drawn)


def test_a_subtitle_is_no_wider_than_the_images_allow() -> None:
    """It is broken into lines, below which the images begin, instead of leaving half of the figure empty."""
    rows = [[Row("one", "", torch.rand(3, 1, 8, 8))]]
    short, long = (picture([], rows, "A title", text) for text in ("Short", "a subtitle of many words, " * 9))
    assert long.get_size_inches()[0] <= LEAST_WIDTH + 2 * MARGIN
    assert long.get_size_inches()[1] > short.get_size_inches()[1]
    (text,) = (t for t in long.axes[0].texts if t.get_text().startswith("a subtitle"))
    assert " ".join(text.get_text().split("\n")) == ("a subtitle of many words, " * 9).strip()
    renderer = FigureCanvasAgg(long).get_renderer()
    box = text.get_window_extent(renderer)
    images = [image.get_window_extent(renderer) for image in long.axes[0].images]
    assert len(images) == 3
    assert box.y0 > max(image.y1 for image in images)
