"""The page to listen to, in a real browser: playing, tables, looks, the blind mode, and forbidden requests."""

import base64
import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import soundfile
from playwright.sync_api import Page

from dspgraph import FileError
from dspgraph.evaluation.report import write_page
from dspgraph.evaluation.results import Results
from helpers.report_pages import (
    ENGLISH,
    SVG,
    UNVOICED,
    Comparison,
    address,
    comparison,
    downloaded,
    fill_form,
    play_from,
    players,
    playing,
    seconds,
    until,
    visit,
)

HOSTILE = "<img src=x onerror=alert(1)>.wav"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Return a comparison of three recordings and three variants; the last recording's second variant has failed."""
    return comparison(tmp_path_factory.mktemp("plain") / "sounds", ["one", "two", "three"], ENGLISH, (2, 2))


@pytest.fixture(scope="module")
def file(plain: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plain.write(tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture
def page(browser: Page, file: Path) -> Iterator[Page]:
    with visit(browser, file) as page:
        yield page


# ---- what plays -----------------------------------------------------------------------------------------------------


def test_every_player_decodes_to_the_right_length(page: Page) -> None:
    for recording, slots in enumerate([[0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 3]]):
        page.keyboard.press("Space")  # the sounds of a recording are read when it is first played
        until(page, f"document.querySelectorAll('audio').length === {len(slots)}")
        until(page, "[...document.querySelectorAll('audio')].every(a => a.readyState > 0)")
        lengths = sorted(player["seconds"] for player in players(page))
        assert lengths == pytest.approx([seconds(recording, slot) for slot in slots], abs=1e-6)
        assert not any(player["error"] for player in players(page))
        page.keyboard.press("Space")
        page.keyboard.press("j")


@pytest.mark.parametrize("how", ["key", "button"])
def test_switching_keeps_the_position_and_plays_the_right_one(page: Page, how: str) -> None:
    """Another sound goes on at the position of the one before, to 0.1 s, from 0.2 s and from 1.5 s on.

    Later positions are not tested, because Chromium's player cannot seek to the last frames of a FLAC file. how:
    whether a key or a click chooses the sound.
    """
    page.evaluate(
        "window.seen = []; for (const what of ['play', 'pause']) "
        "document.addEventListener(what, ({target}) => seen.push([what, target.duration, target.currentTime]), true)"
    )
    for start in (0.2, 1.5):
        play_from(page, start)
        for slot in (2, 1, 3, 0):
            page.evaluate("seen.length = 0")
            if how == "key":
                page.keyboard.press(str(slot))
            else:
                page.locator("#choices button").nth(slot).click()
            until(page, "seen.some(one => one[0] === 'play') && seen.some(one => one[0] === 'pause')")
            found = {what: (length, at) for what, length, at in page.evaluate("seen")}
            assert found["play"][0] == pytest.approx(seconds(0, slot))
            assert found["play"][1] == pytest.approx(found["pause"][1], abs=0.1)
            assert playing(page)[0] == pytest.approx(seconds(0, slot))
        assert not any(player["error"] for player in players(page))
        page.keyboard.press("Space")


def test_playing_begins_at_any_position(page: Page) -> None:
    for at in (0.1, 0.7, 1.3, 1.6, 1.9):
        play_from(page, at)
        assert playing(page) == pytest.approx((2, at), abs=0.3)
        page.keyboard.press("Space")


def test_switching_while_paused_keeps_the_position_too(page: Page) -> None:
    play_from(page, 0.8)
    page.keyboard.press("Space")
    page.keyboard.press("3")
    assert not any(player["on"] for player in players(page))
    page.keyboard.press("Space")
    length, at = playing(page)
    assert length == pytest.approx(seconds(0, 3))
    assert at == pytest.approx(0.8, abs=0.2)  # and the time from the seek to the pause


def test_the_mouse_alone_reaches_everything(page: Page) -> None:
    page.get_by_role("button", name="Play whisper").nth(1).click()
    until(page, "[...document.querySelectorAll('audio')].some(a => a.currentTime > 0.05)")
    assert playing(page)[0] == pytest.approx(seconds(1, 2))
    page.locator("#player").get_by_role("button", name="Next recording").click()
    assert playing(page)[0] == pytest.approx(seconds(2, 0)), "whisper failed there: the reference instead"
    page.locator("#player").get_by_role("button", name="Previous recording").click()
    assert playing(page)[0] == pytest.approx(seconds(1, 0))
    page.locator("#card-0-3 .picture").click(position={"x": 100, "y": 40})  # a click in a picture: from there on
    width = page.locator("#card-0-3 .picture").bounding_box()
    assert width is not None
    page.locator("#player").get_by_role("button", name="Play", exact=True).click()
    until(page, "[...document.querySelectorAll('audio')].some(a => !a.paused && !a.seeking)")
    length, at = playing(page)
    assert length == pytest.approx(seconds(0, 3))
    assert at == pytest.approx(seconds(0, 3) * 100 / width["width"], abs=0.3)
    page.get_by_label("Loop").check()
    assert page.evaluate("[...document.querySelectorAll('audio')].every(a => a.loop)")
    page.locator("#player").get_by_role("button", name="Pause").click()
    assert not any(player["on"] for player in players(page))


def test_the_keyboard_alone_reaches_everything(page: Page) -> None:
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "document.activeElement.id || document.activeElement.innerText || document.activeElement.getAttribute('aria-label')"
            )
        )
    assert {"blind", "theme", "toggle", "next", "seek", "loop", "shortcuts", "Keys"} - reached <= {"shortcuts"}, (
        "in a closed sheet"
    )
    page.locator("#card-1-2 button").focus()
    page.keyboard.press("Space")
    until(page, "[...document.querySelectorAll('audio')].some(a => a.currentTime > 0.05)")
    assert playing(page)[0] == pytest.approx(seconds(1, 2)), "a space presses the button in focus"
    page.keyboard.press("Space")
    assert not any(player["on"] for player in players(page)), "and again to pause"
    page.keyboard.press("ArrowRight")
    assert page.locator("#now").inner_text() == "three"
    page.keyboard.press("k")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("k")
    assert page.locator("#now").inner_text() == "one", "before the first there is none"
    page.locator("#shortcuts").evaluate("one => { one.checked = false; }")
    page.keyboard.press("j")
    assert page.locator("#now").inner_text() == "one", "keys can be switched off"


def test_only_the_sounds_of_one_recording_are_held(page: Page) -> None:
    for key in "jjkkj":
        page.keyboard.press("Space")
        until(page, "document.querySelectorAll('audio').length >= 3")
        page.keyboard.press(key)
    assert len(players(page)) <= 4
    assert sum(player["on"] for player in players(page)) <= 1


def test_at_its_end_a_sound_stops_and_can_begin_again(page: Page) -> None:
    play_from(page, 1.9)
    until(page, "document.querySelector('#toggle').getAttribute('aria-label') === 'Play'")
    page.keyboard.press("Space")
    assert playing(page)[1] < 0.5


# ---- what it says ---------------------------------------------------------------------------------------------------


def test_a_failed_score_shows_its_error_in_place_of_a_player(page: Page) -> None:
    card = page.locator("#card-2-2")
    assert card.inner_text().split("\n")[-1] == "lpc: a value that is not finite <b>"
    assert card.locator("button, img").count() == 0
    assert page.locator("button.play").count() == 11
    assert "1 failed" in page.locator(".facts").inner_text()


def test_the_means_are_those_of_the_results_and_the_best_are_marked(page: Page, plain: Comparison) -> None:
    rows = page.locator("table.means tbody tr")
    shown = {
        (rows.nth(k).locator("th bdi").first.inner_text(), name): rows.nth(k).locator("td").nth(column).inner_text()
        for k in range(3) for column, name in enumerate(["mcd", "si_sdr", "loudness"])
    }  # fmt: skip
    for mean in plain.results.means():
        numbers = [
            float(one.replace("\N{MINUS SIGN}", "-"))
            for one in re.findall("[\N{MINUS SIGN}]?\\d+\\.\\d+", shown[mean.variant, mean.metric])
        ]
        assert numbers == pytest.approx([mean.mean, mean.low, mean.high], abs=0.0051)  # two decimals are shown
        assert ("n\xa0=\xa02" in shown[mean.variant, mean.metric]) == (mean.n == 2)
    best = {key for key, text in shown.items() if "best" in text}
    # means of the distances to zero: pulse -2, whisper 1, residual 2.5
    assert best == {("residual", "mcd"), ("residual", "si_sdr"), ("whisper", "loudness")}


def column(page: Page, table: str, number: int) -> list[str]:
    found: list[str] = page.evaluate(
        f"[...document.querySelectorAll('{table} tbody tr')].map(row => row.cells[{number}].dataset.value)"
    )
    return found


def test_a_column_sorts_by_its_numbers_best_first_and_what_has_none_last(page: Page) -> None:
    table = "table.sortable:not(.means)"
    heads = page.locator(f"{table} thead th")

    def sort(number: int) -> list[str]:
        heads.nth(number).get_by_role("button").click()
        return column(page, table, number)

    def order(number: int) -> str | None:
        return heads.nth(number).get_attribute("aria-sort")

    before = column(page, table, 1)
    assert [order(k) for k in range(5)] == [None] * 5
    mcd = sort(2)
    assert mcd[-1] == ""
    assert [float(one) for one in mcd[:-1]] == sorted(float(one) for one in mcd[:-1])
    assert [order(k) for k in (2, 3)] == ["ascending", None]
    again = sort(2)
    assert again[-1] == ""
    assert again[:-1] == mcd[-2::-1]
    higher = sort(3)
    assert [order(k) for k in (2, 3)] == [None, "descending"]
    assert [float(one) for one in higher[:-1]] == sorted((float(one) for one in higher[:-1]), reverse=True)
    zero = sort(4)
    assert [float(one) for one in zero[:-2]] == sorted(float(one) for one in zero[:-2])
    assert zero[0] == "0.5"  # nearest to zero comes first, and a minus makes no difference
    assert sort(0) == ["one"] * 3 + ["three"] * 3 + ["two"] * 3
    heads.nth(1).get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert column(page, table, 1) == sorted(before)


def test_graphs_metrics_and_digests_are_there(page: Page, plain: Comparison) -> None:
    for summary in page.locator("main summary").all():
        summary.click()
    graph = page.get_by_role("img", name="Graph of whisper. In to out. wide & far")
    until(page, "[...document.querySelectorAll('.graph img')].every(one => one.complete)")
    assert graph.evaluate("one => one.naturalWidth") == 90
    text = page.locator("main").inner_text()
    for metric in plain.results.metrics:
        assert metric.about in text
    assert "order: 24" in text
    for variant in plain.results.variants:
        assert variant.digest in text
    assert "/corpus/two" in text
    assert "14 of 24 stages computed" in page.locator(".facts").inner_text()


def test_the_pictures_are_drawn(page: Page) -> None:
    page.evaluate("document.querySelectorAll('img').forEach(one => { one.loading = 'eager'; })")
    until(page, "[...document.querySelectorAll('.picture img')].every(one => one.complete && one.naturalWidth)")
    assert page.locator(".picture img:not(.difference)").count() == 11
    assert page.locator(".picture img.difference").count() == 8, "one for each sound but the references"
    assert page.get_by_role("img", name="Spectrogram of Reference").count() == 3


# ---- how it looks ---------------------------------------------------------------------------------------------------

CONTRASTS = """() => {
  const channels = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const light = (text) => channels(text).slice(0, 3).map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, k) => sum + c * [0.2126, 0.7152, 0.0722][k], 0);
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const box = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !box.checkVisibility({visibilityProperty: true}) || box.closest(".unseen, script, .skip")) continue;
    let behind = box;
    while (behind && (channels(getComputedStyle(behind).backgroundColor)[3] ?? 1) === 0) behind = behind.parentElement;
    const [a, b] = [getComputedStyle(box).color, getComputedStyle(behind ?? document.body).backgroundColor].map(light);
    found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), walker.currentNode.data.trim()]);
  }
  return found;
}"""
"""A JavaScript function that returns every visible text with its contrast with what is behind it, as WCAG 2.2 defines
it.
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_in_light_and_dark(browser: Page, file: Path, scheme: Literal["light", "dark"]) -> None:
    with visit(browser, file, scheme=scheme) as page:
        for one in page.locator("details").all():
            one.evaluate("one => { one.open = true; }")
        page.keyboard.press("2")
        page.locator("table.means button").nth(1).click()
        texts = page.evaluate(CONTRASTS)
        page.locator("#blind").click()
        texts += page.evaluate(CONTRASTS)
        page.locator("#begin").click()
        texts += page.evaluate(CONTRASTS)
        assert len(texts) > 200
        assert [one for one in texts if one[0] < 4.5] == []  # WCAG 2.2, 1.4.3, level AA
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert dark == ("rgb(13, 17, 23)" if scheme == "dark" else "rgb(255, 255, 255)")
        page.locator("#theme").select_option("light" if scheme == "dark" else "dark")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark


@pytest.mark.parametrize("width", [360, 1400])
def test_the_page_never_scrolls_sideways(browser: Page, width: int, tmp_path: Path) -> None:
    long = comparison(tmp_path / "sounds", ["x" * 200, "two"], ["v" * 90, "a_b" * 30, "third"])
    with visit(browser, long.write(tmp_path / "report.html"), width) as page:
        for one in page.locator("main details").all():
            one.evaluate("one => { one.open = true; }")
        page.keyboard.press("2")
        sideways = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(sideways) == 0
        page.locator(".keys summary").click()
        assert page.evaluate(sideways) == 0
        sheet = page.locator(".sheet").bounding_box()
        assert sheet is not None
        assert sheet["x"] >= 0 and sheet["x"] + sheet["width"] <= width
        page.locator("#blind").click()
        assert page.evaluate(sideways) == 0
        page.locator("#begin").click()
        assert page.evaluate(sideways) == 0
        for button in page.locator("#player button, main button").all():
            if button.is_visible():
                box = button.bounding_box()
                assert box is not None and box["height"] >= 24, "WCAG 2.2, 2.5.8: a target a finger can meet"


def test_what_is_in_focus_is_seen(page: Page) -> None:
    for _ in range(12):
        page.keyboard.press("Tab")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"


def test_there_is_one_main_heading_and_a_name_for_each_control(page: Page) -> None:
    assert page.locator("h1").count() == 1
    assert page.get_by_role("banner").count() == 1 and page.get_by_role("main").count() == 1
    nameless = page.evaluate(
        "[...document.querySelectorAll('button, input, select, img, summary')].filter(one => !(one.innerText || one.textContent || one.alt || one.ariaLabel || one.labels?.length)).map(one => one.outerHTML)"
    )
    assert nameless == []


# ---- what it cannot do ----------------------------------------------------------------------------------------------


def test_names_do_no_harm_whatever_they_are(browser: Page, tmp_path: Path) -> None:
    """Names of recordings, variants, the pipeline and the listener are shown as text, never run as code.

    Neither is a script in the drawing of a graph. In the answers that are downloaded, a name that a spreadsheet could
    take for a formula begins with a quote.
    """
    ids = [HOSTILE, "</script ><script>alert(2)</script >", "a\udcffb\u202e.wav", "{{ 7 * 7 }}<!--"]
    variants = ["\"'><svg onload=alert(3)>", "=cmd|' /C calc'!A0", "&lt;ok&gt; </style>"]
    harm = comparison(tmp_path / "sounds", ids, variants)
    harm = replace(harm, results=replace(harm.results, pipeline="<script>alert(4)</script>", about="<b>bold</b>"))
    harm = replace(
        harm,
        graphs={
            variants[0]: SVG.replace("<desc>", '<script>alert(5)</script><image href="http://example.org/"/><desc>')
        },
    )
    for assets in (False, True):
        with visit(browser, harm.write(tmp_path / f"re port#{HOSTILE[:4]}?.html", assets)) as page:
            shown = page.locator("article h3 bdi").all_inner_texts()
            assert shown == [ids[0], ids[1], "a\\udcffb\u202e.wav", ids[3]]
            assert page.locator("#card-0-1 .label").inner_text() == variants[0]
            assert page.locator("h1").inner_text() == "<script>alert(4)</script>"
            for one in page.locator("main summary").all():
                one.click()
            page.locator("main").focus()
            page.keyboard.press("2")
            play_from(page, 0.1)
            assert page.locator("#choices button").nth(2).inner_text().split("\n")[-1] == variants[1]
            fill_form(page, "preference", HOSTILE)
            assert page.locator("#test-title").inner_text().endswith(HOSTILE)
            rows = downloaded(page)
            assert {row["recording"] for row in rows} >= {HOSTILE}
            assert {row[letter] for row in rows for letter in "ab"} == {variants[0], f"'{variants[1]}", variants[2]}
            page.evaluate("localStorage.clear()")


def test_the_policy_lets_nothing_in_but_the_page_itself(browser: Page, file: Path) -> None:
    text = file.read_text()
    policy = re.search(r'<meta http-equiv="Content-Security-Policy" content="(.*?)">', text)
    assert policy is not None
    rules = dict(rule.split(" ", 1) for rule in policy[1].replace("&#39;", "'").split("; "))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["img-src"] == "data:"
    assert rules["media-src"] == "blob: data:"
    for name, tag in (("style-src", "style"), ("script-src", "script")):
        (own,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.S)
        assert rules[name] == f"'sha256-{base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()}'"
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    browser.goto(address(file))  # not `visit`: the browser rightly complains of this one
    assert browser.evaluate("fetch('https://example.org/').then(() => 'came', () => 'refused')") == "refused"


# ---- the file -------------------------------------------------------------------------------------------------------


def test_a_value_that_is_missing_has_its_reason_in_its_cell_and_below_the_means(file: Path) -> None:
    text, shown = file.read_text(), UNVOICED.replace("<", "&lt;").replace(">", "&gt;")
    assert f'title="{shown}">-</td>' in text
    assert f"loudness has no value in 1 of 9 scores, for instance one, residual: {shown}</bdi>" in text


def test_the_same_input_gives_the_same_bytes(plain: Comparison, file: Path, tmp_path: Path) -> None:
    assert plain.write(tmp_path / "again.html").read_bytes() == file.read_bytes()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("assets", [False, True])
def test_a_page_that_cannot_be_finished_leaves_what_was_there(plain: Comparison, tmp_path: Path, assets: bool) -> None:
    target = tmp_path / "report.html"
    gone = tmp_path / "gone.flac"
    broken = replace(plain, audio={**plain.audio, ("three", "residual"): gone})
    with pytest.raises(FileError, match=r"gone\.flac cannot be read"):
        broken.write(target, assets)
    assert list(tmp_path.iterdir()) == []
    plain.write(target, assets)
    before = contents(tmp_path)
    good = plain.audio["three", "residual"].read_bytes()
    for content in (b"", b"no audio", good[: len(good) // 2] + bytes(len(good) // 2)):
        gone.write_bytes(content)
        with pytest.raises(FileError, match=r"gone\.flac cannot be read"):
            broken.write(target, assets)
        gone.unlink()
        assert contents(tmp_path) == before


def test_a_folder_of_media_works_from_the_disk_and_is_kept_tidy(
    browser: Page, plain: Comparison, tmp_path: Path
) -> None:
    target = plain.write(tmp_path / "report.html", assets=True)
    media = contents(tmp_path / "report_files")
    assert len(media) == 30  # 11 sounds, 11 spectrograms, and the differences of 8 variants to the reference
    assert all(re.fullmatch(r"[0-9a-f]{32}\.(wav|png)", name) for name in media)
    heard = {
        soundfile.read(io.BytesIO(one), dtype="int32")[0].tobytes() for name, one in media.items() if "wav" in name
    }
    sounds = [*plain.audio.values(), *plain.reference.values()]
    assert heard == {soundfile.read(path, dtype="int32")[0].tobytes() for path in sounds}, "the same samples"
    assert target.stat().st_size < 100_000
    with visit(browser, target) as page:
        until(page, "document.querySelector('#card-0-1 img').naturalWidth > 0")
        play_from(page, 0.2)
        page.keyboard.press("3")
        assert playing(page)[0] == pytest.approx(seconds(0, 3))
        fill_form(page, "preference")
        play_from(page, 0.2)
        assert not [name for name in ENGLISH if name in page.locator("#sounds").inner_html()]
    own = tmp_path / "report_files" / "notes.txt"
    own.write_text("a file of somebody")
    fewer = replace(plain, results=replace(plain.results, recordings=plain.results.recordings[:1]))
    fewer.write(target, assets=True)
    assert len(contents(tmp_path / "report_files")) == 11 + 1
    assert own.is_file()


def test_media_go_into_no_folder_that_leads_elsewhere(plain: Comparison, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "report_files").symlink_to(elsewhere)
    with pytest.raises(FileError, match="is a link or a file"):
        plain.write(tmp_path / "report.html", assets=True)
    assert list(elsewhere.iterdir()) == [] and not (tmp_path / "report.html").exists()


def test_an_empty_comparison_is_a_page_too(browser: Page, tmp_path: Path) -> None:
    target = write_page(Results("p", "", [], [], [], []), {}, {}, {}, tmp_path / "report.html")
    with visit(browser, target) as page:
        assert "Nothing was compared." in page.locator("main").inner_text()
        assert not page.locator("#player").is_visible() and not page.locator("#blind").is_visible()
        page.keyboard.press("Space")
        page.keyboard.press("j")
