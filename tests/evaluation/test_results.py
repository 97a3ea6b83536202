"""The results of a comparison: means, confidence intervals, the ranking of variants, and the two files of results."""

import csv
import json
import math
import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import scipy.stats

from dspgraph.errors import FileError
from dspgraph.evaluation import results
from dspgraph.evaluation.results import Metric, Recording, Results, Score, Variant, interval, write
from helpers.surroundings import no_longer_than


def metric(name: str, better: Literal["lower", "higher", "zero"] = "lower") -> Metric:
    return Metric(name, "dB", better, "How far.", "1", {"order": 24})


def of(values: dict[str, list[float | None]], better: Literal["lower", "higher", "zero"] = "lower") -> Results:
    """Return the results of one metric, `m`. values: name of a variant -> its values, one for each recording.

    All variants have equally many values; None is a missing value. better: which values of the metric are the best.
    """
    count = max(map(len, values.values()))
    scores = [Score(f"r{k}", name, {"m": row[k]}) for k in range(count) for name, row in values.items()]
    recordings = [Recording(f"r{k}", f"r{k}.wav", 1.0) for k in range(count)]
    return Results("p", "", [Variant(name, name) for name in values], recordings, [metric("m", better)], scores)


# ---- means and intervals --------------------------------------------------------------------------------------------


def test_a_mean_is_over_the_recordings_that_have_a_value() -> None:
    found = of({"a": [1.0, None, 3.0, 8.0], "b": [None, None, None, None], "c": [5.0, math.nan, math.inf, -math.inf]})
    a, b, c = found.means()
    assert (a.mean, a.n) == (4.0, 3)
    assert b.n == 0
    assert all(math.isnan(one) for one in (b.mean, b.low, b.high))
    assert (c.mean, c.n) == (5.0, 1)
    assert math.isnan(c.low) and math.isnan(c.high)  # one recording does not say how far others are from it


def test_an_interval_is_the_one_of_a_percentile_bootstrap() -> None:
    """The expected interval is scipy's. Both programs draw 10,000 times, with different random numbers.

    So the ends of an interval are random. Their standard error is about 0.02 times the standard error of the mean of
    the values; a difference of 0.1 times the latter is allowed.
    """
    values = np.random.default_rng(5).gamma(2.0, 3.0, size=30)
    low, high = interval(values)
    other = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    error = values.std() / math.sqrt(30)
    assert abs(low - other.low) < 0.1 * error
    assert abs(high - other.high) < 0.1 * error
    assert 3.5 < (high - low) / error < 4.2  # a normal one is 2 * 1.96 wide


def test_an_interval_is_the_same_each_time_and_however_much_is_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(5).standard_normal(7)
    found = interval(values)
    assert found == interval(values.copy())
    np.testing.assert_allclose(
        found, (-0.7141264255423752, 0.39034569093490984), rtol=1e-12
    )  # what it gave once, with numpy 2.4.6
    monkeypatch.setattr(results, "_BLOCK", 7 * 999)
    assert interval(values) == found


def test_intervals_of_many_recordings_need_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawings are made in blocks of at most 16 MiB.

    10,000 drawings of 100,000 recordings would take 8 GB if they were drawn at once.
    """
    monkeypatch.setattr(results, "RESAMPLINGS", 30)
    low, high = interval(np.full(100_000, 2.0))
    assert (low, high) == (2.0, 2.0)
    assert results._BLOCK * 8 <= 2**24


# ---- ranking --------------------------------------------------------------------------------------------------------

VALUES: dict[str, list[float | None]] = {"a": [0.5], "b": [-2.0], "c": [None], "d": [1.0], "e": [math.nan], "f": [0.5]}


@pytest.mark.parametrize(("better", "order"), [("lower", "bafdce"), ("higher", "dafbce"), ("zero", "afdbce")])
def test_the_best_is_first_and_who_has_no_value_last(better: Any, order: str) -> None:
    assert "".join(of(VALUES, better).ranking("m")) == order


# ---- files ----------------------------------------------------------------------------------------------------------

ODD = ["a,b", 'say "so"', "two\nlines", "=1+1", "\u00e9\u4e2d", os.fsdecode(b"\xff")]


def odd() -> Results:
    names = [*ODD, "last"]
    variants = [Variant(name, f"{k:064x}", {"slot": name}, [f"x.y={name}"]) for k, name in enumerate(names)]
    recordings = [Recording(name, f"/folder/{name}.wav", 1.5) for name in names]
    metrics = [metric("m"), metric("n", "zero")]
    draw = np.random.default_rng(2)
    scores = [
        Score(one, two, {}, "it failed: \u2026") if one == two else Score(one, two, {"m": draw.normal(), "n": None})
        for one in names
        for two in names
    ]
    return Results("p", "about \u2014 it", variants, recordings, metrics, scores, {"asked": 9, "computed": 4})


def plain(text: str) -> str:
    """Return a text with lone surrogates escaped, as "\\udcff" for a byte 0xff of a name that is not valid UTF-8."""
    return text.encode(errors="backslashreplace").decode()


def in_table(text: str) -> str:
    return plain({"=1+1": "'=1+1"}.get(text, text))


FORMULAS = [
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "\xa0=1",
    "\uff1d1+1",
    "\uff0b1",
    "'=1",
    "'",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_text_of_the_table_is_a_formula(tmp_path: Path, text: str) -> None:
    """In the table, a text that a spreadsheet could take for a formula has a single quote before it.

    So has a text that begins with a single quote. Both are otherwise unchanged. No quote is added to numbers, or to
    texts in the JSON file.
    """
    given = Results("p", "", [Variant(text, "")], [Recording(text, text, 1.0)], [metric("m")], [Score(text, text, {"m": -1.5}, text)])  # fmt: skip
    table, data = write(given, tmp_path)
    with table.open(newline="") as file:
        ((*texts, number, error),) = list(csv.reader(file))[1:]
    assert [*texts, error] == [f"'{text}"] * 3
    assert number == "-1.5"  # a number may begin with a minus sign
    assert json.loads(data.read_text())["scores"] == [
        {"recording": text, "variant": text, "values": {"m": -1.5}, "error": text, "reasons": {}}
    ]


def test_texts_of_the_table_are_quoted_and_numbers_are_not(tmp_path: Path) -> None:
    """Texts are in quotes, so that a program that takes ";" for the end of a cell does not divide them."""
    given = Results("p", "", [Variant("v", "")], [Recording("a;=1", "", 1.0)], [metric("m"), metric("n")], [Score("a;=1", "v", {"m": 1.5, "n": None})])  # fmt: skip
    assert write(given, tmp_path)[0].read_text() == '"recording","variant","m","n","error"\n"a;=1","v",1.5,"",""\n'


def test_the_table_and_the_json_say_what_was_found(tmp_path: Path) -> None:
    given = odd()
    table, data = write(given, tmp_path)
    assert (table.name, data.name) == ("results.csv", "results.json")
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    said = json.loads(data.read_text())
    assert len(rows) == len(said["scores"]) == len(given.scores)
    for row, one, score in zip(rows, said["scores"], given.scores, strict=True):
        assert one == {"recording": score.recording, "variant": score.variant, "values": dict(score.values), "error": score.error, "reasons": dict(score.reasons)}  # fmt: skip
        assert (row["recording"], row["variant"]) == (in_table(score.recording), in_table(score.variant))
        values = {name: float(row[name]) if row[name] else None for name in ("m", "n")}
        assert {name: value for name, value in values.items() if value is not None} == {
            name: value for name, value in score.values.items() if value is not None
        }
        assert row["error"] == score.error
    assert said["stages"] == {"asked": 9, "computed": 4}
    assert said["metrics"][0]["settings"] == {"order": 24}
    assert said["metrics"][0]["version"] == "1"
    means = {(mean.variant, mean.metric): mean for mean in given.means()}
    assert len(said["means"]) == len(means)
    for mean in said["means"]:
        expected = means[mean["variant"], mean["metric"]]
        assert mean["n"] == expected.n
        assert mean["mean"] == (expected.mean if expected.n else None)


def test_no_number_is_written_that_is_none(tmp_path: Path) -> None:
    given = of({"a": [math.nan, math.inf], "b": [None, 2.0]})
    texts = [path.read_text() for path in write(given, tmp_path)]
    for text in texts:
        assert "NaN" not in text and "nan" not in text and "inf" not in text.lower()
    json.loads(texts[1], parse_constant=lambda name: pytest.fail(name))


def test_the_same_results_are_the_same_bytes(tmp_path: Path) -> None:
    before = [path.read_bytes() for path in write(odd(), tmp_path)]
    assert [path.read_bytes() for path in write(odd(), tmp_path)] == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.csv", "results.json"]


def test_an_endless_file_of_results_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "results.json").open("wb") as file:
        file.truncate(2**40)
    with no_longer_than(10):
        assert results.earlier_results(tmp_path / "results.json") is None


def test_a_file_that_cannot_be_written_is_not_there_by_half(tmp_path: Path) -> None:
    (tmp_path / "results.json").mkdir()
    with pytest.raises(FileError, match="results.json is a folder"):
        write(odd(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_what_fails_in_between_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(of({"a": [1.0]}), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match="results.json cannot be written: No space left on device"):
        write(of({"a": [2.0]}), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


# ---- the table of means ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("better", "best"), [("lower", ["b"]), ("higher", ["a", "c"]), ("zero", ["a", "c"])], ids=["low", "high", "zero"]
)
def test_every_variant_without_a_better_one_is_the_best(better: Any, best: list[str]) -> None:
    found = of({"a": [0.5], "b": [-2.0], "c": [0.5], "d": [None]}, better)
    cells = {row[0].mean.variant: row[0] for row in found.table()}
    assert [name for name, cell in cells.items() if cell.best] == best
    assert [cell.text for cell in cells.values()] == ["0.50", "-2.00", "0.50", ""]  # three digits of the largest score


def test_among_one_mean_none_is_the_best() -> None:
    assert not any(cell.best for row in of({"a": [1.0], "b": [None]}).table() for cell in row)


def test_no_minus_sign_stands_before_zero() -> None:
    ((cell,), (other,)) = of({"a": [-0.001], "b": [123.0]}).table()
    assert (cell.text, other.text) == ("0", "123")
