from typing import Any

import numpy as np
import pytest

from dspgraph import Graph, ParameterError, Symbols
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.bits import bit_join, bit_split
from dspgraph_nodes._kernels.signal.mulaw import mulaw_encode
from dspgraph_nodes.codes.bit_join import BitJoin
from helpers.speech import speech

COARSE, FINE = bit_split(mulaw_encode(speech(5003)), 8)
EXAMPLES = [Example(BitJoin(), coarse=(Symbols(16000, "coarse", 16), COARSE), fine=(Symbols(16000, "fine", 16), FINE))]


@pytest.mark.parametrize("dtype", [np.int16, np.int64, np.uint8, np.uint64])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", range(4, 17, 2))
def test_every_pair_has_a_value_of_its_own(bits: int, signed: bool, dtype: Any) -> None:
    half = 1 << bits // 2
    coarse, fine = np.repeat(np.arange(half), half).astype(dtype), np.tile(np.arange(half), half).astype(dtype)
    codes = bit_join(coarse, fine, bits, signed)
    assert codes.dtype == np.int64
    low = -(1 << bits - 1) if signed else 0
    assert np.array_equal(codes, np.arange(low, low + half * half))


def test_halves_out_of_range_are_named() -> None:
    with pytest.raises(ValueError, match=r"fine halves of 8-bit codes .*; item 1 is 16"):
        bit_join(np.array([0, 1]), np.array([0, 16]), 8)


def test_the_joined_symbols_have_twice_the_bits() -> None:
    graph = EXAMPLES[0].graph()
    assert graph.outputs["codes"] == Symbols(16000, "mulaw", 256)
    assert np.array_equal(EXAMPLES[0].render()["codes"], mulaw_encode(speech(5003)))


@pytest.mark.parametrize(
    ("coarse", "fine", "message"),
    [
        (Symbols(16000, "coarse", 16), Symbols(16000, "fine", 64), "halves of one rate and size"),
        (Symbols(16000, "coarse", 16), Symbols(8000, "fine", 16), "halves of one rate and size"),
        (Symbols(16000, "coarse", 512), Symbols(16000, "fine", 512), "take both halves from one 'bit_split'"),
        (Symbols(16000, "coarse", 20), Symbols(16000, "fine", 20), "take both halves from one 'bit_split'"),
    ],
)
def test_halves_that_do_not_fit_are_refused(coarse: Symbols, fine: Symbols, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Graph({"join": BitJoin()}, {"join.coarse": "c", "join.fine": "f"}, {"c": coarse, "f": fine}, {"codes": "join"})
