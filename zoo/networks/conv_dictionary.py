"""A convolutional dictionary: atoms laid at any place of a coarse grid, found by convolutions."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import nn

from zoo.errors import ZooError
from zoo.networks.conv import ToImage
from zoo.networks.fully_conv import Units
from zoo.types import Shape

REACH = 11 / 28  # side of an atom, at least, as a share of the image's


def conv_dictionary(
    shape: Shape,
    in_features: int,
    out_features: int,
    channels: int,
    side: int = 4,
    filters: int = 32,
    activation: Callable[[], nn.Module] = nn.ReLU,
) -> tuple[nn.Module, nn.Module]:
    """raw = b + sum_mp z_mp (atom m, laid at place p): one transposed convolution of large kernels; two make the code.

    Units are maps of side x side places, map by map, the last one cut short where they don't come out even.
    A. Makhzani, B. Frey, "Winner-take-all autoencoders", 2014, arXiv:1409.2752, section 3, with atoms of 11x11 for
    28x28 pixels; there the places are as many as the pixels. Atoms start as convolutions do and not as the encoder's
    transpose, which a chain of two layers has none of.

    Args:
        shape: (C, H, W) of the images.
        in_features: see `zoo.types.Network`.
        out_features: see `zoo.types.Network`.
        channels: of the decoder's output.
        side: of the grid of places.
        filters: channels of the encoder's first layer.
        activation: after that layer.

    Raises:
        ZooError: the image is smaller than the grid.
    """
    if not 1 <= side <= min(shape[1:]):
        raise ZooError(
            f"network.side={side}: a grid of places is from 1 to {min(shape[1:])} wide on {shape[1:]} pixels"
        )
    kernel, stride, padding = zip(*(covering(length, side) for length in shape[1:]), strict=True)
    deep, wide = -(-in_features // side**2), -(-out_features // side**2)
    return (
        nn.Sequential(
            nn.Conv2d(shape[0], filters, 5, padding=2),
            activation(),
            nn.Conv2d(filters, deep, kernel, stride, padding),
            nn.Flatten(),
            Units(in_features),
        ),
        nn.Sequential(
            Units(wide * side**2),
            nn.Unflatten(1, (wide, side, side)),
            ToImage(wide, channels, kernel, stride, padding),
        ),
    )


def covering(length: int, places: int) -> tuple[int, int, int]:
    """Kernel, stride and padding of a convolution that turns so many pixels into so many places, and back.

    (places - 1) stride + kernel - 2 padding = length, with the widest stride there is and a kernel of REACH or more.
    """
    stride = max((length - 1) // max(places - 1, 1), 1)
    rest = length - (places - 1) * stride
    padding = max(0, math.ceil((REACH * length - rest) / 2))
    return rest + 2 * padding, stride, padding
