"""Networks: functions that build (encoder, decoder); each satisfies `zoo.types.Network`."""

from zoo.errors import ZooError


def check_mirrored(network: str, units: tuple[int, int], channels: tuple[int, int]) -> None:
    """Check that encoder and decoder can share weights: equal widths and equal channels on both sides.

    Args:
        network: name of the option, for the message.
        units: the bottleneck's `in_features` and `out_features`.
        channels: channels of the images, and of the decoder's output.

    Raises:
        ZooError: they differ.
    """
    if units[0] != units[1] or channels[0] != channels[1]:
        raise ZooError(
            f"network={network}: encoder and decoder share weights, which needs equal widths, but the bottleneck has "
            f"{units[0]} inputs and {units[1]} outputs, and the likelihood {channels[1]} channels for {channels[0]}; "
            "choose network=linear or deep"
        )


def check_halved(filters: list[int], shape: tuple[int, ...], sides: tuple[int, ...]) -> None:
    """Check that an image is large enough for so many halvings.

    Args:
        filters: channels after each halving, for the message.
        shape: (C, H, W) of the images.
        sides: height and width after the last halving.

    Raises:
        ZooError: a side has become 0.
    """
    if 0 in sides and shape[1] == 1:
        raise ZooError(
            f"rows of {shape[2]} numbers are no images, which this network is for; choose a dense one (network=deep), "
            "or give images (N, H, W); in scikit-learn, image_shape="
        )
    if 0 in sides:
        raise ZooError(f"network.filters={filters} halves a {shape[1]}x{shape[2]} image to nothing; give fewer filters")
