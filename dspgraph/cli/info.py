"""The command `info`, which prints what a bug report should contain."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path

import click

from dspgraph._version import __version__
from dspgraph.cli.output import print_tables

CORE = Path(__file__).parent.parent
DEVELOPERS = {"dev", "bench"}
"""Names of extras for work on dspgraph itself. They are not printed."""


@click.command()
def info() -> None:
    """Print versions, extras and machine, for bug reports.

    The versions are those of the installed packages; except for numba and what it imports, the packages are not
    imported.
    """
    own, extras = _requirements()
    print_tables(
        {
            "dspgraph": [
                ("version", __version__),
                ("installed in", str(CORE)),
                ("Python", f"{platform.python_version()} ({sys.executable})"),
                ("system", platform.platform()),
                ("CPU", f"{_cpu()}, {os.cpu_count()} cores"),
                ("compiled code", _kernel_cache()),
                ("8-bit products", _dot_path()),
            ],
            "packages": [(name, _version(name) or "missing") for name in own],
            "extras": [(extra, _extra(extra, names)) for extra, names in extras.items()],
        }
    )


def _requirements() -> tuple[list[str], dict[str, list[str]]]:
    """Return the names of the packages that dspgraph requires, and name of an extra -> names of its packages.

    The extras in DEVELOPERS are left out. Both results are empty if dspgraph is not installed.
    """
    own: list[str] = []
    extras: dict[str, list[str]] = {}
    try:
        written = requires("dspgraph") or []
    except PackageNotFoundError:  # dspgraph is not installed: its sources are on the path
        written = []
    for requirement in written:
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        extra = re.search(r"extra\s*==\s*['\"]([\w.-]+)", requirement)
        (extras.setdefault(extra[1], []) if extra else own).append(name)
    return own, {extra: names for extra, names in extras.items() if extra not in DEVELOPERS}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _extra(extra: str, packages: Iterable[str]) -> str:
    """Return a text with the versions of the packages of an extra.

    If packages are missing, the text names them and says how to install the extra.
    """
    versions = {name: _version(name) for name in packages}
    missing = [name for name, found in versions.items() if found is None]
    if missing:
        return f"missing {', '.join(missing)}: pip install 'dspgraph[{extra}]'"
    return ", ".join(f"{name} {found}" for name, found in versions.items())


def _cpu() -> str:
    """Return the model name of the CPU from /proc/cpuinfo; if it is not there, the name from Python's `platform`."""
    try:
        found = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:  # not Linux
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def _kernel_cache() -> str:
    """Return a text with the place where numba keeps the machine code of compiled kernels.

    The place is NUMBA_CACHE_DIR if it is set. Otherwise it is the folder of the sources if it can be written, and a
    cache folder of the user if it cannot.
    """
    spec = find_spec("dspgraph_nodes")
    (sources,) = (spec.submodule_search_locations if spec else None) or [""]
    if given := os.environ.get("NUMBA_CACHE_DIR"):
        return f"{given} (NUMBA_CACHE_DIR)"
    return f"{sources}, in folders __pycache__" if os.access(sources, os.W_OK) else "the user's cache folder of numba"


def _dot_path() -> str:
    """Return a text with the CPU instructions by which kernels multiply 8-bit numbers on this machine.

    If the machine has other instructions for this too, the text names them. Without the package dspgraph_nodes, it says
    that no kernels are installed.
    """
    if find_spec("dspgraph_nodes") is None:
        return "no kernels are installed"
    paths: tuple[str, ...] = import_module("dspgraph_nodes._kernels.compile.simd").dot_paths()
    return paths[0] + (f" (this machine also has {', '.join(paths[1:])})" if paths[1:] else "")
