"""Benchmark of mel-cepstral analysis and MLSA synthesis of 4 s of speech, compared with pysptk."""

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pysptk
import soundfile
from pysptk.synthesis import MLSADF, Synthesizer

from benchmarks.measure import Row, faster, milliseconds
from dspgraph import Array
from dspgraph_nodes._kernels.signal.freqt import freqt, mc2b, mel_cosines
from dspgraph_nodes._kernels.signal.mlsa import initial_state
from dspgraph_nodes._kernels.signal.windows import window_values
from dspgraph_nodes.envelope.mcep import mcep
from dspgraph_nodes.filter.mlsa import MlsaState, mlsa
from dspgraph_nodes.framing.frame import frame

ORDER, ALPHA, LENGTH, HOP, LAGS = 24, 0.42, 512, 80, 255


def rows() -> list[Row]:
    """Measure mel-cepstral analysis and synthesis, and return the rows of the table of results.

    The rows are about the analysis, the MLSA filter with Pade orders 4 and 5, and two conversions. The results are
    first compared with those of pysptk.
    """
    x, _ = soundfile.read(pysptk.util.example_audio_file())
    frames = frame(x, window_values("blackman", "power", LENGTH, x.dtype), HOP, HOP - LENGTH // 2)
    count = len(frames)
    found, expected = mcep(frames, ORDER, ALPHA), _frame_by_frame(frames)
    difference = (found - expected) @ mel_cosines(LENGTH, ORDER, ALPHA)
    assert 20 / np.log(10) * np.sqrt((difference**2).mean(axis=1)).max() <= 1e-3  # dB
    ours, alone, peer = milliseconds(
        [
            lambda: mcep(frames, ORDER, ALPHA),
            lambda: [mcep(frames[k : k + 1], ORDER, ALPHA) for k in range(count)],
            lambda: _frame_by_frame(frames),
        ],
        repeats=9,
    )
    return [
        faster(f"mcep, {count} frames of {LENGTH}, order {ORDER}: pysptk", ours, peer, 2.5),
        faster("mcep, one frame at a time: pysptk", alone, peer, 1),
        *(_synthesis(len(x), found, pade) for pade in (4, 5)),
        *_conversions(found),
    ]


def _frame_by_frame(frames: Array) -> Array:
    return np.array([pysptk.mcep(x, ORDER, ALPHA) for x in frames])


def _synthesis(n: int, cepstra: Array, pade: int) -> Row:
    source = np.random.default_rng(0).standard_normal(n // HOP * HOP)
    b = mc2b(cepstra, ALPHA)

    def ours() -> Array:
        return mlsa(source, cepstra, Fraction(1, HOP), ALPHA, pade, MlsaState(initial_state(ORDER)))

    def theirs() -> Array:
        y: Array = Synthesizer(MLSADF(order=ORDER, alpha=ALPHA, pd=pade), HOP).synthesis(source, b)
        return y

    expected = theirs()
    assert np.abs(ours() - expected).max() <= 1e-10 * np.abs(expected).max()
    mine, peer = milliseconds([ours, theirs], repeats=9)
    return faster(f"mlsa, {n / 16000:g} s, order {ORDER}, Pade {pade}: pysptk", mine, peer, 8)


def _hundred_times(run: Callable[[], object]) -> None:
    """Call a function a hundred times, because one call takes too little time to be measured."""
    for _ in range(100):
        run()


def _conversions(cepstra: Array) -> list[Row]:
    assert np.array_equal(mc2b(cepstra, ALPHA), [pysptk.mc2b(c, ALPHA) for c in cepstra])
    expected = np.array([pysptk.freqt(c, LAGS, -ALPHA) for c in cepstra])
    assert np.abs(freqt(cepstra, LAGS, -ALPHA) - expected).max() <= 4e-15 * max(1, np.abs(expected).max())
    b, b_peer, warped, warped_peer = milliseconds(
        [
            lambda: _hundred_times(lambda: mc2b(cepstra, ALPHA)),
            lambda: [pysptk.mc2b(c, ALPHA) for c in cepstra],
            lambda: _hundred_times(lambda: freqt(cepstra, LAGS, -ALPHA)),
            lambda: [pysptk.freqt(c, LAGS, -ALPHA) for c in cepstra],
        ]
    )
    return [
        faster(f"mc2b, {len(cepstra)} rows of order {ORDER}: pysptk", b / 100, b_peer, 50),
        faster(f"freqt, order {ORDER} to {LAGS}: pysptk", warped / 100, warped_peer, 50),
    ]
