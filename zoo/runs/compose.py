"""Configurations composed by Hydra from option files and overrides; every mistake is reported in one sentence."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, QuotedString
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from zoo import files
from zoo.errors import ZooError, nearest
from zoo.options import TARGET, check_type, folders, shipped, unreadable

OPEN = ("objective", "density")  # axes with settings that are mappings, to which a name may be added

SEVERAL = ("density",)  # axes of which several options are chosen at once


@contextmanager
def composing(overrides: Sequence[str] = (), folder: Path | None = None) -> Iterator[list[str]]:
    """Inside, `composed` and `product` find the option files; yields the overrides for Hydra.

    Args:
        overrides: those of the command line; `trust=` adds the option files of a package.
        folder: a further folder of option files, such as your own studies and variants.
    """
    OmegaConf.register_new_resolver("zoo_home", lambda: str(files.home()), replace=True)
    if folder is not None and not folder.is_dir():
        raise ZooError(f"--config-dir={folder}: no such folder")
    trusted = trusted_in(overrides)
    more = [*folders(trusted)[1:], *([folder] if folder is not None else [])]
    search = [f"hydra.searchpath=[{','.join(f'file://{place.resolve()}' for place in more)}]"] if more else []
    with initialize_config_dir(str(shipped().resolve()), version_base="1.3"):
        yield [*overrides, *search]


def trusted_in(overrides: Sequence[str]) -> tuple[str, ...]:
    """The packages that `trust=mylib` or `trust=[one,two]` names."""
    said = [override.partition("=")[2] for override in overrides if override.lstrip("+").startswith("trust=")]
    return tuple(name for name in re.split(r"[\[\],\s]+", said[-1]) if name) if said else ()


def composed(name: str, overrides: Sequence[str]) -> DictConfig:
    """The configuration `name`.yaml under overrides, with Hydra's own part under `hydra`.

    Raises:
        ZooError: an override names an option or a setting that does not exist, or cannot be read.
    """
    try:
        given = [f"trust=[{','.join(trusted_in([o]))}]" if o.lstrip("+").startswith("trust=") else o for o in overrides]
        parsed = parsed_overrides(given)
        refuse_foreign(parsed)
        refuse_unknown_options(parsed)
        if any(override.is_add() or override.is_force_add() for override in parsed):
            return compose(name, _added(name, parsed), return_hydra_config=True)
        try:
            return compose(name, given, return_hydra_config=True)
        except HydraException as error:
            if isinstance(error, MissingConfigException | OverrideParseException):
                raise
            return compose(name, _added(name, parsed), return_hydra_config=True)
    except MissingConfigException as error:
        axis, _, option = str(error.missing_cfg_file).rpartition("/")
        raise ZooError(f"{axis}={option}: no such {axis}{nearest(option, error.options or ())}") from error
    except OverrideParseException as error:
        raise unread(error) from error
    except yaml.YAMLError as error:
        raise ZooError(unreadable(error)) from error
    except (HydraException, OmegaConfBaseException) as error:
        foreign = re.match(r"Could not override '(.+?)'", str(error))
        raise ZooError(f"{foreign[1]}: no such setting" if foreign else " ".join(str(error).split())) from error


def quoting_of(override: str) -> str:
    """The end of a message: how to write an override that Hydra cannot read."""
    key, equals, value = override.partition("=")
    if not key or not equals:
        return "write key=value"
    if value.startswith("~/"):
        return f"no shell replaces ~ there: write {key}=$HOME{value[1:]}"
    return f"where the value holds special characters, quote it twice: {quoted(key, value)}"


def quoted(key: str, value: str) -> str:
    """An override whose value is one text, as a shell takes it."""
    escaped = value.replace('"', '\\"')
    return shlex.quote(f'{key}="{escaped}"')


def resolved(cfg: DictConfig, key: str) -> Any:
    """A part of a configuration, or one value, as plain data.

    Raises:
        ZooError: a value is missing, or refers to one that does not exist.
    """
    try:
        found = OmegaConf.select(cfg, key, throw_on_missing=True)
        whole = OmegaConf.is_config(found)
        return OmegaConf.to_container(found, resolve=True, throw_on_missing=True) if whole else found
    except OmegaConfBaseException as error:
        raise ZooError(f"{key}: {str(error).splitlines()[0]}") from error


def setting(cfg: DictConfig, key: str, *kinds: str) -> Any:
    """A value of a configuration, of one of `kinds`: keys of `options.PLAIN_TYPES`.

    Raises:
        ZooError: it is missing, or of another type.
    """
    value = resolved(cfg, key)
    check_type(key, value, *kinds)
    return value


def place(cfg: DictConfig, key: str) -> Path:
    """A setting that is the path of a folder.

    Raises:
        ZooError: it is missing, no text, or empty.
    """
    if not (path := setting(cfg, key, "str")):
        raise ZooError(f"{key}= is empty: give a folder, or leave it out")
    return Path(path)


def overrides_of(cfg: DictConfig) -> list[str]:
    """The overrides that made a configuration, as they were written."""
    said = OmegaConf.to_container(cfg.hydra.overrides, resolve=False)
    assert isinstance(said, dict)
    return [*said["task"], *(override for override in said["hydra"] if override.startswith("hydra.searchpath="))]


def required(cfg: DictConfig, key: str, what: str) -> str:
    """A setting without a default.

    Raises:
        ZooError: it was not given.
    """
    if OmegaConf.is_missing(cfg, key) or cfg[key] in ("", None):
        raise ZooError(f"{key}= is missing: give {what}")
    return str(cfg[key])


def as_yaml(cfg: DictConfig) -> str:
    """A configuration as readable YAML: without Hydra's own part, references to other settings unresolved."""
    plain = {key: value for key, value in cfg.items_ex(resolve=False) if key != "hydra"}
    return OmegaConf.to_yaml(OmegaConf.create(plain))


def parsed_overrides(overrides: Sequence[str]) -> list[Override]:
    """Overrides, parsed by Hydra.

    Raises:
        ZooError: Hydra cannot read one.
    """
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    try:
        return list(parser.parse_overrides(list(overrides)))
    except OverrideParseException as error:
        raise unread(error) from error


def unread(error: OverrideParseException) -> ZooError:
    """The message for an override that Hydra cannot read."""
    return ZooError(f"{error.override}: cannot be read as a setting; {quoting_of(str(error.override))}")


def product(sweep: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Every combination of the values of a sweep's overrides, in Hydra's syntax (`seed=0,1`, `variant=glob(*)`)."""
    return itertools.product(*map(values_of, parsed_overrides(sweep)))


def values_of(override: Override) -> list[str]:
    """An override for each value of an override of a sweep.

    Raises:
        ZooError: it stands for no value, or cannot be read.
    """
    if not override.is_sweep_override():
        return [override.input_line or ""]
    try:
        values = [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]
    except (HydraException, TypeError, ValueError) as error:  # of Hydra's functions, such as range
        reason = " ".join(str(error).split())
        raise ZooError(f"{override.input_line}: cannot be read as a sweep ({reason}); write key=a,b") from error
    if not values:
        raise ZooError(f"{override.input_line}: matches no option")
    return values


def refuse_foreign(parsed: Sequence[Override]) -> None:
    """ZooError for an override of Hydra's own settings, which have no effect, or for a sweep without -m."""
    for override in parsed:
        key = str(override.key_or_group)
        if not key:
            raise ZooError(f"{override.input_line}: cannot be read as a setting; write key=value")
        if key.startswith(("hydra.", "hydra/")) and key != "hydra.searchpath":
            raise ZooError(f"{override.input_line}: the zoo runs sweeps itself; settings of Hydra have no effect")
        if override.is_delete():
            raise ZooError(f"{override.input_line}: a setting cannot be removed; give it another value")
        if override.is_sweep_override():
            line = override.input_line or ""
            one = f"if it is one value, write {quoted(key, line.partition('=')[2])}"
            if any(each.key_or_group == "study" for each in parsed):
                raise ZooError(f"{line}: a study's runs are in its file, conf/study/<name>.yaml; give one value; {one}")
            raise ZooError(f"{line}: several values are a sweep; add -m to run them all; or {one}")


def refuse_unknown_options(parsed: Sequence[Override]) -> None:
    """ZooError if the value of an axis is not the name of an option, or a list of names where that is allowed."""
    loader = GlobalHydra.instance().config_loader()
    for override in parsed:
        axis, value = str(override.key_or_group).partition("@")[0], override.value()
        if not (known := loader.get_group_options(axis)):
            continue
        for name in value if axis in SEVERAL and isinstance(value, list) and value else [value]:
            text = name.text if isinstance(name, QuotedString) else name
            if not isinstance(text, str):
                number = "one option, or of several in brackets" if axis in SEVERAL else "one option"
                raise ZooError(f"{override.input_line}: must be the name of {number}: {', '.join(known)}")
            if not re.fullmatch(r"\w+", text):
                raise ZooError(f"{axis}={text}: no such {axis}{nearest(text, known)}")


def _added(name: str, parsed: Sequence[Override]) -> list[str]:
    """The overrides, with a + if they add a name to a setting that is a mapping.

    Raises:
        ZooError: a setting does not exist.
    """
    loader = GlobalHydra.instance().config_loader()
    groups = [
        override
        for override in parsed
        if loader.list_groups(str(override.key_or_group).partition("@")[0])
        or loader.get_group_options(str(override.key_or_group).partition("@")[0])
    ]
    searched = [o for o in parsed if str(o.key_or_group) == "hydra.searchpath"]
    base = compose(name, [o.input_line or "" for o in (*groups, *searched)], return_hydra_config=True)
    known = [*_keys(base), *(str(entry) for entry in loader.list_groups(""))]
    found = []
    for override in parsed:
        line, key = override.input_line or "", str(override.key_or_group)
        if override in groups or override in searched or key in known:
            found.append(line.lstrip("+"))
            continue
        parent, _, _ = key.rpartition(".")
        holder = OmegaConf.select(base, parent) if parent else None
        if not isinstance(holder, DictConfig) or TARGET in holder or key.partition(".")[0] not in OPEN:
            raise ZooError(f"{line.lstrip('+')}: no such setting{nearest(key, known) if _near(key, known) else ''}")
        found.append("++" + line.lstrip("+"))
    return found


def _near(key: str, known: Sequence[str]) -> bool:
    return nearest(key, known).startswith("; did you mean")


def _keys(node: DictConfig, prefix: str = "") -> Iterator[str]:
    """Dotted names of all settings."""
    for key in node:
        name = f"{prefix}{key!s}"
        if name == "hydra" or str(key).startswith("_"):
            continue
        yield name
        if OmegaConf.is_missing(node, str(key)) or OmegaConf.is_interpolation(node, str(key)):
            continue
        if isinstance(node[key], DictConfig):
            yield from _keys(node[key], f"{name}.")
