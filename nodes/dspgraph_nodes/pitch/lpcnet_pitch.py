"""LPCNet's pitch."""

import numpy as np

from dspgraph import Array, Audio, Frames, Input, Node, Output, ParameterError, State, require_mono


def lpcnet_pitch(x: Array, lpc: Array) -> tuple[Array, Array]:
    """Return pitch and correlation of every 160 samples, by dynamic programming over correlations of the residual.

    x: [n], full scale +-1, pre-emphasised; lpc: [ceil(n / 160), order + 1], rows (gain, a[1..order]). Returns pitch,
    (min(T1 + T2, 510) - 200) / 100 with the lags T1 and T2 of the two half frames in samples, and correlation, -0.5 to
    about 0.5: [ceil(n / 160), 1] each, in the dtype of x (float32 of int16). Silence keeps the lags before it (at the
    start the longest, pitch 3.1) and has correlation -0.5. Raises ValueError for another number of predictors.
    """
    from dspgraph_nodes._kernels.signal.lpcnet_pitch import LPCNET_HOP, search_pitch, start_search

    if len(lpc) != -(-len(x) // LPCNET_HOP):
        raise ValueError(
            f"lpcnet_pitch takes a predictor for every {LPCNET_HOP} samples or part of them: {len(x)} samples take "
            f"{-(-len(x) // LPCNET_HOP)}; found {len(lpc)}"
        )
    pitch, correlation = search_pitch(start_search(lpc.shape[1] - 1), x, lpc)
    dtype = np.result_type(x, np.float32)
    return pitch.astype(dtype, copy=False), correlation.astype(dtype, copy=False)


class LpcnetPitch(Node):
    """Track LPCNet's pitch and its correlation, frame by frame as the signal arrives.

        e[n] = r[n] + 0.7 r[n-1],    r[n] = s[n] + sum_k a[k] s[n-k],    s = samples 160 k - 80 .. 160 k + 79
        xc(T) = 2 <e, e_T> / (1 + |e|**2 + |e_T|**2)    for both halves of 80 samples, e_T: T samples earlier

    Each xc is the largest of itself and two interpolations a third of a sample away. A lag above 64 loses a fifth of
    its xc if half the lag has nearly as much. The path through the half frames gains |e|**2 xc, with the weights of a
    frame scaled to sum to 2, and pays 0.02 d**2 for a move of d <= 4 samples, or 6 for any other. Frame k takes its two
    lags from the best path so far, T from 33 to 256 samples: 62.5 to 485 Hz at 16 kHz. Its pitch is (T1 + T2 - 200) /
    100, T1 + T2 limited to 510, so -1.34 to 3.1. Its correlation is the weighted mean of the two xc, minus 0.5. Silence
    has weights of 0: it keeps the lags before it (256 samples at the start) and has correlation -0.5.

    x is the pre-emphasised signal of full scale +-1; the node multiplies it by 32768, because the 1 above is one step
    of 16 bits. lpc is its predictor every 160 samples, with windows centred on the start of the span, as the window of
    e is.

    Source: J.-M. Valin and J. Skoglund, LPCNet: Improving Neural Speech Synthesis through Linear Prediction, ICASSP
    2019; the search is that of the newest program published with it, with one frame at a time.
    """

    x = Input(Audio)
    lpc = Input(Frames, "lpc")
    pitch = Output(Frames, "pitch")
    correlation = Output(Frames, "correlation")

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

    def start(self, x: Audio, lpc: Frames) -> State:
        from dspgraph_nodes._kernels.signal.lpcnet_pitch import start_search

        return start_search(lpc.width - 1)

    def step(self, state: State, x: Array, lpc: Array) -> tuple[State, Array, Array]:
        from dspgraph_nodes._kernels.signal.lpcnet_pitch import search_pitch

        pitch, correlation = search_pitch(state, x, lpc)
        return state, pitch.astype(x.dtype, copy=False), correlation.astype(x.dtype, copy=False)
