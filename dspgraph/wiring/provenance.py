"""The identity of the code that a graph runs, for its digest: hashes of source files, and versions of libraries.

The source files are those of the engine, those of every type of node in the graph, and all that these files import
(see `dspgraph.closure`).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from dspgraph.closure import closure, is_there
from dspgraph.node import Node

ENGINE_MODULES = ("dspgraph.graph", "dspgraph.engine.batch")
"""The modules that run a graph. The engine is these modules and all that they import."""


def provenance(kinds: Iterable[type[Node]]) -> dict[str, Any]:
    """Return hashes of source files and versions of libraries as plain data. kinds: the node classes of the graph.

    The result has three keys. "engine": a hash of the engine's source files. "sources": a mapping, hash of a set of
    source files -> the types of the nodes whose module depends on exactly these files (on none, for a node class from
    an interactive session). "versions": name -> version of every library that any of these files imports.
    """
    engine = closure(*ENGINE_MODULES)
    nodes = [(kind.type_name, closure(kind.__module__)) for kind in kinds]
    sources: dict[str, list[str]] = {}
    for digest, name in sorted((files.digest, name) for name, files in nodes):
        sources.setdefault(digest, []).append(name)
    libraries = engine.libraries.union(*(files.libraries for _, files in nodes))
    versions = {name: library_version(name) for name in sorted(libraries)}
    return {"engine": engine.digest, "sources": sources, "versions": versions}


def computed_imports(kinds: Iterable[type[Node]]) -> list[str]:
    """Return the places, "file:line", where code of nodes imports a module by a name that is computed as it runs.

    kinds: the node classes of a graph. A change in such a module does not change the digest of the graph. Places in the
    files of dspgraph and dspgraph_nodes are left out.
    """
    return sorted({place for kind in kinds for place in closure(kind.__module__).computed_elsewhere})


def computed_imports_note(kinds: Iterable[type[Node]]) -> str:
    """Return a note about modules that nodes import by a computed name; "" if there are none.

    kinds: the node classes of a graph.
    """
    places = computed_imports(kinds)
    if not places:
        return ""
    return (
        f"{', '.join(places)}: a module is imported by a computed name, which the digest does not cover: after a "
        "change in that module, --resume takes old results for up to date; import it by its name"
    )


@lru_cache
def library_version(package: str) -> str:
    """Return the version of the distribution that contains a package, such as "2.1.0".

    package: the name by which it is imported. Several distributions can contain a package: if none of them has its
    name, return all their versions, joined by ", ". Return "absent" if no such package is found, and "unknown" if the
    package belongs to no distribution. Later calls in the same process return the same text.
    """
    from importlib.metadata import PackageNotFoundError, packages_distributions, version

    if not is_there(package):
        return "absent"
    try:
        return version(package)
    except PackageNotFoundError:  # the distribution and the package have different names
        return ", ".join(sorted({version(name) for name in packages_distributions().get(package, ())})) or "unknown"
