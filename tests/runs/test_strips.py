import base64
import io
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from tests.evaluation.conftest import autoencoder
from tests.report.digits_records import autoencoder as dense_autoencoder
from tests.report.digits_records import digits, fit_linear, half_of_train
from zoo.data.images import Images
from zoo.data.sources import planted, sprites
from zoo.data.splits import Splits
from zoo.errors import ZooError
from zoo.model.corruptions import NoCorruption
from zoo.runs.single import as_strip, most_used, nearest_to, strips, traversals
from zoo.runs.strips import STEPS, decode_strip, encode_strip


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 5), st.sampled_from([1, 3]), st.integers(1, 9), st.integers(0, 2**32))
def test_whole_steps_come_back_exactly(n: int, c: int, side: int, seed: int) -> None:
    images = torch.randint(0, 256, (n, c, side, side), generator=torch.Generator().manual_seed(seed)) / 255
    assert torch.equal(decode_strip(encode_strip(images)), images)


def test_real_images_come_back_to_half_a_step() -> None:
    images = digits().test[:16]
    assert (decode_strip(encode_strip(images)) - images).abs().max() <= 0.5 / 255 + 1e-7


def test_a_strip_is_a_png_of_the_images_side_by_side() -> None:
    images = digits().test[:5]
    image = Image.open(io.BytesIO(base64.b64decode(encode_strip(images))))
    assert (image.format, image.mode, image.size) == ("PNG", "L", (5 * 8, 8))
    assert image.getpixel((3 * 8 + 2, 4)) == round(float(images[3, 0, 4, 2]) * 255)


def test_values_out_of_range_are_clipped() -> None:
    images = torch.tensor([-0.5, 1.5]).reshape(2, 1, 1, 1)
    assert decode_strip(encode_strip(images)).flatten().tolist() == [0.0, 1.0]


def test_a_strip_of_images_that_are_not_square_says_their_number() -> None:
    images = torch.arange(24).reshape(2, 1, 4, 3) / 255
    strip = encode_strip(images)
    assert torch.equal(decode_strip(strip), images)
    assert torch.equal(decode_strip(strip, 2), images)
    with pytest.raises(ZooError, match="does not hold 4"):
        decode_strip(strip, 4)


def test_a_strip_without_a_number_holds_squares() -> None:
    png = io.BytesIO()
    Image.new("L", (6, 4)).save(png, "PNG")
    with pytest.raises(ZooError, match="6x4 pixels"):
        decode_strip(base64.b64encode(png.getvalue()).decode())


def test_traversals_move_one_unit_at_a_time_those_first_that_change_the_image_most() -> None:
    """A code of three means of columns, and one unit that is not decoded."""

    class Columns(nn.Module):
        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return (z[:, :3] * torch.tensor([0.1, 1.0, 0.5]))[:, None, None, :].expand(-1, 1, 4, -1)

    encoder = nn.Sequential(nn.AvgPool2d((4, 1)), nn.Flatten(), nn.ZeroPad1d((0, 1)))
    model = autoencoder(encoder, Columns(), 4)
    x = torch.rand(2000, 1, 4, 3, generator=torch.Generator().manual_seed(0))
    test = Images(x, torch.zeros(2000, dtype=torch.int64), 1.0)
    found = traversals(model, test, 3).view(3, STEPS, 1, 4, 3)
    still = model.reconstruct(x[:1])[0]
    for moved, unit in zip(found, (1, 2, 0), strict=True):
        others = [column for column in range(3) if column != unit]
        assert torch.equal(moved[..., others], still[..., others].expand(STEPS, -1, -1, -1))
        line = moved[:, 0, 0, unit]
        torch.testing.assert_close(line.diff(), line.diff().mean().expand(STEPS - 1))
        ends = model.reconstruct(x)[::2, 0, 0, unit].quantile(torch.tensor([0.025, 0.975]))
        torch.testing.assert_close(line[[0, -1]], ends)
    assert len(traversals(model, test, 9)) == 4 * STEPS


def test_a_record_carries_traversals_where_factors_are_known() -> None:
    source = sprites(side=8, scales=2, rotations=2, positions=6, test_fraction=0.4)
    model = autoencoder(nn.Flatten(), nn.Unflatten(1, (1, 8, 8)), 64)
    codes = source.train[:].flatten(1)
    found = strips(model, Splits(source), codes)
    assert decode_strip(found["traversals"]).shape == (5 * STEPS, 1, 8, 8)
    assert "traversals" not in strips(model, Splits(replace(source, factors=())), codes)


@pytest.mark.parametrize("shape", [(2, 2, 4, 4), (1, 4, 4), (0, 1, 4, 4)])
def test_what_is_no_image_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ZooError, match=r"\(N, 1, H, W\)"):
        encode_strip(torch.zeros(shape))


@pytest.mark.parametrize("strip", ["not base64!", base64.b64encode(b"no image").decode()])
def test_what_is_no_strip_is_refused(strip: str) -> None:
    with pytest.raises(ZooError, match="PNG in base64"):
        decode_strip(strip)


# Atoms


def test_a_linear_decoder_shows_its_atoms_and_another_one_does_not() -> None:
    linear, _ = fit_linear(True, 8, 0)
    curved = dense_autoencoder((16,), 8, 0, NoCorruption())
    shown = {}
    for model in (linear, curved):
        with torch.no_grad():
            shown[model] = strips(model.eval(), digits(), model.encode(half_of_train(0)))
    assert "atoms" not in shown[curved]
    assert not any("planted" in found for found in shown.values())
    drawn = 2 * decode_strip(shown[linear]["atoms"]) - 1
    components = linear.decoder[0].weight.detach().T
    assert drawn.shape == (8, 1, 8, 8)
    for atom, component in zip(drawn, components, strict=True):  # by the variance of the images that it was fitted on
        wanted = component / component[component.abs().argmax()]
        torch.testing.assert_close(atom.flatten(), wanted, rtol=0, atol=1.1 / 255)


def test_planted_atoms_are_shown_most_frequent_first() -> None:
    data = Splits(planted(n_train=20, n_test=10))
    model = dense_autoencoder((), 4, 0, NoCorruption())
    with torch.no_grad():
        shown = decode_strip(strips(model.eval(), data, model.encode(data.train[:]))["planted"])
    torch.testing.assert_close(shown, as_strip(data.atoms[:20]), rtol=0, atol=0.51 / 255)


def test_below_each_planted_atom_is_the_most_similar_one_of_those_in_use() -> None:
    planted_atoms = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]).view(2, 1, 1, 3)
    atoms = torch.tensor([[0.0, -2.0, 0.1], [0.9, 0.1, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]).view(4, 1, 1, 3)
    codes = torch.tensor([[1.0, 2.0, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0]])  # the third unit, a perfect one, is never in use
    found = nearest_to(planted_atoms, atoms, codes)
    expected = torch.tensor([[0.9, 0.1, 0.0], [0.0, 2.0, -0.1]]).view(2, 1, 1, 3)
    torch.testing.assert_close(as_strip(found), as_strip(expected))
    assert len(nearest_to(planted_atoms, atoms, torch.zeros(2, 4))) == 0


def test_atoms_are_ordered_by_the_variance_that_they_carry_and_unused_ones_left_out() -> None:
    atoms = torch.diag(torch.tensor([1.0, -1.0, 2.0, 5.0])).view(4, 1, 2, 2)
    codes = torch.tensor([[0.0, -3.0, -1.0, 0.0], [4.0, 3.0, 0.0, 0.0]])
    #                       std 2      3          2 x 1/2    unused
    used = most_used(atoms, codes).flatten(1)
    signs_kept = torch.tensor([[0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0]])
    assert torch.equal(used, signs_kept), "the second unit takes both signs, so that its atom may be turned"
    negative = most_used(-atoms, codes).flatten(1)
    assert negative[1, 0] == -1, "a unit that is never negative only subtracts this atom"
    assert len(most_used(atoms, torch.ones(3, 4))) == 0
    assert len(most_used(torch.ones(50, 1, 2, 2), torch.randn(5, 50, generator=torch.Generator().manual_seed(0)))) == 20


def test_an_atom_fills_the_grey_levels_about_the_middle() -> None:
    strip = as_strip(torch.tensor([[0.0, 0.5, -2.0, 1.0], [0.0, 0.1, 0.0, 0.0]]).view(2, 1, 2, 2))
    assert strip.flatten(1).tolist() == [[0.5, 0.625, 0.0, 0.75], [0.5, 1.0, 0.5, 0.5]]
