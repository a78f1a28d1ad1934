"""Bottlenecks: what is done to the encoder's output; each satisfies `zoo.types.Bottleneck`."""

from zoo.errors import ZooError


def check_width(width: int, name: str = "width") -> int:
    """Return `width` if it can be the number of units of a code; ZooError tells why it can't."""
    if not isinstance(width, int) or width < 1:
        raise ZooError(f"{name}={width}: a code needs a whole number of units, at least 1")
    return width
