"""Several audio files as the inputs of one graph: blocks that cover the same time, and one duration for all.

The first file decides how long the signal lasts. The others are cut to this length, or silence is added at their ends.
The arguments NAME=FILE of `render`, which name such files, are parsed here too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from dspgraph.errors import RequestError
from dspgraph.io.audio import AudioSource
from dspgraph.shown import shown
from dspgraph.streams import Array, Audio


def control_hint(controls: Iterable[str]) -> str:
    """Return a sentence that says how a graph with controls is rendered; "" if there is no control.

    controls: the names of the inputs that are controls.
    """
    name = next(iter(controls), None)
    return f"'{name}' is a control: give --events FILE, which may be empty" if name else ""


def with_named_files(
    files: Iterable[Path], inputs: Collection[str], controls: Iterable[str] = ()
) -> list[Path | Mapping[str, Path]]:
    """Return the files of a command. Arguments of the form NAME=FILE are put into one mapping, name -> file.

    The mapping, if there is one, is the first entry of the list. inputs: the names of the inputs of the graph; an
    argument whose NAME is not one of these is a path with "=" in it. controls: the names of the inputs that are
    controls. Raises RequestError as `named_files` does, and, if there are arguments NAME=FILE, for a graph with
    controls and for an input without a file. The mapping has the order of the arguments: its first file decides the
    duration.
    """
    named, others = named_files(files, inputs)
    if named and (hint := control_hint(controls)):
        raise RequestError(hint)
    if named and (missing := [name for name in inputs if name not in named]):
        raise RequestError(f"the input '{missing[0]}' has no file: write {missing[0]}=FILE too")
    return [named, *others] if named else [*others]


def named_files(files: Iterable[Path], inputs: Collection[str]) -> tuple[dict[str, Path], list[Path]]:
    """Return (name -> file, other files), in the order of the files of a command, which may have the form NAME=FILE.

    inputs: the names that can be a NAME; other texts with "=" are paths. Raises RequestError if an input is named
    twice, and if nothing follows NAME=.
    """
    named: dict[str, Path] = {}
    others: list[Path] = []
    for file in files:
        name, equals, path = str(file).partition("=")
        if not equals or name not in inputs:
            others.append(file)
        elif name in named:
            raise RequestError(f"the input '{name}' is given two files, {named[name]} and {path}: give it one")
        elif not path:
            raise RequestError(f"{file} names no file: write {name}=FILE")
        else:
            named[name] = Path(path)
    return named, others


class AlignedFiles:
    """Audio files, one for each input of a graph, that are read together.

    files: name of an input -> (file, stream), one or more; the first file decides the duration. The attribute `notes`
    says how each file was converted and, after the last block, how it was cut or lengthened. Raises FileError if a file
    cannot be read. So does `blocks`, which can be called once.
    """

    def __init__(self, files: Mapping[str, tuple[Path, Audio]]) -> None:
        self._sources = {name: AudioSource(path, stream) for name, (path, stream) in files.items()}
        self.notes = [f"{name}: {note}" for name, one in self._sources.items() for note in one.conversions]

    def blocks(self) -> Iterator[dict[str, Array]]:
        """Yield name of an input -> block.

        In total, the first input gets all items of its file. Every other input gets the number of items that its stream
        has in the same time (`Stream.count`).
        """
        (first, leading), *others = self._sources.items()
        rest = {name: _Rest(one) for name, one in others}
        given = 0
        for block in leading.blocks():
            given += len(block)
            end = leading.stream.seconds(given)
            yield {first: block} | {name: one.until(one.stream.count(end)) for name, one in rest.items()}
        self.notes += [f"{name}: {note}" for name, one in rest.items() if (note := one.note(first))]


class _Rest:
    """The samples of a file that have not been taken yet by `until`. source: the file."""

    def __init__(self, source: AudioSource) -> None:
        self.stream = source.stream
        self._blocks = source.blocks()
        self._held = source.stream.empty()
        self._given = self._added = 0

    def until(self, count: int) -> Array:
        """Return the next samples, as many as are missing so that `count` samples have been returned in all calls.

        `count` must not be less than in the last call. After the end of the file, the samples are 0.
        """
        needed, pieces = count - self._given, [self._held]
        while (found := sum(map(len, pieces))) < needed:
            block = next(self._blocks, None)
            if block is None:
                self._added += needed - found
                block = np.zeros((needed - found, *self.stream.item_shape), self.stream.dtype)
            pieces.append(block)
        joined = np.concatenate(pieces)
        self._given, self._held = count, joined[needed:]
        return joined[:needed]

    def note(self, first: str) -> str:
        """Return a sentence that says how the file was cut or lengthened; "" if it was neither.

        This is known after the last call of `until`. first: the name of the input that decides the duration.
        """
        if self._added:
            seconds = float(self.stream.seconds(self._added))
            return f"{seconds:.6g} s of silence added, to last as long as {shown(first)}"
        if len(self._held) or next(self._blocks, None) is not None:
            return f"cut at {float(self.stream.seconds(self._given)):.6g} s, where {shown(first)} ends"
        return ""
