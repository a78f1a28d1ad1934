"""The one exception for mistakes of a user, and suggestions of similar names for its messages."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches


class ZooError(Exception):
    """A mistake of a user or a missing file; one sentence says the value, what is expected, and what to do."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: "; did you mean aae, vae?", or "; choose one of ..." if none is near.

    Args:
        name: the unknown name.
        known: the known names.
    """
    names = sorted(set(known))
    lower = name.lower()
    if close := get_close_matches(lower, names, n=3, cutoff=0.6):
        order = sorted(close, key=lambda other: (-SequenceMatcher(None, other, lower).ratio(), other))
        return f"; did you mean {', '.join(order)}?"
    return f"; choose one of {', '.join(names)}" if names else ""
