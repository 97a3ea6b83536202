"""Results are the same on all machines: with one and several threads, and without the widest vectors."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dspgraph import registry
from dspgraph.registry import shipped_pipelines

CODE = """
import hashlib
import sys
from pathlib import Path
import numpy as np
from dspgraph import load
from dspgraph.registry import shipped_pipelines
from dspgraph.pipeline.pipeline import variants
from dspgraph.testing import example_signals
from helpers.networks import overrides
from helpers.speech import speech
from system.test_laws import NODES, examples_of

def show(name, outputs):
    for output, array in outputs.items():
        print(name, output, hashlib.sha256(array.tobytes()).hexdigest())

names = sys.argv[2:]  # of nodes and pipelines; none: all
wanted = [found for found in NODES if not names or found.name in names]
pipelines = [name for name in shipped_pipelines() if not names or name in names]
examples = [example for found in wanted for example in examples_of(found.domain, found.name)]
signals = {f"{k} {name}": array for k, example in enumerate(examples) for name, array in example.arrays.items()}
path = Path(sys.argv[1])  # the signals of the first machine: some are made by functions that differ from another's
if path.exists():
    signals = np.load(path)
else:
    np.savez(path, **signals)

for precision in ("float32", "float64"):
    for k, example in enumerate(examples):
        arrays = {name: signals[f"{k} {name}"] for name in example.arrays}
        show(f"{example} {precision}", example.graph(precision)(**arrays))
    for name in pipelines:
        for swap in variants(name):
            graph = load(name, [f"precision={precision}", *overrides(name)], swap).expose_all()
            show(f"{name} {swap} {precision}", graph(**example_signals(graph, lambda stream: speech()[8000:24000], 1)))
"""


def bits(signals: Path, names: tuple[str, ...], **environment: str) -> list[str]:
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE, signals, *names],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


THREADS = {"OMP_NUM_THREADS": "4"}
"""BLAS and torch with four threads."""

PLAIN = {
    "OMP_NUM_THREADS": "1",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR AVX2 FMA3 AVX512F AVX512_SKX",
    "NUMBA_CPU_NAME": "generic",
    "NUMBA_CPU_FEATURES": "",
    "OPENBLAS_CORETYPE": "Prescott",
    "ATEN_CPU_CAPABILITY": "default",
}
"""numpy and torch with one thread, without their AVX paths, numba and OpenBLAS for a generic processor: as on an older
machine."""

LIBRARY = {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-AVX,-FMA,-FMA4,-AVX512F,-AVX512VL,-AVX512DQ,-AVX512BW"}
"""The C library's exp, log, sin and so on without fused multiply-add: their last bits change."""

FOREIGN = {"cheaptrick", "d4c", "dio", "harvest", "rapt", "swipe", "world", "world_synthesis"}
"""Nodes and pipelines that run WORLD or SPTK, which call functions of the C library: the last bits depend on the
machine.
"""


A_FEW = ("lpc", "mulaw_decode", "stft", "pulse_noise", "mulaw_bits")
"""Nodes and pipelines whose code differs most among processors: sums, logarithms, exponentials, transforms, random
numbers.
"""


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.parametrize("names", [A_FEW, ()], ids=["a few", "all"])
def test_a_plainer_processor_gives_the_same_bits(names: tuple[str, ...], tmp_path: Path) -> None:
    """Results with four threads are those with one thread on a processor without AVX and fused multiply-add.

    Those of FOREIGN may differ if the C library has no fused multiply-add either. names: of nodes and pipelines; none:
    all.

    A table for decoding once depended on the last bit of numpy's expm1, which depends on AVX-512.
    """
    signals = tmp_path / "signals.npz"
    here = bits(signals, names, **THREADS)
    assert {_first_word(line) for line in here} >= set(names or {*registry.nodes(), *shipped_pipelines()})
    if (
        not names
    ):  # with other functions of the C library, which the few do not call, all but `FOREIGN` are the same too
        assert bits(signals, names, **PLAIN) == here
    plainest = bits(signals, names, **PLAIN, **LIBRARY)
    ours = [(one, other) for one, other in zip(plainest, here, strict=True) if _first_word(one) not in FOREIGN]
    assert len(ours) > (10 if names else 100)
    for found, expected in ours:
        assert found == expected


def _first_word(line: str) -> str:
    return line.partition(" ")[0].partition("(")[0]
