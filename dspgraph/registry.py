"""Finding nodes by name, without importing what is not asked for. There is no registry: a node is a file.

Built-in nodes are the files `dspgraph_nodes/<domain>/<name>.py`; third-party packs announce theirs as entry points of
the group `dspgraph.nodes` (`name = "package.module:Class"`); a plugin is one's own Python file, every Node in it.
"""

from __future__ import annotations

import ast
import copyreg
import hashlib
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from dspgraph.errors import RequestError, UnknownName, suggest
from dspgraph.node import Node

PACK = "dspgraph_nodes"
GROUP = "dspgraph.nodes"


@dataclass(frozen=True)
class NodeSource:
    """A node that can be loaded: its name, the domain or pack it belongs to, where it stands, and what gives it."""

    name: str
    domain: str
    where: str
    loader: Callable[[], Any]

    def load(self) -> type[Node]:
        """The node class; RequestError, naming the file or pack, when there is none to be had."""
        try:
            kind = self.loader()
        except (Exception, SystemExit) as error:
            raise RequestError(
                f"the node '{self.name}' of {self.domain} ({self.where}) cannot be loaded: "
                f"{type(error).__name__}: {error}: repair it, or take it away"
            ) from error
        if isinstance(kind, type) and issubclass(kind, Node):
            return kind
        raise RequestError(f"the node '{self.name}' of {self.domain} ({self.where}) is {kind!r}, not a node class")

    def summary(self) -> str:
        """The first line of the node's docstring, read from its file when it is a file of its own."""
        path = Path(self.where)
        try:
            if path.suffix == ".py" and path.is_file():
                for item in ast.parse(path.read_text(encoding="utf-8")).body:
                    if isinstance(item, ast.ClassDef) and item.name.lower() == self.name.replace("_", ""):
                        return (ast.get_docstring(item) or "").partition("\n")[0]
            return (self.load().__doc__ or "").strip().partition("\n")[0]
        except (RequestError, SyntaxError) as error:
            return f"(broken) {error}"


def nodes(plugins: Iterable[str | Path] = ()) -> dict[str, NodeSource]:
    """Every node there is, by name: built-in, announced by installed packs, and in the given plugin files."""
    everything = dict(_installed())
    for path in dict.fromkeys(Path(plugin).resolve() for plugin in plugins):
        for kind in _nodes_of(_plugin(path)):
            _add(everything, NodeSource(kind.type_name, "plugin", str(path), _giving(kind)))
    return everything


def load_all(plugins: Iterable[str | Path] = ()) -> dict[str, type[Node]]:
    """Every node class there is, by name; a node that cannot be loaded is left out."""
    loaded = {}
    for name, found in nodes(plugins).items():
        with suppress(RequestError):
            loaded[name] = found.load()
    return loaded


def find(name: str, plugins: Iterable[str | Path] = ()) -> type[Node]:
    """The node class of that name; UnknownName with the nearest right one."""
    everything = nodes(plugins)
    if name not in everything:
        hint = "a pipeline names nodes, never an import path; " if "." in name or ":" in name else ""
        raise UnknownName(f"no node is called '{name}'; {hint}{suggest(name, everything)}")
    return everything[name].load()


@lru_cache(maxsize=1)
def _installed() -> dict[str, NodeSource]:
    everything: dict[str, NodeSource] = {}
    spec = find_spec(PACK)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in sorted(Path(folder).glob("*/*.py")):
            domain, name = path.parent.name, path.stem
            if not name.startswith("_") and not domain.startswith("_") and domain != "models":
                _add(everything, NodeSource(name, domain, str(path), _loading(f"{PACK}.{domain}.{name}", name)))
    for entry in entry_points(group=GROUP):
        pack = entry.dist.name if entry.dist else entry.module
        _add(everything, NodeSource(entry.name, pack, entry.value, entry.load))
    return everything


def _add(everything: dict[str, NodeSource], found: NodeSource) -> None:
    other = everything.setdefault(found.name, found)
    if other is not found:
        raise RequestError(f"two nodes are called '{found.name}': {other.where} and {found.where}: rename one")


def _loading(module: str, name: str) -> Callable[[], type[Node]]:
    def load() -> type[Node]:
        kinds = {kind.type_name: kind for kind in _nodes_of(import_module(module))}
        if name not in kinds:
            raise RequestError(f"{module} has no node class for its name '{name}'; found: {', '.join(kinds) or 'none'}")
        return kinds[name]

    return load


def _giving(kind: type[Node]) -> Callable[[], type[Node]]:
    return lambda: kind


def _nodes_of(module: ModuleType) -> list[type[Node]]:
    kinds = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, Node)]
    return [kind for kind in kinds if kind is not Node and kind.__module__ == module.__name__]


def _plugin(path: Path) -> ModuleType:
    """Import a user's own file once. Its nodes can be pickled, for this process and others, while it stays there."""
    name = f"dspgraph_plugin_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = spec_from_file_location(name, path) if path.suffix == ".py" and is_file(path) else None
    if spec is None or spec.loader is None:
        raise RequestError(f"the plugin {path} is not a Python file: give the path of a .py file with Node classes")
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise RequestError(
            f"the plugin {path} failed while it was imported: {type(error).__name__}: {error}"
        ) from error
    if not _nodes_of(module):
        del sys.modules[name]
        raise RequestError(f"the plugin {path} has no Node class in it")

    def reduce(node: Node) -> tuple[Any, ...]:
        return revive, (str(path), type(node).__name__), node.__getstate__()

    for kind in _nodes_of(module):
        copyreg.pickle(kind, reduce)
    return module


def revive(path: str, kind: str) -> Node:
    """A node of a plugin as pickle asks for it, before its state is set: the file is imported where it is not yet."""
    found = vars(_plugin(Path(path))).get(kind)
    if not (isinstance(found, type) and issubclass(found, Node)):
        raise RequestError(f"the plugin {path} no longer has the node class {kind}")
    return found.__new__(found)


def is_file(path: Path) -> bool:
    """Whether there is such a file; a name no file can have names none."""
    try:
        return path.is_file()
    except OSError:
        return False
