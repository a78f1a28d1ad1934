"""A class that is left out of a data set, so that its test samples are outliers."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from zoo.data.images import Images, Source
from zoo.errors import ZooError, nearest


def leaving_out(source: Source, which: int | str | None) -> Source:
    """A data set without the samples of one class; its test samples become `Source.left_out`.

    The remaining classes are renumbered from 0.

    Args:
        source: the data set.
        which: the class, by its number or its name; None leaves out nothing.

    Raises:
        ZooError: there is no such class, or no other one.
    """
    if which is None:
        return source
    asked, classes = f"data.source.without={which}", source.classes
    if len(classes) < 2:
        raise ZooError(f"{asked}: {source.name} does not have two classes, so no sample would be left; say null")
    number = classes.index(which) if isinstance(which, str) and which in classes else which
    if isinstance(number, str):
        raise ZooError(f"{asked}: {source.name} has no such class{nearest(number, classes)}")
    if not 0 <= number < len(classes):
        raise ZooError(f"{asked}: the classes of {source.name} have the numbers 0 to {len(classes) - 1}")

    def part(images: Images, chosen: Tensor) -> Images:
        found = images.subset(chosen.nonzero().flatten())
        return replace(found, labels=found.labels - (found.labels > number).long())

    train, test = (part(images, images.labels != number) for images in (source.train, source.test))
    outside = part(source.test, source.test.labels == number)
    kept = (*classes[:number], *classes[number + 1 :])
    # they belong to no remaining class
    return replace(source, train=train, test=test, classes=kept, left_out=replace(outside, labels=outside.labels * 0))
