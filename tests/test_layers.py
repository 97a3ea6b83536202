"""The layout that keeps a large code base small: who may import whom, and what the core must not know."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dspgraph import discover

ROOT = Path(__file__).parent.parent
CORE = ROOT / "dspgraph"
PACK = ROOT / "nodes" / "dspgraph_nodes"

LAYERS = [
    {"errors"}, {"streams"}, {"node"}, {"link"}, {"graph"}, {"plan", "union"}, {"engine"},
    {"_watch", "_picture", "_containers", "_part"}, {"_svg"},
    {"testing", "discover", "describe", "audio_io", "array_io", "results"},
    {"document", "figures", "corpus"}, {"unfold", "schema", "work", "ledger", "report"}, {"pipeline", "profiling"},
    {"metrics", "rendering", "training"}, {"executors", "compare", "terminal"}, {"cli"}, {"__main__"},
]  # fmt: skip
"""From the ground up: a module imports only from layers below its own."""

DOORS = {("graph", "engine"), ("graph", "__init__"), ("cli", "__init__")}
"""Imports that look upwards: Graph opens the engine late, in the two methods that run it; the version is at the top."""


FILES = sorted([*CORE.glob("*.py"), *CORE.glob("*/__init__.py")])
"""The core: a module is a file, or a folder with its assets."""


def core_name(path: Path) -> str:
    return path.stem if path.parent == CORE else path.parent.name


def is_module(path: Path) -> bool:
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def imports(path: Path) -> Iterator[str]:
    """Every module a file imports, at its head or inside a function, in dotted form."""
    for item in ast.walk(ast.parse(path.read_text())):
        if isinstance(item, ast.Import):
            yield from (alias.name for alias in item.names)
        elif isinstance(item, ast.ImportFrom) and item.module:
            inner = [f"{item.module}.{alias.name}" for alias in item.names]
            submodules = [name for name in inner if is_module(ROOT / Path(*name.split(".")))]
            yield from submodules or [item.module]


def level(module: str) -> int:
    return next(k for k, layer in enumerate(LAYERS) if module in layer)


def test_every_core_module_has_its_layer() -> None:
    assert {core_name(path) for path in FILES} - {"__init__"} == set().union(*LAYERS)


@pytest.mark.parametrize("path", FILES, ids=core_name)
def test_a_core_module_imports_only_from_below(path: Path) -> None:
    for name in imports(path):
        package, _, module = name.partition(".")
        assert package != "dspgraph_nodes", f"{path.name} imports the node pack"
        if package == "dspgraph" and core_name(path) != "__init__":
            module, own = module or "__init__", core_name(path)
            assert (own, module) in DOORS or level(module) < level(own), f"{own} imports {name}"


@pytest.mark.parametrize("path", sorted(PACK.glob("[a-z]*/*.py")), ids=lambda path: path.stem)
def test_a_node_imports_the_face_and_kernels_only(path: Path) -> None:
    for name in imports(path):
        if name.startswith(("dspgraph.", "dspgraph_nodes")):
            assert name.startswith(("dspgraph_nodes._kernels", "dspgraph_nodes.models")), f"{path.name} imports {name}"


@pytest.mark.parametrize("path", sorted(PACK.glob("_kernels/*.py")), ids=lambda path: path.stem)
def test_a_kernel_knows_nothing_of_graphs(path: Path) -> None:
    for name in imports(path):
        assert not name.startswith("dspgraph.") and name != "dspgraph", f"{path.name} imports {name}"


@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "nodes").glob("*/*.py")), ids=lambda path: path.stem)
def test_deleting_a_node_breaks_only_its_own_test(path: Path) -> None:
    """A node's test needs its own node's file and no other's."""
    own = f"dspgraph_nodes.{path.parent.name}.{path.stem.removeprefix('test_')}"
    for name in imports(path):
        if name.startswith("dspgraph_nodes") and "._kernels" not in name:
            assert name == own, f"{path.name} imports {name}"


PLAIN_WORDS = {"delay", "frame", "gain", "mix", "resample", "swipe"}
"""Node names that are words of English too: a sentence may use them, an identifier or a whole string may not."""


def docstrings(tree: ast.AST) -> Iterator[ast.expr]:
    for item in ast.walk(tree):
        body = getattr(item, "body", None)
        for first in body if isinstance(body, list) else []:
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                yield first.value


def said(item: ast.AST) -> set[str]:
    """Every identifier of a piece of code, and every word of its strings."""
    fields = [value for value in vars(item).values() if isinstance(value, str)]
    if isinstance(item, ast.Constant) and isinstance(item.value, str):
        return {item.value} | set(re.findall(r"\w+", item.value)) - PLAIN_WORDS
    return {*fields}


def test_the_core_names_no_node() -> None:
    """No identifier and no string of the core is a node's name: it finds them all by looking."""
    names = set(discover.nodes())
    classes = {"".join(part.title() for part in name.split("_")) for name in names}
    for path in FILES:
        tree = ast.parse(path.read_text())
        skipped = {id(one) for one in docstrings(tree)}
        for item in ast.walk(tree):
            if id(item) not in skipped:
                assert not said(item) & (names | classes), f"{path.name}:{getattr(item, 'lineno', 0)} names a node"


def test_the_check_for_names_sees_attributes_keywords_and_strings() -> None:
    for code in ("g.nodes.lpc", "dict(rapt=1)", "s = 'lpc.order=24'", "def allpole(): pass", "x = 'gain'", "Resample"):
        words = set().union(*(said(item) for item in ast.walk(ast.parse(code))))
        assert words & {"lpc", "rapt", "allpole", "gain", "Resample"}, code


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_import_dspgraph_loads_nothing_heavy() -> None:
    loaded = run_python("import sys, dspgraph; print(*sys.modules)").split()
    assert not {"torch", "numba", "scipy.signal", "scipy", "pysptk", "matplotlib", "networkx"} & set(loaded)


def test_listing_the_nodes_imports_none_of_them() -> None:
    code = "import sys; from dspgraph import discover; [one.summary() for one in discover.nodes().values()]; print(*sys.modules)"
    loaded = run_python(code).split()
    assert not [name for name in loaded if name.startswith("dspgraph_nodes")]
    assert "torch" not in loaded


def test_no_module_hides_a_name_of_the_face() -> None:
    code = (
        "import dspgraph, pkgutil, importlib, types\n"
        "[importlib.import_module(f'dspgraph.{m.name}') for m in pkgutil.iter_modules(dspgraph.__path__) if m.name != '__main__']\n"
        "print(*[name for name in dspgraph.__all__ if isinstance(getattr(dspgraph, name), types.ModuleType)])"
    )
    assert run_python(code) == ""
