"""The code behind a graph, for its digest: hashes of source files, and versions of libraries.

`dspgraph.closure` finds the source files: those of the engine, and those of every node type with all that they import.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from dspgraph.closure import Closure, closure, is_there
from dspgraph.node import Node

ENGINE_MODULES = ("dspgraph.graph", "dspgraph.engine.batch")
"""The modules that run a graph; what they import is the engine."""


def provenance(kinds: Iterable[type[Node]]) -> dict[str, Any]:
    """Return hashes of the engine's source files and of those behind each node type, and the versions of libraries.

    The files of a node type are its module's and all that this imports; a type made in an interactive session has
    none. Only libraries that some of these files import are named.
    """
    engine = [closure(module) for module in ENGINE_MODULES]
    nodes = [(kind.type_name, closure(kind.__module__)) for kind in kinds]
    sources: dict[str, list[str]] = {}
    for digest, name in sorted((files.digest, name) for name, files in nodes):
        sources.setdefault(digest, []).append(name)
    versions = _versions([*engine, *(files for _, files in nodes)])
    return {"engine": _joined(engine), "sources": sources, "versions": versions}


def _joined(parts: Iterable[Closure]) -> str:
    return Closure("", {name: path for part in parts for name, path in part.files.items()}, frozenset()).digest


def _versions(parts: Iterable[Closure]) -> dict[str, str]:
    return {name: library_version(name) for name in sorted(frozenset[str]().union(*(part.libraries for part in parts)))}


@lru_cache
def library_version(package: str) -> str:
    """Return the version of the distribution that holds a package; "absent" if the package cannot be imported."""
    from importlib.metadata import PackageNotFoundError, packages_distributions, version

    if not is_there(package):
        return "absent"
    try:
        return version(package)
    except PackageNotFoundError:  # the distribution has another name
        return ", ".join(sorted({version(name) for name in packages_distributions().get(package, ())})) or "unknown"
