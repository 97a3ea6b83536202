"""Tables as CSV files, which spreadsheets open without taking a text for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
"""The characters that begin a formula in a spreadsheet, and their wide forms, which some programs change into them."""


def csv_bytes(rows: Iterable[Sequence[str | float | None]]) -> bytes:
    """Return a table as the bytes of a CSV file in UTF-8.

    Texts are in double quotes and changed by `as_text`; numbers are not in quotes; None is an empty text.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerows([as_text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return text.getvalue().encode(errors="backslashreplace")  # a file name may be invalid as text


def as_text(text: str) -> str:
    """Return a text for a cell of a CSV file: with a "'" before it if a spreadsheet could take it for a formula.

    That is a text whose first character, after blanks, is = + - @ or one of their wide forms, and a text that begins
    with a tab or a line end. A text that begins with "'" gets another one, so that taking one "'" away gives the text.
    Source: OWASP, "CSV Injection", https://owasp.org/www-community/attacks/CSV_Injection
    """
    risky = text[:1] in ("\t", "\r", "\n", "'") or text.lstrip()[:1] in _FORMULA
    return f"'{text}" if text and risky else text
