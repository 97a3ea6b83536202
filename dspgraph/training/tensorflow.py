"""Checkpoints of TensorFlow, in their second format, read without TensorFlow.

A checkpoint is a file NAME.index and one or more data files such as NAME.data-00000-of-00001. The index is a table of
LevelDB without compression. Its blocks are lists of (key, value), sorted by key. If a key begins with the same bytes as
the key before it, only the rest of the key is stored. The last 48 bytes of the index give the place of a block that
lists the places of the blocks with arrays. A key there is the name of an array. Its value is a message of protocol
buffers: the type and shape of the array, and file, place and size of its numbers. The numbers are in the data files, in
row-major order.

Sources: leveldb, doc/table_format.md; TensorFlow, tensor_bundle.proto; Protocol Buffers, Encoding.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from dspgraph.errors import FileError
from dspgraph.io.paths import open_file, read_file
from dspgraph.shown import shown
from dspgraph.streams import Array

_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48
_LARGEST_INDEX = 2**24
"""The largest size of an index, in bytes. The index of GANSynth has about 20,000 bytes."""

_MOST_AXES = 8
"""The largest number of axes of an array. The filter of a convolution over two axes has four."""

_LARGEST_NAMES = 2**24
"""The largest number of bytes of all names together. A small index can contain long names, which share their bytes."""

_TYPES: dict[int, np.dtype[Any]] = {1: np.dtype("<f4"), 2: np.dtype("<f8"), 3: np.dtype("<i4"), 9: np.dtype("<i8")}
"""Number of a type in TensorFlow -> dtype. Arrays of other types are left out."""


def index_of(path: Path) -> Path | None:
    """Return the index of the checkpoint to which a path belongs; None if there is no such index.

    path: the index itself, one of the data files, or the path NAME that these files share.
    """
    name = path.name.partition(".data-")[0].removesuffix(".index")
    index = path.parent / f"{name}.index"
    return index if index.is_file() else None


def read_tensorflow(index: Path, largest: int) -> dict[str, Array]:
    """Return name -> array, for the arrays of a checkpoint whose types are in `_TYPES`.

    index: the path of the index. largest: the largest number of bytes of all these arrays together. Raises FileError if
    a file is missing, cannot be read or is damaged, and if the arrays have more bytes.
    """
    content = read_file(index, _LARGEST_INDEX)
    try:
        entries = {key.decode(): _Entry(value) for key, value in _table(content) if key}
    except (ValueError, UnicodeDecodeError, IndexError) as error:
        raise FileError(f"{index} is damaged or no index of a checkpoint ({error}): copy it again") from None
    wanted = {name: entry for name, entry in entries.items() if entry.dtype in _TYPES}
    if (total := sum(entry.size for entry in wanted.values())) > largest:
        raise FileError(f"{index} lists {total} bytes of weights; at most {largest} are read")
    return {name: _numbers(index, name, entry) for name, entry in wanted.items()}


class _Entry:
    """The entry of one array in the index of a checkpoint, parsed from a message of protocol buffers.

    dtype: the number of its type, which may be missing in `_TYPES`. shape: its shape. shard: the number of its data
    file. offset, size: the place of its numbers in this file and their size, in bytes. Raises ValueError or IndexError
    if the message is damaged; the numbers are not compared with each other or with the file.
    """

    def __init__(self, message: bytes) -> None:
        fields = dict(_fields(message))
        self.dtype, self.shard, self.offset, self.size = (_number(fields.get(k, 0)) for k in (1, 3, 4, 5))
        sizes = [dict(_fields(_part(one))) for number, one in _fields(_part(fields.get(2, b""))) if number == 2]
        self.shape = tuple(_number(one.get(1, 0)) for one in sizes)


def _numbers(index: Path, name: str, entry: _Entry) -> Array:
    prefix = f"{index.name.removesuffix('.index')}.data-{entry.shard:05d}-of-"
    files = sorted(one for one in index.parent.iterdir() if one.name.startswith(prefix))
    if not files:
        raise FileError(f"beside {index} there is no file {prefix}...: copy the data files of the checkpoint too")
    dtype = _TYPES[entry.dtype]
    if (
        len(entry.shape) > _MOST_AXES
        or max(entry.shape, default=0) > 2**40
        or entry.size != prod(entry.shape) * dtype.itemsize
    ):
        shape = shown(entry.shape, 80)
        raise FileError(f"{index} is damaged: {name} has {entry.size} bytes for the shape {shape}: copy it again")
    with open_file(files[0]) as file:
        if entry.offset + entry.size > os.fstat(file.fileno()).st_size:
            raise FileError(f"{files[0]} ends before or within {name}: copy or download it again")
        file.seek(entry.offset)
        content = file.read(entry.size)
    return np.frombuffer(content, dtype).reshape(entry.shape)


# ---- the table ------------------------------------------------------------------------------------------------------


def _table(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (key, value) for all entries of an index. content: the bytes of the index file.

    The entry with the empty key describes the checkpoint; every other entry is an array. Raises ValueError or
    IndexError if the index is damaged or compressed, and ValueError if its names have more than `_LARGEST_NAMES` bytes.
    """
    footer = content[-_FOOTER:]
    if len(footer) < _FOOTER or int.from_bytes(footer[-8:], "little") != _MAGIC:
        raise ValueError("the last bytes are not those of a table")
    at = 0
    for _ in range(2):  # the place of the block with data about blocks, then of the block with the places of blocks
        offset, at = _varint(footer, at)
        size, at = _varint(footer, at)
    read = names = 0
    for listed, place in _block(content, offset, size):
        first, after = _varint(place, 0)
        length = _varint(place, after)[0]
        read, names = read + length, names + len(listed)
        if read > len(content):
            raise ValueError("its blocks overlap")
        for key, value in _block(content, first, length):
            names += len(key)
            if names > _LARGEST_NAMES:
                raise ValueError(f"its names have more than {_LARGEST_NAMES} bytes")
            yield key, value


def _block(content: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield (key, value) for the entries of one block of an index.

    content: the bytes of the index file. offset, size: the place and the length of the block in them. Raises ValueError
    or IndexError if the block is damaged, and ValueError if it is compressed.
    """
    block = content[offset : offset + size]
    if len(block) != size or size < 4:
        raise ValueError("a block lies beyond the end")
    if content[offset + size : offset + size + 1] != b"\0":
        raise ValueError("a block is compressed")
    restarts = int.from_bytes(block[-4:], "little")
    end = size - 4 - 4 * restarts
    if end < 0:
        raise ValueError("a block is shorter than its list of places")
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        rest, at = _varint(block, at)
        length, at = _varint(block, at)
        if shared > len(key) or at + rest + length > end:
            raise ValueError("an entry lies beyond the end of its block")
        key = key[:shared] + block[at : at + rest]
        yield key, block[at + rest : at + rest + length]
        at += rest + length


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield (number of the field, value) for the fields of a message of protocol buffers.

    The value is an integer if it is stored as a varint, and bytes otherwise. Raises ValueError or IndexError if the
    message is damaged.
    """
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind, value = tag & 7, 0
        if kind == 0:
            value, at = _varint(message, at)
            yield tag >> 3, value
            continue
        length, at = _varint(message, at) if kind == 2 else ({1: 8, 5: 4}[kind] if kind in (1, 5) else -1, at)
        if length < 0 or at + length > len(message):
            raise ValueError("a field lies beyond the end of its message")
        yield tag >> 3, message[at : at + length]
        at += length


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """Return (number, offset after it) for the number that begins at the offset `at` of `content`.

    The number is a varint: each byte has seven of its bits, the lowest seven first, and the last byte is below 128.
    Raises IndexError if `content` ends before the number does, and ValueError if the number has more than ten bytes.
    """
    value = 0
    for k in range(10):
        value |= (content[at + k] & 127) << 7 * k
        if content[at + k] < 128:
            return value, at + k + 1
    raise ValueError("a number has more than 64 bits")


def _number(value: int | bytes) -> int:
    if isinstance(value, int):
        return value
    raise ValueError("a field has another type")


def _part(value: int | bytes) -> bytes:
    if isinstance(value, bytes):
        return value
    raise ValueError("a field has another type")
