"""PSOLA, compared with the equations for a whole signal, and on vowels whose pitch and formants are known."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.linalg import solve_toeplitz
from scipy.signal import lfilter

from dspgraph import Array, Audio, Frames, NodeError, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.psola import PsolaSignal
from dspgraph_nodes.effects.psola import Psola
from helpers.speech import speech

AUDIO, ROWS = Audio(16000), Frames(200, "f0", 1)
PITCH = np.where((np.arange(51) > 9) & (np.arange(51) < 40), 110.0 + np.arange(51), 0.0)[:, None]
BOTH = np.stack((speech()[9000:13000], speech()[13000:9000:-1]), axis=1)
EXAMPLES = [
    # The lookahead is that of the worst order of marks of the lowest pitch.
    Example.waiting_on_purpose(Psola(semitones=4), x=(AUDIO, speech()[9000:13000]), f0=(ROWS, PITCH[:50])),
    Example.waiting_on_purpose(
        Psola(semitones=-5, f0_min=100),
        x=(AUDIO, speech()[9000:13003]),
        f0=(ROWS.like(centre=Fraction(1, 400)), np.where(PITCH > 150, 0, PITCH)),
    ),
    Example.waiting_on_purpose(Psola(semitones=-3), x=(Audio(16000, 2), BOTH), f0=(ROWS, PITCH[:50])),
]

FORMANTS = ((700, 80), (1200, 90), (2600, 150))


def vowel(f0: float, count: int = 16000) -> Array:
    """Return a vowel [count] at 16 kHz with the peak 1: pulses at f0 Hz, filtered by three resonances.

    The last pulse is left out.
    """
    x = np.zeros(count)
    x[np.round(np.arange(0, count, 16000 / f0)).astype(int)[:-1]] = 1
    for frequency, width in FORMANTS:
        radius, angle = np.exp(-np.pi * width / 16000), 2 * np.pi * frequency / 16000
        x = lfilter([1], [1, -2 * radius * np.cos(angle), radius**2], x)
    return np.asarray(x / np.abs(x).max())


def shifted(x: Array, f0: float, semitones: float) -> Array:
    rows = np.full((-(-len(x) // 80), 1), float(f0))
    y: Array = Example(Psola(semitones=semitones), x=(AUDIO, x), f0=(ROWS, rows)).render()["y"]
    return y


def frequency(y: Array, near: float) -> float:
    """Return the pitch within 100 cents of `near`, both in Hz, whose first 11 harmonics have the most power in y.

    y: 14,000 samples or more at 16 kHz.
    """
    spectrum = np.abs(np.fft.rfft(y[2000:14000] * np.hanning(12000), 1 << 18)) ** 2
    candidates = near * 2 ** (np.linspace(-100, 100, 2001) / 1200)
    power = [spectrum[np.round(np.arange(1, 12) * f / 16000 * (1 << 18)).astype(int)].sum() for f in candidates]
    return float(candidates[int(np.argmax(power))])


def formants(y: Array) -> Array:
    """Return the frequencies, Hz, ascending, of the poles of linear prediction (order 10) of y near the unit circle.

    y: 12,000 samples or more at 16 kHz.
    """
    part = y[4000:12000] * np.hanning(8000)
    r = np.correlate(part, part, "full")[7999 : 7999 + 11]
    roots = np.roots(np.append(1, -solve_toeplitz(r[:-1], r[1:])))
    found = roots[(roots.imag > 0) & (np.abs(roots) > 0.93)]
    return np.asarray(np.sort(np.angle(found)) * 16000 / (2 * np.pi))


def whole_psola(x: Array, periods: Array, rate: float, ratio: float) -> Array:
    """Return PSOLA of a whole signal x [n], with marks at its positive peaks, computed by the equations of the node.

    periods: [n], the period at each sample, in samples, 0 where it is unvoiced; rate: Hz; ratio: new pitch / old pitch.
    """
    step, place, before = max(1, round(0.005 * rate)), 0, False
    at, lengths, voiced = list[int](), list[float](), list[bool]()
    while place < len(x):
        period = float(periods[place])
        if period > 0:
            first = place - round(0.2 * period) if before else place
            last = place + round((0.2 if before else 1) * period)
            first = max(first, at[-1] + 1 if at else 0)
            place = first + int(x[first : max(last, first) + 1].argmax())
        at.append(place)
        lengths.append(period if period > 0 else float(step))
        voiced.append(period > 0)
        before = period > 0
        place += max(1, round(lengths[-1]))
    y, marks, here = np.zeros(len(x)), np.array(at), float(at[0])
    between = (marks[:-1] + marks[1:]) / 2
    while here < len(x):
        i = int(np.searchsorted(between, here))
        half = max(1, round(lengths[i]))
        lags = np.arange(-half + 1, half)
        target, source = round(here) + lags, at[i] + lags
        inside = (target >= 0) & (target < len(x)) & (source >= 0) & (source < len(x))
        window = 0.5 + 0.5 * np.cos(np.pi * lags[inside] / half)
        y[target[inside]] += (1 / np.sqrt(ratio) if voiced[i] else 1.0) * window * x[source[inside]]
        here += max(1.0, lengths[i] / ratio) if voiced[i] else float(half)
    return y


@pytest.mark.parametrize("semitones", [-7.0, 0.0, 4.0])
@pytest.mark.parametrize("seed", range(6))
def test_it_is_that_of_the_whole_signal(semitones: float, seed: int) -> None:
    """Pushed in blocks of 5 ms, the signal equals PSOLA of the whole signal to 1e-13, and the lookahead is enough.

    The pitch jumps, and voices begin and end, at random.
    """
    draw = np.random.default_rng(seed)
    x = np.abs(draw.standard_normal(16000)) + 1e-3  # its peaks are positive
    f0 = np.repeat(np.where(draw.random(40) < 0.3, 0, np.exp(draw.uniform(np.log(60), np.log(500), 40))), 5)
    nearest = np.clip(np.floor(np.arange(16000) / 80 + 0.5).astype(int), 0, 199)
    periods = np.where(f0[nearest] > 0, 16000 / np.where(f0[nearest] > 0, f0[nearest], 1), 0)
    expected = whole_psola(x, periods, 16000, 2 ** (semitones / 12))
    graph = Example(Psola(semitones=semitones), x=(AUDIO, x), f0=(ROWS, f0[:, None])).graph()
    session, parts, late = graph.session(), [], 0
    for k in range(200):
        parts.append(session.push(x=x[80 * k : 80 * k + 80], f0=f0[k : k + 1, None])["y"])
        late = max(late, 80 * (k + 1) - sum(map(len, parts)))
    parts.append(session.flush()["y"])
    np.testing.assert_allclose(np.concatenate(parts), expected, rtol=0, atol=1e-13)
    # The declared lookahead is enough: 3.5 periods of 60 Hz, and 1.5 rows. 761 samples were measured, of 1062.
    assert late <= 16000 * Psola(semitones=0).lookahead(AUDIO, ROWS) + 80


@pytest.mark.parametrize("period", [0.0, 100.0, 266.0])
def test_little_of_a_long_signal_is_kept(period: float) -> None:
    """After 20 seconds, at most six periods of the lowest pitch and one block of 160 samples are kept, and 30 marks.

    The lowest pitch, 60 Hz, has periods of 267 samples at 16 kHz. period: that of the signal, in samples; 0: unvoiced.
    """
    shift, x = PsolaSignal(16000, 1.5, 16000 / 60), speech()[8000:24000]
    for _ in range(20):
        for first in range(0, 16000, 160):
            shift.push(x[first : first + 160, None], np.full(160, period))
    assert len(shift.x) <= 6 * 267 + 160
    assert len(shift.y) <= 6 * 267 + 160
    assert len(shift.marks) <= 30


def test_a_pitch_below_the_lowest_is_none() -> None:
    x = vowel(50)
    rows = np.full((200, 1), 50.0)
    found = Example(Psola(semitones=5), x=(AUDIO, x), f0=(ROWS, rows)).render()["y"]
    assert np.abs(found - x)[100:-100].max() < 1e-12


@pytest.mark.parametrize("semitones", [-4, 3, 7])
def test_the_pitch_moves_and_the_formants_and_the_power_stay(semitones: float) -> None:
    x = vowel(120)
    y = shifted(x, 120, semitones)
    wanted = 120 * 2 ** (semitones / 12)
    assert abs(1200 * np.log2(frequency(y, wanted) / wanted)) < 3
    for expected, _ in FORMANTS[:2]:
        assert np.abs(formants(y) / expected - 1).min() < 0.04  # measured 0.03; harmonics lie beside the formants
    assert abs(10 * np.log10(np.mean(y[2000:14000] ** 2) / np.mean(x[2000:14000] ** 2))) < 1  # measured 0.6 dB


def test_no_interval_gives_the_signal_back_nearly() -> None:
    x = vowel(120)
    y = shifted(x, 120, 0)
    inner = slice(1000, 15000)
    assert np.sum((y - x)[inner] ** 2) < 1e-4 * np.sum(x[inner] ** 2)  # measured 1e-5


@pytest.mark.parametrize("gain", [0.5, -1.0])
def test_a_voice_stays_where_it_is_panned(gain: float) -> None:
    x = vowel(120, 4000)
    rows = np.full((50, 1), 120.0)
    both = Example(Psola(semitones=4), x=(Audio(16000, 2), np.stack((gain * x, x), axis=1)), f0=(ROWS, rows))
    y = both.render()["y"]
    assert_array_equal(y[:, 1], shifted(x, 120, 4))
    np.testing.assert_allclose(y[:, 0], gain * y[:, 1], rtol=0, atol=1e-15)


def test_channels_have_the_same_marks() -> None:
    """The third channel is the sum of the other two, and stays their sum, because all channels have the same marks."""
    one, other = vowel(120, 4000), np.roll(vowel(120, 4000), 50) * np.linspace(1, 0.2, 4000)
    x = np.stack((one, other, one + other), axis=1)
    y = Example(Psola(semitones=4), x=(Audio(16000, 3), x), f0=(ROWS, np.full((50, 1), 120.0))).render()["y"]
    np.testing.assert_allclose(y[:, 2], y[:, 0] + y[:, 1], rtol=0, atol=1e-14)


def test_what_is_unvoiced_stays() -> None:
    x = np.random.default_rng(1).standard_normal(8000)
    y = Example(Psola(semitones=5), x=(AUDIO, x), f0=(ROWS, np.zeros((100, 1)))).render()["y"]
    assert np.abs(y - x)[100:-100].max() < 1e-12
    assert_array_equal(shifted(np.zeros(1000), 100, 5), np.zeros(1000))


def test_a_pitch_that_is_too_high_is_refused() -> None:
    with pytest.raises(NodeError, match="the pitch must be at most 4000 Hz; frame 0 has 5000 Hz"):
        shifted(vowel(120, 1000), 5000, 1)
    with pytest.raises(ParameterError, match="psola takes one pitch per frame"):
        Psola(semitones=1).streams(AUDIO, ROWS.like(width=2))


@pytest.mark.parametrize("block", [100, 4000])
def test_an_error_names_the_frame_of_the_whole_signal(block: int) -> None:
    def run(f0: Array) -> None:
        node = Psola(semitones=1)
        state = node.start(AUDIO, ROWS)
        for k in range(0, 4000, block):
            state, _ = node.step(state, np.zeros(block), f0[-(-k // 80) : -(-(k + block) // 80)])

    with pytest.raises(ValueError, match="frame 37 has 5000 Hz"):
        run(np.where(np.arange(50) == 37, 5000.0, 100.0)[:, None])
