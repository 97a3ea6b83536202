"""Compiled kernels: they are kept on disk, and compiled again when a file has changed."""

import ast
import errno
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numba.core import caching
from numba.core.errors import NumbaError

from dspgraph_nodes._kernels.compile import jit
from helpers.copies import copied, run_in
from helpers.paths import ROOT

KERNELS = Path("nodes", "dspgraph_nodes", "_kernels", "signal")

HELPER = """
from dspgraph_nodes._kernels.compile.jit import kernel

@kernel
def changed(x):
    return x * {factor}
"""

USER = """
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.signal.helper_of_test import changed

@kernel
def used(x):
    return changed(x) + 1
"""

RUN = """
import json
from dspgraph_nodes._kernels.signal.user_of_test import used
y = used(10.0)
print(json.dumps([y, sum(used.stats.cache_hits.values()), sum(used.stats.cache_misses.values())]))
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return the folder of a copy of the sources, with a kernel that calls a kernel in another file."""
    copied(tmp_path)
    (tmp_path / KERNELS / "helper_of_test.py").write_text(HELPER.format(factor=2))
    (tmp_path / KERNELS / "user_of_test.py").write_text(USER)
    return tmp_path


def test_kept_code_is_out_of_date_when_a_file_it_imports_changes_and_only_then(tree: Path) -> None:
    assert run_in(tree, RUN) == [21.0, 0, 1]
    for other in ("mlsa.py", "levinson.py"):
        path = tree / KERNELS / other
        path.write_text(path.read_text() + "\n# a comment\n")
    assert run_in(tree, RUN) == [21.0, 1, 0]
    (tree / KERNELS / "helper_of_test.py").write_text(HELPER.format(factor=3))
    assert run_in(tree, RUN) == [31.0, 0, 1]


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
@pytest.mark.parametrize("rest", [0, 0.5])
def test_a_file_of_the_cache_that_is_cut_is_made_again(tree: Path, kind: str, rest: float) -> None:
    assert run_in(tree, RUN) == [21.0, 0, 1]
    (path,) = (tree / KERNELS / "__pycache__").glob(f"user_of_test.used*.{kind}")
    os.truncate(path, int(rest * path.stat().st_size))
    environment = {**os.environ, "PYTHONPATH": f"{tree}{os.pathsep}{tree / 'nodes'}"}
    done = subprocess.run([sys.executable, "-c", RUN], cwd=tree, env=environment, capture_output=True, text=True)
    assert json.loads(done.stdout) == [21.0, 0, 1]
    assert f"{path.parent}: a file is damaged; compiling `used` again" in done.stderr
    assert run_in(tree, RUN) == [21.0, 1, 0]


def test_a_damaged_cache_that_cannot_be_replaced_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def denied(*arguments: object) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    @jit.kernel
    def negative(x: float) -> float:
        return -x

    path = Path(negative._cache._cache_file._index_path)  # type: ignore[attr-defined]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"")
    monkeypatch.setattr(caching.IndexDataCacheFile, "_save_index", denied)
    jit._say_that_nothing_is_kept.cache_clear()
    try:
        assert negative(2.0) == -2.0
    finally:
        path.unlink()
    assert "compiling `negative` again" in capsys.readouterr().err


SLOW = """
import time
from dspgraph_nodes._kernels.compile import jit

save = jit._Cache.save_overload

def slowly(self, signature, data):
    if "changed" in self._name:
        print("compiled", flush=True)
        time.sleep(3)
    save(self, signature, data)

jit._Cache.save_overload = slowly
"""


@pytest.mark.slow
def test_one_process_compiles_a_kernel_and_the_others_wait_for_it(tree: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{tree}{os.pathsep}{tree / 'nodes'}"}
    command = [sys.executable, "-c", SLOW + RUN]
    with subprocess.Popen(command, cwd=tree, env=environment, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "compiled\n"
        assert run_in(tree, RUN) == [21.0, 1, 0]
        assert json.loads(first.stdout.readline()) == [21.0, 0, 1]


@pytest.mark.slow
def test_a_process_that_does_not_come_to_an_end_holds_up_others_for_a_time_only(tree: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{tree}{os.pathsep}{tree / 'nodes'}"}
    command = [sys.executable, "-c", SLOW.replace("sleep(3)", "sleep(60)") + RUN]
    with subprocess.Popen(command, cwd=tree, env=environment, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "compiled\n"
        patience = "from dspgraph_nodes._kernels.compile import jit\njit._LONGEST_WAIT = 0.1\n"
        assert run_in(tree, patience + RUN) == [21.0, 0, 1]
        first.kill()


@pytest.mark.slow
def test_a_folder_for_caches_that_is_given_is_used(tree: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    assert run_in(tree, RUN, {"NUMBA_CACHE_DIR": str(folder)}) == [21.0, 0, 1]
    assert {path.name.partition("-")[0] for path in folder.rglob("*.nbi")} == {
        "user_of_test.used",
        "helper_of_test.changed",
    }


def test_where_nothing_can_be_kept_kernels_are_compiled_all_the_same_and_that_is_said_once(tree: Path) -> None:
    """Without a folder that can be written, kernels are compiled in every process, with one warning on stderr.

    A file with the name `__pycache__` makes the installation as if it were read-only, and there is no home folder.
    """
    shutil.rmtree(tree / KERNELS / "__pycache__", ignore_errors=True)
    (tree / KERNELS / "__pycache__").write_text("")
    nowhere = {
        "HOME": "/proc/none",
        "XDG_CACHE_HOME": "/proc/none",
        "NUMBA_CACHE_DIR": "",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    environment = {**nowhere, "PYTHONPATH": f"{tree}:{tree / 'nodes'}", "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", RUN], cwd=tree, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["[21.0,", "0,", "1]"]
    assert done.stderr.count("compiled kernels cannot be kept") == 1
    assert done.stderr.count("\n") == 1
    assert "NUMBA_CACHE_DIR" in done.stderr


def test_a_full_disk_costs_the_cache_and_not_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(caching.IndexDataCacheFile, "save", full)
    jit._say_that_nothing_is_kept.cache_clear()

    @jit.kernel
    def negative(x: float) -> float:
        return -x

    assert (negative(2.0), negative(3)) == (-2.0, -3.0)
    assert capsys.readouterr().err.count("cannot be kept") == 1
    jit._say_that_nothing_is_kept.cache_clear()


WRITERS = {"llvmlite", "numba.core.cgutils", "numba.extending"}
"""The packages and modules that write machine code."""


def test_machine_code_is_written_in_one_file() -> None:
    writing = set()
    for path in [*(ROOT / "nodes").rglob("*.py"), *(ROOT / "dspgraph").rglob("*.py")]:
        for item in ast.walk(ast.parse(path.read_text())):
            if isinstance(item, ast.Import):
                names = [alias.name for alias in item.names]
            elif isinstance(item, ast.ImportFrom):
                names = [f"{item.module}.{alias.name}" for alias in item.names]
            else:
                continue
            if any(f"{name}.".startswith(f"{writer}.") for name in names for writer in WRITERS):
                writing.add(path.relative_to(ROOT / "nodes" / "dspgraph_nodes" / "_kernels").as_posix())
    assert writing == {"compile/simd.py"}


def test_a_long_compilation_is_told_once_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    short, long = jit.CompilationNotice(patience=60), jit.CompilationNotice(patience=0)
    for notice in (short, long):
        for _ in range(2):
            notice.begin()
            notice.begin()  # a kernel that the first one calls
            notice.end()
            time.sleep(0.05)
            notice.end()
    assert capsys.readouterr().err == "dspgraph: compiling kernels, once: later runs begin at once\n"


def test_the_time_of_all_compilations_counts(capsys: pytest.CaptureFixture[str]) -> None:
    notice = jit.CompilationNotice(patience=0.2)
    notice.begin()
    time.sleep(0.1)
    notice.end()
    assert not capsys.readouterr().err
    notice.begin()
    time.sleep(0.3)
    notice.end()
    assert capsys.readouterr().err.count("compiling") == 1


@pytest.mark.slow
def test_only_a_kernel_that_is_compiled_counts(tree: Path) -> None:
    """`begin` and `end` of the notice are called once per compilation, and not for kernels read from the disk."""
    run = RUN.replace("import json", """
import json
from dspgraph_nodes._kernels.compile import jit

class Notice:
    calls = []
    def begin(self):
        self.calls.append("begin")
    def end(self):
        self.calls.append("end")

jit.NOTICE = Notice()
""").replace("json.dumps([y,", "json.dumps([Notice.calls,")  # fmt: skip
    calls, *_ = run_in(tree, run)
    assert sorted(calls) == ["begin", "begin", "end", "end"]  # `used`, and `changed` inside it
    calls, *_ = run_in(tree, run)
    assert calls == []


class Sums(NamedTuple):
    """Arrays that a kernel reads and writes."""

    values: Any
    totals: Any


def _add_up(sums: Sums, times: int) -> None:
    for n in range(times):
        row = sums.values[n] if n % 2 else sums.totals  # numba counts the references to an array that has two origins
        for k in range(len(row)):
            sums.totals[n] += row[k]


def _make(sums: Sums, times: int) -> None:
    new = np.ones(times)
    for n in range(times):
        sums.totals[n] = new[n]


def _same(x: Any) -> Any:
    total = 0.0
    for k in range(len(x)):
        total += x[k]
    x[0] = total
    return x


def _fresh(decorate: Any, function: Any) -> Any:
    """Return a kernel without a cache on disk: a compilation that fails would keep the lock of the cache."""
    compiled = decorate(function)
    compiled._cache = caching.NullCache()
    return compiled


def _body(compiled: Any) -> str:
    """Return the LLVM code of the only version of a kernel."""
    (code,) = compiled.inspect_llvm().values()
    begin: int = code.index("define")
    return str(code[begin : code.index("define", begin + 1)])


@pytest.mark.parametrize(("decorate", "counts"), [(jit.kernel, True), (jit.loop_kernel, False)])
def test_a_loop_kernel_counts_no_references(decorate: Any, counts: bool) -> None:
    compiled, sums = _fresh(decorate, _add_up), Sums(np.arange(6.0).reshape(3, 2), np.ones(3))
    compiled(sums, 3)
    assert list(sums.totals) == [4, 6, 22] and ("NRT_incref" in _body(compiled)) == counts


def test_a_loop_kernel_that_makes_an_array_is_refused() -> None:
    sums = Sums(np.zeros((3, 2)), np.zeros(3))
    _fresh(jit.kernel, _make)(sums, 3)
    assert list(sums.totals) == [1, 1, 1]
    with pytest.raises(NumbaError, match="Only accept returning of array passed into the function as argument"):
        _fresh(jit.loop_kernel, _make)(sums, 3)


def test_a_kernel_counts_references_whoever_calls_it_first() -> None:
    same, x = _fresh(jit.kernel, _same), np.ones(3)

    def first(x: Any) -> Any:
        return same(x)[0]

    assert _fresh(jit.loop_kernel, first)(x) == 3
    assert "NRT_incref" in _body(same)
