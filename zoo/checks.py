"""Checks of the settings that parts of a model share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from zoo.errors import ZooError

MOST = 2**31 - 1  # of a number of things
LARGEST = 1e18  # size of a number whose square float32 can hold


def check_width(width: int, name: str = "width") -> int:
    """The width of a code, unchanged.

    Args:
        width: number of units.
        name: the setting, for the message.

    Raises:
        ZooError: not a whole number, or less than 1.
    """
    if not is_whole(width) or width < 1:
        raise ZooError(f"{name}={width}: a code needs a whole number of units, at least 1{beyond(width, MOST)}")
    return width


def check_count(count: int, name: str, least: int = 1) -> int:
    """A number of things, unchanged.

    Args:
        count: the number.
        name: the setting, for the message.
        least: its smallest value.

    Raises:
        ZooError: not a whole number, less than `least`, or more than 2,147,483,647.
    """
    if not is_whole(count) or count < least:
        raise ZooError(f"{name}={count}: must be a whole number, at least {least}{beyond(count, MOST)}")
    return count


def check_counts(counts: Sequence[int], name: str, fewest: int = 0) -> list[int]:
    """Numbers of things, at least 1 each, as a list.

    Args:
        counts: the numbers.
        name: the setting, for the message.
        fewest: smallest length of the list.

    Raises:
        ZooError: no list of so many whole numbers, or one less than 1, or more than 2,147,483,647.
    """
    found = list(counts) if isinstance(counts, Sequence) else None
    if found is None or len(found) < fewest or not all(is_whole(count) and count >= 1 for count in found):
        at_least = f" of at least {fewest}" if fewest else ""
        more = next((text for count in found or () if (text := beyond(count, MOST))), "")
        raise ZooError(f"{name}={counts}: must be a list{at_least} of whole numbers, at least 1 each{more}")
    return found


def check_positive(value: float, name: str) -> float:
    """A number above 0, unchanged.

    Args:
        value: the number.
        name: the setting, for the message.

    Raises:
        ZooError: not a number above 0, or one whose square float32 cannot hold.
    """
    if not is_finite(value) or value <= 0:
        raise ZooError(f"{name}={value}: must be greater than 0 and finite{beyond(value, LARGEST)}")
    return value


def check_finite(value: float, name: str, least: float = -math.inf) -> float:
    """A finite number, unchanged.

    Args:
        value: the number.
        name: the setting, for the message.
        least: its smallest value.

    Raises:
        ZooError: not a finite number, less than `least`, or one whose square float32 cannot hold.
    """
    if not is_finite(value) or value < least:
        bound = "" if least == -math.inf else f", {least:g} or more"
        raise ZooError(f"{name}={value}: must be a finite number{bound}{beyond(value, LARGEST)}")
    return value


def check_fraction(value: float, name: str) -> float:
    """A number in [0, 1], unchanged.

    Args:
        value: the number.
        name: the setting, for the message.

    Raises:
        ZooError: not a number in [0, 1].
    """
    if not is_finite(value) or not 0 <= value <= 1:
        raise ZooError(f"{name}={value}: must be in [0, 1]")
    return value


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number of at most 2,147,483,647 in size; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MOST


def is_finite(value: Any) -> bool:
    """Whether a value is a number of at most 1e18 in size; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST


def beyond(value: Any, bound: float) -> str:
    """For messages: a bound that a finite number exceeds in size; empty where it does not."""
    exceeds = isinstance(value, int | float) and bound < abs(value) < math.inf
    return f", at most {bound:,}" if exceeds else ""


def check_active(k: int, units: int) -> int:
    """The number of active units of a sparse code, unchanged.

    Args:
        k: active units.
        units: units of the code.

    Raises:
        ZooError: k is not in 1..units.
    """
    check_width(units, "bottleneck.units")
    if check_count(k, "bottleneck.k") > units:
        raise ZooError(f"bottleneck.k={k}: more active units than the bottleneck.units={units} of the code")
    return k
