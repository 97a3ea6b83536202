"""The closure of a module: its source file and every source file that it imports, directly or through others.

Files of libraries are left out. `closure` finds the files by reading them; it imports nothing. Two things go out of
date when one of these files changes: the digest of a graph (`dspgraph.wiring.provenance`), and the machine code that is
kept for a compiled kernel.

Closures and contents of files are remembered from their first use until the process ends, because a later edit of a
file does not change the code that this process has already imported. Plugins and kernels are remembered when they are
imported; any other module when the digest of a graph is first computed with it. Two limits remain. Code that is
imported, then edited, and only then used for a digest for the first time, counts as edited although the old code runs.
Code that is edited and imported again (`importlib.reload`) counts as it was before the edit.
"""

from __future__ import annotations

import ast
import hashlib
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import decode_source, find_spec
from pathlib import Path

_OWN_PACKAGES = ("dspgraph", "dspgraph_nodes")
"""The packages of this project. Their files belong to closures even if the packages are installed as libraries."""

FACE = "dspgraph"
"""The package whose `__init__.py` only forwards names to the modules that define them. Its file is in no closure."""

PICTURES = "dspgraph.diagram.svg"
"""The module that draws a graph, which `Graph` imports for notebooks. It is in no closure: it changes no sample."""

# Matches comments and string literals: text in them may look like an import statement, but is none.
_TEXT = re.compile(
    r"#[^\n]*"
    r'|"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*"""'
    r"|'''[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*'''"
    r'|"[^"\\\n]*(?:\\.[^"\\\n]*)*"'
    r"|'[^'\\\n]*(?:\\.[^'\\\n]*)*'",
    re.DOTALL,
)
_FOR_TYPES = re.compile(
    r"^([ \t]*)if(?!\w)[ \t(]*(?:\w+\.)?TYPE_CHECKING[ \t)]*:[^\n]*\n(?:(?:\1[ \t]+[^\n]*|[ \t]*)\n)*", re.MULTILINE
)
_IMPORT = re.compile(
    r"(?:^|[;:])[ \t]*(?:from(?!\w)([. \t\w]+?)(?<!\w)import(?!\w)[ \t]*(\([^)]*\)|[^\n;]+)|import[ \t]+([^\n;]+))",
    re.MULTILINE,
)
_AROUND_DOT = re.compile(r"[ \t]*\.[ \t]*")
_BY_CALL = ("import_module", "__import__")


@dataclass(frozen=True)
class SourceFile:
    """The hash of a source file and the modules that it imports, as `read_source` returns them.

    digest: the SHA-256 of the contents. imports: pairs (name of a module, names that are imported from this module).
    The name of a module is as it is written: a relative name begins with dots. Imports for type checkers are left out.
    computed: the line numbers of calls such as `import_module(name)`, whose argument is computed or a relative name.
    runs: False for a file that has only comments and strings.
    """

    digest: str
    imports: tuple[tuple[str, tuple[str, ...]], ...] = ()
    computed: tuple[int, ...] = ()
    """The line numbers of calls such as `import_module(name)`. Which module such a call imports is not known."""
    runs: bool = True
    """False for a file that has only comments and strings."""


@dataclass(frozen=True)
class Closure:
    """The source files and libraries on which one or more modules depend. roots: the names of these modules."""

    roots: tuple[str, ...]
    files: dict[str, Path]
    """Module name -> file, for the roots and for every module that they import, directly or through other modules.

    Libraries are left out.
    """
    libraries: frozenset[str]
    """The top-level names of the libraries that these files import. The standard library does not count."""

    @cached_property
    def digest(self) -> str:
        """A hash of the names and contents of all files. The folder that they are in does not matter."""
        digest = hashlib.sha256()
        for name, path in sorted(self.files.items()):
            place = path.name if name in self.roots else name  # a script may run as `__main__` or under its name
            digest.update(f"{place}\0{read_source(path).digest}\n".encode())
        return digest.hexdigest()

    @property
    def computed(self) -> tuple[str, ...]:
        """The places, as "file:line", of calls such as `import_module(name)`.

        Their argument is computed, or a relative name. The modules that they import are not in the closure.
        """
        return self._computed(self.files)

    @property
    def computed_elsewhere(self) -> tuple[str, ...]:
        """The places in `computed` that are not in files of dspgraph or dspgraph_nodes."""
        return self._computed(name for name in self.files if name.partition(".")[0] not in _OWN_PACKAGES)

    def _computed(self, names: Iterable[str]) -> tuple[str, ...]:
        found = ((self.files[name], read_source(self.files[name]).computed) for name in names)
        return tuple(f"{path}:{line}" for path, lines in found for line in lines)


@cache
def closure(*modules: str) -> Closure:
    """Return the closure of modules, as it was at the first call. modules: their names, such as "dspgraph.graph".

    The closure contains the files of three kinds of modules: modules of the top-level packages of `modules`, modules of
    this project, and modules that are not installed as a library, which are the user's own. Imports inside functions
    count. Three kinds of imports do not: those under `if TYPE_CHECKING:`, those of the package `dspgraph` itself, which
    only forwards names (FACE), and those of the module that draws graphs (PICTURES). A file with only comments and
    strings, such as an empty `__init__` file, is left out, unless it belongs to one of `modules`. The closure of a
    module without a file, as in an interactive session, is empty.
    """
    own = {*(module.partition(".")[0] for module in modules), *_OWN_PACKAGES}
    files: dict[str, Path] = {}
    libraries: set[str] = set()
    waiting = [*modules]
    seen = {FACE, PICTURES}
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        top, _, inner = name.partition(".")
        if top in sys.stdlib_module_names and top not in own:
            continue
        if top in libraries or (top not in own and is_library(top)):
            libraries.add(top)
            continue
        path = module_file(name)
        waiting += _parents(name) if inner else []
        if path is None:
            continue
        source = read_source(path)
        if not source.runs and name not in modules:
            continue
        files[name] = path
        waiting += _imported(name, path, source)
    return Closure(modules, files, frozenset(libraries))


def _parents(name: str) -> list[str]:
    """Return the names of the packages around a module: ["a", "a.b"] for "a.b.c".

    They belong to the closure, because an import of the module runs their `__init__` files.
    """
    parts = name.split(".")
    return [".".join(parts[:k]) for k in range(1, len(parts))]


def _imported(name: str, path: Path, source: SourceFile) -> Iterator[str]:
    """Yield the name of every module that a file imports.

    For `from package import name`, both "package" and "package.name" are yielded, because `name` may be a module of the
    package. name, path: the name and the file of the module that imports. source: the result of `read_source` for it.
    """
    # The public names of FACE are not modules. On a disk that ignores case, the name `Node` would find node.py.
    public = getattr(sys.modules.get(FACE), "__all__", ())
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for target, taken in source.imports:
        rest = target.lstrip(".")
        dots = len(target) - len(rest)
        if dots:
            around = package.split(".")[: len(package.split(".")) - dots + 1]
            target = ".".join([*around, rest] if rest else around)
        yield target
        if target == FACE:
            taken = tuple(one for one in taken if one not in public)
        if taken and _may_hold_modules(target):
            yield from (f"{target}.{one}" for one in taken)


def _may_hold_modules(name: str) -> bool:
    """Return whether `name` is a package: a module with an `__init__` file, or a folder without one.

    Return False for packages of the standard library.
    """
    top, *inner = name.split(".")
    if top in sys.stdlib_module_names:
        return False
    path = module_file(name)
    if path is not None:
        return path.name == "__init__.py"
    return any(Path(folder, *inner).is_dir() for folder in _top_level(top)[1])


# ---- one file -------------------------------------------------------------------------------------------------------


@cache
def read_source(path: Path) -> SourceFile:
    """Return the hash and the imports of a file, as the file was when this function was first called for it.

    A file that is not Python source, or cannot be decoded, has a hash and no imports. In a file with a syntax error,
    some imports may be missing.
    """
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if path.suffix != ".py":
        return SourceFile(digest)
    try:
        text = decode_source(content)
        calls = ast.parse(text) if any(name in text for name in _BY_CALL) else None
    except (SyntaxError, UnicodeDecodeError):
        return SourceFile(digest)
    named, computed = _calls(calls) if calls else ([], [])
    code = _TEXT.sub(lambda found: "" if found[0].startswith("#") else '""', text).replace("\\\n", " ")
    runs = bool(code.replace('""', "").strip())
    return SourceFile(digest, (*_statements(code), *((name, ()) for name in named)), tuple(computed), runs)


def _statements(code: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield (name of a module, names that are imported from it) for every import, except under `if TYPE_CHECKING:`.

    The name of a module is as it is written: a relative name begins with dots. For `import module` there are no names.

    code: Python code without comments, in which every string is empty. Regular expressions find the statements, because
    `ast.parse` would take fifteen times as long, and about eighty files are read whenever a graph is shown.
    """
    for module, taken, modules in _IMPORT.findall(_FOR_TYPES.sub("", f"{code}\n")):
        several = _AROUND_DOT.sub(".", taken or modules).strip("() \t\n").split(",")
        names = tuple(name.split()[0] for name in several if name.strip())
        if module:
            yield "".join(module.split()), names
        else:
            yield from ((name, ()) for name in names)


def _calls(tree: ast.AST) -> tuple[list[str], list[int]]:
    """Return the names in calls such as `import_module("a.b")`, and the line numbers of such calls without a name.

    A call is without a name if its argument is computed, or is a relative name, which begins with a dot. tree: the
    syntax tree of a file.
    """
    named, computed = [], []
    for item in ast.walk(tree):
        if isinstance(item, ast.Call) and (_called(item.func) in _BY_CALL):
            name = item.args[0] if item.args else None
            if isinstance(name, ast.Constant) and isinstance(name.value, str) and not name.value.startswith("."):
                named.append(name.value)
            else:
                computed.append(item.lineno)
    return named, computed


def _called(function: ast.expr) -> str:
    return getattr(function, "id", "") or getattr(function, "attr", "")


# ---- where modules lie ----------------------------------------------------------------------------------------------


def module_file(name: str) -> Path | None:
    """Return the file of a module; None for a name that is no module, and for a module without a file.

    Modules without a file are those built into Python, and packages without `__init__` file.
    """
    loaded = getattr(sys.modules.get(name), "__file__", None)
    if loaded is not None:
        return Path(loaded) if Path(loaded).is_file() else None
    top, *inner = name.split(".")
    file, folders = _top_level(top)
    if not inner:
        return file
    found = [_inside(Path(folder, *inner[:-1]), inner[-1]) for folder in folders]
    return next((one for one in found if one is not None), None)


def _inside(folder: Path, part: str) -> Path | None:
    """Return the file of the module called `part` in the folder of its package; None if there is no such file."""
    for end in ("/__init__.py", ".py", *EXTENSION_SUFFIXES):
        path = Path(f"{folder / part}{end}")
        if path.is_file():
            return path
    return None


def is_library(top: str) -> bool:
    """Return whether the top-level package `top` is a library, and not the user's own code.

    A library lies in a folder of installed packages, or has neither a file nor a folder, like a package that is not
    found. Do not call this function for modules of the standard library.
    """
    file, folders = _top_level(top)
    places = [str(file)] if file else list(folders)
    return not places or any({"site-packages", "dist-packages"} & set(Path(place).parts) for place in places)


def is_there(top: str) -> bool:
    """Return whether Python finds a file or a folder of the top-level package `top`.

    The package is not imported, so its import may still fail.
    """
    return _top_level(top) != (None, ())


def _top_level(top: str) -> tuple[Path | None, tuple[str, ...]]:
    """Return (file, folders) of a top-level module; (None, ()) if it is not found or has neither.

    The file of a package is its `__init__` file, or None if it has none. The folders are those in which Python searches
    for the modules of a package; () for a module that is not a package.
    """
    module = sys.modules.get(top)
    if module is not None:
        file, folders = getattr(module, "__file__", None), getattr(module, "__path__", ())
    else:
        file, folders = _searched(top, tuple(sys.path))
    return Path(file) if file else None, tuple(folders)


@lru_cache(maxsize=256)
def _searched(top: str, path: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):  # `sys.modules[top]` is None, or has no spec
        spec = None
    if spec is None:
        return None, ()
    return spec.origin if spec.has_location else None, tuple(spec.submodule_search_locations or ())
