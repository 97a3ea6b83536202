"""Metrics: known signals have the values that follow from theory.

For silence and other extreme signals the values are finite, or None where there is nothing to measure.
"""

import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from dspgraph import Array, FileError, RequestError, SignalError, UnknownName, load
from dspgraph.evaluation.metrics import (
    METRICS,
    Measure,
    cepstral,
    descriptions,
    evaluate,
    measure,
    score,
)
from dspgraph.evaluation.results import Metric, Recording, Results, Score, Variant
from helpers.measured import RATE, noise, noisy, tone, value
from helpers.speech import speech
from helpers.vowels import SEMITONES, vowel

ALL = list(METRICS)


OWN = ["mcd", "mcd_dtw", "lsd", "mrstft", "log_f0_rmse", "voicing_error", "si_sdr", "loudness_difference"]


def pulses(f0: float, seconds: float = 1.0, rate: int = RATE) -> Array:
    """Return a sum of the harmonics of f0 (Hz) up to about 7 kHz, falling by 6 dB per octave, with the peak 0.5.

    The result is [seconds * rate]. rate: Hz.
    """
    t = 2 * np.pi * f0 / rate * np.arange(round(seconds * rate))
    x: Array = sum((np.cos(k * t) / k for k in range(1, int(7000 / f0))), np.zeros(len(t)))
    x *= 0.5 / np.abs(x).max()
    return x


# ---- what is there, and what it says of itself -----------------------------------------------------------------------


def test_the_metrics_stand_in_the_order_they_are_shown() -> None:
    assert [*OWN, "pesq", "stoi"] == ALL


@pytest.mark.parametrize("name", ALL)
def test_a_metric_says_what_it_depends_on_in_words_that_json_can_hold(name: str) -> None:
    metric = METRICS[name].metric
    assert (metric.name, metric.about[-1], len(metric.about) < 120) == (name, ".", True)
    versions = dict.fromkeys(OWN, "1") | {"log_f0_rmse": "2", "voicing_error": "2", "pesq": "0.0.4", "stoi": "0.4.1"}
    assert metric.version == versions[name]
    assert json.loads(json.dumps(asdict(metric)))["settings"] == metric.settings != {}


def test_listening_models_are_there_only_with_their_packages() -> None:
    code = (
        "import importlib.util as util, sys\n"
        "real = util.find_spec\n"
        "util.find_spec = lambda name, *more: None if name in ('pesq', 'pystoi') else real(name, *more)\n"
        "from dspgraph.evaluation.metrics import METRICS\n"
        "heavy = {'numba', 'scipy.signal', 'scipy.fft', 'torch', 'pysptk', 'pesq', 'pystoi'} & set(sys.modules)\n"
        "print(*METRICS, *heavy)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == OWN


ANNOUNCED = """from dspgraph.evaluation.metrics import metric

@metric("dB", "lower", {"floor_db": -100})
def peak_error(pair):
    '''Difference of the peaks.'''
    return abs(pair.reference).max() - abs(pair.degraded).max()

@metric("dB", "lower", {})
def lsd(pair):
    '''Nothing.'''

NUMBER = 3
"""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("theirs:peak_error", "mcd .* stoi peak_error Difference of the peaks. 0.25"),
        (
            "theirs:missing",
            r"the metric 'theirs' of theirs \(theirs:missing\) cannot be loaded: AttributeError: .*: repair or",
        ),
        ("theirs:NUMBER", "the metric 'theirs' .* is 3: decorate it with metric"),
        ("theirs:lsd", "two metrics are called 'lsd': rename one"),
    ],
)
def test_packages_announce_metrics_by_entry_point(tmp_path: Path, value: str, expected: str) -> None:
    (tmp_path / "theirs.py").write_text(ANNOUNCED)
    (tmp_path / "theirs-0.1.dist-info").mkdir()
    (tmp_path / "theirs-0.1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 0.1\n")
    (tmp_path / "theirs-0.1.dist-info" / "entry_points.txt").write_text(f"[dspgraph.metrics]\ntheirs = {value}\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import numpy as np\n"
        "from dspgraph.evaluation.metrics import METRICS, measure\n"
        "x = np.full(9000, 0.5); (found,) = measure(x, x / 2, 16000, ['peak_error']).values()\n"
        "print(*METRICS, METRICS['peak_error'].metric.about, found)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert re.search(expected, done.stdout + done.stderr)


OWN_METRIC = """from dspgraph.evaluation.metrics import metric

@metric("dB", "lower", {"floor_db": -100})
def peak_error(pair):
    '''Difference of the peaks.'''
    return abs(pair.reference).max() - abs(pair.degraded).max()
"""


def test_metrics_of_an_own_file_are_there_with_a_hash_of_their_code(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(OWN_METRIC)
    x = np.full(9000, 0.5)
    found = measure(x, x / 2, 16000, files=[path])
    assert list(found) == [*ALL, "peak_error"] and found["peak_error"] == 0.25
    (described,) = descriptions(["peak_error"], files=[path])
    assert described.settings["floor_db"] == -100 and described.settings["file"] == "own.py"
    again = tmp_path / "again" / "own.py"
    again.parent.mkdir()
    again.write_text(OWN_METRIC.replace("max()", "mean()"))
    (other,) = descriptions(["peak_error"], files=[again])
    assert other.settings["source"] != described.settings["source"], "another code is another metric"
    with pytest.raises(UnknownName, match="there is no metric 'peak_eror'; did you mean 'peak_error'"):
        measure(x, x, 16000, ["peak_eror"], files=[path])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("own.txt", OWN_METRIC, r"the metric .*own.txt is not a Python file: give the path of a .py file with metrics"),
        ("none.py", "from dspgraph.evaluation.metrics.cepstral import mcd", "none.py has no metric in it: decorate"),
        ("bad.py", "1 / 0", "the metric .*bad.py failed while it was imported: ZeroDivisionError"),
        ("lsd.py", OWN_METRIC.replace("peak_error", "lsd"), "two metrics are called 'lsd': rename one"),
    ],
)
def test_a_file_without_a_good_metric_is_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(RequestError, match=message):
        measure(np.ones(9000), np.ones(9000), 16000, files=[tmp_path / name])


def test_the_settings_of_pitch_are_those_of_its_pipeline() -> None:
    settings, graph = METRICS["log_f0_rmse"].metric.settings, load("f0", (), {"pitch": "swipe"})
    (tracker,) = graph.nodes.values()
    hop = settings["hop_s"] * settings["rate_hz"]
    assert (settings["rate_hz"], hop) == (graph.inputs["speech"].rate, tracker.model_dump()["hop"])
    assert graph.stream("pitch").rate == 200
    assert settings["f0_range_hz"] == [40, 1000]
    (described,) = descriptions(["voicing_error"], (60, 400))
    assert described.settings["f0_range_hz"] == [60, 400]
    assert descriptions(["lsd"], (60, 400)) == [METRICS["lsd"].metric]


@pytest.mark.parametrize(
    ("low", "high"), [(225, 450), (190, 380), (240, 480), (250, 500), (50, 55), (150, 300), (200, 210), (400, 800)]
)
def test_two_vowels_of_known_pitch_differ_by_their_interval(low: float, high: float) -> None:
    """The pitch error of two vowels is the interval between them, to 15 cents.

    Pulses lie at whole samples, so a measured period, of 20 samples or more, is off by up to 0.8 %.
    """
    found = value("log_f0_rmse", vowel(low), vowel(high))
    assert found == pytest.approx(1200 * math.log2(high / low), abs=15)


def semitones() -> Iterator[Any]:
    """Yield each pitch of SEMITONES with each vowel, as parameters of a test. Most of them are marked as slow."""
    for k, f0 in enumerate(SEMITONES):
        for formants in "aiu":
            unequal = formants == "i" and round(f0) in (605, 680)  # in number of samples per period
            marks = [pytest.mark.slow] if k % 7 and not unequal else []
            yield pytest.param(f0, formants, marks=marks)


@pytest.mark.parametrize(("f0", "formants"), [*semitones()])
def test_a_vowel_a_semitone_higher_is_100_cents_higher(f0: float, formants: str) -> None:
    """The pitch error is 100 cents, to 60 cents, which excludes the 1200 cents of an octave error by far."""
    found = value("log_f0_rmse", vowel(f0, formants), vowel(f0 * 2 ** (1 / 12), formants))
    assert found == pytest.approx(100, abs=60)


def test_a_voice_that_the_range_cannot_hold_has_no_value_and_a_reason() -> None:
    x, y = vowel(225), vowel(450)
    found = evaluate(x, y, RATE, ["log_f0_rmse", "voicing_error", "lsd"], f0_range=(60, 400))
    assert found.values["log_f0_rmse"] is None and found.values["voicing_error"] is None
    assert found.values["lsd"] is not None
    assert set(found.reasons) == {"log_f0_rmse", "voicing_error"}
    assert re.search(
        "60 to 400 Hz, cannot hold the voice of the degraded signal: in .* % .*about 4[45].* Hz: give another range",
        found.reasons["log_f0_rmse"],
    )
    assert measure(x, y, RATE, ["log_f0_rmse"], f0_range=(60, 600))["log_f0_rmse"] == pytest.approx(1200, abs=15)


@pytest.mark.parametrize("f0_range", [(10, 400), (60, 5000), (400, 60), (100, 110), (math.nan, 400)])
def test_a_range_that_cannot_be_searched_is_refused(f0_range: tuple[float, float]) -> None:
    with pytest.raises(
        RequestError, match="the range of the pitch is .* must lie between 30 and 1200 Hz and span half"
    ):
        measure(speech(800), speech(800), RATE, ["lsd"], f0_range=f0_range)


def test_names_choose_metrics_and_a_wrong_one_is_refused() -> None:
    x = speech(8000)
    assert list(measure(x, x, RATE, ["si_sdr", "lsd"])) == ["si_sdr", "lsd"]
    with pytest.raises(UnknownName, match="there is no metric 'lds'; did you mean 'lsd'\\?"):
        measure(x, x, RATE, ["lds"])


def test_what_is_best_at_zero_is_ranked_by_its_absolute_value() -> None:
    metric = METRICS["loudness_difference"].metric
    names, means = ["loud", "soft", "same", "none"], [3.0, -1.0, 0.5, None]
    found = Results(
        "p", "", [Variant(name, "") for name in names], [Recording("r", "r.wav", 1)], [metric],
        [Score("r", name, {metric.name: mean}) for name, mean in zip(names, means, strict=True)],
    )  # fmt: skip
    assert found.ranking(metric.name) == ["same", "soft", "loud", "none"]


# ---- known signals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100])
def test_the_same_signal_has_nothing_wrong_with_it(rate: int) -> None:
    best = dict.fromkeys(OWN, 0.0) | {"si_sdr": 100.0, "stoi": 1.0, "pesq": 4.644 if rate >= 16000 else 4.549}
    x = speech(32000)
    found = measure(x, x, rate)
    assert found == pytest.approx(best, abs=1e-3)  # PESQ's best, of P.862.2 and P.862.1
    assert [name for name in OWN if found[name]] == ["si_sdr"]


def test_a_gain_of_6_db_is_6_db_for_those_that_hear_level_and_nothing_for_the_others() -> None:
    x = noise(64000) * 0.1
    db = 20 * math.log10(2)
    found = measure(x, 2 * x, RATE, OWN)
    assert found["lsd"] == pytest.approx(db, abs=1e-4)  # the first and the last frame hold zeros: below the floor
    assert found["loudness_difference"] == pytest.approx(db, abs=1e-9)
    assert found["mcd"] == pytest.approx(0, abs=1e-12) and found["mcd_dtw"] == pytest.approx(0, abs=1e-12)
    assert found["si_sdr"] == 100  # a x - x' is exactly 0
    assert found["mrstft"] == pytest.approx(1 + math.log(2), rel=1e-3)  # ||X| - 2 |X|| / |X|, and ln 2 above the floor
    assert value("loudness_difference", 2 * x, x) == pytest.approx(-db, abs=1e-9)


def test_a_delay_of_one_sample_is_heard_by_waveform_metrics_only() -> None:
    """White noise delayed by one sample has an SI-SDR below -36 dB, but nearly the same spectra and loudness.

    The correlation of neighbouring samples is 0 within 4 / sqrt(n), for n = 64000 samples, and 10 log10(16 / n) is -36
    dB.
    """
    x = noise(64000) * 0.1
    found = measure(x[1:], x[:-1], RATE, OWN)
    assert found["si_sdr"] is not None and found["si_sdr"] < 10 * math.log10(16 / 64000)
    assert found["mcd"] is not None and found["mcd"] < 1.5  # one of 400 samples of a frame is another one
    assert found["loudness_difference"] == pytest.approx(0, abs=0.01)


def test_warping_undoes_a_delay_of_whole_frames() -> None:
    """A delay costs `mcd_dtw` less than a tenth of what it costs `mcd`.

    The delay is 0.1 s, 20 frames. On the path, every frame of the reference meets its copy, except for the last 20
    frames, whose copies are cut off.
    """
    x = speech(48000)
    delayed = np.concatenate([np.zeros(1600), x])
    plain, warped = value("mcd", x, delayed), value("mcd_dtw", x, delayed)
    assert warped < 0.1 * plain and plain > 3


def test_white_noise_at_a_known_snr_gives_that_si_sdr() -> None:
    """SI-SDR is the SNR at which the noise was added, within the bound that follows from its formula.

    As a ratio of powers, SI-SDR is (1 + c * r)**2 / (1 - c**2) / r**2. c is the correlation of noise and signal, r the
    norm of the noise divided by that of the signal. Over n samples, c has a standard deviation of 1 / sqrt(n). If c is
    four of these, the ratio changes by the factor 1 + 8 * r / sqrt(n), to first order; the tolerance is a little more.
    """
    x = speech()
    x -= x.mean()
    for snr in (40.0, 20.0, 3.0):
        other = noisy(snr) - speech()
        other -= other.mean()
        ratio, c = (
            np.sqrt((other**2).sum() / (x**2).sum()),
            (x * other).sum() / np.sqrt((x**2).sum() * (other**2).sum()),
        )
        exact = 10 * math.log10((1 + c * ratio) ** 2 / (1 - c**2) / ratio**2)
        found = value("si_sdr", x, x + other)
        assert found == pytest.approx(exact, abs=1e-9)
        assert found == pytest.approx(snr, abs=10 * math.log10(1 + 9 * 10 ** (-snr / 20) / math.sqrt(len(x))) + 1e-3)


def test_what_is_60_db_softer_than_the_loudest_frame_is_silence() -> None:
    """Replace the soft half of a noise by a tone: `mcd` and `mcd_dtw` exceed 5 dB if this half is heard, else not.

    The half is heard if it is 55 dB softer than the other, and silence if it is 66 dB softer. The energies of frames of
    noise differ by up to 2 dB.
    """
    loud, soft, other = noise(8000) * 0.1, noise(8000, 4), tone(1000, 0.5, RATE)
    for level, heard in ((-55, True), (-66, False)):
        scale = 0.1 * 10 ** (level / 20)
        x, y = np.concatenate([loud, soft * scale]), np.concatenate([loud, other * scale])
        assert (value("mcd", x, y) > 5) == heard
        assert (value("mcd_dtw", x, y) > 5) == heard


def test_orthogonal_noise_gives_si_sdr_exactly_whatever_the_gain_and_the_means() -> None:
    x, other = tone(100, 1, RATE), tone(300, 1, RATE, -20)
    assert value("si_sdr", x + 0.2, 3 * (x + other) - 0.1) == pytest.approx(20, abs=1e-9)
    assert value("si_sdr", x, other) == -100  # nothing in common: the other bound
    assert value("si_sdr", x, x + tone(300, 1, RATE, -130)) == 100


@pytest.mark.parametrize("factor", [1.05, 0.8, 1.5])
def test_a_pitch_shift_by_a_factor_is_1200_log2_of_it_cents(factor: float) -> None:
    """The pitch error is 1200 * log2(factor) cents, to 7 cents.

    SWIPE' interpolates strengths of pitches that are 12.5 cents apart; 4.7 cents were measured.
    """
    found = value("log_f0_rmse", pulses(120.0), pulses(120.0 * factor))
    assert found == pytest.approx(abs(1200 * math.log2(factor)), abs=7)


def test_a_pitch_shift_in_a_file_of_another_rate_is_the_same() -> None:
    x, y = pulses(120.0, rate=44100), pulses(126.0, rate=44100)
    assert value("log_f0_rmse", x, y, 44100) == pytest.approx(1200 * math.log2(1.05), abs=7)


def test_a_signal_silenced_halfway_has_half_its_voicing_wrong() -> None:
    """The voicing error is 50 %, to within 5 frames of 400, 1.25 %, whichever of the two is the reference.

    The tracker finds the end of a voice some frames too early or too late. The pitch error is below 5 cents.
    """
    x = pulses(120.0, 2.0)
    half = x * (np.arange(len(x)) < len(x) // 2)
    assert value("voicing_error", x, half) == pytest.approx(50, abs=1.25)
    assert value("voicing_error", half, x) == value("voicing_error", x, half)
    assert value("log_f0_rmse", x, half) < 5  # they agree, but for the last frames, which look beyond the end


def test_more_noise_is_never_better() -> None:
    found = [measure(speech(), noisy(snr), RATE) for snr in (40, 30, 20, 10)]
    for name in ("mcd", "mcd_dtw", "lsd", "mrstft", "si_sdr", "pesq", "stoi"):
        values = [one[name] for one in found]
        sign = -1 if METRICS[name].metric.better == "higher" else 1
        assert sorted(values, key=lambda one: sign * (one or 0)) == values, name
    assert found[-1]["loudness_difference"] is not None and found[-1]["loudness_difference"] > 0


@pytest.mark.parametrize("name", ["lsd", "log_f0_rmse", "voicing_error"])
def test_some_metrics_do_not_care_which_is_the_reference(name: str) -> None:
    assert value(name, speech(), noisy(20)) == pytest.approx(value(name, noisy(20), speech()), rel=1e-12)


# ---- nothing to measure ----------------------------------------------------------------------------------------------


ZEROS = np.zeros(16000)


def test_silence_has_no_level_no_pitch_and_no_quality() -> None:
    nothing = {"mcd", "mcd_dtw", "log_f0_rmse", "si_sdr", "loudness_difference", "pesq", "stoi"}
    found = measure(ZEROS, ZEROS, RATE)
    assert {name for name, one in found.items() if one is None} == nothing
    assert {name: one for name, one in found.items() if one is not None} == {"lsd": 0, "mrstft": 0, "voicing_error": 0}


def test_a_silent_output_is_far_from_speech() -> None:
    found = measure(speech(), np.zeros(64000), RATE)
    assert {name for name, one in found.items() if one is None} == {
        "log_f0_rmse", "si_sdr", "loudness_difference", "pesq", "stoi"
    }  # fmt: skip
    for name in ("mcd", "lsd", "mrstft", "voicing_error"):
        assert (found[name] or 0) > value(name, speech(), noisy(10)), name


def test_signals_without_voice_in_common_have_no_pitch_error() -> None:
    assert measure(noise(16000) * 0.1, pulses(120.0), RATE, ["log_f0_rmse"]) == {"log_f0_rmse": None}


HARD = {
    "one sample": np.ones(1),
    "two samples": np.array([0.5, -0.5]),
    "short": speech()[8000:8100],
    "a quarter of a second": speech()[8000:12000],
    "constant": np.full(9000, 0.25),
    "huge": speech(9000) * 1e200,
    "beyond a tracker": speech(9000) * 1e4,
    "tiny": speech(9000) * 1e-200,
    "denormal": speech(9000) * 1e-310,
    "a click": np.eye(1, 9000, 5000)[0],
    "silence and a bit": np.concatenate([np.zeros(8000), speech()[8000:9000]]),
    "float32": speech(9000).astype(np.float32),
    "channels": np.stack([speech(9000), noise(9000)], axis=1),
}


ALSO_FAST = ("one sample", "a click", "silence and a bit")
"""Signals that the fast tests measure at 192000 Hz too."""


@pytest.mark.parametrize(
    ("what", "rate"),
    [
        *((what, 8000) for what in HARD),
        *(pytest.param(what, 192000, marks=[] if what in ALSO_FAST else [pytest.mark.slow]) for what in HARD),
    ],
)
def test_whatever_the_signal_a_value_is_finite_or_none(what: str, rate: int) -> None:
    x = HARD[what]
    for a, b in ((x, x), (x, noise(len(x))), (np.zeros(len(x)), x), (x, np.zeros(len(x)))):
        for name, found in measure(a, b, rate).items():
            assert found is None or (type(found) is float and math.isfinite(found)), name


def test_empty_signals_have_no_value() -> None:
    assert measure(np.empty(0), speech(), RATE) == dict.fromkeys(ALL, None)


def test_the_longer_signal_is_cut() -> None:
    assert measure(speech(), speech(20000), RATE) == measure(speech(20000), speech(20000), RATE)


def test_channels_are_mixed() -> None:
    x, other = speech(16000), noise(16000)
    both = np.stack([x + other, x - other], axis=1)
    assert measure(both, x, RATE, ["lsd"])["lsd"] == pytest.approx(0, abs=1e-9)


def test_warping_ends_at_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signals of over an hour have no value of `mcd_dtw`. The test lowers this limit to a second.

    The path of dynamic time warping takes 401 bytes per frame, 289 MB for an hour.
    """
    assert cepstral.DTW_LONGEST == 3600
    monkeypatch.setattr(cepstral, "DTW_LONGEST", 1.0)
    assert measure(speech(16001), speech(16001), RATE, ["mcd_dtw", "mcd"]) == {"mcd_dtw": None, "mcd": 0}
    assert measure(speech(16000), speech(16000), RATE, ["mcd_dtw"]) == {"mcd_dtw": 0}


@pytest.mark.parametrize(
    ("x", "rate", "message"),
    [
        (np.array([0.0, np.nan]), RATE, "the reference has a sample that is not a number, at 1: repair it"),
        (np.array([[0.0, 0.0], [0.0, np.inf]]), RATE, "the reference has a sample that is not a number, at 1"),
        (np.zeros(3, np.int16), RATE, r"must be floats \[n\] or \[n, channels\], full scale \+-1; found int16 \(3,\)"),
        (np.zeros(3, complex), RATE, "found complex128"),
        (np.zeros((2, 2, 2)), RATE, r"found float64 \(2, 2, 2\)"),
        (np.zeros(3), 7999, "metrics take audio of 8000 to 192000 Hz; found 7999 Hz: resample it first"),
        (np.zeros(3), 192001, "found 192001 Hz"),
    ],
)
def test_what_is_no_sound_is_refused(x: Array, rate: int, message: str) -> None:
    with pytest.raises(SignalError, match=message):
        measure(x, np.zeros(3), rate)


# ---- files -----------------------------------------------------------------------------------------------------------


def test_a_file_is_scored_after_what_its_notes_say(tmp_path: Path) -> None:
    reference, degraded = tmp_path / "reference.wav", tmp_path / "degraded.flac"
    soundfile.write(reference, speech(32000), RATE, "FLOAT")
    samples = np.repeat(noisy(20)[:30000], 2)
    soundfile.write(degraded, np.stack([samples, samples], axis=1) * 0.5, 32000, "PCM_24")
    described, measured, notes = score(reference, degraded)
    values = measured.values
    assert described == [one.metric for one in METRICS.values()] and list(values) == ALL
    assert all(isinstance(one, Metric) and not isinstance(one, Measure) for one in described)
    assert notes == [
        f"{degraded}: resampled from 32000 Hz to 16000 Hz",
        f"{degraded}: mixed 2 channels to 1",
        f"{reference}: cut from 2.000 s to 1.875 s, the length of the other",
    ]
    assert values["loudness_difference"] == pytest.approx(-6, abs=0.5)


def test_equal_files_need_no_notes(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, speech(16000), 44100, "FLOAT")
    _, measured, notes = score(path, path)
    assert notes == [] and (measured.values["lsd"], measured.values["si_sdr"]) == (0, 100)


def test_files_that_are_no_sound_are_refused(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.wav", tmp_path / "bad.wav"
    soundfile.write(good, speech(800), RATE, "FLOAT")
    soundfile.write(bad, np.array([0.0, np.nan]), RATE, "FLOAT")
    with pytest.raises(FileError, match="a sample that is not a number, at 1"):
        score(good, bad)
    with pytest.raises(FileError, match="does not exist"):
        score(tmp_path / "none.wav", good)
    soundfile.write(bad, np.zeros(8), 4000, "FLOAT")
    with pytest.raises(SignalError, match="found 4000 Hz"):
        score(bad, good)
