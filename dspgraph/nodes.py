"""All nodes and their functions in one module: `from dspgraph.nodes import Lpc, lpc`.

For each node, such as `lpc`, there is the class `Lpc`, for graphs, and, if the file of the node defines it, the
function `lpc`, which computes the same on whole arrays. A name is imported at its first use. Nodes of installed
packages are here too; nodes of plugins are not.
"""

import sys
from typing import Any

from dspgraph import registry
from dspgraph.errors import suggest


def __getattr__(name: str) -> Any:
    """Return the class of a node for a name such as "Lpc", and its function for a name such as "lpc".

    Raises AttributeError for a node that has no function, and for any other name; the message then suggests the most
    similar name. Raises RequestError for a node that cannot be imported.
    """
    found = registry.nodes()
    classes = {_class_name(node): node for node in found}
    node = classes.get(name, name)
    if name.startswith("_") or node not in found:
        raise AttributeError(f"dspgraph has no node '{name}'; {suggest(name, [*classes, *found])}")
    kind = found[node].load()
    value = kind if name in classes else getattr(sys.modules[kind.__module__], name, None)
    if value is None:
        raise AttributeError(f"the node '{name}' has no function of its own, only the class {_class_name(name)}")
    return value


def __dir__() -> list[str]:
    return sorted(name for node in registry.nodes() for name in (node, _class_name(node)))


def _class_name(node: str) -> str:
    return "".join(part.capitalize() for part in node.split("_"))
