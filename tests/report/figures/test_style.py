import itertools
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from zoo.report.figures.style import DPI, LIMIT, SHADES, look, oklch, place, png, save, sheet, spread, text_width

HEIGHTS = st.lists(st.floats(0, 10), min_size=1, max_size=40)


@settings(deadline=None)
@given(HEIGHTS)
def test_spread_keeps_distance_order_and_bounds(wanted: list[float]) -> None:
    found = spread(wanted, 0.2, 0.0, 10.0)
    in_order = sorted(found)
    assert [found[k] for k in np.argsort(wanted, kind="stable")] == in_order
    assert all(b - a >= 0.2 - 1e-9 for a, b in itertools.pairwise(in_order))
    assert -1e-9 <= in_order[0] <= in_order[-1] <= 10 + 1e-9


def test_spread_moves_only_what_is_too_close_and_as_little_as_can_be() -> None:
    assert spread([1.0, 5.0, 3.0], 0.5, 0.0, 9.0) == pytest.approx([1.0, 5.0, 3.0])
    assert spread([1.0, 1.0, 7.0], 0.5, 0.0, 9.0) == pytest.approx([0.75, 1.25, 7.0])


def test_spread_shares_too_little_room_evenly() -> None:
    assert spread([5.0] * 5, 3.0, 0.0, 4.0) == pytest.approx([0.0, 1.0, 2.0, 3.0, 4.0])


@pytest.mark.parametrize(
    ("colour", "rgb"),  # of the CSS Color Module Level 4
    [
        ((1.0, 0.0, 0.0), (1, 1, 1)),
        ((0.62796, 0.25768, 29.234 / 360), (1, 0, 0)),
        ((0.86644, 0.29483, 142.495 / 360), (0, 1, 0)),
        ((0.45201, 0.31321, 264.052 / 360), (0, 0, 1)),
    ],
)
def test_oklch_of_known_colours(colour: tuple[float, float, float], rgb: tuple[float, float, float]) -> None:
    assert oklch(*colour) == pytest.approx(rgb, abs=2e-3)


def contrast_on_white(colour: tuple[float, float, float]) -> float:
    """Contrast ratio of the Web Content Accessibility Guidelines 2."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 1.05 / (np.dot((0.2126, 0.7152, 0.0722), linear) + 0.05)


def test_every_colour_can_be_read_on_white() -> None:
    assert min(contrast_on_white(oklch(*shade, hue / 256)) for shade in SHADES for hue in range(256)) > 3


def test_the_first_variants_look_different_whoever_else_is_there() -> None:
    linear, deep = ["svd", "pca", "linear_ae", "linear_ae_tied"], ["shallow_ae", "deep_ae", "conv_ae", "topk", "vae"]
    names = [*linear, *deep, "denoising_ae", "inpainting_ae"]
    looks = {name: look(name) for name in names}
    assert looks == {name: look(name) for name in reversed(names)}
    for (one, _), (other, _) in itertools.combinations(looks.values(), 2):
        assert np.linalg.norm(np.subtract(one, other)) > 0.25


def test_text_width_is_that_of_the_drawn_text() -> None:
    _, ax = sheet(4.0, 1.0, "", "")
    text = ax.text(0, 0, "inpainting_ae corruption=block_mask", size=7)
    assert text.get_window_extent().width / DPI == pytest.approx(text_width(text.get_text(), 7), abs=0.01)
    assert text_width(text.get_text(), 7) > text_width("inpainting_ae", 7) > 0


def test_a_sheet_counts_inches_from_the_upper_left_corner_and_holds_its_headline() -> None:
    title = "a title wider than the figure was asked to be, by far"
    figure, ax = sheet(1.0, 2.0, title, "")
    assert figure.get_size_inches()[0] > text_width(title, 11, "bold")
    assert ax.transData.transform((0.5, 0.25)) == pytest.approx((0.5 * DPI, (2.0 - 0.25) * DPI))
    box = place(figure, 0.25, 0.5, 0.5, 1.0).get_window_extent()
    assert (box.x0, box.y1, box.width, box.height) == pytest.approx((0.25 * DPI, 1.5 * DPI, 0.5 * DPI, 1.0 * DPI))


def globals_of_matplotlib() -> dict[str, object]:
    # asking for the backend would choose one
    return {key: matplotlib.rcParams[key] for key in matplotlib.rcParams if key != "backend"}


def test_saving_gives_the_same_bytes_and_leaves_the_global_style_alone(tmp_path: Path) -> None:
    before = globals_of_matplotlib()
    for name in ("a.png", "b.png"):
        figure, ax = sheet(3.0, 1.0, "title", "subtitle")
        ax.plot([0, 1, 2], [0.9, 0.6, 0.8])
        save(figure, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert globals_of_matplotlib() == before
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (3 * DPI, DPI)
        assert image.info == {}


def test_a_picture_too_large_is_written_in_fewer_colours() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8))
    content = png(noise)
    assert len(content) < LIMIT
    assert png(noise.crop((0, 0, 100, 100))) != content
