"""Networks: builders of (encoder, decoder), each satisfying `zoo.types.Network`."""

from zoo.errors import ZooError


def check_mirrored(network: str, units: tuple[int, int], channels: tuple[int, int]) -> None:
    """ZooError unless the decoder can mirror the encoder, layer by layer.

    Args:
        network: name of the network that shares weights between its two sides.
        units: the bottleneck's `in_features` and `out_features`.
        channels: of the images, and of the decoder's output.
    """
    if units[0] != units[1] or channels[0] != channels[1]:
        raise ZooError(
            f"network={network}: encoder and decoder share weights, but the bottleneck turns {units[0]} units into "
            f"{units[1]} and the likelihood {channels[0]} channels into {channels[1]}; choose network=linear or deep"
        )
