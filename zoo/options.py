"""The table of known parts: builds a part from an option's name and plain values.

The option files, `conf/<axis>/<option>.yaml`, are the table. A file names the class or function of the part, and holds
the defaults of its settings. Everything that is stored (in a model file, in a record) is a *node*: the name of an
option with plain values for its settings,

    {"option": "deep", "hidden": [256, 128, 64], "activation": "gelu"}

No import path is stored, so files stay readable when a class is moved or renamed. A node is data: it is never
interpolated, and names no code. `build` looks up the class that the option file names and calls it with the values.

A setting of an option file may itself be a part: written in place (a mapping with `_target_`), or chosen on an axis of
its own (`optimizer: ${optimizer}`), in which case the node's value names that option.

Other packages add parts by a folder `conf` of the same form, which is used only if the package is trusted by name.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module, resources
from pathlib import Path
from typing import Any

import yaml

from zoo.errors import ZooError, nearest

Node = dict[str, Any]
TARGET, PARTIAL = "_target_", "_partial_"
AXIS = re.compile(r"\$\{(\w+)\}")  # a setting that another axis fills
PLAIN = (type(None), bool, int, float, str)
PLAIN_TYPES: dict[str, tuple[str, Callable[[Any], bool]]] = {  # an annotation -> its name in messages, and its test
    "None": ("null", lambda value: value is None),
    "bool": ("true or false", lambda value: isinstance(value, bool)),
    "int": ("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    "float": ("a number", lambda value: isinstance(value, int | float) and not isinstance(value, bool)),
    "str": ("a text", lambda value: isinstance(value, str)),
    "Sequence[int]": ("a list of whole numbers", lambda value: _all("int", value)),
    "Sequence[float]": ("a list of numbers", lambda value: _all("float", value)),
    "Sequence[str]": ("a list of texts", lambda value: _all("str", value)),
    "Mapping[str, float]": (
        "names with numbers",
        lambda value: isinstance(value, Mapping) and _all("float", list(value.values())),
    ),
}


def shipped() -> Path:
    """The folder of the zoo's own option files: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


@cache
def folders(trust: tuple[str, ...] = ()) -> tuple[Path, ...]:
    """The folders of option files: the zoo's, and those of trusted packages.

    Args:
        trust: names of packages with a folder `conf`.

    Raises:
        ZooError: a package is not installed, or has no such folder.
    """
    found = [shipped()]
    for package in trust:
        try:
            place = Path(str(resources.files(package))) / "conf"
        except (ModuleNotFoundError, TypeError, ValueError) as error:
            raise ZooError(f"trust={package}: no package of this name can be imported") from error
        if not place.is_dir():
            raise ZooError(f"trust={package}: the package has no folder conf with option files ({place})")
        found.append(place)
    return tuple(found)


def names(axis: str, trust: tuple[str, ...] = ()) -> list[str]:
    """The options of an axis, sorted."""
    return sorted(path.stem for folder in folders(trust) for path in (folder / axis).glob("*.yaml"))


def is_axis(name: str, trust: tuple[str, ...] = ()) -> bool:
    """Whether there are options of that name."""
    return any((folder / name).is_dir() for folder in folders(trust))


@cache
def content(axis: str, option: str, trust: tuple[str, ...] = ()) -> Node:
    """An option file merged with the files that it extends (`defaults: [other]`); do not modify it.

    Raises:
        ZooError: there is no such option.
    """
    found = (folder / axis / f"{option}.yaml" for folder in folders(trust))
    path = next((path for path in found if re.fullmatch(r"\w{1,100}", option) and path.is_file()), None)
    if path is None:
        raise ZooError(
            f"{axis}={option}: no such {axis}{nearest(option, names(axis, trust))}; if it comes from a package that "
            "you trust, name it: trust=<package>"
        )
    own = dict(read_options(path))
    merged: Node = {}
    for parent in own.pop("defaults", []):
        if isinstance(parent, str) and parent != "_self_":
            merged = _merged(merged, content(axis, parent, trust))
    return _merged(merged, own)


def read_options(path: Path) -> Node:
    """What a YAML file of options holds.

    Raises:
        ZooError: it is not valid YAML, or holds no options.
    """
    try:
        with path.open(encoding="utf-8") as file:
            found = yaml.safe_load(file)
    except yaml.YAMLError as error:
        raise ZooError(unreadable(error)) from error
    if not isinstance(found, dict | None):
        raise ZooError(f"{path}: holds no options; write lines such as key: value")
    return found or {}


def unreadable(error: yaml.YAMLError) -> str:
    """Where an option file is no valid YAML, and why, in one line."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return " ".join(str(error).split())
    mark = error.problem_mark
    return f"{mark.name}, line {mark.line + 1}: not valid YAML ({error.problem})"


def template(axis: str, option: str, trust: tuple[str, ...] = ()) -> Node:
    """The part that an option file describes. A file that sets values elsewhere too holds it under the axis' name."""
    whole = content(axis, option, trust)
    node: Node = whole.get(axis, whole)
    return node


def build(axis: str, node: Mapping[str, Any], trust: tuple[str, ...] = ()) -> Any:
    """The part that a node describes.

    Args:
        axis: "network", "bottleneck", ...
        node: the option's name under "option", and plain values for its settings.
        trust: packages whose parts may be built.

    Raises:
        ZooError: no such option or setting, a value that is not plain, or a value that the part refuses.
    """
    option, settings = _opened(axis, node)
    return _made(f"{axis}={option}", template(axis, option, trust), settings, trust)


def targets(axis: str, node: Mapping[str, Any], trust: tuple[str, ...] = ()) -> Iterator[str]:
    """Import paths of the part that a node describes, and of the parts within it."""
    option, settings = _opened(axis, node)
    yield from _targets(template(axis, option, trust), settings, trust)


def node_of(axis: str, composed: Mapping[str, Any], choices: Mapping[str, str], trust: tuple[str, ...] = ()) -> Node:
    """The node of a composed configuration.

    Args:
        axis: which one.
        composed: the axis' configuration, resolved, as the option files have it: with `_target_`.
        choices: {axis: the option chosen}.
        trust: packages whose option files count.

    Raises:
        ZooError: the configuration names another class than the option file: a part is chosen by its option.
    """
    option = choices[axis]
    if not isinstance(composed, Mapping):
        raise ZooError(f"{axis}={composed!r}: choose {axis} by the name of its option, as in {axis}={option}")
    return {"option": option, **_plain(axis, template(axis, option, trust), composed, choices, trust)}


@dataclass(frozen=True)
class Setting:
    """A setting of an option file, and its content.

    Attributes:
        axis: the axis that fills it; empty for others.
        part: what a part written in place is made of; None for others.
        parts: the same of a list of parts.
    """

    axis: str = ""
    part: Node | None = None
    parts: Sequence[Node] = ()

    @classmethod
    def of(cls, value: Any, trust: tuple[str, ...]) -> Setting:
        """The entry of an option file for a setting."""
        if isinstance(value, str) and (found := AXIS.fullmatch(value)) and is_axis(found[1], trust):
            return cls(axis=found[1])
        if isinstance(value, dict) and TARGET in value:
            return cls(part=value)
        if isinstance(value, list) and value and all(isinstance(item, dict) and TARGET in item for item in value):
            return cls(parts=value)
        return cls()


def _opened(axis: str, node: Mapping[str, Any]) -> tuple[str, Node]:
    if not isinstance(node, Mapping) or not isinstance(option := node.get("option"), str):
        raise ZooError(f"{axis}: {node!r} names no option")
    return option, {key: value for key, value in node.items() if key != "option"}


def _made(name: str, described: Node, settings: Mapping[str, Any], trust: tuple[str, ...]) -> Any:
    """The part of one template."""
    target = imported(described[TARGET])
    values = {}
    for key, value in settings.items():
        setting = Setting.of(described.get(key), trust)
        if setting.axis:
            values[key] = build(setting.axis, value, trust)
        elif setting.part is not None:
            values[key] = _made(f"{name}.{key}", setting.part, _mapping(f"{name}.{key}", value), trust)
        elif setting.parts:
            values[key] = [
                _made(f"{name}.{key}[{i}]", part, _mapping(f"{name}.{key}[{i}]", item), trust)
                for i, (part, item) in enumerate(_pairs(f"{name}.{key}", setting.parts, value))
            ]
        else:
            values[key] = _checked(f"{name}.{key}", value)
    _check_settings(name, target, values)
    if described.get(PARTIAL):
        return partial(target, **values)
    if missing := [key for key in _required(target) if key not in values]:
        raise ZooError(f"{name} lacks the setting {missing[0]}")
    return target(**values)


def _required(target: Callable[..., Any]) -> Iterator[str]:
    """The settings that a class or function has no defaults for."""
    for key, parameter in inspect.signature(target).parameters.items():
        variadic = parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        if parameter.default is inspect.Parameter.empty and not variadic:
            yield key


def _targets(described: Node, settings: Mapping[str, Any], trust: tuple[str, ...]) -> Iterator[str]:
    yield described[TARGET]
    for key, value in settings.items():
        setting = Setting.of(described.get(key), trust)
        if setting.axis:
            yield from targets(setting.axis, value, trust)
        elif setting.part is not None:
            yield from _targets(setting.part, _mapping(key, value), trust)
        for part, item in _pairs(key, setting.parts, value) if setting.parts else ():
            yield from _targets(part, _mapping(key, item), trust)


def _plain(
    name: str, described: Node, composed: Mapping[str, Any], choices: Mapping[str, str], trust: tuple[str, ...]
) -> Node:
    """The settings of a composed part, without names of code."""
    if composed.get(TARGET) != described.get(TARGET) or bool(composed.get(PARTIAL)) != bool(described.get(PARTIAL)):
        raise ZooError(f"{name}: a part is chosen by the name of its option, and its {TARGET} cannot be changed")
    found: Node = {}
    for key, value in composed.items():
        if key in (TARGET, PARTIAL):
            continue
        setting = Setting.of(described.get(key), trust)
        if setting.axis:
            found[key] = node_of(setting.axis, value, choices, trust)
        elif setting.part is not None:
            found[key] = _plain(f"{name}.{key}", setting.part, _mapping(f"{name}.{key}", value), choices, trust)
        elif setting.parts:
            pairs = _pairs(f"{name}.{key}", setting.parts, value)
            found[key] = [_plain(f"{name}.{key}", part, item, choices, trust) for part, item in pairs]
        else:
            found[key] = _checked(f"{name}.{key}", value)
    return found


def _mapping(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ZooError(f"{name}={value!r}: this setting is a part with settings of its own, not a value")
    return value


def _pairs(name: str, described: Sequence[Node], values: Any) -> Iterable[tuple[Node, Any]]:
    if not isinstance(values, list) or len(values) != len(described):
        raise ZooError(f"{name}: its parts cannot be overridden here; write another option file")
    return zip(described, values, strict=True)


def _checked(name: str, value: Any) -> Any:
    """`value` if it is plain: None, a number, a text, or lists and mappings of these."""
    if isinstance(value, Mapping):
        if any(not isinstance(key, str) or key.startswith("_") for key in value):
            raise ZooError(f"{name}: {sorted(map(str, value))} are no plain settings; a part is chosen by its option")
        return {key: _checked(f"{name}.{key}", item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_checked(f"{name}[{i}]", item) for i, item in enumerate(value)]
    if not isinstance(value, PLAIN):
        raise ZooError(f"{name}={value!r}: not a plain value")
    return value


def _all(kind: str, values: Any) -> bool:
    return isinstance(values, list | tuple) and all(PLAIN_TYPES[kind][1](value) for value in values)


def check_type(name: str, value: Any, *kinds: str) -> None:
    """ZooError if `value` is of none of `kinds`, which are keys of `PLAIN_TYPES`."""
    if not any(PLAIN_TYPES[kind][1](value) for kind in kinds):
        said = json.dumps(value) if value is None or isinstance(value, bool) else value  # null, as it is written
        raise ZooError(f"{name}={said}: must be {' or '.join(PLAIN_TYPES[kind][0] for kind in kinds)}")


def _check_settings(name: str, target: Callable[..., Any], values: Mapping[str, Any]) -> None:
    """ZooError if the part has no setting of that name, or the setting is of another type: a number, a text, ..."""
    parameters = inspect.signature(target).parameters
    open_ended = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    for key, value in values.items():
        if key in parameters:
            annotation = parameters[key].annotation
            text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
            kinds = [kind for kind in text.split(" | ") if kind != "torch.Tensor"]  # which no plain value is
            if all(kind in PLAIN_TYPES for kind in kinds):
                check_type(f"{name}: {key}", value, *kinds)
        elif not open_ended:
            raise ZooError(f"{name} has no setting {key}{nearest(key, parameters)}")


@cache
def imported(path: str) -> Callable[..., Any]:
    """The class or function at an import path of an option file."""
    module, _, name = path.rpartition(".")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found


def _merged(below: Node, above: Node) -> Node:
    """Two nested mappings in one; where both have a value, that of `above`."""
    merged = dict(below)
    for key, value in above.items():
        inner = merged.get(key)
        merged[key] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return merged
