"""Streams in .npz files: frames, symbols and samples of one signal, each stream with its rate and kind.

`numpy.load` opens such a file. The file has one array for each stream, under the name of the stream, and an array
`streams` with a JSON text that describes the streams:
{"cepstrum": {"stream": "Frames", "rate": "100", "kind": "bark_cepstrum", ...}}.
"""

from __future__ import annotations

import dataclasses
import io
import json
import math
import os
import re
import shutil
import tempfile
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from dspgraph.errors import FileError, SignalError
from dspgraph.io.paths import open_descriptor
from dspgraph.io.sink import Sink
from dspgraph.shown import shortened, shown
from dspgraph.streams import Array, Stream, first_bad_item, stream_from_dict, stream_to_dict

SUFFIX = ".npz"

STREAMS = "streams"
"""The name of the array that describes the streams of a file. No stream in the file may have this name."""

COPIED = 2**20
"""The number of bytes that are copied in one step."""

LONGEST_LIST = LONGEST_DESCRIPTION = 2**20
_LONGEST_HEADER = 10_012
"""Limits of an .npz file, in bytes: the list of its members, the text that describes its streams, and the header of an
array. numpy reads headers of up to 10,000 characters, after at most 12 bytes of magic number and length.
"""

UNPACKED = 64 * 2**20
LARGEST_EXPANSION = 100
"""Limits of the arrays of a file after decompression: UNPACKED bytes (64 MiB), or LARGEST_EXPANSION * size of the file
if that is more.
"""

MOST_NAMES = 20
"""The largest number of names of arrays that a message lists."""


class ArraySink(Sink):
    """An .npz file, written block by block in bounded memory. The file appears when it is complete, or not at all.

    `with ArraySink(path, {"cepstrum": stream}) as sink: sink.write("cepstrum", block)`. streams: name of an array ->
    its stream. Equal arrays and streams give equal files, byte for byte. Raises FileError if the file cannot be
    written; `write` raises SignalError if a number is not finite.
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
        """Append the items of a block to the array called `name`.

        block: [n, *item shape of the stream]; the shape is not checked. The numbers are converted to the dtype of the
        stream.
        """
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
        with suppress(OSError):  # an error on a full disk is ignored: the items in these files are no longer needed
            self._waiting_files.close()


class ArraySource:
    """The input streams of a graph, read from an .npz file; `blocks()` reads them in bounded memory.

    streams: name -> stream, for the inputs of the graph. The file must have an array under each of these names. If the
    file describes an array, the description must be equal to the input of the graph, except for the dtype. A file that
    was written by `numpy.savez` has no descriptions: its rates and kinds are not checked. Other arrays are not read.

    The attribute `lengths` has the number of items of every stream, by name.

    Raises FileError if the file is missing, is damaged or is not an .npz file; if an array is missing, has no items or
    does not fit its stream; if a description differs; and if the arrays are larger than UNPACKED and LARGEST_EXPANSION
    allow. The check sums of the arrays are checked in `blocks()`, before the first block.
    """

    def __init__(self, path: str | Path, streams: Mapping[str, Stream]) -> None:
        self.path, self.streams = Path(path), dict(streams)
        with self._archive() as archive:
            self._check_names(archive)
            described = self._described(archive)
            for name, stream in self.streams.items():
                if name in described and not _same(described[name], stream):
                    raise FileError(f"{self.path}: '{name}' is {described[name]}; the graph takes {stream}")
            self.lengths = {name: int(header.shape[0]) for name, header in self._headers(archive).items()}

    def blocks(self, seconds: Fraction = Fraction(1)) -> Iterator[dict[str, Array]]:
        """Yield mappings, name of a stream -> block of `seconds`, until the longest stream ends.

        The blocks have the dtype of the arrays in the file. A block has the items that begin in its span of time. A
        stream that ends earlier has a shorter block at its end, and then empty blocks. Nothing is yielded for a span of
        time in which no item of any stream begins.
        """
        with self._archive() as archive:
            arrays = {name: self._unpacked(archive, header) for name, header in self._headers(archive).items()}
        if not any(map(len, arrays.values())):
            return
        begin = Fraction(0)
        while True:
            spans = {name: (s.count(begin), s.count(begin + seconds)) for name, s in self.streams.items()}
            yield {name: np.array(arrays[name][first:last]) for name, (first, last) in spans.items()}
            # If every item is longer than a block, blocks without an item are skipped: there could be millions.
            later = [
                s.seconds(spans[name][1]) for name, s in self.streams.items() if spans[name][1] < len(arrays[name])
            ]
            if not later:
                return
            begin = max(begin + seconds, min(later) // seconds * seconds)

    @contextmanager
    def _archive(self) -> Iterator[zipfile.ZipFile]:
        with _ArchiveFile(open_descriptor(self.path)) as file:
            with self._reading():
                archive = zipfile.ZipFile(file)
            with archive:
                yield archive

    @contextmanager
    def _reading(self, fault: str = f" is no {SUFFIX} file, or is damaged") -> Iterator[None]:
        """Turn every error of zipfile and numpy into a FileError with the path of the file and `fault`.

        fault: words for the message, with a space at the beginning; not used for an OSError. Every class of error is
        caught, because zipfile and numpy can raise any class for a damaged file. The code inside the `with` block only
        reads the file.
        """
        try:
            yield
        except OSError as error:
            raise FileError(f"{self.path} cannot be read: {error.strerror or error}") from None
        except Exception as error:
            reason = re.sub(" object at 0x[0-9a-f]+", "", str(error) or type(error).__name__)
            raise FileError(f"{self.path}{fault}: {shortened(reason, 120)}") from None

    def _check_names(self, archive: zipfile.ZipFile) -> None:
        """Raise FileError if the array of a stream is missing in the archive, or if the archive lists it twice.

        The array that describes the streams may be missing, but not be listed twice.
        """
        there = Counter(one.removesuffix(".npy") for one in archive.namelist() if one.endswith(".npy"))
        for name, stream in self.streams.items():
            if name not in there:
                names = [shortened(one, 80) for one in sorted(set(there) - {STREAMS})]
                found = ", ".join([*names[:MOST_NAMES], *["..."] * (len(names) > MOST_NAMES)])
                raise FileError(f"{self.path} has no array '{name}', {stream}; there are: {found or 'nothing'}")
        for name in (*self.streams, STREAMS):
            if there[name] > 1:
                raise FileError(f"{self.path} lists the array '{name}' {there[name]} times: make the file again")

    def _described(self, archive: zipfile.ZipFile) -> dict[str, Stream]:
        """Return name -> stream, for those input streams of the graph that the file describes.

        The streams are those of the description, not of the graph. Raises FileError for a damaged description.
        """
        description = self._description(archive)
        with self._parsing():
            return {name: stream_from_dict(description[name]) for name in self.streams if name in description}

    def _description(self, archive: zipfile.ZipFile) -> dict[str, Any]:
        """Return name -> description of the stream, as in the file; empty if the file has no descriptions.

        Raises FileError if the description is not a JSON object, or has more than LONGEST_DESCRIPTION bytes.
        """
        if f"{STREAMS}.npy" not in archive.namelist():
            return {}
        header = self._header(archive, STREAMS)
        with self._parsing():
            if header.dtype.kind != "U" or header.shape or not 0 < header.size <= LONGEST_DESCRIPTION:
                raise TypeError(f"it is not one text of at most {LONGEST_DESCRIPTION} bytes")
        text = self._unpacked(archive, header)
        with self._parsing():
            description = json.loads(str(text))
            if not isinstance(description, dict):
                raise TypeError("it is no object with a stream for each name")
            return description

    @contextmanager
    def _parsing(self) -> Iterator[None]:
        """Turn every error into a FileError. The `with` block only parses the description, which may be any text."""
        try:
            yield
        except Exception as error:
            raise FileError(f"{self.path}: '{STREAMS}' does not describe the arrays: {error}: make it again") from None

    def _headers(self, archive: zipfile.ZipFile) -> dict[str, _Header]:
        """Return name of a stream -> header of its array.

        Raises FileError if an array does not fit its stream, or if all arrays together are too large.
        """
        headers = {name: self._header(archive, name) for name in self.streams}
        for name, header in headers.items():
            self._check_fit(name, header)
        assert archive.fp is not None  # it is open
        total, size = sum(header.size for header in headers.values()), os.fstat(archive.fp.fileno()).st_size
        if total > max(UNPACKED, LARGEST_EXPANSION * size):
            raise FileError(
                f"{self.path} has {size} bytes and would unpack to {total}, more than {LARGEST_EXPANSION} times as "
                "many: if this is right, write it without compression (numpy.savez)"
            )
        return headers

    def _header(self, archive: zipfile.ZipFile, name: str) -> _Header:
        """Return the header of the array called `name`, which must be in the archive.

        Only the beginning of the array is decompressed. Raises FileError if this is not an array of numbers or texts,
        if it is compressed by a method that numpy does not write, or if it does not have the size that its header
        states.
        """
        member = archive.getinfo(f"{name}.npy")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise FileError(
                f"{self.path}: '{name}' is compressed by a method that numpy does not write: make the file again"
            )
        with self._reading(), archive.open(member) as file:
            begin = io.BytesIO(file.read(_LONGEST_HEADER))
        with self._reading(f": '{name}' is no array of numbers"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy warns about headers written by Python 2, and reads them
            major, _ = np.lib.format.read_magic(begin)
            parse = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}.get(major)
            if parse is None:
                raise ValueError(f"its header has the version {major}; 1 and 2 are read")
            shape, fortran_order, dtype = parse(begin)
            if any(isinstance(length, bool) for length in shape):
                raise ValueError(f"its shape is {shown(shape)}")
        header = _Header(member, begin.tell(), shape, "F" if fortran_order else "C", dtype)
        if dtype.hasobject or min(shape, default=0) < 0:
            raise FileError(f"{self.path}: '{name}' is no array of numbers: found {dtype} {shown(list(shape))}")
        if header.size != member.file_size - header.length:
            raise FileError(
                f"{self.path} is damaged: '{name}' has {member.file_size - header.length} bytes; its shape "
                f"{shown(list(shape))} of {dtype} takes {shown(header.size)}: make the file again"
            )
        return header

    def _check_fit(self, name: str, header: _Header) -> None:
        stream = self.streams[name]
        if not header.shape or not header.shape[0]:
            raise FileError(f"{self.path}: '{name}' has no items; the graph takes {stream}")
        if header.shape[1:] != stream.item_shape:
            expected = ", ".join(["n", *map(str, stream.item_shape)])
            raise FileError(
                f"{self.path}: '{name}' has the shape {shown(list(header.shape))}; the graph takes {stream}, an array "
                f"[{expected}]"
            )
        try:
            stream.validate(np.empty((0, *stream.item_shape), header.dtype), f"'{name}'")
        except SignalError as error:
            raise FileError(f"{self.path}: {error}") from None

    def _unpacked(self, archive: zipfile.ZipFile, header: _Header) -> Array:
        """Return an array of the archive, decompressed to a temporary file from which numpy reads only what is used.

        The result is a read-only `numpy.memmap`. header: the header of the array, which has at least one item. The
        archive is read to the end of the array, because zipfile compares the check sum there. Raises FileError if the
        array is damaged or cannot be written to the temporary file.
        """
        with self._unpacking():
            unpacked = tempfile.TemporaryFile()  # noqa: SIM115 the next line closes it
        with unpacked, ExitStack() as stack:
            with self._reading():
                file = stack.enter_context(archive.open(header.member))
                file.read(header.length)
            left = header.size
            while left:
                with self._reading():
                    part = file.read(min(COPIED, left))
                if not part:
                    raise FileError(f"{self.path} is damaged: {left} bytes of an array are missing: make it again")
                with self._unpacking():
                    unpacked.write(part)
                left -= len(part)
            with self._unpacking():
                unpacked.flush()
            return np.memmap(unpacked, header.dtype, "r", shape=header.shape, order=header.order)

    @contextmanager
    def _unpacking(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise FileError(
                f"{self.path} cannot be unpacked to the folder for temporary files: {error.strerror or error}: give "
                "another folder in the environment variable TMPDIR"
            ) from None


def stored_streams(path: str | Path) -> dict[str, Stream]:
    """Return name -> stream, for the streams that an .npz file describes; empty for a file of `numpy.savez`.

    Raises FileError if the file cannot be read, or if its description is damaged.
    """
    source = ArraySource(path, {})
    with source._archive() as archive:
        description = source._description(archive)
    with source._parsing():
        return {name: stream_from_dict(one) for name, one in description.items()}


def read_arrays(path: str | Path) -> dict[str, tuple[Stream, Array]]:
    """Return name -> (stream, whole array), for all streams in an .npz file that `render` wrote.

        stream, f0 = read_arrays("out/speech.npz")["f0"]
        plot(stream.times(len(f0)), f0)

    The arrays have the dtype that they have in the file. Raises FileError if the file cannot be read, is damaged, is
    larger than `ArraySource` allows or has a stream without items, or if it contains no description of its streams:
    read such a file with `numpy.load`.
    """
    streams = stored_streams(path)
    if not streams:
        raise FileError(f"{path} does not say what its arrays are: dspgraph did not write it: read it by numpy.load")
    source = ArraySource(path, streams)
    with source._archive() as archive:
        return {
            name: (streams[name], np.array(source._unpacked(archive, one)))
            for name, one in source._headers(archive).items()
        }


class _ArchiveFile(io.FileIO):
    """The file of a zip archive, as zipfile reads it.

    zipfile reads the list of all members by one call of `read`. The list in a damaged file can be huge, so a call for
    more than LONGEST_LIST bytes is refused.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next `size` bytes, or the rest of the file if `size` is negative or None.

        Raises BadZipFile if `size` is above LONGEST_LIST.
        """
        if size is not None and size > LONGEST_LIST:
            raise zipfile.BadZipFile(f"the list of its members has more than {LONGEST_LIST} bytes")
        return super().read(-1 if size is None else size)


@dataclass(frozen=True)
class _Header:
    """The header of an array in an archive: the shape, order ("C" or "F") and dtype of the array.

    member: the entry of the array in the archive. length: the number of bytes of the header itself.
    """

    member: zipfile.ZipInfo
    length: int  # bytes of the header itself
    shape: tuple[int, ...]
    order: Literal["C", "F"]
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        """The number of bytes of all items."""
        return math.prod(self.shape) * self.dtype.itemsize


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    """Open a new member of an archive, the array called `name`, for writing.

    The member may have more than 4 GiB (ZIP64). Its date is always 1980-01-01, so that equal arrays give equal files.
    """
    return archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True)


def _same(found: Stream, stream: Stream) -> bool:
    """Return whether two streams are equal apart from their dtypes, which `Stream.validate` checks and converts.

    found: the stream that a file describes. stream: the input of the graph.
    """
    return type(found) is type(stream) and all(
        getattr(found, field.name) == getattr(stream, field.name)
        for field in dataclasses.fields(stream)
        if field.name not in ("dtype", "precision")
    )
