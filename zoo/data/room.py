"""Checks that there is enough memory for the data, before it is allocated."""

from __future__ import annotations

import psutil

from zoo.errors import ZooError


def check_room(needed: float, what: str, advice: str) -> None:
    """ZooError if something takes more memory than is free.

    Args:
        needed: bytes.
        what: name of the data, for the message.
        advice: what to do, for the message.
    """
    free = psutil.virtual_memory().available
    if needed > free:
        raise ZooError(f"{what} takes {needed / 1e9:,.3g} GB of memory, and {free / 1e9:,.3g} GB are free; {advice}")
