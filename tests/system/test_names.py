"""Names with a capital first letter, at the top level of a module: only one file of the core or nodes defines each.

The names in PRESCRIBED are exceptions.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from helpers.paths import ROOT

PRESCRIBED = {
    "Config",  # a contract names them: every model has a Config and Settings of its own
    "Settings",
    "PIPELINE",
    "LABELS",
    "PRESETS",
    "WEIGHTS",
    "Array",  # the framework's and the kernels', which import nothing of the framework: the same type
}


def public_names(path: Path) -> Iterator[str]:
    """Yield the names at the top level of a module that begin with a capital: classes and assigned names."""
    for item in ast.parse(path.read_text(encoding="utf-8")).body:
        targets = item.targets if isinstance(item, ast.Assign) else [getattr(item, "target", None)]
        found = [inner.id for one in targets if one for inner in ast.walk(one) if isinstance(inner, ast.Name)]
        found += [item.name] if isinstance(item, ast.ClassDef) else []
        yield from (name for name in found if name[0].isupper())


def test_one_public_name_has_one_meaning() -> None:
    homes = defaultdict(list)
    for folder in ("dspgraph", "nodes/dspgraph_nodes"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for name in set(public_names(path)) - PRESCRIBED:
                homes[name].append(path.relative_to(ROOT).as_posix())
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}
