"""Tables as CSV files in which no text looks like a formula to a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
"""The characters = + - @, which begin a formula in a spreadsheet, and their wide forms, which some programs convert."""


def csv_bytes(rows: Iterable[Sequence[str | float | None]]) -> bytes:
    """Return a table as the bytes of a CSV file in UTF-8.

    Texts are changed by `as_text` and put in double quotes. Numbers have no quotes. None becomes "", as an empty text
    does. Bytes of a file name that are not UTF-8 are written as `\\udcff` and the like.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerows([as_text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return text.getvalue().encode(errors="backslashreplace")  # a file name may be invalid as text


def as_text(text: str) -> str:
    """Return a text for a cell of a CSV file. If a spreadsheet could take the text for a formula, put a "'" before it.

    Such a text begins with a tab or a line end, or its first character after blanks is = + - @ or one of their wide
    forms. A text that begins with "'" gets another "'", so that the original is always found by removing one "'".
    Source: OWASP, "CSV Injection", https://owasp.org/www-community/attacks/CSV_Injection
    """
    risky = text[:1] in ("\t", "\r", "\n", "'") or text.lstrip()[:1] in _FORMULA
    return f"'{text}" if text and risky else text


def original(text: str) -> str:
    """Return the text from which `as_text` has made a cell: `text` without an apostrophe at its beginning."""
    return text.removeprefix("'")
