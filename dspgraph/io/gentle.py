"""Alignments of gentle: a JSON object with a list of words. Each word has the phones that were found in the audio.

    {"words": [{"case": "success", "word": "a", "start": 0.5, "end": 0.62,
                "phones": [{"phone": "ah_S", "duration": 0.12}]}]}

Keys without a value are omitted: a word that was not found in the audio has no `start` and no `phones`. A phone has
only a duration: the first phone of a word begins at the start of the word, and every other phone begins at the end of
the phone before it.

Source: R. M. Ochshorn and M. Hawkins, gentle, a robust yet lenient forced aligner built on Kaldi
(https://github.com/lowerquality/gentle).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from dspgraph.errors import FileError
from dspgraph.io.intervals import Interval, LabelledSpeech, counted, exact_number, make_interval
from dspgraph.shown import shown

_CLOSE = Fraction(1, 50)
"""Seconds. A larger difference between the end of a word and the end of its last phone gives a note. These are two
steps of the aligner, whose grid is 10 ms.
"""


def read_gentle(path: Path, text: str) -> LabelledSpeech:
    """Return the phones of an alignment of gentle.

    Labels are those of the file, with the place in the word, such as "ah_S". Notes say how many words have no phones,
    and why, and how many words do not end with their last phone (see _CLOSE). path, text: the path, for messages, and
    the content of the file. Raises FileError for a file that is not JSON, has no list of words, or has no phones or too
    many (see `counted`), for a word with phones but without start, and for a phone without label or duration.
    """
    try:
        data = json.loads(text, parse_float=str, parse_int=str, parse_constant=str)  # numbers stay exact
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path} is not JSON: {error}") from None
    words = data.get("words") if isinstance(data, dict) else None
    if not isinstance(words, list):
        raise FileError(f'{path} must be an object with a list "words", as gentle writes it; found {shown(data)}')
    without: Counter[str] = Counter()
    longer: list[str] = []
    intervals = counted(_phones(path, words, without, longer), f"{path} (with {len(words)} words)")
    notes = [f"{count} of {len(words)} words have no phones ({case})" for case, count in sorted(without.items())]
    if longer:
        notes.append(f"the phones of {len(longer)} words do not end where the word ends, for instance {longer[0]}")
    return LabelledSpeech(intervals, tuple(notes))


def _phones(path: Path, words: list[Any], without: Counter[str], longer: list[str]) -> Iterator[Interval]:
    for number, word in enumerate(words):
        place = f"{path}, words[{number}]"
        if not isinstance(word, dict):
            raise FileError(f"{place} must be an object; found {shown(word)}")
        phones = word.get("phones") or []
        if not isinstance(phones, list):
            raise FileError(f"{place}: 'phones' must be a list; found {shown(phones)}")
        if not phones:
            without[shown(word.get("case", "no case")).strip("'")] += 1
            continue
        if word.get("start") is None:
            raise FileError(f"{place} has phones and no 'start': align the recording again")
        at = exact_number(place, "start", word["start"])
        for one in _lengths(place, phones):
            yield make_interval(place, at, at + one[0], one[1])
            at += one[0]
        if word.get("end") is not None and abs(exact_number(place, "end", word["end"]) - at) > _CLOSE:
            longer.append(f"words[{number}]: {float(at):.3f} s, not {word['end']} s")


def _lengths(place: str, phones: list[Any]) -> Iterator[tuple[Fraction, str]]:
    """Yield (duration in seconds, label) of every phone of a word.

    place: where in the file the word is, for messages. phones: the list in the file, in which numbers are texts, such
    as "0.12". Raises FileError for an entry that is not an object with a label and a duration.
    """
    for number, phone in enumerate(phones):
        where = f"{place}.phones[{number}]"
        if not isinstance(phone, dict) or not isinstance(phone.get("phone"), str):
            raise FileError(f'{where} must be an object such as {{"phone": "ah_B", "duration": 0.1}}; {shown(phone)}')
        yield exact_number(where, "duration", phone.get("duration")), phone["phone"]
