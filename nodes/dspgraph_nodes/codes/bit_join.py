"""Joining two halves into one symbol."""

from dspgraph import Array, Field, Input, Node, Output, ParameterError, State, Symbols
from dspgraph_nodes._kernels.signal.bits import bit_join


class BitJoin(Node):
    """Join a coarse and a fine half into one symbol: the inverse of `bit_split`.

        c = coarse * 2**(bits / 2) + fine

    The joined symbol c has `bits` bits; both halves have bits / 2, from 2 to 8.

    Source: N. Kalchbrenner et al., "Efficient Neural Audio Synthesis", ICML 2018, arXiv:1802.08435 (dual softmax).
    """

    coarse = Input(Symbols, "coarse")
    fine = Input(Symbols, "fine")
    codes = Output(Symbols)

    kind: str = Field("mulaw", min_length=1, description="kind of the joined symbols, as before the split")

    def streams(self, coarse: Symbols, fine: Symbols) -> tuple[Symbols]:
        if (coarse.rate, coarse.size) != (fine.rate, fine.size):
            raise ParameterError(f"bit_join takes halves of one rate and size; found {coarse} and {fine}")
        return (coarse.like(kind=self.kind, size=1 << 2 * self._half(coarse)),)

    def start(self, coarse: Symbols, fine: Symbols) -> State:
        return 2 * self._half(coarse)

    def step(self, bits: State, coarse: Array, fine: Array) -> tuple[State, Array]:
        return bits, bit_join(coarse, fine, bits)

    def _half(self, coarse: Symbols) -> int:
        bits = coarse.size.bit_length() - 1
        if coarse.size != 1 << bits or not 2 <= bits <= 8:
            raise ParameterError(
                f"bit_join takes halves of 2 to 8 bits, so 4, 8, 16, 32, 64, 128 or 256 levels; found {coarse}: "
                "take both halves from one 'bit_split'"
            )
        return bits
