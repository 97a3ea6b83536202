"""A first hour
============

Thirteen jobs for a first hour with dspgraph, each in a few lines. Everything is written into the folder OUT.

::

    python examples/first_hour.py OUT

One job is a blind test: playwright and Chromium are needed, because a script answers it in place of a listener. The
last job installs dspgraph a second time.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile
from playwright.sync_api import Page, sync_playwright

from dspgraph import Array, Audio, Graph, as_node, load, read_arrays
from dspgraph.io.audio import example_speech
from dspgraph.nodes import Echo, TimeStretch

SPEECH = example_speech()


def dspgraph(*words: object) -> None:
    """Run the command `dspgraph` with these arguments, as in a shell. Raises CalledProcessError if it fails."""
    subprocess.run([sys.executable, "-m", "dspgraph", *map(str, words)], check=True)


def log_mel_and_mfcc_of_a_folder(out: Path) -> str:
    dspgraph("render", "mfcc_features", SPEECH.parent, "-o", out / "features", "--overwrite")
    stream, rows = read_arrays(next((out / "features").glob("*.npz")))["mfcc"]
    return f"{rows.shape[1]} coefficients, a row every {1000 / float(stream.rate):.0f} ms"


def speech_three_semitones_higher(out: Path) -> str:
    higher = load("world", semitones=3)(tone(200))["speech"]
    pitch = load("f0")(higher)["f0"]
    return f"{np.median(pitch[pitch > 0]):.0f} Hz from 200 Hz"


def speech_slowed_to_80_percent(out: Path) -> str:
    graph = Graph(
        {"slow": TimeStretch(factor=1.25)}, {"slow.x": "speech"}, {"speech": Audio(16000)}, {"speech": "slow"}
    )
    return f"{len(graph(tone(200))['speech']) / 16000:.2f} s from 1.00 s"


def two_files_mixed_at_10_decibels(out: Path) -> str:
    (out / "mix.yaml").write_text(
        "inputs: {a: {audio: 16000}, b: {audio: 16000}}\noutputs: {mixed: noisy}\n"
        "nodes: {noisy: {node: add_noise, x: a, noise: b, snr: 10}}\n"
    )
    noise = out / "noise.wav"  # 20 s; what is longer than the first file is cut
    soundfile.write(noise, 0.1 * np.random.default_rng(1).standard_normal(20 * 16000), 16000)
    dspgraph("render", out / "mix.yaml", f"a={SPEECH}", f"b={noise}", "-o", out / "mixed", "--overwrite")
    return ", ".join(path.name for path in (out / "mixed").glob("*.flac"))


def an_echo_with_its_tail(out: Path) -> str:
    graph = Graph({"echo": Echo(tail=1.5)}, {"echo.x": "speech"}, {"speech": Audio(16000)}, {"speech": "echo"})
    return f"{len(graph(tone(200))['speech']) / 16000:.1f} s from 1.0 s"


def the_pitch_inside_a_vocoder(out: Path) -> str:
    pitch = load("lpc_vocoder").tap("pitch")(tone(200))["pitch"]
    return f"{np.median(pitch[pitch > 0]):.0f} Hz"


def the_pitch_over_a_spectrogram(out: Path) -> str:
    dspgraph("plot", SPEECH, "--pipeline", "f0", "-o", out / "pitch.png")
    return "pitch.png"


@as_node
def clip(x: Audio, peak: float = 0.5) -> Array:
    return np.clip(x, -peak, peak)  # type: ignore[call-overload, no-any-return]


def a_function_as_a_node(out: Path) -> str:
    graph = Graph({"clip": clip(peak=0.1)}, {"clip.x": "speech"}, {"speech": Audio(16000)}, {"speech": "clip"})
    return f"largest sample {graph(tone(200))['speech'].max():.1f}"


def many_signals_at_once(out: Path) -> str:
    graph = load("lpc_vocoder", order=20, swap="excitation=whisper")
    return f"{len(graph.map([tone(pitch) for pitch in (100, 150, 200)], batch=3))} signals"


def two_slots_compared(out: Path) -> str:
    dspgraph("compare", "lpc_vocoder", SPEECH, "--vary", "excitation,pitch", "--metrics", "lsd", "-o", out / "compared")
    return "compared/report.html"


def an_own_metric(out: Path) -> str:
    (out / "own.py").write_text(
        "from dspgraph.evaluation.metrics import metric\n\n@metric('', 'lower', {})\ndef peak_ratio(pair):\n"
        "    'Ratio of the peaks.'\n    return abs(pair.degraded).max() / abs(pair.reference).max()\n"
    )
    words = ("--metric", out / "own.py", "--metrics", "peak_ratio", "-o", out / "measured", "--overwrite")
    dspgraph("compare", "lpc_vocoder", SPEECH, "--vary", "excitation", *words)
    return "measured/results.csv"


def a_blind_mushra_filled_in_by_keyboard(out: Path) -> str:
    with page_of(out / "measured" / "report.html") as page:
        begin_test(page, "ann")
        give_scores(page, "123")
        page.reload()  # the answers are kept
        give_scores(page, "456")
        with page.expect_download() as answers:
            page.locator("#download").press("Enter")
        answers.value.save_as(out / "ann.csv")
    dspgraph("listen", "merge", out / "ann.csv", "--all-listeners", "-o", out / "merged.csv")
    return f"{len((out / 'merged.csv').read_text().splitlines()) - 1} results"


def an_install_from_a_fresh_clone(out: Path) -> str:
    clone = out / "clone"
    shutil.rmtree(clone, ignore_errors=True)
    subprocess.run(["git", "clone", "--quiet", Path(__file__).parents[1], clone], check=True)
    subprocess.run([sys.executable, "-m", "venv", clone / ".venv"], check=True)
    pip = f"{clone}/.venv/bin/python -m pip install --quiet --constraint {clone}/constraints.txt"
    subprocess.run([*pip.split(), clone], check=True)
    done = subprocess.run([clone / ".venv" / "bin" / "dspgraph", "--version"], check=True, capture_output=True)
    return done.stdout.decode().strip()


@contextmanager
def page_of(path: Path) -> Iterator[Page]:
    """Open an HTML file in Chromium without a window, yield the page, and close it when the `with` block ends."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(path.resolve().as_uri())
        yield page
        browser.close()


def begin_test(page: Page, listener: str) -> None:
    """Begin the blind test of a page, a MUSHRA, with the name of a listener."""
    page.locator("#blind").press("Enter")
    page.keyboard.type(f"{listener}\n")


def give_scores(page: Page, keys: str) -> None:
    """Give sounds of a MUSHRA test their scores: 50 + K to the sound with the key K, if it had no score before.

    keys: the keys K, digits from 1 to 9 such as "123".
    """
    for key in keys:
        page.keyboard.press(key)
        for _ in range(int(key)):
            page.keyboard.press("ArrowUp")


def tone(pitch: float) -> Array:
    """Return one second of a harmonic sound, [16000], at 16 kHz. pitch: Hz."""
    phase = 2 * np.pi * pitch / 16000 * np.arange(16000)
    sound: Array = sum((np.sin(k * phase) / k for k in range(1, 20)), np.zeros(16000)) / 4
    return sound


JOBS: list[Callable[[Path], str]] = [
    log_mel_and_mfcc_of_a_folder,
    speech_three_semitones_higher,
    speech_slowed_to_80_percent,
    two_files_mixed_at_10_decibels,
    an_echo_with_its_tail,
    the_pitch_inside_a_vocoder,
    the_pitch_over_a_spectrogram,
    a_function_as_a_node,
    many_signals_at_once,
    two_slots_compared,
    an_own_metric,
    a_blind_mushra_filled_in_by_keyboard,
    an_install_from_a_fresh_clone,
]

if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "first_hour")
    folder.mkdir(exist_ok=True)
    for job in JOBS:
        print(f"{job.__name__.replace('_', ' ')}: {job(folder)}", flush=True)
