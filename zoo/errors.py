"""The one exception for a user's mistakes, and how its messages name the nearest known names."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches


class ZooError(Exception):
    """A user's mistake or a missing file, in one sentence: the value, what was expected, what to do."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: "; did you mean aae, vae?", or "; choose one of ..." if none is near.

    Args:
        name: what was asked for.
        known: what there is.
    """
    names = sorted(set(known))
    if close := get_close_matches(name, names, n=3, cutoff=0.6):
        order = sorted(close, key=lambda other: (-SequenceMatcher(None, other, name).ratio(), other))
        return f"; did you mean {', '.join(order)}?"
    return f"; choose one of {', '.join(names)}" if names else ""
