"""The pipelines that use LPCNet's features, on the recording that the published program has processed too."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array, load
from dspgraph.engine.blocks import joined
from helpers import paths
from helpers.lpcnet import emphasised, features, pitches, predictors
from helpers.speech import speech

pytestmark = pytest.mark.thorough

GOLDEN = paths.GOLDEN / "lpcnet_features_arctic_a0007.npz"

# Frames 0, 60, 137 and 250 of the clip (read as int16; no dither, no high-pass), recorded from the published C program:
# the first six cepstral coefficients, the first five of the predictor.
FRAMES = [0, 60, 137, 250]
CEPSTRUM = [
    [0.842688, 0.25974, 1.55756, 1.05551, 0.440116, 0.461861],
    [8.53731, -1.61516, 0.426372, 3.58198, 2.29613, -0.408052],
    [-1.14646, 0.707542, 1.58503, 1.37112, 0.687632, 0.46259],
    [12.8155, 3.13739, -1.4375, 0.571029, -0.989762, -0.336582],
]
LPC = [
    [-0.23522, -0.10461, -0.18184, -0.15193, -0.16493],
    [-0.42745, 0.29156, 0.31459, -0.035486, -0.2443],
    [-0.43452, -0.12366, -0.093448, -0.15804, -0.15889],
    [-1.8421, 1.7053, -1.0317, 0.33257, -0.1228],
]


def found(precision: str = "float64", x: Array | None = None) -> dict[str, Array]:
    return load("lpcnet_features", [f"precision={precision}"])(speech=speech() if x is None else x)


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_features_are_those_of_the_published_program(precision: str) -> None:
    # Its floats leave 3.5e-6 in the cepstrum and 6.4e-4 in the predictor: measured in both precisions, for this clip.
    # Pure tones in float32 leave 5e-5 in the cepstrum.
    out = found(precision)
    assert {name: array.shape for name, array in out.items()} == {
        "cepstrum": (400, 18), "pitch": (400, 1), "correlation": (400, 1), "lpc": (400, 16),
    }  # fmt: skip
    assert_allclose(out["cepstrum"][FRAMES, :6], CEPSTRUM, rtol=5e-6, atol=1e-5)  # six digits were recorded
    assert_allclose(out["lpc"][FRAMES, :5], LPC, rtol=0, atol=2e-3)


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_every_frame_is_that_of_the_published_program_where_its_output_is_at_hand(precision: str) -> None:
    out = found(precision)
    # Without the file the definition written out stands for it, and is met more closely.
    x, cepstra, rows = features()
    expected = {"cepstrum": cepstra, "lpc": rows[:, 1:]}
    expected |= dict(zip(("pitch", "correlation"), pitches(x, rows), strict=True))
    if GOLDEN.is_file():
        with np.load(GOLDEN) as golden:
            expected = dict(golden)
    assert np.abs(out["cepstrum"] - expected["cepstrum"]).max() <= 1e-5  # measured 3.5e-6; float32 3.8e-6
    assert np.abs(out["lpc"] - expected["lpc"]).max() <= 2e-3  # measured 6.4e-4
    assert (np.abs(out["pitch"][:, 0] - expected["pitch"]) < 1e-3).sum() >= 399  # measured 400
    assert np.abs(out["correlation"][:, 0] - expected["correlation"]).max() <= 1e-4  # measured 1.3e-5


def test_it_streams_sample_by_sample_with_the_same_bits() -> None:
    x = speech()[16000:20100]
    graph = load("lpcnet_features")
    session = graph.session()
    parts = [session.push(speech=x[n : n + 1]) for n in range(len(x))]
    for name, array in joined([*parts, session.flush()]).items():
        assert_array_equal(array, found(x=x)[name])


def test_a_frame_is_out_with_its_last_sample() -> None:
    graph = load("lpcnet_features")
    assert graph.latency().seconds == 0
    session = graph.session()
    counts = [
        len(block["pitch"]) for block in (session.push(speech=speech()[n : n + 159]) for n in range(0, 1590, 159))
    ]
    assert sum(counts) == 1590 // 160


@pytest.mark.parametrize("n", [1, 2, 159, 160, 161, 321])
def test_a_signal_of_any_length_has_features_for_every_frame_begun(n: int) -> None:
    x = speech()[20000 : 20000 + n]
    out = found(x=x)
    assert all(len(array) == -(-n // 160) for array in out.values())
    expected = pitches(emphasised(x), predictors(out["cepstrum"]))
    assert_allclose(out["pitch"][:, 0], expected[0], rtol=0, atol=1e-12)
    assert_allclose(out["correlation"][:, 0], expected[1], rtol=0, atol=1e-9)


def test_silence_has_features_that_are_defined() -> None:
    out = found(x=np.zeros(4800))
    assert_allclose(out["cepstrum"], np.tile(np.r_[-2 * np.sqrt(18) - 4, np.zeros(17)], (30, 1)), rtol=0, atol=1e-14)
    assert_array_equal(out["pitch"], 3.1)  # (510 - 200) / 100
    assert_array_equal(out["correlation"], -0.5)
    assert_allclose(out["lpc"], predictors(out["cepstrum"])[:, 1:], rtol=0, atol=1e-12)


def snr(reference: Array, y: Array) -> float:
    error = y.astype(np.float64) - reference
    return float(10 * np.log10((reference**2).sum() / max((error**2).sum(), np.finfo(np.float64).tiny)))


@pytest.mark.parametrize(("precision", "least"), [("float64", 250), ("float32", 110)])
def test_the_vocoders_residual_gives_the_input_back(precision: str, least: float) -> None:
    x = speech()
    y = load("bark_lpc_vocoder", [f"precision={precision}"], {"excitation": "residual"})(speech=x)["speech"]
    assert len(y) == len(x)
    assert snr(x, y) > least  # measured 301 dB, 126 dB in float32


@pytest.mark.parametrize("excitation", ["pulse_noise", "whisper"])
def test_the_vocoder_gives_back_the_level_of_the_speech(excitation: str) -> None:
    # The gain is that of the signal, so unit power in gives its power out: within 1 dB.
    x = speech()
    y = load("bark_lpc_vocoder", (), {"excitation": excitation})(speech=x)["speech"]
    assert abs(10 * np.log10((y**2).mean() / (x**2).mean())) < 1


def test_the_vocoder_keeps_silence() -> None:
    for excitation in ("pulse_noise", "whisper", "residual", "mulaw_residual"):
        y = load("bark_lpc_vocoder", (), {"excitation": excitation})(speech=np.zeros(5000))["speech"]
        assert not y.any(), excitation
