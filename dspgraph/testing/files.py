"""The law of audio files: a file gives the same samples whether it is read at once, in blocks or in parts."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from dspgraph.errors import FileError
from dspgraph.io.audio import AudioSource
from dspgraph.io.decoding import Decoder
from dspgraph.streams import Array, Audio

_SINGLY = 2**12
"""The number of samples per channel, from the start of a file, that are also read one sample at a time."""

_LONGEST = 2**24
"""The number of samples of all channels, from the start of a file, that are compared: 6 minutes at 44.1 kHz, mono."""

_LONGEST_OF_SMALL = 2**20
"""The number of samples per channel, from the start of a file, that are also read in blocks of 37 samples."""


def check_file(path: str | Path, parts: int = 10, seed: int = 0) -> str:
    """Check that an audio file gives the same samples however it is read; return its format and length, in words.

    The file is read once from start to end. These samples must be equal to those that are read in blocks of 1 sample
    (for the first 4096 samples), of 37 samples (for the first 2**20 samples) and of the usual size of `AudioSource`,
    and to those of random parts of the file. If all channels together have more than 2**24 samples, only the beginning
    of the file is compared, and the text that is returned says how much.

    parts: the number of random parts. seed: determines these parts. Raises FileError if the file cannot be read, and if
    samples differ; the message names the format, the cut, and the first sample that differs, or both numbers of samples
    if these differ.
    """
    path = Path(path)
    decoder = Decoder(path)
    kind = f"{decoder.format}, {decoder.subtype}, {decoder.rate} Hz, {decoder.frames} samples"
    stream = Audio(decoder.rate, decoder.channels)
    frames = min(decoder.frames, max(1, _LONGEST // decoder.channels))
    whole = _read(path, stream, 0, frames, frames)
    usual = AudioSource(path, stream).rows
    for rows, most in ((1, _SINGLY), (37, _LONGEST_OF_SMALL), (usual, frames)):
        length = min(frames, most)
        found = _read(path, stream, 0, length, rows)
        _check_equal(path, kind, f"in blocks of {rows} samples", found, whole[:length], 0)
    random = np.random.default_rng(seed)
    for _ in range(parts):
        first, last = sorted(int(one) for one in random.integers(0, frames + 1, 2))
        if first < last:
            found = _read(path, stream, first, last - first, usual)
            _check_equal(path, kind, f"of the part from {first} to {last}", found, whole[first:last], first)
    return kind if frames == decoder.frames else f"{kind}, the first {frames} compared"


def _read(path: Path, stream: Audio, first: int, length: int, rows: int) -> Array:
    """Return `length` samples from sample number `first` on, read in blocks of `rows` samples."""
    source = AudioSource(path, stream, Fraction(first) / stream.rate, Fraction(length) / stream.rate)
    source.rows = rows
    return source.read()


def _check_equal(path: Path, kind: str, cut: str, found: Array, expected: Array, first: int) -> None:
    """Raise FileError if the samples `found` differ from the samples `expected`.

    first: the number in the file of the first sample of the arrays. path, kind, cut: the file, and how it was read, for
    the message.
    """
    if len(found) != len(expected):
        raise FileError(f"{path} ({kind}): {cut}, {len(found)} samples were read in place of {len(expected)}")
    differs = found != expected
    if differs.any():
        at = first + int(np.flatnonzero(differs.reshape(len(found), -1).any(axis=1))[0])
        raise FileError(f"{path} ({kind}): {cut}, sample {at} differs from one forward read: read it as WAV")
