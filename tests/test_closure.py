"""What a module depends on, found without importing it."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dspgraph.closure import closure, read_source
from helpers.paths import ROOT

SOURCES = sorted(
    path for folder in ("dspgraph", "nodes", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")
)


def by_parser(path: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The import statements of a file as Python itself reads them, those for types alone left out."""
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        item = waiting.pop()
        if isinstance(item, ast.Import):
            yield from ((alias.name, ()) for alias in item.names)
        elif isinstance(item, ast.ImportFrom):
            yield "." * item.level + (item.module or ""), tuple(alias.name for alias in item.names)
        for_types = isinstance(item, ast.If) and ast.unparse(item.test).endswith("TYPE_CHECKING")
        waiting += item.orelse if for_types and isinstance(item, ast.If) else ast.iter_child_nodes(item)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_are_those_that_the_parser_finds(path: Path) -> None:
    found, expected = sorted(read_source(path).imports), sorted(by_parser(path))
    assert [one for one in found if one not in expected] == [("pyworld", ())] * (path.name == "world.py")
    assert [one for one in expected if one not in found] == []


HARD = '''
"""A docstring
from nowhere import nothing
"""
from __future__ import annotations
import a, b.c as d; import e
from .f import (
    g,  # a comment, with from x import y
    h as i,
)
from . import j
from ..k import *
from l import m \\
    , n
text = "import not_this"; other = 'it\\'s # no comment'; import o
if TYPE_CHECKING:
    from for_types import (
        One,
    )

    import for_types_too
else:
    import p
if typing.TYPE_CHECKING: import in_one_line
def function():
    r"""Raw \\ import nothing"""
    try: import q
    except ImportError: import r as s
    if TYPE_CHECKING:
        import for_types
    import t.u
    raise ValueError from error
    yield from v
x = {1: """one
import two
""", 2: f"{x!r}"}
'''


def test_statements_are_found_wherever_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "hard.py"
    path.write_text(HARD)
    expected = [
        ("__future__", ("annotations",)), ("a", ()), ("b.c", ()), ("e", ()), (".f", ("g", "h")), (".", ("j",)), ("..k", ("*",)),
        ("l", ("m", "n")), ("o", ()), ("p", ()), ("q", ()), ("r", ()), ("t.u", ()),
    ]  # fmt: skip
    assert list(read_source(path).imports) == expected
    assert sorted(expected) == sorted(by_parser(path))


def test_a_constant_name_in_a_call_is_read_and_a_computed_one_reported(tmp_path: Path) -> None:
    path = tmp_path / "calls.py"
    path.write_text("import_module('a.b')\nimportlib.import_module(name)\n__import__('c')\nimport_module('.d', e)\n")
    assert read_source(path).imports == (("a.b", ()), ("c", ()))
    assert read_source(path).computed == (2, 4)


@pytest.fixture
def pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that is not installed, with a module beside it."""
    monkeypatch.syspath_prepend(tmp_path)
    files = {
        "pack_of_test/__init__.py": "'Only words.'\n# and a comment\n",
        "pack_of_test/inner/__init__.py": "from .. import set_up\n",
        "pack_of_test/set_up.py": "import json\n",
        "pack_of_test/inner/node.py": "def f():\n    from . import helper\n    import beside_of_test\n    import numpy\n",
        "pack_of_test/inner/helper.py": "from pack_of_test.far.away import thing\n",
        "pack_of_test/far/away.py": "import pack_of_test.inner.node\n",
        "pack_of_test/unused.py": "import torch\n",
        "beside_of_test.py": "import scipy.signal\nfrom dspgraph import Node\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_closure_is_all_that_is_imported_and_nothing_else(pack: Path) -> None:
    found = closure("pack_of_test.inner.node")
    inner = ["far.away", "inner", "inner.helper", "inner.node", "set_up"]
    assert sorted(found.files) == ["beside_of_test", *(f"pack_of_test.{name}" for name in inner)]
    assert found.libraries == {"numpy", "scipy"}
    assert "pack_of_test" not in sys.modules


def test_a_closure_changes_with_the_contents_of_its_files_alone(pack: Path) -> None:
    before = closure("pack_of_test.inner.node").digest
    (pack / "pack_of_test" / "unused.py").write_text("import anything\n")
    (pack / "pack_of_test" / "__init__.py").write_text("'Other words.'\n")
    assert closure("pack_of_test.inner.node").digest == before
    (pack / "pack_of_test" / "far" / "away.py").write_text("import pack_of_test.inner.node  # a comment\n")
    assert closure("pack_of_test.inner.node").digest != before


def test_a_file_that_cannot_be_parsed_counts_by_its_contents(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_bytes(b"import_module(\xff")
    assert read_source(path).imports == ()
