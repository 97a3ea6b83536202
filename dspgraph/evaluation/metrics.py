"""How far a degraded signal is from its reference, by number: `measure` two arrays, `score` two files.

Every metric is a function of a `Pair` in METRICS, under its own name. It gives None where there is nothing to measure
(silence, no voice in common, a signal too short), and never NaN or infinity. In the formulas x is the reference, x' the
degraded signal, n their samples, t their frames.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from dspgraph.errors import NodeError, SignalError, UnknownName, suggest
from dspgraph.evaluation.results import Metric
from dspgraph.io.audio import AudioSource, rate_of
from dspgraph.pipeline.pipeline import load
from dspgraph.streams import Array, Audio, Number, first_bad_item, hertz, to_fraction

RATES = (8000, 192_000)
"""What is measured, Hz, both included: below, speech is not what it was; above, no formula here was meant for it."""

BLOCK = 2**19
"""The most numbers in a block of spectra (4 MiB)."""

CENTS = 1200  # in an octave
DECIBELS = 10 / math.log(10)  # of a natural logarithm of a power


@dataclass(frozen=True)
class Measure:
    """A metric, and the function that takes it."""

    metric: Metric
    of: Callable[[Pair], float | None]


class Pair:
    """Two signals of one length and rate, and what several metrics want of both.

    reference, degraded: [n], or [n, channels], of which the mean is taken; full scale +-1, floats. The longer one is
    cut to the length of the other. rate: Hz. Raises SignalError for another shape or type, for a sample that is not a
    number, and for a rate outside of RATES.
    """

    def __init__(self, reference: Array, degraded: Array, rate: Number) -> None:
        self.rate: Fraction = to_fraction(rate)
        if not RATES[0] <= self.rate <= RATES[1]:
            raise SignalError(
                f"metrics take audio of {RATES[0]} to {RATES[1]} Hz; found {hertz(self.rate)}: resample it first"
            )
        both = _mono("reference", reference), _mono("degraded signal", degraded)
        n = min(map(len, both))
        self.reference, self.degraded = (x[:n] for x in both)

    @cached_property
    def cepstra(self) -> tuple[Array, Array, Array]:
        """Those of both signals [t, MCD_ORDER], c_1 first, and which frames of the reference are not silent [t]."""
        (x, energies), (y, _) = (_cepstra(one, self.rate) for one in (self.reference, self.degraded))
        return x, y, (energies > 0) & (energies >= energies.max(initial=0) * 10 ** (MCD_SILENCE / 10))

    @cached_property
    def f0(self) -> tuple[Array, Array]:
        """The pitch of both signals in Hz [t], 0 where there is no voice; nothing where it cannot be tracked."""
        graph = _tracker()
        ((name, stream),) = graph.inputs.items()
        try:
            rows = [
                next(iter(graph(**{name: self._at(one, int(stream.rate))}).values()))[:, 0]
                for one in (self.reference, self.degraded)
            ]
        except (NodeError, SignalError):  # trackers refuse what is far beyond full scale, and what overflowed
            rows = [np.empty(0), np.empty(0)]
        return rows[0], rows[1]

    def at(self, rate: int) -> tuple[Array, Array]:
        """Both signals at another rate."""
        return self._at(self.reference, rate), self._at(self.degraded, rate)

    def _at(self, x: Array, rate: int) -> Array:
        import soxr

        if self.rate == rate or not len(x):
            return x
        due = math.ceil(len(x) * rate / self.rate)
        converter = soxr.ResampleStream(float(self.rate), rate, 1, dtype="float64", quality="HQ")
        converted = converter.resample_chunk(x, last=True)[:due]
        return np.pad(converted, (0, due - len(converted)))


def _mono(what: str, samples: Array) -> Array:
    samples = np.asarray(samples)
    if samples.dtype.kind != "f" or samples.ndim not in (1, 2):
        raise SignalError(
            f"the {what} must be floats [n] or [n, channels], full scale +-1; found {samples.dtype} {samples.shape}"
        )
    rows = samples.astype(np.float64, copy=False).reshape(len(samples), samples.shape[1] if samples.ndim == 2 else 1)
    if (bad := first_bad_item(rows)) is not None:
        raise SignalError(f"the {what} has a sample that is not a number, at {bad}: repair it")
    return rows[:, 0] if rows.shape[1] == 1 else rows.mean(axis=1)


@lru_cache(maxsize=1)
def _tracker() -> Any:
    return load(F0_PIPELINE)


# ---- what there is to measure ----------------------------------------------------------------------------------------

_MEASURES: dict[str, Measure] = {}

METRICS: Mapping[str, Measure] = MappingProxyType(_MEASURES)
"""All there are here, in the order they are shown; PESQ and STOI only where their packages are installed."""

OWN = "1"
"""The version of the metrics computed here. A change by which any signal's value moves, beyond rounding, makes it "2"
for that metric: numbers of two versions do not stand in one table."""


def _metric(
    unit: str,
    better: Literal["lower", "higher", "zero"],
    settings: Mapping[str, Any],
    package: str | None = None,
) -> Callable[[Callable[[Pair], float | None]], Callable[[Pair], float | None]]:
    """Put a function into METRICS; what it is about is the first line of its docstring."""

    def add(of: Callable[[Pair], float | None]) -> Callable[[Pair], float | None]:
        if package is None or find_spec(package):
            about = (of.__doc__ or "").partition("\n")[0]
            name, made = of.__name__, version(package) if package else OWN
            _MEASURES[name] = Measure(Metric(name, unit, better, about, made, dict(settings)), of)
        return of

    return add


def measure(
    reference: Array, degraded: Array, rate: Number, names: Sequence[str] | None = None
) -> dict[str, float | None]:
    """The metrics of that name (by default all in METRICS), in that order; None where one has nothing to measure.

    reference, degraded, rate: as `Pair` takes them, and with the errors it raises. UnknownName for a name that is not
    in METRICS.
    """
    names = list(METRICS) if names is None else names
    for name in names:
        if name not in METRICS:
            raise UnknownName(f"there is no metric '{name}'; {suggest(name, METRICS)}")
    pair = Pair(reference, degraded, rate)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # of samples near the largest number there is
        return {name: _finite(METRICS[name].of(pair)) if len(pair.reference) else None for name in names}


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def score(reference: Path, degraded: Path) -> tuple[list[Metric], dict[str, float | None], list[str]]:
    """All metrics of two audio files, their values by name, and notes on what was done to the files first.

    Both are mixed to one channel, the degraded one is brought to the rate of the reference, and the longer is cut.
    Raises FileError for a file that cannot be read, or has a sample that is not a number, and SignalError for a
    reference of a rate outside of RATES.
    """
    stream = Audio(rate_of(reference))
    sources = [AudioSource(path, stream) for path in (reference, degraded)]
    notes = [f"{source.path}: {conversion}" for source in sources for conversion in source.conversions]
    signals = [source.read() for source in sources]
    lengths = [len(samples) for samples in signals]
    if lengths[0] != lengths[1]:
        longer = sources[int(lengths[1] > lengths[0])].path
        seconds = [f"{float(stream.seconds(n)):.3f} s" for n in sorted(lengths)]
        notes.append(f"{longer}: cut from {seconds[1]} to {seconds[0]}, the length of the other")
    values = measure(signals[0], signals[1], stream.rate)
    return [one.metric for one in METRICS.values()], values, notes


# ---- short-time spectra ----------------------------------------------------------------------------------------------


def _spectra(x: Array, length: int, hop: int, n_fft: int) -> Iterator[Array]:
    """|X|**2 [some, n_fft // 2 + 1] of frames centred on every hop-th sample, Hann window; beyond x there are zeros."""
    from scipy import fft

    window = _hann(length)
    padded = np.pad(x, (length // 2, length))
    rows = np.lib.stride_tricks.sliding_window_view(padded, length)[: len(x) + 1 : hop]
    some = max(1, BLOCK // n_fft)
    for start in range(0, len(rows), some):
        spectrum = fft.rfft(rows[start : start + some] * window, n_fft, axis=1)
        yield spectrum.real**2 + spectrum.imag**2


@lru_cache(maxsize=16)
def _hann(length: int) -> Array:
    window: Array = 0.5 - 0.5 * np.cos(2 * np.pi / length * np.arange(length))
    return window


def _samples(seconds: float, rate: Fraction) -> int:
    return round(seconds * rate)


def _power_of_two(n: int) -> int:
    return 1 << (n - 1).bit_length()


# ---- mel-cepstral distortion -----------------------------------------------------------------------------------------

MCD_ORDER = 24
MCD_LENGTH, MCD_HOP = 0.025, 0.005  # seconds
MCD_FLOOR = -100.0  # dB
MCD_SILENCE = -60.0  # dB
MCD_SCALE = math.sqrt(2) * DECIBELS
ALPHA = {8000: 0.31, 16000: 0.42, 22050: 0.455, 44100: 0.53, 48000: 0.55}
DTW_REACH = 1.0  # seconds
DTW_LONGEST = 3600.0  # seconds

_MCD = {
    "order": MCD_ORDER,
    "length_s": MCD_LENGTH,
    "hop_s": MCD_HOP,
    "window": "hann",
    "fft": "least 2**k of the length",
    "floor_db": MCD_FLOOR,
    "silence_db": MCD_SILENCE,
    "alpha": {str(rate): alpha for rate, alpha in ALPHA.items()} | {"other rates": "fitted"},
}


@_metric("dB", "lower", _MCD)
def mcd(pair: Pair) -> float | None:
    """Mel-cepstral distortion, frame against frame.

        10 sqrt(2) / ln 10 * mean over t of sqrt(sum over m = 1..24 of (c_m(t) - c'_m(t))**2)

    c: mel-cepstra, by all-pass warping with the alpha of the rate, of ln|X|, frames of 25 ms every 5 ms, each floored
    100 dB below its own loudest bin. c_0, the level, is left out: a gain changes nothing. Only frames count in which
    the reference is within 60 dB of its loudest frame; None if it is silent.

    Source: R. F. Kubichek, Mel-cepstral distance measure for objective speech quality assessment, IEEE Pacific Rim
    Conference, 1993; J. Kominek, T. Schultz and A. W. Black, Synthesizer voice quality of new languages calibrated
    with mean mel cepstral distortion, SLTU 2008, equation 1.
    """
    x, y, heard = pair.cepstra
    if not heard.any():
        return None
    return MCD_SCALE * float(np.sqrt(((x[heard] - y[heard]) ** 2).sum(axis=1)).mean())


@_metric("dB", "lower", {**_MCD, "steps": "(1, 1), (1, 0), (0, 1), each of weight 1", "reach_s": DTW_REACH,
                         "longest_s": DTW_LONGEST, "normalised": "by the pairs on the path whose frame of the "
                         "reference is heard"})  # fmt: skip
def mcd_dtw(pair: Pair) -> float | None:
    """Mel-cepstral distortion along the path of dynamic time warping that makes it least.

    As `mcd`, over the pairs (t, t') on the path of least total distance from the first frames to the last, by steps
    (1, 1), (1, 0), (0, 1) of equal weight, exact among the paths with |t - t'| <= 1 s; the mean is over the pairs on
    that path in which the reference is not silent. None beyond an hour, whose path would take 300 MB.

    Source: H. Sakoe and S. Chiba, Dynamic programming algorithm optimization for spoken word recognition, IEEE
    Transactions on Acoustics, Speech, and Signal Processing 26(1), 1978.
    """
    if len(pair.reference) > DTW_LONGEST * pair.rate:
        return None
    x, y, heard = pair.cepstra
    if not heard.any():
        return None
    reach = min(round(DTW_REACH / MCD_HOP), len(x) - 1)
    return MCD_SCALE * float(_compiled()(x, np.ascontiguousarray(y.T), reach, heard))


def _cepstra(x: Array, rate: Fraction) -> tuple[Array, Array]:
    """Mel-cepstra [t, MCD_ORDER] without c_0, and the energy of every frame [t]."""
    length, hop = _samples(MCD_LENGTH, rate), _samples(MCD_HOP, rate)
    n_fft = _power_of_two(length)
    matrix = _to_cepstra(n_fft, _alpha(rate))
    rows, energies = [], []
    for powers in _spectra(x, length, hop, n_fft):
        floor = powers.max(axis=1, keepdims=True) * 10 ** (MCD_FLOOR / 10)
        logs = np.log(np.maximum(powers, np.maximum(floor, np.finfo(np.float64).tiny)))
        rows.append(np.einsum("tk,mk->tm", logs, matrix))  # not @: its threads cost more than they save
        energies.append(powers.sum(axis=1))
    return np.concatenate(rows), np.concatenate(energies)


@lru_cache(maxsize=8)
def _to_cepstra(n_fft: int, alpha: float) -> Array:
    """The matrix [MCD_ORDER, n_fft // 2 + 1] that takes ln|X|**2 to the mel-cepstrum of ln|X| without c_0.

    The inverse DFT gives c_j, and row j of the warping is ((w + alpha) / (1 + alpha w))**j in powers of w.

    Source: A. V. Oppenheim and D. H. Johnson, Discrete representation of signals, Proceedings of the IEEE 60(6), 1972.
    """
    from scipy import fft, signal

    bins = n_fft // 2 + 1
    warping = np.zeros((bins, MCD_ORDER + 1))
    warping[0, 0] = 1
    for j in range(1, bins):
        warping[j] = signal.lfilter([alpha, 1], [1, alpha], warping[j - 1])
    weights = np.full((bins, 1), 2 / n_fft)  # both halves of the spectrum; ln|X| has each c_j at j and at -j
    weights[[0, -1]] /= 2
    return np.ascontiguousarray((weights * fft.rfft(warping, n_fft, axis=0).real)[:, 1:].T)


@lru_cache(maxsize=32)
def _alpha(rate: Fraction) -> float:
    """The all-pass constant that warps as the mel scale does: of a table, else to 0.001 the least squares between.

    The scale, ln(1 + f / 1000), and the warped angle are both taken from 0 at 0 Hz to 1 at half the rate.

    Source: SPTK's reference manual, mcep, for 8 and 16 kHz (the rest of the table is what is in common use); pysptk's
    `mcepalpha` for the fit and its scale.
    """
    if rate in ALPHA:
        return ALPHA[int(rate)]
    angle = np.pi * np.arange(1, 1001) / 1000
    scale = np.log1p(angle / np.pi * float(rate) / 2000)
    alphas = np.arange(1000)[:, None] / 1000
    warped = angle + 2 * np.arctan(alphas * np.sin(angle) / (1 - alphas * np.cos(angle)))
    return float(alphas[np.argmin(((warped / np.pi - scale / scale[-1]) ** 2).sum(axis=1)), 0])


@lru_cache(maxsize=1)
def _compiled() -> Callable[[Array, Array, int, Array], float]:
    from numba import njit

    compiled: Callable[[Array, Array, int, Array], float] = njit(cache=True, error_model="numpy")(_warped_mean)
    return compiled


def _warped_mean(x: Array, y: Array, reach: int, heard: Array) -> float:
    """The mean distance of the rows of x [t, m] and the columns of y [m, t] on the best path, where x is heard [t].

    Row i of the table holds the paths to (i, j), |i - j| <= reach, at place k = j - i + reach; the last place of all
    stays infinite.
    """
    count, width = len(x), 2 * reach + 1
    steps = np.zeros((count, width), np.uint8)  # 0: from (i - 1, j - 1), 1: from (i - 1, j), 2: from (i, j - 1)
    above, here = np.full(width + 1, np.inf), np.full(width + 1, np.inf)
    squares = np.empty(width)
    above[reach] = 0.0
    for i in range(count):
        first, last = max(0, reach - i), min(width, count - i + reach)
        squares[:] = 0.0
        for m in range(x.shape[1]):
            value, row = x[i, m], y[m, i - reach + first : i - reach + last]
            part = squares[first:last]
            for k in range(last - first):
                part[k] += (value - row[k]) * (value - row[k])
        here[:] = np.inf
        for k in range(first, last):
            best, step = above[k], 0
            if above[k + 1] < best:
                best, step = above[k + 1], 1
            if k > first and here[k - 1] < best:
                best, step = here[k - 1], 2
            here[k] = best + math.sqrt(squares[k])
            steps[i, k] = step
        above, here = here, above
    total, pairs = 0.0, 0
    i, j = count - 1, count - 1
    while i >= 0 and j >= 0:
        if heard[i]:
            square = 0.0
            for m in range(x.shape[1]):
                square += (x[i, m] - y[m, j]) * (x[i, m] - y[m, j])
            total += math.sqrt(square)
            pairs += 1
        step = steps[i, j - i + reach]
        if step != 2:
            i -= 1
        if step != 1:
            j -= 1
    return total / pairs


# ---- distances of spectra --------------------------------------------------------------------------------------------

LSD_LENGTH, LSD_HOP = 0.032, 0.008  # seconds
LSD_FLOOR = -100.0  # dB


@_metric("dB", "lower", {"length_s": LSD_LENGTH, "hop_s": LSD_HOP, "window": "hann", "fft": "least 2**k of the length",
                         "floor_db": LSD_FLOOR, "floor_of": "the bin of a full-scale sine"})  # fmt: skip
def lsd(pair: Pair) -> float | None:
    """Log-spectral distance, RMS over the bins of a frame, mean over frames.

        mean over t of sqrt(mean over bins of (20 log10 |X| / |X'|)**2)

    Frames of 32 ms every 8 ms, Hann; both spectra are floored 100 dB below the bin of a full-scale sine, under which
    the rounding to 16 bits lies too. Symmetric.

    Source: L. R. Rabiner and B.-H. Juang, Fundamentals of Speech Recognition, Prentice Hall, 1993 (log spectral
    distortion).
    """
    length, hop = _samples(LSD_LENGTH, pair.rate), _samples(LSD_HOP, pair.rate)
    n_fft = _power_of_two(length)
    floor = (_hann(length).sum() / 2) ** 2 * 10 ** (LSD_FLOOR / 10)
    spectra = (_spectra(x, length, hop, n_fft) for x in (pair.reference, pair.degraded))
    total, count = 0.0, 0
    for x, y in zip(*spectra, strict=True):
        logs = DECIBELS * np.log(np.maximum(x, floor) / np.maximum(y, floor))
        total += float(np.sqrt((logs**2).mean(axis=1)).sum())
        count += len(x)
    return total / count


RESOLUTIONS = ((512, 50, 240), (1024, 120, 600), (2048, 240, 1200))
"""FFT, hop and window, in samples whatever the rate: what is published, at 16 to 48 kHz, is."""

MRSTFT_FLOOR = 1e-7  # of |X|**2


@_metric("", "lower", {"resolutions": [list(one) for one in RESOLUTIONS], "window": "hann", "floor": MRSTFT_FLOOR})
def mrstft(pair: Pair) -> float | None:
    """Multi-resolution STFT distance: spectral convergence plus L1 of the log magnitudes, mean of 3 resolutions.

        || |X| - |X'| ||_F / || |X| ||_F  +  mean over t and bins of | ln|X| - ln|X'| |

    FFTs of 512, 1024, 2048 samples, hops of 50, 120, 240, Hann windows of 240, 600, 1200; |X|**2 is floored at 1e-7.
    A number of its own: 0 for the same.

    Source: R. Yamamoto, E. Song and J.-M. Kim, Parallel WaveGAN, ICASSP 2020 (arXiv:1910.11480), the
    auxiliary loss, with the sizes of its published configuration.
    """
    return float(np.mean([_resolution(pair, *one) for one in RESOLUTIONS]))


def _resolution(pair: Pair, n_fft: int, hop: int, length: int) -> float:
    spectra = (_spectra(x, length, hop, n_fft) for x in (pair.reference, pair.degraded))
    squares = energy = logs = 0.0
    count = 0
    for powers in zip(*spectra, strict=True):
        x, y = (np.maximum(one, MRSTFT_FLOOR) for one in powers)
        squares += float(((np.sqrt(x) - np.sqrt(y)) ** 2).sum())
        energy += float(x.sum())
        logs += float(np.abs(np.log(x / y)).sum()) / 2
        count += x.size
    return math.sqrt(squares / energy) + logs / count


# ---- pitch -----------------------------------------------------------------------------------------------------------

F0_PIPELINE = "f0"

_F0 = {"pipeline": F0_PIPELINE, "rate_hz": 16000, "hop_s": 0.005, "lowest_hz": 60.0, "highest_hz": 400.0}


@_metric("cents", "lower", _F0)
def log_f0_rmse(pair: Pair) -> float | None:
    """RMS difference of the logarithm of pitch, over the frames in which both signals are voiced.

        1200 sqrt(mean over t of log2(f0 / f0')**2)

    Pitch by the pipeline `f0`, every 5 ms, at its rate. None where no frame is voiced in both. A change of level can
    move it: the tracker adds its own noise, and takes what is soft for unvoiced.

    Source: Deep learning-based expressive speech synthesis: a systematic review, EURASIP Journal on Audio, Speech, and
    Music Processing, 2024, doi:10.1186/s13636-024-00329-7, table 8 (RMSE; here of the logarithm).
    """
    x, y = pair.f0
    voiced = (x > 0) & (y > 0)
    if not voiced.any():
        return None
    return CENTS * math.sqrt(float((np.log2(x[voiced] / y[voiced]) ** 2).mean()))


@_metric("%", "lower", _F0)
def voicing_error(pair: Pair) -> float | None:
    """Frames that are voiced in one signal and not in the other, of all frames.

    Pitch as for `log_f0_rmse`. Symmetric.

    Source: as for `log_f0_rmse`, table 8 (voice decision error).
    """
    x, y = pair.f0
    return 100 * float(((x > 0) != (y > 0)).mean()) if len(x) else None


# ---- waveforms -------------------------------------------------------------------------------------------------------

SI_SDR_MOST = 100.0  # dB


@_metric("dB", "higher", {"mean": "removed", "most_db": SI_SDR_MOST})
def si_sdr(pair: Pair) -> float | None:
    """Scale-invariant signal-to-distortion ratio, within -100 and 100 dB.

        10 log10 |a x|**2 / |a x - x'|**2,    a = x . x' / |x|**2

    The means of x and x' are removed. The same signal, which would have an infinite ratio, has 100 dB, as has
    whatever is as close. A delay of one sample costs most of it: waveforms are compared. None if either is silent.

    Source: J. Le Roux, S. Wisdom, H. Erdogan and J. R. Hershey, SDR - half-baked or well done?, ICASSP 2019.
    """
    x, y = _centred(pair.reference), _centred(pair.degraded)
    if not (x.any() and y.any()):
        return None
    target = float((x * y).sum()) / float((x * x).sum()) * x
    signal, rest = float((target**2).sum()), float(((target - y) ** 2).sum())
    if rest <= 10 ** (-SI_SDR_MOST / 10) * signal:
        return SI_SDR_MOST
    return 10 * math.log10(max(signal / rest, 10 ** (-SI_SDR_MOST / 10)))


def _centred(x: Array) -> Array:
    """x without its mean, to a peak of 1; zeros where only rounding is left."""
    centred = x - x.mean()
    peak = np.abs(centred).max()
    return centred / peak if peak > 8 * np.finfo(np.float64).eps * np.abs(x).max() else np.zeros_like(x)


K_WEIGHTING = (
    ((1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585)),
    ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)),
)
"""The two filters at 48 kHz, numerator and denominator: a high shelf, and a high pass."""

LOUDNESS_BLOCK = 0.4  # seconds, every quarter of it
LOUDNESS_OFFSET = -0.691  # dB
LOUDNESS_GATES = (-70.0, -10.0)  # LUFS; LU under the mean of what is above the first


@_metric("LU", "zero", {"weighting": "K, of ITU-R BS.1770", "block_s": LOUDNESS_BLOCK, "overlap": 0.75,
                        "gate_lufs": LOUDNESS_GATES[0], "relative_gate_lu": LOUDNESS_GATES[1]})  # fmt: skip
def loudness_difference(pair: Pair) -> float | None:
    """Integrated loudness of the degraded signal less that of the reference: what is louder is positive.

    By `loudness`; None where either has none.
    """
    x, y = loudness(pair.reference, pair.rate), loudness(pair.degraded, pair.rate)
    return None if x is None or y is None else y - x


def loudness(x: Array, rate: Number) -> float | None:
    """Integrated loudness of x [n] in LUFS; None for less than a block of 0.4 s, and where nothing is above the gate.

    -0.691 + 10 log10 of the mean square of the K-weighted signal, over the blocks of 0.4 s, three quarters shared,
    that are above -70 LUFS and not more than 10 LU below the loudness of these.

    The filters are those of 48 kHz, bent by the bilinear transform at other rates: a tone of 1 kHz has 0.05 dB less at
    16 kHz, 0.2 dB at 8 kHz.

    Source: Recommendation ITU-R BS.1770-4, annex 1.
    """
    from scipy import signal

    sections = [[*b, *a] for b, a in (_at_rate(*one, float(rate)) for one in K_WEIGHTING)]
    weighted = signal.sosfilt(np.array(sections), x)
    hop = _samples(LOUDNESS_BLOCK / 4, to_fraction(rate))
    quarters = (weighted[: len(x) // hop * hop] ** 2).reshape(-1, hop).mean(axis=1)
    if len(quarters) < 4:
        return None
    blocks = np.lib.stride_tricks.sliding_window_view(quarters, 4).mean(axis=1)
    for gate in (None, LOUDNESS_GATES[1]):
        least = _mean_square(LOUDNESS_GATES[0]) if gate is None else blocks.mean() * 10 ** (gate / 10)
        blocks = blocks[blocks > least]
        if not len(blocks):
            return None
    return LOUDNESS_OFFSET + 10 * math.log10(blocks.mean())


def _mean_square(lufs: float) -> float:
    return float(10 ** ((lufs - LOUDNESS_OFFSET) / 10))


def _at_rate(b: Sequence[float], a: Sequence[float], rate: float) -> tuple[Array, Array]:
    """A filter of two poles given at 48 kHz, at another rate: the same at 0 Hz and at its own frequency.

    Both rates see one filter of s: s = (1 - z^-1) / (1 + z^-1) / tan(pi f / rate), f where its denominator is
    q + p s + q s**2, and the bilinear transform takes it there and back.
    """
    top, bottom = _swapped(b), _swapped(a)  # in powers of tan(pi f / 48000) s
    tangent = math.sqrt(bottom[0] / bottom[2])
    scale = tangent / math.tan(math.atan(tangent) * 48000 / rate)
    powers = scale ** np.arange(3)
    top, bottom = _swapped(top * powers), _swapped(bottom * powers)
    return top / bottom[0], bottom / bottom[0]


def _swapped(c: Sequence[float] | Array) -> Array:
    """The polynomial that c, in powers of v, becomes for v = (1 - u) / (1 + u), times (1 + u)**2, in powers of u."""
    return np.array([c[0] + c[1] + c[2], 2 * (c[0] - c[2]), c[0] - c[1] + c[2]])


# ---- listening models, by their own packages -------------------------------------------------------------------------

PESQ_LONGEST = 15.0  # seconds
STOI_LONGEST = 60.0  # seconds
STOI_SHORTEST = 0.41  # seconds: 30 frames of 25.6 ms, each 12.8 ms after the other, and one hop
STOI_RATE = 16000


@_metric("MOS-LQO", "higher", {"package": "pesq", "mode": "wb at 16000 Hz; nb at 8000 Hz for rates below 16000",
                               "longest_s": PESQ_LONGEST}, package="pesq")  # fmt: skip
def pesq(pair: Pair) -> float | None:
    """Perceptual evaluation of speech quality, 1 to 4.64 (wide band) or 4.55 (narrow band).

    Wide band at 16 kHz, narrow band at 8 kHz for rates below 16 kHz; other rates are converted. A longer signal is
    cut into equal pieces of at most 15 s, and the mean is given: the code behind keeps 50 utterances and writes past
    them, and an utterance with its pause is at least 0.4 s. None for silence, and for less than a quarter of a second.

    Source: Recommendations ITU-T P.862, P.862.1 and P.862.2; the code is ITU-T's, called through the package pesq.
    """
    from pesq import BufferTooShortError, NoUtterancesError
    from pesq import pesq as of

    rate, mode = (16000, "wb") if pair.rate >= 16000 else (8000, "nb")
    found = []
    for x, y in _pieces(*pair.at(rate), PESQ_LONGEST * rate):
        if not (x.any() and y.any()):
            return None
        try:
            found.append(of(rate, x, y, mode))
        except (BufferTooShortError, NoUtterancesError, ValueError):  # ValueError: NaN came out
            return None
    return float(np.mean(found))


@_metric("", "higher", {"package": "pystoi", "extended": False, "rate_hz": STOI_RATE, "longest_s": STOI_LONGEST},
         package="pystoi")  # fmt: skip
def stoi(pair: Pair) -> float | None:
    """Short-time objective intelligibility, 1 for the same.

    At 16 kHz; a longer signal is cut into equal pieces of at most a minute, and the mean is given. None for silence,
    and where a piece has less than 0.4 s that is not.

    Source: C. H. Taal, R. C. Hendriks, R. Heusdens and J. Jensen, An algorithm for intelligibility prediction of
    time-frequency weighted noisy speech, IEEE Transactions on Audio, Speech, and Language Processing 19(7), 2011;
    the code is that of the package pystoi.
    """
    import warnings

    from pystoi import stoi as of

    found = []
    for x, y in _pieces(*pair.at(STOI_RATE), STOI_LONGEST * STOI_RATE):
        if not (x.any() and y.any()) or len(x) < STOI_SHORTEST * STOI_RATE:
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                found.append(of(x, y, STOI_RATE, extended=False))
        except RuntimeWarning:  # too little is left without the silent frames
            return None
    return float(np.mean(found))


def _pieces(x: Array, y: Array, longest: float) -> Iterator[tuple[Array, Array]]:
    """Both signals, cut alike into the least number of pieces that are no longer than that."""
    count = math.ceil(len(x) / longest)
    yield from zip(np.array_split(x, count), np.array_split(y, count), strict=True)
