"""Values and texts as messages show them: short, on one line, and without control characters.

A value may come from a file that anybody wrote. Printed as it is, it could fill the screen, forge a second line, or
send commands to a terminal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_BYTES = re.compile("[\udc80-\udcff]+")
"""A pattern for the lone surrogates that stand in a text for bytes that Python could not decode (`surrogateescape`)."""

_MOST_LEVELS = 10
_MOST_BITS = 256
"""Limits of `shown`: levels of lists inside lists, and bits of an integer whose digits are written.

There must be a limit on digits: Python refuses to write an integer of more than 4300 digits.
"""


def shown(value: Any, letters: int = 80) -> str:
    """Return a value as Python would write it, on one line: "'lpc'", "[1, 2, 3...".

    letters: how many characters the result has at most, 3 or more. Characters that cannot be printed are escaped, as by
    `escaped`. Of lists inside lists, 10 levels are shown; of an integer with more than 256 bits, only how many it has.
    Only the part of a text, list or mapping that is shown is read: the time does not depend on its size.
    """
    parts, room = [], letters
    for part in _parts(value, letters, _MOST_LEVELS):
        parts.append(part)
        room -= len(part)
        if room < 0:
            return "".join(parts)[: max(letters - 3, 0)] + "..."
    return "".join(parts)


def escaped(text: str) -> str:
    """Return a text on one line: characters that cannot be printed are escaped, a new line as `\\n`.

    Lone surrogates that stand for valid UTF-8 become the characters (see `_decoded`); others are escaped. A backslash
    in the text stays as it is.
    """
    if text.isprintable():
        return text
    text = _decoded(text)
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def _decoded(text: str) -> str:
    """Return a text in which lone surrogates that stand for valid UTF-8 are replaced by the characters.

    A lone surrogate is a character from U+D800 to U+DFFF, which no valid text has. In names of files and arguments of a
    program, Python puts one for each byte that it cannot decode. In a locale that has ASCII only, these are all bytes
    beyond ASCII, also those of valid UTF-8. Lone surrogates that stand for other bytes stay in the text.
    """
    return _BYTES.sub(
        lambda found: found[0].encode("ascii", "surrogateescape").decode("utf-8", "surrogateescape"), text
    )


def shortened(text: str, letters: int) -> str:
    """Return a text with at most `letters` characters, 3 or more. In a longer text, "..." replaces the middle."""
    half = (letters - 3) // 2
    return text if len(text) <= letters else f"{text[:half]}...{text[len(text) - half :]}"


def _parts(value: Any, letters: int, levels: int) -> Iterator[str]:
    """Yield the text of a value, as `shown` shows it, in parts, so that the caller can stop when it has enough.

    letters: how many characters the caller shows at most; of a text, one more is read. levels: how many levels of
    nested lists and mappings are shown.
    """
    kind = type(value)
    if kind in (list, tuple) or isinstance(value, Mapping):
        brackets = "[]" if kind is list else "()" if kind is tuple else "{}"
        yield brackets[0]
        if levels == 0 and value:
            yield "..."
        else:
            yield from _items(value, letters, levels - 1)
        yield ",)" if kind is tuple and len(value) == 1 else brackets[1]
    elif isinstance(value, str | bytes):
        start = value[: letters + 1]
        yield escaped(repr(_decoded(start) if isinstance(start, str) else start))
    elif isinstance(value, int) and value.bit_length() > _MOST_BITS:
        yield f"an integer of {value.bit_length()} bits"
    else:
        yield _other(value)


def _items(value: Any, letters: int, levels: int) -> Iterator[str]:
    """Yield the text of the items of a list, tuple or mapping, in parts. letters, levels: as for `_parts`."""
    for number, key in enumerate(value):
        if number:
            yield ", "
        yield from _parts(key, letters, levels)
        if isinstance(value, Mapping):
            yield ": "
            yield from _parts(value[key], letters, levels)


def _other(value: Any) -> str:
    try:
        return escaped(" ".join(repr(value).split()))
    except Exception:  # the class of a plugin may have no working `__repr__`, and a fraction may have too many digits
        return f"<{type(value).__name__}>"
