r"""The vars (variables) of a pipeline file: `${name}` is replaced by the value of the var `name`.

A value that is `${name}` and nothing else becomes the value of the var, with its type. In a longer text, `${name}` is
replaced by the value as text. `${name.key}` is a value inside a mapping, and `${name.0}` is the first value of a list.
A var may use other vars. After one backslash nothing is replaced: `\${name}` becomes the text `${name}`. Two
backslashes, `\\${name}`, become one backslash and the value. Only vars of the file can be used: a pipeline that used
environment variables or other files would not mean the same everywhere.
"""

from __future__ import annotations

import re
from typing import Any

from dspgraph.errors import PipelineError, suggest
from dspgraph.pipeline.read import MOST_VALUES, KeyPath, Source
from dspgraph.shown import shown

_NAME = r"[A-Za-z_]\w*(?:\.\w+)*"
_VAR = re.compile(rf"(?<!\\)(\\*)\$\{{({_NAME})\}}", re.ASCII)
_WHOLE = re.compile(rf"\$\{{({_NAME})\}}", re.ASCII)

MOST_LETTERS = 4_000_000
MOST_FILLED_LEVELS = 50
"""Limits for filling in vars: the characters of all texts, and the levels of nested values and vars.

The number of values is limited too, by MOST_VALUES. Without limits a short file could fill the memory: 40 vars, each of
which uses the next one twice, make about 2**40 values.
"""


def fill_vars(source: Source) -> dict[str, Any]:
    """Return a copy of the data of a pipeline file, in which every `${var}` in a value is replaced by the var's value.

    The key `vars` comes first. Keys are left as they are. Raises PipelineError for a fault; the message says the path,
    and file and line or the override.
    """
    filler, data = _Filler(source), source.data
    keys = sorted(data, key=lambda key: key != "vars")  # vars first: a fault in a var is shown at its own line
    return {key: filler.fill(data[key], (key,), ()) for key in keys}


class _Filler:
    """The state of `fill_vars`: the file, its vars, and the counts of the values and characters made so far."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.variables = source.data.get("vars", {})
        self.values = self.letters = 0

    def fill(self, value: Any, at: KeyPath, using: KeyPath, level: int = 0) -> Any:
        """Return a value with its vars filled in.

        at: the path of the value. using: the names of the vars that are being filled in; each of these vars uses the
        next one, and the last one contains this value. level: how deep the value is nested in other values and vars.
        """
        self._count(at, values=1, letters=len(value) if isinstance(value, str) else 0, level=level)
        if isinstance(value, dict):
            return {key: self.fill(inner, (*at, key), using, level + 1) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.fill(inner, (*at, str(k)), using, level + 1) for k, inner in enumerate(value)]
        if isinstance(value, str) and "${" in value:
            return self._fill_text(value, at, using, level + 1)
        return value

    def _fill_text(self, text: str, at: KeyPath, using: KeyPath, level: int) -> Any:
        if text.count("${") != len(_VAR.findall(text)):
            raise self._error(at, f"${{...}} takes the name of a var and nothing else; found {shown(text)}")
        if whole := _WHOLE.fullmatch(text):
            return self._value(whole[1], at, using, level)

        def piece(found: re.Match[str]) -> str:
            kept = "\\" * (len(found[1]) // 2)
            if len(found[1]) % 2:
                return f"{kept}${{{found[2]}}}"
            value = self._value(found[2], at, using, level)
            if isinstance(value, dict | list):
                kind = "mapping" if isinstance(value, dict) else "list"
                raise self._error(at, f"{shown(text)}: the var '{found[2]}' is a {kind}, which cannot stand in a text")
            piece = f"{kept}{value}"
            self._count(at, letters=len(piece))
            return piece

        return _VAR.sub(piece, text)

    def _value(self, name: str, at: KeyPath, using: KeyPath, level: int) -> Any:
        """Return the value of a var with the vars in it filled in; for the name "name.key", the value inside the var.

        at: the path of the value that uses the var. using, level: as in `fill`. Raises PipelineError if there is no
        such var, or if vars use each other in a circle.
        """
        if name in using:
            circle = " -> ".join((*using[using.index(name) :], name))
            raise self._error(at, f"the vars use each other in a circle: {circle}")
        using = (*using, name)
        path: KeyPath = ("vars",)
        found, filled = self.variables, False
        for key in name.split("."):
            if isinstance(found, str) and "${" in found and not filled:
                found, filled = self._fill_text(found, path, using, level + 1), True
            found = self._inside(found, key, name, at)
            path = (*path, key)
        return found if filled else self.fill(found, path, using, level + 1)

    def _inside(self, value: Any, key: str, name: str, at: KeyPath) -> Any:
        if isinstance(value, dict) and key in value:
            return value[key]
        if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            return value[int(key)]
        if isinstance(value, list):
            known = f"its list has {len(value)} values, the first is 0"
        elif isinstance(value, dict):
            known = suggest(key, value)
        else:
            known = f"{shown(value)} has nothing inside"
        raise self._error(at, f"there is no var '{name}'; {known}")

    def _count(self, at: KeyPath, values: int = 0, letters: int = 0, level: int = 0) -> None:
        self.values += values
        self.letters += letters
        if self.values > MOST_VALUES or self.letters > MOST_LETTERS or level > MOST_FILLED_LEVELS:
            raise self._error(
                at,
                f"with its vars filled in the file has more than {MOST_VALUES} values, {MOST_LETTERS} letters or "
                f"{MOST_FILLED_LEVELS} levels: this is not a pipeline",
            )

    def _error(self, at: KeyPath, message: str) -> PipelineError:
        return PipelineError(f"{self.source.place(at)}: {message}")
