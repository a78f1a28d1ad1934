"""Checks of the settings that parts of a model share."""

from __future__ import annotations

from zoo.errors import ZooError


def check_width(width: int, name: str = "width") -> int:
    """The width of a code, unchanged.

    Args:
        width: number of units.
        name: the setting, for the message.

    Raises:
        ZooError: not a whole number, or less than 1.
    """
    if not isinstance(width, int) or width < 1:
        raise ZooError(f"{name}={width}: a code needs a whole number of units, at least 1")
    return width


def check_count(count: int, name: str) -> int:
    """A number of things, unchanged.

    Args:
        count: the number.
        name: the setting, for the message.

    Raises:
        ZooError: not a whole number, or less than 1.
    """
    if not isinstance(count, int) or count < 1:
        raise ZooError(f"{name}={count}: must be a whole number, at least 1")
    return count


def check_active(k: int, units: int) -> int:
    """The number of active units of a sparse code, unchanged.

    Args:
        k: active units.
        units: units of the code.

    Raises:
        ZooError: k is not in 1..units.
    """
    if check_count(k, "bottleneck.k") > units:
        raise ZooError(f"bottleneck.k={k}: more active units than the bottleneck.units={units} of the code")
    return k
