"""mu-law expansion."""

from dspgraph import Array, Audio, Field, Input, Node, Output, ParameterError, State, Symbols
from dspgraph_nodes._kernels.signal.mulaw import mulaw_decode


class MulawDecode(Node):
    """Expand mu-law codes to audio: the inverse of `mulaw_encode` with the same peak.

        x = sgn(c - h) * (peak / mu) * (exp(|c - h| / h * ln(1 + mu)) - 1),    h = levels / 2,    mu = levels - 1

    The input stream says how many levels its codes have. Code 0 gives -peak. The last code gives a sample just below
    +peak: 0.957 * peak with 256 levels.

    Source: A. van den Oord et al., "WaveNet: A Generative Model for Raw Audio", arXiv:1609.03499, 2016 (the inverse of
    its formula).
    """

    codes = Input(Symbols, "mulaw")
    y = Output(Audio)

    peak: float = Field(1.0, ge=1e-6, le=1e6, description="amplitude of full scale, as in mulaw_encode")

    def streams(self, codes: Symbols) -> tuple[Audio]:
        if codes.size < 2 or codes.size & (codes.size - 1):
            raise ParameterError(
                f"mulaw_decode takes codes of 2, 4, 8 ... levels; found {codes}: wire it to a 'mulaw_encode'"
            )
        return (Audio(rate=codes.rate, dtype=codes.precision),)

    def start(self, codes: Symbols) -> State:
        return codes.size, codes.precision

    def step(self, state: State, codes: Array) -> tuple[State, Array]:
        levels, precision = state
        return state, mulaw_decode(codes, levels, self.peak, precision)
