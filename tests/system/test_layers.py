"""The layers of the code: which package may import which, what an import loads, and names that the core must not have."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import networkx
import pytest

from dspgraph import registry
from helpers.paths import ROOT

CORE = ROOT / "dspgraph"
PACK = ROOT / "nodes" / "dspgraph_nodes"

FLOORS = [
    "shown _version closure processes", "errors", "streams parameters", "node", "function_node wiring", "diagram engine", "graph", "io",
    "live", "registry", "testing pipeline nodes", "plotting rendering notes", "training evaluation", "cli", "__main__",
]  # fmt: skip
"""The floors of the core, from the lowest to the highest: a package or module imports only from itself and from floors
below its own."""

FILES = sorted(CORE.rglob("*.py"))
SCOPES = ("head", "functions", "types")
"""The kinds of imports: run as the module is imported, run as a function is called, or seen by type checkers only."""


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removeprefix("nodes.").removesuffix(".__init__")


MODULES = {module_name(path): path for path in [*FILES, *sorted(PACK.rglob("*.py"))]}


def imports(path: Path, scope: str = "types") -> Iterator[str]:
    """Yield every module that a file imports: in the given scope, and in the scopes before this one in SCOPES.

    `from a import b` gives a.b if that is a module of this project, and otherwise a. Relative names are made absolute.
    """
    package = module_name(path.parent / "__init__.py")
    return imported(path.read_text(), package, SCOPES.index(scope))


def imported(code: str, package: str, scope: int) -> Iterator[str]:
    for item in statements(ast.parse(code), scope):
        if isinstance(item, ast.Import):
            yield from (alias.name for alias in item.names)
            continue
        parts = package.split(".")
        around = parts[: len(parts) + 1 - item.level] if item.level else []
        target = ".".join([*around, *filter(None, [item.module])])
        inner = [f"{target}.{alias.name}" for alias in item.names]
        submodules = [name for name in inner if name in MODULES]
        yield from submodules
        if len(submodules) < len(inner):
            yield target


def statements(tree: ast.AST, scope: int) -> Iterator[ast.Import | ast.ImportFrom]:
    for item in ast.iter_child_nodes(tree):
        in_function = isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for_types = isinstance(item, ast.If) and "TYPE_CHECKING" in ast.unparse(item.test)
        if isinstance(item, ast.Import | ast.ImportFrom):
            yield item
        elif scope >= (2 if for_types else 1 if in_function else 0):
            yield from statements(item, scope)


def floor(package: str) -> int:
    return next(k for k, packages in enumerate(FLOORS) if package in packages.split())


def test_every_package_of_the_core_has_its_floor() -> None:
    found = {path.relative_to(CORE).parts[0].removesuffix(".py") for path in FILES} - {"__init__"}
    assert found == set(" ".join(FLOORS).split())


@pytest.mark.parametrize("package", " ".join(FLOORS).split())
def test_a_package_imports_only_from_floors_below(package: str) -> None:
    for path in FILES:
        if path.relative_to(CORE).parts[0].removesuffix(".py") != package:
            continue
        for name in imports(path):
            top, _, rest = name.partition(".")
            assert top != "dspgraph_nodes", f"{path.name} imports the node pack"
            if top == "dspgraph":
                below = rest.partition(".")[0]
                assert below, f"{path.name} imports the face"
                assert below == package or floor(below) < floor(package), f"{path.relative_to(CORE)} imports {name}"


@pytest.mark.thorough
@pytest.mark.parametrize("scope", SCOPES)
def test_no_module_imports_itself_through_others(scope: str) -> None:
    graph: networkx.DiGraph[str] = networkx.DiGraph()
    for module, path in MODULES.items():
        if module != "dspgraph":  # the face opens its modules by name
            graph.add_edges_from((module, name) for name in imports(path, scope) if name in MODULES)
    assert list(networkx.simple_cycles(graph)) == []


@pytest.mark.parametrize(("scope", "more"), [(0, set()), (1, {"a.b"}), (2, {"a.b", "c"})])
def test_every_form_of_import_is_seen(scope: int, more: set[str]) -> None:
    code = """
from . import mel
from .lsf import x
from ..maths import hop, y
def f():
    import a.b
if TYPE_CHECKING:
    import c
"""
    kernels = "dspgraph_nodes._kernels"
    head = {f"{kernels}.signal.mel", f"{kernels}.signal.lsf", f"{kernels}.maths.hop", f"{kernels}.maths"}
    assert set(imported(code, f"{kernels}.signal", scope)) == head | more


@pytest.mark.parametrize("path", sorted(PACK.glob("[a-z]*/*.py")), ids=lambda path: path.stem)
def test_a_node_imports_the_face_and_kernels_only(path: Path) -> None:
    for name in imports(path):
        if name.startswith(("dspgraph.", "dspgraph_nodes")):
            assert name.startswith(("dspgraph_nodes._kernels", "dspgraph_nodes.models")), f"{path.name} imports {name}"


def test_a_kernel_knows_nothing_of_graphs() -> None:
    for path in PACK.glob("_kernels/**/*.py"):
        for name in imports(path):
            assert name.partition(".")[0] != "dspgraph" or name == "dspgraph.closure", f"{path.name} imports {name}"


def test_deleting_a_node_breaks_only_its_own_test() -> None:
    """The test file of a node imports nothing of the node pack but this node and kernels."""
    for path in (ROOT / "tests" / "nodes").glob("*/*.py"):
        own = f"dspgraph_nodes.{path.parent.name}.{path.stem.removeprefix('test_')}"
        for name in imports(path):
            if name.startswith("dspgraph_nodes") and "._kernels" not in name:
                assert name == own, f"{path.name} imports {name}"


PLAIN_WORDS = {"delay", "frame", "gain", "gate", "log", "mix", "resample", "reverb", "scale", "sine", "swipe"}
"""Node names that are words of English too. They may stand in a longer string.

An identifier or a whole string may be one of them only if it is in CALLED too.
"""

CALLED = {"add", "concatenate", "echo", "exp", "gate", "log", "multiply", "pad", "scale", "swipe"}
"""Node names that are functions of Python, numpy or click, variables of the core, or variants, too: they may stay."""


def docstrings(tree: ast.AST) -> Iterator[ast.expr]:
    for item in ast.walk(tree):
        body = getattr(item, "body", None)
        for first in body if isinstance(body, list) else []:
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                yield first.value


def said(item: ast.AST) -> set[str]:
    """Return the identifiers of one node of a syntax tree; for a string, the string and its words without PLAIN_WORDS.

    Those of the nodes below it are left out.
    """
    fields = [value for value in vars(item).values() if isinstance(value, str)]
    if isinstance(item, ast.Constant) and isinstance(item.value, str):
        return {item.value} | set(re.findall(r"\w+", item.value)) - PLAIN_WORDS
    return {*fields}


def test_the_core_names_no_node() -> None:
    """No identifier, no string and no word of a string in the core is the name of a node or of its class.

    The core finds nodes by searching. Docstrings, and the names in PLAIN_WORDS (inside strings) and CALLED, are
    exceptions.
    """
    names = set(registry.nodes()) - CALLED
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


@pytest.mark.parametrize("pipeline", ["lpc_vocoder", "lpcnet_features"])
def test_a_vocoder_loads_nothing_that_it_does_not_need(pipeline: str) -> None:
    code = (
        "import sys, numpy; from dspgraph import load;"
        f"load('{pipeline}')(speech=numpy.sin(numpy.arange(5000.0) / 9)); print(*sys.modules)"
    )
    heavy = {"torch", "scipy.signal", "scipy.linalg", "scipy.fft", "matplotlib", "soundfile", "ray"}
    if heavy & set(run_python(code).split()):  # this process may have compiled the kernels, for which numba needs more
        assert not heavy & set(run_python(code).split())


def test_listing_the_nodes_imports_none_of_them() -> None:
    code = "import sys; from dspgraph import registry; [one.summary() for one in registry.nodes().values()]; print(*sys.modules)"
    loaded = run_python(code).split()
    assert not [name for name in loaded if name.startswith("dspgraph_nodes")]
    assert "torch" not in loaded


def test_the_face_lists_its_names_before_they_are_used() -> None:
    assert run_python("import dspgraph; print(set(dspgraph.__all__) <= set(dir(dspgraph)))") == "True"


def test_no_module_hides_a_name_of_the_face() -> None:
    code = (
        "import dspgraph, pkgutil, importlib, types\n"
        "[importlib.import_module(f'dspgraph.{m.name}') for m in pkgutil.iter_modules(dspgraph.__path__) if m.name != '__main__']\n"
        "print(*[name for name in dspgraph.__all__ if isinstance(getattr(dspgraph, name), types.ModuleType)])"
    )
    assert run_python(code) == ""
