"""Tables as CSV files: no text is taken for a formula, and numbers stay numbers."""

import csv
import io

import pytest

from dspgraph.io.tables import as_text, csv_bytes

FORMULAS = ["=1+1", "+a", "-a", "@sum", " =1", "\t=1", "\ta", "\uff1d1", "'a", "\r=1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_text_is_a_formula(text: str) -> None:
    """A text that a spreadsheet could take for a formula, or that begins with a single quote, gets a single quote.

    It stands before the text, which is otherwise unchanged.
    """
    table = io.StringIO(csv_bytes([[text, -1.5]]).decode(), newline="")
    assert list(csv.reader(table)) == [[f"'{text}", "-1.5"]]
    assert as_text(text) == f"'{text}"


@pytest.mark.parametrize("text", ["a=1", "a-b", "s1/a", "a b", "", "\u00e9", "1e5"])
def test_other_texts_are_as_they_are(text: str) -> None:
    assert as_text(text) == text


def test_texts_are_quoted_and_numbers_are_not() -> None:
    """Texts are in quotes, so that a program that takes ";" for the end of a cell does not divide them."""
    assert csv_bytes([["a;=1", 1.5, None, -2], ['say "b"', 0, 0.25, 1]]) == (
        b'"a;=1",1.5,"",-2\r\n"say ""b""",0,0.25,1\r\n'
    )


def test_a_name_that_is_no_text_is_escaped() -> None:
    assert csv_bytes([["\udcff"]]) == b'"\\udcff"\r\n'
