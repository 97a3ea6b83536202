import numpy as np
import pytest

from dspgraph import Audio, Graph, ParameterError, Symbols
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.mulaw import mulaw_decode, mulaw_encode
from dspgraph_nodes.codes.mulaw_decode import MulawDecode
from helpers.speech import speech

EXAMPLES = [
    Example(MulawDecode(), codes=(Symbols(16000, "mulaw", 256), mulaw_encode(speech(5003)))),
    Example(
        MulawDecode(peak=32768.0),
        codes=(Symbols(22050, "mulaw", 1024), mulaw_encode(speech(4001), 1024)),
    ),
]


def test_the_curve_is_librosas() -> None:
    # librosa 0.11.0: librosa.mu_expand((codes - 128) / 128, mu=255, quantize=False)
    codes = np.array([0, 1, 50, 127, 128, 129, 200, 254, 255])
    expanded = [
        -1.0, -9.57437019e-01, -1.11153449e-01, -1.73622676e-04, 0.0,
        1.73622676e-04, 8.48134000e-02, 9.16678569e-01, 9.57437019e-01,
    ]  # fmt: skip
    np.testing.assert_allclose(mulaw_decode(codes), expanded, rtol=1e-8)  # nine digits are recorded


def test_lpcnet_scale() -> None:
    # LPCNet's table, int16 scale: code 0 is -32768 and code 255 +31373, to the nearest integer.
    assert np.round(mulaw_decode(np.array([0, 128, 255]), peak=32768.0)).tolist() == [-32768, 0, 31373]


def test_speech_keeps_the_snr_of_eight_bit_companding() -> None:
    # A code is a step of ln(256) / 128 = 4.3 % of the sample, so the error is 4.3 % / sqrt(12) = 1.25 % RMS of it:
    # 38.06 dB for large samples, a little less near the floor of 1/255. Measured 37.83 dB.
    x = speech()
    error = mulaw_decode(mulaw_encode(x)) - x
    assert 10 * np.log10(np.mean(x**2) / np.mean(error**2)) > 37.5


def test_codes_out_of_range_are_named() -> None:
    with pytest.raises(ValueError, match=r"0 to 255; item 1 is -1"):
        mulaw_decode(np.array([0, -1, 300]))


def test_codes_of_no_mulaw_size_are_refused_with_the_way_out() -> None:
    with pytest.raises(ParameterError, match=r"takes codes of 2, 4, 8 ... levels; found Symbols\('mulaw', 1000 levels"):
        Graph({"mu": MulawDecode()}, {"mu.codes": "c"}, {"c": Symbols(16000, "mulaw", 1000)}, {"y": "mu"})


def test_the_precision_is_that_of_the_samples_the_codes_stand_for() -> None:
    codes = Symbols(16000, "mulaw", 256, np.float32)
    graph = Graph({"mu": MulawDecode()}, {"mu.codes": "c"}, {"c": codes}, {"y": "mu"})
    assert graph.outputs["y"] == Audio(16000, dtype=np.float32)
