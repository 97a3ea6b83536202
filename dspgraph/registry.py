"""The registry: it finds nodes, pipelines, models and metrics by name. Listing the built-in ones imports none of them.

Built-in nodes are the files `dspgraph_nodes/<domain>/<name>.py`; the pipelines of dspgraph are the files
`pipelines/<name>.yaml`. Other packages announce theirs by entry points. The name of an entry point is the name of the
node, pipeline, model or metric:

    [project.entry-points."dspgraph.nodes"]
    my_filter = "my_package.filters:MyFilter"      # a Node class
    [project.entry-points."dspgraph.pipelines"]
    my_vocoder = "my_package:my_vocoder"           # the file my_vocoder.yaml in the folder of my_package
    [project.entry-points."dspgraph.models"]
    my_network = "my_package.my_network"           # a package with the modules of `dspgraph.training.contract`
    [project.entry-points."dspgraph.metrics"]
    my_metric = "my_package.metrics:my_metric"     # a function decorated with `metric`

A plugin is a user's own Python file. Every Node class that it defines is a node.
"""

from __future__ import annotations

import ast
import copyreg
import hashlib
import os
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

from dspgraph.closure import closure
from dspgraph.errors import FileError, RequestError, UnknownName, suggest
from dspgraph.io.paths import read_file
from dspgraph.node import Node
from dspgraph.shown import shown

PACK = "dspgraph_nodes"
"""The package of the built-in nodes and models."""

MOST_PLUGIN_BYTES = 2**24
"""The largest size of a user's own Python file, with nodes or metrics, in bytes."""

NODE_GROUP, PIPELINE_GROUP, MODEL_GROUP, METRIC_GROUP = (
    "dspgraph.nodes",
    "dspgraph.pipelines",
    "dspgraph.models",
    "dspgraph.metrics",
)
"""The groups of entry points by which other packages announce nodes, pipelines, models and metrics."""


# ---- what other packages announce -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Announced:
    """An object that an installed package announces by an entry point.

    group: the group of the entry point, such as METRIC_GROUP. name: the name of the entry point. pack: the name of the
    package. where: the place of the object, "module:attribute", or "module" for a model. loader: a function that
    imports and returns the object. A pipeline is a file and no object: its `where` is "package:name of the file"
    without .yaml, and it cannot be loaded.
    """

    group: str
    name: str
    pack: str
    where: str
    loader: Callable[[], Any]

    def load(self) -> Any:
        """Import and return the object. Raises RequestError, which names the package, if the import fails."""
        kind = self.group.rpartition(".")[2].removesuffix("s")
        return _load(f"the {kind} '{self.name}' of {self.pack} ({self.where})", self.loader)


def announced(group: str) -> list[Announced]:
    """Return all entry points of a group, such as METRIC_GROUP, sorted by name. Several may have the same name."""
    found = [
        Announced(group, entry.name, entry.dist.name if entry.dist else entry.module, entry.value, entry.load)
        for entry in entry_points(group=group)
    ]
    return sorted(found, key=lambda one: (one.name, one.pack))


def _load(what: str, loader: Callable[[], Any]) -> Any:
    try:
        return loader()
    except (Exception, SystemExit) as error:
        raise RequestError(
            f"{what} cannot be loaded: {type(error).__name__}: {error}: repair or uninstall it"
        ) from error


# ---- pipelines ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PipelineSource:
    """A pipeline that the registry knows. name: its name. pack: the name of its package.

    path: its file, which may be missing if another package announces it.
    """

    name: str
    pack: str
    path: Path


def pipelines() -> dict[str, PipelineSource]:
    """Return all pipelines, name -> source: those of dspgraph, and those that installed packages announce.

    Raises RequestError if two pipelines have the same name.
    """
    found = {name: PipelineSource(name, "dspgraph", path) for name, path in shipped_pipelines().items()}
    for entry in announced(PIPELINE_GROUP):
        if entry.name in found:
            raise RequestError(
                f"two pipelines are called '{entry.name}': one of {found[entry.name].pack} and one of {entry.pack}: "
                "uninstall one of these packages"
            )
        module, _, stem = entry.where.partition(":")
        found[entry.name] = PipelineSource(entry.name, entry.pack, _folder_of(module) / f"{stem or entry.name}.yaml")
    return found


def shipped_pipelines() -> dict[str, Path]:
    """Return the pipelines that come with dspgraph: name -> file, in alphabetical order."""
    core = Path(__file__).parent
    packaged = core / "pipelines"
    # In an installed package the folder is inside the core, in a checkout beside it.
    folder = packaged if packaged.is_dir() else core.parent / "pipelines"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def _folder_of(package: str) -> Path:
    """Return the folder of a package. package: its import path, such as "dspgraph_nodes.models".

    If the package is not found, or is a single module, return the import path as a Path, so that a message can show it.
    """
    with suppress(Exception, SystemExit):  # find_spec imports the packages around it, which may fail
        spec = find_spec(package)
        for folder in (spec.submodule_search_locations or []) if spec else []:
            return Path(folder)
    return Path(package)


# ---- models ---------------------------------------------------------------------------------------------------------


def models() -> dict[str, str]:
    """Return the packages of all models: name of the model -> import path of its package. No model is imported.

    Raises RequestError if two models have the same name.
    """
    folder = _folder_of(f"{PACK}.models")
    found = {path.parent.name: f"{PACK}.models.{path.parent.name}" for path in sorted(folder.glob("[a-z]*/network.py"))}
    for entry in announced(MODEL_GROUP):
        if entry.name in found:
            raise RequestError(
                f"two models are called '{entry.name}': {found[entry.name]} and {entry.where} of {entry.pack}: "
                f"uninstall {entry.pack}"
            )
        found[entry.name] = entry.where
    return found


# ---- nodes ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NodeSource:
    """A node that the registry knows. `load` may fail: the class may not have been imported yet.

    name: the type of the node, such as "lpc". domain: for a built-in node, its folder in dspgraph_nodes, such as
    "spectrum"; for any other node, the package that announces it, or "plugin". where: the file or the entry point.
    loader: a function that returns the node class.
    """

    name: str
    domain: str
    where: str
    loader: Callable[[], Any]

    def load(self) -> type[Node]:
        """Import and return the node class.

        Raises RequestError, which names the file or entry point, if the import fails or does not give a node class.
        """
        what = f"the node '{self.name}' of {self.domain} ({self.where})"
        kind = _load(what, self.loader)
        if isinstance(kind, type) and issubclass(kind, Node):
            return kind
        raise RequestError(f"{what} is {shown(kind)}, not a node class")

    def summary(self) -> str:
        """Return the first line of the node's docstring; if the node cannot be loaded, "(broken)" and the error.

        If `where` is a Python file with a class of the node's name, such as `InverseMel` for "inverse_mel", the file is
        read and not imported. Any other node is imported.
        """
        path = Path(self.where)
        try:
            if path.suffix == ".py" and path.is_file():
                for item in ast.parse(path.read_bytes()).body:
                    if isinstance(item, ast.ClassDef) and item.name.lower() == self.name.replace("_", ""):
                        return (ast.get_docstring(item) or "").partition("\n")[0]
            return (self.load().__doc__ or "").strip().partition("\n")[0]
        except (RequestError, SyntaxError) as error:
            return f"(broken) {error}"


def nodes(plugins: Iterable[str | Path] = ()) -> dict[str, NodeSource]:
    """Return name -> source, for built-in nodes, nodes that installed packages announce, and nodes of plugin files.

    plugins: the plugin files, which are imported. Raises RequestError if two nodes have the same name, or if a plugin
    cannot be imported or has no node.
    """
    everything = dict(_installed())
    for path in dict.fromkeys(Path(os.path.realpath(plugin)) for plugin in plugins):
        for kind in _nodes_of(_plugin(path)):
            _add(everything, NodeSource(kind.type_name, "plugin", str(path), _returning(kind)))
    return everything


def load_all(plugins: Iterable[str | Path] = ()) -> dict[str, type[Node]]:
    """Import all nodes; return name -> node class. A node that cannot be loaded is left out.

    plugins: as in `nodes`, whose errors are raised too.
    """
    loaded = {}
    for name, found in nodes(plugins).items():
        with suppress(RequestError):
            loaded[name] = found.load()
    return loaded


def find(name: str, plugins: Iterable[str | Path] = ()) -> type[Node]:
    """Return the node class called `name`.

    plugins: Python files with nodes, which are searched too. Raises UnknownName, which suggests a similar name, if
    there is no such node, and RequestError if the node cannot be imported, and as `nodes` does.
    """
    everything = nodes(plugins)
    if name not in everything:
        hint = "a pipeline names nodes, never an import path; " if "." in name or ":" in name else ""
        raise UnknownName(
            f"no node is called '{name}'; {hint}{suggest(name, everything)} (a node of your own: --plugin FILE)"
        )
    return everything[name].load()


@lru_cache(maxsize=1)
def _installed() -> dict[str, NodeSource]:
    everything: dict[str, NodeSource] = {}
    spec = find_spec(PACK)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in sorted(Path(folder).glob("*/*.py")):
            domain, name = path.parent.name, path.stem
            if not name.startswith("_") and not domain.startswith("_") and domain != "models":
                _add(everything, NodeSource(name, domain, str(path), _importing(f"{PACK}.{domain}.{name}", name)))
    for entry in announced(NODE_GROUP):
        _add(everything, NodeSource(entry.name, entry.pack, entry.where, entry.loader))
    return everything


def _add(everything: dict[str, NodeSource], found: NodeSource) -> None:
    other = everything.setdefault(found.name, found)
    if other is not found:
        raise RequestError(f"two nodes are called '{found.name}': {other.where} and {found.where}: rename one")


def _importing(module: str, name: str) -> Callable[[], type[Node]]:
    def load() -> type[Node]:
        kinds = {kind.type_name: kind for kind in _nodes_of(import_module(module))}
        if name not in kinds:
            raise RequestError(f"{module} has no node class for its name '{name}'; found: {', '.join(kinds) or 'none'}")
        return kinds[name]

    return load


def _returning(kind: type[Node]) -> Callable[[], type[Node]]:
    return lambda: kind


def _nodes_of(module: ModuleType) -> list[type[Node]]:
    kinds = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, Node)]
    return [kind for kind in kinds if kind is not Node and kind.__module__ == module.__name__]


def imported_file(path: Path, kind: str) -> ModuleType:
    """Import a user's own Python file and return its module. A file that was imported before is not imported again.

    path: the real path of the file, because the file is remembered by its path. kind: "plugin" or "metric", for error
    messages. Raises RequestError if the name of the file does not end in .py, if the file cannot be read or is larger
    than MOST_PLUGIN_BYTES, or if its import fails.
    """
    name = _module_name(path)
    if name in sys.modules:
        return sys.modules[name]
    _check_file(path, kind)
    spec = spec_from_file_location(name, path)
    assert spec is not None  # there is a loader for the suffix .py
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, KeyboardInterrupt):
            raise
        raise RequestError(
            f"the {kind} {path} failed while it was imported: {type(error).__name__}: {error}"
        ) from error
    closure(name)  # remembers the files as they are now, so that digests describe the code that was imported
    return module


def _module_name(path: Path) -> str:
    return f"dspgraph_plugin_{path.stem}_{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}"


def _plugin(path: Path) -> ModuleType:
    """Import a plugin file and return its module. A file that was imported before is not imported again.

    path: the real path of the file, as in `imported_file`. The nodes of the plugin can be pickled and sent to other
    processes, as long as the file is not moved or removed. Raises RequestError as `imported_file` does, and if the file
    defines no Node class.
    """
    known = _module_name(path) in sys.modules
    module = imported_file(path, "plugin")
    if not _nodes_of(module):
        if not known:
            del sys.modules[module.__name__]
        raise RequestError(f"the plugin {path} has no Node class in it")

    def reduce(node: Node) -> tuple[Any, ...]:
        return revive, (str(path), type(node).__name__), node.__getstate__()

    for kind in _nodes_of(module):  # the file may have been imported for its metrics before
        if kind not in copyreg.dispatch_table:
            copyreg.pickle(kind, reduce)
    return module


def _check_file(path: Path, kind: str) -> None:
    if path.suffix != ".py":
        what = "Node classes" if kind == "plugin" else "metrics"
        raise RequestError(f"the {kind} {path} is not a Python file: give the path of a .py file with {what}")
    try:
        read_file(path, MOST_PLUGIN_BYTES)
    except FileError as error:
        raise RequestError(f"the {kind} cannot be imported: {error}") from None


def revive(path: str, kind: str) -> Node:
    """Return a node of a class in a plugin file, whose parameters are not set yet.

    Unpickling a node calls this function and then sets the parameters. path: the plugin file, which is imported if it
    is not yet. kind: the name of the node class. Raises RequestError if the file no longer defines this class, and as
    `_plugin` does.
    """
    found = vars(_plugin(Path(path))).get(kind)
    if not (isinstance(found, type) and issubclass(found, Node)):
        raise RequestError(f"the plugin {path} no longer has the node class {kind}")
    return found.__new__(found)
