"""Alignments with a label on each line, in every format with its special cases."""

from fractions import Fraction
from pathlib import Path

import pytest

from dspgraph.errors import FileError, RequestError
from dspgraph.io.alignment import read_alignment

Row = tuple[Fraction, Fraction, str]


def rows(*given: str) -> list[Row]:
    """Return the intervals for texts "START END LABEL", with times in seconds."""
    return [(Fraction(start), Fraction(end), label) for start, end, label in (row.split(maxsplit=2) for row in given)]


def written(folder: Path, name: str, text: str, encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


# ---- HTK and HTS ----------------------------------------------------------------------------------------------------


def test_whole_numbers_of_htk_are_units_of_100_ns(tmp_path: Path) -> None:
    """Whole numbers are read as units of 100 ns, and kept as fractions of a second. Only fractions are exact.

    A score after the label is passed over; of further words, a note says that they are not read.
    """
    path = written(tmp_path, "a.lab", "0 1500000 sil\n1500000 2000453 a -83.2\r\n2000453 4000000 b -1 word -2\n\n")
    found = read_alignment(path)
    assert list(found.intervals) == rows("0 0.15 sil", "0.15 0.2000453 a", "0.2000453 0.4 b")
    assert found.notes == ("1 lines have other words after the label and its score: they are not read",)


def test_a_decimal_point_anywhere_means_seconds(tmp_path: Path) -> None:
    """One decimal point in a time, but not in a score, makes all times of a file seconds.

    The first line, `0 1 sil`, could be in either unit.
    """
    path = written(tmp_path, "a.lab", "0 1 sil\n1 1.25 a\n1.25 2 b\n")
    assert list(read_alignment(path).intervals) == rows("0 1 sil", "1 1.25 a", "1.25 2 b")
    path = written(tmp_path, "a.lab", "0 0.5e0 a\n")
    assert list(read_alignment(path).intervals) == rows("0 0.5 a")
    path = written(tmp_path, "a.lab", "0 10000000 a -1.5\n")  # the score says nothing
    assert list(read_alignment(path).intervals) == rows("0 1 a")


def test_of_a_full_context_label_the_phone_is_taken_and_states_are_joined(tmp_path: Path) -> None:
    labels = [
        "x^x-sil+hh=ax@x_x/A:0_0_0",
        "x^sil-hh+ax=l@1_2/A:0_0_0/B:1-1-2@1+2",
        "hh-ax+l",
        "ax-l",
        "l+ow",
        "+noise+",
        "ow-",
    ]
    states = [f"{10**6 * (3 * k + s)} {10**6 * (3 * k + s + 1)} {label}[{s + 2}]" for k, label in enumerate(labels) for s in range(3)]  # fmt: skip
    found = read_alignment(written(tmp_path, "a.lab", "\n".join(states)))
    names = ["sil", "hh", "ax", "ax-l", "l+ow", "+noise+", "ow-"]
    assert list(found.intervals) == [
        (Fraction(3 * k, 10), Fraction(3 * k + 3, 10), name) for k, name in enumerate(names)
    ]
    assert found.notes == (
        "21 states are joined to 7 phones",
        "3 labels have a context: the phone between '-' and '+' is taken",
    )


def test_two_phones_of_one_label_stay_two(tmp_path: Path) -> None:
    text = "0 1000000 a[2]\n1000000 2000000 a[3]\n2000000 3000000 a[2]\n3000000 4000000 a[3]\n4000000 5000000 a\n5000000 6000000 a\n"
    found = read_alignment(written(tmp_path, "a.lab", text))
    assert list(found.intervals) == rows("0 0.2 a", "0.2 0.4 a", "0.4 0.5 a", "0.5 0.6 a")


def test_an_interval_without_end_reaches_to_the_next(tmp_path: Path) -> None:
    found = read_alignment(written(tmp_path, "a.lab", "0 sil\n5000000 a\n10000000 12000000 b\n20000000 c\n"))
    assert list(found.intervals) == rows("0 0.5 sil", "0.5 1 a", "1 1.2 b", "2 2 c")
    assert found.notes == ("3 labels have no end: they end where the next one begins, the last one at its start",)


def test_octal_bytes_become_letters_and_quotes_around_a_label_are_removed(tmp_path: Path) -> None:
    """Bytes that HTK writes in octal become letters: UTF-8 or, as the lone byte 344, Latin-1.

    Quotes around a label are removed. A label that is one quote stays, as do the backslashes of X-SAMPA.
    """
    text = '0 1000000 \\303\\244\n1000000 2000000 \\344\n2000000 3000000 r\\\n3000000 4000000 "a"\n4000000 5000000 "\n'
    labels = [one.label for one in read_alignment(written(tmp_path, "a.lab", text)).intervals]
    assert labels == ["\u00e4", "\u00e4", "r\\", "a", '"']


def test_times_in_another_unit_get_a_note(tmp_path: Path) -> None:
    """An alignment of TIMIT in a .lab file gets a note: 3050 samples, read in units of 100 ns, would be 0.3 ms."""
    path = written(tmp_path, "a.lab", "0 3050 h#\n3050 4559 sh\n")
    (note,) = read_alignment(path).notes
    assert note.startswith(
        "the intervals are 228 us long on average: whole numbers are read as 100 ns; if they are samples"
    )
    assert list(read_alignment(path, "timit").intervals) == rows("0 0.190625 h#", "0.190625 0.2849375 sh")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sil\na\n", "line 1 must be START END LABEL with two times; found 'sil'"),
        ("0 1000000\n", "line 1 must be START END LABEL"),
        ("\n0 5 a\n0,5 0,7 b\n", "line 3 must be START END LABEL with two times; found '0,5 0,7 b'"),
        ("-1 -1 a\n", "line 1: the time -1 is negative, which means unknown"),
        ("0 5000000 a\n5000000 4000000 b\n", "line 2: the interval 'b' ends at 0.4 s, before its start at 0.5 s"),
        ("0 99999999999999999999999999 a\n", "line 1: a time must be below 4294967296 s"),
        (f"0 {'9' * 5000} a\n", "line 1: the end is '999.*; it must be a decimal number"),
        ("0 1e-999999 a\n", "the end is '1e-999999'"),
        ("", "has no intervals"),
        ("a\0b", "is a binary file"),
    ],
    ids=["no times", "no label", "comma", "unknown", "backwards", "late", "digits", "exponent", "empty", "binary"],
)
def test_other_label_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(FileError, match=message):
        read_alignment(written(tmp_path, "a.lab", text))


MLF = """#!MLF!#
"*/a.lab"
0 1000000 sil
1000000 2000000 x
.
"/data/b.rec"
0 3000000 y
.
"""


def test_a_long_row_of_digits_takes_no_time(tmp_path: Path) -> None:
    """A line of 300,000 digits is refused at once.

    A regular expression that tries all ways to divide the digits would take minutes.
    """
    with pytest.raises(FileError, match="line 1 must be START END LABEL with two times; found '0999"):
        read_alignment(written(tmp_path, "a.lab", f"0{'9' * 300_000}x 1 a\n"))


def test_a_master_label_file_has_many_utterances(tmp_path: Path) -> None:
    path = written(tmp_path, "all.mlf", MLF)
    assert list(read_alignment(path, utterance="a").intervals) == rows("0 0.1 sil", "0.1 0.2 x")
    assert list(read_alignment(path, utterance="b").intervals) == rows("0 0.3 y")
    with pytest.raises(FileError, match="has 2 utterances: choose one by its name; there are: 'a', 'b'"):
        read_alignment(path)
    with pytest.raises(FileError, match="has no utterance 'c'; there are: a, b"):
        read_alignment(path, utterance="c")
    one = written(tmp_path, "one.mlf", MLF.partition('"/data')[0])
    assert list(read_alignment(one).intervals) == rows("0 0.1 sil", "0.1 0.2 x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 1 a\n", "line 1: a master label file begins with #!MLF!#; found '0 1 a'"),
        (MLF[:-2], "ends inside an entry: the line '.' is missing"),
        (MLF.replace("b.rec", "a.rec"), "line 6: two entries are called 'a'"),
        (MLF.replace('"*/a.lab"', '"*/a.lab" -> "dir"'), "line 2: an entry begins with a name"),
        (MLF.replace('"*/a.lab"\n', ""), "line 2: an entry begins with a name such as"),
        (MLF.replace("0 1000000 sil", "sil"), "all.mlf, line 3 must be START END LABEL"),
    ],
)
def test_a_damaged_master_label_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(FileError, match=message):
        read_alignment(written(tmp_path, "all.mlf", text), utterance="a")


# ---- the other formats ----------------------------------------------------------------------------------------------


def test_a_label_of_festival_begins_where_the_last_one_ended(tmp_path: Path) -> None:
    text = "separator ;\nnfields 1\n#\n    0.2200 125 \tpau ; more\n\t0.31 125  k\n 0.36000 26 \n"
    found = read_alignment(written(tmp_path, "a.lab", text))
    assert list(found.intervals) == rows("0 0.22 pau", "0.22 0.31 k", "0.31 0.36 (empty)")
    for text, message in {"#\n0.2\n": "line 2 must be END COLOUR LABEL", "#\n0.2 125 a\n0.1 125 b\n": "line 3: the interval 'b' ends at 0.1 s"}.items():  # fmt: skip
        with pytest.raises(FileError, match=message):
            read_alignment(written(tmp_path, "a.lab", text))


CTM = """;; LABEL "a"
a 1 0.00 0.10 sil_S
b A 0.50 0.25 AH0_B 0.9 lex
a 1 0.13 0.21 AH0_B 0.98

c 1 0.0 0.1 x
c 2 0.0 0.2 y
"""


def test_a_ctm_file_has_durations_and_many_utterances(tmp_path: Path) -> None:
    path = written(tmp_path, "all.ctm", CTM)
    assert list(read_alignment(path, utterance="a").intervals) == rows("0 0.1 sil_S", "0.13 0.34 AH0_B")
    assert list(read_alignment(path, utterance="b").intervals) == rows("0.5 0.75 AH0_B")
    assert list(read_alignment(path, utterance="c-2").intervals) == rows("0 0.2 y")
    with pytest.raises(FileError, match="has 4 utterances.*'a', 'b', 'c-1', 'c-2'"):
        read_alignment(path)
    with pytest.raises(FileError, match="line 3: two utterances would be called 'a-1': rename one of them"):
        read_alignment(written(tmp_path, "all.ctm", "a 1 0 0.5 x\na 2 0 0.5 x\na-1 1 0 0.5 x\n"), utterance="a-1")
    with pytest.raises(FileError, match="line 2 must be UTTERANCE CHANNEL START DURATION LABEL"):
        read_alignment(written(tmp_path, "all.ctm", ";;\na 1 0.5 x\n"))
    with pytest.raises(FileError, match="line 1: the start is '\\*'; it must be a decimal number"):
        read_alignment(written(tmp_path, "all.ctm", "a 1 * * <ALT_BEGIN>\n"))


def test_labels_of_audacity_may_be_points_and_may_lack_their_text(tmp_path: Path) -> None:
    text = "0.5\t1.25\ta b\n\\\t100.0\t2000.0\n1.250000\t1.250000\tpoint\n2\t3\t\n3.5\t4\n5.5\told\n0.75\t2.0\tover\n"
    found = read_alignment(written(tmp_path, "labels.txt", text))
    assert list(found.intervals) == rows(
        "0.5 1.25 a b", "0.75 2 over", "1.25 1.25 point", "2 3 (empty)", "3.5 4 (empty)", "5.5 5.5 old"
    )
    assert found.notes == ("2 of 6 labels are points in time, which cover no sample",)
    for text, message in {"0.5\t1\ta\nword\n": "line 2 must be START<tab>END<tab>LABEL", "1\t0.5\ta\n": "ends at 0.5 s", "0,5\t1,5\ta\n": "the start is '0,5'"}.items():  # fmt: skip
        with pytest.raises(FileError, match=message):
            read_alignment(written(tmp_path, "labels.txt", text))


def test_timit_counts_samples_at_16_khz(tmp_path: Path) -> None:
    path = written(tmp_path, "SA1.PHN", "0 3050 h#\n3050 4559 sh\n")
    assert list(read_alignment(path).intervals) == rows("0 0.190625 h#", "0.190625 0.2849375 sh")
    with pytest.raises(FileError, match="line 1 must be START END LABEL in samples at 16 kHz, whole numbers"):
        read_alignment(written(tmp_path, "a.phn", "0.0 0.5 h#\n"))


def test_the_content_decides_before_the_suffix(tmp_path: Path) -> None:
    assert list(read_alignment(written(tmp_path, "a.txt", MLF), utterance="b").intervals) == rows("0 0.3 y")
    assert list(read_alignment(written(tmp_path, "a.txt", "0.5 0.7 a\n")).intervals) == rows("0.5 0.7 a")
    assert list(read_alignment(written(tmp_path, "a", "0.5 0.7 a\n"), "htk").intervals) == rows("0.5 0.7 a")
    with pytest.raises(FileError, match="neither the suffix nor the content says what format this is: name one of htk"):
        read_alignment(written(tmp_path, "a.align", "0.5 0.7 a\n"))


def test_requests_that_do_not_fit_the_format_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "a.lab", "0 1000000 a\n")
    with pytest.raises(RequestError, match="no format of alignments 'hkt'; did you mean 'htk'"):
        read_alignment(path, "hkt")
    with pytest.raises(RequestError, match="read as htk, which has no tiers"):
        read_alignment(path, tier="phones")
    with pytest.raises(RequestError, match="read as htk, which has one utterance"):
        read_alignment(path, utterance="a")
    with pytest.raises(FileError, match="does not exist"):
        read_alignment(tmp_path / "none.lab")
