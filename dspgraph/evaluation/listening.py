"""The answers of listeners to blind tests: reading the files that the page of a comparison exports, and statistics."""

from __future__ import annotations

import csv
import io
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from dspgraph.errors import FileError, RequestError
from dspgraph.evaluation.statistics import (
    Estimate,
    PairedTest,
    guessing,
    holm,
    holm_corrected,
    paired,
    share_interval,
    t_interval,
)
from dspgraph.io.paths import read_file
from dspgraph.io.tables import original

REFERENCE, ANCHOR = "reference", "anchor"
"""The names of the original recordings, and of the anchor in blind tests, beside the names of variants."""

ANSWER_COLUMNS = (
    "page", "session", "saved", "test", "listener", "loudness", "trial", "recording", "a", "b", "x", "answer", "score",
)  # fmt: skip
"""The columns that a file of answers must have. It also has a column `comment`."""

TESTS = ("mushra", "abx", "preference")

LARGEST_FILE = 2**26
"""The largest size in bytes of a file of answers that is read."""

LEAST_REFERENCE_SCORE, MOST_LOW_SCORES = 90, 0.15
"""A listener of MUSHRA is left out who gives the hidden reference less than 90 in more than 15 % of the trials."""


@dataclass(frozen=True)
class Answer:
    """One answer of a listener: a row of a file of answers.

    test: "mushra", "abx" or "preference". listener: the name of the listener, or "session ID" if none was given.
    session: the id of one run of a test; a listener can do a test several times. trial: the number of the trial in the
    session. recording: the id of the recording. a: the sound that got the score or, in a pair, the sound that was
    called A; b, x: the sounds that were called B and X. A sound is the name of a variant, REFERENCE or ANCHOR. answer:
    "a", "b" or "none". score: 0 to 100. A field that the test does not have, or that was not answered, is "" or None.
    """

    test: str
    listener: str
    session: str
    trial: str
    recording: str
    a: str
    b: str = ""
    x: str = ""
    answer: str = ""
    score: float | None = None


@dataclass(frozen=True)
class Scored:
    """The result of MUSHRA for one sound.

    over: "listeners" or, if there is only one listener, "recordings". mean: the mean of the mean scores of these
    listeners or recordings, with its confidence interval.
    """

    sound: str
    mean: Estimate
    over: str


@dataclass(frozen=True)
class Recognised:
    """The result of ABX for one pair of sounds.

    sounds: their names, in alphabetical order. right: the number of right answers. share: their share of all answers.
    p: the probability of so many right answers, or more, by guessing, corrected for the number of pairs by Holm's
    method.
    """

    sounds: tuple[str, str]
    right: int
    share: Estimate
    p: float


@dataclass(frozen=True)
class Preferred:
    """The result of a preference test for one pair of sounds.

    sounds: their names, in alphabetical order. first: the number of answers for the first sound. none: the number of
    answers without a preference. share: the share of the answers for the first sound among the answers with a
    preference. p: the two-sided p-value of the binomial test against a share of one half, corrected for the number of
    pairs by Holm's method. share and p are NaN if no answer has a preference.
    """

    sounds: tuple[str, str]
    first: int
    none: int
    share: Estimate
    p: float


@dataclass(frozen=True)
class Summary:
    """The results of all tests in several files of answers.

    listeners: the names of all listeners. mushra: a result for each sound, the best first. abx, preference: a result
    for each pair. tests: paired tests of the scores of MUSHRA, for each pair of variants with at least two recordings
    in common. left_out: listener -> the reason why the MUSHRA scores of this listener were left out. open: the number
    of answers that were not given: one for each sound of a trial of MUSHRA, one for each trial with a pair.
    """

    listeners: Sequence[str]
    mushra: Sequence[Scored] = ()
    tests: Sequence[PairedTest] = ()
    abx: Sequence[Recognised] = ()
    preference: Sequence[Preferred] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    open: int = 0


def read_answers(files: Iterable[Path]) -> list[Answer]:
    """Return the answers in files that the page of one comparison has exported.

    If several files have the same session, for instance because it was exported twice, the file that was saved last
    counts. A session without the name of a listener counts as a separate listener.

    Raises FileError for a file that cannot be read, is not a file of answers or has no answers, and RequestError for
    answers to different comparisons.
    """
    newest: dict[str, tuple[str, list[Answer]]] = {}
    pages: dict[str, Path] = {}
    for path in files:
        rows = _rows(path)
        pages.update({row["page"]: path for _, row in rows})
        if len(pages) > 1:
            (_, one), (_, other) = list(pages.items())[:2]
            raise RequestError(
                f"{one} and {other} are answers to different comparisons, which cannot be merged: merge those of one "
                "report.html, whose variants and recordings have not changed"
            )
        for session in dict.fromkeys(row["session"] for _, row in rows):
            own = [(line, row) for line, row in rows if row["session"] == session]
            saved = max(row["saved"] for _, row in own)
            if session not in newest or saved > newest[session][0]:
                newest[session] = saved, [_answer(row, path, line) for line, row in own]
    return [answer for _, answers in newest.values() for answer in answers]


def summarise(answers: Sequence[Answer], screened: bool = True) -> Summary:
    """Return the results of all tests.

    screened: whether to leave out listeners of MUSHRA who often give the hidden reference a low score (see
    LEAST_REFERENCE_SCORE).

    MUSHRA: the mean score of a sound with the interval of Student's t, over the means of the listeners or, if there is
    one listener, over the recordings. All pairs of variants, without the reference and the anchor, are tested on the
    means of the recordings, each over all listeners, if they have at least two recordings in common; the p-values are
    corrected by Holm's method. ABX: the right answers of each pair, with a one-sided binomial test. Preference: the
    share of one sound among the answers with a preference, with an exact binomial interval and a two-sided binomial
    test.

    Source: Recommendation ITU-R BS.1534-3 (the interval, and which listeners are left out).
    """
    scores = [one for one in answers if one.test == "mushra" and one.score is not None]
    left_out = _unreliable(scores) if screened else {}
    kept = [one for one in scores if one.listener not in left_out]
    pairs = [one for one in answers if one.answer]
    return Summary(
        list(dict.fromkeys(one.listener for one in answers)),
        _scored(kept),
        _tests(kept),
        _recognised([one for one in pairs if one.test == "abx"]),
        _preferred([one for one in pairs if one.test == "preference"]),
        left_out,
        sum(one.score is None if one.test == "mushra" else not one.answer for one in answers),
    )


# ---- files ----------------------------------------------------------------------------------------------------------


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Return pairs (number of the last line of a row in the file, row) for a file of answers.

    A row takes several lines if the comment in it does. It is returned as column name -> text, for ANSWER_COLUMNS;
    their contents are not checked. Raises FileError for a file that cannot be read, is no file of answers, or has none.
    """
    try:
        text = read_file(path, LARGEST_FILE).decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileError(f"{path} is not a file of answers: {error}") from None
    missing = [name for name in ANSWER_COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise FileError(
            f"{path} is not a file of answers: it has no column '{missing[0]}': give files that the button 'Download "
            "the answers' of report.html has made"
        )
    if not rows:
        raise FileError(f"{path} has no answers, only the names of the columns: leave it out")
    return [(line, {name: original(row[name] or "") for name in ANSWER_COLUMNS}) for line, row in rows]


def _answer(row: Mapping[str, str], path: Path, line: int) -> Answer:
    score: float | None = None
    if row["score"]:
        try:
            score = float(row["score"])
        except ValueError:
            score = math.nan
        if not 0 <= score <= 100:
            raise FileError(f"{path}, line {line}: a score is a number from 0 to 100; found '{row['score']}'")
    if row["test"] not in TESTS:
        raise FileError(f"{path}, line {line}: a test is {', '.join(TESTS)}; found '{row['test']}'")
    if row["answer"] not in ("", "a", "b", "none"):
        raise FileError(f"{path}, line {line}: an answer is a, b or none; found '{row['answer']}'")
    names = {name: row[name] for name in ("test", "session", "trial", "recording", "a", "b", "x", "answer")}
    return Answer(**names, listener=row["listener"] or f"session {row['session']}", score=score)


# ---- results --------------------------------------------------------------------------------------------------------


def _unreliable(scores: Sequence[Answer]) -> dict[str, str]:
    """Return the listeners who are left out because of low scores for the hidden reference: name -> reason."""
    found = {}
    for listener, own in _by(scores, "listener").items():
        given = [one.score for one in own if one.a == REFERENCE and one.score is not None]
        low = sum(score < LEAST_REFERENCE_SCORE for score in given)
        if given and low > MOST_LOW_SCORES * len(given):
            found[listener] = (
                f"gave the hidden reference less than {LEAST_REFERENCE_SCORE} in {low} of {len(given)} trials"
            )
    return found


def _scored(scores: Sequence[Answer]) -> list[Scored]:
    over = "listeners" if len(_by(scores, "listener")) > 1 else "recordings"
    key = "listener" if over == "listeners" else "recording"
    found = [
        Scored(sound, t_interval([_mean(each) for each in _by(own, key).values()]), over)
        for sound, own in _by(scores, "a").items()
    ]
    return sorted(found, key=lambda one: -one.mean.value)


def _tests(scores: Sequence[Answer]) -> list[PairedTest]:
    means = {
        sound: {recording: _mean(each) for recording, each in _by(own, "recording").items()}
        for sound, own in _by(scores, "a").items()
        if sound not in (REFERENCE, ANCHOR)
    }
    tests = []
    for a, b in combinations(means, 2):
        common = [name for name in means[a] if name in means[b]]
        if len(common) > 1:
            tests.append(paired("score", a, b, *([means[one][name] for name in common] for one in (a, b))))
    return holm_corrected(tests)


def _recognised(answers: Sequence[Answer]) -> list[Recognised]:
    found = []
    for pair, own in _pairs(answers).items():
        right = sum((one.a if one.answer == "a" else one.b) == one.x for one in own)
        found.append(Recognised(pair, right, share_interval(right, len(own)), guessing(right, len(own), above=True)))
    corrected = holm([one.p for one in found])
    return [Recognised(one.sounds, one.right, one.share, p) for one, p in zip(found, corrected, strict=True)]


def _preferred(answers: Sequence[Answer]) -> list[Preferred]:
    found = []
    for pair, own in _pairs(answers).items():
        picked = [one.a if one.answer == "a" else one.b for one in own if one.answer != "none"]
        first, n = picked.count(pair[0]), len(picked)
        found.append(Preferred(pair, first, len(own) - n, share_interval(first, n), guessing(first, n, above=False)))
    corrected = holm([one.p for one in found])
    return [Preferred(one.sounds, one.first, one.none, one.share, p) for one, p in zip(found, corrected, strict=True)]


def _pairs(answers: Sequence[Answer]) -> dict[tuple[str, str], list[Answer]]:
    """Return the answers to each pair of sounds: (name, name), in alphabetical order -> answers."""
    found: dict[tuple[str, str], list[Answer]] = defaultdict(list)
    for one in answers:
        found[min(one.a, one.b), max(one.a, one.b)].append(one)
    return found


def _by(answers: Sequence[Answer], name: str) -> dict[str, list[Answer]]:
    found: dict[str, list[Answer]] = defaultdict(list)
    for one in answers:
        found[getattr(one, name)].append(one)
    return found


def _mean(answers: Sequence[Answer]) -> float:
    scores = [one.score for one in answers if one.score is not None]
    return sum(scores) / len(scores)
