"""TextGrids: the three text formats, tiers by name, and files that are refused."""

from fractions import Fraction
from pathlib import Path

import pytest

from dspgraph.errors import FileError
from dspgraph.io.alignment import read_alignment

LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 1.5
tiers? <exists>
size = 3
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 1.5
        intervals: size = 1
        intervals [1]:
            xmin = 0
            xmax = 1.5
            text = "say ""a"" 7"
    item [2]:
        class = "TextTier"
        name = "bells"
        xmin = 0
        xmax = 1.5
        points: size = 2
        points [1]:
            number = 0.25
            mark = "ding"
        points [2]:
            number = 0.5
            mark = ""
    item [3]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 1.5
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 0.1
            text = ""
        intervals [2]:
            xmin = 0.1
            xmax = 0.30000000000000004
            text = "\u0259"
        intervals [3]:
            xmin = 0.30000000000000004
            xmax = 1.5
            text = "b"
"""

SHORT = """File type = "ooTextFile"
"TextGrid"

0
1.5
<exists>
3
"IntervalTier"
"words"
0
1.5
1
0
1.5
"say ""a"" 7"
"TextTier"
"bells"
0
1.5
2
0.25
"ding"
0.5
""
"IntervalTier"
"phones"
0
1.5
3
0
0.1
""
0.1
0.30000000000000004
"\u0259"
0.30000000000000004
1.5
"b"
"""

FREE = '''"ooTextFile" "TextGrid" ! a grid of "three" tiers, 3
0s 1.5s <exists> three 3
"IntervalTier" "words" from 0s to 1.5s 1 ! one
0 1.5 "say ""a"" 7"
"TextTier" "bells" 0 1.5 2 0.25 "ding" 0.5 "" "IntervalTier" "phones" 0 1.5 3
0 0.1 ""
0.1 0.30000000000000004 "\u0259" 0.30000000000000004 1.5 "b"'''

EXPECTED = [
    (Fraction(0), Fraction(1, 10), "silence"),
    (Fraction(1, 10), Fraction("0.30000000000000004"), "\u0259"),
    (Fraction("0.30000000000000004"), Fraction(3, 2), "b"),
]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("text", [LONG, SHORT, FREE], ids=["long", "short", "free"])
def test_all_forms_say_the_same(tmp_path: Path, text: str, end: str, encoding: str) -> None:
    """All three text formats, with any line ends and encoding, give the same intervals.

    Of three tiers `phones` is read; a number inside a name, as in `item [1]:`, is ignored; an empty text is silence.
    """
    path = tmp_path / "a.TextGrid"
    path.write_bytes(text.replace("\n", end).encode(encoding))
    found = read_alignment(path)
    assert list(found.intervals) == EXPECTED
    assert found.notes == ()


def test_big_endian_and_latin_1_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_bytes(b"\xfe\xff" + LONG.encode("utf-16-be"))
    assert list(read_alignment(path).intervals) == EXPECTED
    path.write_bytes(LONG.replace("\u0259", "\u00f6").encode("latin-1"))
    found = read_alignment(path)
    assert [one.label for one in found.intervals] == ["silence", "\u00f6", "b"]
    assert found.notes == ("is not text in UTF-8: it is read as Latin-1",)


def test_a_tier_is_chosen_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_text(LONG)
    assert list(read_alignment(path, tier="words").intervals) == [(Fraction(0), Fraction(3, 2), 'say "a" 7')]
    bells = read_alignment(path, tier="bells")
    assert list(bells.intervals) == [(Fraction(1, 4),) * 2 + ("ding",), (Fraction(1, 2),) * 2 + ("silence",)]
    assert bells.notes == ("the tier 'bells' has points in time, which cover no sample",)
    with pytest.raises(FileError, match="has no tier 'phons'; did you mean 'phones'"):
        read_alignment(path, tier="phons")


def test_a_single_tier_of_intervals_needs_no_name_and_a_speaker_may_stand_before_it(tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    for name in ("MAU", "Anna - phones"):
        path.write_text(LONG.replace('"words"', '"Anna - words"').replace('"phones"', f'"{name}"'))
        if name == "MAU":  # two tiers of intervals, neither of them named after phones
            with pytest.raises(FileError, match="has the tiers 'Anna - words', 'bells', 'MAU': choose one by its name"):
                read_alignment(path)
        else:
            assert list(read_alignment(path).intervals) == EXPECTED
    path.write_text(FREE.replace("three 3", "two 2").partition('"IntervalTier" "phones"')[0])
    assert [one.label for one in read_alignment(path).intervals] == ['say "a" 7']


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ooBinaryFile\x08TextGrid", "a binary TextGrid: save it as a text file"),
        (LONG.replace('"TextGrid"', '"Pitch"'), "is no TextGrid: its first texts are 'ooTextFile' and 'Pitch'"),
        (LONG.replace("<exists>", "<absent>"), "without tiers"),
        (LONG[:-40], "line 46: the end of an interval must be here, a number; found the end of the file"),
        (
            LONG.replace("size = 3", "size = 99999999", 1),
            "line 7: the number of tiers is '99999999'; it must be from 0",
        ),
        (LONG.replace('text = "b"', 'text = "b'), "line 48: the text that begins with '\"b' has no closing quote"),
        (LONG.replace("xmax = 0.1\n", "xmax = -0.1\n"), "ends at -0.1 s, before its start at 0 s"),
        (LONG.replace("xmax = 0.1\n", f"xmax = {'9' * 41}\n"), "the end is '9999.*must be a decimal number"),
        (LONG.replace('"IntervalTier"', '"ShapeTier"', 1), "line 10: a tier is an 'IntervalTier' or a 'TextTier'"),
        (FREE.replace("1.5 3\n", "1.5 0\n"), "tier 'phones' has no intervals"),
    ],
    ids=["binary", "class", "no tiers", "cut", "huge count", "quote", "backwards", "digits", "class of tier", "empty"],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_text(text)
    with pytest.raises(FileError, match=message):
        read_alignment(path)


def test_an_open_quote_in_a_long_file_takes_no_time(tmp_path: Path) -> None:
    """A file that ends in a long text without a closing quote is read at once.

    A regular expression that backtracks over every quote would take hours.
    """
    path = tmp_path / "a.TextGrid"
    path.write_text(LONG + '"' + 'a""' * 200_000)
    assert list(read_alignment(path).intervals) == EXPECTED
