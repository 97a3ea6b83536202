"""Splitting symbols into two halves of their bits."""

from dspgraph import Array, Input, Node, Output, ParameterError, State, Symbols
from dspgraph_nodes._kernels.signal.bits import bit_split


class BitSplit(Node):
    """Split symbols of an even number of bits, from 4 to 16, into a coarse and a fine half.

        coarse = c >> (bits / 2),    fine = c mod 2**(bits / 2),    bits = log2(number of levels of the input)

    A model that predicts the two halves needs two small softmaxes instead of one large one. `bit_join` is the inverse.

    Source: N. Kalchbrenner et al., "Efficient Neural Audio Synthesis", ICML 2018, arXiv:1802.08435 (dual softmax).
    """

    codes = Input(Symbols)
    coarse = Output(Symbols, "coarse")
    fine = Output(Symbols, "fine")

    def streams(self, codes: Symbols) -> tuple[Symbols, Symbols]:
        half = codes.like(size=1 << self._bits(codes) // 2)
        return half.like(kind="coarse"), half.like(kind="fine")

    def start(self, codes: Symbols) -> State:
        return self._bits(codes)

    def step(self, bits: State, codes: Array) -> tuple[State, Array, Array]:
        return bits, *bit_split(codes, bits)

    def _bits(self, codes: Symbols) -> int:
        bits = codes.size.bit_length() - 1
        if codes.size != 1 << bits or bits % 2 or not 4 <= bits <= 16:
            raise ParameterError(
                "bit_split takes symbols of 4, 6, ... 16 bits, so 16, 64, 256, 1024, 4096, 16384 or 65536 levels; "
                f"found {codes}: set their source to one of these sizes"
            )
        return bits
