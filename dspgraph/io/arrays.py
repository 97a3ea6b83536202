"""Rows, symbols and samples in .npz files: the streams of one signal, each with its rate and kind.

`numpy.load` opens them: one array per stream, under its name, and under `streams` a JSON text that says what each of
them is, for instance {"cepstrum": {"stream": "Frames", "rate": "100", "kind": "bark_cepstrum", ...}}.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np

from dspgraph.errors import DspgraphError, FileError, SignalError
from dspgraph.io.atomic import AtomicFile
from dspgraph.streams import Array, Audio, Frames, Stream, Symbols, first_bad_item

SUFFIX = ".npz"

WORDS = "streams"
"""The name in the file under which it says what the arrays are."""

CHUNK = 2**20
"""Bytes copied at a time."""


class ArraySink:
    """An .npz file being written block by block, in bounded memory: it is put in place when it is whole.

    with ArraySink(path, {"cepstrum": stream}) as sink: sink.write("cepstrum", block). The same arrays give the same
    bytes. Raises FileError where the file cannot be written, SignalError for numbers that are not finite.
    """

    def __init__(self, path: str | Path, streams: Mapping[str, Stream]) -> None:
        self.path, self.streams = Path(path), dict(streams)
        self._part = AtomicFile(self.path)
        self._counts = dict.fromkeys(self.streams, 0)
        self._files = ExitStack()
        with self._part.attempt():  # a header says how long its array is: until that is known each waits in a file
            self._waiting: dict[str, IO[bytes]] = {}
            for name in self.streams:
                file = tempfile.TemporaryFile(dir=self.path.parent)  # noqa: SIM115 the stack closes it
                self._waiting[name] = self._files.enter_context(file)

    def write(self, name: str, block: Array) -> None:
        """Append items to one of the arrays."""
        stream = self.streams[name]
        if (bad := first_bad_item(block)) is not None:
            at = self._counts[name] + bad
            raise SignalError(
                f"the output '{name}' for {self.path} is not finite from item {at} ({float(stream.seconds(at)):.3f} "
                "s): find the node that divides by zero or grows without bound"
            )
        with self._part.attempt():
            self._waiting[name].write(np.ascontiguousarray(block, stream.dtype).data)
        self._counts[name] += len(block)

    def close(self) -> None:
        """Put the file together; leaving the `with` then puts it in place."""
        with self._part.attempt(), zipfile.ZipFile(self._part.temporary, "w") as archive:
            words = json.dumps({name: _words(stream) for name, stream in self.streams.items()})
            with _member(archive, WORDS) as file:
                np.lib.format.write_array(file, np.array(words), allow_pickle=False)
            for name, stream in self.streams.items():
                waiting = self._waiting[name]
                waiting.seek(0)
                with _member(archive, name) as file:
                    shape = (self._counts[name], *stream.item_shape)
                    head = {"descr": np.lib.format.dtype_to_descr(stream.dtype), "fortran_order": False, "shape": shape}
                    np.lib.format.write_array_header_1_0(file, head)
                    shutil.copyfileobj(waiting, file, CHUNK)
        self._part.sync()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.place()
        finally:
            self.discard()

    def place(self) -> None:
        """Give the file its name, once it is closed."""
        self._part.place()

    def discard(self) -> None:
        """Leave nothing behind of a file that was not put in place."""
        self._part.discard()
        self._files.close()


class ArraySource:
    """The streams a graph takes, from an .npz file that holds them by name; `blocks()` reads it, bounded in memory.

    Where the file says what its arrays are, they must be what the graph takes; of a file that was written by
    `numpy.savez` alone only the shapes are known. Raises FileError: missing, no .npz file, damaged, a stream that is
    not there or another one.
    """

    def __init__(self, path: str | Path, streams: Mapping[str, Stream]) -> None:
        self.path, self.streams = Path(path), dict(streams)
        with self._archive() as archive:
            with self._reading():
                damaged = archive.testzip()
            if damaged:
                raise FileError(f"{self.path} is damaged: '{damaged}' is not what was written: make it again")
            there = {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}
            for name, stream in self.streams.items():
                if name not in there:
                    found = ", ".join(sorted(there - {WORDS})) or "nothing"
                    raise FileError(f"{self.path} has no array '{name}', {stream}; there are: {found}")
            said = self._said(archive) if WORDS in there else {}
        for name, stream in self.streams.items():
            if name in said and not _same(said[name], stream):
                raise FileError(f"{self.path}: '{name}' is {said[name]}; the graph takes {stream}")

    def blocks(self, seconds: Fraction = Fraction(1)) -> Iterator[dict[str, Array]]:
        """One block per stream, all of one span of time, to the end of the longest."""
        with tempfile.TemporaryDirectory() as folder, self._archive() as archive:
            arrays = {name: self._array(archive, name, folder) for name in self.streams}
            end = max(self.streams[name].seconds(len(array)) for name, array in arrays.items())
            begin = Fraction(0)
            while begin < end:
                spans = {name: (s.count(begin), s.count(begin + seconds)) for name, s in self.streams.items()}
                yield {name: np.array(arrays[name][first:last]) for name, (first, last) in spans.items()}
                begin += seconds

    def _array(self, archive: zipfile.ZipFile, name: str, folder: str) -> Array:
        """An array laid out in a file of its own: parts of it can be had without the rest."""
        member = archive.getinfo(f"{name}.npy")
        member.filename = f"{len(list(Path(folder).iterdir()))}.npy"  # names in an archive are not to be trusted
        with self._reading():
            path = archive.extract(member, folder)
        try:
            array = np.lib.format.open_memmap(path, mode="r")
        except (ValueError, EOFError, OverflowError, TypeError, SyntaxError) as error:  # whatever a header may hold
            raise FileError(f"{self.path}: '{name}' is no array of numbers: {error}") from None
        if array.ndim == 0 or len(array) == 0:
            raise FileError(f"{self.path}: '{name}' has no items; the graph takes {self.streams[name]}")
        return array

    def _archive(self) -> zipfile.ZipFile:
        with self._reading():
            return zipfile.ZipFile(self.path)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """What goes wrong in a damaged archive, or one of another make, in one sentence."""
        try:
            yield
        except FileNotFoundError:
            raise FileError(f"{self.path} does not exist") from None
        except OSError as error:
            raise FileError(f"{self.path} cannot be read: {error.strerror or error}") from None
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
            raise FileError(f"{self.path} is no {SUFFIX} file, or is damaged: {error}") from None

    def _said(self, archive: zipfile.ZipFile) -> dict[str, Stream]:
        try:
            with archive.open(f"{WORDS}.npy") as file:
                words = json.loads(str(np.lib.format.read_array(file, allow_pickle=False)))
            return {name: _stream(fields) for name, fields in words.items()}
        except (
            ValueError,
            TypeError,
            LookupError,
            AttributeError,
            OverflowError,
            RecursionError,
            DspgraphError,
        ) as error:
            raise FileError(f"{self.path}: '{WORDS}' does not say what the arrays are: {error}") from None


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    """A file in the archive: at one date, so that equal arrays give equal files, and of any size."""
    return archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True)


def _words(stream: Stream) -> dict[str, Any]:
    fields = {field.name: getattr(stream, field.name) for field in dataclasses.fields(stream)}
    plain = {name: value if isinstance(value, int) else str(value) for name, value in fields.items()}
    return {"stream": type(stream).__name__, **plain}


def _stream(words: dict[str, Any]) -> Stream:
    classes: dict[str, type[Stream]] = {kind.__name__: kind for kind in (Audio, Frames, Symbols)}
    fields = dict(words)
    return classes[fields.pop("stream")](**fields)


def _same(said: Stream, stream: Stream) -> bool:
    """Whether they differ in precision at most, which `conform` changes."""
    return type(said) is type(stream) and all(
        getattr(said, field.name) == getattr(stream, field.name)
        for field in dataclasses.fields(stream)
        if field.name not in ("dtype", "precision")
    )
