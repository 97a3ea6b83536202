"""Blind tests, players and pictures of the page, in a real browser, and the answers of several listeners together."""

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Page
from scipy import stats

from dspgraph.evaluation.listening import ANSWER_COLUMNS, read_answers, summarise
from dspgraph.evaluation.report.sounds import gains, low_passed
from helpers.commands import dspgraph
from helpers.report_pages import (
    ENGLISH,
    Comparison,
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

Row = dict[str, str | float]


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Return a comparison of two recordings; the last variant of the second one has failed.

    The rate is 16 kHz, so MUSHRA tests have a low-pass filtered copy of the reference (an anchor) too.
    """
    return comparison(tmp_path_factory.mktemp("wide") / "sounds", ["one", "two"], ENGLISH, (1, 3), 16000)


@pytest.fixture(scope="module")
def file(wide: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wide.write(tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture
def page(browser: Page, file: Path) -> Iterator[Page]:
    with visit(browser, file) as page:
        yield page


# ---- MUSHRA ---------------------------------------------------------------------------------------------------------


def test_mushra_is_filled_in_by_keyboard_kept_over_a_reload_exported_and_merged(page: Page, tmp_path: Path) -> None:
    page.locator("#blind").focus()
    page.keyboard.press("Enter")
    page.keyboard.type("ann")
    page.keyboard.press("Enter")  # begins: MUSHRA with all variants
    assert page.locator("#test-title").inner_text() == "MUSHRA, listener ann"
    count = page.locator("#letters .slider").count()
    score(page, range(count))
    page.reload()
    assert page.locator("#test-title").inner_text() == "MUSHRA, listener ann"
    assert page.locator("#progress").inner_text() == "1 of 2 answered"
    assert page.locator("#letters output").all_inner_texts() == [str(52 + k) for k in range(count)]
    page.keyboard.press("j")
    others = page.locator("#letters .slider").count()
    assert {count, others} == {5, 4}  # three variants or two, the hidden reference, the anchor
    score(page, range(10, 10 + others))
    assert page.locator("#progress").inner_text() == "2 of 2 answered"
    rows = downloaded(page)
    assert [float(row["score"]) for row in rows] == [52.0 + k for k in [*range(count), *range(10, 10 + others)]]
    for recording, variants in (("one", ENGLISH), ("two", ENGLISH[:2])):
        own = [row["a"] for row in rows if row["recording"] == recording]
        assert sorted(own) == sorted(["reference", "anchor", *variants])
    assert {(row["test"], row["listener"], row["loudness"]) for row in rows} == {("mushra", "ann", "matched")}
    path = tmp_path / "ann.csv"
    write(path, rows)
    merged = dspgraph("listen", "merge", path, "--all-listeners")
    assert merged.exit_code == 0, merged.output
    for name in ("pulse", "whisper"):
        mean = np.mean([float(row["score"]) for row in rows if row["a"] == name])
        assert re.search(rf"^  {name} +{mean:.1f} +.* to .* 2 recordings$", merged.stdout, re.MULTILINE)
    page.locator("#reveal").click()
    shown = page.locator("#tally").inner_text()
    assert "Reference" in shown and "Anchor (3.5 kHz)" in shown and "pulse" in shown
    page.reload()
    assert page.locator("#finished").is_visible(), "the answers of a finished test are kept too"
    assert downloaded(page, "#download-again")[0]["score"] == rows[0]["score"]


def score(page: Page, steps: range) -> None:
    """Give sound k, counted from 0, the score 52 + steps[k], by keys: every score begins at 50."""
    for k, step in enumerate(steps):
        page.keyboard.press(str(k + 1))
        for key in ["ArrowUp"] * 2 + ["PageUp"] * (step // 10) + ["ArrowUp"] * (step % 10):
            page.keyboard.press(key)


def write(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_the_sounds_of_mushra_are_what_the_file_says(page: Page) -> None:
    fill_form(page, "mushra", "bob", {"pulse", "whisper"})
    rows = downloaded(page)
    lengths = []
    for recording in dict.fromkeys(row["recording"] for row in rows):
        number = ["one", "two"].index(recording)
        for row, key in zip([one for one in rows if one["recording"] == recording], "12345", strict=False):
            slot = {"reference": 0, "anchor": 0, "pulse": 1, "whisper": 2}[row["a"]]
            page.keyboard.press(key)
            page.keyboard.press("Space")
            lengths.append((playing(page)[0], seconds(number, slot)))
            page.keyboard.press("Space")
        page.keyboard.press("j")
    assert len(lengths) == 8
    for found, expected in lengths:
        assert found == pytest.approx(expected)


def test_a_recording_without_high_frequencies_has_no_anchor(browser: Page, tmp_path: Path) -> None:
    narrow = comparison(tmp_path / "sounds", ["one"], ["pulse", "whisper"], rate=8000)
    with visit(browser, narrow.write(tmp_path / "report.html")) as page:
        fill_form(page, "mushra")
        assert sorted(row["a"] for row in downloaded(page)) == ["pulse", "reference", "whisper"]


def test_the_anchor_loses_what_lies_above_3500_hz_and_is_not_delayed() -> None:
    for rate in (16000, 48000):
        steps = np.arange(rate) / rate
        for hertz, least, most in ((1000, -0.1, 0.1), (3500, -0.1, 0.1), (4000, -200, -60), (6000, -200, -60)):
            tone = 0.5 * np.sin(2 * np.pi * hertz * steps)[:, None]
            found = low_passed(tone, rate)[rate // 4 : -rate // 4]
            ratio = np.abs(found).max() / 0.5
            assert least <= 20 * np.log10(max(ratio, 1e-9)) <= most
            if most > 0:
                np.testing.assert_allclose(found, tone[rate // 4 : -rate // 4], atol=0.01)
    assert np.abs(low_passed(np.sign(np.sin(steps * 6000))[:, None], rate)).max() <= 1.0


def test_gains_give_all_sounds_the_loudness_of_the_softest_but_lower_none_by_more_than_20_decibels(
    tmp_path: Path,
) -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(32000) / 16000)
    for slot, level in enumerate([0.5, 0.25, 0.8, 0.0]):
        soundfile.write(tmp_path / f"{slot}.flac", level * tone, 16000, subtype="PCM_24")
    paths = {slot: tmp_path / f"{slot}.flac" for slot in range(4)}
    assert gains(paths, anchor=4) == pytest.approx({0: 0.5, 1: 1, 2: 0.3125, 3: 1, 4: 0.5}, rel=1e-3)
    soundfile.write(paths[1], 0.001 * tone, 16000, subtype="PCM_24")
    assert gains(paths, anchor=None) == pytest.approx({0: 0.1, 1: 1, 2: 0.1, 3: 1}, rel=1e-3)


def test_loudness_is_matched_in_a_test_and_the_page_says_so(page: Page, wide: Comparison) -> None:
    volumes = "[...document.querySelectorAll('audio')].map(a => a.volume)"
    play_from(page, 0.1)
    assert set(page.evaluate(volumes)) == {1}
    page.keyboard.press("Space")
    fill_form(page, "mushra", sounds={"pulse"})
    assert "ITU-R BS.1770" in page.locator("#matched").inner_text()
    play_from(page, 0.1)
    until(page, "document.querySelectorAll('audio').length === 4")  # the open reference, and three sounds
    shown = page.locator("#step-name").inner_text()
    expected = gains({0: wide.reference[shown], 1: wide.audio[shown, "pulse"]}, 4)
    found = sorted(page.evaluate(volumes))
    assert found == pytest.approx(sorted([expected[0], expected[0], expected[1], expected[4]]), abs=1e-6)
    assert found[0] < 0.7 and found[3] == 1, "the anchor of noise is the softest"


# ---- ABX and preference ---------------------------------------------------------------------------------------------


def test_abx_answers_by_keys_and_x_is_one_of_the_two(page: Page) -> None:
    fill_form(page, "abx", "eve", {"Reference", "pulse"}, repetitions=4)
    for _ in range(8):
        page.keyboard.press("3")
        page.keyboard.press("Space")
        length = playing(page)[0]
        page.keyboard.press("Space")
        number = ["one", "two"].index(page.locator("#step-name").inner_text())
        x = [round(seconds(number, slot), 3) for slot in (0, 1)].index(length)
        page.keyboard.press("1")
        page.keyboard.press("Space")
        a = [round(seconds(number, slot), 3) for slot in (0, 1)].index(playing(page)[0])
        page.keyboard.press("Space")
        page.keyboard.press("a" if a == x else "b")
        page.keyboard.press("j")
    assert page.locator("#progress").inner_text() == "8 of 8 answered"
    rows = downloaded(page)
    assert all({row["a"], row["b"]} == {"reference", "pulse"} and row["x"] == row[row["answer"]] for row in rows)
    page.locator("#reveal").click()
    assert page.locator("#tally").inner_text().split() == ["Reference", "/", "pulse", "8", "8"]


def test_preferences_are_answered_by_keys_or_mouse(page: Page) -> None:
    fill_form(page, "preference", "eve")
    assert page.locator("#progress").inner_text() == "0 of 4 answered"  # three pairs of one, one pair of two
    page.keyboard.press("b")
    page.locator("#comment").fill('both, "equal"\nto me')
    page.locator("#comment").press("a")
    assert page.locator("#answers input").nth(1).is_checked(), "a letter in a comment is no key"
    page.locator("#step-on").click()
    page.keyboard.press("n")
    page.locator("#step-back").click()
    assert page.get_by_role("radio", name="B").is_checked()
    rows = downloaded(page)
    assert [row["answer"] for row in rows] == ["b", "none", "", ""]
    assert rows[0]["comment"] == 'both, "equal"\nto mea'
    for sign in ("=1", "'", "+2", " -x"):
        page.locator("#comment").fill(sign)
        assert downloaded(page)[0]["comment"] == f"'{sign}"


def test_a_test_leaves_nothing_that_tells_which_is_which(page: Page) -> None:
    for test in ("mushra", "abx", "preference"):
        fill_form(page, test)
        play_from(page, 0.1)
        for _ in range(2):
            for part in ("main", "#player", "#sounds", "header"):
                markup = page.locator(part).evaluate("one => one.outerHTML")
                assert not [name for name in ENGLISH if name in markup]
                assert not re.search(r"sound-\d|card-\d|data-slot|<table|<img", markup)
            spoken = page.locator("body").aria_snapshot()
            assert not [name for name in ENGLISH if name in spoken]
            page.keyboard.press("j")
        page.evaluate("localStorage.clear()")
        page.reload()


def test_x_is_another_player_than_the_sound_that_it_repeats(page: Page) -> None:
    """X and the sound that it repeats have two players, so that a change between them is heard as a break too.

    With one player for both, only a change to the other sound would be heard as a break, and listeners would know which
    sound X is.
    """
    fill_form(page, "abx", sounds={"pulse", "whisper"})
    for key in "123":
        page.keyboard.press(key)
        page.keyboard.press("Space")
        playing(page)
        page.keyboard.press("Space")
    assert page.locator("audio").count() == 3
    assert len(set(page.evaluate("[...document.querySelectorAll('audio')].map(one => one.src)"))) == 3


def test_the_order_is_drawn_anew_for_every_trial(page: Page) -> None:
    fill_form(page, "preference", sounds={"pulse", "whisper"}, repetitions=20)
    rows = downloaded(page)
    assert {(row["recording"], row["a"]) for row in rows} == {
        (one, a) for one in ("one", "two") for a in ("pulse", "whisper")
    }
    assert [row["recording"] for row in rows] != ["one"] * 20 + ["two"] * 20  # one of 40 choose 20 orders


def test_answers_that_are_not_of_this_page_are_not_taken(page: Page) -> None:
    fill_form(page, "mushra")
    for change in (
        "t.trials[0].recording = 9",
        "t.trials[0].sounds[1] = 77",
        "t.trials[0].sounds[1] = -1",
        "t.trials[0].sounds = [-1]",
        "t.trials[0].sounds = [-1]; t.trials[0].scores = []",
        "t.trials[0].scores[0] = 'many'",
        "t.test = 'toString'",
        "t.test = 'preference'",
        "t.test = 'abx'; for (const one of t.trials) { one.scores = undefined; one.answer = 'C'; one.sounds = [-1, 0, 1, 0]; }",
        "t.at = 5",
        "t.at = 0.5",
        "t.at = 'length'",
        "delete t.listener",
    ):
        page.evaluate(
            "change => { const key = Object.keys(localStorage).find(one => one.startsWith('dspgraph-test')); window.kept ??= localStorage[key];"
            f" const t = JSON.parse(kept); {change}; localStorage[key] = JSON.stringify(t); }}"
        )
        page.reload()
        assert page.locator("#test-title").count() == 0
        fill_form(page, "mushra")


def test_the_keys_of_the_player_rest_while_the_form_of_a_test_hides_it(page: Page) -> None:
    page.locator("#blind").click()
    page.locator("#form input[value=abx]").focus()
    for key in ("j", "2", "+", "["):
        page.keyboard.press(key)
    page.locator("#form").evaluate("() => document.activeElement.blur()")
    page.keyboard.press("Space")
    page.wait_for_timeout(200)
    assert not any(player["on"] for player in players(page))
    page.locator("#cancel").click()
    assert page.locator("#now").inner_text() == "one"


def test_after_a_late_comment_the_answers_count_as_not_downloaded(page: Page) -> None:
    fill_form(page, "mushra")
    downloaded(page)
    state = "JSON.parse(Object.entries(localStorage).find(([key]) => key.startsWith('dspgraph-test'))[1])"
    assert page.evaluate(f"{state}.downloaded")
    page.locator("#comment").fill("late")
    assert page.evaluate(f"[{state}.downloaded, {state}.trials[0].comment]") == [False, "late"]


# ---- pictures and parts ---------------------------------------------------------------------------------------------


def test_a_part_repeats_between_its_ends(page: Page) -> None:
    play_from(page, 0.5)
    page.keyboard.press("Space")
    page.keyboard.press("[")
    page.evaluate("(s => { s.value = 0.6; s.dispatchEvent(new Event('input')); })(document.querySelector('#seek'))")
    page.keyboard.press("]")
    assert re.fullmatch(r"0\.5\d to 0\.60 s repeats", page.locator("#part").inner_text())
    page.keyboard.press("Space")
    page.evaluate("document.querySelectorAll('audio').forEach(one => { one.playbackRate = 1; })")
    page.evaluate("window.jumps = 0; document.addEventListener('seeked', () => { jumps += 1; }, true)")
    until(page, "jumps >= 2")
    assert 0.45 < playing(page)[1] < 0.7
    page.keyboard.press("2")
    until(page, "jumps >= 4")
    assert playing(page)[0] == pytest.approx(seconds(0, 2)), "another sound repeats the same part"
    page.locator("#part-end").click()
    assert page.locator("#part").inner_text() == ""


def test_pictures_have_axes_that_follow_the_zoom(page: Page) -> None:
    card = page.locator("#card-0-1")
    card.scroll_into_view_if_needed()
    until(page, "document.querySelector('#card-0-1 .times').children.length > 0")
    assert card.locator(".frequencies span").all_inner_texts() == ["0", "2", "4", "6", "8 kHz"]
    assert card.locator(".times span").first.inner_text() in ("0", "0.0")
    play_from(page, 1.0)
    page.keyboard.press("Space")
    before = page.evaluate("document.querySelector('#card-0-0 .head-line').offsetLeft")
    page.keyboard.press("+")
    page.keyboard.press("+")
    shown = [float(one.removesuffix(" s")) for one in card.locator(".times span").all_inner_texts()]
    assert 0.5 < shown[0] < shown[-1] < 1.5
    after = page.evaluate("document.querySelector('#card-0-0 .head-line').offsetLeft")
    assert after == pytest.approx(before, abs=2), "the zoom keeps the playing position in its place"
    page.locator("#card-0-0 .picture").click(position={"x": 5, "y": 40})
    assert page.evaluate("Number(document.querySelector('#seek').value)") == pytest.approx(shown[0], abs=0.2)
    page.locator("#zoom-out").click()
    page.locator("#zoom-out").click()
    assert card.locator(".times span").first.inner_text() in ("0", "0.0")


def test_pitch_and_difference_can_be_shown(page: Page) -> None:
    page.locator("#listen").scroll_into_view_if_needed()
    assert not page.locator("#card-0-1 .difference").is_visible()
    page.locator("#difference").check()
    assert page.locator("#card-0-1 .difference").is_visible()
    assert page.locator("#card-0-0 .difference").count() == 0, "the reference has no difference to itself"
    assert not page.locator("#card-0-1 .pitches").is_visible()
    page.locator("#pitch").check()
    assert page.locator("#card-0-1 .pitches").is_visible()


# ---- merging --------------------------------------------------------------------------------------------------------


def answers(path: Path, test: str, listener: str, rows: list[Row], **common: str) -> Path:
    base = {"page": "p", "session": f"s {listener}", "saved": "2030-01-01", "test": test, "listener": listener} | common
    write(path, [{name: str({**base, **row}.get(name, "")) for name in ANSWER_COLUMNS} for row in rows])
    return path


def scores(**given: Sequence[float]) -> list[Row]:
    return [
        {"a": sound, "score": one, "recording": f"r{k}", "trial": k}
        for sound, each in given.items()
        for k, one in enumerate(each)
    ]


def test_means_of_listeners_have_the_interval_of_student(tmp_path: Path) -> None:
    given = {"ann": [60, 70], "bob": [40, 54], "eve": [80, 90]}
    files = [
        answers(tmp_path / f"{name}.csv", "mushra", name, scores(reference=[100, 95], comb=each, pulse=[30, 31]))
        for name, each in given.items()
    ]
    found = summarise(read_answers(files))
    assert [one.sound for one in found.mushra] == ["reference", "comb", "pulse"]
    comb = found.mushra[1].mean
    means = [65, 47, 85]
    low, high = stats.t.interval(0.95, 2, np.mean(means), stats.sem(means))
    assert (comb.value, comb.low, comb.high, comb.n) == pytest.approx((np.mean(means), low, high, 3))
    (test,) = found.tests
    assert test.difference.value == pytest.approx(np.mean([60, 214 / 3]) - 30.5)
    x, y = [60, 214 / 3], [30, 31]
    assert (test.a, test.b) == ("comb", "pulse") and test.t == pytest.approx(stats.ttest_rel(x, y).pvalue)


def test_a_listener_who_does_not_know_the_reference_is_left_out(tmp_path: Path) -> None:
    good = answers(tmp_path / "good.csv", "mushra", "good", scores(reference=[100] * 17 + [80] * 3, comb=[50] * 20))
    bad = answers(tmp_path / "bad.csv", "mushra", "bad", scores(reference=[100] * 16 + [89] * 4, comb=[90] * 20))
    found = summarise(read_answers([good, bad]))  # 3 of 20 are 15 %, 4 are more
    assert found.left_out == {"bad": "gave the hidden reference less than 90 in 4 of 20 trials"}
    assert {one.sound: one.mean.value for one in found.mushra} == {"reference": 97, "comb": 50}
    everybody = summarise(read_answers([good, bad]), screened=False)
    assert {one.sound: one.mean.value for one in everybody.mushra}["comb"] == 70
    printed = dspgraph("listen", "merge", good, bad)
    assert "left out of MUSHRA: bad gave the hidden reference less than 90 in 4 of 20 trials" in printed.stdout


def test_abx_counts_right_answers_whichever_was_called_a(tmp_path: Path) -> None:
    rows: list[Row] = []
    for k in range(10):
        a, b = ("comb", "pulse") if k % 2 else ("pulse", "comb")
        rows.append({"a": a, "b": b, "x": "comb", "answer": "a" if (a == "comb") == (k < 9) else "b", "trial": k})
    (found,) = summarise(read_answers([answers(tmp_path / "a.csv", "abx", "ann", rows)])).abx
    assert (found.sounds, found.right, found.share.n) == (("comb", "pulse"), 9, 10)
    assert found.p == pytest.approx(11 / 1024)  # 10 right or 9 right of 10 guesses
    assert (found.share.low, found.share.high) == pytest.approx(
        (stats.beta.ppf(0.025, 9, 2), stats.beta.ppf(0.975, 10, 1))  # Clopper and Pearson
    )


def test_preferences_have_a_share_without_the_undecided(tmp_path: Path) -> None:
    given = [("x", "y", "a")] * 6 + [("y", "x", "a")] * 2 + [("x", "y", "none")] * 3 + [("x", "y", "")]
    rows: list[Row] = [{"a": a, "b": b, "answer": answer} for a, b, answer in given]
    found = summarise(read_answers([answers(tmp_path / "a.csv", "preference", "ann", rows)]))
    (pair,) = found.preference
    assert (pair.sounds, pair.first, pair.share.n, pair.none, found.open) == (("x", "y"), 6, 8, 3, 1)
    assert pair.p == pytest.approx(2 * (28 + 8 + 1) / 256)


def test_a_session_that_was_exported_twice_counts_once_as_it_was_saved_last(tmp_path: Path) -> None:
    first = answers(tmp_path / "1.csv", "mushra", "ann", scores(reference=[100], comb=[10]), saved="2030-01-01T10")
    later = answers(tmp_path / "2.csv", "mushra", "ann", scores(reference=[100], comb=[20]), saved="2030-01-01T11")
    for files in ([first, later], [later, first], [later, later]):
        assert [one.score for one in read_answers(files)] == [100, 20]


BAD: list[tuple[Callable[[str], str], str]] = [
    (lambda text: text.replace("session", "sess"), "no column 'session': give files that the button"),
    (lambda text: text.replace("50", "101"), "a score is a number from 0 to 100; found '101'"),
    (lambda text: text.replace("50", "much"), "found 'much'"),
    (lambda text: text.replace("mushra", "mash"), "a test is mushra, abx, preference; found 'mash'"),
    (lambda text: text + '"', "is not a file of answers"),
]


@pytest.mark.parametrize("k", range(len(BAD)))
def test_a_file_that_is_no_file_of_answers_is_refused(tmp_path: Path, k: int) -> None:
    change, message = BAD[k]
    path = answers(tmp_path / "a.csv", "mushra", "ann", scores(reference=[100], comb=[50]))
    path.write_text(change(path.read_text()))
    refused = dspgraph("listen", "merge", path)
    assert refused.exit_code == 2
    assert message in refused.stderr


def test_an_error_names_the_line_in_the_file(tmp_path: Path) -> None:
    """Lines are counted as an editor counts them.

    The file has two sessions and a cell of two lines, so the row with the wrong score is in the fifth line.
    """
    rows: list[Row] = [
        {"a": "reference", "score": 100, "recording": "two\nlines"},
        {"a": "comb", "score": 50, "session": "other"},
        {"a": "pulse", "score": 101},
    ]
    refused = dspgraph("listen", "merge", answers(tmp_path / "a.csv", "mushra", "ann", rows))
    assert "a.csv, line 5: a score is a number from 0 to 100; found '101'" in refused.stderr


def test_files_without_an_answer_are_refused(tmp_path: Path) -> None:
    full = answers(tmp_path / "full.csv", "mushra", "ann", scores(reference=[100]))
    empty = tmp_path / "empty.csv"
    empty.write_text(",".join(ANSWER_COLUMNS) + "\r\n")
    for files in ([empty], [full, empty]):
        refused = dspgraph("listen", "merge", *files)
        assert refused.exit_code == 2
        assert "empty.csv has no answers, only the names of the columns" in refused.stderr


def test_answers_to_different_comparisons_are_not_merged(tmp_path: Path) -> None:
    files = [answers(tmp_path / f"{k}.csv", "mushra", "ann", scores(comb=[50]), page=str(k)) for k in range(2)]
    assert "answers to different comparisons" in dspgraph("listen", "merge", *files).stderr


def test_the_results_are_written_too(tmp_path: Path) -> None:
    path = answers(tmp_path / "a.csv", "mushra", "ann", scores(reference=[100, 98], comb=[50, 60], pulse=[20, 40]))
    assert dspgraph("listen", "merge", path, "-o", tmp_path / "out.csv").exit_code == 0
    rows = list(csv.reader((tmp_path / "out.csv").read_text().splitlines()))
    assert rows[0] == ["test", "a", "b", "value", "low", "high", "n", "p", "p_wilcoxon"]
    assert [row[:4] for row in rows[1:]] == [
        ["mushra", "reference", "", "99.0"],
        ["mushra", "comb", "", "55.0"],
        ["mushra", "pulse", "", "30.0"],
        ["mushra", "comb", "pulse", "25.0"],
    ]
