"""Another data set, whose test images are outliers for a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from zoo.errors import ZooError, nearest
from zoo.options import Node, build, names, node_of, template

if TYPE_CHECKING:
    from zoo.data.images import Images
    from zoo.data.splits import Splits


def outside_node(name: str | None, places: Mapping[str, str], trust: tuple[str, ...]) -> Node | None:
    """A data set by the settings of its option file; None for None.

    Args:
        name: the option.
        places: {setting of a source: where files lie}.
        trust: packages from elsewhere that it may come from.

    Raises:
        ZooError: there is no such data set.
    """
    if name is None:
        return None
    if name not in (known := names("data", trust)):
        raise ZooError(f"evaluation.outliers={name}: no such data set{nearest(name, known)}")
    node = node_of("data", template("data", name, trust), {"data": name}, trust)
    return node | {"source": node["source"] | {key: place for key, place in places.items() if key in node["source"]}}


def outside_images(
    node: Node | None, data: Splits, metrics: Sequence[str], trust: tuple[str, ...]
) -> dict[str, Images]:
    """{name: test images} of another data set, if one of the metrics needs them.

    Raises:
        ZooError: the data set cannot be read, or its images have another shape than those of `data`.
    """
    from zoo.evaluation.evaluator import check_shapes, named, rests_on_outside  # torch takes a second to import

    if node is None or not any(map(rests_on_outside, named(metrics))):
        return {}
    name = str(node["option"])
    try:
        other: Splits = build("data", node, trust)
        found = {name: other.test}
    except ZooError as error:
        raise ZooError(f"evaluation.outliers={name}: {error}; or say evaluation.outliers=null") from error
    check_shapes(found, data)
    return found
