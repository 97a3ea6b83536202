"""Comparisons to show in a page of a report, and functions that open such a page in a browser and use it."""

import csv
import io
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Dialog, Page, Request

from dspgraph.evaluation.report import write_page
from dspgraph.evaluation.results import Metric, Recording, Results, Score, Variant

RATE = 8000
ENGLISH = ["pulse", "whisper", "residual"]
UNVOICED = "no frame has a pitch in <both> signals"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="30"><title>In to out</title><desc>wide &amp; far</desc></svg>'


# ---- comparisons to show --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Comparison:
    """The results of a comparison, the sounds and the drawn graphs: all that a page of a report needs.

    audio: the files by (recording, variant). reference: the files by recording. graphs: drawings as SVG by variant.
    """

    results: Results
    audio: dict[tuple[str, str], Path]
    reference: dict[str, Path]
    graphs: dict[str, str]

    def write(self, target: Path, assets: bool = False) -> Path:
        return write_page(self.results, self.audio, self.reference, self.graphs, target, assets)


def seconds(recording: int, slot: int) -> float:
    """Return the duration of a sound, in seconds, which differs for every sound: the tests recognise sounds by it.

    recording: its number, from 0; slot: 0 for the reference of the recording, 1 to 4 for its variants.
    """
    return 2.0 + 0.5 * recording + 0.1 * slot


def comparison(
    folder: Path, ids: list[str], variants: list[str], missing: tuple[int, int] | None = None, rate: int = RATE
) -> Comparison:
    """Write noise for each reference and each variant, and return a comparison with these sounds and made-up scores.

    folder: a new folder for the sounds. ids: the ids of the recordings. variants: at most three names. missing: (index
    of a recording from 0, index of a variant from 1) of a sound that could not be rendered; None: all could. rate: Hz.
    """
    folder.mkdir()
    draw = np.random.default_rng(3)
    paths = {}
    for recording in range(len(ids)):
        for slot in range(len(variants) + 1):
            paths[recording, slot] = folder / f"{recording}-{slot}.flac"
            samples = draw.uniform(-0.3, 0.3, round(seconds(recording, slot) * rate))
            soundfile.write(paths[recording, slot], samples, rate, subtype="PCM_24")
    metrics = [
        Metric("mcd", "dB", "lower", "Distortion of the mel-cepstrum.", "1", {"order": 24}),
        Metric("si_sdr", "dB", "higher", "Signal to distortion.", "2"),
        Metric("loudness", "LU", "zero", "Louder is positive.", "1"),
    ]
    scores = []
    for recording, one in enumerate(ids):
        for slot, variant in enumerate(variants, 1):
            if (recording, slot) == missing:
                scores.append(Score(one, variant, {}, "lpc: a value that is not finite <b>"))
            else:
                values: dict[str, float | None] = {"mcd": 5.0 - slot + recording / 8, "si_sdr": 2.0 * slot - 3}
                values["loudness"] = [-4.0, 0.5, None][slot - 1] if recording == 0 else [-1.0, 1.5, 2.5][slot - 1]
                reasons = {name: UNVOICED for name, value in values.items() if value is None}
                scores.append(Score(one, variant, values, reasons=reasons))
    results = Results(
        "lpc_vocoder", "Analysis & resynthesis.",
        [Variant(name, f"{k}" * 64, {"excitation": name} if k else {}) for k, name in enumerate(variants)],
        [Recording(one, f"/corpus/{one}", seconds(k, 0)) for k, one in enumerate(ids)],
        metrics, scores, {"asked": 24, "computed": 14},
    )  # fmt: skip
    found = {key: path for key, path in paths.items() if key != missing}
    return Comparison(
        results,
        {(ids[recording], variants[slot - 1]): path for (recording, slot), path in found.items() if slot},
        {ids[recording]: path for (recording, slot), path in found.items() if not slot},
        dict.fromkeys(variants, SVG),
    )


def address(file: Path) -> str:
    return f"file://{quote(os.fsencode(file))}"


@contextmanager
def visit(page: Page, file: Path, width: int = 1200, scheme: Literal["light", "dark"] = "light") -> Iterator[Page]:
    """Return a context in which the browser shows a page; at its end, what the page has stored is cleared.

    Fail at the end if the page has requested anything but itself, the files in the folder NAME_files beside it and data
    that it contains, or if it has written to the console, reported an error or opened a dialog. width: of the window,
    in pixels; scheme: whether the page is shown in light or in dark colours.
    """
    seen: list[str] = []
    inside = ("blob:null/", "data:", address(file.with_name(f"{file.stem}_files")) + "/")

    def refuse(dialog: Dialog) -> None:
        seen.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def ask(request: Request) -> None:
        if request.url != address(file) and not request.url.startswith(inside):
            seen.append(request.url)

    watchers: dict[Any, Any] = {
        "console": lambda message: seen.append(f"console: {message.text}"),
        "pageerror": lambda error: seen.append(f"error: {error}"),
        "dialog": refuse,
        "request": ask,
    }
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    page.mouse.move(0, 0)
    for event, watcher in watchers.items():
        page.on(event, watcher)
    page.goto(address(file))
    try:
        yield page
        page.evaluate("localStorage.clear()")
    finally:
        for event, watcher in watchers.items():
            page.remove_listener(event, watcher)
        page.goto("about:blank")
    assert seen == []


def until(page: Page, expression: str) -> None:
    """Wait until an expression of JavaScript is true; fail if it is still false after five seconds or more.

    Playwright's own `wait_for_function` cannot be used: the content security policy of the page blocks it.
    """
    for _ in range(500):
        if page.evaluate(expression):
            return
        time.sleep(0.01)
    pytest.fail(f"never true: {expression}; {players(page)}")


def players(page: Page) -> list[dict[str, Any]]:
    """Return the state of every player: `seconds` (of its sound), `at` (its position), `on` (it plays) and `error`.

    The duration of the sound shows which file the player plays.
    """
    found: list[dict[str, Any]] = page.evaluate(
        "[...document.querySelectorAll('audio')].map(a => ({seconds: a.duration, at: a.currentTime, on: !a.paused, error: !!a.error}))"
    )
    return found


def playing(page: Page) -> tuple[float, float]:
    """Wait until a sound plays; return its duration, rounded to 1 ms, and its position, both in seconds.

    Fail if two sounds play.
    """
    until(page, "[...document.querySelectorAll('audio')].some(a => !a.paused && a.readyState > 0)")
    (one,) = [player for player in players(page) if player["on"]]
    return round(one["seconds"], 3), one["at"]


def play_from(page: Page, at: float) -> None:
    """Start to play by the space bar, move to a position in seconds, and wait until the sound plays beyond it.

    No sound may be playing before: the space bar would stop it.
    """
    page.keyboard.press("Space")
    page.evaluate(
        f"(slider => {{ slider.value = {at}; slider.dispatchEvent(new Event('input')); }})(document.querySelector('#seek'))"
    )
    until(page, f"[...document.querySelectorAll('audio')].some(a => !a.paused && !a.seeking && a.currentTime > {at})")


def fill_form(page: Page, test: str, listener: str = "", sounds: set[str] | None = None, repetitions: int = 1) -> None:
    """Open the form of a blind test and begin the test.

    test: its name, such as "mushra"; listener: the name of the listener; sounds: the labels of the sounds to test, by
    default those that the form has chosen; repetitions: the number in the field of this name, which MUSHRA lacks.
    """
    page.locator("#blind").click()
    page.locator(f"#form input[value={test}]").check()
    page.locator("#form [name=listener]").fill(listener)
    for box in page.locator("#test-sounds label").all() if sounds is not None else []:
        if box.locator("input").is_enabled():
            box.locator("input").set_checked(box.inner_text().strip() in (sounds or ()))
    if test != "mushra":
        page.locator("#repetitions").fill(str(repetitions))
    page.locator("#begin").click()


def downloaded(page: Page, button: str = "#download") -> list[dict[str, str]]:
    """Press a button that downloads the answers of a blind test (CSV), and return the rows of this file.

    button: the CSS selector of the button.
    """
    with page.expect_download() as found:
        page.locator(button).click()
    return list(csv.DictReader(io.StringIO(Path(found.value.path()).read_bytes().decode(), newline="")))
