"""Alignments of gentle: keys may be missing, and durations add up exactly."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from dspgraph.errors import FileError
from dspgraph.io.alignment import read_alignment

WORDS: list[dict[str, Any]] = [
    {
        "case": "success", "word": "Cats", "alignedWord": "cats", "startOffset": 0, "endOffset": 4, "start": 0.1,
        "end": 0.4, "phones": [{"duration": 0.1, "phone": "k_B"}, {"duration": 0.1, "phone": "ae_I"}, {"duration": 0.1, "phone": "t_E"}],
    },
    {"case": "not-found-in-audio", "word": "purr", "startOffset": 5, "endOffset": 9},
    {"case": "success", "word": "a", "start": 0.7, "end": 0.8, "phones": [{"duration": 0.03, "phone": "ah_S"}]},
    {"case": "not-found-in-transcript", "start": 0.9, "end": 0.95, "phones": [{"duration": 0.05, "phone": "sil"}]},
    {"case": "success", "word": "uh", "start": 1.0, "end": 1.1, "phones": []},
]  # fmt: skip


def written(folder: Path, data: Any) -> Path:
    path = folder / "a.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def test_phones_begin_where_the_one_before_ends_and_omitted_keys_are_no_error(tmp_path: Path) -> None:
    found = read_alignment(written(tmp_path, {"transcript": "Cats purr a", "words": WORDS}))
    times = [("0.1", "0.2", "k_B"), ("0.2", "0.3", "ae_I"), ("0.3", "0.4", "t_E"), ("0.7", "0.73", "ah_S"), ("0.9", "0.95", "sil")]  # fmt: skip
    assert list(found.intervals) == [(Fraction(start), Fraction(end), label) for start, end, label in times]
    assert found.notes == (
        "1 of 5 words have no phones (not-found-in-audio)",
        "1 of 5 words have no phones (success)",
        "the phones of 1 words do not end where the word ends, for instance words[2]: 0.730 s, not 0.8 s",
    )


def test_a_thousand_durations_add_up_exactly(tmp_path: Path) -> None:
    """A thousand durations of 0.01 s are 10 s.

    In floats, their sum is 9.999999999999831; rounded to samples at 22050 Hz one by one, it is 9.977.
    """
    phones = [{"duration": 0.01, "phone": "a"}] * 1000
    found = read_alignment(written(tmp_path, {"words": [{"start": 0.005, "phones": phones}]}))
    assert found.intervals[-1].end == Fraction("10.005")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{", "is not JSON"),
        ('{"a":' * 100_000, "is not JSON"),
        ('{"words": 1}', 'must be an object with a list "words"'),
        ('{"word": []}', 'must be an object with a list "words"'),
        ({"words": [3]}, r"words\[0\] must be an object; found '3'"),
        ({"words": [{"phones": 3}]}, r"words\[0\]: 'phones' must be a list"),
        ({"words": [{"phones": [{}], "start": 0}]}, r"words\[0\].phones\[0\] must be an object such as"),
        ({"words": [{"phones": [{"phone": "a", "duration": 1}]}]}, r"words\[0\] has phones and no 'start'"),
        ({"words": [{"phones": [{"phone": "a"}], "start": 0}]}, r"phones\[0\]: the duration is None; it must be a"),
        ({"words": [{"phones": [{"phone": "a", "duration": -1}], "start": 0}]}, "ends at -1 s, before its start"),
        ('{"words": [{"phones": [{"phone": "a", "duration": NaN}], "start": 0}]}', "the duration is 'NaN'"),
        ('{"words": [{"phones": [{"phone": "a", "duration": 1e999}], "start": 0}]}', "the duration is '1e999'"),
        ({"words": [{"phones": [{"phone": "a", "duration": 1}], "start": True}]}, "the start is True"),
        ({"words": [{"word": "a", "case": "not-found-in-audio"}]}, r"\(with 1 words\) has no intervals"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, data: Any, message: str) -> None:
    with pytest.raises(FileError, match=message):
        read_alignment(written(tmp_path, data))
