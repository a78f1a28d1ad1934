"""The list of methods, read from the option files of variants."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from zoo.options import content, names


@dataclass(frozen=True)
class Variant:
    """A method of the zoo.

    Attributes:
        name: stem of its yaml, and its name in tables.
        family: "linear", "deterministic", "denoising", "masked", "sparse", "variational", "discrete", "adversarial", or
            "control": not a bottleneck, fitted for comparison only.
        method: what it is, in one line.
        source: authors and year; empty where there is none.
        equation: what it computes or minimises, in plain text.
        limitations: when it fails.
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
        found.append(Variant(name, about.get("family", OTHER), *texts))
    order = {family: place for place, family in enumerate(FAMILIES)}
    return sorted(found, key=lambda variant: (order.get(variant.family, len(order)), variant.name))


@cache
def members() -> dict[str, tuple[str, ...]]:
    """The names of the zoo's own variants by family."""
    every = variants()
    return {
        family: tuple(v.name for v in every if v.family == family) for family in dict.fromkeys(v.family for v in every)
    }


def family_of(variant: str) -> str:
    """The family of a variant; "other" for one from elsewhere."""
    return next((family for family, names in members().items() if variant in names), OTHER)


CONTROL, OTHER = "control", "other"
FAMILIES = (
    *("linear", "deterministic", "denoising", "masked", "sparse", "variational", "discrete", "adversarial"),
    CONTROL,
)
TITLES = {  # of data sets whose keys do not say enough
    **{"mnist": "MNIST", "binary_mnist": "binary MNIST", "fashion_mnist": "Fashion-MNIST", "faces_small": "faces"},
    **{"newsgroups": "20 Newsgroups", "words": "words of 20 Newsgroups", "sprites_small": "sprites (16x16)"},
}


def title_of(data: str) -> str:
    """The name of a data set in titles, from its key."""
    return TITLES.get(data, data)
