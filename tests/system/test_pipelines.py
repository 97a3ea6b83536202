"""The shipped pipelines on real speech: their properties, and that no cut changes a sample."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr

from dspgraph import Array, Audio, Graph, load
from dspgraph.engine.blocks import QUANTUM, blocks_of
from dspgraph.io.audio import AudioSource
from dspgraph.pipeline.pipeline import variants
from dspgraph.registry import shipped_pipelines
from dspgraph.testing import check_cut, check_graph
from helpers.networks import overrides
from helpers.speech import speech

OTHER_INPUTS = {"gansynth_blend", "gansynth_notes", "noisy", "wavenet_blend"}
"""Pipelines whose input is not one recording. That no cut changes them is checked in test_gansynth_notes.py,
test_everyday_pipelines.py and tests/nodes/mix/test_blend_frames.py."""

EVERY = [(name, swap) for name in shipped_pipelines() if name not in OTHER_INPUTS for swap in variants(name)]
NAMES = [" ".join([name, *(f"{slot}={variant}" for slot, variant in swap.items())]) for name, swap in EVERY]
OTHER_VARIANTS_SLOW = [pytest.param(name, swap, marks=[pytest.mark.slow] if swap else []) for name, swap in EVERY]
"""All of `EVERY`; the fast tests take each pipeline once, as it is without a swap."""


def at_rate(graph: Graph, samples: Array) -> dict[str, Array]:
    ((name, stream),) = graph.inputs.items()
    return {name: soxr.resample(samples, 16000, float(stream.rate), "HQ").astype(stream.dtype)}


@pytest.mark.thorough
@pytest.mark.parametrize("precision", [pytest.param("float32", marks=pytest.mark.slow), "float64"])
@pytest.mark.parametrize(("name", "swap"), OTHER_VARIANTS_SLOW, ids=NAMES)
def test_no_cut_changes_a_shipped_pipeline(name: str, swap: dict[str, str], precision: str) -> None:
    """Samples are the same at every cut, for 5 different signals in batches of 3, and after a snapshot."""
    graph = load(name, [f"precision={precision}", *overrides(name)], swap)
    check_graph(graph, at_rate(graph, speech()[8000:11177]))


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Return rate -> file with a quarter of a second of real speech at that rate, 24 bits."""
    folder = tmp_path_factory.mktemp("recordings")
    files = {}
    for rate in (48000, 22050, 11025):
        files[rate] = folder / f"{rate}.wav"
        soundfile.write(files[rate], soxr.resample(speech()[8000:12000], 16000, rate, "HQ"), rate, "PCM_24")
    return files


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("rate", "precision"),
    [
        (22050, "float32"),
        pytest.param(48000, "float64", marks=pytest.mark.slow),
        pytest.param(11025, "float64", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(("name", "swap"), OTHER_VARIANTS_SLOW, ids=NAMES)
def test_no_cut_changes_a_shipped_pipeline_on_files_of_other_rates(
    name: str, swap: dict[str, str], rate: int, precision: str, recordings: dict[int, Path]
) -> None:
    """No cut changes a sample for files at their own rate, and for files that are converted to 16 kHz.

    The cuts include quanta of 10 ms: 220.5 samples at 22050 Hz.
    """
    for own in ([f"rate={rate}", *overrides(name, rate)], overrides(name)):
        graph = load(name, [f"precision={precision}", *own], swap)
        ((key, stream),) = graph.inputs.items()
        assert isinstance(stream, Audio)
        signals = {key: AudioSource(recordings[rate], stream).read()}
        if stream.rate == rate:  # the graph at 16 kHz was put to every check above
            check_graph(graph, signals, cuts=(441,))
        quanta = [len(block[key]) for block in blocks_of(graph, signals, [QUANTUM] * 20)]
        assert abs(np.mean(quanta[:20]) - float(stream.rate) / 100) < 0.1
        check_cut(graph, signals, quanta)


def snr(reference: Array, found: Array) -> float:
    error = found.astype(np.float64) - reference
    return float(10 * np.log10((reference**2).sum() / max((error**2).sum(), np.finfo(np.float64).tiny)))


@pytest.mark.parametrize(("precision", "least"), [("float64", 100), ("float32", 60)])
def test_residual_excitation_reconstructs_the_input(precision: str, least: float) -> None:
    x = speech()
    y = load("lpc_vocoder", [f"precision={precision}"], {"excitation": "residual"})(speech=x)["speech"]
    assert len(y) == len(x)
    assert snr(x, y) >= least
    for shift in (-1, 1):
        assert snr(x, np.roll(y, shift)) < 30, "one sample of shift would be heard in the number"


def test_8_bits_of_mulaw_cost_the_snr_they_are_known_to_leave() -> None:
    """The SNR is 34 to 40 dB, with at most 256 values: 8-bit mu-law leaves 38 dB at any level well inside its range."""
    x = speech()
    y = load("mulaw_bits", ["levels=256"])(speech=x)["speech"]
    assert 34 <= snr(x, y) <= 40
    assert len(np.unique(y)) <= 256


def test_mulaw_residual_is_between_the_residual_and_the_model() -> None:
    x = speech()
    found = {
        name: snr(x, load("lpc_vocoder", (), {"excitation": name})(speech=x)["speech"])
        for name in ("residual", "mulaw_residual", "pulse_noise")
    }
    assert found["residual"] > 100 > found["mulaw_residual"] > 10 > found["pulse_noise"]


@pytest.mark.parametrize("excitation", ["pulse_noise", "whisper"])
def test_a_unit_power_excitation_gives_back_the_level_of_the_speech(excitation: str) -> None:
    """The output has the power of the speech, to 3 dB.

    The gain is the RMS of the prediction error, so an excitation of power 1 gives this power.
    """
    x = speech()
    y = load("lpc_vocoder", (), {"excitation": excitation})(speech=x)["speech"]
    assert abs(10 * np.log10((y**2).mean() / (x**2).mean())) < 3


def test_unused_stages_do_not_run() -> None:
    """If the excitation needs no pitch, which waits for later frames, the vocoder waits for the frames of lpc only."""
    assert load("lpc_vocoder").latency().seconds > Fraction(1, 10)
    streaming = load("lpc_vocoder", (), {"excitation": "residual"})
    assert "pitch" in streaming.unused
    assert streaming.latency().seconds == Fraction(1, 100) + Fraction(1, 200) - Fraction(1, 16000)


def test_inverse_filter_then_allpole_is_the_identity() -> None:
    graph = load("lpc_vocoder", (), {"excitation": "residual"})
    tapped = graph.expose_all()(speech=speech())
    np.testing.assert_allclose(tapped["synth.y"], tapped["pre.y"], atol=1e-12)


@pytest.mark.parametrize(("name", "swap"), EVERY, ids=NAMES)
def test_silence_stays_silence(name: str, swap: dict[str, str]) -> None:
    """An audio output is at most 1e-7, because a mel-cepstrum makes -147 dB of silence; features are finite.

    The audio of pipelines with random weights, which know no silence, must only be finite.
    """
    graph = load(name, overrides(name), swap)
    drawn = bool(overrides(name)) or "lpcnet" in swap.values()  # by a network of random weights, which knows no silence
    for output, array in graph(speech=np.zeros(5000)).items():
        assert np.isfinite(array).all()
        if isinstance(graph.outputs[output], Audio) and not drawn:
            assert np.abs(array).max() <= 1e-7


def test_a_pipeline_renders_at_48_khz_in_float32() -> None:
    graph: Any = load("lpc_vocoder", ["rate=48000", "hop=480", "length=960", "order=32", "precision=float32"])
    assert graph.inputs["speech"] == Audio(Fraction(48000), dtype=np.dtype(np.float32))
    out = graph(**at_rate(graph, speech()[:16000]))["speech"]
    assert out.dtype == np.float32
    assert np.isfinite(out).all()


@pytest.mark.parametrize("name", ["lpc_vocoder", "bark_lpc_vocoder", "mcep_mlsa", "f0"])
def test_a_vocoder_with_pulses_runs_live(name: str) -> None:
    # pYIN waits for 0.1 s and half a frame; match_level in mcep_mlsa for half of its window of 0.24 s.
    assert load(name).latency().seconds < (0.31 if name == "mcep_mlsa" else 0.15)
    for slow in ("rapt", "swipe"):
        assert load(name, swap={"pitch": slow}).latency().seconds == np.inf
