import io
import itertools
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from zoo.catalogue import FAMILIES, family_of, members
from zoo.report.figures.panels import label_right
from zoo.report.figures.style import (
    CHANGED,
    DPI,
    HUES,
    LIMIT,
    SHADES,
    content,
    content_of,
    look,
    oklch,
    place,
    png,
    save,
    sheet,
    spread,
    text_width,
)

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


def hue_of(name: str) -> float:
    """In turns, of the HSV colour space."""
    return float(matplotlib.colors.rgb_to_hsv(look(name)[0])[0])


def turns_between(one: float, other: float) -> float:
    return abs((one - other + 0.5) % 1 - 0.5)


def test_methods_of_a_family_share_a_hue_and_differ_in_shade_or_marker() -> None:
    assert HUES.keys() >= members().keys() - {"control"}
    for family, names in members().items():
        assert len({look(name) for name in names}) == len(names)
        assert family == "control" or all(turns_between(hue_of(a), hue_of(b)) < 0.15 for a in names for b in names)
    every = [look(name) for names in members().values() for name in names]
    assert len(set(every)) == len(every)
    centres = [HUES[family] for family in FAMILIES if family in HUES]
    assert min(turns_between(a, b) for a, b in itertools.combinations(centres, 2)) > 0.08
    red, green, blue = look("overcomplete_ae")[0]
    assert max(red, green, blue) - min(red, green, blue) < 0.01, "a control is grey"


def test_methods_that_are_compared_often_have_markers_of_their_own() -> None:
    names = ["pca", "deep_ae", "conv_ae", "denoising_ae", "inpainting_ae", "topk", "vae", "vq_vae"]
    assert len({look(name)[1] for name in names}) == len(names)


def test_a_changed_method_has_the_hue_of_the_method_and_another_marker() -> None:
    assert look("vae network=conv") == look("vae network=conv") != look("vae")
    markers = {look(name)[1] for names in members().values() for name in names}
    assert look("vae network=conv")[1] not in markers
    assert turns_between(hue_of("vae network=conv"), hue_of("vae")) < 0.15
    assert look("my_own") != look("my_other")


def test_changed_methods_of_a_family_have_markers_of_their_own_in_every_table(repository) -> None:
    tables = sorted((repository / "results").glob("*/benchmark.md"))
    assert len(tables) > 10
    for table in tables:
        rows = [line.split("|")[1].strip() for line in table.read_text().split("\n## ")[1].splitlines() if "|" in line]
        changed = [row for row in rows[2:] if " " in row]
        found = [(family_of(row.partition(" ")[0]), look(row)[1]) for row in changed]
        assert len(set(found)) == len(found), table.parent.name


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
        assert image.info == {"Content": content(figure)}
    assert content_of(tmp_path / "a.png") == content(figure)
    Image.new("L", (3, 3)).save(tmp_path / "other.png")
    assert content_of(tmp_path / "other.png") == ""


def drawn(points=(0.9, 0.6, 0.8), title="title", grey=0.5, width=3.0, colour="k", bar=1.0):
    figure, ax = sheet(width, 1.0, title, "subtitle")
    ax.imshow([[0.0, grey]], extent=(0, 1, 1, 0))
    panel = place(figure, 0.2, 0.2, 1.0, 0.5)
    panel.plot([0, 1, 2], points, color=colour)
    panel.bar([0], [bar])
    return content(figure)


def test_content_changes_with_numbers_texts_and_images_and_not_with_their_place_or_colour() -> None:
    assert drawn() == drawn(width=4.0) == drawn(colour="r") == drawn(points=(0.9, 0.6 + 1e-12, 0.8))
    changed = [drawn(points=(0.9, 0.61, 0.8)), drawn(title="Title"), drawn(grey=0.6), drawn(bar=1.01)]
    assert len({drawn(), *changed}) == 5


def test_a_picture_too_large_is_written_in_fewer_colours() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8))
    content = png(noise)
    assert len(content) < LIMIT
    assert png(noise.crop((0, 0, 100, 100))) != content


def test_a_few_coloured_dots_among_greys_keep_their_colours() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (1000, 1000, 1), np.uint8).repeat(3, 2)
    colours = [(3, 78, 162), (190, 90, 60), (10, 110, 70), (120, 80, 200)]
    for k, colour in enumerate(colours):
        grey[:6, 10 * k : 10 * k + 6] = colour
    with Image.open(io.BytesIO(png(Image.fromarray(grey)))) as reduced:
        assert reduced.mode == "P"
        assert [reduced.convert("RGB").getpixel((10 * k + 3, 3)) for k in range(len(colours))] == colours


def test_every_marker_of_a_changed_method_is_drawn_where_it_belongs() -> None:
    """Markers of several numbers were taken for data: lines ran through the figure."""
    names, found = [], set()
    for number in itertools.count():
        name = f"topk units={number}"
        if (marker := look(name)[1]) not in found:
            names.append(name)
            found.add(marker)
        if found == set(CHANGED):
            break
    drawn, ax = sheet(6.0, 4.0, "", "")
    panel = place(drawn, 0.5, 0.8, 3.0, 2.5)
    label_right(ax, panel, {name: (k / len(names), k / len(names)) for k, name in enumerate(names)})
    keys = [line for line in ax.lines if line.get_marker() in found]
    assert {line.get_marker() for line in keys} == found
    for line in ax.lines:
        x, y = line.get_data()
        assert 0.5 <= np.min(x) <= np.max(x) <= 4.5
        assert 0.8 <= np.min(y) <= np.max(y) <= 3.3
