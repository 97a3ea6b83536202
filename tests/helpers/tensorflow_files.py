"""Checkpoints of TensorFlow for tests, written byte by byte."""

from pathlib import Path

import numpy as np

from dspgraph import Array

TYPES = {np.dtype(np.float32): 1, np.dtype(np.float64): 2, np.dtype(np.int64): 9}


def varint(value: int) -> bytes:
    groups = []
    while True:
        value, group = value >> 7, value & 127
        groups.append(group | 128 if value else group)
        if not value:
            return bytes(groups)


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def part(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def block(pairs: list[tuple[bytes, bytes]]) -> bytes:
    """Return a block of a table for pairs (key, value), sorted by key, followed by its type and a false check sum.

    Of each key, only the bytes after the prefix that it shares with the key before it are stored.
    """
    content, before = b"", b""
    for key, value in pairs:
        shared = next(
            (k for k, (a, b) in enumerate(zip(key, before, strict=False)) if a != b), min(map(len, (key, before)))
        )
        content += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    return content + bytes(4) + (1).to_bytes(4, "little") + b"\0" + b"sums"


def checkpoint(folder: Path, arrays: dict[str, Array]) -> Path:
    """Write a checkpoint of TensorFlow, with these arrays and an entry for a string; return its path without suffix.

    The index has two blocks of entries, with false check sums. arrays: two or more, of float32, float64 or int64, whose
    names come before "text", the name of the string.
    """
    data, pairs = b"", [(b"", number(1, 1))]
    for name, array in sorted(arrays.items()):
        shape = b"".join(part(2, number(1, size)) for size in array.shape)
        entry = number(1, TYPES[array.dtype]) + (part(2, shape) if shape else b"") + number(4, len(data))
        pairs.append((name.encode(), entry + number(5, array.nbytes) + varint(6 << 3 | 5) + b"sums"))
        data += array.tobytes()
    pairs.append((b"text", number(1, 7) + number(5, 4)))
    content, places = b"", []
    for group in (pairs[:3], pairs[3:]):
        one = block(group)
        places.append((group[-1][0], varint(len(content)) + varint(len(one) - 5)))
        content += one
    other, index = block([]), block(places)
    footer = varint(len(content)) + varint(len(other) - 5)
    footer += varint(len(content) + len(other)) + varint(len(index) - 5)
    content += other + index + footer.ljust(40, b"\0") + (0xDB4775248B80FB57).to_bytes(8, "little")
    (folder / "model.ckpt-3.index").write_bytes(content)
    (folder / "model.ckpt-3.data-00000-of-00001").write_bytes(data)
    return folder / "model.ckpt-3"
