from typing import Any

import numpy as np
import pytest

from dspgraph import Graph, ParameterError, Symbols
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.bits import bit_join, bit_split
from dspgraph_nodes._kernels.signal.mulaw import mulaw_encode
from dspgraph_nodes.codes.bit_split import BitSplit
from helpers.speech import speech

EXAMPLES = [
    Example(BitSplit(), codes=(Symbols(16000, "mulaw", 256), mulaw_encode(speech(5003)))),
    Example(BitSplit(), codes=(Symbols(16000, "pcm", 65536), np.arange(4001) * 16)),
]

EVEN = range(4, 17, 2)


def test_known_values() -> None:
    # 34 = 4 * 8 + 2; the signed 6-bit sample 2 is 2 + 32 = 34 on the unsigned scale.
    for codes, signed in ((34, False), (2, True)):
        assert [half.item() for half in bit_split(np.array([codes]), 6, signed)] == [4, 2]


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.int64, np.uint16])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", EVEN)
def test_every_value_has_a_pair_of_its_own(bits: int, signed: bool, dtype: Any) -> None:
    low = -(1 << bits - 1) if signed else 0
    codes = np.arange(low, low + (1 << bits))
    codes = codes[(np.iinfo(dtype).min <= codes) & (codes <= np.iinfo(dtype).max)].astype(dtype)
    coarse, fine = bit_split(codes, bits, signed)
    for half in (coarse, fine):
        assert half.dtype == np.int64
        assert half.min() >= 0
        assert half.max() < 1 << bits // 2
    assert len(set(zip(coarse.tolist(), fine.tolist(), strict=True))) == len(codes)
    assert np.array_equal(bit_join(coarse, fine, bits, signed), codes)


@pytest.mark.parametrize(("signed", "bad"), [(False, -1), (False, 64), (True, -33), (True, 32), (False, 2**63)])
def test_values_out_of_range_are_named(signed: bool, bad: int) -> None:
    codes = np.array([3, bad, bad], dtype=np.uint64 if bad > 2**62 else np.int64)
    with pytest.raises(ValueError, match=f"6-bit codes .*; item 1 is {bad}$"):
        bit_split(codes, 6, signed)


def test_floats_are_refused() -> None:
    with pytest.raises(ValueError, match="found an array of float64"):
        bit_split(np.array([1.0]), 8)


@pytest.mark.parametrize("size", [8, 32, 100, 4, 262144])
def test_sizes_without_an_even_number_of_bits_are_refused(size: int) -> None:
    with pytest.raises(ParameterError, match=f"found Symbols\\('mulaw', {size} levels, 16000 Hz\\): set their source"):
        Graph({"split": BitSplit()}, {"split.codes": "c"}, {"c": Symbols(16000, "mulaw", size)}, {"f": "split.fine"})
