"""LPCNet's pitch."""

from fractions import Fraction

import numpy as np

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State, require_mono


def lpcnet_pitch(x: Array, lpc: Array, ahead: int = 0) -> tuple[Array, Array]:
    """Return pitch and correlation of every 160 samples of x, [ceil(n / 160), 1] each, as `LpcnetPitch` does.

    x: [n], full scale +-1, pre-emphasised; lpc: [ceil(n / 160), order + 1], rows (gain, a[1..order]); ahead: the number
    of later frames that the pitch of a frame depends on. Dynamic programming over correlations of the residual finds
    the lags T1 and T2, in samples, of the two halves of a frame. The pitch is (min(T1 + T2, 510) - 200) / 100; the
    correlation lies between -0.5 and about 0.5. Silence keeps the lags of the frame before it (at the start the longest
    lag, pitch 3.1) and has correlation -0.5. The results have the dtype of x (float32 for int16). Raises ValueError for
    another number of predictors.
    """
    from dspgraph_nodes._kernels.signal.lpcnet_pitch import LPCNET_HOP, last_pitches, search_pitch, start_search

    if len(lpc) != -(-len(x) // LPCNET_HOP):
        raise ValueError(
            f"lpcnet_pitch takes a predictor for every {LPCNET_HOP} samples or part of them: {len(x)} samples take "
            f"{-(-len(x) // LPCNET_HOP)}; found {len(lpc)}"
        )
    state = start_search(lpc.shape[1] - 1)
    first, last = search_pitch(state, x, lpc, ahead), last_pitches(state)
    pitch, correlation = (np.concatenate(both) for both in zip(first, last, strict=True))
    dtype = np.result_type(x, np.float32)
    return pitch.astype(dtype, copy=False), correlation.astype(dtype, copy=False)


class LpcnetPitch(Node):
    """Track LPCNet's pitch and its correlation, frame by frame as the signal arrives.

        e[n] = r[n] + 0.7 * r[n-1],    r[n] = s[n] + sum_i a[i] * s[n-i],    n = 160 * k - 80 .. 160 * k + 79 in frame k
        xc(T) = 2 * <e, e_T> / (1 + |e|**2 + |e_T|**2)    for each half of 80 samples; e_T: the samples T earlier

    s is the signal in the scale of 16-bit samples. Each xc is the largest of itself and two interpolations a third of a
    sample away. For T above 64, xc(T) is multiplied by 0.8 if it is below 1.1 times the largest xc near T / 2.

    A path has one lag T, 33 to 256 samples (485 to 62.5 Hz at 16 kHz), in each half frame. In each half frame it gains
    weight * xc(T); the two weights of a frame are proportional to |e|**2 and sum to 2. From one half to the next it
    pays 0.02 * d**2 for a change of T by d <= 4 samples. A larger change begins at the best path and costs 6, less the
    rise of the best score in the last half frame, as in the published program. Frame k takes its two lags T1 and T2
    from the best path up to the end of frame k + `ahead`: later frames tell which of several lags was right, most of
    all where a voice begins. The pitch of the frame is (min(T1 + T2, 510) - 200) / 100, which lies between -1.34 and
    3.1. The correlation of the frame is the weighted mean of its two xc, minus 0.5. A silent frame has weights of 0: it
    keeps the lags of the frame before it (256 samples at the start) and has correlation -0.5.

    x is the pre-emphasised signal of full scale +-1; the node multiplies it by 32768, because the 1 in xc is the energy
    of one 16-bit step. lpc has a predictor of x for every 160 samples, from a window centred on the start of the span;
    the samples n of frame k are centred there too.

    Source: J.-M. Valin and J. Skoglund, LPCNet: Improving Neural Speech Synthesis through Linear Prediction, ICASSP
    2019; the search is that of the newest program published with the paper, on one frame at a time. The search of the
    first such program goes back over the paths of four frames.
    """

    x = Input(Audio)
    lpc = Input(Frames, "lpc")
    pitch = Output(Frames, "pitch")
    correlation = Output(Frames, "correlation")

    ahead: int = Field(0, ge=0, le=100, description="later frames that a pitch depends on; 0 as in LPCNet")

    def streams(self, x: Audio, lpc: Frames) -> tuple[Frames, Frames]:
        from dspgraph_nodes._kernels.signal.lpcnet_pitch import LPCNET_HOP

        require_mono(x, self)
        if lpc.rate * LPCNET_HOP != x.rate:
            raise ParameterError(
                f"lpcnet_pitch takes a predictor every {LPCNET_HOP} samples; found {lpc} beside {x}: "
                f"cut the frames with hop {LPCNET_HOP}"
            )
        if lpc.centre != 0:
            raise ParameterError(
                f"lpcnet_pitch takes predictors of windows centred on the start of their span; found {lpc}: cut the "
                "frames with centre 0"
            )
        return lpc.like(kind="pitch", width=1, dtype=x.dtype), lpc.like(kind="correlation", width=1, dtype=x.dtype)

    def lookahead(self, x: Audio, lpc: Frames) -> Fraction:
        return self.ahead / lpc.rate

    def start(self, x: Audio, lpc: Frames) -> State:
        from dspgraph_nodes._kernels.signal.lpcnet_pitch import start_search

        return start_search(lpc.width - 1), x.dtype

    def step(self, state: State, x: Array, lpc: Array) -> tuple[State, Array, Array]:
        from dspgraph_nodes._kernels.signal.lpcnet_pitch import search_pitch

        search, dtype = state
        pitch, correlation = search_pitch(search, x, lpc, self.ahead)
        return state, pitch.astype(dtype, copy=False), correlation.astype(dtype, copy=False)

    def flush(self, state: State) -> tuple[Array, Array]:
        from dspgraph_nodes._kernels.signal.lpcnet_pitch import last_pitches

        search, dtype = state
        pitch, correlation = last_pitches(search)
        return pitch.astype(dtype, copy=False), correlation.astype(dtype, copy=False)
