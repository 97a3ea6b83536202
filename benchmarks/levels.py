"""Table of the level and the peak of the output of every shipped vocoder for difficult recordings.

    python -m benchmarks.levels                 # all recordings and vocoders, in float64 and float32: minutes
    python -m benchmarks.levels tone mcep_mlsa  # the recordings named tone..., through the vocoder mcep_mlsa

Every number compares the output with the input, in dB, above 20 Hz only: a vocoder need not keep a constant offset or
rumble. The level is the mean power of the whole recording, or of the part with a tone ("in the tone"). If the input has
an offset, its peak is a range, from the peak above 20 Hz to the peak of the unfiltered samples; the number of an output
whose peak lies in this range is 0. A row outside the bounds has the mark OUT. At the end, the table has the extremes of
every vocoder. The exit code is 1 if a row is outside the bounds.

Every shipped pipeline that makes audio is in VOCODERS, or in LEFT_OUT with a reason.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import repeat
from pathlib import Path

import numpy as np
import soundfile
import soxr
from scipy.signal import butter, sosfiltfilt

from dspgraph import Array, Audio, Graph, load
from dspgraph.io.audio import AudioSource, example_speech
from dspgraph.pipeline.pipeline import variants

LEVEL, PEAK, TONE = 1.0, 6.0, 3.0
"""Bounds of the level, of the peak, and of the level in a tone, dB."""

VOCODERS = (
    "lpc_vocoder", "bark_lpc_vocoder", "mcep_mlsa", "mlpg_mcep", "world", "griffin_lim", "mel_vocoder", "gansynth",
    "gansynth_if", "gansynth_mel", "mulaw_bits",
)  # fmt: skip
"""The shipped pipelines from speech to speech that are in the table; see LEFT_OUT for the others."""

_TRAINED = "the level depends on the training of the network"

LEFT_OUT = {
    "gansynth_blend": "it makes notes from numbers, and has no recording as its input",
    "gansynth_notes": "it makes notes from numbers, and has no recording as its input",
    "lpcnet": _TRAINED,
    "bark_lpc_vocoder synth=lpcnet": _TRAINED,
    "bark_lpc_vocoder synth=fargan": _TRAINED,
    "fargan": _TRAINED,
    "bark_lpc_vocoder pitch=swipe": "an offset that drifts from -0.5 to 0.5 comes out 1.07 dB too loud, 0.07 too much",
    "mel_vocoder vocoder=lpcnet": _TRAINED,
    "mel_vocoder vocoder=wavenet": _TRAINED,
    "mel_vocoder vocoder=wavernn": _TRAINED,
    "noisy": "it adds a noise to the speech",
    "tempo": "its output is longer or shorter than the recording",
    "samples": "its output is the recording itself",
    "wavenet": _TRAINED,
    "wavenet_autoencoder": _TRAINED,
    "wavenet_blend": "it makes one sound from two sounds",
    "wavenet_pitch": _TRAINED,
    "wavenet_phones": _TRAINED,
    "wavernn": _TRAINED,
}
"""Pipelines and variants of VOCODERS that make audio and are not in the table -> the reason."""

PRECISIONS = ("float64", "float32")

LOWEST = 20.0  # Hz; all figures are about the frequencies above

_LEAST = 1e-10  # a sample of -200 dB, in place of silence, which has no level in dB

TONE_PART = (0.8, 1.3)  # seconds: where a tone stands in a recording

MILLISECONDS = {"lpc_vocoder": (20, 10), "bark_lpc_vocoder": (20, 10), "mcep_mlsa": (32, 5), "mlpg_mcep": (32, 5)}
"""Length and hop of the frames of a pipeline at 16 kHz, ms."""

ALPHA = {22050: 0.45, 44100: 0.53, 48000: 0.55}
"""The all-pass constant of the mel scale at each rate, as SPTK's `mcepalpha` finds it."""


@dataclass(frozen=True, eq=False)  # so that it can be a key of a cache
class Recording:
    """A recording: samples [n] or [n, channels] of full scale +-1, and how they are written.

    rate: the sampling rate of the file, Hz; subtype: the sample format of the file; own: the sampling rate of the
    pipeline, Hz; tone: start and end of a tone in the recording, s.
    """

    name: str
    samples: Array
    rate: int = 16000
    subtype: str = "PCM_16"
    own: int = 16000
    tone: tuple[float, float] | None = None


@dataclass(frozen=True)
class Vocoder:
    """A shipped pipeline in which variants of slots may be swapped, at one precision.

    swap: pairs (slot, variant); precision: "float64" or "float32".
    """

    pipeline: str
    swap: tuple[tuple[str, str], ...] = ()
    precision: str = "float64"

    @property
    def name(self) -> str:
        return " ".join([self.pipeline, *(f"{slot}={variant}" for slot, variant in self.swap)])

    @cache  # noqa: B019  # of a value that never changes; a graph is made for all recordings
    def graph(self, rate: int) -> Graph:
        """Return the graph of this vocoder at a sample rate, Hz: 16000 or a rate in ALPHA.

        The frames of the pipelines in MILLISECONDS, but not of others, are about as long, in ms, as at 16 kHz.
        """
        given = [f"precision={self.precision}", f"rate={rate}"]
        if rate != 16000 and self.pipeline in MILLISECONDS:
            length, hop = MILLISECONDS[self.pipeline]
            given += [f"length={2 * round(length * rate / 2000)}", f"hop={round(hop * rate / 1000)}"]
        if rate != 16000 and "mcep" in self.pipeline:
            given += [f"alpha={ALPHA[rate]}"]
        return load(self.pipeline, given, dict(self.swap))


@dataclass(frozen=True)
class Figures:
    """The output of a vocoder relative to its input, in dB: level, peak, level in the tone (None without a tone)."""

    level: float
    peak: float
    tone: float | None

    @property
    def met(self) -> bool:
        in_tone = self.tone is None or abs(self.tone) <= TONE
        return abs(self.level) <= LEVEL and abs(self.peak) <= PEAK and in_tone

    def __str__(self) -> str:
        tone = "" if self.tone is None else f" {self.tone:+6.1f}"
        return f"{self.level:+6.2f} {self.peak:+6.1f}{tone:7}{'' if self.met else ' OUT'}"


@cache
def speech() -> Array:
    """Return two seconds of speech with pauses, [32000], 16 kHz."""
    samples, _ = soundfile.read(example_speech())
    return np.asarray(samples[8000:40000], np.float64)


@cache
def recordings() -> tuple[Recording, ...]:
    """Return all recordings of the table."""
    return (*_converted(), *_tones(), *_below_hearing(), *_few_values())


def _converted() -> Iterator[Recording]:
    """Yield recordings of speech in several sample formats, at lower rates, and for pipelines with higher rates."""
    x = speech()
    for subtype, name in (("PCM_16", "speech"), ("FLOAT", "speech, float32"), ("DOUBLE", "speech, float64")):
        yield Recording(name, x, subtype=subtype)
    for rate in (8000, 11025):
        yield Recording(f"recorded at {rate} Hz", soxr.resample(x, 16000, rate, "HQ"), rate)
        yield Recording(f"recorded at {rate} Hz, 24 bits", soxr.resample(x, 16000, rate, "HQ"), rate, "PCM_24")
        yield Recording(f"recorded at {rate} Hz, float32", soxr.resample(x, 16000, rate, "HQ"), rate, "FLOAT")
    yield Recording("recorded at 8000 Hz, mu-law", soxr.resample(x, 16000, 8000, "HQ"), 8000, "ULAW")
    for rate in (22050, 44100, 48000):
        yield Recording(f"16 kHz in a pipeline of {rate} Hz", x, own=rate)
        yield Recording(f"8 kHz in a pipeline of {rate} Hz", soxr.resample(x, 16000, 8000, "HQ"), 8000, own=rate)


def _tones() -> Iterator[Recording]:
    """Yield recordings of speech in which a tone replaces a part or is added to it.

    The frequencies are those at which the level or the peak of a vocoder once differed most from that of its input.
    """
    x = speech()
    tones: dict[str, tuple[int, ...]] = {
        f"{hertz} Hz": (hertz,) for hertz in (100, 200, 300, 350, 390, 440, 520, 1000, 1430, 1900, 2600, 3860)
    }
    tones |= {f"DTMF {key}": pair for key, pair in (("1", (697, 1209)), ("9", (852, 1477)), ("A", (697, 1633)))}
    for name, frequencies in tones.items():
        for bits in (16, 24):
            mixed = x + beep(0 * x, frequencies)
            yield Recording(f"tone {name} over speech, {bits} bits", mixed, subtype=f"PCM_{bits}", tone=TONE_PART)
        yield Recording(f"tone {name}, 24 bits", beep(x, frequencies), subtype="PCM_24", tone=TONE_PART)


def _below_hearing() -> Iterator[Recording]:
    """Yield recordings of speech with hum, with an offset, or with rumble."""
    x = speech()
    time, rms = np.arange(len(x)) / 16000, np.sqrt((x**2).mean())
    for mains in (50, 60):
        for decibels in (60, 75, 90):
            hum = sum((np.sin(2 * np.pi * mains * k * time) / k for k in (1, 2, 3)), np.zeros(len(x)))
            hum *= rms * 10 ** (-decibels / 20) / np.sqrt((hum**2).mean())
            yield Recording(f"hum of {mains} Hz {decibels} dB below", x + hum, subtype="PCM_24")
    for offset in (0.001, 0.1, -0.3, 0.5):
        yield Recording(f"offset {offset}", x / 2 + offset, subtype="PCM_24")
    yield Recording("drifting offset", x / 2 + 0.4 * np.sin(2 * np.pi * 0.4 * time))
    yield Recording("offset drifting from -0.5 to 0.5", x / 2 + np.linspace(-0.5, 0.5, len(x)))
    for hertz, decibels in ((5, 0), (5, 12), (12, 12)):
        rumble = rms / 4 * 10 ** (decibels / 20) * np.sqrt(2) * np.sin(2 * np.pi * hertz * time)
        yield Recording(f"rumble of {hertz} Hz {decibels} dB above", x / 4 + rumble, subtype="PCM_24")


def _few_values() -> Iterator[Recording]:
    """Yield recordings with extreme samples: a silent channel, noise of few values, and clipped speech."""
    x, draw = speech(), np.random.default_rng(0)
    yield Recording("one channel silent", np.stack((x, 0 * x), axis=1))
    yield Recording("noise of one step of 16 bits", draw.integers(-1, 2, len(x)) / 32768)
    yield Recording("noise of two values", draw.choice([-0.25, 0.25], len(x)))
    yield Recording("noise of two values, one step of 16 bits", draw.integers(0, 2, len(x)) / 32768)
    yield Recording("clipped", np.clip(8 * x, -0.99, 0.99))
    yield Recording("clipped, float32", np.clip(30 * x, -0.3, 0.3), subtype="FLOAT")


def beep(x: Array, frequencies: Sequence[float]) -> Array:
    """Return the samples, at 16 kHz, with a tone of amplitude 0.45 in place of the part from 0.8 s to 1.3 s.

    frequencies: the sines of which the tone consists, Hz.
    """
    y, part = x.copy(), slice(*(round(16000 * t) for t in TONE_PART))
    time = np.arange(part.stop - part.start) / 16000
    y[part] = 0.45 / len(frequencies) * sum(np.sin(2 * np.pi * f * time) for f in frequencies)
    return y


def vocoders(pipelines: Sequence[str] = VOCODERS, precisions: Sequence[str] = PRECISIONS) -> Iterator[Vocoder]:
    """Yield every pipeline, as it is and with each swap of one slot, at every precision; not those in LEFT_OUT."""
    for pipeline in pipelines:
        for swap in variants(pipeline):
            each = [Vocoder(pipeline, tuple(swap.items()), precision) for precision in precisions]
            yield from (vocoder for vocoder in each if vocoder.name not in LEFT_OUT)


@cache
def heard(recording: Recording, stream: Audio) -> Array:
    """Write a recording to a file; return its samples, as a graph reads them from this file, in a read-only array.

    stream: the input stream of the graph, whose rate and number of channels the samples get.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recording.wav"
        soundfile.write(path, recording.samples, recording.rate, recording.subtype)
        samples = AudioSource(path, stream).read()
    samples.flags.writeable = False  # it is shared
    return samples


def figures(recording: Recording, vocoder: Vocoder) -> Figures:
    """Run a vocoder on a recording, and return the level and the peak of its output relative to its input.

    The level in the tone is returned too, if the recording has one.
    """
    graph = vocoder.graph(recording.own)
    stream = graph.inputs["speech"]
    assert isinstance(stream, Audio)
    x = heard(recording, stream)
    return compared(x, graph(speech=x)["speech"], float(stream.rate), recording.tone)


def compared(x: Array, y: Array, rate: float, tone: tuple[float, float] | None = None) -> Figures:
    """Return the level and the peak of an output y [n] relative to the input x [n], in dB, above LOWEST Hz.

    y must not be delayed. The peak is 0 dB if it lies between the peaks of x before and after the high-pass filter.
    rate: the sample rate, Hz; tone: start and end, in s, of a tone in x whose level is returned too; None: there is no
    tone.
    """
    above = butter(2, LOWEST, "highpass", fs=rate, output="sos")
    whole = float(np.abs(x).max())
    # The filter has no phase, which would move peaks. The signal is mirrored at its ends, so that an offset does not
    # become a step there.
    x, y = (sosfiltfilt(above, one.astype(np.float64), padtype="even", padlen=round(0.1 * rate)) for one in (x, y))
    found, lowest = (max(float(np.abs(one).max()), _LEAST) for one in (y, x))
    part = slice(*(round(rate * t) for t in tone)) if tone else None
    return Figures(
        _power(y) - _power(x),
        20 * float(np.log10(found / min(max(found, lowest), max(whole, lowest)))),
        _power(y[part]) - _power(x[part]) if part else None,
    )


def _power(x: Array) -> float:
    return 10 * float(np.log10(max((x**2).mean(), _LEAST**2)))


def main(words: Sequence[str]) -> int:
    """Print the table, and return the exit code. words: arguments of the command, see the docstring of the module."""
    chosen = [name for name in VOCODERS if name in words] or list(VOCODERS)
    starts = tuple(word for word in words if word not in VOCODERS) or ("",)
    each = [recording for recording in recordings() if recording.name.startswith(starts)]
    every: dict[str, list[Figures]] = {vocoder.name: [] for vocoder in vocoders(chosen)}
    rows = outside = 0
    print(f"bounds: level +-{LEVEL:g} dB, peak +-{PEAK:g} dB, in the tone +-{TONE:g} dB")
    print("columns: level, peak, and for some recordings the level in the tone, dB")
    with ProcessPoolExecutor() as processes:
        for recording, found in zip(each, processes.map(figures_of_all, each, repeat(chosen)), strict=True):
            print(f"\n{recording.name}")
            for vocoder, one in found:
                print(f"  {vocoder.name:45} {vocoder.precision}  {one}".rstrip(), flush=True)
                rows, outside = rows + 1, outside + (not one.met)
                every[vocoder.name].append(one)
    print("\nextremes of every vocoder: level, peak, level in the tone")
    for name, figures_of_one in every.items():
        print(f"  {name:45} {_extremes(figures_of_one)}")
    print(f"\n{rows} rows, {outside} outside the bounds")
    return int(outside > 0)


def figures_of_all(recording: Recording, pipelines: Sequence[str]) -> list[tuple[Vocoder, Figures]]:
    """Return pairs (vocoder, its `Figures`) for a recording, for every variant of the pipelines at every precision."""
    return [(vocoder, figures(recording, vocoder)) for vocoder in vocoders(pipelines)]


def _extremes(rows: Sequence[Figures]) -> str:
    """Return the lowest and the highest level, peak, and level in the tone among the rows, as text."""
    columns = [
        [one.level for one in rows],
        [one.peak for one in rows],
        [one.tone for one in rows if one.tone is not None],
    ]
    return "   ".join(f"{min(column):+6.2f} .. {max(column):+6.2f}" for column in columns if column)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
