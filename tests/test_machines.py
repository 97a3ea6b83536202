"""The machine changes nothing: the same bits with and without the widest vectors of this one."""

import os
import subprocess
import sys

CODE = """
import hashlib
from dspgraph import load
from dspgraph.document import shipped
from dspgraph.pipeline import variants
from dspgraph.testing import example_signals
from speech import speech
from test_laws import NODES, examples_of

def show(name, outputs):
    for output, array in outputs.items():
        print(name, output, hashlib.sha256(array.tobytes()).hexdigest())

for precision in ("float32", "float64"):
    for found in NODES:
        for example in examples_of(found.domain, found.name):
            show(f"{example} {precision}", example.render(precision))
    for name in shipped():
        for swap in variants(name):
            graph = load(name, [f"precision={precision}"], swap).tapped()
            signals = example_signals(graph, lambda stream: speech()[8000:24000], 1)
            show(f"{name} {swap} {precision}", graph(**signals))
"""


def bits(**environment: str) -> list[str]:
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )
    return done.stdout.splitlines()


def test_a_plainer_processor_gives_the_same_bits() -> None:
    """numpy and the C library without their AVX and FMA paths, numba for a generic processor: as on an older machine.

    This is how numpy's expm1, whose last bit depends on AVX-512, was found in a decoding table.
    """
    plain = bits(
        NPY_DISABLE_CPU_FEATURES="X86_V3 X86_V4 AVX512_ICL AVX512_SPR AVX2 FMA3 AVX512F AVX512_SKX",
        NUMBA_CPU_NAME="generic",
        NUMBA_CPU_FEATURES="",
        GLIBC_TUNABLES="glibc.cpu.hwcaps=-AVX2,-AVX,-FMA,-FMA4,-AVX512F,-AVX512VL,-AVX512DQ,-AVX512BW",
        OPENBLAS_CORETYPE="Prescott",
        ATEN_CPU_CAPABILITY="default",
    )
    assert len(plain) > 100
    assert plain == bits()
