"""The identity of a run: everything that determines its result, and a digest of the code of its parts."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.data.members import check_members
from zoo.errors import ZooError
from zoo.options import Node, check_type, targets

if TYPE_CHECKING:
    from zoo.runs.records import Record

PLACES = ("root", "decoded", "path")  # paths of files; of your own files, only the content counts
INCIDENTAL = ("progress", "replay")  # progress bars change no number; replaying a step changes rounding only
LATER = ("without", "power", "devices")  # newer than some records: null is the same as a missing setting
COUNTED = (
    "zoo.model",
    "zoo.objective",
    "zoo.fitting",
    "zoo.data",
    "zoo.samples",
    "zoo.arithmetic",
    "zoo.linear_algebra",
    "zoo.types",
)  # packages whose code determines a result
UNCOUNTED = (
    "zoo.fitting.progress",
    "zoo.fitting.checkpoints",
    "zoo.fitting.loggers",
    "zoo.data.sources.download",
)
CHUNK = 1 << 22
SINGLE = ("array", "table")  # data of your own that are one file
ZOO = Path(__file__).parents[1]


def digest(config: Mapping[str, Any]) -> str:
    """Ten hex digits that change with any value of `config`, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:10]


def determining(axes: Mapping[str, Node]) -> dict[str, Node]:
    """The options of all axes by name and value, without paths and progress bars; your own files by their content."""
    config = {axis: _without(node, (*PLACES, *INCIDENTAL)) for axis, node in axes.items()}
    if (content := own_content(axes)) is not None:
        config["data"]["source"]["content"] = content
    return config


def own_content(axes: Mapping[str, Node]) -> str | None:
    """Digest of your own files that a run reads; None for published data, or if they are not there.

    A folder where the data should be one file has no digest either: the source refuses it, and it may be very large.
    """
    path = own_path(axes)
    if path is None or not path.exists() or (axes["data"]["option"] in SINGLE and path.is_dir()):
        return None
    return content_digest(path)


def own_path(axes: Mapping[str, Node]) -> Path | None:
    """Path of your own files that a run reads; None for published data."""
    path = axes["data"].get("source", {}).get("path")
    if path is None:
        return None
    check_type("data.source.path", path, "str")
    if not path:
        raise ZooError("data.source.path= is empty: give a file or a folder")
    return Path(path)


def content_digest(path: Path) -> str:
    """Sixteen hex digits that change with the content of a file, or of any file of a folder and its name within."""
    found = [path] if not path.is_dir() else sorted(path.rglob("*"))
    # every .txt file of a folder is read, and a pipe would be waited for; pictures are looked at before
    if pipes := [entry for entry in found if entry.is_fifo() and (entry == path or entry.suffix == ".txt")]:
        raise ZooError(f"{pipes[0]}: a pipe, and not a file; remove it, or write its content to a file")
    if path.suffix == ".npz":
        check_members(str(path))
    entries = [entry for entry in found if entry.is_file()]
    seen = tuple((str(entry), entry.stat().st_size, entry.stat().st_mtime_ns) for entry in entries)
    return _content(str(path), seen)


@cache
def _content(path: str, seen: tuple[tuple[str, int, int], ...]) -> str:
    """The digest; `seen` makes the cache miss if a file has changed."""
    whole, root = hashlib.sha256(), Path(path)
    for name, _, _ in seen:
        with open(name, "rb") as file:
            part = hashlib.sha256()
            while chunk := file.read(CHUNK):
                part.update(chunk)
        relative = "" if root.is_file() else Path(name).relative_to(root).as_posix()
        whole.update(f"{relative}\0{part.hexdigest()}\0".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()[:16]


def code_digest(config: Mapping[str, Node], trust: tuple[str, ...] = ()) -> str:
    """Ten hex digits that change with the code of a run's parts, and of the rooms that this code imports.

    Comments, docstrings, annotations and import lines do not count, so that moving a file changes nothing.
    """
    modules = {path.rpartition(".")[0] for axis, node in config.items() for path in targets(axis, node, trust)}
    counted = (*COUNTED, *trust)
    found: set[str] = set()
    waiting = [module for module in modules if _within(module, counted)]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += [other for other in _code(module)[1] if _within(other, counted)]
    whole = hashlib.sha256()
    for code in sorted(_code(module)[0] for module in found):
        whole.update(code.encode())
    return whole.hexdigest()[:10]


def is_stale(record: Record, trust: Iterable[str] = ()) -> bool:
    """Whether the code of a run's parts has changed since it was recorded; true where parts are gone.

    Args:
        record: record of the run; nothing that it names is imported.
        trust: packages whose code may be read. A run with parts of other packages counts as not stale, because that is
            unknown.
    """
    if not set(record.trust) <= set(trust):
        return False
    try:
        return code_digest(record.config, tuple(trust)) != record.code
    except ZooError:
        return True


def _within(module: str, rooms: Iterable[str]) -> bool:
    inside = any(module == room or module.startswith(f"{room}.") for room in rooms)
    return inside and module not in UNCOUNTED


@cache
def _code(module: str) -> tuple[str, tuple[str, ...]]:
    """Digest of a module's code, and the modules that it imports."""
    spec = find_spec(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return "", ()
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    imported = tuple(sorted(set(_imports(tree))))
    code = "".join(_serialised(_Stripped().visit(tree)))
    return hashlib.sha256(code.encode()).hexdigest(), imported


def _serialised(node: object) -> Iterator[str]:
    """A syntax tree as text that is the same in every version of Python: `ast.dump` gains fields with each."""
    if isinstance(node, ast.AST):
        yield type(node).__name__
        for name, value in ast.iter_fields(node):
            if name not in ("kind", "type_comment") and value not in (None, []):
                yield f"({name}"
                yield from _serialised(value)
                yield ")"
    elif isinstance(node, list):
        for item in node:
            yield from _serialised(item)
            yield ","
    else:
        yield repr(node)


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            for alias in node.names:
                if is_module(f"{node.module}.{alias.name}"):
                    yield f"{node.module}.{alias.name}"
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@cache
def is_module(name: str) -> bool:
    """Whether `name` is a module of the zoo, decided by its file, because `find_spec` imports the packages above it."""
    place = ZOO.joinpath(*name.split(".")[1:])
    return name.startswith("zoo.") and (place.with_suffix(".py").is_file() or (place / "__init__.py").is_file())


class _Stripped(ast.NodeTransformer):
    """Code without docstrings, annotations and imports."""

    def visit_Import(self, node: ast.Import) -> None:
        return None

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        return None

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return ast.arg(arg=node.arg)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if node.value is None:
            return None
        return self.generic_visit(ast.Assign(targets=[node.target], value=node.value, lineno=node.lineno))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)


def _without(node: Any, keys: Iterable[str]) -> Any:
    if isinstance(node, dict):
        unset = [key for key in LATER if key in node and node[key] is None]
        return {key: _without(value, keys) for key, value in node.items() if key not in (*keys, *unset)}
    if isinstance(node, list):
        return [_without(value, keys) for value in node]
    return node
