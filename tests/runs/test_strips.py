import base64
import io

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.report.digits_records import autoencoder, digits, fit_linear, half_of_train
from zoo.data.sources import planted
from zoo.data.splits import Splits
from zoo.errors import ZooError
from zoo.model.corruptions import NoCorruption
from zoo.runs.single import as_strip, most_used, strips
from zoo.runs.strips import decode_strip, encode_strip


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
    curved = autoencoder((16,), 8, 0, NoCorruption())
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
    model = autoencoder((), 4, 0, NoCorruption())
    with torch.no_grad():
        shown = decode_strip(strips(model.eval(), data, model.encode(data.train[:]))["planted"])
    torch.testing.assert_close(shown, as_strip(data.atoms[:20]), rtol=0, atol=0.51 / 255)


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
