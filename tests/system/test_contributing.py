"""CONTRIBUTING: its example is a node that keeps the laws, and the files that it names exist."""

import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from dspgraph.testing import check_node
from helpers.paths import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MAP = TEXT.partition("## Where things are")[2].partition("## Habits")[0]


def load(name: str, path: Path, code: str) -> ModuleType:
    path.write_text(code, encoding="utf-8")
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_the_node_of_the_example_keeps_its_laws_and_its_test_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, test = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    name = "dspgraph_nodes.mix.soft_clip"
    for module in (name, "test_soft_clip"):
        monkeypatch.setitem(sys.modules, module, ModuleType(module))  # whatever the test loads is taken away again
    load(name, tmp_path / "soft_clip.py", node)
    loaded = load("test_soft_clip", tmp_path / "test_soft_clip.py", test)
    loaded.test_the_inverse_gives_the_input_back()
    (example,) = loaded.EXAMPLES
    check_node(example)


def test_every_file_of_the_map_exists_and_every_package_is_in_it() -> None:
    packages = [path.name for path in (ROOT / "dspgraph").iterdir() if (path / "__init__.py").is_file()]
    rows = re.findall(r"^\| (`.*?) \| (.*) \|$", MAP, re.MULTILINE)
    for package in packages:
        assert any(f"`dspgraph/{package}/`" in where for where, _ in rows), f"the map lacks dspgraph/{package}/"
    for where, what in rows:
        folders = [ROOT / path.partition("<")[0] for path in re.findall(r"`(.*?)`", where)]
        for path in folders:
            assert path.exists(), path
        for name in re.findall(r"`(?:dspgraph/)?([\w./]+(?:\.py|/))`", what):
            assert any((folder / name).exists() or (ROOT / name).exists() for folder in folders), f"{where}: {name}"


def test_every_path_named_elsewhere_exists() -> None:
    for path in re.findall(r"`((?:dspgraph|nodes|tests|examples|docs|benchmarks)/[\w./]*)`", TEXT):
        assert (ROOT / path).exists() or "soft_clip" in path, path
