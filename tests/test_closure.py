"""The closure of a module, all files that it imports, also through others, is found without importing the module."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import dspgraph.closure as module
from dspgraph.closure import closure, read_source
from helpers.paths import ROOT

FOLDERS = ("dspgraph", "nodes", "tests", "benchmarks")


def by_parser(path: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield (module, imported names) for each import of a file, in any order, as Python's parser reads it.

    A relative module begins with its dots; `import a as b` gives a, without names. Imports under
    `if TYPE_CHECKING` are left out.
    """
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        item = waiting.pop()
        if isinstance(item, ast.Import):
            yield from ((alias.name, ()) for alias in item.names)
        elif isinstance(item, ast.ImportFrom):
            yield "." * item.level + (item.module or ""), tuple(alias.name for alias in item.names)
        for_types = isinstance(item, ast.If) and ast.unparse(item.test).endswith("TYPE_CHECKING")
        waiting += item.orelse if for_types and isinstance(item, ast.If) else ast.iter_child_nodes(item)


@pytest.mark.thorough
@pytest.mark.parametrize("folder", FOLDERS)
def test_imports_are_those_that_the_parser_finds(folder: str) -> None:
    for path in sorted((ROOT / folder).rglob("*.py")):
        found, expected = sorted(read_source(path).imports), sorted(by_parser(path))
        by_name = {"world.py": ["pyworld"], "info.py": ["dspgraph_nodes._kernels.compile.simd"]}.get(path.name, [])
        assert [one for one in found if one not in expected] == [(name, ()) for name in by_name], path
        assert [one for one in expected if one not in found] == [], path


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


ODD = {
    "no blank before import": "from .import a",
    "no blanks at all": "from.b import(c)",
    "a star without a blank": "from a import*",
    "dots apart": "from . . a . b import c",
    "two levels and a comma at the end": "from ..a import (b, c,)",
    "the package itself": "from . import x",
    "a module called like the word": "from .importer import x; from important.import_it import y",
    "several at once": "import a as b, c.d as e",
    "blanks around dots": "import a . b . c as d, e",
    "semicolons": "import a;import b ; from c import d;x = 1",
    "a line that goes on": "import \\\n  a, \\\n  b\nfrom \\\n .c \\\n import \\\n d as e, \\\n f",
    "a name that goes on": "from a.\\\nb import c",
    "parentheses": "from a import (  # import not_this\n    b,  # ) a comment\n\n    c as d\n)",
    "one in one line": "if x: import y",
    "alternatives": "if x: import a\nelif y: import b\nelse: import c",
    "a try in one line": "try: import z\nexcept ImportError: pass\nelse: import y\nfinally: import x",
    "a class in one line": "class A: from a import b; import c",
    "a for and a with": "for x in y: import a\nwith f() as g: import b",
    "tabs": "if x:\n\timport\ta\n\tfrom\tb\timport\tc",
    "strings": "a = 'import b'; c = \"\"\"\nimport d\n\"\"\"; e = f'{f}; import g'\nimport h",
    "a string with a mark of comments": "a = '# no'; import b",
    "what only looks like an import": "import_ = importing = 1\nfromage = important = import_\nfrom_ = 2",
    "types in parentheses": "if (TYPE_CHECKING):\n    import a\nimport b",
    "types without a blank": "if(typing.TYPE_CHECKING): import a\nimport b",
    "types at the end": "import a\nif TYPE_CHECKING:\n    import b",
    "no end of line": "import a",
}  # fmt: skip


@pytest.mark.parametrize("what", ODD)
def test_odd_spellings_are_read_as_the_parser_reads_them(what: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.py"
    path.write_text(ODD[what])
    assert sorted(read_source(path).imports) == sorted(by_parser(path))


def forget() -> None:
    """Clear the caches of files and closures, as if the process were new."""
    closure.cache_clear()
    read_source.cache_clear()


@pytest.fixture
def pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Clear the caches; return a folder on `sys.path` with the package pack_of_test and the module beside_of_test."""
    monkeypatch.syspath_prepend(tmp_path)
    forget()
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


def test_modules_of_folders_without_an_init_file_are_found(pack: Path) -> None:
    for name in ("loose_of_test/one.py", "loose_of_test/deep/two.py", "loose_of_test/unused.py"):
        (pack / name).parent.mkdir(parents=True, exist_ok=True)
        (pack / name).write_text("x = 1\n")
    (pack / "user_of_test.py").write_text("from loose_of_test import one\nfrom loose_of_test.deep import two\n")
    assert sorted(closure("user_of_test").files) == ["loose_of_test.deep.two", "loose_of_test.one", "user_of_test"]


def test_a_closure_changes_with_the_contents_of_its_files_alone(pack: Path) -> None:
    before = closure("pack_of_test.inner.node").digest
    (pack / "pack_of_test" / "unused.py").write_text("import anything\n")
    (pack / "pack_of_test" / "__init__.py").write_text("'Other words.'\n")
    forget()
    assert closure("pack_of_test.inner.node").digest == before
    (pack / "pack_of_test" / "far" / "away.py").write_text("import pack_of_test.inner.node  # a comment\n")
    forget()
    assert closure("pack_of_test.inner.node").digest != before


def test_a_closure_stays_what_it_was_when_a_process_used_it_first(pack: Path) -> None:
    before = closure("pack_of_test.inner.node").digest
    for name in ("inner/node.py", "far/away.py"):
        (pack / "pack_of_test" / name).write_text("import anything\n")
    assert closure("pack_of_test.inner.node").digest == before
    assert closure("pack_of_test.far.away", "pack_of_test.inner.node").files.keys() >= {"beside_of_test"}
    forget()
    assert closure("pack_of_test.inner.node").digest != before


def test_the_closure_of_several_modules_is_that_of_each(pack: Path) -> None:
    names = ("pack_of_test.inner.node", "dspgraph.io.arrays")
    found, parts = closure(*names), [closure(name) for name in names]
    assert found.files == parts[0].files | parts[1].files
    assert found.libraries == parts[0].libraries | parts[1].libraries


def test_public_names_of_the_face_are_no_modules_on_a_disk_that_ignores_case(
    pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def inside(folder: Path, part: str) -> Path | None:
        found = {path.stem.lower(): path for path in folder.iterdir() if path.suffix == ".py"}
        return found.get(part.lower()) or exactly(folder, part)

    exactly = module._inside
    monkeypatch.setattr(module, "_inside", inside)
    (pack / "beside_of_test.py").write_text("from dspgraph import Node, Graph, closure, errors\n")
    found = closure("beside_of_test")
    assert {name.lower() for name in found.files} == {
        "beside_of_test",
        "dspgraph.closure",
        "dspgraph.errors",
        "dspgraph.shown",
    }
    forget()


def test_a_file_that_cannot_be_parsed_counts_by_its_contents(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_bytes(b"import_module(\xff")
    assert read_source(path).imports == ()
