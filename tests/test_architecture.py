"""What the house promises: who may import whom, who knows Hydra, and that no two rooms or classes share a name."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
FILES = sorted((REPOSITORY / "zoo").rglob("*.py"))
# room: the rooms that it may import, itself apart; docs/architecture.md draws them
MAY_IMPORT = {
    "errors": set(),
    "checks": {"errors"},
    "linear_algebra": set(),
    "memory": set(),
    "arithmetic": set(),
    "files": {"errors"},
    "hub": {"errors"},
    "options": {"errors"},
    "samples": {"errors"},
    "spacing": set(),
    "types": set(),
    "catalogue": {"options"},
    "model": {"checks", "errors", "files", "options", "types", "samples"},
    "data": {"checks", "errors", "files", "types", "samples"},
    "objective": {"checks", "errors", "types", "model"},
    "fitting": {
        "arithmetic",
        "checks",
        "errors",
        "files",
        "linear_algebra",
        "memory",
        "types",
        "model",
        "objective",
        "data",
    },
    "density": {"spacing", "checks", "errors", "linear_algebra", "types", "model", "options"},
    "evaluation": {
        "spacing",
        "arithmetic",
        "errors",
        "linear_algebra",
        "memory",
        "files",
        "samples",
        "types",
        "model",
        "data",
        "density",
        "options",
    },
    "runs": {"checks", "errors", "files", "memory", "types", "model", "data", "fitting", "evaluation", "options"},
    "report": {
        "errors",
        "files",
        "linear_algebra",
        "options",
        "types",
        "catalogue",
        "model",
        "data",
        "runs",
        "evaluation",
    },
    "advice": {
        "errors",
        "files",
        "samples",
        "types",
        "model",
        "data",
        "fitting",
        "evaluation",
        "runs",
        "report",
        "api",
    },
    "use": {
        "errors",
        "files",
        "hub",
        "samples",
        "types",
        "options",
        "model",
        "data",
        "evaluation",
        "runs",
        "report",
        "api",
    },
    "cli": {"advice", "use", "errors", "files", "options", "catalogue", "runs", "report"},
    "api": {"errors", "hub", "types", "samples", "model", "data", "density", "evaluation", "runs", "options"},
    "estimators": {"errors", "api", "samples"},
    "__init__": {"errors", "api", "catalogue"},
}


def name_of(path: Path) -> str:
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def imports(path: Path) -> Iterator[str]:
    """Modules that a file imports when it runs: what stands under `if TYPE_CHECKING` does not."""

    def walk(nodes: list[ast.stmt]) -> Iterator[ast.stmt]:
        for node in nodes:
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
                continue
            yield node
            for field in ("body", "orelse", "finalbody"):
                yield from walk(getattr(node, field, []))
            for handler in getattr(node, "handlers", []):
                yield from walk(handler.body)

    for node in walk(ast.parse(path.read_text()).body):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" if node.module == "zoo" else node.module for alias in node.names)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_room_imports_only_rooms_below_it(path):
    room = room_of(name_of(path))
    for module in imports(path):
        if module.split(".")[0] == "zoo":
            other = room_of(module)
            assert other == room or other in MAY_IMPORT[room], f"{name_of(path)} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_runs_knows_hydra(path):
    known = {module.split(".")[0] for module in imports(path)} & {"hydra", "omegaconf"}
    assert not known or room_of(name_of(path)) == "runs"


def test_every_room_is_one_of_the_house_and_the_order_has_no_circle():
    rooms = {room_of(name_of(path)) for path in FILES}
    assert rooms == set(MAY_IMPORT)
    left = dict(MAY_IMPORT)
    while left:
        free = [room for room, below in left.items() if not below & left.keys()]
        assert free, f"these import one another: {sorted(left)}"
        for room in free:
            del left[room]


def test_no_two_modules_share_a_name():
    stems = Counter(path.stem for path in FILES if path.stem != "__init__")
    folders = Counter(path.parent.name for path in FILES if path.stem == "__init__")
    assert {name for name, count in (stems + folders).items() if count > 1} <= ALIKE


# module and folder, where the folder's one main module has its name
ALIKE: set[str] = {"objective"}


def test_no_two_classes_share_a_name():
    classes = Counter(
        node.name for path in FILES for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)
    )
    assert {name for name, count in classes.items() if count > 1} <= PUBLIC


# the estimator that users import, and the part of a model that only the code does
PUBLIC = {"Bottleneck"}


# Names of attributes that belong to no part: of Python, torch or pytest
ALLOWED = ("torch.cpu", "zoo.LATE")


def test_no_hidden_look_ups_on_parts():
    """Abilities are declared in zoo/types.py and asked for by isinstance."""
    found = [
        f"{name_of(path)}: {line.strip()}"
        for path in FILES
        for line in path.read_text().splitlines()
        if re.search(r"\bhasattr\(|callable\(|getattr\([^()]*,[^()]*,[^()]*\)", line)
        and not any(name in line for name in ALLOWED)
    ]
    assert found == []


def test_the_architecture_page_draws_every_room():
    text = (REPOSITORY / "docs" / "architecture.md").read_text()
    for room in set(MAY_IMPORT) - {"__init__"}:
        assert f"`{room}" in text, room
