"""Short-time Fourier transforms of many frames, a cache full at a time."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dspgraph_nodes._kernels.signal import overlap_add as overlap
from dspgraph_nodes._kernels.signal.windows import Window, taper

Array = NDArray[Any]

CHUNK = 1 << 20  # bytes of frames that are worked on at a time: they stay in the second cache
# Of the square of the peak: what carries a sample. There and back a sample w x of a frame comes off by up to 7 eps of
# full scale (noise of +-1, n_fft up to 65536, prime factors of any size); over w, in a frame alone, 10 eps are 1e-12.
LEAST = (10 * 2.0**-52 / 1e-12) ** 2


def spectra(frames: Array, window: Array, n_fft: int) -> Array:
    """The transforms [n, n_fft / 2 + 1] of window times frames [n, length], in the middle of n_fft samples."""
    out = np.empty((len(frames), n_fft // 2 + 1), np.result_type(frames.dtype, np.complex64))
    at = 0
    for rows in pieces_of(frames, window, n_fft):
        out[at : at + len(rows)] = rows
        at += len(rows)
    return out


def pieces_of(frames: Array, window: Array, n_fft: int) -> Iterator[Array]:
    """The same in pieces [m, n_fft / 2 + 1], each an array of its own."""
    from scipy.fft import rfft

    length = len(window)
    left = (n_fft - length) // 2
    chunk = rows_of(n_fft, frames.dtype)
    windowed = np.zeros((min(chunk, len(frames)), n_fft), frames.dtype)
    for k in range(0, len(frames), chunk):
        part = windowed[: len(frames) - k]
        np.multiply(frames[k : k + chunk], window, out=part[:, left : left + length])
        yield rfft(part, axis=1)


def frames_of(spectrum: Iterable[Array], length: int) -> Iterator[Array]:
    """The middle `length` samples of the inverse transforms of pieces [m, n_fft / 2 + 1] of a spectrum."""
    from scipy.fft import irfft

    for rows in spectrum:
        n_fft = 2 * (rows.shape[1] - 1)
        left = (n_fft - length) // 2
        yield np.ascontiguousarray(irfft(rows, n_fft, axis=1)[:, left : left + length])


def split(rows: Array) -> Iterator[Array]:
    """Rows of a spectrum, in the pieces that are worked on at a time."""
    chunk = rows_of(2 * (rows.shape[1] - 1), rows.real.dtype)
    for k in range(0, len(rows), chunk):
        yield rows[k : k + chunk]


def resynthesis(spectrum: Iterable[Array], count: int, window: Array, hop: int, first: int) -> Array:
    """The signal [count hop] whose windowed frames are nearest to the inverse transforms of `count` rows, in pieces."""
    tail = overlap.start(len(window), hop, first, window.dtype)
    y = overlap.step(tail, frames_of(spectrum, len(window)), count, window, window * window, hop)
    return np.concatenate((y, overlap.flush(tail)))


class Rows(Protocol):
    """What a stream of rows says of itself."""

    @property
    def rate(self) -> Fraction:
        """Rows per second."""

    @property
    def centre(self) -> Fraction:
        """Seconds from the start of a row's span to the middle of its window."""

    @property
    def width(self) -> int:
        """Bins, n_fft / 2 + 1."""


def first_of(rows: Rows, hop: int, length: int | None, window: Window) -> int:
    """Where the windows of a spectrum's rows begin in their span, in samples; ValueError where no signal comes of them.

    length: n_fft by default.
    """
    n_fft = 2 * (rows.width - 1)
    length = length or n_fft
    if length > n_fft or not n_fft:
        raise ValueError(
            f"length is {length}; rows of {rows.width} bins are n_fft = {n_fft} samples, and a window is at most as "
            "long: take the length the frames were cut with"
        )
    begin = rows.centre * rows.rate * hop - Fraction(length, 2)
    if begin.denominator != 1:
        raise ValueError(
            f"hop is {hop}, but windows of {length} samples would begin at {float(begin):g} samples, between "
            "two: take the hop and the length the frames were cut with"
        )
    first = int(begin)
    values = taper(window, "none", length, np.dtype(np.float64))
    missing = overlap.lost(values * values, hop, first, LEAST)
    if missing is not None:
        raise ValueError(
            f"hop is {hop}, but sample {missing} of every {hop} cannot be restored, for a {window} window of {length} "
            f"samples that begins at {first} is 0 there, or nearly: take a longer window, a smaller hop or a window "
            "centred in the span"
        )
    return first


def rows_of(n_fft: int, dtype: np.dtype[Any]) -> int:
    """How many frames are worked on at a time."""
    return max(1, CHUNK // (n_fft * dtype.itemsize))
