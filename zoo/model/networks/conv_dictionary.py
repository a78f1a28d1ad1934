"""A convolutional dictionary: atoms at the positions of a coarse grid, with a convolutional encoder."""

from __future__ import annotations

import math

from torch import nn

from zoo.checks import check_count, is_whole
from zoo.errors import ZooError
from zoo.model.activations import activation_named
from zoo.model.networks.conv import ToImage
from zoo.model.networks.fully_conv import Units
from zoo.types import Shape

REACH = 11 / 28  # smallest side of an atom, as a fraction of the image's


def conv_dictionary(
    shape: Shape,
    in_features: int,
    out_features: int,
    channels: int,
    side: int = 4,
    filters: int = 32,
    activation: str = "relu",
) -> tuple[nn.Module, nn.Module]:
    """raw = b + sum_mp z_mp (atom m at position p): a transposed convolution decodes, two convolutions encode.

    Units are feature maps of side x side positions, map by map; the last map is cut where the number of units is no
    multiple. A. Makhzani, B. Frey, "Winner-take-all autoencoders", 2014, arXiv:1409.2752, section 3, with atoms of
    11x11 for 28x28 pixels.

    Where this differs from the paper: positions lie on a coarse grid and not at every pixel; atoms have torch's default
    initialisation, because an encoder of two layers has no transpose to start from.

    Args:
        shape: (C, H, W) of the images.
        in_features: width of the encoder's output.
        out_features: width of the decoder's input.
        channels: channels of the decoder's output.
        side: positions along each side of the grid.
        filters: channels of the encoder's first layer.
        activation: name of the activation after that layer.

    Raises:
        ZooError: the grid has more positions than the image has pixels along a side, or none; `filters` is below 1.
    """
    check_count(filters, "network.filters")
    if not is_whole(side) or not 1 <= side <= min(shape[1:]):
        raise ZooError(
            f"network.side={side}: the grid of positions must be from 1 to {min(shape[1:])} wide on {shape[1:]} pixels"
        )
    kernel, stride, padding = zip(*(covering(length, side) for length in shape[1:]), strict=True)
    deep, wide = -(-in_features // side**2), -(-out_features // side**2)
    return (
        nn.Sequential(
            nn.Conv2d(shape[0], filters, 5, padding=2),
            activation_named(activation)(),
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
    """Kernel, stride and padding of a convolution from `length` pixels to `places` positions.

    (places - 1) stride + kernel - 2 padding = length, with the largest stride and a kernel of at least REACH.
    """
    stride = max((length - 1) // max(places - 1, 1), 1)
    rest = length - (places - 1) * stride
    padding = max(0, math.ceil((REACH * length - rest) / 2))
    return rest + 2 * padding, stride, padding
