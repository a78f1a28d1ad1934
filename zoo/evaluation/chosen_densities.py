"""The densities of codes that an evaluation uses, and how their settings differ from the option files."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any, Literal

from zoo.errors import ZooError
from zoo.options import Node, build, names, node_of, template
from zoo.types import BindsCodebook, Density

Kind = Literal["fast", "learned", "discrete"]
AXIS = "density"


class ChosenDensities:
    """Densities of codes by name, unfitted until they are needed.

    A density is "discrete" if it describes entries of a codebook; of the others it is "learned" if it is fitted by
    stochastic gradients, else "fast".

    Args:
        nodes: {name: {"option": name of an option file, and its settings}}; settings that are left out have the option
            file's values, and None means all options with these values.
        trust: packages from elsewhere whose densities may be used.
    """

    def __init__(self, nodes: Mapping[str, Mapping[str, Any]] | None = None, trust: tuple[str, ...] = ()) -> None:
        self.trust = trust
        given = {name: {"option": name} for name in names(AXIS, trust)} if nodes is None else nodes
        self.nodes = {name: complete(node, trust) for name, node in given.items()}

    def of_kind(self, kind: Kind) -> dict[str, Density]:
        """Unfitted densities of a kind, by name.

        Raises:
            ZooError: a setting that does not exist, or one that a density refuses.
        """
        built = {name: build_density(node, self.trust) for name, node in self.nodes.items()}
        return {name: density for name, density in built.items() if kind_of(density) == kind}

    def settings(self, kinds: Collection[Kind]) -> dict[str, Any]:
        """How the densities of some kinds differ from the option files: {name: {setting: value}}; empty if they do not.

        An option of the zoo that was left out has None, and a density from elsewhere is always listed.

        Raises:
            ZooError: a setting that does not exist, or one that a density refuses.
        """
        return {name: found for name, (kind, found) in self._differences.items() if kind in kinds}

    @cached_property
    def _differences(self) -> dict[str, tuple[Kind, Node | None]]:
        shipped = names(AXIS)
        found: dict[str, tuple[Kind, Node | None]] = {}
        for name, node in self.nodes.items():
            usual = complete({"option": node["option"]}, self.trust) | {"option": name}
            changed = {key: value for key, value in node.items() if key not in usual or value != usual[key]}
            if changed or name not in shipped:
                found[name] = kind_of(build_density(node, self.trust)), changed
        for name in shipped:
            if name not in self.nodes:
                found[name] = kind_of(build_density({"option": name})), None
        return dict(sorted(found.items()))


def complete(node: Mapping[str, Any], trust: tuple[str, ...]) -> Node:
    """A node with the option file's values for the settings that it leaves out, as JSON would store it.

    Raises:
        ZooError: no such option.
    """
    if "option" not in node:
        raise ZooError(f'density {dict(node)}: it names no option; add "option"')
    option = node["option"]
    usual = node_of(AXIS, template(AXIS, option, trust), {AXIS: option}, trust)
    whole: Node = json.loads(json.dumps({**usual, **node}))
    return whole


def build_density(node: Node, trust: tuple[str, ...] = ()) -> Density:
    """The unfitted density of a node."""
    density: Density = build(AXIS, node, trust)
    return density


def kind_of(density: Density) -> Kind:
    """Which metrics show a density."""
    if isinstance(density, BindsCodebook):
        return "discrete"
    return "learned" if density.learned else "fast"
