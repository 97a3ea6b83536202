"""Benchmark of LPCNet's features, and of conversions of prediction coefficients.

The speed of the features is given in seconds of speech per CPU second. Only the conversions are compared with pysptk.
"""

import numpy as np
import pysptk
import soundfile

from benchmarks.measure import Row, faster, milliseconds
from dspgraph import Array, load
from dspgraph_nodes._kernels.signal.windows import window_values
from dspgraph_nodes.emphasis.preemphasis import preemphasis
from dspgraph_nodes.envelope.bark_cepstrum import bark_cepstrum
from dspgraph_nodes.envelope.bark_cepstrum_to_lpc import bark_cepstrum_to_lpc
from dspgraph_nodes.envelope.lpc_to_lsf import lpc_to_lsf
from dspgraph_nodes.envelope.lpc_to_parcor import lpc_to_parcor
from dspgraph_nodes.framing.frame import frame
from dspgraph_nodes.pitch.lpcnet_pitch import lpcnet_pitch

LEAST = 300  # seconds of speech per CPU second
LEAST_LIVE = 50  # seconds of speech per CPU second, in blocks of 10 ms: six nodes are called for each block


def rows() -> list[Row]:
    """Measure LPCNet's features and conversions of prediction coefficients; return the rows of the table.

    The features are computed by functions, by the pipeline on the whole signal, and by the pipeline on blocks of 10 ms.
    """
    x, rate = soundfile.read(pysptk.util.example_audio_file())
    window = window_values("vorbis", "none", 320, x.dtype)
    graph = load("lpcnet_features")

    def functions() -> tuple[Array, Array, Array, Array]:
        emphasised = preemphasis(x, 0.85)
        cepstrum = bark_cepstrum(frame(emphasised, window, 160, -160))
        lpc = bark_cepstrum_to_lpc(cepstrum)
        return cepstrum, *lpcnet_pitch(emphasised, lpc), lpc[:, 1:]

    def live() -> None:
        session = graph.session()
        for n in range(0, len(x), 160):
            session.push(speech=x[n : n + 160])
        session.flush()

    for found, expected in zip(functions(), graph(speech=x).values(), strict=True):
        assert np.array_equal(found, expected)
    lpc = bark_cepstrum_to_lpc(functions()[0])
    times = milliseconds(
        [
            functions,
            lambda: graph(speech=x),
            live,
            lambda: lpc_to_lsf(lpc),
            lambda: [pysptk.lpc2lsp(row, numsp=512, maxiter=20) for row in lpc],
            lambda: lpc_to_parcor(lpc),
            lambda: [pysptk.lpc2par(row) for row in lpc],
        ]
    )
    expected = np.array([pysptk.lpc2lsp(row, numsp=512, maxiter=20) for row in lpc])
    assert np.abs(lpc_to_lsf(lpc) - expected).max() <= 1e-6  # pysptk's bisection stops at this error
    assert np.abs(lpc_to_parcor(lpc) - [pysptk.lpc2par(row) for row in lpc]).max() <= 1e-12
    seconds = len(x) / rate
    return [
        _speed("LPCNet features: functions", times[0], seconds, LEAST),
        _speed("LPCNet features: the pipeline", times[1], seconds, LEAST),
        _speed("LPCNet features: the pipeline in blocks of 10 ms", times[2], seconds, LEAST_LIVE),
        faster("lpc_to_lsf, 400 frames of order 16: pysptk", times[3], times[4], 10),
        faster("lpc_to_parcor, 400 frames of order 16: pysptk", times[5], times[6], 5),
    ]


def _speed(name: str, taken: float, seconds: float, least: float) -> Row:
    """Return a row with the promise of at least `least` seconds of speech per CPU second.

    taken: the measured CPU time, ms; seconds: the duration of the speech.
    """
    figure = 1e3 * seconds / taken
    return Row(name, taken, float("nan"), "ms", figure, f">= {least:g} s/s", figure >= least)
