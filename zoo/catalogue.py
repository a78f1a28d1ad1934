"""The list of methods: what the option files of variants say about themselves."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.options import content, names


@dataclass(frozen=True)
class Variant:
    """A method of the zoo.

    Attributes:
        name: stem of its yaml, and its name in tables.
        family: "linear", "deterministic", "denoising", "masked", "sparse", "variational", "discrete", "adversarial".
        method: what it is, in one line.
        source: authors and year; empty where there is none.
        equation: what it computes or minimises, in plain text.
        limitations: what it does badly.
        differs: where the zoo's version differs from the source.
    """

    name: str
    family: str
    method: str
    source: str
    equation: str = ""
    limitations: str = ""
    differs: str = ""


def variants(trust: tuple[str, ...] = ()) -> list[Variant]:
    """Every method, by family in the order of the table above, then by name.

    Args:
        trust: packages from elsewhere whose variants are listed too.
    """
    found = []
    for name in names("variant", trust):
        about = content("variant", name, trust).get("about", {})
        texts = [about.get(key) or "" for key in ("method", "source", "equation", "limitations", "differs")]
        found.append(Variant(name, about.get("family", "other"), *texts))
    order = {family: place for place, family in enumerate(FAMILIES)}
    return sorted(found, key=lambda variant: (order.get(variant.family, len(order)), variant.name))


FAMILIES = ("linear", "deterministic", "denoising", "masked", "sparse", "variational", "discrete", "adversarial")
