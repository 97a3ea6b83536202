"""Streams in .npz files: frames, symbols and samples of one signal, each stream with its rate and kind.

`numpy.load` opens such a file. The file has one array for each stream, under the name of the stream. Its array
`streams` is a JSON text that describes the streams:
{"cepstrum": {"stream": "Frames", "rate": "100", "kind": "bark_cepstrum", ...}}.
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
from typing import IO

import numpy as np

from dspgraph.errors import DspgraphError, FileError, SignalError
from dspgraph.io.sink import Sink
from dspgraph.streams import Array, Stream, first_bad_item, stream_from_dict, stream_to_dict

SUFFIX = ".npz"

STREAMS = "streams"
"""The name of the array that describes the streams of a file. No stream in the file may have this name."""

COPIED = 2**20
"""The number of bytes that are copied in one step."""


class ArraySink(Sink):
    """An .npz file, written block by block in bounded memory. The file appears when it is complete, or not at all.

    `with ArraySink(path, {"cepstrum": stream}) as sink: sink.write("cepstrum", block)`. Equal arrays give equal files,
    byte for byte. Raises FileError if the file cannot be written, and SignalError if a number is not finite.
    """

    def __init__(self, path: str | Path, streams: Mapping[str, Stream]) -> None:
        super().__init__(Path(path))
        self.streams = dict(streams)
        self._counts = dict.fromkeys(self.streams, 0)
        self._waiting_files = ExitStack()
        # In the file an array begins with its length. Until the length is known, the items are in a temporary file.
        with self._file.attempt():
            self._waiting: dict[str, IO[bytes]] = {}
            for name in self.streams:
                file = tempfile.TemporaryFile(dir=self.path.parent)  # noqa: SIM115 the stack closes it
                self._waiting[name] = self._waiting_files.enter_context(file)

    def write(self, name: str, block: Array) -> None:
        """Append the items of a block to the array called `name`."""
        stream = self.streams[name]
        if (bad := first_bad_item(block)) is not None:
            at = self._counts[name] + bad
            raise SignalError(
                f"the output '{name}' for {self.path} is not finite from item {at} ({float(stream.seconds(at)):.3f} "
                "s): find the node that divides by zero or grows without bound"
            )
        with self._file.attempt():
            self._waiting[name].write(np.ascontiguousarray(block, stream.dtype).data)
        self._counts[name] += len(block)

    def _finish(self) -> None:
        with self._file.attempt(), zipfile.ZipFile(self._file.temporary, "w") as archive:
            description = json.dumps({name: stream_to_dict(stream) for name, stream in self.streams.items()})
            with _member(archive, STREAMS) as file:
                np.lib.format.write_array(file, np.array(description), allow_pickle=False)
            for name, stream in self.streams.items():
                waiting = self._waiting[name]
                waiting.seek(0)
                with _member(archive, name) as file:
                    shape = (self._counts[name], *stream.item_shape)
                    head = {"descr": np.lib.format.dtype_to_descr(stream.dtype), "fortran_order": False, "shape": shape}
                    np.lib.format.write_array_header_1_0(file, head)
                    shutil.copyfileobj(waiting, file, COPIED)
        self._file.sync()

    def _release(self) -> None:
        self._waiting_files.close()


class ArraySource:
    """The input streams of a graph, read from an .npz file; `blocks()` reads them in bounded memory.

    streams: the inputs of the graph, by name; the file has an array under each of these names. If the file describes an
    array, the description must be equal to the input of the graph, except for the dtype. A file that was written by
    `numpy.savez` describes nothing, and its rates and kinds are not checked. Raises FileError if the file is missing,
    is damaged or is not an .npz file; if an array is missing or has no items; and if a description differs.
    """

    def __init__(self, path: str | Path, streams: Mapping[str, Stream]) -> None:
        self.path, self.streams = Path(path), dict(streams)
        with self._archive() as archive:
            with self._reading():
                damaged = archive.testzip()
            if damaged:
                raise FileError(f"{self.path} is damaged: the check sum of '{damaged}' is wrong: make the file again")
            there = {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}
            for name, stream in self.streams.items():
                if name not in there:
                    found = ", ".join(sorted(there - {STREAMS})) or "nothing"
                    raise FileError(f"{self.path} has no array '{name}', {stream}; there are: {found}")
            described = self._described(archive) if STREAMS in there else {}
        for name, stream in self.streams.items():
            if name in described and not _same(described[name], stream):
                raise FileError(f"{self.path}: '{name}' is {described[name]}; the graph takes {stream}")

    def blocks(self, seconds: Fraction = Fraction(1)) -> Iterator[dict[str, Array]]:
        """Yield blocks by name of the stream, `seconds` of every stream at a time, until the longest stream ends.

        A stream that ends earlier gives a shorter block at its end, and then empty blocks.
        """
        with tempfile.TemporaryDirectory() as folder, self._archive() as archive:
            arrays = {name: self._array(archive, name, folder) for name in self.streams}
            end = max(self.streams[name].seconds(len(array)) for name, array in arrays.items())
            begin = Fraction(0)
            while begin < end:
                spans = {name: (s.count(begin), s.count(begin + seconds)) for name, s in self.streams.items()}
                yield {name: np.array(arrays[name][first:last]) for name, (first, last) in spans.items()}
                begin += seconds

    def _array(self, archive: zipfile.ZipFile, name: str, folder: str) -> Array:
        """Return an array of the archive, unpacked to a file in `folder`, from which numpy reads only what is used."""
        member = archive.getinfo(f"{name}.npy")
        # The name in the archive could lead out of the folder: it is replaced by a number.
        member.filename = f"{len(list(Path(folder).iterdir()))}.npy"
        with self._reading():
            path = archive.extract(member, folder)
        try:
            array = np.lib.format.open_memmap(path, mode="r")
        except (ValueError, EOFError, OverflowError, TypeError, SyntaxError) as error:  # a header can hold anything
            raise FileError(f"{self.path}: '{name}' is no array of numbers: {error}") from None
        if array.ndim == 0 or len(array) == 0:
            raise FileError(f"{self.path}: '{name}' has no items; the graph takes {self.streams[name]}")
        return array

    def _archive(self) -> zipfile.ZipFile:
        with self._reading():
            return zipfile.ZipFile(self.path)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn the errors of a file that is damaged, or is not an .npz file, into a FileError with its path."""
        try:
            yield
        except FileNotFoundError:
            raise FileError(f"{self.path} does not exist") from None
        except OSError as error:
            raise FileError(f"{self.path} cannot be read: {error.strerror or error}") from None
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
            raise FileError(f"{self.path} is no {SUFFIX} file, or is damaged: {error}") from None

    def _described(self, archive: zipfile.ZipFile) -> dict[str, Stream]:
        try:
            with archive.open(f"{STREAMS}.npy") as file:
                description = json.loads(str(np.lib.format.read_array(file, allow_pickle=False)))
            return {name: stream_from_dict(fields) for name, fields in description.items()}
        except (
            ValueError,
            TypeError,
            LookupError,
            AttributeError,
            OverflowError,
            RecursionError,
            DspgraphError,
        ) as error:
            raise FileError(f"{self.path}: '{STREAMS}' does not describe the arrays: {error}") from None


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    """Open a new member of an archive for writing. It may have more than 4 GiB (ZIP64).

    Its date is always 1980-01-01, so that equal arrays give equal files.
    """
    return archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True)


def _same(found: Stream, stream: Stream) -> bool:
    """Return whether two streams are equal, apart from their dtypes, which `Stream.validate` converts or refuses."""
    return type(found) is type(stream) and all(
        getattr(found, field.name) == getattr(stream, field.name)
        for field in dataclasses.fields(stream)
        if field.name not in ("dtype", "precision")
    )
