import base64
import io

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.report.digits_records import digits
from zoo.errors import ZooError
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
