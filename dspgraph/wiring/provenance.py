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
"""The modules that run a graph. The engine is these modules and all that they import."""


def provenance(kinds: Iterable[type[Node]]) -> dict[str, Any]:
    """Return the hashes and versions as plain data. kinds: the node classes of the graph.

    "engine": one hash of the engine's source files. "sources": hash of source files -> the types of node whose module
    has exactly these files as its closure (none, for a class from an interactive session). "versions": name -> version
    of every library that any of these files imports.
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
    """Return the version of the distribution that holds a package; "absent" if no such package is found.

    "unknown" stands for a package that no distribution claims.
    """
    from importlib.metadata import PackageNotFoundError, packages_distributions, version

    if not is_there(package):
        return "absent"
    try:
        return version(package)
    except PackageNotFoundError:  # the name of the distribution is not that of the package
        return ", ".join(sorted({version(name) for name in packages_distributions().get(package, ())})) or "unknown"
