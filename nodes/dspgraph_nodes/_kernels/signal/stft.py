"""Short-time Fourier transforms of many frames, in pieces that fit the cache."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.signal import overlap_add as overlap
from dspgraph_nodes._kernels.signal.windows import Window, window_values

_PIECE_BYTES = 1 << 20  # bytes of frames in a piece, so that a piece stays in the second-level cache
# Least squared weight w**2 of a sample, relative to the square of the window's peak. A transform and its inverse change
# a sample w * x of a frame by up to 7 * eps of full scale (noise of +-1, n_fft up to 65536, prime factors of any size).
# Where only one frame has the sample, the division by w turns an error of 10 * eps into 1e-12.
_LEAST_SQUARE = (10 * 2.0**-52 / 1e-12) ** 2


def spectra(frames: Array, window: Array, n_fft: int) -> Array:
    """Return the Fourier transforms [n, n_fft // 2 + 1] of frames times a window.

    frames: [n, length], float32 or float64; window: [length], length <= n_fft. The products are centred in n_fft
    samples; the other samples are 0.
    """
    out = np.empty((len(frames), n_fft // 2 + 1), np.result_type(frames.dtype, np.complex64))
    at = 0
    for rows in spectra_in_pieces(frames, window, n_fft):
        out[at : at + len(rows)] = rows
        at += len(rows)
    return out


def spectra_in_pieces(frames: Array, window: Array, n_fft: int) -> Iterator[Array]:
    """Yield the transforms that `spectra` returns for these arguments, in pieces [m, n_fft // 2 + 1], m rows at a time.

    Each piece is an array of its own.
    """
    from scipy.fft import rfft

    length = len(window)
    left = (n_fft - length) // 2
    chunk = rows_per_piece(n_fft, frames.dtype)
    windowed = np.zeros((min(chunk, len(frames)), n_fft), frames.dtype)
    for k in range(0, len(frames), chunk):
        part = windowed[: len(frames) - k]
        np.multiply(frames[k : k + chunk], window, out=part[:, left : left + length])
        yield rfft(part, axis=1)


def inverse_frames(spectrum: Iterable[Array], length: int) -> Iterator[Array]:
    """Yield the middle `length` samples of the inverse transforms of a spectrum, [m, length] for each piece.

    spectrum: pieces [m, n_fft / 2 + 1].
    """
    from scipy.fft import irfft

    for rows in spectrum:
        n_fft = 2 * (rows.shape[1] - 1)
        left = (n_fft - length) // 2
        yield np.ascontiguousarray(irfft(rows, n_fft, axis=1)[:, left : left + length])


def split_rows(rows: Array) -> Iterator[Array]:
    """Yield the rows [n, bins] of a spectrum in pieces [m, bins] that fit the cache."""
    chunk = rows_per_piece(2 * (rows.shape[1] - 1), rows.real.dtype)
    for k in range(0, len(rows), chunk):
        yield rows[k : k + chunk]


def resynthesise(spectrum: Iterable[Array], count: int, window: Array, hop: int, first: int) -> Array:
    """Return the signal [count * hop] whose windowed frames come nearest to the inverse transforms of `count` rows.

    The distance is the sum of squares. spectrum: the rows, in pieces [m, n_fft / 2 + 1]; first: where frame k begins,
    in samples after k * hop, at most 0; window: w, [length], above 0 from w[-first] to w[hop - 1 - first], which are
    the samples k * hop .. (k + 1) * hop - 1 of frame k. The result has the dtype of the window.
    """
    tail = overlap.start(len(window), hop, first, window.dtype)
    y = overlap.step(tail, inverse_frames(spectrum, len(window)), count, window, window * window, hop)
    return np.concatenate((y, overlap.flush(tail)))


class SpectrumRows(Protocol):
    """The properties of a stream of spectra that `window_start` needs."""

    @property
    def rate(self) -> Fraction:
        """The number of rows per second."""

    @property
    def centre(self) -> Fraction:
        """The time, in seconds, from the start of a row's span to the middle of its window."""

    @property
    def width(self) -> int:
        """The number of bins, n_fft / 2 + 1."""


def window_start(rows: SpectrumRows, hop: int, length: int | None, window: Window) -> int:
    """Return where the window of a row begins, in samples after the start of the span of that row, at most 0.

    rows: the stream of spectra; hop: samples from one row to the next; length: the length of the window in samples,
    n_fft if None. Raises ValueError if no signal can be made from these rows with this hop and window. The message
    begins with the name of a parameter; the caller puts the name of the node and a dot before it.
    """
    n_fft = 2 * (rows.width - 1)
    length = length or n_fft
    if length > n_fft or not n_fft:
        raise ValueError(
            f"length is {length}; rows of {rows.width} bins have n_fft = {n_fft} samples, and a window is at most as "
            "long: take the length the frames were cut with"
        )
    begin = rows.centre * rows.rate * hop - Fraction(length, 2)
    if begin.denominator != 1:
        raise ValueError(
            f"hop is {hop}, but windows of {length} samples would begin at {float(begin):g} samples, between "
            "two: take the hop and the length the frames were cut with"
        )
    first = int(begin)
    values = window_values(window, "none", length, np.dtype(np.float64))
    missing = overlap.find_lost_sample(values * values, hop, first, _LEAST_SQUARE)
    if missing is not None:
        raise ValueError(
            f"hop is {hop}, but sample {missing} of every {hop} cannot be restored: a {window} window of {length} "
            f"samples that begins at {first} is 0 there, or nearly; take a longer window, a smaller hop or a window "
            "centred in the span"
        )
    return first


def rows_per_piece(n_fft: int, dtype: np.dtype[Any]) -> int:
    """Return how many frames of n_fft samples fit in a piece, at least 1. dtype: the dtype of the samples."""
    return max(1, _PIECE_BYTES // (n_fft * dtype.itemsize))
